"""How a goal becomes an action, on whatever of a tool the robot can move."""

from __future__ import annotations

import math

import numpy as np

from robot_rlhf.datatypes import Action, ActionLayout, Observation
from robot_rlhf.safety.rotation import POINTING_DOWN, Quaternion, Vector, conjugate, difference, multiply, rotate

TRUST_TARGET = 0.7
"""Share of the commanded against the measured pose in what is servoed on: with the measured one alone it overshoots,
because an arm lags its target."""
TURN_LIMIT = math.radians(70.0)
"""How far the tool is turned at most to lie along a thing's sides."""
MOTIONS: tuple[str, ...] = ("x", "y", "z")
TURNINGS: tuple[str, ...] = ("rx", "ry", "rz")
GRIPPER = "gripper"


class Hand:
    """What of a tool the robot can move."""

    def __init__(self, layout: ActionLayout) -> None:
        self._names = layout.names
        self._scale = layout.scale.tolist()
        self._in_tool = layout.frame == "tool"
        motion = layout.frame != "none"
        self.crosses = motion and {"x", "y"} <= {*layout.names}
        """It moves over the table."""
        self.rises = self.crosses and "z" in layout.names
        """It also moves up and down."""
        self.turns = motion and "rz" in layout.names
        """It turns about the vertical."""
        self.tilts = motion and {*TURNINGS} <= {*layout.names}
        self.grips = GRIPPER in layout.names

    def towards(
        self,
        observation: Observation,
        position: Vector | None,
        *,
        turn: Quaternion | None = None,
        opening: float | None = None,
    ) -> Action:
        """The action that brings the tool to a goal pose, as fast as it can; what is not said rests.

        Args:
            position: in the base frame, m.
            turn: orientation in the base frame.
            opening: of the fingers, 0 or 1; None: as they are commanded.
        """
        target, tool = observation.tool_target_in_base.tolist(), observation.tool_pose_in_base.tolist()
        wish = dict.fromkeys((*MOTIONS, *TURNINGS), 0.0)
        if position is not None:
            step = _blend(_minus(position, target[:3]), _minus(position, tool[:3]))
            wish.update(zip(MOTIONS, self._framed(step, target), strict=True))
        if turn is not None:
            step = _blend(difference(turn, _quaternion(target)), difference(turn, _quaternion(tool)))
            wish.update(zip(TURNINGS, self._framed(step, target), strict=True))
        wide = (observation.gripper_target > 0.5) if opening is None else opening > 0.5
        values = [
            (1.0 if wide else -1.0) if name == GRIPPER else wish.get(name, 0.0) / scale
            for name, scale in zip(self._names, self._scale, strict=True)
        ]
        return Action(np.clip(values, -1.0, 1.0))

    def rest(self, observation: Observation, opening: float | None = None) -> Action:
        """Hold still."""
        return self.towards(observation, None, opening=opening)

    def _framed(self, vector: Vector, target: list[float]) -> Vector:
        return rotate(conjugate(_quaternion(target)), vector) if self._in_tool else vector

    def along(self, thing: float, observation: Observation) -> Quaternion | None:
        """Pointing down, turned along the sides of a square thing; None where the tool cannot turn.

        Args:
            thing: how it is turned about the vertical, rad.
        """
        if not self.turns:
            return None
        tool = yaw(multiply(_quaternion(observation.tool_pose_in_base.tolist()), POINTING_DOWN))
        nearest = tool + quarter(thing - tool)
        angle = nearest if abs(nearest) < TURN_LIMIT else quarter(thing)
        return multiply((math.cos(0.5 * angle), 0.0, 0.0, math.sin(0.5 * angle)), POINTING_DOWN)


def crooked(turn: Quaternion | None, observation: Observation) -> float:
    """How far the tool is still from an orientation, rad; 0 where none is asked for."""
    if turn is None:
        return 0.0
    return math.hypot(*difference(turn, _quaternion(observation.tool_pose_in_base.tolist())))


def yaw(q: Quaternion) -> float:
    """Angle about the vertical, rad, of what stands upright."""
    w, x, y, z = q
    return math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


def quarter(angle: float) -> float:
    """The equivalent angle of a square in [-45, 45) degrees, rad."""
    half = 0.25 * math.pi
    return (angle + half) % (0.5 * math.pi) - half


def _quaternion(pose: list[float]) -> Quaternion:
    w, x, y, z = pose[3:7]
    return w, x, y, z


def _minus(a: Vector, b: list[float]) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def _blend(from_target: Vector, from_tool: Vector) -> Vector:
    x, y, z = (TRUST_TARGET * a + (1.0 - TRUST_TARGET) * b for a, b in zip(from_target, from_tool, strict=True))
    return x, y, z
