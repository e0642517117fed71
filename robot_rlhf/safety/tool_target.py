"""The tool's pose target: accumulates small motions and keeps every one of them within ToolLimits."""

from __future__ import annotations

import math
from collections.abc import Sequence

from robot_rlhf.datatypes import Observation
from robot_rlhf.safety import rotation
from robot_rlhf.safety.limits import ToolLimits
from robot_rlhf.safety.motion import (
    ZERO,
    add,
    approached,
    braking_speed,
    clipped,
    length,
    scaled,
    shortened,
    subtract,
)
from robot_rlhf.safety.region import VelocityRegion
from robot_rlhf.safety.rotation import Quaternion, Vector

_SLACK = 1e-9


def pose_of(values: Sequence[float]) -> tuple[Vector, Quaternion]:
    """Position and orientation of a pose of 7 numbers."""
    x, y, z, qw, qx, qy, qz = values
    return (x, y, z), rotation.normalise((qw, qx, qy, qz))


class ToolTarget:
    """Where the tool shall be, with the velocity that brought it there.

    Speed, turn rate and workspace hold without exception: the target slows down early enough to stop at a wall.
    Acceleration limits bound whatever a policy or a person asks for. Only where no change within them keeps the target
    on its leash, from pushing against a contact force, or within the tilt, does it change by the least that does:
    what these guard against has happened already. A target that begins outside the box or the tilt may move inward
    only.
    """

    def __init__(self, limits: ToolLimits, period: float) -> None:
        self._limits = limits
        self._period = period
        self._lower: Vector = tuple(limits.workspace_lower.tolist())
        self._upper: Vector = tuple(limits.workspace_upper.tolist())
        # All three axes may have to brake at once, and share one limit.
        self._share = limits.tool_acceleration / math.sqrt(3.0)
        self._far = limits.tool_speed * (period + limits.tool_speed / (2.0 * self._share))
        self.position: Vector = ZERO
        """m, base frame."""
        self.orientation: Quaternion = rotation.POINTING_DOWN
        self.velocity: Vector = ZERO
        """m/s, base frame."""
        self.turning: Vector = ZERO
        """Angular velocity, rad/s, base frame."""

    def anchor(self, pose: Sequence[float]) -> None:
        """Put the target at rest at a pose of 7 numbers."""
        self.position, self.orientation = pose_of(pose)
        self.velocity = self.turning = ZERO

    def adopt(self, pose: Sequence[float]) -> None:
        """Take the pose that a robot really accepted as the target; velocities follow from it."""
        position, orientation = pose_of(pose)
        old = subtract(self.position, scaled(self.velocity, self._period))
        before = rotation.multiply(rotation.exp(scaled(self.turning, -self._period)), self.orientation)
        self.velocity = scaled(subtract(position, old), 1.0 / self._period)
        self.turning = scaled(rotation.difference(orientation, before), 1.0 / self._period)
        self.position, self.orientation = position, orientation

    def state(self) -> tuple[Vector, Quaternion, Vector, Vector]:
        """What it holds at this moment, for `load`."""
        return self.position, self.orientation, self.velocity, self.turning

    def load(self, state: tuple[Vector, Quaternion, Vector, Vector]) -> None:
        """Go on from a moment."""
        self.position, self.orientation, self.velocity, self.turning = state

    @property
    def at_rest(self) -> bool:
        return self.velocity == ZERO == self.turning

    def advance(self, shift: Vector, turn: Vector, observation: Observation) -> list[str]:
        """Move for one period by what is wished, as far as the limits allow.

        Args:
            shift: wished translation, m, base frame.
            turn: wished rotation vector, rad, base frame.
            observation: measured pose and force.

        Returns:
            Names of the rules that changed the wish; empty when it is executed exactly.
        """
        measured, facing = pose_of(observation.tool_pose_in_base.tolist())
        fx, fy, fz, *_ = observation.tool_wrench.tolist()
        rules: list[str] = []
        self._translate(shift, measured, (fx, fy, fz), rules)
        self._rotate(turn, facing, rules)
        return rules

    def _translate(self, shift: Vector, measured: Vector, force: Vector, rules: list[str]) -> None:
        limits, period = self._limits, self._period
        region = self._region(measured, force)
        wanted = scaled(shift, 1.0 / period)
        wanted = _noted(region.unpressed(wanted), wanted, "force_soft", rules)
        # A target that is too far ahead already is called back, not only held.
        wanted = _noted(region.shortened(wanted, limits.leash / period), wanted, "leash", rules)
        wanted = _bounded(wanted, limits.tool_speed, "tool_speed", rules)
        inside = clipped(wanted, region.lower, region.upper)
        _noted(inside, wanted, "workspace", rules)
        inside = region.shrunk(inside)
        change = limits.tool_acceleration * period
        last = region.nearest(shortened(self.velocity, limits.tool_speed))
        if length(subtract(last, self.velocity)) < change:
            last = approached(self.velocity, last, inside, change)
            _noted(last, inside, "tool_acceleration", rules)
        elif last != inside:
            # Neither what is wished nor the acceleration limit: what had to be kept says so.
            _noted(region.unpressed(self.velocity), self.velocity, "force_soft", rules)
            _noted(region.shortened(self.velocity), self.velocity, "leash", rules)
        self.velocity = last
        if last != ZERO:
            low, high = self._box()
            self.position = clipped(add(self.position, scaled(last, period)), low, high)

    def _region(self, measured: Vector, force: Vector) -> VelocityRegion:
        """What the workspace, the leash and a force leave for this period."""
        strength = length(force)
        behind = subtract(measured, self.position)
        lower, upper = self._room()
        return VelocityRegion(
            lower,
            upper,
            centre=scaled(behind, 1.0 / self._period),
            radius=max(self._limits.leash, length(behind)) / self._period,
            pressed=scaled(force, 1.0 / strength) if strength > self._limits.force_soft else None,
        )

    def _box(self) -> tuple[Vector, Vector]:
        """The workspace, widened to hold a target that began outside."""
        (x, y, z), (a, b, c), (d, e, f) = self.position, self._lower, self._upper
        return (min(a, x), min(b, y), min(c, z)), (max(d, x), max(e, y), max(f, z))

    def _room(self) -> tuple[Vector, Vector]:
        """Lowest and highest velocity per axis from which the target still stops inside the box."""
        lower, upper = self._box()
        dx, dy, dz = subtract(self.position, lower)
        ux, uy, uz = subtract(upper, self.position)
        brake = self._brake
        return (-brake(dx), -brake(dy), -brake(dz)), (brake(ux), brake(uy), brake(uz))

    def _brake(self, distance: float) -> float:
        """Largest speed along one axis at that distance from a wall; inf where the speed limit is lower."""
        return math.inf if distance >= self._far else braking_speed(distance, self._share, self._period)

    def _rotate(self, turn: Vector, facing: Quaternion, rules: list[str]) -> None:
        limits, period = self._limits, self._period
        lag = length(rotation.difference(self.orientation, facing))
        if turn == ZERO == self.turning and lag <= limits.leash_angle:
            return
        wanted = self._leashed_turn(scaled(turn, 1.0 / period), facing, lag, limits.leash_angle, rules)
        wanted = _bounded(wanted, limits.turn_rate, "turn_rate", rules)
        longest = max(limits.leash_angle, lag)
        wanted = self._kept(wanted, facing, lag, longest, rules)
        change = limits.turn_acceleration * period
        unsaid: list[str] = []
        kept = self._kept(shortened(self.turning, limits.turn_rate), facing, lag, longest, unsaid)
        last = kept
        if length(subtract(kept, self.turning)) < change:
            last = approached(self.turning, kept, wanted, change)
            _noted(last, wanted, "turn_acceleration", rules)
            # Rotations do not add like vectors: what lies between two that keep the limits is checked, too.
            last = self._between(kept, last, facing, longest)
        elif kept != wanted:
            rules.extend(rule for rule in unsaid if rule not in rules)
        self.turning = last
        if last != ZERO:
            self.orientation = self._turned(last)

    def _kept(self, turning: Vector, facing: Quaternion, lag: float, longest: float, rules: list[str]) -> Vector:
        """The angular velocity near another that keeps leash and tilt, and is not faster."""
        kept = turning
        for _ in range(8):
            kept = self._leashed_turn(self._untilted(kept, rules), facing, lag, longest, rules)
            if kept == turning:
                return kept
            kept = shortened(kept, length(turning))
            if self._keeps(kept, facing, longest):
                return kept
        return self._between(ZERO, kept, facing, longest)

    def _keeps(self, turning: Vector, facing: Quaternion, longest: float) -> bool:
        after = self._turned(turning)
        steepest = max(self._limits.tilt_max, rotation.tilt(self.orientation))
        return (
            rotation.tilt(after) <= steepest + _SLACK and length(rotation.difference(after, facing)) <= longest + _SLACK
        )

    def _between(self, inside: Vector, wanted: Vector, facing: Quaternion, longest: float) -> Vector:
        """The angular velocity nearest to `wanted`, on the way to it from one that keeps leash and tilt."""
        if self._keeps(wanted, facing, longest):
            return wanted
        way = subtract(wanted, inside)
        kept, broken = 0.0, 1.0
        for _ in range(20):
            middle = 0.5 * (kept + broken)
            if self._keeps(add(inside, scaled(way, middle)), facing, longest):
                kept = middle
            else:
                broken = middle
        return add(inside, scaled(way, kept))

    def _turned(self, turning: Vector) -> Quaternion:
        step = rotation.exp(scaled(turning, self._period))
        return rotation.normalise(rotation.multiply(step, self.orientation))

    def _leashed_turn(
        self, turning: Vector, facing: Quaternion, lag: float, longest: float, rules: list[str]
    ) -> Vector:
        """The angular velocity that leads no farther than `longest` from the measured orientation."""
        if lag + length(turning) * self._period <= longest:  # spares most periods the exact angle
            return turning
        away = rotation.difference(self._turned(turning), facing)
        angle = length(away)
        if angle <= longest + _SLACK:
            return turning
        _note("leash_angle", rules)
        goal = rotation.multiply(rotation.exp(scaled(away, longest / angle)), facing)
        return scaled(rotation.difference(goal, self.orientation), 1.0 / self._period)

    def _untilted(self, turning: Vector, rules: list[str]) -> Vector:
        """Without what would tilt the tool beyond its limit, or further beyond it."""
        tilt = rotation.tilt(self.orientation)
        steepest = max(self._limits.tilt_max, tilt)
        if tilt + length(turning) * self._period <= steepest:
            return turning
        excess = rotation.tilt(self._turned(turning)) - steepest
        if excess <= _SLACK:
            return turning
        _note("tilt", rules)
        for _ in range(4):
            ax, ay, _ = rotation.approach_axis(self._turned(turning))
            flat = math.hypot(ax, ay)
            if flat < _SLACK:
                return ZERO
            # Turning about (0, 0, -1) x approach axis raises the tilt.
            outward = (ay / flat, -ax / flat, 0.0)
            turning = subtract(turning, scaled(outward, (excess + _SLACK) / self._period))
            excess = rotation.tilt(self._turned(turning)) - steepest
            if excess <= _SLACK:
                break
        return turning


def _note(rule: str, rules: list[str]) -> None:
    if rule not in rules:
        rules.append(rule)


def _noted(velocity: Vector, wished: Vector, rule: str, rules: list[str]) -> Vector:
    """The velocity; where it is another than was wished, the rule changed it."""
    if velocity != wished:
        _note(rule, rules)
    return velocity


def _bounded(velocity: Vector, fastest: float, rule: str, rules: list[str]) -> Vector:
    """Not faster than the limit; a wish right at it, but for float32 rounding, is not a clip."""
    if length(velocity) > fastest * (1.0 + 1e-6):
        rules.append(rule)
    return shortened(velocity, fastest)
