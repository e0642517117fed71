"""Mere motions: left, up, turned, opened; which entries of an action they mean, and until when."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import ActionLayout, Array, Observation, RobotSpec
from robot_rlhf.facts import View
from robot_rlhf.meaning import GRIPS, MOVES, TURNS, Frame, Meaning
from robot_rlhf.safety.rotation import POINTING_DOWN, Quaternion, Vector, conjugate, difference, rotate
from robot_rlhf.skills.hand import GRIPPER, MOTIONS, TURNINGS

USUAL_WAY, USUAL_TURN = 0.04, math.radians(15.0)
"""How far, m and rad, where no amount is said."""
NAMED = 0.02
"""A direction names an entry of the action of which it has more than this share."""
MISSED = 0.2
"""Share of a direction that a robot need not be able to move."""
ENOUGH = 0.003, 0.02
"""What may be left of a motion, m, and of a turn, rad, when it counts as done."""
GRIPS_FOR = 0.5
"""Seconds for which fingers are held open or closed."""
SLACK = 3.0
"""A motion that lasts so many times as long as it should, and half a second, has met something."""

_OWN_AXES: Mapping[str, Vector] = MappingProxyType(
    {
        "left": (0.0, 1.0, 0.0),
        "right": (0.0, -1.0, 0.0),
        "forward": (1.0, 0.0, 0.0),
        "back": (-1.0, 0.0, 0.0),
        "up": (0.0, 0.0, 1.0),
        "down": (0.0, 0.0, -1.0),
        "turn_left": (0.0, 0.0, 1.0),
        "turn_right": (0.0, 0.0, -1.0),
    }
)
"""Of who sits on the robot's base and looks along its x axis, or on a tool that points down."""


def way(reading: str, frame: Frame, view: View, tool_rotation: Quaternion | None = None) -> Vector:
    """The direction of a motion, or the axis of a turn, in the base frame, of length 1.

    Args:
        reading: one of MOVES or TURNS.
        view: of whoever says it; forward is away from them.
        tool_rotation: orientation of the tool in the base frame; None: it points down.
    """
    x, y, z = _OWN_AXES[reading]
    if frame == "tool":
        return rotate(tool_rotation or POINTING_DOWN, (x, -y, -z))  # those axes, in a tool that points down
    if frame == "view":
        (rx, ry), (bx, by) = view.right, view.back
        return (x * bx - y * rx, x * by - y * ry, z)
    return x, y, z


def grounded(
    meaning: Meaning, layout: ActionLayout, view: View, tool_rotation: Quaternion | None = None
) -> tuple[Array, NDArray[np.bool_]] | None:
    """What of an action a mere motion means.

    Args:
        meaning: its reading is one of MOVES, TURNS or GRIPS.
        layout: of the robot's actions.
        view: of whoever says it; forward is away from them.
        tool_rotation: orientation of the tool in the base frame; None: it points down.

    Returns:
        Its direction, at full speed, and which entries it names. Shapes (m,). None: the robot cannot move so.
    """
    direction = np.zeros(layout.size, np.float32)
    if meaning.reading in GRIPS:
        mask = np.array([name == GRIPPER for name in layout.names])
        direction[mask] = 1.0 if meaning.reading == "open" else -1.0
        return (direction, mask) if mask.any() else None
    if meaning.reading not in (*MOVES, *TURNS) or layout.frame == "none":
        return None
    vector = way(meaning.reading, meaning.frame, view, tool_rotation)
    if layout.frame == "tool":
        vector = rotate(conjugate(tool_rotation or POINTING_DOWN), vector)
    names = MOTIONS if meaning.reading in MOVES else TURNINGS
    share = dict(zip(names, vector, strict=True))
    if any(abs(part) > MISSED and name not in layout.names for name, part in share.items()):
        return None
    wanted = np.array([share.get(name, 0.0) for name in layout.names])
    mask = np.abs(wanted) > NAMED
    steps = np.where(mask, wanted / layout.scale, 0.0)
    most = float(np.abs(steps).max(initial=0.0))
    if most == 0.0:
        return None
    return (steps / most).astype(np.float32), mask


class Nudge:
    """A mere motion under way: of the entries it names, until the tool has gone as far as was meant."""

    def __init__(self, meaning: Meaning, observation: Observation, spec: RobotSpec, view: View) -> None:
        """Raises ValueError where the robot cannot move so: `nudge_of` says it in words."""
        start = _rotation(observation.tool_pose_in_base)
        found = grounded(meaning, spec.action, view, start)
        if found is None:
            raise ValueError(meaning.words)
        self.words = meaning.words
        self.direction, self.mask = found
        """Of the action, at full speed; which entries of it are meant. Shapes (m,)."""
        self._turning = meaning.reading in TURNS
        self._gripping = meaning.reading in GRIPS
        self._start = observation
        self._axis = (0.0, 0.0, 0.0) if self._gripping else way(meaning.reading, meaning.frame, view, start)
        usual = USUAL_TURN if self._turning else USUAL_WAY
        self._amount = usual if meaning.amount is None else meaning.amount
        self._step = float(np.linalg.norm((self.direction * spec.action.scale)[self.mask]))
        seconds = self._amount / self._step * spec.control_period * SLACK + 0.5
        self._left = round((GRIPS_FOR if self._gripping else seconds) / spec.control_period)
        self._opens = spec.action.names.index(GRIPPER) if GRIPPER in spec.action.names else None

    def act(self, observation: Observation) -> Array | None:
        """The action of the next period, of which only the entries of `mask` are meant; None once it is done.

        Shape (m,).
        """
        gone = 0.0 if self._gripping else self._gone(observation.tool_pose_in_base)
        self._left -= 1
        if self._left < 0 or (not self._gripping and gone > self._amount - ENOUGH[self._turning]):
            return None
        size = 1.0
        if not self._gripping:
            # by the target alone: it is to stand where was meant when the tool, which lags it, nearly does
            sent = self._gone(observation.tool_target_in_base)
            size = float(np.clip((self._amount - sent) / self._step, -1.0, 1.0))
        values = (size * self.direction).astype(np.float32)
        if self._opens is not None and not self.mask[self._opens]:
            values[self._opens] = 1.0 if observation.gripper_target > 0.5 else -1.0
        return values

    def _gone(self, pose: Array) -> float:
        """How far a pose is along the way from where the tool was, m or rad."""
        start = self._start.tool_pose_in_base
        moved = difference(_rotation(pose), _rotation(start)) if self._turning else np.subtract(pose[:3], start[:3])
        return float(np.dot(moved, self._axis))


def nudge_of(meaning: Meaning, observation: Observation, spec: RobotSpec, view: View) -> Nudge | str:
    """A mere motion that begins now, or why there is none, in words."""
    if meaning.reading not in (*MOVES, *TURNS, *GRIPS):
        return f"{meaning.words}: no motion"
    if grounded(meaning, spec.action, view, _rotation(observation.tool_pose_in_base)) is None:
        return f"{meaning.words}: this robot moves only {', '.join(spec.action.names)}"
    return Nudge(meaning, observation, spec, view)


def _rotation(pose: Array) -> Quaternion:
    w, x, y, z = pose[3:7].tolist()
    return w, x, y, z
