"""The ring: one robot in this process, its people, and whoever learns, from the first demonstration to the summary."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from typing import Any

from robot_rlhf.datatypes import EpisodeKind, WeightSnapshot
from robot_rlhf.disk import saving_last
from robot_rlhf.errors import CheckpointError, NoWeightsError
from robot_rlhf.feedback.only_buttons import OnlyButtons
from robot_rlhf.journal.files import journal_files
from robot_rlhf.journal.reader import replay_into
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.place import Place
from robot_rlhf.ports import Subscriber
from robot_rlhf.run.bookkeeping import Bookkeeping
from robot_rlhf.run.build import build_policy, build_station, open_place, software_versions
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.links.elsewhere import RobotLink
from robot_rlhf.run.links.inline import InlineLink
from robot_rlhf.run.links.link import Link
from robot_rlhf.run.live.ghost import Ghost
from robot_rlhf.run.live.live_console import LiveConsole, spread
from robot_rlhf.run.priority import urgent
from robot_rlhf.run.rewarded import success_watch
from robot_rlhf.run.settings import PEOPLE, TrainConfig, known
from robot_rlhf.runtime.evaluation import Evaluation, evaluate
from robot_rlhf.runtime.fan_out import FanOut
from robot_rlhf.runtime.interrupts import EndedAtOnceError, interrupts_held
from robot_rlhf.runtime.loop import hear_last_words
from robot_rlhf.runtime.practice_weights import Weights
from robot_rlhf.runtime.session import TRIES_PER_DEMONSTRATION, Session
from robot_rlhf.runtime.station import EndRequestedError, Station, StopRequestedError
from robot_rlhf.timing import FakeClock, MonotonicClock, Rate

log = logging.getLogger(__name__)

LAST_UPDATES_WITHIN = 60.0
"""Seconds that the learner has for what it still owes, when a person ends the session."""
PEOPLES_TRIES = 10_000
"""Episodes that real people have for each demonstration."""
MakeLink = Callable[[Place, Bookkeeping], Link]


class Ring:
    """One run of a robot in this process."""

    def __init__(
        self,
        folder: RunFolder,
        config: TrainConfig,
        place: Place,
        make_link: MakeLink,
        *,
        resumed: bool,
        quiet: bool,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """
        Args:
            place: open; it is closed with the run.
            make_link: who learns, where, for this place.
            say: told the sentences of the run in the place of the terminal.
        """
        self.folder = folder
        self.config = config
        self.place = place
        self.resumed = resumed
        self.book = Bookkeeping(folder, config, place.spec, resumed=resumed, quiet=quiet, say=say)
        self.tally = self.book.tally
        self._check_demonstrator()
        self.link = make_link(place, self.book)
        self.book.learns = self.link.learns
        self.book.keeper.active &= self.link.learns
        self.pace = None if config.mode == "synchronous" else Rate(place.clock, place.spec.control_period)
        self.console: LiveConsole | None = None
        self.session: Session | None = None
        self.measured: tuple[Evaluation, WeightSnapshot] | None = None
        """On the robot itself, where there is no twin."""
        self._not_measured = ""
        self._recovered_steps = 0

    def run(self) -> dict[str, Any]:
        """Returns what summary.json holds."""
        with closing(self.book.metrics):
            return self._run()

    def _run(self) -> dict[str, Any]:
        interrupted = False
        try:
            with ExitStack() as stack:
                stack.callback(self.place.close)
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
                    log.warning("stopping (%s): everything is saved", str(reason) or type(reason).__name__)
                finally:
                    with interrupts_held(), saving_last():
                        self.book.stopwatch.save()
                        self.link.save()
                self.book.stopwatch.end_training()
                if not interrupted:
                    self._measure_here(session)
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
            if self.place.ended():
                raise StopRequestedError("told to end") from None
            self.book.note("the operator ended the session")
            self._let_learner_finish(at_most=LAST_UPDATES_WITHIN)

    def _check_demonstrator(self) -> None:
        """Raises ConfigError where demonstrations are wanted of a simulated person who does not know the task."""
        real = self.config.console is not None and self.config.demonstrator not in PEOPLE
        if self.config.demonstrations and self.place.hands is None and not real:
            self.place.person(known(self.config.demonstrator, PEOPLE, "demonstrator"))

    # -- setting up ------------------------------------------------------------------------------------------------

    def _open(self, stack: ExitStack) -> Session:
        config, place, versions = self.config, self.place, software_versions()
        person = place.person(config.supervisor) if config.supervisor and place.hands is None else None
        listeners: list[Subscriber] = [*([person] if person else []), *place.subscribers]
        listeners += [self.tally, self.book.progress, self.book.keeper.monitor, *self.link.hears]
        if self.resumed and journal_files(self.folder.journal):  # what was learned offline has none yet
            self._recover(listeners)
        listeners += self.link.follows
        offset = 0 if self.pace is None else time.time_ns() - time.monotonic_ns()
        journal = stack.enter_context(
            JournalWriter(self.folder.journal, place.spec, metadata=versions, epoch_offset_ns=offset)
        )
        station = replace(
            build_station(config, place),
            teleop=person or place.hands,
            operator=config.operator if config.person is None else "custom",
            subscribers=(journal, *listeners),
            success_watch=success_watch(config, place.spec, stack),
        )
        if self.pace is not None:
            stack.callback(self._hear_last_words)  # once the console has ended, before the journal is closed
        if config.console is not None:  # first: a port in use is found out before anything is started
            self.console = stack.enter_context(self._console())
        stack.enter_context(self.link)
        station = replace(station, policy=self.link.policy, may_move=self._may_move)
        if self.pace is not None:
            station = self._go_live(stack, station, self.pace)
        return Session(station, self.tally, config.seed, versions)

    def _recover(self, listeners: list[Subscriber]) -> None:
        """Take up the journal, then what was learned."""
        heard = FanOut([each for each in listeners if each not in self.place.subscribers])
        counts = replay_into(self.folder.journal, heard, pictures=self.config.learner_looks and bool(self.link.hears))
        self._recovered_steps = counts.steps
        self.book.keeper.recovered()
        clock = self.place.clock
        if isinstance(clock, FakeClock):
            clock.advance(max(0.0, counts.last_stamp - clock.now()))
        self.book.note(f"resumed: {counts.steps} steps in {counts.episodes} episodes recovered from the journal")
        self.link.recover(self.book.note)

    def _go_live(self, stack: ExitStack, station: Station, pace: Rate) -> Station:
        """In real time: the control period is kept, and the console attends where there is one."""
        if self.place.simulated:
            self.place.guard.observe()  # the first pictures take a second: not within a control period
        station = replace(station, pace=pace)
        if self.console is not None:
            station = self.console.attend(station) if self.place.hands is None else self.console.share(station)
            stack.enter_context(self.console.feed(self._learner, pace, self.book.keeper))
            self.book.note(self.console.invitation)
        stack.enter_context(urgent())
        return station

    @property
    def _learner(self) -> RobotLink | None:
        """In a process of its own."""
        return self.link if isinstance(self.link, RobotLink) else None

    def _console(self) -> LiveConsole:
        place, world = self.place, self.place.world
        ghost = None
        if self.config.demonstrator not in PEOPLE and world is not None and place.can_be_shown:
            ghost = Ghost(self.config, world)
        return LiveConsole(
            self.folder,
            self.config,
            self.tally,
            place.spec,
            place.clock,
            on_stop=place.stop,
            on_release=place.release,
            place=place,
            ghost=ghost,
        )

    def _hear_last_words(self) -> None:
        if self.session is not None:
            hear_last_words(self.session.station)

    def _may_move(self) -> bool:
        return self._may_be_driven() and self.link.may_move()

    def _may_be_driven(self) -> bool:
        """Whether people may drive: they are there, where they must be."""
        return self.place.may_be_driven(self.console is not None and self.console.link.present)

    # -- running ---------------------------------------------------------------------------------------------------

    def _demonstrate(self, session: Session) -> None:
        """Have as many demonstrations given as are wanted; one that was taken back later is asked for again."""
        config, before = self.config, session.station
        if self.tally.demonstrations >= config.demonstrations:
            return
        tries, name = PEOPLES_TRIES, config.demonstrator
        try:
            if self.place.hands is not None:
                session.station = replace(before, waits_for_hands=not self.place.releases_faults)
                hands, name = before.teleop or self.place.hands, config.operator
            elif self.console is not None and config.demonstrator not in PEOPLE:
                session.station = replace(before, waits_for_hands=True)
                hands = self.console.hands
            else:
                person, tries = self.place.person(known(name, PEOPLE, "demonstrator")), TRIES_PER_DEMONSTRATION
                station = replace(before, teleop=person, subscribers=(*before.subscribers, person))
                session.station = station if self.console is None else self.console.beside(person, station)
                hands = session.station.teleop or person
            session.demonstrate(config.demonstrations, hands, name, tries=tries, may_move=self._may_be_driven)
        finally:
            session.station = before

    def _practise(self, session: Session) -> None:
        book = self.book
        if self.config.learner.practice == "none" and self.place.simulated:
            self.link.make_ready()
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
        self.link.make_ready()
        keeper = self.book.keeper
        keeper.begin(self.link.learned, self.link.weights)
        which = keeper.choose(session.next_number(EpisodeKind.PRACTICE))
        if which is not None:
            session.weights = which.value
            self.link.practise_with(which)

    def _after_episode(self) -> bool:
        book = self.book
        book.note_practice()
        book.keeper.after_episode(self.tally.steps, self.link.weights)
        assert self.session is not None
        self.link.after_episode(book, self.session.station.audience.on_event)
        if book.take_checkpoint_due():
            book.stopwatch.save()
            self.link.save()
        if not book.take_evaluation_due():
            return False
        self._evaluate()
        return book.satisfied

    def _let_learner_finish(self, at_most: float = math.inf) -> None:
        if self.pace is not None:
            self.place.guard.stop()
        late = self.link.let_finish(self.tally, self._look, at_most=at_most)
        if late:
            self.book.warn(late)

    def _look(self) -> None:
        """While the learner finishes."""
        if self.place.ended():
            raise EndRequestedError("told to end")
        self.link.show(self.book)

    # -- measuring and ending ----------------------------------------------------------------------------------------

    def _evaluate(self) -> None:
        with self.book.stopwatch.outside_training():
            self.book.evaluate(self.link.weights(Weights.AVERAGED), self.link.weights(Weights.NEWEST))

    def _measure_here(self, session: Session) -> None:
        """Unaided episodes on the robot itself, where it has no twin; the operator's buttons still count."""
        episodes, policy = self.config.evaluation.final_episodes, self.book.judge.policy
        if self.place.simulated or not episodes:
            return
        try:
            snapshot = self.link.weights(Weights.KEPT if self.folder.best.exists() else Weights.AVERAGED)
            policy.load(snapshot)
        except (CheckpointError, NoWeightsError) as error:
            self._not_measured = f"the learner has given no weights ({error})"
            self.book.note(f"not measured: {self._not_measured}")
            return
        with suppress(EndRequestedError):
            result = evaluate(
                replace(session.station, policy=policy, may_move=self._may_be_driven),
                episodes=episodes,
                seed=self.config.seed,
                subscribers=self.place.subscribers,
                teleop=OnlyButtons(session.station.teleop),
            )
            self.measured = result, snapshot

    def _finish(self, interrupted: bool) -> dict[str, Any]:
        link, over = self.link, self.link.over_estimation
        facts: dict[str, Any] = {
            "recovered_steps": self._recovered_steps,
            "updates": link.updates,
            "over_estimation": None if over is None else round(over, 4),
        }
        if self.pace is not None:
            facts |= {"period_overruns": self.pace.overruns, **spread("period", list(self.pace.recent))}
            if self.console is not None:
                facts["console"] = self.console.measured(self.pace)
        return self.book.finish(facts, interrupted=interrupted, here=self.measured, not_measured=self._not_measured)


def open_ring(folder: RunFolder, config: TrainConfig, *, resumed: bool, quiet: bool) -> Ring:
    """The ring of a run whose place its settings open: the learner in this process, or in one of its own in real time.

    Raises:
        ConfigError: settings that do not go together.
        RobotError: the robot cannot be reached.
    """
    clock = FakeClock() if config.mode == "synchronous" else MonotonicClock()
    place = open_place(config, clock)

    def make_link(place: Place, book: Bookkeeping) -> Link:
        policy = build_policy(config, place.spec, practises=True)
        if config.mode == "synchronous":
            return InlineLink(folder, config, place, policy, book)
        return RobotLink(folder, config, place.clock, policy)

    with ExitStack() as stack:
        stack.callback(place.close)
        ring = Ring(folder, config, place, make_link, resumed=resumed, quiet=quiet)
        stack.pop_all()  # from now on the ring closes it
    return ring
