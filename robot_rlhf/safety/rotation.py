"""Rotations as unit quaternions (w, x, y, z) and rotation vectors, in plain floats: small numpy arrays cost more.

`exp` and `log` are inverses, and so are `multiply` by q and by `conjugate(q)`, and `rotate` by either.
"""

from __future__ import annotations

import math

from robot_rlhf.errors import InvalidValueError

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]

IDENTITY: Quaternion = (1.0, 0.0, 0.0, 0.0)
POINTING_DOWN: Quaternion = (0.0, 1.0, 0.0, 0.0)
"""Half a turn about x: the tool's +z looks along (0, 0, -1)."""


def multiply(a: Quaternion, b: Quaternion) -> Quaternion:
    """The rotation b followed by the rotation a, both in the base frame."""
    aw, ax, ay, az = a
    bw, bx, by, bz = b
    return (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )


def conjugate(q: Quaternion) -> Quaternion:
    """The inverse rotation of a unit quaternion."""
    return (q[0], -q[1], -q[2], -q[3])


def normalise(q: Quaternion) -> Quaternion:
    """The unit quaternion nearest to q.

    Raises:
        InvalidValueError: q is zero and names no rotation.
    """
    size = math.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3])
    if not size > 1e-9:
        raise InvalidValueError("quaternion", q, "four numbers that are not all zero")
    scale = 1.0 / size
    return (q[0] * scale, q[1] * scale, q[2] * scale, q[3] * scale)


def exp(rotation: Vector) -> Quaternion:
    """The quaternion of a rotation vector (axis times angle, rad)."""
    x, y, z = rotation
    angle = math.sqrt(x * x + y * y + z * z)
    # sin(angle / 2) / angle loses all digits near zero; its series does not.
    factor = math.sin(0.5 * angle) / angle if angle > 1e-6 else 0.5 - angle * angle / 48.0
    return (math.cos(0.5 * angle), x * factor, y * factor, z * factor)


def log(q: Quaternion) -> Vector:
    """The shortest rotation vector of a unit quaternion, rad; its length is at most pi."""
    w, x, y, z = q if q[0] >= 0.0 else (-q[0], -q[1], -q[2], -q[3])
    sine = math.sqrt(x * x + y * y + z * z)
    factor = 2.0 * math.atan2(sine, w) / sine if sine > 1e-9 else 2.0
    return (x * factor, y * factor, z * factor)


def difference(new: Quaternion, old: Quaternion) -> Vector:
    """The rotation vector d in the base frame with multiply(exp(d), old) == new, rad."""
    return log(multiply(new, conjugate(old)))


def rotate(q: Quaternion, v: Vector) -> Vector:
    """The vector v turned by q."""
    _, x, y, z = multiply(multiply(q, (0.0, *v)), conjugate(q))
    return (x, y, z)


def approach_axis(q: Quaternion) -> Vector:
    """Where the tool's +z axis points, in the base frame."""
    w, x, y, z = q
    return (2.0 * (x * z + w * y), 2.0 * (y * z - w * x), w * w - x * x - y * y + z * z)


def tilt(q: Quaternion) -> float:
    """Angle between the tool's approach axis and straight down, rad, in [0, pi]."""
    # cos(tilt) = -(w2 - x2 - y2 + z2); the half-angle form keeps its digits near 0 and near pi.
    upright = math.hypot(q[0], q[3])
    downward = math.hypot(q[1], q[2])
    return 2.0 * math.atan2(upright, downward)
