"""Modes synchronous and asynchronous: one robot in this process, and the learner here or in a process of its own."""

from __future__ import annotations

import logging
import math
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

from robot_rlhf.apps.bookkeeping import Bookkeeping
from robot_rlhf.apps.build import build_policy, build_station, open_place, software_versions
from robot_rlhf.apps.config import PEOPLE, TrainConfig, known
from robot_rlhf.apps.ghost import Ghost
from robot_rlhf.apps.learner_link import RobotLink
from robot_rlhf.apps.live import LiveConsole
from robot_rlhf.apps.priority import urgent
from robot_rlhf.apps.run_folder import RunFolder, append_values
from robot_rlhf.datatypes import EpisodeKind, WeightSnapshot
from robot_rlhf.disk import saving_last
from robot_rlhf.journal.reader import replay_into
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.learner.checkpoint import read_snapshot, write_snapshot
from robot_rlhf.place import Place
from robot_rlhf.ports import Subscriber
from robot_rlhf.run.rewarded import success_watch
from robot_rlhf.run.trainer import build_learning
from robot_rlhf.runtime.fan_out import FanOut
from robot_rlhf.runtime.inline_learner import UNLIMITED, InlineLearner
from robot_rlhf.runtime.interrupts import EndedAtOnceError, interrupts_held
from robot_rlhf.runtime.loop import hear_last_words
from robot_rlhf.runtime.practice_weights import Weights
from robot_rlhf.runtime.preference_learning import SimulatedTeacher
from robot_rlhf.runtime.session import Session
from robot_rlhf.runtime.standstill import STOP_RULE
from robot_rlhf.runtime.station import EndRequestedError, Station, StopRequestedError
from robot_rlhf.runtime.trainer import Trainer
from robot_rlhf.runtime.value_check import ValueCheck
from robot_rlhf.timing import Clock, FakeClock, MonotonicClock, Rate

log = logging.getLogger(__name__)

LAST_UPDATES_WITHIN = 60.0
"""Seconds that the learner has for what it still owes, when a person ends the session."""


class SingleTraining:
    """One run of a robot in this process, from its first demonstration to its summary."""

    def __init__(self, run_folder: RunFolder, config: TrainConfig, *, resumed: bool, quiet: bool) -> None:
        self.folder = run_folder
        self.config = config
        self.resumed = resumed
        self.synchronous = config.mode == "synchronous"
        self.clock: Clock = FakeClock() if self.synchronous else MonotonicClock()
        self.world: Place = open_place(config, self.clock)
        self.policy = build_policy(config, self.world.spec, practises=True)
        self.book = Bookkeeping(run_folder, config, self.world.spec, resumed=resumed, quiet=quiet)
        self.tally = self.book.tally
        self.trainer: Trainer | None = None
        self.value_check: ValueCheck | None = None
        self.teacher: SimulatedTeacher | None = None
        self.inline: InlineLearner | None = None
        self.learner: RobotLink | None = None
        self.console: LiveConsole | None = None
        self.session: Session | None = None
        self.pace: Rate | None = None
        self.recovered_steps = 0

    def run(self) -> dict[str, Any]:
        """Returns what summary.json holds."""
        with closing(self.book.metrics):
            return self._run()

    def _run(self) -> dict[str, Any]:
        interrupted = False
        try:
            with ExitStack() as stack:
                stack.callback(self.world.guard.stop)
                self.session = session = self._open(stack)
                self.folder.begun = True
                self.book.stopwatch.begin_training()
                try:
                    with self.book.progress:
                        self._teach(session)
                except EndedAtOnceError:
                    raise
                except (KeyboardInterrupt, StopRequestedError) as reason:
                    interrupted = True
                    log.warning("stopping (%s): everything is saved", type(reason).__name__)
                finally:
                    with interrupts_held(), saving_last():
                        self._save()
                self.book.stopwatch.end_training()
        except EndedAtOnceError:
            raise
        except KeyboardInterrupt:  # while what was open was being closed
            interrupted = True
            if self.session is None:
                raise
        return self._finish(interrupted)

    def _teach(self, session: Session) -> None:
        """Demonstrations, practice, and the updates that it has earned."""
        try:
            self._demonstrate(session)
            self._practise(session)
        except EndRequestedError:
            log.info("the operator ended the session")
            self._let_learner_finish(at_most=LAST_UPDATES_WITHIN)

    # -- setting up ------------------------------------------------------------------------------------------------

    def _open(self, stack: ExitStack) -> Session:
        config = self.config
        versions = software_versions()
        person = self.world.person(config.supervisor) if config.supervisor else None
        listeners: list[Subscriber] = [*([person] if person else []), self.tally, self.book.progress]
        listeners.append(self.book.keeper.monitor)
        if self.synchronous:
            learning = build_learning(config, self.world.spec, self.book.metrics)
            self.trainer, self.value_check = learning.trainer, learning.value_check
            listeners.append(self.trainer)
            if config.teacher.labeler == "oracle" and learning.lessons is not None:
                self.teacher = SimulatedTeacher(config.teacher, learning.lessons, self.clock.now, seed=config.seed)
                listeners.append(self.teacher)
        if self.resumed:
            self._recover(listeners)
        if self.trainer is not None:
            self.inline = InlineLearner(self.trainer, self.policy, publish_every=config.asynchronous.publish_every)
            listeners.append(self.inline)
            if self.resumed and self.policy.version < 0 and (self.folder.latest.exists() or self.trainer.steps):
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
            success_watch=success_watch(config, self.world.spec, stack),
        )
        if not self.synchronous:
            station = self._go_live(stack, station)
        return Session(station, self.tally, config.seed, versions)

    def _recover(self, listeners: list[Subscriber]) -> None:
        """Take up the journal, then the learner's checkpoint."""
        counts = replay_into(self.folder.journal, FanOut(listeners), pictures=self.config.learner_looks)
        self.recovered_steps = counts.steps
        self.book.keeper.recovered()
        if isinstance(self.clock, FakeClock):
            self.clock.advance(max(0.0, counts.last_stamp - self.clock.now()))
        self.book.progress.note(
            f"resumed: {counts.steps} steps in {counts.episodes} episodes recovered from the journal"
        )
        if self.trainer is None:
            return
        if self.folder.latest.exists():
            self.trainer.load(self.folder.latest)
        elif self.trainer.steps:
            self.book.progress.note("no checkpoint yet: the learner learns anew from what was recorded")
            self.trainer.work(UNLIMITED)

    def _go_live(self, stack: ExitStack, station: Station) -> Station:
        """Real time: the learner in its own process, and the console where there is one."""
        stack.callback(self._hear_last_words)  # once the console has ended, before the journal is closed
        if self.config.console is not None:  # first: a port in use is found out before anything is started
            self.console = stack.enter_context(self._console())
        self.learner = stack.enter_context(RobotLink(self.folder, self.config, self.clock, self.policy))
        self.world.guard.observe()  # the first pictures take a second: not within a control period
        self.pace = Rate(self.clock, self.world.spec.control_period)
        station = replace(station, policy=self.learner.policy, pace=self.pace, may_move=self.learner.may_move)
        if self.console is not None:
            station = self.console.attend(station)
            stack.enter_context(self.console.feed(self.learner, self.pace, self.book.keeper))
            self.book.progress.note(self.console.invitation)
        stack.enter_context(urgent())
        return station

    def _console(self) -> LiveConsole:
        world = self.world
        return LiveConsole(
            self.folder,
            self.config,
            self.tally,
            world.spec,
            world.clock,
            on_stop=lambda reason: world.guard.fault(STOP_RULE, reason),
            place=world,
            ghost=self._ghost(),
        )

    def _ghost(self) -> Ghost | None:
        world = self.world.world
        if self.config.demonstrator in PEOPLE or world is None or not self.world.can_be_shown:
            return None
        return Ghost(self.config, world)

    def _hear_last_words(self) -> None:
        if self.session is not None:
            hear_last_words(self.session.station)

    # -- running ---------------------------------------------------------------------------------------------------

    def _demonstrate(self, session: Session) -> None:
        """Have as many demonstrations given as are wanted; one that was taken back later is asked for again."""
        config = self.config
        if self.tally.demonstrations >= config.demonstrations:
            return
        before = session.station
        try:
            if self.console is not None and config.demonstrator not in PEOPLE:
                session.station = replace(before, waits_for_hands=True)
                session.demonstrate(config.demonstrations, self.console.hands, config.demonstrator, tries=10_000)
                return
            person = self.world.person(known(config.demonstrator, PEOPLE, "demonstrator"))
            station = replace(before, teleop=person, subscribers=(*before.subscribers, person))
            session.station = station if self.console is None else self.console.beside(person, station)
            session.demonstrate(config.demonstrations, session.station.teleop or person, config.demonstrator)
        finally:
            session.station = before

    def _practise(self, session: Session) -> None:
        book = self.book
        if self.config.learner.practice == "none":
            assert self.trainer is not None
            self.trainer.prepare()
            self.policy.load(self.trainer.learner.snapshot())
            self._evaluate()
            return
        book.begin_practice()
        session.practise(self.config.steps, self._after_episode, before_episode=lambda: self._make_ready(session))
        self._let_learner_finish()
        if book.last_evaluation_due:
            self._evaluate()

    def _make_ready(self, session: Session) -> None:
        """For the next practice episode."""
        self._demonstrate(session)
        if self.inline is not None:
            self.inline.begin()
        keeper = self.book.keeper
        keeper.begin(self._learned, self._weights)
        which = keeper.choose(session.next_number(EpisodeKind.PRACTICE))
        if which is None:
            return
        session.weights = which.value
        if self.inline is not None:
            self.inline.practise_with(which, self._weights(which))
        elif self.learner is not None:
            self.learner.practise_with(which)

    def _after_episode(self) -> bool:
        book = self.book
        book.note_practice()
        book.keeper.after_episode(self.tally.steps, self._weights)
        if self.teacher is not None and self.session is not None:
            for answer in self.teacher.round():
                self.session.station.audience.on_event(answer)
        self._watch_learner()
        if book.take_checkpoint_due():
            self._save()
        if not book.take_evaluation_due():
            return False
        self._evaluate()
        return book.satisfied

    def _let_learner_finish(self, at_most: float = math.inf) -> None:
        if self.trainer is not None:  # resumed after its last step, a run owes updates and has no step to do them after
            self.trainer.work(UNLIMITED)
        if self.learner is not None:
            self.world.guard.stop()
            late = self.learner.let_finish(self.tally, self._show_learner, at_most=at_most)
            if late:
                self.book.warn(late)

    def _show_learner(self) -> None:
        news = None if self.learner is None else self.learner.news
        if news is not None:
            self.book.progress.learner_says(news.state, news.updates)

    def _watch_learner(self) -> None:
        step = self.tally.steps
        if self.value_check is not None and self.value_check.last is not None:
            q, returned = self.value_check.last
            gap = self.value_check.over_estimation
            self.book.metrics(step, {"q": q, "return": returned, "over_estimation": gap}, group="value")
            self.book.progress.alarm(self.value_check.alarm, gap)
            if self.value_check.last_values is not None:
                append_values(self.folder.values, self.value_check.last_values, self._updates())
                self.value_check.last_values = None  # the next episode may be one that is not compared
        if self.learner is not None:
            self.learner.check()
            news = self.learner.news
            if news is not None:
                self.book.progress.learner_says(news.state, news.updates)
                self.book.progress.alarm(news.alarm, news.over_estimation)
                link = {"latency_ms": news.latency_ms, "latency_p99_ms": news.latency_p99_ms}
                link |= {"policy_age_updates": float(news.updates - self.policy.version)}
                link |= {"period_overruns": float(self.pace.overruns if self.pace else 0)}
                self.book.metrics(step, link, group="link")
        elif self.trainer is not None:
            self.book.progress.learner_says(self.trainer.status(), self.trainer.updates)

    def _weights(self, which: Weights) -> WeightSnapshot:
        """The learner's, as they are now, or the kept ones."""
        if self.trainer is None:
            assert self.learner is not None
            return self.learner.weights(which)
        if which is Weights.KEPT:
            return read_snapshot(self.folder.best)[0]
        learner = self.trainer.learner
        return learner.snapshot() if which is Weights.NEWEST else learner.averaged()

    @property
    def _learned(self) -> bool:
        if self.trainer is not None:
            return self.trainer.learned
        return self.learner is not None and self.learner.learned

    def _evaluate(self) -> None:
        with self.book.stopwatch.outside_training():
            self.book.evaluate(self._weights(Weights.AVERAGED), self._weights(Weights.NEWEST))

    def _save(self) -> None:
        self.book.stopwatch.save()
        if self.trainer is not None:
            self.trainer.save(self.folder.latest)
            if self.trainer.learned:
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
        facts: dict[str, Any] = {
            "recovered_steps": self.recovered_steps,
            "updates": self._updates(),
            "over_estimation": self._over_estimation(),
        }
        if self.console is not None and self.pace is not None:
            facts["console"] = self.console.measured(self.pace)
        return self.book.finish(facts, interrupted=interrupted)
