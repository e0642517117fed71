"""The time in which no step is taken: waiting, stopped, paused, and going back along the path."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass

from robot_rlhf.datatypes import Button, HumanInput, Observation, Outcome, Phase
from robot_rlhf.errors import ConfigError, FaultLatchedError
from robot_rlhf.runtime.path import Path
from robot_rlhf.runtime.station import EndRequestedError, Station, StopRequestedError
from robot_rlhf.safety.guard import STOP_RULE

REWIND_SECONDS = 1.0
"""How far one press of REWIND goes back."""
NEAR = 0.02
"""Distance, m, within which a robot that goes back by motion follows its path on to the next moment."""
ARRIVED = 0.005


@dataclass(frozen=True)
class Resumed:
    """How a pause ended."""

    human: HumanInput
    """The input that ended it, for the first step that follows."""
    step: int
    """Step of the episode from which it goes on."""
    outcome: Outcome | None = None
    """Set when the episode ends here instead."""
    detail: str = ""


Show = Callable[[Phase, Observation | None, str, int], None]
"""Phase, what is seen, a sentence, and the step at which the robot stands."""


def press_stop(station: Station) -> None:
    """Stop at once, before anything else is asked or sent; latched where somebody can release it."""
    if station.attended:
        station.guard.fault(STOP_RULE, "STOP was pressed")
    else:
        station.guard.stop()


def stop_pressed(station: Station) -> bool:
    """Whether a pressed STOP is latched; a console latches it at once, from its own thread."""
    return any(fault.rule == STOP_RULE for fault in station.guard.faults)


class Standstill:
    """Holds the robot still, period by period, while a person or something else decides how to go on."""

    def __init__(self, station: Station, show: Show, hear: Callable[[HumanInput], None]) -> None:
        """Args: show: called once per period; hear: takes sentences and judgements of the past."""
        self._station = station
        self._show = show
        self._hear = hear

    # -- before an episode -------------------------------------------------------------------------------------------

    def until_allowed(self, *, release: bool = True) -> None:
        """Wait until nothing is latched and the robot may move.

        Args:
            release: let a simulation release its own faults, as Station.release_faults says.

        Raises:
            FaultLatchedError: a fault is latched, and nobody is there to release it.
            StopRequestedError: the person pressed stop, and nobody could release that.
            EndRequestedError: the person ended the session.
        """
        station = self._station
        if release and station.release_faults and not stop_pressed(station):
            station.guard.release()
        self._until_released()
        while not station.may_move():
            self._wait(Phase.WAITING, f"waiting for {station.waiting_for}")
            self._until_released()

    def until_hands_on(self, sentence: str) -> None:
        """Wait until the person drives; raises as `until_allowed` does."""
        while True:
            human = self._wait(Phase.WAITING, sentence)
            if human is not None and human.action is not None:
                return
            self._until_released()

    def _until_released(self) -> None:
        station = self._station
        shown = False
        while station.guard.faults:
            if not station.attended:
                first = station.guard.faults[0]
                raise FaultLatchedError(f"robot held by fault {first.rule!r} ({first.detail}): release() it to go on")
            human = self._wait(Phase.STOPPED, station.guard.faults[0].detail)
            pressed = frozenset[Button]() if human is None else human.buttons
            if shown and Button.RELEASE in pressed and Button.STOP not in pressed:
                station.guard.release()
            shown = True  # what was pressed before, during a long reset perhaps, was no answer to this fault

    def _wait(self, phase: Phase, sentence: str) -> HumanInput | None:
        """One period; stop and end are seen to, the other buttons are for the caller."""
        self._look(phase, sentence, 0)
        with contextlib.suppress(FaultLatchedError):  # the next look shows it
            self._keep_still()
        self._end_period()
        human = self._station.read()
        if human is None:
            return None
        self._hear(human)
        if Button.END in human.buttons:
            raise EndRequestedError("ended by the operator")
        if Button.STOP in human.buttons:
            press_stop(self._station)
            if not self._station.attended:
                raise StopRequestedError("stop pressed")
        return human

    # -- within an episode -------------------------------------------------------------------------------------------

    def pause(self, path: Path, asked: HumanInput) -> Resumed:
        """Hold still until the person goes on; meanwhile they may go back along the path.

        A hand that was driving when the pause began must let go once before it can drive on. The robot goes back only
        for as long as it is asked to: when the person lets go, or is gone, it stays where it is.
        """
        station, human, at = self._station, asked, path.end
        goal: int | None = None
        held = False
        note = ""
        let_go = asked.action is None
        while True:
            ended = self._ended(human, at)
            if ended is not None:
                return ended
            let_go = let_go or human.action is None
            if Button.RESUME in human.buttons or (let_go and human.action is not None and human.rewind_to is None):
                return Resumed(human, at)
            if human.rewind_to is not None:
                goal, held = min(max(0, human.rewind_to), path.end), True
            elif held:
                goal, held = None, False
            elif Button.REWIND in human.buttons:
                back = round(REWIND_SECONDS / station.guard.spec.control_period)
                goal = max(0, (at if goal is None else goal) - back)
            going = goal is not None and goal != at
            self._look(Phase.REWINDING if going else Phase.PAUSED, note, at)
            try:
                if goal is not None and going:
                    at = self._go(path, at, goal)
                else:
                    self._keep_still()
            except ConfigError as error:
                note, goal = f"cannot go back: {error}", None
            except FaultLatchedError as error:
                return self._faulted(at, str(error))
            if station.guard.faults:
                return self._faulted(at, station.guard.faults[0].detail)
            self._end_period()
            read = station.read()
            if read is None:
                goal = None
            human = read or HumanInput()
            self._hear(human)

    def _faulted(self, at: int, detail: str) -> Resumed:
        if stop_pressed(self._station):
            return Resumed(HumanInput(), at, Outcome.STOPPED, "stop pressed")
        return Resumed(HumanInput(), at, Outcome.FAULT, detail)

    def _ended(self, human: HumanInput, at: int) -> Resumed | None:
        """The person ended the episode instead of going on."""
        buttons = human.buttons
        if Button.STOP in buttons:
            press_stop(self._station)
            return Resumed(human, at, Outcome.STOPPED, "stop pressed")
        for button, outcome, detail in (
            (Button.END, Outcome.STOPPED, "session ended"),
            (Button.DISCARD, Outcome.DISCARDED, "discard pressed"),
            (Button.RESET, Outcome.STOPPED, "reset pressed"),
        ):
            if button in buttons:
                return Resumed(human, at, outcome, detail)
        judged = Button.FAILURE in buttons or (
            Button.SUCCESS in buttons and self._station.reward.judge in ("person", "either")
        )
        return Resumed(human, at) if judged else None

    def _go(self, path: Path, at: int, goal: int) -> int:
        """One period of going back (or forth again) along the path; returns the moment that was reached."""
        station = self._station
        if station.world is not None:
            station.world.restore(path[goal].state)
            station.guard.anchor()
            station.guard.hold()
            return goal
        following = at + (1 if goal > at else -1)
        moment = path[following]
        station.guard.approach(moment.pose, moment.opening)
        tool = station.guard.observe().tool_pose_in_base.tolist()
        near = math.dist(tool[:3], moment.pose[:3]) < (ARRIVED if following == goal else NEAR)
        return following if near else at

    # -- one period --------------------------------------------------------------------------------------------------

    def _look(self, phase: Phase, sentence: str, at: int) -> None:
        """Show what is seen now; pictures are taken before anything is sent, once per period."""
        try:
            observation = self._station.guard.observe()
        except FaultLatchedError:
            observation = None
        self._show(phase, observation, sentence, at)

    def _keep_still(self) -> None:
        if not self._station.guard.faults:
            self._station.guard.hold()

    def _end_period(self) -> None:
        if self._station.pace:
            self._station.pace.wait()
