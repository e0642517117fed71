"""Skills that hold things: grasp one, and put one in a place."""

from __future__ import annotations

import math

from robot_rlhf.datatypes import Action, Observation
from robot_rlhf.facts import CLOSED, GAP
from robot_rlhf.safety.rotation import Quaternion, Vector
from robot_rlhf.skills.closed_loop import (
    BESIDE,
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
from robot_rlhf.skills.handles import INNER, is_handle, moved_along

GRASPS_FOR, PUTS_FOR = 5.0, 10.0
"""Seconds after which they give up."""
FALLS_FOR = 0.25
"""Seconds that what was let go takes to fall."""
AROUND = 0.012
"""Nearness of fingers and thing at which they close, m."""
SLIP = 1.8
"""By how much that grows once they close."""
FREE = 0.045
"""Height above a thing from which the tool may cross and turn, m."""
DEPTH = 0.03
"""How deep what the tool holds for good is put in, m."""
PRESSES = 30.0
"""Force, N, on which what is put in yields."""


class Grasp(ClosedLoop):
    """Above a thing, turned along its sides, down, and closed until the fingers hold it."""

    def __init__(self, words: str, at: Workplace, thing: str, limit: float = GRASPS_FOR) -> None:
        super().__init__(words, at, limit)
        self._thing = thing

    def reached(self, observation: Observation) -> bool:
        return self.holds(observation, self._thing)

    def aim(self, observation: Observation) -> Action:
        at, place = tool(observation), place_of(observation, self._thing)
        turn = self.hand.along(yaw_of(observation, self._thing), observation)
        beside, height, bent = aside(at, place), at[2] - place[2], crooked(turn, observation)
        closing = observation.gripper_target < CLOSED
        slack = SLIP if closing else 1.0  # once closing, go on through small slips
        around = beside < slack * AROUND and abs(height) < slack * AROUND and bent < 0.15 * slack
        if around and not (closing and self._closing_for > self.periods(0.4) and observation.gripper < GAP):
            return self.hand.towards(observation, place, turn=turn, opening=0.0)
        return self.hand.towards(observation, self._way(at, place, bent), turn=turn, opening=1.0)

    @staticmethod
    def _way(at: Vector, place: Vector, bent: float) -> Vector:
        """Up, over, and down, no faster than it is straightened."""
        beside, height = aside(at, place), at[2] - place[2]
        if beside < BESIDE + 0.25 * max(height - 0.03, 0.0) and bent < 0.1 + 2.0 * max(height - 0.04, 0.0):
            return place
        if height < FREE and beside > BESIDE:
            return at[0], at[1], place[2] + TRAVEL
        return over(place, TRAVEL)


class PutIn(ClosedLoop):
    """Grasp a thing unless it is held, carry it above a place, and let go."""

    HIGH, RELEASE = 0.10, 0.06
    """Heights above a place at which a thing is carried to it, and let go, m."""

    def __init__(self, words: str, at: Workplace, thing: str, place: str) -> None:
        super().__init__(words, at, PUTS_FOR)
        self._thing, self._place = thing, place
        self._drawer = is_handle(place)
        self._grasp: Grasp | None = None
        self._held = False
        self._opened = False
        self._falls = self.periods(FALLS_FOR)

    def _where(self, observation: Observation) -> Vector:
        """The middle of the place at the height of release: a drawer's is behind its handle."""
        if self._drawer:
            return over(moved_along(observation, self._place, INNER), 0.5 * self.RELEASE)
        return over(place_of(observation, self._place), self.RELEASE)

    def reached(self, observation: Observation) -> bool:
        self._falls -= self._opened
        return self._falls <= 0 and observation.gripper > 0.7

    def aim(self, observation: Observation) -> Action | None:
        self._held = self._held or self.holds(observation, self._thing)
        if not self._held and not self._opened:
            return self._grasped(observation)
        where, at = self._where(observation), tool(observation)
        if self._held and not self._opened and not _in_hand(observation, self._thing):
            self._held, self._grasp = False, None  # it slipped
            return self._grasped(observation)
        if self._opened or (aside(at, where) < 2.0 * BESIDE and at[2] < where[2] + 0.01):
            self._opened = True
            return self.hand.towards(observation, where, opening=1.0)
        carry = where[2] + 0.35 * self.HIGH
        return self.hand.towards(observation, above_then_at(observation, where, carry), opening=0.0)

    def _grasped(self, observation: Observation) -> Action | None:
        if self._grasp is None:
            self._grasp = Grasp(self.words, self.at, self._thing)
        action = self._grasp.act(observation)
        if action is None and self._grasp.done:
            self._held = True
            return self.hand.rest(observation, 0.0)
        if action is None:
            self.why = self._grasp.why
        return action


class Insert(ClosedLoop):
    """What the tool holds for good, aligned above a hole, and pushed straight down into it."""

    HOVER = 0.008
    FUNNEL = 6.0
    """Height kept above the mouth per metre of misalignment that is left."""
    FINE = 0.0004
    """Misalignment that is none, m."""
    LOST = 0.004
    """At which to go back up, m."""
    LEVER = 0.02
    """What a radian counts, m."""
    FAR = 0.02
    """Distance from the hole beyond which the tip first rises, lest it catches, m."""
    ENTRY = 0.0015
    """How far it goes down per period at the mouth, m."""
    INSIDE = 0.001
    """Depth from which the tip is in the hole, m."""

    def __init__(self, words: str, at: Workplace, place: str) -> None:
        super().__init__(words, at, PUTS_FOR)
        self._place = place

    def reached(self, observation: Observation) -> bool:
        at, hole = tool(observation), place_of(observation, self._place)
        return at[2] < hole[2] - DEPTH + 0.002

    def aim(self, observation: Observation) -> Action:
        at, hole = tool(observation), place_of(observation, self._place)
        turn = self.hand.along(yaw_of(observation, self._place), observation)
        goal = self._goal(observation, at, hole, turn)
        if math.hypot(*observation.tool_wrench[:3].tolist()) > PRESSES:
            goal = (goal[0], goal[1], max(goal[2], at[2] - self.ENTRY))
        return self.hand.towards(observation, goal, turn=turn)

    def _goal(self, observation: Observation, at: Vector, hole: Vector, turn: Quaternion | None) -> Vector:
        x, y, mouth = hole
        height, beside = at[2] - mouth, aside(at, hole)
        missing = beside + self.LEVER * crooked(turn, observation)
        now = 0.7 * float(observation.tool_target_in_base[2]) + 0.3 * at[2]
        if height < -self.INSIDE and beside < self.LOST:
            return x, y, mouth - DEPTH - 0.005
        if beside > self.FAR and height < self.HOVER:
            return at[0], at[1], mouth + 2.0 * self.HOVER
        if missing > self.LOST or (missing > self.FINE and now < mouth):
            return x, y, mouth + self.HOVER
        floor = min(self.FUNNEL * max(missing - self.FINE, 0.0), self.HOVER)
        step = self.ENTRY if height < self.HOVER else 0.01
        # down as far as the funnel allows, else wait: going up again would stir what has to settle
        return x, y, min(now, max(mouth + floor, now - step)) if floor else now - step


def _in_hand(observation: Observation, thing: str) -> bool:
    return observation.gripper > GAP and math.dist(tool(observation), place_of(observation, thing)) < 0.05
