"""A person's device at the robot's machine, beside the console: one that has a name, or one of your own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robot_rlhf.datatypes import ActionLayout
from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf.naming import OWN, find_own, is_own, make_own
from robot_rlhf.ports import Monitor, Teleop
from robot_rlhf.ranges import Range, check_ranges

Forward = Callable[[NDArray[np.float64]], ArrayLike]
"""Joint positions, rad, (n,) to the tool's pose x, y, z, qw, qx, qy, qz (7,)."""
NO_DEVICE = "none"
DEVICES = {
    "spacemouse": "robot_rlhf_hardware.devices:open_spacemouse",
    "leader": "robot_rlhf_hardware.devices:open_leader",
}
"""Names to what opens them."""
SERVO = Range(0, 252)
"""Ids that a Dynamixel servo may have."""


class Device(Teleop, Monitor, Protocol):
    """Hands that want to know where the robot is."""


@dataclass(frozen=True)
class DeviceConfig:
    """A device at the robot's machine."""

    kind: str = NO_DEVICE
    """none; spacemouse: a 3Dconnexion 3D mouse; leader: a small arm of the robot's kinematics with Dynamixel servos; or
    module:function or file.py:function of your own, function(config, layout, forward) -> context manager of a Device
    (robot_rlhf/device.py)."""
    facing: float = 0.0
    """SpaceMouse: the person's direction of view, rad about the base's z: 0 behind the robot, 3.14 opposite it."""
    port: str = ""
    """Leader: serial port of its adapter, for example /dev/ttyUSB0."""
    ids: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)
    """Leader: ids of the joints' servos, in order."""
    gripper_id: int | None = 8
    """Leader: id of the trigger's servo; squeezing it is the clutch."""
    zeros: tuple[float, ...] = ()
    """Leader: what each servo measures where its joint is 0, rad; empty for 0."""
    signs: tuple[int, ...] = ()
    """Leader: 1 or -1 per joint; empty for 1."""

    def __post_init__(self) -> None:
        if self.kind not in (NO_DEVICE, *DEVICES) and not is_own(self.kind):
            raise UnknownNameError("console.device.kind", self.kind, (NO_DEVICE, *DEVICES, OWN))
        check_ranges(self, "console.device", facing=Range(-1e3, 1e3), zeros=Range(-1e3, 1e3))
        check_ranges(self, "console.device", ids=SERVO, gripper_id=SERVO)
        if not set(self.signs) <= {1, -1}:
            raise ConfigError(f"console.device.signs: got {self.signs}, allowed 1 or -1, each")
        if self.kind == "leader" and not self.port:
            raise ConfigError("console.device.port: missing; a leader arm is read over a serial port")


def open_device(
    config: DeviceConfig, layout: ActionLayout, forward: Forward | None
) -> AbstractContextManager[Device] | None:
    """The device, not yet entered; None when there is to be none.

    Args:
        layout: of the actions that its hands give.
        forward: the arm's kinematics, which a leader arm needs; None where it is not known.

    Raises:
        ConfigError: a leader arm without kinematics; one of your own that cannot be made, or is no context manager.
        DeviceError: it is not there, or its package is not installed.
    """
    if config.kind == NO_DEVICE:
        return None
    what = "console.device.kind"
    found = find_own(DEVICES.get(config.kind, config.kind), what, (NO_DEVICE, *DEVICES))
    made: Any = make_own(found, config.kind, what, config, layout, forward)
    if not isinstance(made, AbstractContextManager):
        raise ConfigError(f"{what} {config.kind!r}: made a {type(made).__name__}, allowed: a context manager")
    return made
