"""The velocities that one period allows: a convex set that holds rest, and the way into it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from robot_rlhf.safety.motion import ZERO, add, clipped, dot, length, scaled, subtract
from robot_rlhf.safety.rotation import Vector

_SLACK = 1e-8
"""m/s; what rounding leaves of a bound."""


@dataclass(frozen=True)
class VelocityRegion:
    """A box, a ball and a half-space of velocities, m/s, base frame. Rest is in each of them, so it is in all."""

    lower: Vector
    """Lowest velocity per axis; at most 0."""
    upper: Vector
    """Highest velocity per axis; at least 0."""
    centre: Vector
    """Of the ball: the velocity that leads to the measured tool."""
    radius: float
    """Of the ball; at least the length of the centre."""
    pressed: Vector | None
    """Direction of a force that is not to be pushed against; None without one."""

    def holds(self, velocity: Vector) -> bool:
        (x, y, z), (a, b, c), (d, e, f) = velocity, self.lower, self.upper
        return (
            a - _SLACK <= x <= d + _SLACK
            and b - _SLACK <= y <= e + _SLACK
            and c - _SLACK <= z <= f + _SLACK
            and (self.pressed is None or dot(velocity, self.pressed) >= -_SLACK)
            and length(subtract(velocity, self.centre)) <= self.radius + _SLACK
        )

    def nearest(self, velocity: Vector) -> Vector:
        """The velocity of the region that differs least from another; never faster than that one.

        The ball's multiplier draws the velocity towards its centre, by the least that brings the projection onto the
        rest of the region into the ball; that is where the multiplier of a convex problem is found.
        """
        if self.holds(velocity):
            return velocity
        found = self._flat(velocity)
        if self.holds(found):
            return found
        way = subtract(self.centre, velocity)
        outside, inside = 0.0, 1.0
        for _ in range(45):
            middle = 0.5 * (outside + inside)
            found = self._flat(add(velocity, scaled(way, middle)))
            if length(subtract(found, self.centre)) <= self.radius:
                inside = middle
            else:
                outside = middle
        return self.shrunk(self._flat(add(velocity, scaled(way, inside))))

    def _flat(self, velocity: Vector) -> Vector:
        """The nearest velocity in the box and the half-space."""
        boxed = clipped(velocity, self.lower, self.upper)
        if self.pressed is None or dot(boxed, self.pressed) >= 0.0:
            return boxed
        # Along the force, the push of what is left in the box falls piecewise linearly: find the piece where it ends.
        walls = [
            (wall - v) / n
            for v, n, low, high in zip(velocity, self.pressed, self.lower, self.upper, strict=True)
            for wall in (low, high)
            if n != 0.0 and math.isfinite(wall)
        ]
        start, before = 0.0, dot(boxed, self.pressed)
        for end in sorted(wall for wall in walls if wall > 0.0):
            after = dot(self._along(velocity, end), self.pressed)
            if after >= 0.0:
                return self._along(velocity, start + (end - start) * before / (before - after))
            start, before = end, after
        slope = dot(self._along(velocity, start + 1.0), self.pressed) - before
        return self._along(velocity, start - before / slope) if slope > 0.0 else ZERO

    def _along(self, velocity: Vector, share: float) -> Vector:
        assert self.pressed is not None
        return clipped(add(velocity, scaled(self.pressed, share)), self.lower, self.upper)

    def shrunk(self, velocity: Vector) -> Vector:
        """The longest velocity of the region in the same direction."""
        if self.holds(velocity):
            return velocity
        inside, outside = 0.0, 1.0
        for _ in range(40):
            middle = 0.5 * (inside + outside)
            if self.holds(scaled(velocity, middle)):
                inside = middle
            else:
                outside = middle
        return scaled(velocity, inside)

    def shortened(self, velocity: Vector, radius: float | None = None) -> Vector:
        """The velocity nearest to another that is in the ball, or in one of another radius around its centre."""
        radius = self.radius if radius is None else radius
        away = subtract(velocity, self.centre)
        distance = length(away)
        if distance <= radius + 0.1 * _SLACK:
            return velocity
        return add(self.centre, scaled(away, radius / distance))

    def unpressed(self, velocity: Vector) -> Vector:
        """Without the component that pushes against the measured force."""
        if self.pressed is None:
            return velocity
        push = dot(velocity, self.pressed)
        return velocity if push >= 0.0 else subtract(velocity, scaled(self.pressed, push))
