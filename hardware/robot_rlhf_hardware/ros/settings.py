"""From parameter values to the settings of a robot, its limits and its spec."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from robot_rlhf.datatypes import ActionLayout, CommandLayout, RobotSpec
from robot_rlhf.errors import ConfigError
from robot_rlhf.safety.limits import ToolLimits

S = TypeVar("S")


def settings_of(cls: type[S], values: Mapping[str, Any]) -> S:
    """A settings dataclass whose fields are named as parameters are."""
    return cls(**{field.name: values[field.name] for field in dataclasses.fields(cls)})  # type: ignore[arg-type]


@dataclass(frozen=True)
class RobotSettings:
    """The parameters of `hardware.ros.nodes.ROBOT` and the layout of actions; what they mean stands there."""

    joint_names: tuple[str, ...]
    joint_lower: tuple[float, ...]
    joint_upper: tuple[float, ...]
    joint_speed_max: tuple[float, ...]
    base_frame: str
    tool_frame: str
    tool_pose: str
    tool_twist: bool
    wrench: bool
    wrench_sign: int
    gripper_joint: str
    gripper_states: str
    gripper_closed: float
    gripper_open: float
    gripper_command: str
    gripper_effort: float
    cameras: tuple[str, ...]
    camera_transport: str
    camera_fit: str
    image_height: int
    image_width: int
    scene: tuple[str, ...]
    command: str
    twist_horizon: float
    state_age_max: float
    image_age_max: float
    image_same_max: float
    scene_age_max: float
    clock_error_max: float
    control_period: float
    action_names: tuple[str, ...]
    action_scale: tuple[float, ...]

    def __post_init__(self) -> None:
        n = len(self.joint_names)
        for name in ("joint_lower", "joint_upper", "joint_speed_max"):
            if len(getattr(self, name)) != n:
                raise ConfigError(f"parameter {name}: got {len(getattr(self, name))} numbers, allowed: {n}, as joints")
        if n == 0 or len(set(self.joint_names)) != n:
            raise ConfigError(f"parameter joint_names: got {list(self.joint_names)}, allowed: distinct names")
        if len(self.action_scale) != len(self.action_names):
            raise ConfigError(
                f"parameter action_scale: got {len(self.action_scale)} numbers, allowed: {len(self.action_names)}, "
                "as action_names"
            )
        if self.wrench_sign not in (1, -1):  # 0 would hide every force
            raise ConfigError(f"parameter wrench_sign: got {self.wrench_sign}, allowed: 1 or -1")
        if ("gripper" in self.action_names) != bool(self.gripper_joint):
            raise ConfigError("parameters gripper_joint and action_names: a gripper stands in both, or in neither")
        if self.gripper_joint and self.gripper_closed == self.gripper_open:
            raise ConfigError(f"parameter gripper_open: got {self.gripper_open}, allowed: another than gripper_closed")

    def spec(self, limits: ToolLimits) -> RobotSpec:
        """The robot as the policy sees it; commands are bounded by the workspace."""
        size = (self.image_height, self.image_width)
        return RobotSpec(
            joint_names=self.joint_names,
            position_lower=np.array(self.joint_lower, np.float32),
            position_upper=np.array(self.joint_upper, np.float32),
            speed_max=np.array(self.joint_speed_max, np.float32),
            control_period=self.control_period,
            action=ActionLayout(self.action_names, np.array(self.action_scale, np.float32)),
            command=CommandLayout(
                "tool_pose",
                ("x", "y", "z", "qw", "qx", "qy", "qz", "opening"),
                np.array([*limits.workspace_lower, -1, -1, -1, -1, 0]),
                np.array([*limits.workspace_upper, 1, 1, 1, 1, 1]),
            ),
            cameras=dict.fromkeys(self.cameras, size),
            scene=dict.fromkeys(self.scene, 7),
        )


def limits_of(values: Mapping[str, Any]) -> ToolLimits:
    """The guard's limits from the parameters `limits.*`; raises as ToolLimits does."""
    given = {name.removeprefix("limits."): value for name, value in values.items() if name.startswith("limits.")}
    for corner in ("workspace_lower", "workspace_upper"):
        given[corner] = np.array(given[corner], np.float64)
    return ToolLimits(**given)
