"""A robot that judges what it is told: the guard's laws from outside, with arithmetic of its own.

It stands between a guard and a robot and sees the specification, the limits, what was observed, what is sent, and when
the robot was stopped; of the guard only which faults are latched, where somebody tells it. The laws:

- A command is in place and velocity the continuation of the one before. Only a robot that stands still begins anew, at
  rest, where an observation made *since then* saw it: after `stop`, and after a command that ran out.
- Workspace, speed and turn rate hold always; what begins outside a wall or the tilt goes inward only.
- Acceleration holds unless it alone could not keep the target on its leash, off a force, or within the tilt.
- A command rests on a fresh observation, is valid for `command_validity`, and is never sent while a fault is latched.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Command, Observation, RobotSpec
from robot_rlhf.ports import Robot
from robot_rlhf.safety.limits import DirectLimits, ToolLimits
from robot_rlhf.timing import Clock

Vector = NDArray[np.float64]
EPS = 1e-6
"""Rounding of positions, m or rad, and of what follows from them."""


@dataclass
class Told:
    """What the robot follows."""

    target: Vector
    valid_until: float
    velocity: Vector = field(default_factory=lambda: np.zeros(3))
    turning: Vector = field(default_factory=lambda: np.zeros(3))


@dataclass
class Motion:
    """One command, and what it is judged by."""

    before: Vector
    after: Vector
    measured: Vector
    velocity_before: Vector
    turning_before: Vector
    velocity: Vector
    turning: Vector
    force: Vector


class Oracle:
    """A Robot around another; keeps every broken law in `violations`, and counts them by name in `counts`."""

    def __init__(self, robot: Robot, limits: ToolLimits | DirectLimits, clock: Clock) -> None:
        self._robot = robot
        self._limits = limits
        self._clock = clock
        self._period = robot.spec.control_period
        self._lock = threading.Lock()
        self._seen: Observation | None = None
        self._told: Told | None = None
        self._still_since: float | None = None
        """When the robot was stopped; None while it follows commands, and before the first."""
        self._latched = False
        self.commands = 0
        self.stops = 0
        self.violations: list[str] = []
        self.counts: dict[str, int] = {}
        self.context = ""
        """What the violations that follow are said to belong to."""

    def __getattr__(self, name: str) -> object:
        return getattr(self._robot, name)

    # -- the robot ---------------------------------------------------------------------------------------------------

    @property
    def spec(self) -> RobotSpec:
        return self._robot.spec

    def observe(self) -> Observation:
        self._seen = seen = self._robot.observe()
        return seen

    def send(self, command: Command) -> Command:
        with self._lock:
            latched, stops = self._latched, self.stops
        if latched:
            self._broken("latched", "a command was sent while a fault is latched")
        told = self._judged(command)
        accepted = self._robot.send(command)
        if accepted is not command and np.abs(accepted.target - command.target).max() > 1e-9:
            told = self._adopted(told, accepted)
        with self._lock:
            self.commands += 1
            if self.stops == stops:
                self._still_since = None
            self._told = told
        return accepted

    def stop(self) -> None:
        self._robot.stop()
        with self._lock:
            self.stops += 1
            self._still_since = self._clock.now()

    def latch(self) -> None:
        """A fault is latched, and whoever latched it has returned: nothing may be sent from now on."""
        with self._lock:
            self._latched = True

    def release(self) -> None:
        """The faults are about to be released."""
        with self._lock:
            self._latched = False

    # -- the laws ----------------------------------------------------------------------------------------------------

    def _broken(self, law: str, words: str) -> None:
        self.counts[law] = self.counts.get(law, 0) + 1
        if len(self.violations) < 1000:
            self.violations.append(f"{law}: {words}, at command {self.commands} {self.context}".rstrip())

    def _judged(self, command: Command) -> Told:
        made, seen, target = self._fresh(command), self._seen, np.asarray(command.target, np.float64)
        if not np.isfinite(target).all():
            self._broken("nan", f"{target.tolist()}")
        if seen is None:
            self._broken("age", "a command without an observation")
            return Told(target, command.valid_until)
        continued = self._continued(made, seen)
        if isinstance(self._limits, DirectLimits):
            self._judge_direct(target, continued, self._limits)
            return Told(target, command.valid_until)
        measured = seen.tool_pose_in_base.astype(np.float64)
        base = Told(measured, 0.0) if continued is None else continued
        motion = Motion(
            before=base.target[:7],
            after=target[:7],
            measured=measured,
            velocity_before=base.velocity,
            turning_before=base.turning,
            velocity=(target[:3] - base.target[:3]) / self._period,
            turning=turn_between(base.target[3:7], target[3:7]) / self._period,
            force=seen.tool_wrench[:3].astype(np.float64),
        )
        self._judge_place(motion, self._limits)
        self._judge_velocity(motion, self._limits)
        self._judge_turning(motion, self._limits)
        if not 0.0 <= target[7] <= 1.0:
            self._broken("gripper", f"{target[7]}")
        return Told(target, command.valid_until, motion.velocity, motion.turning)

    def _fresh(self, command: Command) -> float:
        """When the command was made, by its own deadline."""
        now, validity, oldest = self._clock.now(), self._limits.command_validity, self._limits.observation_age_max
        made = command.valid_until - validity
        if made > now + EPS:
            self._broken("validity", f"valid for {command.valid_until - now:.4f} s, allowed {validity:g} s")
        if self._seen is not None and abs(made - self._seen.stamp) > oldest + EPS:
            self._broken("age", f"made from an observation of {made - self._seen.stamp:.4f} s, allowed {oldest:g} s")
        return made

    def _continued(self, made: float, seen: Observation) -> Told | None:
        """The command that this one has to continue; None where the robot stood still."""
        with self._lock:
            told, still_since = self._told, self._still_since
        if still_since is None and told is not None and made > told.valid_until:
            still_since = told.valid_until
        if still_since is None:
            return told
        if seen.stamp < still_since - EPS:
            behind = still_since - seen.stamp
            self._broken("blind", f"begins where the tool was {behind:.4f} s before it came to stand still")
        return None

    def _judge_direct(self, target: Vector, continued: Told | None, limits: DirectLimits) -> None:
        command = self.spec.command
        rest = np.clip(0.0, command.lower, command.upper)
        before = rest if continued is None else continued.target
        if (target < command.lower - EPS).any() or (target > command.upper + EPS).any():
            self._broken("bounds", f"{target.tolist()}")
        over = np.abs(target - before) - limits.rate_max
        if (over > EPS).any():
            self._broken("rate", f"{target.tolist()} after {before.tolist()}")

    def _judge_place(self, motion: Motion, limits: ToolLimits) -> None:
        before, after, measured = motion.before, motion.after, motion.measured
        outside = np.maximum(limits.workspace_lower - after[:3], after[:3] - limits.workspace_upper)
        outside_before = np.maximum(limits.workspace_lower - before[:3], before[:3] - limits.workspace_upper)
        if (outside > np.maximum(outside_before, 0.0) + EPS).any():
            self._broken("workspace", f"{after[:3].tolist()} after {before[:3].tolist()}")
        lead, lead_before = distance(after, measured), distance(before, measured)
        if lead > max(limits.leash, lead_before) + EPS:
            self._broken("leash", f"{lead:.5f} m ahead, before {lead_before:.5f} m, allowed {limits.leash:g} m")
        lead, lead_before = angle(after, measured), angle(before, measured)
        if lead > max(limits.leash_angle, lead_before) + 10 * EPS:
            self._broken("leash_angle", f"{lead:.5f} rad ahead, before {lead_before:.5f} rad")
        if tilt(after) > max(limits.tilt_max, tilt(before)) + 10 * EPS:
            self._broken("tilt", f"{tilt(after):.5f} rad, before {tilt(before):.5f} rad, allowed {limits.tilt_max:g}")

    def _judge_velocity(self, motion: Motion, limits: ToolLimits) -> None:
        period, velocity, before = self._period, motion.velocity, motion.velocity_before
        rounding = EPS / period
        if np.linalg.norm(velocity) > limits.tool_speed + rounding:
            self._broken("speed", f"{np.linalg.norm(velocity):.5f} m/s, allowed {limits.tool_speed:g}")
        strength = float(np.linalg.norm(motion.force))
        pressed = motion.force / strength if strength > limits.force_soft else np.zeros(3)
        if velocity @ pressed < -rounding:
            self._broken("force_soft", f"{-(velocity @ pressed):.5f} m/s against {strength:.1f} N")
        change = float(np.linalg.norm(velocity - before))
        allowed = limits.tool_acceleration * period
        if change <= allowed + rounding:
            return
        longest = max(limits.leash, distance(motion.before, motion.measured))
        lead = motion.measured[:3] - motion.before[:3]
        for gentle in before + allowed * (1.0 - 1e-3) * around(lead / period - before, -before, pressed):
            after = motion.before[:3] + gentle * period
            if (
                np.linalg.norm(gentle) <= limits.tool_speed
                and np.linalg.norm(after - motion.measured[:3]) <= longest
                and gentle @ pressed >= 0.0
                and self._can_stop(motion.before[:3], gentle, limits)
            ):
                self._broken(
                    "acceleration",
                    f"{change / period:.4f} m/s^2, allowed {limits.tool_acceleration:g}, from {before.tolist()} to "
                    f"{velocity.tolist()} m/s, where {gentle.tolist()} would have done",
                )
                return

    def _can_stop(self, position: Vector, velocity: Vector, limits: ToolLimits) -> bool:
        """Whether a point that goes so fast stops before the walls, each axis braking with its share of the limit."""
        period, slower = self._period, limits.tool_acceleration * self._period / np.sqrt(3.0)
        lower = np.minimum(limits.workspace_lower, position)
        upper = np.maximum(limits.workspace_upper, position)
        while True:
            position = position + velocity * period
            if (position < lower).any() or (position > upper).any():
                return False
            if not velocity.any():
                return True
            velocity = np.sign(velocity) * np.maximum(np.abs(velocity) - slower, 0.0)

    def _judge_turning(self, motion: Motion, limits: ToolLimits) -> None:
        period, turning, before = self._period, motion.turning, motion.turning_before
        rounding = 10 * EPS / period
        if np.linalg.norm(turning) > limits.turn_rate + rounding:
            self._broken("turn_rate", f"{np.linalg.norm(turning):.5f} rad/s, allowed {limits.turn_rate:g}")
        change = float(np.linalg.norm(turning - before))
        allowed = limits.turn_acceleration * period
        if change <= allowed + rounding:
            return
        facing, longest = motion.before[3:7], max(limits.leash_angle, angle(motion.before, motion.measured))
        steepest = max(limits.tilt_max, tilt(motion.before))
        to_leash = turn_between(facing, motion.measured[3:7]) / period - before
        # Rotations do not add like vectors: a tenth of the limit is left for what no plan on vectors can use.
        for gentle in before + 0.9 * allowed * around(to_leash, -before, np.zeros(3)):
            after = np.concatenate([motion.before[:3], turned(facing, gentle * period)])
            if (
                np.linalg.norm(gentle) <= limits.turn_rate
                and angle(after, motion.measured) <= longest
                and tilt(after) <= steepest
            ):
                self._broken(
                    "turn_acceleration",
                    f"{change / period:.4f} rad/s^2, allowed {limits.turn_acceleration:g}, from {before.tolist()} to "
                    f"{turning.tolist()} rad/s, where {gentle.tolist()} would have done",
                )
                return

    def _adopted(self, told: Told, accepted: Command) -> Told:
        """The robot took another target than it was sent."""
        target = np.asarray(accepted.target, np.float64)
        if isinstance(self._limits, DirectLimits):
            return Told(target, accepted.valid_until)
        before = told.target[:3] - told.velocity * self._period
        facing = turned(told.target[3:7], -told.turning * self._period)
        return Told(
            target,
            accepted.valid_until,
            (target[:3] - before) / self._period,
            turn_between(facing, target[3:7]) / self._period,
        )


def around(*ways: Vector) -> Vector:
    """Vectors (k, 3) all over the unit ball, among them the ways named, and the middle."""
    count = np.arange(200) + 0.5  # a Fibonacci sphere
    polar, azimuth = np.arccos(1.0 - 2.0 * count / 200.0), np.pi * (1.0 + 5.0**0.5) * count
    sphere = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], axis=1)
    sizes = [float(np.linalg.norm(way)) for way in ways]
    named = [way / size for way, size in zip(ways, sizes, strict=True) if size > 0.0]
    directions = np.concatenate([sphere, *[way[None] for way in named]])
    return np.concatenate([np.zeros((1, 3)), *[share * directions for share in (1.0, 0.7, 0.4, 0.1)]])


# -- rotations: quaternions are w, x, y, z; by matrices, so that nothing is the guard's ----------------------------


def matrix(q: Vector) -> Vector:
    """The rotation matrix (3, 3) of a quaternion (4,)."""
    w, x, y, z = q / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def turn_between(before: Vector, after: Vector) -> Vector:
    """The rotation vector, rad, in the base frame, from one orientation (4,) to another. Shape (3,)."""
    turn = matrix(after) @ matrix(before).T
    twist = 0.5 * np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    sine, cosine = float(np.linalg.norm(twist)), 0.5 * (float(np.trace(turn)) - 1.0)
    size = float(np.arctan2(sine, cosine))
    if sine > 1e-7:
        return twist * (size / sine)
    if cosine > 0:
        return twist
    axis = np.sqrt(np.maximum((np.diag(turn) + 1.0) / 2.0, 0.0))  # half a turn: the sign of its axis means nothing
    return axis * size


def turned(q: Vector, turn: Vector) -> Vector:
    """The orientation (4,) after a rotation vector (3,) in the base frame."""
    size = float(np.linalg.norm(turn))
    w, x, y, z = np.cos(0.5 * size), *(turn * (np.sinc(size / (2 * np.pi)) * 0.5))
    left = np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    return left @ (q / np.linalg.norm(q))


def angle(a: Vector, b: Vector) -> float:
    """Angle between the orientations of two poses (7,), rad."""
    return float(np.linalg.norm(turn_between(a[3:7], b[3:7])))


def distance(a: Vector, b: Vector) -> float:
    """Distance of two poses (7,), m."""
    return float(np.linalg.norm(a[:3] - b[:3]))


def tilt(pose: Vector) -> float:
    """Angle between the tool's +z and straight down, rad."""
    axis = matrix(pose[3:7])[:, 2]
    return float(np.arctan2(np.hypot(axis[0], axis[1]), -axis[2]))
