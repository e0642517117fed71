"""The person's device at the robot's machine, beside the console: a SpaceMouse or a leader arm."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Protocol

from hardware.dynamixel import DynamixelJoints
from hardware.leader_arm import LeaderArm, PolledJoints
from hardware.spacemouse import SpaceMouse
from robot_rlhf.apps.build import World
from robot_rlhf.apps.config import DeviceConfig
from robot_rlhf.datatypes import Situation
from robot_rlhf.ports import Monitor, Teleop


class Device(Teleop, Monitor, Protocol):
    """Hands that want to know where the robot is."""


def open_device(stack: ExitStack, config: DeviceConfig, world: World) -> Device | None:
    """The device, closed with the stack; None when there is to be none.

    Raises:
        DeviceError: it is not there, or its package is not installed.
    """
    layout = world.spec.action
    if config.kind == "spacemouse":
        return stack.enter_context(SpaceMouse.open(layout, facing=config.facing))
    if config.kind == "leader":
        servos = DynamixelJoints(
            config.port,
            config.ids,
            zeros=config.zeros or None,
            signs=config.signs or None,
            gripper_id=config.gripper_id,
        )
        joints = stack.enter_context(PolledJoints(servos))
        return LeaderArm(joints, world.task.arm.forward, layout)
    return None


class Monitors:
    """A Monitor that shows the present to several."""

    def __init__(self, *monitors: Monitor) -> None:
        self._monitors = monitors

    def show(self, situation: Situation) -> None:
        for monitor in self._monitors:
            monitor.show(situation)
