"""Poses in columns: x, y, z and a unit quaternion w, x, y, z per row; what a bag holds, and what an action changes.

N rows, float64. Orientations multiply as in `safety.rotation`: the right factor turns first, both in the outer frame.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]


def multiply(a: Rows, b: Rows) -> Rows:
    """The rotation b followed by the rotation a. Shapes (N, 4)."""
    aw, ax, ay, az = a.T
    bw, bx, by, bz = b.T
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=1,
    )


def conjugate(q: Rows) -> Rows:
    """The inverse rotations. Shape (N, 4)."""
    return q * np.array([1.0, -1.0, -1.0, -1.0])


def normalised(poses: Rows) -> Rows:
    """Poses whose quaternions have length 1 to the last digit. Shape (N, 7)."""
    length = np.linalg.norm(poses[:, 3:], axis=1, keepdims=True)
    return np.concatenate([poses[:, :3], poses[:, 3:] / length], axis=1)


def canonical(poses: Rows) -> Rows:
    """The same poses with qx >= 0, as robots report them: continuous while the tool points downward. Shape (N, 7)."""
    return np.where(poses[:, 4:5] >= 0.0, poses, poses * np.array([1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0]))


def rotation_vectors(q: Rows) -> Rows:
    """The shortest rotation vectors of unit quaternions, rad. Shape (N, 4) to (N, 3)."""
    q = np.where(q[:, :1] >= 0.0, q, -q)
    sine = np.linalg.norm(q[:, 1:], axis=1, keepdims=True)
    angle = 2.0 * np.arctan2(sine, q[:, :1])
    return q[:, 1:] * np.divide(angle, sine, out=np.full_like(sine, 2.0), where=sine > 1e-9)


def quaternions(turns: Rows) -> Rows:
    """The unit quaternions of rotation vectors; the inverse of rotation_vectors. Shape (N, 3) to (N, 4)."""
    angle = np.linalg.norm(turns, axis=1, keepdims=True)
    series = 0.5 - angle**2 / 48.0
    factor = np.divide(np.sin(0.5 * angle), angle, out=series, where=angle > 1e-6)
    return np.concatenate([np.cos(0.5 * angle), turns * factor], axis=1)


def rotate(q: Rows, vectors: Rows) -> Rows:
    """The vectors turned by the unit quaternions. Shapes (N, 4) and (N, 3)."""
    pure = np.concatenate([np.zeros((len(vectors), 1)), vectors], axis=1)
    return multiply(multiply(q, pure), conjugate(q))[:, 1:]


def compose(outer: Rows, inner: Rows) -> Rows:
    """Poses of frame C in A from those of B in A (outer) and of C in B (inner). Shapes (N, 7)."""
    position = outer[:, :3] + rotate(outer[:, 3:], inner[:, :3])
    return np.concatenate([position, multiply(outer[:, 3:], inner[:, 3:])], axis=1)


def inverse(poses: Rows) -> Rows:
    """Poses of A in B from those of B in A. Shape (N, 7)."""
    back = conjugate(poses[:, 3:])
    return np.concatenate([-rotate(back, poses[:, :3]), back], axis=1)


def motion(before: Rows, after: Rows) -> Rows:
    """From pose to pose: translation m, then rotation vector rad, both in the outer frame. Shapes (N, 7) to (N, 6)."""
    turned = rotation_vectors(multiply(after[:, 3:], conjugate(before[:, 3:])))
    return np.concatenate([after[:, :3] - before[:, :3], turned], axis=1)


def moved(poses: Rows, motions: Rows) -> Rows:
    """The inverse of motion: the poses after it. Shapes (N, 7) and (N, 6)."""
    turned = multiply(quaternions(motions[:, 3:]), poses[:, 3:])
    return np.concatenate([poses[:, :3] + motions[:, :3], turned], axis=1)
