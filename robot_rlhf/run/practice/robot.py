"""Practice of one robot in this process: its people demonstrate and correct, and whoever learns is linked to it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from robot_rlhf.datatypes import EpisodeKind, WeightSnapshot
from robot_rlhf.errors import CheckpointError, NoWeightsError
from robot_rlhf.feedback.only_buttons import OnlyButtons
from robot_rlhf.journal.files import journal_files
from robot_rlhf.place import Place
from robot_rlhf.ports import Subscriber, Teleop
from robot_rlhf.run.bookkeeping import Bookkeeping
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.links.elsewhere import RobotLink
from robot_rlhf.run.links.link import Link
from robot_rlhf.run.live.ghost import Ghost
from robot_rlhf.run.live.live_console import LiveConsole, spread
from robot_rlhf.run.practice.actor import Actor, alone
from robot_rlhf.run.prior import set_rules_of_prior
from robot_rlhf.run.priority import urgent
from robot_rlhf.run.settings import PEOPLE, TrainConfig, known
from robot_rlhf.runtime.evaluation import Evaluation, evaluate
from robot_rlhf.runtime.loop import hear_last_words
from robot_rlhf.runtime.practice_weights import Weights
from robot_rlhf.runtime.session import Session
from robot_rlhf.runtime.station import EndRequestedError, Station, StopRequestedError
from robot_rlhf.timing import Rate

LAST_UPDATES_WITHIN = 60.0
"""Seconds that the learner has for what it still owes, when a person ends the session."""
PEOPLES_TRIES = 10_000
"""Episodes that real people have for each demonstration."""
MakeLink = Callable[[Place, Bookkeeping], Link]


class RobotPractice:
    """Implements Practice (run/practice/practice.py)."""

    def __init__(
        self,
        folder: RunFolder,
        config: TrainConfig,
        place: Place,
        book: Bookkeeping,
        make_link: MakeLink,
        *,
        resumed: bool,
    ) -> None:
        """
        Args:
            place: open; it is closed with the run.
            make_link: who learns, where, for this place.

        Raises:
            ConfigError: demonstrations are wanted of a simulated person who does not know the task.
        """
        self.folder = folder
        self.config = config
        self.place = place
        self.book = book
        self.tally = book.tally
        self.resumed = resumed
        self.pace = None if config.mode == "synchronous" else Rate(place.clock, place.spec.control_period)
        self.console: LiveConsole | None = None
        self.measured: tuple[Evaluation, WeightSnapshot] | None = None
        self.not_measured = ""
        self._check_demonstrator()
        self.actor = Actor(config, place, book.tally)
        self.link = make_link(place, book)
        book.learns = self.link.learns
        book.keeper.active &= self.link.learns
        self._session: Session | None = None
        self._recovered_steps = 0

    def _check_demonstrator(self) -> None:
        real = self.config.console is not None and self.config.demonstrator not in PEOPLE
        if self.config.demonstrations and self.place.hands is None and not real:
            self.place.person(known(self.config.demonstrator, PEOPLE, "demonstrator"))

    @property
    def session(self) -> Session:
        """Once it is open."""
        assert self._session is not None
        return self._session

    # -- setting up ------------------------------------------------------------------------------------------------

    def open(self, stack: ExitStack) -> None:
        """As Practice; the place is closed with the stack."""
        stack.callback(self.place.close)
        listeners = [*self.actor.listeners, self.tally, self.book.progress, self.book.keeper.monitor, *self.link.hears]
        if self.resumed and journal_files(self.folder.journal):  # what was learned offline has none yet
            self._recover(listeners)
        offset = 0 if self.pace is None else time.time_ns() - time.monotonic_ns()
        listeners += self.link.follows
        station = self.actor.open(stack, self.folder.journal, listeners, epoch_offset_ns=offset)
        if not self.resumed:
            set_rules_of_prior(self.config.prior, station)
        if self.pace is not None:
            stack.callback(self._hear_last_words)  # once the console has ended, before the journal is closed
        if self.config.console is not None:  # first: a port in use is found out before anything is started
            self.console = stack.enter_context(self._console())
        stack.enter_context(self.link)
        station = replace(station, policy=self.link.policy, may_move=self._may_move)
        if self.pace is not None:
            station = self._go_live(stack, station, self.pace)
        self._session = self.actor.session(station)

    def _recover(self, listeners: list[Subscriber]) -> None:
        """Take up the journal, then what was learned."""
        looks = self.config.learner_looks and bool(self.link.hears)
        counts = self.actor.recover(self.folder.journal, listeners, pictures=looks)
        self._recovered_steps = counts.steps
        self.book.keeper.recovered()
        self.book.note(f"resumed: {counts.steps} steps in {counts.episodes} episodes recovered from the journal")
        self.link.recover(self.book.note)

    def _go_live(self, stack: ExitStack, station: Station, pace: Rate) -> Station:
        """In real time: the control period is kept, and the console attends where there is one."""
        if self.place.simulated:
            self.place.guard.observe()  # the first pictures take a second: not within a control period
        station = replace(station, pace=pace)
        if self.console is not None:
            station = self.console.attend(station) if self.place.hands is None else self.console.share(station)
            learner = self.link if isinstance(self.link, RobotLink) else None
            stack.enter_context(self.console.feed(learner, pace, self.book.keeper))
            self.book.note(self.console.invitation)
        stack.enter_context(urgent())
        return station

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
        if self._session is not None:
            hear_last_words(self._session.station, coming=self._session.coming(self.config.demonstrations))

    def _may_move(self) -> bool:
        return self._may_be_driven() and self.link.may_move()

    def _may_be_driven(self) -> bool:
        """Whether people may drive: they are there, where they must be."""
        return self.place.may_be_driven(self.console is not None and self.console.link.present)

    # -- running ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """As Practice."""
        try:
            self._demonstrate()
            self._practise()
        except EndRequestedError:
            if self.place.ended():
                raise StopRequestedError("told to end") from None
            self.book.note("the operator ended the session")
            if self.console is not None:
                self.console.say_ending()
            self._let_learner_finish(at_most=LAST_UPDATES_WITHIN)

    def _demonstrate(self) -> None:
        """Have as many demonstrations given as are wanted; one that was taken back later is asked for again."""
        config, session = self.config, self.session
        if self.tally.demonstrations >= config.demonstrations:
            return
        if self.place.hands is not None:
            hands, name = session.station.teleop or self.place.hands, config.operator
            self._have_shown(hands, name, waits=not self.place.releases_faults)
        elif self.console is not None and config.demonstrator not in PEOPLE:
            self._have_shown(self.console.hands, config.demonstrator, waits=True)
        else:
            beside = alone if self.console is None else self.console.beside
            self.actor.demonstrate(session, config.demonstrations, beside=beside, may_move=self._may_be_driven)

    def _have_shown(self, hands: Teleop, name: str, *, waits: bool) -> None:
        """By real people. Args: waits: an episode begins when their hands do."""
        session, before = self.session, self.session.station
        session.station = replace(before, waits_for_hands=waits)
        try:
            session.demonstrate(
                self.config.demonstrations, hands, name, tries=PEOPLES_TRIES, may_move=self._may_be_driven
            )
        finally:
            session.station = before

    def _practise(self) -> None:
        book = self.book
        if self.config.learner.practice == "none" and self.place.simulated:
            self.link.make_ready()
            self._evaluate()
            return
        book.begin_practice()
        self.session.practise(self.config.steps, self._after_episode, before_episode=self._make_ready)
        self._let_learner_finish()
        if book.last_evaluation_due:
            self._evaluate()

    def _make_ready(self) -> None:
        """For the next practice episode."""
        self._demonstrate()
        self.link.make_ready()
        keeper = self.book.keeper
        keeper.begin(self.link.learned, self.link.weights)
        which = keeper.choose(self.session.next_number(EpisodeKind.PRACTICE))
        if which is not None:
            self.session.weights = which.value
            self.link.practise_with(which)

    def _after_episode(self) -> bool:
        book = self.book
        book.note_practice()
        book.keeper.after_episode(self.tally.steps, self.link.weights)
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

    def save(self) -> None:
        """As Practice."""
        self.link.save()

    def _evaluate(self) -> None:
        with self.book.stopwatch.outside_training():
            self.book.evaluate(self.link.weights(Weights.AVERAGED), self.link.weights(Weights.NEWEST))

    def measure_here(self) -> None:
        """As Practice; the operator's buttons still count."""
        episodes, policy = self.config.evaluation.final_episodes, self.book.judge.policy
        if self.place.simulated or not episodes:
            return
        try:
            snapshot = self.link.weights(Weights.KEPT if self.folder.best.exists() else Weights.AVERAGED)
            policy.load(snapshot)
        except (CheckpointError, NoWeightsError) as error:
            self.not_measured = f"the learner has given no weights ({error})"
            self.book.note(f"not measured: {self.not_measured}")
            return
        station = self.session.station
        rules = self.actor.listening.standing.rules.standing
        if rules:
            self.book.note(f"measured with rules standing: {'; '.join(rule.words for rule in rules)}")
        try:
            result = evaluate(
                replace(station, policy=policy, may_move=self._may_be_driven),
                episodes=episodes,
                seed=self.config.seed,
                subscribers=self.place.subscribers,
                teleop=OnlyButtons(station.teleop),
                judged_as_practice=True,
            )
        except EndRequestedError:
            self.not_measured = "the final evaluation was ended early; practice had ended before"
            if self.place.ended():
                raise StopRequestedError("told to end") from None
        else:
            self.measured = result, snapshot

    def facts(self) -> dict[str, Any]:
        """As Practice."""
        over = self.link.over_estimation
        facts: dict[str, Any] = {
            "recovered_steps": self._recovered_steps,
            "updates": self.link.updates,
            "over_estimation": None if over is None else round(over, 4),
        }
        if self.pace is not None:
            facts |= {"period_overruns": self.pace.overruns, **spread("period", list(self.pace.recent))}
            if self.console is not None:
                facts["console"] = self.console.measured(self.pace)
        return facts
