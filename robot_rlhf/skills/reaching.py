"""Skills that bring the tool somewhere, and those of the fingers alone."""

from __future__ import annotations

import math

import numpy as np

from robot_rlhf.datatypes import Action, Observation
from robot_rlhf.facts import OVER
from robot_rlhf.safety.rotation import Quaternion, Vector
from robot_rlhf.skills.closed_loop import (
    BESIDE,
    CLEAR,
    TRAVEL,
    ClosedLoop,
    Workplace,
    above_then_at,
    aside,
    over,
    place_of,
    tool,
    yaw_of,
)
from robot_rlhf.skills.hand import crooked

SHORT = 1.0
"""Seconds for fingers, and for waiting."""
ON_THE_WAY = 4.0
"""Seconds after which what goes to a place gives up."""
AT = 0.009
"""Nearer than this is at a place, m."""
STRAIGHT = 0.12
"""Turned by less than this is straight, rad."""
LIFT, RETREAT = 0.10, 0.06
"""How far a thing is lifted, and how much further away the tool goes, m, where no amount is said."""
ON_TOP = 0.03
"""How high above a thing's middle closed fingers rest on it, m."""
TOUCHING = 0.041
"""How far the tool is from the middle of a thing of a hand's size that it touches at its side, m."""


class Above(ClosedLoop):
    """Above a thing, turned along its sides where it can be grasped."""

    def __init__(self, words: str, at: Workplace, thing: str) -> None:
        super().__init__(words, at, ON_THE_WAY)
        self._thing = thing

    def turn(self, observation: Observation) -> Quaternion | None:
        """Along the thing's sides, for a tool that grasps it, or that holds something to fit it."""
        useful = self.at.graspable(self._thing) or not self.hand.grips
        return self.hand.along(yaw_of(observation, self._thing), observation) if useful else None

    def reached(self, observation: Observation) -> bool:
        at, place = tool(observation), place_of(observation, self._thing)
        straight = crooked(self.turn(observation), observation) < STRAIGHT
        return straight and aside(at, place) < AT and CLEAR < at[2] - place[2] < TRAVEL + 0.03

    def aim(self, observation: Observation) -> Action:
        at, place = tool(observation), place_of(observation, self._thing)
        goal = over(place, TRAVEL)
        if at[2] - place[2] < CLEAR and aside(at, place) > BESIDE:
            goal = (at[0], at[1], goal[2])
        return self.hand.towards(observation, goal, turn=self.turn(observation))


class DownOn(Above):
    """Above a thing, then down until it is between the open fingers, or under closed ones, or at the tip."""

    def _place(self, observation: Observation) -> Vector:
        place = place_of(observation, self._thing)
        on_top = self.at.graspable(self._thing) and self.hand.grips and observation.gripper_target < 0.5
        return over(place, ON_TOP) if on_top else place

    def reached(self, observation: Observation) -> bool:
        straight = crooked(self.turn(observation), observation) < 1.5 * STRAIGHT
        return straight and math.dist(tool(observation), self._place(observation)) < AT

    def aim(self, observation: Observation) -> Action:
        place, turn = self._place(observation), self.turn(observation)
        goal = above_then_at(observation, place, place[2] + TRAVEL)
        height = tool(observation)[2] - place[2]
        if goal == place and crooked(turn, observation) > STRAIGHT + 2.0 * max(height - CLEAR, 0.0):
            goal = over(place, max(height, CLEAR))  # it would come down on the thing's corners
        return self.hand.towards(observation, goal, turn=turn)


class To(ClosedLoop):
    """To a thing: down on one that can be grasped, straight to a place, beside what would be pushed away."""

    def __init__(self, words: str, at: Workplace, thing: str) -> None:
        super().__init__(words, at, ON_THE_WAY)
        self._thing = thing
        self._over = at.hand.rises and at.graspable(thing)

    def _goal(self, observation: Observation) -> Vector:
        place, at = place_of(observation, self._thing), tool(observation)
        if self.hand.rises:
            return place
        away = np.subtract(at, place)[:2]
        x, y = (place[:2] + (TOUCHING + AT) * away / max(float(np.linalg.norm(away)), 1e-6)).tolist()
        return x, y, at[2]

    def reached(self, observation: Observation) -> bool:
        return math.dist(tool(observation), self._goal(observation)) < AT

    def aim(self, observation: Observation) -> Action:
        goal = self._goal(observation)
        if self._over:
            goal = above_then_at(observation, goal, goal[2] + TRAVEL)
        return self.hand.towards(observation, goal)


class AwayFrom(ClosedLoop):
    """Away from a thing, over the table; up, from what is right below."""

    def __init__(self, words: str, at: Workplace, thing: str, observation: Observation, amount: float | None) -> None:
        super().__init__(words, at, ON_THE_WAY)
        self._thing = thing
        self._way = RETREAT if amount is None else amount
        self._from = tool(observation)
        place = place_of(observation, thing)
        beside = aside(self._from, place)
        if at.hand.rises and beside < OVER and self._from[2] > place[2]:
            self._direction = np.array([0.0, 0.0, 1.0])
        else:
            away = np.subtract(self._from, place) * (1.0, 1.0, 0.0) if beside > 1e-4 else np.array([1.0, 0.0, 0.0])
            self._direction = away / np.linalg.norm(away)

    def reached(self, observation: Observation) -> bool:
        gone = float(np.subtract(tool(observation), self._from) @ self._direction)
        return gone > self._way - 0.5 * AT

    def aim(self, observation: Observation) -> Action:
        x, y, z = (np.array(self._from) + self._way * self._direction).tolist()
        return self.hand.towards(observation, (x, y, z))


class Lift(ClosedLoop):
    """Straight up, with whatever the fingers hold."""

    def __init__(self, words: str, at: Workplace, observation: Observation, amount: float | None) -> None:
        super().__init__(words, at, 2.5)
        x, y, z = tool(observation)
        self._goal = x, y, z + (LIFT if amount is None else amount)

    def reached(self, observation: Observation) -> bool:
        return tool(observation)[2] > self._goal[2] - 0.5 * AT

    def aim(self, observation: Observation) -> Action:
        return self.hand.towards(observation, self._goal)


class Fingers(ClosedLoop):
    """Fingers opened, or closed until they are shut or hold something."""

    def __init__(self, words: str, at: Workplace, opening: float) -> None:
        super().__init__(words, at, SHORT)
        self._opening = opening
        self._still_for = 0

    def reached(self, observation: Observation) -> bool:
        told = (observation.gripper_target > 0.5) == (self._opening > 0.5)
        before = self._before
        still = told and before is not None and abs(observation.gripper - before.gripper) < 0.01
        self._still_for = self._still_for + 1 if still else 0
        return told and (abs(observation.gripper - self._opening) < 0.05 or self._still_for > 2)

    def aim(self, observation: Observation) -> Action:
        return self.hand.rest(observation, self._opening)


class Wait(ClosedLoop):
    """Nothing, for a moment."""

    def __init__(self, words: str, at: Workplace) -> None:
        super().__init__(words, at, 2.0 * SHORT)
        self._rests = self.periods(SHORT)

    def reached(self, observation: Observation) -> bool:
        self._rests -= 1
        return self._rests < 0

    def aim(self, observation: Observation) -> Action:
        return self.hand.rest(observation)
