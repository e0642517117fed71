"""What a task has to know of an arm: how its world is made, which joints lead the tool, how its fingers close."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Array, frozen_array
from robot_rlhf.errors import ConfigError, InvalidValueError

TOOL_DISTANCE = 0.1034
"""How far ahead of the frame of the body 'hand' the site 'tool' is, m."""


@dataclass(frozen=True, eq=False)
class Gripper:
    """Fingers that open and close together, led by the servos of their joints. k joints, a servos."""

    joints: tuple[str, ...]
    closed: NDArray[np.float64]
    """Positions of the joints of the closed hand, m or rad. Shape (k,)."""
    opened: NDArray[np.float64]
    """Of the open hand. Shape (k,)."""
    servos: tuple[str, ...]
    closing: NDArray[np.float64]
    """What the servos are told to close. Shape (a,)."""
    opening: NDArray[np.float64]
    """To open. Shape (a,)."""
    sides: tuple[tuple[str, ...], ...]
    """Bodies of each finger: what two fingers touch is grasped."""
    width: float | None = None
    """Between the fingers of the open hand, m; None when it is not known."""

    def __post_init__(self) -> None:
        for names, fields in (("joints", ("closed", "opened")), ("servos", ("closing", "opening"))):
            for name in fields:
                value = frozen_array(f"Gripper.{name}", getattr(self, name), (len(getattr(self, names)),), np.float64)
                object.__setattr__(self, name, value)
        if len(self.sides) < 2:
            raise InvalidValueError("Gripper.sides", self.sides, "the bodies of at least two fingers")


@dataclass(frozen=True, eq=False)
class ArmModel:
    """An arm on its table. n joints.

    Its world has a body 'hand', a site 'tool' in it, TOOL_DISTANCE ahead along z, the cameras 'front', 'side' and
    'wrist', and a table whose top is at height 0: what tasks build on.
    """

    name: str
    load: Callable[[], mujoco.MjSpec]
    """Makes the world anew, for a task to add its bodies to."""
    root: str
    """The body that carries the whole arm."""
    tool: str
    """The body whose contacts, and those of all that it carries, are felt at the tool."""
    joints: tuple[str, ...]
    """Those that lead the tool, from the base on."""
    servos: tuple[str, ...]
    """Their position servos, as many."""
    home: NDArray[np.float64]
    """Joint positions that what the tool does not need is pulled to, rad: the tool 20 cm above the table, pointing
    down. Shape (n,)."""
    speed_max: Array
    """rad/s. Shape (n,)."""
    gripper: Gripper | None = None

    def __post_init__(self) -> None:
        count = len(self.joints)
        if len(self.servos) != count:
            raise InvalidValueError("ArmModel.servos", len(self.servos), f"{count}, one per joint")
        object.__setattr__(self, "home", frozen_array("ArmModel.home", self.home, (count,), np.float64))
        object.__setattr__(self, "speed_max", frozen_array("ArmModel.speed_max", self.speed_max, (count,)))

    @property
    def joint_names(self) -> tuple[str, ...]:
        """As its maker calls them."""
        return tuple(name.rpartition("/")[2] for name in self.joints)

    def needs_gripper(self, task: str) -> None:
        """Raises ConfigError for an arm that has none."""
        if self.gripper is None:
            raise ConfigError(
                f"{task}: the arm {self.name} has no gripper (driven fingers beyond its last joint), which the task "
                "needs; allowed: an arm with one, or the built-in hand on it"
            )


def span(addresses: NDArray[np.integer]) -> slice | NDArray[np.intp]:
    """Addresses as a slice where they follow one another, so that a view can be had."""
    first, count = int(addresses[0]), len(addresses)
    if (addresses == np.arange(first, first + count)).all():
        return slice(first, first + count)
    return addresses.astype(np.intp)
