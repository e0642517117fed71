"""The tool's pose from transforms: a small tf buffer of the newest ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from hardware.ros.messages import MessageError, Numbers, seconds_of, transform_of
from robot_rlhf.safety import rotation
from robot_rlhf.safety.rotation import Quaternion, Vector

LONGEST_CHAIN = 64


class Frames:
    """The newest transform of each frame in its parent."""

    def __init__(self) -> None:
        self._newest: dict[str, tuple[str, Numbers, float]] = {}
        """Child to parent, pose in it, and stamp; a fixed one has the stamp inf."""

    def take(self, message: Any, *, fixed: bool) -> None:
        """Args: message: tf2_msgs/TFMessage. Raises MessageError when a transform is none."""
        for told in message.transforms:
            stamp = float("inf") if fixed else seconds_of(told.header.stamp)
            child, parent = told.child_frame_id.lstrip("/"), told.header.frame_id.lstrip("/")
            self._newest[child] = parent, transform_of(told.transform), stamp

    def pose(self, base: str, tool: str) -> tuple[Numbers, float] | None:
        """Pose of the tool in the base, and the stamp of the oldest transform between them; None while they are not
        connected.

        Raises:
            MessageError: the frames form a loop.
        """
        chain: list[Numbers] = []
        oldest, frame = float("inf"), tool
        while frame != base:
            if frame not in self._newest:
                return None
            if len(chain) == LONGEST_CHAIN:
                raise MessageError("tf", f"a chain of {len(chain)} frames above {tool!r}", f"one that ends at {base!r}")
            frame, pose, stamp = self._newest[frame]
            chain.append(pose)
            oldest = min(oldest, stamp)
        whole = np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
        for pose in chain:
            whole = composed(pose, whole)
        return whole, oldest


def composed(outer: Numbers, inner: Numbers) -> Numbers:
    """The pose `inner`, given in the frame whose pose is `outer`, in the frame of `outer`. Shape (7,)."""
    q = quaternion(outer)
    shifted = rotation.rotate(q, vector(inner))
    turned = rotation.normalise(rotation.multiply(q, quaternion(inner)))
    return np.array([*(outer[:3] + shifted), *turned])


def quaternion(pose: Numbers) -> Quaternion:
    """The orientation of a pose (7,)."""
    w, x, y, z = pose[3:7].tolist()
    return (w, x, y, z)


def vector(values: Numbers) -> Vector:
    """The first three numbers."""
    x, y, z = values[:3].tolist()
    return (x, y, z)
