"""THE loop: observe, act, arbitrate, guard, send, record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from robot_rlhf.datatypes import (
    Action,
    Button,
    Driver,
    EpisodeEnd,
    EpisodeMeta,
    Event,
    Feedback,
    FeedbackKind,
    GuardEvent,
    Observation,
    Outcome,
    Segment,
    Step,
)
from robot_rlhf.errors import FaultLatchedError, InvalidValueError
from robot_rlhf.feedback.arbiter import Arbiter
from robot_rlhf.ports import EndingTask, GoldTask, Policy, Subscriber, Task, Teleop
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import Clock, Rate

FORCE_FAULTS = frozenset({"force_hard", "torque_hard"})
"""Faults the policy is to learn to avoid: they end an episode like a failure, with no future."""

JUDGED = frozenset({Outcome.SUCCESS, Outcome.FAILURE, Outcome.TIME_LIMIT})
"""Outcomes on which the person is asked for a last judgement."""


@dataclass
class Station:
    """Everything an episode needs, put together by an app."""

    guard: GuardedRobot
    task: Task
    policy: Policy | None
    """None while a person demonstrates."""
    arbiter: Arbiter
    reward: SparseReward
    clock: Clock
    teleop: Teleop | None = None
    operator: str = "none"
    subscribers: Sequence[Subscriber] = ()
    """Told of everything, in this order: the journal comes first."""
    pace: Rate | None = None
    """Keeps the control period in real time; None lets a simulated robot run as fast as it can."""
    release_faults: bool = False
    """Release latched faults when an episode begins: for simulations only, where nobody is at risk."""
    may_move: Callable[[], bool] = field(default=lambda: True)
    """Asked before each step and each episode: False makes the step the episode's last, and the robot holds still
    before the next episode (for example while the learner is gone)."""


class StopRequestedError(Exception):
    """The person pressed stop: the session ends once the episode has been closed."""


def run_episode(
    station: Station, meta: EpisodeMeta, rng: np.random.Generator, reset_rng: np.random.Generator
) -> EpisodeEnd:
    """Run one episode of the station's task and tell every subscriber.

    Args:
        rng: For the policy's exploration.
        reset_rng: For the start of the episode.

    Raises:
        StopRequestedError: the person pressed stop; the episode has been closed and the robot stopped before.
        FaultLatchedError: the episode could not begin.
    """
    episode = _RunningEpisode(station, meta)
    try:
        end = episode.run(rng, reset_rng)
    except BaseException:
        station.guard.stop()
        episode.close(Outcome.STOPPED, "interrupted")
        raise
    if episode.stop_pressed:
        station.guard.stop()
        raise StopRequestedError(end.detail)
    return end


class _RunningEpisode:
    """The state of one episode while it runs."""

    def __init__(self, station: Station, meta: EpisodeMeta) -> None:
        self.station = station
        self.meta = meta
        self.steps = 0
        self.started = False
        self.stop_pressed = False
        self.takeover_at: int | None = None
        self._gold = station.task.gold_reward if isinstance(station.task, GoldTask) else None
        self._world_ended = station.task.ended if isinstance(station.task, EndingTask) else None
        self._outcome_so_far: tuple[Outcome | None, str] = (None, "")
        self._untold: list[Event] = []

    def run(self, rng: np.random.Generator, reset_rng: np.random.Generator) -> EpisodeEnd:
        station = self.station
        if station.release_faults:
            station.guard.release()
        if station.pace:
            station.pace.restart()
        self._wait_until_allowed()
        observation = self._reset(reset_rng)
        station.arbiter.reset(gripper_open=observation.gripper_target > 0.5)
        self.started = True
        for subscriber in station.subscribers:
            subscriber.on_episode_start(self.meta, observation)
        self._tell(station.guard.take_events())  # what the reset met
        if station.pace:
            station.pace.restart()
        while True:
            step, outcome, detail = self._step(observation, rng)
            if step is not None:
                observation = step.next_observation
            if outcome is not None:
                return self.close(outcome, detail)

    def _reset(self, rng: np.random.Generator) -> Observation:
        """Bring the episode to its start; raises FaultLatchedError, before anything moves, while a fault is latched."""
        station = self.station
        try:
            if station.guard.faults:
                station.guard.hold()
            station.task.reset(rng)
            station.guard.anchor()
            if station.policy:
                station.policy.reset()
            return station.guard.observe()
        except FaultLatchedError:
            self._tell(station.guard.take_events())
            raise

    def _step(self, observation: Observation, rng: np.random.Generator) -> tuple[Step | None, Outcome | None, str]:
        station, instruction = self.station, self.station.task.instruction
        last = not station.may_move()
        human = station.teleop.read() if station.teleop else None
        buttons = human.buttons if human else frozenset[Button]()
        if Button.STOP in buttons:
            station.guard.stop()  # before anything else is asked or sent
            self.stop_pressed = True
            return None, Outcome.STOPPED, "stop pressed"
        try:
            proposed = station.policy.act(observation, instruction, rng) if station.policy else None
            choice = station.arbiter.choose(proposed, human, station.clock.now())
            executed = station.guard.act(choice.action).executed
            if station.pace:
                station.pace.wait()  # what follows an action is seen at the end of its period
            next_observation = station.guard.observe()
        except (InvalidValueError, FaultLatchedError) as error:
            if isinstance(error, InvalidValueError):
                station.guard.fault("policy", str(error))
            self._tell(station.guard.take_events())
            return None, Outcome.FAULT, str(error)
        events = station.guard.take_events()
        outcome, detail = self._outcome_so_far = self._outcome(next_observation, buttons, events, last)
        self._untold = [*events, *self._judgements(buttons, next_observation.stamp, self.steps + 1)]
        step = self._record(observation, proposed, executed, choice.driver, next_observation, outcome)
        if outcome in JUDGED and station.teleop and (verdict := station.teleop.read()):
            self._untold += self._judgements(verdict.buttons - buttons, next_observation.stamp, self.steps)
        self._tell_untold()
        self._follow_takeover(choice.driver, next_observation.stamp)
        return step, outcome, detail

    def _outcome(
        self, observation: Observation, buttons: frozenset[Button], events: Sequence[GuardEvent], last: bool
    ) -> tuple[Outcome | None, str]:
        fault = next((event for event in events if event.latched), None)
        if Button.DISCARD in buttons:
            return Outcome.DISCARDED, "discard pressed"
        if fault is not None:
            kind = Outcome.FAILURE if fault.rule in FORCE_FAULTS else Outcome.FAULT
            return kind, f"{fault.rule}: {fault.detail}"
        if self.station.reward.succeeded(self.station.task, observation, buttons):
            return Outcome.SUCCESS, ""
        if Button.FAILURE in buttons:
            return Outcome.FAILURE, "failure pressed"
        ending = self._world_ended(observation) if self._world_ended else None
        if ending is not None:
            return ending, "the world ended the episode"
        if self.steps + 1 >= self.station.task.time_limit:
            return Outcome.TIME_LIMIT, ""
        if last:
            return Outcome.STOPPED, "the robot may not move on"
        return None, ""

    def _record(
        self,
        observation: Observation,
        proposed: Action | None,
        executed: Action,
        driver: Driver,
        next_observation: Observation,
        outcome: Outcome | None,
    ) -> Step:
        station = self.station
        step = Step(
            index=self.steps,
            observation=observation,
            proposed=proposed,
            executed=executed,
            driver=driver,
            reward=station.reward.value(outcome, observation, next_observation),
            gold_reward=self._gold(next_observation) if self._gold else 0.0,
            terminated=outcome in (Outcome.SUCCESS, Outcome.FAILURE),
            truncated=outcome is not None and outcome not in (Outcome.SUCCESS, Outcome.FAILURE),
            policy_version=station.policy.version if station.policy else -1,
            instruction=station.task.instruction,
            next_observation=next_observation,
        )
        self.steps += 1  # first: the journal has the step even when a later subscriber is interrupted
        for subscriber in station.subscribers:
            subscriber.on_step(step)
        return step

    def _wait_until_allowed(self) -> None:
        """Hold still; a fault ends the wait, and the reset meets it again.

        Raises:
            StopRequestedError: the person pressed stop meanwhile.
        """
        station = self.station
        while not station.may_move() and not station.guard.faults:
            human = station.teleop.read() if station.teleop else None
            if human is not None and Button.STOP in human.buttons:
                raise StopRequestedError("stop pressed")
            try:
                station.guard.hold()
            except FaultLatchedError:
                return
            if station.pace:
                station.pace.wait()

    def _judgements(self, buttons: frozenset[Button], stamp: float, steps: int) -> list[Event]:
        whole = Segment(self.meta.id, 0, steps)
        pairs = ((Button.SUCCESS, FeedbackKind.SUCCESS), (Button.FAILURE, FeedbackKind.FAILURE))
        return [Feedback(kind, self.station.operator, stamp, whole) for button, kind in pairs if button in buttons]

    def _follow_takeover(self, driver: Driver, stamp: float) -> None:
        """One intervention event per span of steps that a person drove, told when it ends."""
        driving = driver is Driver.HUMAN
        if driving and self.takeover_at is None:
            self.takeover_at = self.steps - 1
        elif not driving and self.takeover_at is not None:
            span = Segment(self.meta.id, self.takeover_at, self.steps - 1 - self.takeover_at)
            self.takeover_at = None
            self._tell([Feedback(FeedbackKind.INTERVENTION, self.station.operator, stamp, span)])

    def _tell_untold(self) -> None:
        untold, self._untold = self._untold, []
        self._tell(untold)

    def _tell(self, events: Sequence[Event]) -> None:
        for event in events:
            for subscriber in self.station.subscribers:
                subscriber.on_event(event)

    def close(self, outcome: Outcome, detail: str) -> EpisodeEnd:
        """End the episode; an outcome that was known before an interruption stands."""
        known, words = self._outcome_so_far
        if known is not None:
            outcome, detail = known, words
        if self.started:
            self._tell_untold()
        end = EpisodeEnd(self.meta.id, outcome, self.steps, detail)
        if self.started:
            self.started = False
            if self.takeover_at is not None and self.steps > self.takeover_at:
                span = Segment(self.meta.id, self.takeover_at, self.steps - self.takeover_at)
                stamp = self.station.clock.now()
                self._tell([Feedback(FeedbackKind.INTERVENTION, self.station.operator, stamp, span)])
            for subscriber in self.station.subscribers:
                subscriber.on_episode_end(end)
        return end
