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
    dot,
    length,
    scaled,
    shortened,
    subtract,
)
from robot_rlhf.safety.rotation import Quaternion, Vector

_SLACK = 1e-9


def pose_of(values: Sequence[float]) -> tuple[Vector, Quaternion]:
    """Position and orientation of a pose of 7 numbers."""
    x, y, z, qw, qx, qy, qz = values
    return (x, y, z), rotation.normalise((qw, qx, qy, qz))


class ToolTarget:
    """Where the tool shall be, with the velocity that brought it there.

    Speed, turn rate and workspace hold without exception: the target slows down early enough to stop at a wall.
    Acceleration limits bound whatever a policy or a person asks for; a contact force, the leash and the tilt may
    stop the target harder than that, because what they guard against has happened already. A target that begins
    outside the box or the tilt may move inward only.
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
        self.halt()

    def adopt(self, pose: Sequence[float]) -> None:
        """Take the pose that a robot really accepted as the target; velocities follow from it."""
        position, orientation = pose_of(pose)
        old = subtract(self.position, scaled(self.velocity, self._period))
        before = rotation.multiply(rotation.exp(scaled(self.turning, -self._period)), self.orientation)
        self.velocity = scaled(subtract(position, old), 1.0 / self._period)
        self.turning = scaled(rotation.difference(orientation, before), 1.0 / self._period)
        self.position, self.orientation = position, orientation

    def halt(self) -> None:
        """Set the velocity to zero."""
        self.velocity = self.turning = ZERO

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
        strength = length(force)
        pressed = scaled(force, 1.0 / strength) if strength > limits.force_soft else None
        wanted = self._unpressed(scaled(shift, 1.0 / period), pressed, rules)
        wanted = self._leashed(wanted, measured, limits.leash, rules)
        wanted = _bounded(wanted, limits.tool_speed, "tool_speed", rules)
        lower, upper = self._room()
        inside = clipped(wanted, lower, upper)
        if inside != wanted:
            rules.append("workspace")
        velocity = approached(
            self.velocity, clipped(self.velocity, lower, upper), inside, limits.tool_acceleration * period
        )
        if velocity != inside:
            rules.append("tool_acceleration")
        longest = max(limits.leash, length(subtract(self.position, measured)))
        last = self._leashed(self._unpressed(velocity, pressed, rules), measured, longest, rules)
        if last != velocity:
            last = clipped(last, lower, upper)
            if not self._allowed(last, measured, longest, pressed):
                last = ZERO
        self.velocity = last
        if last != ZERO:
            low, high = self._box()
            self.position = clipped(add(self.position, scaled(last, period)), low, high)

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

    def _unpressed(self, velocity: Vector, pressed: Vector | None, rules: list[str]) -> Vector:
        """Without the component that pushes against the measured force."""
        if pressed is None:
            return velocity
        push = dot(velocity, pressed)
        if push >= 0.0:
            return velocity
        _note("force_soft", rules)
        return subtract(velocity, scaled(pressed, push))

    def _leashed(self, velocity: Vector, measured: Vector, longest: float, rules: list[str]) -> Vector:
        """The velocity that leads no farther than `longest` from the measured tool."""
        away = subtract(add(self.position, scaled(velocity, self._period)), measured)
        distance = length(away)
        if distance <= longest + _SLACK:
            return velocity
        _note("leash", rules)
        goal = add(measured, scaled(away, longest / distance))
        return scaled(subtract(goal, self.position), 1.0 / self._period)

    def _allowed(self, velocity: Vector, measured: Vector, longest: float, pressed: Vector | None) -> bool:
        away = subtract(add(self.position, scaled(velocity, self._period)), measured)
        fast = length(velocity) > self._limits.tool_speed + _SLACK
        pushing = pressed is not None and dot(velocity, pressed) < -_SLACK
        return not fast and not pushing and length(away) <= longest + _SLACK

    def _rotate(self, turn: Vector, facing: Quaternion, rules: list[str]) -> None:
        limits, period = self._limits, self._period
        lag = length(rotation.difference(self.orientation, facing))
        if turn == ZERO == self.turning and lag <= limits.leash_angle:
            return
        wanted = self._leashed_turn(scaled(turn, 1.0 / period), facing, lag, limits.leash_angle, rules)
        wanted = _bounded(wanted, limits.turn_rate, "turn_rate", rules)
        turning = approached(self.turning, self.turning, wanted, limits.turn_acceleration * period)
        if turning != wanted:
            rules.append("turn_acceleration")
        slowest = length(turning)
        longest = max(limits.leash_angle, lag)
        last = self._leashed_turn(self._untilted(turning, rules), facing, lag, longest, rules)
        if last != turning:
            # Rotations do not add like vectors: what the two rules left is checked, and refused when in doubt.
            after = self._turned(last)
            steepest = max(limits.tilt_max, rotation.tilt(self.orientation))
            if (
                length(last) > slowest + _SLACK
                or rotation.tilt(after) > steepest + _SLACK
                or length(rotation.difference(after, facing)) > longest + _SLACK
            ):
                last = ZERO
        self.turning = last
        if last != ZERO:
            self.orientation = self._turned(last)

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


def _bounded(velocity: Vector, fastest: float, rule: str, rules: list[str]) -> Vector:
    """Not faster than the limit; a wish right at it, but for float32 rounding, is not a clip."""
    if length(velocity) > fastest * (1.0 + 1e-6):
        rules.append(rule)
    return shortened(velocity, fastest)
