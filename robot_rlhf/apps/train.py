"""`robot-rlhf train`: demonstrations, practice with corrections, evaluation without help, and a report."""

from __future__ import annotations

import logging
import math
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from robot_rlhf.apps.build import (
    World,
    build_person,
    build_policy,
    build_station,
    build_trainer,
    build_world,
    software_versions,
)
from robot_rlhf.apps.config import PEOPLE, TrainConfig, known, read_yaml, write_yaml
from robot_rlhf.apps.judge import Judge, final_evaluation
from robot_rlhf.apps.learner_link import LearnerLink
from robot_rlhf.apps.live import LiveConsole
from robot_rlhf.apps.priority import urgent
from robot_rlhf.apps.progress import Progress
from robot_rlhf.apps.report import write_report
from robot_rlhf.apps.run_folder import MetricsLog, RunFolder, append_values
from robot_rlhf.apps.stopwatch import Stopwatch
from robot_rlhf.apps.summary import summarise
from robot_rlhf.datatypes import WeightSnapshot
from robot_rlhf.journal.reader import replay_into
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.learner.checkpoint import read_snapshot, write_snapshot
from robot_rlhf.ports import Subscriber
from robot_rlhf.runtime.fan_out import FanOut
from robot_rlhf.runtime.inline_learner import InlineLearner
from robot_rlhf.runtime.loop import hear_last_words
from robot_rlhf.runtime.session import Session
from robot_rlhf.runtime.station import EndRequestedError, Station, StopRequestedError
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.runtime.trainer import Trainer
from robot_rlhf.runtime.value_check import ValueCheck
from robot_rlhf.timing import Clock, FakeClock, MonotonicClock, Rate

log = logging.getLogger(__name__)


def train(config: TrainConfig, *, resume: Path | None = None, quiet: bool = False) -> dict[str, Any]:
    """Run a training; returns what summary.json holds.

    Args:
        config: of a new run; ignored for a resumed one, which keeps its own.
        resume: folder of a run to go on with.
    """
    run = RunFolder.existing(resume) if resume else RunFolder.create(config.out, config.name or default_name(config))
    if resume:
        config = read_yaml(run.config)
    else:
        write_yaml(config, run.config)
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    return _Training(run, config, resumed=resume is not None, quiet=quiet).run()


def default_name(config: TrainConfig) -> str:
    """Folder name of a run: task, algorithm, operator, seed."""
    return f"{config.task}-{config.algorithm}-{config.operator}-seed{config.seed}"


class _Training:
    """One run, from its first demonstration to its summary."""

    def __init__(self, run_folder: RunFolder, config: TrainConfig, *, resumed: bool, quiet: bool) -> None:
        self.folder = run_folder
        self.config = config
        self.resumed = resumed
        self.synchronous = config.mode == "synchronous"
        self.clock: Clock = FakeClock() if self.synchronous else MonotonicClock()
        self.world: World = build_world(config, self.clock)
        self.policy = build_policy(config, self.world.spec, sample=True)
        judged = build_policy(config, self.world.spec, sample=False)
        self.judge = Judge(config, run_folder, judged, resumed=resumed)
        self.stopwatch = Stopwatch(run_folder.seconds, resumed=resumed)
        self.tally = Tally(self.world.spec.control_period)
        self.metrics = MetricsLog(run_folder)
        self.progress = Progress(config, self.tally, quiet=quiet)
        self.trainer: Trainer | None = None
        self.value_check: ValueCheck | None = None
        self.learner: LearnerLink | None = None
        self.console: LiveConsole | None = None
        self.session: Session | None = None
        self.pace: Rate | None = None
        self.recovered_steps = 0

    def run(self) -> dict[str, Any]:
        interrupted = False
        with ExitStack() as stack:
            stack.callback(self.metrics.close)
            stack.callback(self.world.guard.stop)
            self.session = session = self._open(stack)
            self.stopwatch.begin_training()
            try:
                with self.progress:
                    self._demonstrate(session)
                    self._practise(session)
            except EndRequestedError:
                log.info("the operator ended the session")
            except (KeyboardInterrupt, StopRequestedError) as reason:
                interrupted = True
                log.warning("stopping (%s): everything is saved", type(reason).__name__)
            finally:
                self._save()
            self.stopwatch.end_training()
        return self._finish(interrupted)

    # -- setting up ------------------------------------------------------------------------------------------------

    def _open(self, stack: ExitStack) -> Session:
        config = self.config
        versions = software_versions()
        person = build_person(self.world, config.supervisor) if config.supervisor else None
        listeners: list[Subscriber] = [*([person] if person else []), self.tally, self.progress]
        if self.synchronous:
            self.trainer, self.value_check = build_trainer(config, self.world.spec, self.metrics)
            listeners.append(self.trainer)
        if self.resumed:
            self._recover(listeners)
        if self.trainer is not None:
            listeners.append(InlineLearner(self.trainer, self.policy, publish_every=config.asynchronous.publish_every))
            if self.resumed and self.policy.version < 0 and self.folder.latest.exists():
                self.policy.load(self.trainer.learner.snapshot())
        if self.value_check is not None:
            listeners.append(self.value_check)
        offset = 0 if self.synchronous else time.time_ns() - time.monotonic_ns()
        journal = stack.enter_context(
            JournalWriter(self.folder.journal, self.world.spec, metadata=versions, epoch_offset_ns=offset)
        )
        station = replace(
            build_station(config, self.world, self.policy),
            teleop=person,
            operator=config.operator if config.person is None else "custom",
            subscribers=(journal, *listeners),
        )
        if not self.synchronous:
            station = self._go_live(stack, station)
        return Session(station, self.tally, config.seed, versions)

    def _recover(self, listeners: list[Subscriber]) -> None:
        """Take up the journal, then the learner's checkpoint."""
        counts = replay_into(self.folder.journal, FanOut(listeners), pictures=bool(self.config.features.cameras))
        self.recovered_steps = counts.steps
        if isinstance(self.clock, FakeClock):
            self.clock.advance(max(0.0, counts.last_stamp - self.clock.now()))
        if self.trainer is not None and self.folder.latest.exists():
            self.trainer.load(self.folder.latest)
        self.progress.note(f"resumed: {counts.steps} steps in {counts.episodes} episodes recovered from the journal")

    def _go_live(self, stack: ExitStack, station: Station) -> Station:
        """Real time: the learner in its own process, and the console where there is one."""
        stack.callback(self._hear_last_words)  # once the console has ended, before the journal is closed
        if self.config.console is not None:  # first: a port in use is found out before anything is started
            self.console = stack.enter_context(LiveConsole(self.folder, self.config, self.world, self.tally))
        self.learner = stack.enter_context(LearnerLink(self.folder, self.config, self.clock, self.policy))
        self.world.task.arm.observe()  # the first pictures take a second: not within a control period
        self.pace = Rate(self.clock, self.world.spec.control_period)
        station = replace(station, policy=self.learner.policy, pace=self.pace, may_move=self.learner.may_move)
        if self.console is not None:
            station = self.console.attend(station)
            stack.enter_context(self.console.feed(self.learner, self.pace))
            self.progress.note(self.console.invitation)
        stack.enter_context(urgent())
        return station

    def _hear_last_words(self) -> None:
        if self.session is not None:
            hear_last_words(self.session.station)

    # -- running ---------------------------------------------------------------------------------------------------

    def _demonstrate(self, session: Session) -> None:
        config = self.config
        if self.tally.demonstrations >= config.demonstrations:
            return
        before = session.station
        try:
            if self.console is not None and config.demonstrator not in PEOPLE:
                session.station = replace(before, waits_for_hands=True)
                session.demonstrate(config.demonstrations, self.console.hands, config.demonstrator, tries=10_000)
                return
            person = build_person(self.world, known(config.demonstrator, PEOPLE, "demonstrator"))
            station = replace(before, teleop=person, subscribers=(*before.subscribers, person))
            session.station = station if self.console is None else self.console.beside(person, station)
            session.demonstrate(config.demonstrations, session.station.teleop or person, config.demonstrator)
        finally:
            session.station = before

    def _practise(self, session: Session) -> None:
        config = self.config
        if config.algorithm == "cloning":
            assert self.trainer is not None
            self.trainer.prepare()
            self.policy.load(self.trainer.learner.snapshot())
            self._evaluate()
            return
        every = config.evaluation.every
        self._next_evaluation = (self.tally.steps // every + 1) * every if every else math.inf
        self._next_checkpoint = self.tally.steps + config.checkpoint_every
        session.practise(config.steps, self._after_episode)
        if every and self.judge.is_due_at_the_end(self.tally.steps):
            self._evaluate()

    def _after_episode(self) -> bool:
        self.metrics(
            self.tally.steps,
            {
                "human_share": self.tally.recent_human_share,
                "success_with_help": self.tally.recent_success,
                "episode_reward": self.tally.history[-1].reward if self.tally.history else 0.0,
            },
            group="practice",
        )
        self._watch_learner()
        if self.tally.steps >= self._next_checkpoint:
            self._next_checkpoint = self.tally.steps + self.config.checkpoint_every
            self._save()
        if self.tally.steps < self._next_evaluation:
            return False
        self._next_evaluation += self.config.evaluation.every
        self._evaluate()
        return self.judge.satisfied(self.tally.recent_human_share)

    def _watch_learner(self) -> None:
        step = self.tally.steps
        if self.value_check is not None and self.value_check.last is not None:
            q, returned = self.value_check.last
            gap = self.value_check.over_estimation
            self.metrics(step, {"q": q, "return": returned, "over_estimation": gap}, group="value")
            self.progress.alarm(self.value_check.alarm, gap)
            if self.value_check.last_values is not None:
                append_values(self.folder.values, self.value_check.last_values, self._updates())
                self.value_check.last_values = None  # the next episode may be one that is not compared
        if self.learner is not None:
            self.learner.check()
            news = self.learner.news
            if news is not None:
                self.progress.learner_says(news.state, news.updates)
                self.progress.alarm(news.alarm, news.over_estimation)
                link = {"latency_ms": news.latency_ms, "latency_p99_ms": news.latency_p99_ms}
                link |= {"policy_age_updates": float(news.updates - self.policy.version)}
                link |= {"period_overruns": float(self.pace.overruns if self.pace else 0)}
                self.metrics(step, link, group="link")
        elif self.trainer is not None:
            self.progress.learner_says(self.trainer.status(), self.trainer.updates)

    def _newest(self) -> WeightSnapshot:
        if self.trainer is not None:
            return self.trainer.learner.averaged()
        assert self.learner is not None
        return self.learner.newest()

    def _evaluate(self) -> None:
        with self.stopwatch.outside_training():
            rate = self.judge.measure(self._newest(), self.tally.steps, self.tally.human_seconds)
        self.metrics(self.tally.steps, {"success_rate": rate}, group="evaluation")
        self.progress.evaluated(rate)

    def _save(self) -> None:
        self.stopwatch.save()
        if self.trainer is not None:
            self.trainer.save(self.folder.latest)
            write_snapshot(self.folder.policy, self.trainer.learner.averaged(), {"task": self.config.task})

    def _updates(self) -> int:
        if self.trainer is not None:
            return self.trainer.updates
        return self.learner.news.updates if self.learner and self.learner.news else 0

    def _over_estimation(self) -> float | None:
        check = self.value_check or (self.learner.news if self.learner else None)
        return None if check is None else round(check.over_estimation, 4)

    # -- ending ----------------------------------------------------------------------------------------------------

    def _finish(self, interrupted: bool) -> dict[str, Any]:
        chosen = self.folder.best if self.folder.best.exists() else self.folder.policy
        snapshot = read_snapshot(chosen)[0] if chosen.exists() else None
        final = None
        if snapshot is not None and not interrupted:
            self.judge.policy.load(snapshot)
            final = final_evaluation(self.config, self.judge.policy)
        summary = summarise(self.config, self.tally, self.judge.rows, snapshot, final) | {
            "interrupted": interrupted,
            "recovered_steps": self.recovered_steps,
            "updates": self._updates(),
            "over_estimation": self._over_estimation(),
            **self.stopwatch.times(),
        }
        if self.console is not None and self.pace is not None:
            summary["console"] = self.console.measured(self.pace)
        self.stopwatch.save()
        shown = self.judge.policy if final else None
        write_report(self.folder, self.config, summary, self.tally, self.judge.rows, shown)
        self.progress.done(self.folder.path, summary)
        return summary
