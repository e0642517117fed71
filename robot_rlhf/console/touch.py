"""What the hand feels, told from the robot's own senses alone: opening, its command, and the force at the tool."""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

from robot_rlhf.console.wire import Present
from robot_rlhf.datatypes import whole_episode

Feeling = Literal["", "touching", "holding"]
FORCE = 1.5
"""N beyond what was felt when the episode began, from which on the tool touches something."""
AT_REST = 0.15
"""Seconds for which fingers that were told to close must stand still to be held apart by something."""
STILL = 0.01
"""Change of the opening that counts as standing still, of 1."""
EMPTY = 0.04
"""Opening at which closed fingers hold nothing, of 1."""


class Touch:
    """Follows one hand. Holding: told to close, it stands still before it is closed. Touching: a force has come up."""

    def __init__(self) -> None:
        self._episode = ""
        self._rest: tuple[float, ...] = (0.0, 0.0, 0.0)
        self._openings: deque[tuple[float, float]] = deque(maxlen=64)
        """Stamp and opening since the fingers were told to close."""

    def feel(self, present: Present) -> Feeling:
        """Take in the newest situation."""
        if present.tool_wrench is None:
            self._openings.clear()
            return ""
        force, episode = present.tool_wrench[:3], whole_episode(present.episode)
        if episode != self._episode:
            self._episode, self._rest = episode, force
            self._openings.clear()
        if self._holds(present):
            return "holding"
        return "touching" if math.dist(force, self._rest) > FORCE else ""

    def _holds(self, present: Present) -> bool:
        if present.gripper_target >= 0.5 or (self._openings and present.observed < self._openings[-1][0]):
            self._openings.clear()
        if present.gripper_target >= 0.5 or present.gripper <= EMPTY:
            return False
        now = present.observed
        self._openings.append((now, present.gripper))
        before = [opening for stamp, opening in self._openings if stamp <= now - AT_REST]
        return bool(before) and abs(before[-1] - present.gripper) < STILL
