"""Rotations as the simulation needs them beside the guard's: differences, yaw, and one sign per orientation."""

from __future__ import annotations

import math

from robot_rlhf.safety.rotation import (
    POINTING_DOWN,
    Quaternion,
    Vector,
    conjugate,
    exp,
    log,
    multiply,
    rotate,
)

__all__ = [
    "POINTING_DOWN",
    "Quaternion",
    "Vector",
    "about_z",
    "canonical",
    "conjugate",
    "difference",
    "exp",
    "log",
    "multiply",
    "rotate",
    "wrap",
    "yaw",
]


def difference(target: Quaternion, current: Quaternion) -> Vector:
    """Rotation vector in the base frame that brings current to target: target = exp(v) * current."""
    return log(multiply(target, conjugate(current)))


def canonical(q: Quaternion) -> Quaternion:
    """Unit length, and of the two signs the one with qx >= 0: continuous for a tool that points downward."""
    w, x, y, z = q
    k = 1.0 / math.sqrt(w * w + x * x + y * y + z * z)
    if x < 0.0:
        k = -k
    return (k * w, k * x, k * y, k * z)


def yaw(q: Quaternion) -> float:
    """Angle about the base's z, rad, of an object that stands upright."""
    w, x, y, z = q
    return math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


def about_z(angle: float) -> Quaternion:
    """A turn about the base's z."""
    return (math.cos(0.5 * angle), 0.0, 0.0, math.sin(0.5 * angle))


def wrap(angle: float, period: float = 2.0 * math.pi) -> float:
    """The equivalent angle in [-period / 2, period / 2)."""
    return (angle + 0.5 * period) % period - 0.5 * period
