"""From actions to command targets and back: one mover per kind of command layout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

from robot_rlhf.datatypes import Observation, RobotSpec
from robot_rlhf.errors import ConfigError, InvalidValueError, ShapeError
from robot_rlhf.safety import rotation
from robot_rlhf.safety.limits import DirectLimits, ToolLimits
from robot_rlhf.safety.motion import ZERO, braking_speed, length, scaled, subtract
from robot_rlhf.safety.rotation import Quaternion, Vector
from robot_rlhf.safety.tool_target import ToolTarget, pose_of

_AXES = ("x", "y", "z", "rx", "ry", "rz")
_GRIPPER = "gripper"
_BRAKING = frozenset({"tool_acceleration", "turn_acceleration"})


class Mover(Protocol):
    """Holds what the robot is told, and changes it by actions within limits."""

    def anchor(self, observation: Observation) -> None:
        """Begin at rest from what is measured."""
        ...

    def advance(self, values: Sequence[float], observation: Observation) -> list[str]:
        """Change the target by an action; returns the names of the rules that clipped it."""
        ...

    def halt(self, observation: Observation) -> list[str]:
        """Come to rest, or stay there, for one period; returns the names of the rules that forbade that."""
        ...

    def target(self) -> list[float]:
        """What to command now, laid out as RobotSpec.command says."""
        ...

    def adopt(self, target: Sequence[float]) -> None:
        """The robot accepted another target than it was sent."""
        ...

    def executed(self) -> list[float]:
        """The action that the last change of the target amounts to, clipped to [-1, 1]."""
        ...

    def state(self) -> object:
        """What it holds at this moment, for `load`."""
        ...

    def load(self, state: Any) -> None:
        """Go on from a moment."""
        ...


class ToolMover:
    """Moves a tool pose by small motions in the base frame; a gripper entry >= 0 opens, < 0 closes."""

    def __init__(self, spec: RobotSpec, limits: ToolLimits) -> None:
        layout = spec.action
        unknown = [name for name in layout.names if name not in (*_AXES, _GRIPPER)]
        if unknown or len(set(layout.names)) != layout.size:
            raise ConfigError(
                f"ActionLayout.names {layout.names}: a tool is moved by distinct names out of {(*_AXES, _GRIPPER)}"
            )
        if layout.frame != "base":
            raise ConfigError(f"ActionLayout.frame {layout.frame!r}: the guard moves tools in frame 'base' only")
        if not (layout.scale > 0).all():
            raise ConfigError(f"ActionLayout.scale {layout.scale.tolist()}: every entry must be > 0")
        lower, upper = spec.command.lower[:3], spec.command.upper[:3]
        if (limits.workspace_lower < lower).any() or (limits.workspace_upper > upper).any():
            raise ConfigError(
                f"ToolLimits workspace {limits.workspace_lower.tolist()} to {limits.workspace_upper.tolist()} m is not "
                f"inside what the robot accepts, {lower.tolist()} to {upper.tolist()} m"
            )
        scale = dict(zip(layout.names, layout.scale.tolist(), strict=True))
        # Entry of the action and its scale for each of the six axes; entry -1 where the layout has none.
        self._axes = [(layout.names.index(a), scale[a]) if a in scale else (-1, 0.0) for a in _AXES]
        self._gripper = layout.names.index(_GRIPPER) if _GRIPPER in scale else -1
        self._size = layout.size
        self._limits = limits
        self._period = spec.control_period
        self._tool = ToolTarget(limits, spec.control_period)
        self._before: tuple[Vector, Quaternion] = (ZERO, rotation.IDENTITY)
        self.opening = 1.0
        """Commanded opening of the gripper, 0 closed to 1 open."""

    @property
    def tool(self) -> ToolTarget:
        return self._tool

    def anchor(self, observation: Observation) -> None:
        self._tool.anchor(observation.tool_pose_in_base.tolist())
        # The measured opening would let go of what is held: a grip is a target beyond what is measured.
        self.opening = min(max(observation.gripper_target, 0.0), 1.0)
        self._remember()

    def advance(self, values: Sequence[float], observation: Observation) -> list[str]:
        self._remember()
        x, y, z, rx, ry, rz = [values[i] * s if i >= 0 else 0.0 for i, s in self._axes]
        if self._gripper >= 0:
            self.opening = 1.0 if values[self._gripper] >= 0.0 else 0.0
        return self._tool.advance((x, y, z), (rx, ry, rz), observation)

    def approach(self, pose: Sequence[float], opening: float, observation: Observation) -> list[str]:
        """Change the target by one period of the fastest motion that stops at a pose of 7 numbers."""
        self._remember()
        self.opening = opening
        position, orientation = pose_of(pose)
        limits, period = self._limits, self._period
        path = subtract(position, self._tool.position)
        turn = rotation.difference(orientation, self._tool.orientation)
        return self._tool.advance(
            _towards(path, limits.tool_speed, limits.tool_acceleration / 2.0, period),
            _towards(turn, limits.turn_rate, limits.turn_acceleration / 2.0, period),
            observation,
        )

    def check_goal(self, pose: Sequence[float]) -> None:
        """Raise InvalidValueError for a goal that the limits do not allow."""
        if len(pose) != 7:
            raise ShapeError("goal pose", (len(pose),), (7,))
        (x, y, z), orientation = pose_of(pose)
        lower, upper = self._limits.workspace_lower.tolist(), self._limits.workspace_upper.tolist()
        if not all(low <= v <= high for v, low, high in zip((x, y, z), lower, upper, strict=True)):
            raise InvalidValueError("goal position", (x, y, z), f"inside the workspace, {lower} to {upper} m")
        if not rotation.tilt(orientation) <= self._limits.tilt_max:
            raise InvalidValueError("goal tilt", rotation.tilt(orientation), f"at most {self._limits.tilt_max} rad")

    def halt(self, observation: Observation) -> list[str]:
        self._remember()
        rules = self._tool.advance(ZERO, ZERO, observation)
        return [rule for rule in rules if rule not in _BRAKING]  # braking takes its time: that is what was asked for

    @property
    def braking_periods(self) -> int:
        """Periods in which the target comes to rest from any motion."""
        limits, period = self._limits, self._period
        straight = limits.tool_speed / (limits.tool_acceleration * period)
        return math.ceil(max(straight, limits.turn_rate / (limits.turn_acceleration * period)))

    def target(self) -> list[float]:
        return [*self._tool.position, *self._tool.orientation, self.opening]

    def adopt(self, target: Sequence[float]) -> None:
        self._tool.adopt(target[:7])
        self.opening = target[7]

    def executed(self) -> list[float]:
        position, orientation = self._before
        turned = ZERO
        if self._tool.orientation is not orientation:
            turned = rotation.difference(self._tool.orientation, orientation)
        values = [0.0] * self._size
        for (entry, scale), moved in zip(self._axes, (*subtract(self._tool.position, position), *turned), strict=True):
            if entry >= 0:
                values[entry] = min(max(moved / scale, -1.0), 1.0)
        if self._gripper >= 0:
            values[self._gripper] = 1.0 if self.opening >= 0.5 else -1.0
        return values

    def state(self) -> object:
        return self._tool.state(), self._before, self.opening

    def load(self, state: Any) -> None:
        tool, self._before, self.opening = state
        self._tool.load(tool)

    def _remember(self) -> None:
        self._before = (self._tool.position, self._tool.orientation)


class DirectMover:
    """Maps each action entry from [-1, 1] onto its command entry's bounds, at a limited rate.

    Begins at zero, or at the bound nearest to it: a native command says nothing about where the robot is. A gripper
    entry >= 0 goes to the upper bound, < 0 to the lower one.
    """

    def __init__(self, spec: RobotSpec, limits: DirectLimits) -> None:
        size = len(spec.command.names)
        if spec.action.size != size:
            raise ShapeError("ActionLayout.names of a direct robot", (spec.action.size,), (size,))
        if limits.rate_max.shape != (size,):
            raise ShapeError("DirectLimits.rate_max", limits.rate_max.shape, (size,))
        self._gripper = spec.action.names.index(_GRIPPER) if _GRIPPER in spec.action.names else -1
        self._lower: list[float] = spec.command.lower.tolist()
        self._upper: list[float] = spec.command.upper.tolist()
        self._rate: list[float] = limits.rate_max.tolist()
        self._rest = [min(max(0.0, low), high) for low, high in zip(self._lower, self._upper, strict=True)]
        self._target = self._rest

    def anchor(self, observation: Observation) -> None:
        del observation
        self._target = self._rest

    def advance(self, values: Sequence[float], observation: Observation) -> list[str]:
        del observation
        target: list[float] = []
        limited = False
        if self._gripper >= 0:
            values = [*values]
            values[self._gripper] = 1.0 if values[self._gripper] >= 0.0 else -1.0
        for value, old, low, high, rate in zip(values, self._target, self._lower, self._upper, self._rate, strict=True):
            wanted = min(max(low + 0.5 * (value + 1.0) * (high - low), low), high)
            allowed = min(max(wanted, old - rate), old + rate)
            limited = limited or allowed != wanted
            target.append(allowed)
        self._target = target
        return ["rate"] if limited else []

    def halt(self, observation: Observation) -> list[str]:
        """A native command is kept by sending it again."""
        del observation
        return []

    def target(self) -> list[float]:
        return self._target

    def adopt(self, target: Sequence[float]) -> None:
        self._target = list(target)

    def executed(self) -> list[float]:
        values = [
            min(max(2.0 * (value - low) / (high - low) - 1.0, -1.0), 1.0) if high > low else 0.0
            for value, low, high in zip(self._target, self._lower, self._upper, strict=True)
        ]
        if self._gripper >= 0:
            values[self._gripper] = 1.0 if values[self._gripper] >= 0.0 else -1.0
        return values

    def state(self) -> object:
        return tuple(self._target)

    def load(self, state: Any) -> None:
        self._target = list(state)


def mover_for(spec: RobotSpec, limits: ToolLimits | DirectLimits) -> Mover:
    """The mover of a robot's command layout.

    Raises:
        ConfigError: the limits belong to another kind of robot.
    """
    if spec.command.kind == "tool_pose" and isinstance(limits, ToolLimits):
        return ToolMover(spec, limits)
    if spec.command.kind == "direct" and isinstance(limits, DirectLimits):
        return DirectMover(spec, limits)
    needed = "ToolLimits" if spec.command.kind == "tool_pose" else "DirectLimits"
    raise ConfigError(f"{type(limits).__name__} cannot guard a {spec.command.kind!r} robot: it needs {needed}")


def _towards(path: Vector, fastest: float, deceleration: float, period: float) -> Vector:
    """The part of the path to go in this period, so that the motion ends at its end."""
    distance = length(path)
    step = min(fastest, braking_speed(distance, deceleration, period)) * period
    return path if distance <= step else scaled(path, step / distance)
