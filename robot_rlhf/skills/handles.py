"""Skills with handles: a bar before a drawer, hooked and pulled, or pushed shut."""

from __future__ import annotations

import math
from collections import deque

from robot_rlhf.datatypes import Action, Observation
from robot_rlhf.safety.rotation import Vector
from robot_rlhf.skills.closed_loop import ClosedLoop, Workplace, above_then_at, place_of, tool, yaw_of

HANDLE = "handle"
"""What names of bars that can be pulled have in them; such a bar is pulled along its own negative y axis."""
LASTS = 6.0
"""Seconds after which they give up."""
HOOK = 0.025
"""From the bar to where fingers hook in behind it, m."""
GAP = 0.044
"""From the bar to what it is fixed to, m."""
BEFORE = 0.03
"""From the bar to where fingers begin to push it, m."""
INNER = 0.097
"""From the bar to the middle of the drawer behind it, m."""
WIDE = 0.03
"""Half of a bar's width, m."""
LOW = 0.012
"""Fingers less than this above the bar are at its height, m."""
TRAVEL = 0.05
"""How high above the bar fingers travel, m."""
MOVED = 0.002
"""A bar that moves less than this in STUCK_FOR stands still, m."""
STUCK_FOR = 0.4


def is_handle(name: str) -> bool:
    return HANDLE in name


def moved_along(observation: Observation, handle: str, way: float) -> Vector:
    """The place that is so far behind a bar, m; before it where negative."""
    x, y, z = place_of(observation, handle)
    angle = yaw_of(observation, handle)
    return x - way * math.sin(angle), y + way * math.cos(angle), z


class _WithHandle(ClosedLoop):
    """Closed fingers at a bar, on one side of it, pushing to the other until it stands still."""

    SIDE: float
    """Where the fingers begin, behind the bar, m; before it where negative."""
    PUSHES: float
    """Where they aim from then on, m."""

    def __init__(self, words: str, at: Workplace, handle: str) -> None:
        super().__init__(words, at, LASTS)
        self._handle = handle
        self._seen: deque[Vector] = deque(maxlen=1 + self.periods(STUCK_FOR))

    def reached(self, observation: Observation) -> bool:
        if not self._hooked(observation):
            self._seen.clear()
            return False
        self._seen.append(place_of(observation, self._handle))
        full = len(self._seen) == self._seen.maxlen
        return full and math.dist(self._seen[0], self._seen[-1]) < MOVED

    def aim(self, observation: Observation) -> Action:
        if self._hooked(observation):
            goal = moved_along(observation, self._handle, self.PUSHES)
            return self.hand.towards(observation, goal, opening=0.0)
        begins = moved_along(observation, self._handle, self.SIDE)
        height = begins[2] + TRAVEL
        goal = above_then_at(observation, begins, height)
        clear = tool(observation)[2] > 0.8 * height or observation.gripper_target < 0.5
        return self.hand.towards(observation, goal, opening=0.0 if clear else None)

    def _hooked(self, observation: Observation) -> bool:
        along, beside, height = self._from_bar(observation)
        least, most = sorted((0.0, GAP if self.SIDE > 0.0 else 2.0 * self.SIDE))
        return beside < WIDE and least < along < most and height < LOW

    def _from_bar(self, observation: Observation) -> tuple[float, float, float]:
        """How far the tool is behind the bar, beside its middle, and above it, m."""
        at, bar, angle = tool(observation), place_of(observation, self._handle), yaw_of(observation, self._handle)
        dx, dy, dz = (a - b for a, b in zip(at, bar, strict=True))
        s, c = math.sin(angle), math.cos(angle)
        return dy * c - dx * s, abs(dx * c + dy * s), dz


class Pull(_WithHandle):
    """The fingers hooked behind a bar, and pulled as far as it goes."""

    SIDE, PUSHES = HOOK, HOOK - 0.04


class Shut(_WithHandle):
    """The fingers before a bar, and pushed as far as it goes."""

    SIDE, PUSHES = -BEFORE, 0.02
