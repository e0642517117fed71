"""THE loop: observe, act, arbitrate, guard, send, record."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import numpy as np

from robot_rlhf.datatypes import (
    Action,
    Assignment,
    Button,
    Driver,
    EpisodeEnd,
    EpisodeMeta,
    Event,
    Feedback,
    FeedbackKind,
    HumanInput,
    Observation,
    Outcome,
    Phase,
    Segment,
    Sentence,
    Situation,
    Step,
)
from robot_rlhf.episode import Recall
from robot_rlhf.errors import ConfigError, FaultLatchedError, InvalidValueError
from robot_rlhf.feedback.arbiter import Choice
from robot_rlhf.ports import GoldTask
from robot_rlhf.runtime.directing import TaskDirector, asked_of
from robot_rlhf.runtime.ending import Ending, StepCount
from robot_rlhf.runtime.hearing import SaidAhead, attended, heard, judged, meant_for_none, understood_late
from robot_rlhf.runtime.interrupts import interrupts_held
from robot_rlhf.runtime.path import Path
from robot_rlhf.runtime.shielding import shielded
from robot_rlhf.runtime.standstill import Standstill, press_stop, stop_pressed
from robot_rlhf.runtime.station import EndRequestedError, Station, StopRequestedError

JUDGED = frozenset({Outcome.SUCCESS, Outcome.FAILURE, Outcome.TIME_LIMIT})
"""Outcomes on which the person is asked for a last judgement."""

ABOUT_AN_EPISODE = frozenset({Button.SUCCESS, Button.FAILURE, Button.DISCARD, Button.RESET})
"""Buttons that mean the episode in which they were pressed, and no later one."""

PAUSING = frozenset({Button.PAUSE, Button.REWIND})
NOBODY = HumanInput()


def run_episode(
    station: Station, meta: EpisodeMeta, rng: np.random.Generator, reset_rng: np.random.Generator
) -> EpisodeEnd:
    """Run one episode of the station's task and tell every subscriber.

    A paused episode is told in parts: the first ends with Outcome.PAUSED, and what follows begins as an episode of
    its own that `continues` it. So the steps of each part follow one another without a gap.

    Args:
        rng: For the policy's exploration.
        reset_rng: For the start of the episode.

    Returns:
        The end of the last part.

    Raises:
        StopRequestedError: the person pressed stop, and nobody could release that; the episode has been closed and
            the robot stopped before.
        EndRequestedError: the person ended the session.
        FaultLatchedError: the episode could not begin.
    """
    episode = _RunningEpisode(station, meta)
    with ExitStack() as interrupted:
        interrupted.callback(episode.close, Outcome.STOPPED, "interrupted")
        interrupted.callback(station.guard.stop)  # comes first
        try:
            end = episode.run(rng, reset_rng)
        except EndRequestedError:
            station.guard.stop()
            interrupted.pop_all()
            raise
        interrupted.pop_all()
    if Button.END in episode.asked_to_leave:
        station.guard.stop()
        raise EndRequestedError(end.detail)
    if Button.STOP in episode.asked_to_leave and not station.attended:
        station.guard.stop()
        raise StopRequestedError(end.detail)
    return end


def hear_last_words(station: Station, *, coming: str = "") -> None:
    """Tell the subscribers what the person said and judged after the last episode; buttons have nothing to press.

    Args:
        coming: the episode that would come next: where none was recorded, or it was to do something, it is what was
            said about.
    """
    human = station.read()
    if human is None:
        return
    author, now = station.who() or station.operator, station.clock.now()
    meant_for_none(station, human.sentences, coming)
    said = [(each, station.recent.correction(each, author, now, coming=coming)) for each in human.sentences]
    for feedback in human.feedback:
        for event in judged(station, feedback):
            station.audience.on_event(event)
    for sentence, correction in said:  # each is told before the next is considered: one may take another back
        for event in heard(station, sentence, correction) if correction else ():
            station.audience.on_event(event)


class _RunningEpisode:
    """The state of one episode while it runs."""

    def __init__(self, station: Station, meta: EpisodeMeta) -> None:
        self.station = station
        self.meta = meta
        self.asked_to_leave: frozenset[Button] = frozenset()
        self._whole = meta
        self._parts = 1
        self._count = StepCount()
        self._recall = Recall()
        self._started = False
        self._takeover_at: int | None = None
        self._driver: Driver | None = None
        self._spoken = ""
        self._director = station.director or TaskDirector(station.task)
        self._assignment: Assignment | None = None
        self._gold = station.task.gold_reward if isinstance(station.task, GoldTask) else None
        if station.reward.gold and self._gold is None:
            raise ConfigError(f"reward.gold: {station.task.name} has no true reward; only a simulated task knows it")
        self._ending = Ending(station, meta.kind)
        self._outcome_so_far: tuple[Outcome | None, str] = (None, "")
        self._untold: list[Event] = []
        self._afterwards: list[Event] = []
        self._ahead = SaidAhead(station, meta)
        self._asked = NOBODY
        self._path = Path(station.world) if station.attended else None
        self._standstill = Standstill(station, self._show_still, self._hear)

    # -- one episode -------------------------------------------------------------------------------------------------

    def run(self, rng: np.random.Generator, reset_rng: np.random.Generator) -> EpisodeEnd:
        station = self.station
        if station.pace:
            station.pace.restart()
        with ExitStack() as unless_begun:  # what was meant for it is recorded all the same
            unless_begun.callback(lambda: self._tell_sentences(self._ahead.take_in_vain()))
            observation = self._start(reset_rng)
            unless_begun.pop_all()
        station.inputs.keep(HumanInput(sentences=self._ahead.take()))
        station.arbiter.reset(gripper_open=observation.gripper_target > 0.5)
        self._begin(observation)
        self._tell(station.guard.take_events())  # what the reset met
        asked: HumanInput | None = None
        while True:
            step, outcome, detail = self._step(observation, rng, asked)
            asked = None
            if outcome is Outcome.PAUSED:
                observation, asked, outcome, detail = self._pause(observation)
            elif step is not None:
                observation = step.next_observation
            if outcome is not None:
                return self.close(outcome, detail)

    def _start(self, rng: np.random.Generator) -> Observation:
        """Reset once that is allowed; where somebody can release faults, one on the way leads back to the waiting."""
        station, first = self.station, True
        while True:
            try:
                self._standstill.until_allowed(release=first)
                observation = self._reset(rng)
                if station.waits_for_hands:
                    self._standstill.until_hands_on("drive the robot to begin")
                    observation = station.guard.observe()
                if not (station.attended and station.guard.faults):
                    return observation
                station.guard.hold()  # raises: latched by another thread meanwhile
            except FaultLatchedError:
                self._tell(station.guard.take_events())
                if not station.attended:
                    raise
            first = False

    def _reset(self, rng: np.random.Generator) -> Observation:
        """Bring the episode to its start; raises FaultLatchedError, before anything moves, while a fault is latched."""
        station = self.station

        def reset() -> None:
            self._show(Phase.RESETTING, None)
            station.task.reset(rng)

        observation = station.guard.begin(reset)
        self._director.reset(rng)
        if station.policy:
            station.policy.reset()
        if station.shield:
            station.shield.reset()
        return observation

    def _begin(self, observation: Observation) -> None:
        """Tell the start of the episode, or of a part of it."""
        self._count.here = 0
        self._recall.begin()
        if self._path is not None and self._path.end < self._count.before:
            self._path.add(observation, self._count.unaided)
        self.station.recent.begin(self.meta.id)
        if self.station.success_watch is not None:
            self.station.success_watch.begin()
        if self.station.listening is not None:
            self.station.listening.begin(self.meta)
        with interrupts_held():  # told, it is open: an interruption has something to close
            self._started = True
            self.station.audience.on_episode_start(self.meta, observation)
        if self.station.pace:
            self.station.pace.restart()

    def _step(
        self, observation: Observation, rng: np.random.Generator, asked: HumanInput | None
    ) -> tuple[Step | None, Outcome | None, str]:
        """One control period.

        Args:
            asked: the input that ended a pause; None where the person is to be asked.
        """
        station = self.station
        last = not station.may_move()
        human = asked
        acting = "director"
        try:
            assignment = self._assignment = asked_of(self._director, observation)
            acting = "policy"
            proposed = station.policy.act(observation, assignment, rng) if station.policy else None
            if human is None:
                human = station.read()  # as late as possible: what they do now takes effect now
            buttons = human.buttons if human else frozenset[Button]()
            leave = self._leave(human)
            if leave is not None:
                return None, *leave
            if asked is not None and asked.action is None and Button.RESUME not in buttons:
                choice = station.arbiter.rest()  # judged while paused: nobody moves any more
            else:
                acting = "sentence"
                spoken = attended(station, self.meta, human, observation, proposed)
                choice = station.arbiter.choose(proposed, human, station.clock.now(), spoken)
            acting = "shield"
            action, changes = shielded(station, observation, choice)
            executed = station.guard.act(action).executed
            if station.pace:
                station.pace.wait()  # what follows an action is seen at the end of its period
            self._recall.add(executed)
            next_observation = self._recall(station.guard.observe())
        except (InvalidValueError, FaultLatchedError) as error:
            if isinstance(error, InvalidValueError):
                station.guard.fault(acting, str(error))
            self._tell(station.guard.take_events())
            if human is not None:
                self._hear(human)
            if stop_pressed(station):
                return None, Outcome.STOPPED, "stop pressed"
            return None, Outcome.FAULT, str(error)
        self._driver, self._spoken = choice.driver, choice.spoken
        events = (*changes, *station.guard.take_events())
        self._count.see(choice.driver)
        outcome, detail = self._ending.of(self._count, choice.driver, next_observation, buttons, events, last)
        if outcome is Outcome.TIME_LIMIT and station.reward.by_buttons:
            buttons |= self._pressed_meanwhile()
            outcome, detail = self._ending.of(self._count, choice.driver, next_observation, buttons, events, last)
        self._outcome_so_far = outcome, detail
        self._untold = [*events, *self._judgements(buttons, next_observation.stamp, self._count.here + 1)]
        step = self._record(observation, assignment, proposed, choice, executed, next_observation, outcome)
        if outcome in JUDGED and station.teleop and (verdict := station.read()):
            self._untold += self._judgements(verdict.buttons - buttons, next_observation.stamp, self._count.here)
            if Button.DISCARD in verdict.buttons:
                whole = Segment(self.meta.id, 0, self._count.here)
                stamp = next_observation.stamp
                self._afterwards = [Feedback(FeedbackKind.DISCARD, self.meta.operator, stamp, whole, 1.0)]
            station.inputs.keep(replace(verdict, buttons=verdict.buttons - ABOUT_AN_EPISODE))
        if human is not None:
            self._hear(human)
        self._tell(understood_late(station))
        self._tell_untold()
        self._follow_takeover(choice, next_observation.stamp)
        self._show(Phase.RUNNING, next_observation, executed)
        return step, outcome, detail

    def _leave(self, human: HumanInput | None) -> tuple[Outcome, str] | None:
        """What the person asks for instead of a step."""
        if human is None:
            return None
        if Button.STOP in human.buttons:
            press_stop(self.station)  # before anything else is sent
            self.asked_to_leave = human.buttons
            self._hear(human)
            self._tell(self.station.guard.take_events())
            return Outcome.STOPPED, "stop pressed"
        for button, detail in ((Button.END, "session ended"), (Button.RESET, "reset pressed")):
            if button in human.buttons:
                self.asked_to_leave = human.buttons
                self._hear(human)
                return Outcome.STOPPED, detail
        if self._path is not None and (human.buttons & PAUSING or human.rewind_to is not None):
            self._hear(human)
            self._asked = human
            return Outcome.PAUSED, "paused"
        return None

    def _pressed_meanwhile(self) -> frozenset[Button]:
        """Judgements of the episode that were pressed in its last period, after the person had been asked."""
        human = self.station.read()
        if human is None:
            return frozenset()
        self.station.inputs.keep(replace(human, buttons=human.buttons - ABOUT_AN_EPISODE))
        return human.buttons & ABOUT_AN_EPISODE

    def _record(
        self,
        observation: Observation,
        assignment: Assignment,
        proposed: Action | None,
        choice: Choice,
        executed: Action,
        next_observation: Observation,
        outcome: Outcome | None,
    ) -> Step:
        station = self.station
        gold = self._gold(next_observation) if self._gold else 0.0
        step = Step(
            index=self._count.here,
            observation=observation,
            proposed=proposed,
            executed=executed,
            driver=choice.driver,
            reward=gold if station.reward.gold else station.reward.value(outcome, observation, next_observation),
            gold_reward=gold,
            terminated=outcome in (Outcome.SUCCESS, Outcome.FAILURE),
            truncated=outcome is not None and outcome not in (Outcome.SUCCESS, Outcome.FAILURE),
            policy_version=station.policy.version if station.policy else -1,
            instruction=assignment.instruction,
            next_observation=next_observation,
            context=assignment.context,
            authority=choice.authority,
            spoken=choice.spoken,
        )
        with interrupts_held():
            self._count.add(choice.driver)  # first: the journal has the step even when a later subscriber fails
            station.audience.on_step(step)
            station.recent.add(step)
            if self._path is not None:
                self._path.add(next_observation, self._count.unaided)
        return step

    # -- pausing -----------------------------------------------------------------------------------------------------

    def _pause(self, before: Observation) -> tuple[Observation, HumanInput, Outcome | None, str]:
        """Hold still until the person goes on, then begin the next part where the robot stands."""
        assert self._path is not None
        self._driver = None
        resumed = self._standstill.pause(self._path, self._asked)
        self._tell(self.station.guard.take_events())
        if resumed.outcome is not None:
            self.asked_to_leave = resumed.human.buttons
            return before, NOBODY, resumed.outcome, resumed.detail
        observation = self.station.guard.observe()
        self.station.arbiter.reset(gripper_open=observation.gripper_target > 0.5)  # it may have been rewound
        self.close(Outcome.PAUSED, f"goes on at step {resumed.step}")
        self.meta = replace(
            self._whole,
            id=f"{self._whole.id}+{self._parts:02d}",
            continues=self.meta.id,
            continues_at=resumed.step,
        )
        self._parts += 1
        self._count.before = resumed.step
        self._count.unaided = self._path[resumed.step].unaided
        self._path.cut(resumed.step)
        self._begin(observation)
        human = resumed.human
        return (
            observation,
            replace(human, buttons=human.buttons - PAUSING, sentences=(), feedback=(), rewind_to=None),
            None,
            "",
        )

    # -- telling -----------------------------------------------------------------------------------------------------

    def _hear(self, human: HumanInput) -> None:
        """Sentences become corrections about the steps they mean; judgements of the past are passed on."""
        for sentence in human.sentences:
            if self._started and self.station.recent.of(sentence) is None:  # it waits for the very first step
                self.station.inputs.keep(HumanInput(sentences=(sentence,)))
            elif self._started or not self._ahead.keeps(sentence):
                self._tell_sentences([sentence])
        for feedback in human.feedback:
            self._tell(judged(self.station, feedback))

    def _tell_sentences(self, sentences: Sequence[Sentence]) -> None:
        """About the steps before them; where there are none, about the first of this episode."""
        station, now = self.station, self.station.clock.now()
        for sentence in sentences:
            correction = station.recent.correction(sentence, self.meta.operator, now, coming=self.meta.id)
            self._tell(heard(station, sentence, correction) if correction else ())

    def _judgements(self, buttons: frozenset[Button], stamp: float, steps: int) -> list[Event]:
        whole = Segment(self.meta.id, 0, steps)
        pairs = ((Button.SUCCESS, FeedbackKind.SUCCESS), (Button.FAILURE, FeedbackKind.FAILURE))
        return [Feedback(kind, self.meta.operator, stamp, whole) for button, kind in pairs if button in buttons]

    def _follow_takeover(self, choice: Choice, stamp: float) -> None:
        """One intervention event per span of steps that a person's hands drove, told when it ends."""
        driving = choice.driver is Driver.HUMAN and not choice.spoken
        if driving and self._takeover_at is None:
            self._takeover_at = self._count.here - 1
        elif not driving and self._takeover_at is not None:
            span = Segment(self.meta.id, self._takeover_at, self._count.here - 1 - self._takeover_at)
            self._takeover_at = None
            self._tell([Feedback(FeedbackKind.INTERVENTION, self.meta.operator, stamp, span)])

    def _tell_untold(self) -> None:
        untold, self._untold = self._untold, []
        self._tell(untold)

    def _tell(self, events: Sequence[Event]) -> None:
        for event in events:
            self.station.audience.on_event(event)

    def close(self, outcome: Outcome, detail: str) -> EpisodeEnd:
        """End the episode, or a part of it; an outcome that was known before an interruption stands."""
        known, words = self._outcome_so_far
        if known is not None:
            outcome, detail = known, words
        if self._started:
            self._tell_untold()
        end = EpisodeEnd(self.meta.id, outcome, self._count.here, detail)
        if self._started:
            with interrupts_held():
                self._tell_end(end)
        return end

    def _tell_end(self, end: EpisodeEnd) -> None:
        self._started = False
        if self._takeover_at is not None and self._count.here > self._takeover_at:
            span = Segment(self.meta.id, self._takeover_at, self._count.here - self._takeover_at)
            stamp = self.station.clock.now()
            self._tell([Feedback(FeedbackKind.INTERVENTION, self.meta.operator, stamp, span)])
        self._takeover_at = None
        self.station.audience.on_episode_end(end)
        afterwards, self._afterwards = self._afterwards, []
        self._tell(afterwards)

    # -- showing -----------------------------------------------------------------------------------------------------

    def _show_still(self, phase: Phase, observation: Observation | None, detail: str, at: int) -> None:
        self._show(phase, observation, None, detail, at)

    def _show(
        self,
        phase: Phase,
        observation: Observation | None,
        action: Action | None = None,
        detail: str = "",
        at: int | None = None,
    ) -> None:
        """Show the present; `at` is the step where the robot stands, when that is not the last one."""
        station = self.station
        if station.monitor is None:
            return
        steps = self._count.whole
        assignment = self._assignment
        station.monitor.show(
            Situation(
                stamp=station.clock.now(),
                phase=phase,
                observation=observation,
                driver=self._driver if phase is Phase.RUNNING else None,
                action=action,
                episode=self.meta.id,
                kind=self.meta.kind,
                step=steps if at is None else at,
                time_limit=0 if station.waits_for_hands else steps + max(0, self._ending.steps_left(self._count)),
                instruction=station.task.instruction if assignment is None else assignment.instruction,
                policy_version=station.policy.version if station.policy else -1,
                faults=station.guard.faults,
                detail=detail,
                spoken=self._spoken if phase is Phase.RUNNING and self._driver is Driver.HUMAN else "",
            )
        )
