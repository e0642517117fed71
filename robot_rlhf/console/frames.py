"""Frames in which a person types motion, and the way from them to the action's own frame.

Typed motion is (forward, left, up). Every matrix here has the directions of typed motion as its columns, in the robot's
base frame. Shape (3, 3), float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robot_rlhf.datatypes import frozen_array
from robot_rlhf.errors import InvalidValueError

Frame = Literal["base", "tool", "camera"]
FRAMES: tuple[Frame, ...] = ("base", "tool", "camera")
STEEP = math.sin(math.radians(60.0))
"""A camera that looks more steeply up or down than this has no useful 'away from the camera' in its picture."""

_Matrix = NDArray[np.float64]
_UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, eq=False)
class View:
    """What the meaning of a person's motion depends on, right now."""

    tool_pose: ArrayLike
    """x, y, z, qw, qx, qy, qz in the base frame; kept as a float64 array. Shape (7,)."""
    camera_rotation: ArrayLike | None = None
    """Rotation of the chosen camera's optical frame (x right, y down, z forward) to the base frame; None: unknown.
    Shape (3, 3)."""
    gripper_target: float = 1.0
    """Commanded opening: 0 closed, 1 open."""

    def __post_init__(self) -> None:
        pose = frozen_array("View.tool_pose", self.tool_pose, (7,), np.float64)
        object.__setattr__(self, "tool_pose", pose)
        if not 0.9 < np.linalg.norm(pose[3:]) < 1.1:
            raise InvalidValueError("View.tool_pose", pose.tolist(), "a pose whose quaternion has length 1")
        if self.camera_rotation is not None:
            turn = frozen_array("View.camera_rotation", self.camera_rotation, (3, 3), np.float64)
            if np.abs(turn @ turn.T - np.eye(3)).max() > 1e-3 or np.linalg.det(turn) < 0:
                raise InvalidValueError("View.camera_rotation", turn.tolist(), "a rotation matrix")
            object.__setattr__(self, "camera_rotation", turn)
        if not math.isfinite(self.gripper_target):
            raise InvalidValueError("View.gripper_target", self.gripper_target, "0 (closed) to 1 (open)")

    @property
    def tool_rotation(self) -> _Matrix:
        """Rotation of the tool's frame to the base frame. Shape (3, 3)."""
        return rotation_matrix(np.asarray(self.tool_pose, np.float64)[3:])


@dataclass(frozen=True, eq=False)
class Directions:
    """What typed motion means in the base frame."""

    moving: _Matrix
    """Columns: where forward, left and up lead. Shape (3, 3)."""
    turning: _Matrix
    """Columns: axes of rolling right, tipping forward and turning left. Shape (3, 3)."""


def directions(frame: Frame, view: View) -> Directions:
    """What typed motion means right now.

    - 'base': forward is +x (away from the robot's foot), left +y, up +z.
    - 'tool': along the tool's own axes, as a person standing behind the tool names them: forward is the tool's +x, up
      is its -z (back out, against the approach axis), left its -y. For a tool that points straight down, not turned,
      this is the base frame.
    - 'camera': as the picture shows it. Forward goes away from the camera, or up in the picture where the camera looks
      more than 60 degrees down; right goes right in the picture, at right angles to forward; both level. Up stays the
      base's z, and turning left is about it. An unknown camera means 'base'.
    """
    if frame == "tool":
        axes = view.tool_rotation @ np.diag([1.0, -1.0, -1.0])
        return Directions(axes, axes)
    if frame == "camera" and view.camera_rotation is not None:
        forward, right = _level(np.asarray(view.camera_rotation, np.float64))
        # Tipping the top towards a level direction turns about up x direction.
        turning = np.stack([np.cross(_UP, right), np.cross(_UP, forward), _UP], axis=1)
        return Directions(np.stack([forward, -right, _UP], axis=1), turning)
    return Directions(np.eye(3), np.eye(3))


def _level(camera: _Matrix) -> tuple[_Matrix, _Matrix]:
    """Level unit vectors of forward and right in a picture."""
    across, down, view = camera.T
    if abs(view[2]) <= STEEP:
        forward = view * (1.0, 1.0, 0.0)
    else:
        # Looking up, the far end of a level line is at the lower edge of the picture.
        forward = (-down if view[2] < 0 else down) * (1.0, 1.0, 0.0)
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, _UP)
    # In the picture of a camera that hangs upside down, the world's right is on the left.
    return forward, right if right @ across >= 0 else -right


def rotation_matrix(quaternion: ArrayLike) -> _Matrix:
    """Rotation matrix of a quaternion w, x, y, z of any length but 0. Shape (4,) -> (3, 3)."""
    q = np.asarray(quaternion, np.float64)
    w, x, y, z = (q / np.linalg.norm(q)).tolist()
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
