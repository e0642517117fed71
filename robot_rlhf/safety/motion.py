"""How far a velocity may change in one period, and how fast a point may go and still stop in time."""

from __future__ import annotations

import math

from robot_rlhf.safety.rotation import Vector

ZERO: Vector = (0.0, 0.0, 0.0)


def add(a: Vector, b: Vector) -> Vector:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def subtract(a: Vector, b: Vector) -> Vector:
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def scaled(a: Vector, factor: float) -> Vector:
    return (a[0] * factor, a[1] * factor, a[2] * factor)


def dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def length(a: Vector) -> float:
    return math.sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2])


def shortened(a: Vector, longest: float) -> Vector:
    """The vector itself, or one of the same direction and the length `longest`."""
    size = length(a)
    return a if size <= longest else scaled(a, longest / size)


def clipped(a: Vector, lower: Vector, upper: Vector) -> Vector:
    return (
        min(max(a[0], lower[0]), upper[0]),
        min(max(a[1], lower[1]), upper[1]),
        min(max(a[2], lower[2]), upper[2]),
    )


def braking_speed(distance: float, deceleration: float, period: float) -> float:
    """Largest speed for this period from which a point still stops within the distance.

    The point moves speed * period per period, and its speed falls by deceleration * period each time. With the
    distance in units of deceleration * period**2, a speed of n + f periods of braking (0 <= f < 1) covers
    (n + 1) * (n + 2 f) / 2; this is the inverse of that, piecewise linear.

    Args:
        distance: m (or rad); 0 or less gives 0.
        deceleration: m/s^2 (or rad/s^2), above 0.
        period: seconds.
    """
    unit = deceleration * period * period
    ratio = distance / unit
    if ratio <= 0.0:
        return 0.0
    whole = math.floor((math.sqrt(1.0 + 8.0 * ratio) - 1.0) / 2.0)
    return (ratio / (whole + 1) + whole / 2.0) * deceleration * period


def approached(current: Vector, braked: Vector, wanted: Vector, change_max: float) -> Vector:
    """The velocity nearest to `wanted` on the line from `braked` that differs from `current` by at most change_max.

    `braked` must itself be that near to `current`. As the line between two velocities stays within any convex limit
    that holds both, so does the result.
    """
    if length(subtract(wanted, current)) <= change_max:
        return wanted
    start = subtract(braked, current)
    line = subtract(wanted, braked)
    square = dot(line, line)
    if square == 0.0:
        return braked
    half = dot(start, line)
    root = half * half - square * (dot(start, start) - change_max * change_max)
    share = (math.sqrt(max(root, 0.0)) - half) / square
    return add(braked, scaled(line, min(max(share, 0.0), 1.0)))
