"""What a simulated person's hands make of a wish: how fast they move, and what a keyboard leaves of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import ActionLayout, Observation
from robot_rlhf.safety.rotation import exp, multiply

Motion = NDArray[np.float32]
"""An action's values in [-1, 1]. Shape (m,)."""

KEY_SPEEDS = (0.25, 0.5, 1.0)
"""What a held key asks for at the console's slow, medium and full speed, as a share of the hands' fastest."""
KEYS_AT_ONCE = 2
"""Fingers that a person who looks at the robot, not at the keys, gets right."""
TOO_SMALL = 0.2
"""Share of the shortest tap below which a wish is left alone: a tap would make it worse."""
_PARTS = (("x", "y", "z"), ("rx", "ry", "rz"))
_SLACK = 1e-6


class Hands:
    """Turns what the person wants into what the controls say. The gripper's entry passes as it is.

    Keys are held or not, all at one speed; keys of the same part (moving, turning) that are held together share it, as
    on the console's page. A finger finds one more key, or another speed, every `change` seconds; letting go needs no
    finding. What was wanted and not moved is owed, so that small wishes become taps.
    """

    def __init__(self, layout: ActionLayout, *, keyboard: bool, speed: float, change: float, period: float) -> None:
        """
        Args:
            keyboard: at most two keys at a time and three speeds, in the place of a stick's directions.
            speed: largest share of an entry's full motion, above 0 to 1.
            change: seconds from one press of keys to the next.
            period: seconds between two calls.
        """
        self._moving = np.array([name != "gripper" for name in layout.names])
        self._parts = [np.array([name in part for name in layout.names]) for part in _PARTS]
        self._keyboard = keyboard
        self._speed = speed
        self._change = change
        self._period = period
        self.tap = KEY_SPEEDS[0] * speed if keyboard else 0.0
        """The shortest motion that they can make, as an action."""
        self.reset()

    def reset(self) -> None:
        """Hands off."""
        self._keys: Mapping[int, float] = {}
        self._since = np.inf
        self._owed = np.zeros(len(self._moving))
        self._wish = np.zeros(len(self._moving))

    def __call__(self, wish: Motion) -> Motion:
        """The motion of one period. Shapes (m,)."""
        moved = np.where(self._moving, np.clip(wish, -self._speed, self._speed), wish)
        if self._keyboard:
            moved = np.where(self._moving, self._typed(moved), wish)
        return moved.astype(np.float32)

    def _typed(self, wish: Motion) -> NDArray[np.float64]:
        worth = self._moving & (np.abs(wish) >= TOO_SMALL * self.tap)
        self._owed = np.where(wish * self._wish < 0.0, 0.0, self._owed) + np.where(worth, wish, 0.0)
        self._wish = wish
        self._since += self._period
        if self._since >= self._change - _SLACK:
            keys = self._found(self._keys_for(wish))
            if not keys.items() <= self._keys.items():
                self._since = 0.0
            self._keys = keys
        else:
            self._keys = {i: v for i, v in self._keys.items() if self._owed[i] * np.sign(v) >= 0.5 * abs(v)}
        motion = self._motion()
        self._owed = np.clip(self._owed - motion, -self._speed, self._speed)
        return motion

    def _found(self, wanted: Mapping[int, float]) -> Mapping[int, float]:
        """Of the keys that are wanted those that are down already, at another speed if need be, or else one more."""
        down = {i: v for i, v in wanted.items() if self._keys.get(i, 0.0) * v > 0.0}
        if any(self._keys[i] != v for i, v in down.items()):
            return down
        others = [i for i in wanted if i not in down]
        more = max(others, key=lambda i: abs(self._owed[i]), default=None)
        return down if more is None else {**down, more: wanted[more]}

    def _keys_for(self, wish: Motion) -> Mapping[int, float]:
        """The entries that are owed most, all at the speed nearest to the largest wish."""
        owed = np.where(self._moving & (self._owed * wish > 0.0), np.abs(self._owed), 0.0)
        largest = float(np.where(self._moving, np.abs(wish), 0.0).max())
        speed = min((self._speed * share for share in KEY_SPEEDS), key=lambda level: abs(level - largest))
        entries = sorted(np.argsort(-owed, kind="stable")[:KEYS_AT_ONCE].tolist())
        return {i: float(np.copysign(speed, self._owed[i])) for i in entries if owed[i] >= 0.5 * speed}

    def _motion(self) -> NDArray[np.float64]:
        """What the held keys move."""
        motion = np.zeros(len(self._moving))
        for entry, value in self._keys.items():
            motion[entry] = value
        for part in self._parts:
            held = np.count_nonzero(motion[part])
            motion[part] /= max(1.0, held**0.5)
        return motion


def anticipated(
    seen: Observation, layout: ActionLayout, motion: NDArray[np.floating], gripper: float | None = None
) -> Observation:
    """What will be when a motion that is under way has been made: people know what their fingers have set going.

    Args:
        seen: what the motion begins at.
        motion: sum of the actions under way, in the base frame. Shape (m,).
        gripper: the opening that was commanded; None: the one seen.
    """
    on = dict(zip(layout.names, (motion * layout.scale).tolist(), strict=True))
    shift = np.array([on.get(axis, 0.0) for axis in _PARTS[0]])
    rx, ry, rz = (on.get(axis, 0.0) for axis in _PARTS[1])
    turn = exp((rx, ry, rz))
    tool, target = (
        np.array([*(pose[:3] + shift), *multiply(turn, tuple(pose[3:].tolist()))])
        for pose in (seen.tool_pose_in_base, seen.tool_target_in_base)
    )
    opening = seen.gripper_target if gripper is None else gripper
    return replace(seen, tool_pose_in_base=tool, tool_target_in_base=target, gripper_target=opening)
