"""What the guard allows: every limit is required, so that leaving one out is an error and not a freedom."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import frozen_array
from robot_rlhf.errors import InvalidValueError, ShapeError


def _require_positive(owner: object, names: tuple[str, ...]) -> None:
    """Raise InvalidValueError for a field that is no finite number above zero."""
    for name in names:
        value = getattr(owner, name)
        if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
            raise InvalidValueError(f"{type(owner).__name__}.{name}", value, "a finite number > 0")


@dataclass(frozen=True, eq=False)
class ToolLimits:
    """Limits of a robot whose commands are tool poses in the base frame."""

    workspace_lower: NDArray[np.float64]
    """Lowest corner of the box that holds the tool target, m, base frame. Shape (3,)."""
    workspace_upper: NDArray[np.float64]
    """Highest corner of the box that holds the tool target, m, base frame. Shape (3,)."""
    tool_speed: float
    """Largest speed of the tool target, m/s."""
    turn_rate: float
    """Largest angular speed of the tool target, rad/s."""
    tool_acceleration: float
    """Largest acceleration of the tool target, m/s^2; what makes a hand-over bumpless."""
    turn_acceleration: float
    """Largest angular acceleration of the tool target, rad/s^2."""
    leash: float
    """Largest distance between the tool target and the measured tool, m."""
    leash_angle: float
    """Largest angle between the tool target and the measured tool, rad."""
    joint_margin: float
    """How far a measured joint may be outside its position limits before it is a fault, rad; 0 or more."""
    force_soft: float
    """Measured force above which the target moves no further against it, N."""
    force_hard: float
    """Measured force that is a fault, N."""
    torque_hard: float
    """Measured torque that is a fault, N m."""
    tilt_max: float
    """Largest angle between the tool's approach axis (its +z) and straight down (0, 0, -1), rad."""
    command_validity: float
    """Seconds for which a command is valid; without a newer one the robot then holds still by itself."""
    observation_age_max: float
    """Seconds after which an observation is stale."""
    jump_max: float
    """Largest plausible change of the measured tool position between two observations, m."""

    def __post_init__(self) -> None:
        for name in ("workspace_lower", "workspace_upper"):
            value = frozen_array(f"ToolLimits.{name}", getattr(self, name), (3,), np.float64)
            object.__setattr__(self, name, value)
        if not (self.workspace_lower < self.workspace_upper).all():
            raise InvalidValueError(
                "ToolLimits.workspace_lower", self.workspace_lower.tolist(), f"below {self.workspace_upper.tolist()}"
            )
        _require_positive(
            self,
            (
                *("tool_speed", "turn_rate", "tool_acceleration", "turn_acceleration", "leash", "leash_angle"),
                *("force_soft", "force_hard", "torque_hard", "tilt_max"),
                *("command_validity", "observation_age_max", "jump_max"),
            ),
        )
        if not (math.isfinite(self.joint_margin) and self.joint_margin >= 0):
            raise InvalidValueError("ToolLimits.joint_margin", self.joint_margin, "a finite number >= 0")
        if self.force_soft > self.force_hard:
            raise InvalidValueError("ToolLimits.force_soft", self.force_soft, f"at most force_hard, {self.force_hard}")
        for name in ("tilt_max", "leash_angle"):
            if getattr(self, name) > math.pi:
                raise InvalidValueError(f"ToolLimits.{name}", getattr(self, name), "at most pi")


@dataclass(frozen=True, eq=False)
class DirectLimits:
    """Limits of a robot whose commands are in native units, for example any Gymnasium environment."""

    rate_max: NDArray[np.float64]
    """Largest change of each command entry per control period; inf where any change is allowed. Shape (k,)."""
    command_validity: float
    """Seconds for which a command is valid."""
    observation_age_max: float
    """Seconds after which an observation is stale."""

    def __post_init__(self) -> None:
        rate = frozen_array("DirectLimits.rate_max", self.rate_max, (None,), np.float64, finite=False)
        if rate.size == 0:
            raise ShapeError("DirectLimits.rate_max", rate.shape, ("k >= 1",))
        if not (rate > 0).all():
            raise InvalidValueError("DirectLimits.rate_max", rate.tolist(), "numbers > 0, or inf")
        object.__setattr__(self, "rate_max", rate)
        _require_positive(self, ("command_validity", "observation_age_max"))


Limits = ToolLimits | DirectLimits

RULES = {
    "workspace": "the target would leave the workspace",
    "tool_speed": "the target would move too fast",
    "tool_acceleration": "the target's velocity would change too fast",
    "turn_rate": "the target would turn too fast",
    "turn_acceleration": "the target's turning would change too fast",
    "leash": "the target would be too far from the measured tool",
    "leash_angle": "the target would be turned too far from the measured tool",
    "tilt": "the tool would tilt too far from straight down",
    "force_soft": "the target would push on against the measured force",
    "rate": "the command would change too fast",
    "robot_limit": "the robot accepted another command than it was sent",
}
"""What each rule says when it changes a wish."""
