"""The tool's pose from transforms: a small tf buffer of the newest ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_rlhf.safety import rotation
from robot_rlhf.safety.rotation import Quaternion, Vector
from robot_rlhf_hardware.ros.messages import MessageError, Numbers, seconds_of, transform_of

LONGEST_CHAIN = 64


class Frames:
    """The newest transform of each frame in its parent."""

    def __init__(self) -> None:
        self._newest: dict[str, tuple[str, Numbers, float]] = {}
        """Child to parent, pose in it, and stamp; a fixed one has the stamp inf."""
        self._bad: dict[str, MessageError] = {}
        """Why the last transform of a child could not be used; it matters only to who needs it."""

    def take(self, message: Any, *, fixed: bool) -> frozenset[str]:
        """Keep what a message tells; a transform that is none is dropped, and told by `pose` of what hangs on it.

        Args:
            message: tf2_msgs/TFMessage.

        Returns:
            the child frames that it told of.
        """
        children: set[str] = set()
        for told in message.transforms:
            stamp = float("inf") if fixed else seconds_of(told.header.stamp)
            child, parent = told.child_frame_id.lstrip("/"), told.header.frame_id.lstrip("/")
            children.add(child)
            try:
                self._newest[child] = parent, transform_of(told.transform), stamp
                self._bad.pop(child, None)
            except MessageError as error:
                self._bad[child] = error
        return frozenset(children)

    def chain(self, base: str, tool: str) -> list[str]:
        """The frames from the tool up to below the base; empty while they are not connected."""
        found: list[str] = []
        frame = tool
        while frame != base and frame in self._newest and len(found) <= LONGEST_CHAIN:
            found.append(frame)
            frame = self._newest[frame][0]
        if frame in self._bad:  # above it nothing is known
            return [*found, frame]
        return found if frame == base else []

    def pose(self, base: str, tool: str) -> tuple[Numbers, float] | None:
        """Pose of the tool in the base, and the stamp of the oldest transform between them; None while they are not
        connected.

        Raises:
            MessageError: the frames form a loop, or a transform between them could not be used.
        """
        chain: list[Numbers] = []
        oldest, frame = float("inf"), tool
        while frame != base:
            if frame in self._bad:
                raise MessageError(f"/tf: {frame}", str(self._bad[frame]), "a transform")
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
