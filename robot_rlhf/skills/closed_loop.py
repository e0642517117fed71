"""What all skills share: they look, act, and end by themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass

from robot_rlhf.datatypes import Action, Observation, RobotSpec
from robot_rlhf.facts import CLOSED, GAP, NEAR, STILL, FactBook
from robot_rlhf.safety.rotation import Vector
from robot_rlhf.skills.hand import Hand, yaw

TOO_LONG = "it took too long"
TRAVEL = 0.07
"""How high above a thing the tool travels to it, m."""
CLEAR = 0.045
"""How high above a thing the tool is free to move, m."""
BESIDE = 0.010
"""Less than this beside a place is above it, m."""
WIDENING = 0.2
"""By how much that grows per metre of height, so that the tool need not wait above."""
SETTLES = 3
"""Periods for which fingers close before it is asked whether they hold something."""


@dataclass(frozen=True, eq=False)
class Workplace:
    """The robot, and what there is around it."""

    spec: RobotSpec
    facts: FactBook
    hand: Hand

    def graspable(self, name: str) -> bool:
        return name in self.facts.things and self.facts.things[name].graspable


class ClosedLoop:
    """A Skill that asks in each period whether it is done, and what to do else."""

    def __init__(self, words: str, at: Workplace, limit: float) -> None:
        """Args: limit: seconds after which it gives up."""
        self.words = words
        """What is being done, in plain English."""
        self.done = False
        """It has ended, and did what it is for."""
        self.why = ""
        """Why it has ended otherwise, in words."""
        self.about: tuple[str, ...] = ()
        """Things without which it cannot go on."""
        self.hand = at.hand
        self.at = at
        self._left = max(1, round(limit / at.spec.control_period))
        self._before: Observation | None = None
        self._closing_for = 0

    def act(self, observation: Observation) -> Action | None:
        """The whole action of the next period; None once it is done, failed, or has lasted as long as it may."""
        if self.done or self.why:
            return None
        gone = next((name for name in self.about if name not in observation.scene), "")
        if gone:
            self.why = f"{gone.replace('_', ' ')} is not seen any more"
            return None
        self._closing_for = self._closing_for + 1 if observation.gripper_target < CLOSED else 0
        if self.reached(observation):
            self.done = True
        elif self._left <= 0:
            self.why = TOO_LONG
        action = None if self.done or self.why else self.aim(observation)
        self._left -= 1
        self._before = observation
        return None if self.why else action

    def reached(self, observation: Observation) -> bool:
        """Whether it is done."""
        raise NotImplementedError

    def aim(self, observation: Observation) -> Action | None:
        """What to do next; None with `why` set where it can't go on."""
        raise NotImplementedError

    def periods(self, seconds: float) -> int:
        return max(1, round(seconds / self.at.spec.control_period))

    def holds(self, observation: Observation, thing: str = "") -> bool:
        """Whether the fingers, told to close for a while, have stopped at something, and the thing is there."""
        before = self._before
        still = before is None or abs(observation.gripper - before.gripper) < STILL
        return self._closing_for > SETTLES and still and within_fingers(observation, thing)


def within_fingers(observation: Observation, thing: str = "") -> bool:
    """Whether fingers are told to close, are not shut, and a thing, if one is named, is at them."""
    if observation.gripper_target >= CLOSED or observation.gripper <= GAP:
        return False
    return not thing or math.dist(tool(observation), place_of(observation, thing)) < NEAR


def place_of(observation: Observation, thing: str) -> Vector:
    """Where a thing is perceived to be, m."""
    x, y, z = observation.scene[thing][:3].tolist()
    return x, y, z


def yaw_of(observation: Observation, thing: str) -> float:
    """How a thing is perceived to be turned, rad; 0 where only its position is."""
    pose = observation.scene[thing].tolist()
    return yaw((pose[3], pose[4], pose[5], pose[6])) if len(pose) == 7 else 0.0


def tool(observation: Observation) -> Vector:
    """Where the tool is, m."""
    x, y, z = observation.tool_pose_in_base[:3].tolist()
    return x, y, z


def aside(a: Vector, b: Vector) -> float:
    """How far one place is beside another, m."""
    return math.hypot(a[0] - b[0], a[1] - b[1])


def over(place: Vector, height: float) -> Vector:
    return place[0], place[1], place[2] + height


def above_then_at(observation: Observation, place: Vector, travel: float) -> Vector:
    """Where to go next on the way up, over, and down onto a place.

    Args:
        travel: height at which to travel, m, in the base frame.
    """
    at = tool(observation)
    beside, height = aside(at, place), at[2] - place[2]
    if beside < BESIDE + WIDENING * max(height - 0.03, 0.0):
        return place
    if at[2] < travel - 0.022 and beside > BESIDE:
        return at[0], at[1], travel
    return place[0], place[1], travel
