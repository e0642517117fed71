"""The devices that have a name: how each is opened from its settings (robot_rlhf/device.py)."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from robot_rlhf.datatypes import ActionLayout
from robot_rlhf.device import DeviceConfig, Forward
from robot_rlhf.errors import ConfigError
from robot_rlhf_hardware.dynamixel import DynamixelJoints
from robot_rlhf_hardware.leader_arm import LeaderArm, PolledJoints
from robot_rlhf_hardware.spacemouse import SpaceMouse


def open_spacemouse(config: DeviceConfig, layout: ActionLayout, forward: Forward | None) -> SpaceMouse:
    """A 3Dconnexion 3D mouse; raises DeviceError when there is none."""
    return SpaceMouse.open(layout, facing=config.facing)


@contextmanager
def open_leader(config: DeviceConfig, layout: ActionLayout, forward: Forward | None) -> Generator[LeaderArm]:
    """A leader arm with Dynamixel servos.

    Raises:
        ConfigError: no kinematics.
        DeviceError: it does not answer.
    """
    if forward is None:
        raise ConfigError("console.device.kind: a leader arm needs the arm's kinematics, which are not known here")
    servos = DynamixelJoints(
        config.port,
        config.ids,
        zeros=config.zeros or None,
        signs=config.signs or None,
        gripper_id=config.gripper_id,
    )
    with PolledJoints(servos) as joints:
        yield LeaderArm(joints, forward, layout)
