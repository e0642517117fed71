"""What is known of where things stand in a robot's pictures. What is not known stays None: nothing is guessed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from robot_rlhf.errors import InvalidValueError


@dataclass(frozen=True)
class CameraMount:
    """How a camera stands: an ideal one without distortion, whose optical axis meets the middle of the picture."""

    parent: Literal["base", "tool"]
    """'base' for a camera that stands still, 'tool' for one that moves with the tool."""
    rotation: tuple[float, ...]
    """Rotation matrix of its optical frame (x right, y down, z forward) in the parent's frame, row by row.
    Shape (9,)."""
    position: tuple[float, ...] | None = None
    """In the parent's frame, m; None when it is not known. Shape (3,)."""
    focal: float | None = None
    """Focal length in heights of the picture; None when it is not known."""

    def __post_init__(self) -> None:
        if self.parent not in ("base", "tool"):
            raise InvalidValueError("CameraMount.parent", self.parent, "'base' or 'tool'")
        for name, values, size in (("rotation", self.rotation, 9), ("position", self.position, 3)):
            if values is not None and not (len(values) == size and all(map(math.isfinite, values))):
                raise InvalidValueError(f"CameraMount.{name}", values, f"{size} finite numbers")
        if self.focal is not None and not 0.0 < self.focal < math.inf:
            raise InvalidValueError("CameraMount.focal", self.focal, "a number above 0")


@dataclass(frozen=True)
class Sight:
    """Cameras, table and hand of one place, as far as they are measured."""

    mounts: Mapping[str, CameraMount] = field(default_factory=dict[str, CameraMount])
    """By camera; one that is not calibrated is missing."""
    surface: float | None = None
    """Height in the base frame, m, of the level surface that is worked on."""
    grip_width: float | None = None
    """Between the fingers of the open gripper, m; they move along the tool's y axis, the tool point in their middle."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "mounts": {name: asdict(mount) for name, mount in self.mounts.items()}}

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> Sight:
        """The inverse of `to_json`.

        Raises:
            InvalidValueError: values that no camera has.
            KeyError, TypeError, AttributeError: no such data.
        """
        mounts = {
            name: CameraMount(
                parent=mount["parent"],
                rotation=tuple(mount["rotation"]),
                position=None if mount["position"] is None else tuple(mount["position"]),
                focal=mount["focal"],
            )
            for name, mount in fields["mounts"].items()
        }
        return Sight(mounts, fields["surface"], fields["grip_width"])
