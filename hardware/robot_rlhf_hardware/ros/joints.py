"""The joints of a robot, put together from whatever messages tell of them: arm and gripper often have one each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from robot_rlhf_hardware.ros.messages import MessageError, Numbers, joints_of, stamp_of

BESIDE_AGE = 1.0
"""Seconds for which a gripper's joint counts that is told beside the arm's; grippers are slow to speak."""


class JointTable:
    """What was told last of each joint. `take` and `stamp` are for a Stream: `convert`, and the stamp of its value."""

    def __init__(self, names: Sequence[str], age_max: float, beside: Sequence[str] = ()) -> None:
        """
        Args:
            names: joints that must be told together within `age_max` seconds, by their stamps.
            beside: joints that may lag behind them by BESIDE_AGE.
        """
        self._names = (*names, *beside)
        self._ages = dict.fromkeys(names, age_max) | dict.fromkeys(beside, BESIDE_AGE)
        self._required = tuple(names)
        self._told: dict[str, tuple[float, float, float]] = {}
        """Position, velocity and stamp, by name."""
        self._first: float | None = None
        """Stamp of the first message that told of a joint."""

    def take(self, message: Any) -> tuple[Numbers, Numbers] | None:
        """Positions and velocities, in the order of the names, those beside last; None while they are not all told, and
        for a message of others.

        Raises:
            MessageError: as `joints_of`; a joint is no longer told, or never was.
        """
        found = joints_of(message, self._names)
        if not found:
            return None
        now = stamp_of(message)
        if self._first is None or now < self._first:  # the first, or time was set back
            self._first, self._told = now, {}
        self._told |= {name: (*values, now) for name, values in found.items()}
        for name, age in self._ages.items():
            since = now - (self._told[name][2] if name in self._told else self._first)
            if since > age:
                words = f"no joint {name!r} for {since:.2f} s, among {list(message.name)}"
                raise MessageError("JointState.name", words, f"each of {list(self._names)} within {age:g} s")
        if len(self._told) < len(self._names):
            return None
        position, velocity, _ = np.array([self._told[name] for name in self._names]).T
        return position.copy(), velocity.copy()

    def stamp(self, _: Any) -> float:
        """Of the oldest joint that must be told; seconds of ROS time."""
        return min(self._told[name][2] for name in self._required)

    def forget(self) -> None:
        """Nothing was told before now."""
        self._first, self._told = None, {}
