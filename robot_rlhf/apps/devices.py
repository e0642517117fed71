"""The person's device at the robot's machine, beside the console: a SpaceMouse or a leader arm."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robot_rlhf.apps.config import DeviceConfig
from robot_rlhf.datatypes import ActionLayout, Situation
from robot_rlhf.errors import ConfigError
from robot_rlhf.ports import Monitor, Teleop
from robot_rlhf_hardware.dynamixel import DynamixelJoints
from robot_rlhf_hardware.leader_arm import LeaderArm, PolledJoints
from robot_rlhf_hardware.spacemouse import SpaceMouse

Forward = Callable[[NDArray[np.float64]], ArrayLike]
"""Joint positions, rad, (n,) to the tool's pose x, y, z, qw, qx, qy, qz (7,)."""


class Device(Teleop, Monitor, Protocol):
    """Hands that want to know where the robot is."""


def open_device(stack: ExitStack, config: DeviceConfig, layout: ActionLayout, forward: Forward | None) -> Device | None:
    """The device, closed with the stack; None when there is to be none.

    Args:
        forward: the arm's kinematics, which a leader arm needs; None where it is not known.

    Raises:
        ConfigError: a leader arm without kinematics.
        DeviceError: it is not there, or its package is not installed.
    """
    if config.kind == "spacemouse":
        return stack.enter_context(SpaceMouse.open(layout, facing=config.facing))
    if config.kind == "leader":
        if forward is None:
            raise ConfigError("console.device.kind: a leader arm needs the arm's kinematics, which are not known here")
        servos = DynamixelJoints(
            config.port,
            config.ids,
            zeros=config.zeros or None,
            signs=config.signs or None,
            gripper_id=config.gripper_id,
        )
        joints = stack.enter_context(PolledJoints(servos))
        return LeaderArm(joints, forward, layout)
    return None


class Monitors:
    """A Monitor that shows the present to several."""

    def __init__(self, *monitors: Monitor) -> None:
        self._monitors = monitors

    def show(self, situation: Situation) -> None:
        for monitor in self._monitors:
            monitor.show(situation)
