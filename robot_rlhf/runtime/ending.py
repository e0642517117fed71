"""How a step ends its episode: by a button, a fault, success, the world, or the clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from robot_rlhf.datatypes import Button, Driver, EpisodeKind, GuardEvent, Observation, Outcome
from robot_rlhf.ports import EndingTask
from robot_rlhf.runtime.station import Station
from robot_rlhf.safety.checks import FORCE_FAULTS
from robot_rlhf.safety.guard import STOP_RULE


@dataclass
class StepCount:
    """How many steps a running episode has had, and whose they were."""

    before: int = 0
    """Steps of the earlier parts."""
    here: int = 0
    """Steps of this part."""
    unaided: int = 0
    """Steps of all parts that the policy drove."""
    idle: int = 0
    """Steps since a person last drove."""
    touched: bool = False
    """A person has driven at least one step."""

    @property
    def whole(self) -> int:
        """Steps of all parts."""
        return self.before + self.here

    def see(self, driver: Driver) -> None:
        """Whether a person drives, before it is known how the step ends."""
        self.idle = 0 if driver is Driver.HUMAN else self.idle + 1
        self.touched |= driver is Driver.HUMAN

    def add(self, driver: Driver) -> None:
        """The step counts."""
        self.here += 1
        self.unaided += driver is Driver.POLICY


class Ending:
    """The rules by which a station's episodes end, the strongest first."""

    def __init__(self, station: Station, kind: EpisodeKind) -> None:
        self._station = station
        self._kind = kind
        self._world_ended = station.task.ended if isinstance(station.task, EndingTask) else None

    def of(
        self,
        count: StepCount,
        driver: Driver,
        observation: Observation,
        buttons: frozenset[Button],
        events: Sequence[GuardEvent],
        last: bool,
    ) -> tuple[Outcome | None, str]:
        """How a step ends the episode, and why; None when it goes on.

        Args:
            count: of the steps before it; the person's hands as `see` was told.
            driver: who decided the step.
            observation: what the step led to.
            buttons: pressed in it.
            events: of the guard, in it.
            last: the robot may not move on.
        """
        station = self._station
        fault = next((event for event in events if event.latched), None)
        if Button.DISCARD in buttons:
            return Outcome.DISCARDED, "discard pressed"
        if fault is not None:
            kinds = {STOP_RULE: Outcome.STOPPED, **dict.fromkeys(FORCE_FAULTS, Outcome.FAILURE)}
            return kinds.get(fault.rule, Outcome.FAULT), f"{fault.rule}: {fault.detail}"
        if station.reward.succeeded(station.task, observation, buttons, station.success_watch):
            if self._kind is EpisodeKind.DEMONSTRATION and not count.touched:
                return Outcome.DISCARDED, "nobody drove it, so it shows nothing"
            return Outcome.SUCCESS, ""
        if Button.FAILURE in buttons:
            return Outcome.FAILURE, "failure pressed"
        ending = self._world_ended(observation) if self._world_ended else None
        if ending is not None:
            return ending, "the world ended the episode"
        if self._left(count.whole + 1, count.unaided + (driver is Driver.POLICY), count.idle) <= 0:
            return Outcome.TIME_LIMIT, ""
        if last:
            return Outcome.STOPPED, "the robot may not move on"
        return None, ""

    def steps_left(self, count: StepCount) -> int:
        """Until the time limit, if the person's hands stay as they are; a person's own steps count only at the end.

        In a demonstration that waited for the person's hands only the steps count since they were last on.
        """
        return self._left(count.whole, count.unaided, count.idle)

    def _left(self, steps: int, unaided: int, idle: int) -> int:
        station = self._station
        limit = station.task.time_limit
        whole = round(limit * station.patience) - (idle if station.waits_for_hands else steps)
        return whole if station.policy is None else min(whole, limit - unaided)
