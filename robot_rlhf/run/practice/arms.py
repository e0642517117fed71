"""Practice of simulated arms in processes of their own, heard through the journal: mode parallel."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from robot_rlhf.datatypes import EpisodeEnd, EpisodeKind, WeightSnapshot, whole_episode
from robot_rlhf.errors import ConfigError
from robot_rlhf.journal.decoder import EpisodeStarted, Record
from robot_rlhf.journal.files import journal_files
from robot_rlhf.journal.reader import tell
from robot_rlhf.journal.shared import SharedTail, writer_of
from robot_rlhf.run.bookkeeping import Bookkeeping
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.links.elsewhere import LearnerLink
from robot_rlhf.run.practice.arm import arm_command, arm_name
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.runtime.child_process import ChildProcess
from robot_rlhf.runtime.evaluation import Evaluation
from robot_rlhf.runtime.fan_out import FanOut
from robot_rlhf.runtime.interrupts import interrupts_held
from robot_rlhf.runtime.practice_weights import Weights, write_standings

LOOK_EVERY = 0.05
"""Seconds between two looks at the journal."""


class Arms:
    """The processes of all arms. A context manager: they run while it is open."""

    def __init__(self, folder: RunFolder, config: TrainConfig) -> None:
        self._children = [
            ChildProcess(
                arm_command(folder.path, number),
                name=f"arm {number}",
                restarts=config.asynchronous.restarts,
                log_file=folder.path / f"arm-{number}.log",
            )
            for number in range(config.arms)
        ]
        self._stack = ExitStack()

    def __enter__(self) -> Arms:
        with ExitStack() as stack:
            for child in self._children:
                stack.enter_context(child)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for child in self._children:  # all at once: the waiting comes after
            child.ask_to_end()
        self._stack.__exit__(kind, error, traceback)

    @property
    def finished(self) -> bool:
        """Every arm has done its part."""
        return all(child.finished for child in self._children)

    def check(self) -> None:
        """Raises LinkError when one died more often than allowed, or says that it cannot work."""
        for child in self._children:
            child.check()


class ArmsPractice:
    """Implements Practice (run/practice/practice.py): this process counts, measures and reports."""

    def __init__(
        self, folder: RunFolder, config: TrainConfig, book: Bookkeeping, learner: LearnerLink, *, resumed: bool
    ) -> None:
        """Args: learner: a process that hears the arms through the journal."""
        self.folder = folder
        self.config = config
        self.book = book
        self.learner = learner
        self.resumed = resumed
        self.measured: tuple[Evaluation, WeightSnapshot] | None = None
        self.not_measured = ""
        self.tail = SharedTail(folder.journal, pictures=False)
        self.arms = Arms(folder, config)
        self._recovered_steps = 0
        self._listeners = FanOut([book.tally, book.progress, book.keeper.monitor])
        self._kind = EpisodeKind.PRACTICE

    def open(self, stack: ExitStack) -> None:
        """As Practice."""
        stack.enter_context(self.tail)
        if self.resumed:
            self._recover()

    def run(self) -> None:
        """As Practice."""
        book = self.book
        book.begin_practice()
        with self.learner:
            with self.arms:
                self._watch()
            self._take_in()
            late = self.learner.let_finish(book.tally, self._hear_learner)
            if late:
                book.warn(late)
            if book.last_evaluation_due:
                self._evaluate()

    def save(self) -> None:
        """As Practice: count what is left, also of an arm that was killed because it did not end."""
        self._count(self.tail.rest())

    def measure_here(self) -> None:
        """Simulated arms are measured in a twin."""

    def facts(self) -> dict[str, Any]:
        """As Practice."""
        over = self.learner.over_estimation
        return {
            "arms": self.config.arms,
            "recovered_steps": self._recovered_steps,
            "updates": self.learner.updates,
            "over_estimation": None if over is None else round(over, 4),
        }

    def _recover(self) -> None:
        """Take up the journal; arms and learner do the same by themselves."""
        arms = self.config.arms
        known = {None, *(arm_name(number, arms) for number in range(arms))}
        for path in journal_files(self.folder.journal):
            if (writer := writer_of(path)) not in known:
                raise ConfigError(f"arms: got {arms}, but {path} was written by {writer or 'another mode'!r}")
        recorded: list[Record] = []
        while records := self.tail.poll():
            recorded += records
        for record in in_turn(recorded):
            tell(record, self._listeners)
        episodes = sum(isinstance(record, EpisodeStarted) for record in recorded)
        self.book.keeper.recovered()
        self._recovered_steps = self.book.tally.steps + self.book.tally.demonstration_steps
        told = f"resumed: {self._recovered_steps} steps in {episodes} episodes recovered from the journal"
        self.book.note(told)

    def _take_in(self) -> int:
        """Count what the arms have recorded; returns the number of records."""
        with interrupts_held():  # what was read is counted, too
            records = self.tail.poll()
            self._count(records)
        return len(records)

    def _count(self, records: Sequence[Record]) -> None:
        for record in records:
            tell(record, self._listeners)
            if isinstance(record, EpisodeStarted):
                self._kind = record.meta.kind
            elif isinstance(record, EpisodeEnd) and self._kind is EpisodeKind.PRACTICE:
                self._note_practice()

    def _note_practice(self) -> None:
        self.book.note_practice()
        keeper = self.book.keeper
        if keeper.active:
            keeper.after_episode(self.book.tally.steps, self.learner.weights)
            write_standings(self.folder.exchange, keeper.monitor.standings)

    def _evaluate(self) -> None:
        self.book.evaluate(self.learner.weights(Weights.AVERAGED), self.learner.weights(Weights.NEWEST))

    def _watch(self) -> None:
        """Until all arms have done their part, or the policy is good enough. Evaluation runs here, beside them."""
        book = self.book
        while True:
            finished = self.arms.finished  # before reading: all that they have recorded is there
            took = self._take_in()
            if finished and not took:
                return
            self._hear_learner()
            self.arms.check()
            if book.take_checkpoint_due():
                book.stopwatch.save()
            if book.take_evaluation_due():
                self._evaluate()
                if book.satisfied:
                    return
            if not took:
                time.sleep(LOOK_EVERY)

    def _hear_learner(self) -> None:
        self.learner.check()
        self.book.keeper.begin(self.learner.learned, self.learner.weights)
        news = self.learner.news
        if news is not None:
            self.book.progress.learner_says(news.state, news.updates)
            self.book.progress.alarm(news.alarm, news.over_estimation)


def in_turn(records: Sequence[Record]) -> list[Record]:
    """Whole episodes of several arms, told one arm after another, as the arms took turns: by the episodes' numbers.

    Who forgets what was long ago would else remember the last arm alone. What stands behind an episode stays there.
    """
    runs: list[tuple[tuple[bool, int], list[Record]]] = [((False, -1), [])]
    for record in records:
        if isinstance(record, EpisodeStarted):
            number = int(whole_episode(record.meta.id).rpartition("-")[2])
            runs.append(((record.meta.kind is EpisodeKind.PRACTICE, number), []))
        runs[-1][1].append(record)
    return [record for _, run in sorted(runs, key=lambda run: run[0]) for record in run]
