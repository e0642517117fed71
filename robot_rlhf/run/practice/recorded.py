"""Practice that others had: steps from recordings, learned from without a robot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from robot_rlhf.datatypes import WeightSnapshot
from robot_rlhf.journal.labels import read_labels
from robot_rlhf.journal.reader import replay_into
from robot_rlhf.learner.checkpoint import write_snapshot
from robot_rlhf.learner.goals_meant import GoalsMeant
from robot_rlhf.run.bookkeeping import Bookkeeping
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.offline_settings import OfflineOptions
from robot_rlhf.run.recorded_reward import GOLD, SPARSE, RecordedReward
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.run.trainer import Learning
from robot_rlhf.runtime.evaluation import Evaluation
from robot_rlhf.runtime.fan_out import FanOut
from robot_rlhf.runtime.named_recording import NamedRecording
from robot_rlhf.runtime.offline import JudgedFeed, check_learnable, learn_offline


class RecordedPractice:
    """Implements Practice (run/practice/practice.py)."""

    def __init__(
        self,
        folder: RunFolder,
        config: TrainConfig,
        learning: Learning,
        options: OfflineOptions,
        journals: Sequence[Path],
        reward: RecordedReward,
        book: Bookkeeping,
    ) -> None:
        self.folder = folder
        self.config = config
        self.options = options
        self.journals = journals
        self.reward = reward
        self.book = book
        book.learns = False  # nothing happens now that could be learned from
        book.keeper.active = False
        self.measured: tuple[Evaluation, WeightSnapshot] | None = None
        self.not_measured = ""
        if not config.place.simulated:
            self.not_measured = (
                f"{config.task} is not simulated here; robot-rlhf ros policy measures it on the robot (parameters out, "
                "run, and learner:=none evaluate:=20)"
            )
        self.trainer = learning.trainer
        self.words = learning.words
        self.hears = learning.hears
        if options.reward == GOLD:  # the true reward of another goal is not known
            self.hears = tuple(told for told in self.hears if not isinstance(told, GoalsMeant))
        self._rows: dict[str, Any] = {}

    def open(self, stack: ExitStack) -> None:
        """As Practice: bring what was recorded into replay, with its rewards.

        Raises:
            ConfigError: nothing to learn from.
            JournalError: a journal that cannot be read.
        """
        trainer, options, book = self.trainer, self.options, self.book
        feed, episodes, successes = self.reward.feed(trainer.learner, trainer.buffer), Counter[str](), list[int]()
        for number, path in enumerate(self.journals):
            takes = GOLD if options.reward == GOLD else SPARSE
            name = f"recording {number}"
            judged = JudgedFeed(feed, read_labels(path), self.config.reward, takes, self.hears, name=name)
            told = FanOut([judged, NamedRecording(name, book.tally)])
            replay_into(path, told, pictures=self.reward.pictures)
            self.reward.end_journal(judged.instruction)
            successes += judged.successes
            episodes += judged.episodes
        check_learnable(trainer.buffer, options.learner, options.reward, options.runs)
        counts = {source.name.lower(): count for source, count in trainer.buffer.counts.items() if count}
        self._rows = {"rows": counts, "episodes_used": dict(sorted(episodes.items()))}
        if options.learner.rewards != "none" and options.reward != SPARSE:
            self._rows |= self.reward.give(trainer.buffer, successes, self.config.replay.discount)
        words = ", ".join(f"{count} {name}" for name, count in sorted(episodes.items()))
        book.note(f"{sum(counts.values())} steps of {sum(episodes.values())} episodes: {words}")

    def run(self) -> None:
        """As Practice: make the updates."""
        options, trainer, book = self.options, self.trainer, self.book
        book.progress.count_updates(options.updates)
        for done in learn_offline(
            trainer.learner,
            trainer.buffer,
            options.updates,
            options.batch_size,
            all_as_shown=options.learner.rewards == "none" and options.clones == "everything",
            actions=options.learner.actions == "needed",
            between=self.words.work if self.words else None,
            on_metrics=book.metrics,
        ):
            book.progress.learner_says("learning", done)
            if options.every and (done % options.every == 0 or done == options.updates):
                self._evaluate(done)

    def _evaluate(self, done: int) -> None:
        learner = self.trainer.learner
        with self.book.stopwatch.outside_training():
            self.book.evaluate(learner.averaged(), learner.snapshot(), step=done)

    def save(self) -> None:
        """As Practice."""
        learner = self.trainer.learner
        self.trainer.updates = int(learner.snapshot().version)
        self.trainer.save(self.folder.latest)
        write_snapshot(self.folder.policy, learner.averaged(), {"task": self.config.task})

    def measure_here(self) -> None:
        """There is no robot."""

    def facts(self) -> dict[str, Any]:
        """As Practice."""
        options = self.options
        looks = options.learner.rewards != "none"
        told: dict[str, Any] = {
            "runs": [str(path) for path in options.runs],
            "reward": options.reward if looks else "none",
            "gold_used": looks and options.reward == GOLD,
            **self._rows,
            **self.reward.facts(),
        }
        if not looks:
            told["clones"] = options.clones
        return {"mode": "offline", "arms": 0, "updates": self.trainer.updates, "offline": told}
