"""Limits, and the laws that every series of commands under them must keep, checked from outside."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Action, ActionLayout, Observation
from robot_rlhf.safety import rotation
from robot_rlhf.safety.guard import Guarded, GuardedRobot
from robot_rlhf.safety.limits import ToolLimits
from robot_rlhf.timing import FakeClock
from robot_rlhf_hardware.fake import FakeRobot

PERIOD = 0.05
EPS = 1e-6
REFLEXES = frozenset({"leash", "leash_angle", "force_soft", "tilt"})
"""Rules that may stop the target harder than the acceleration limit."""
FULL_LAYOUT = ActionLayout(("x", "y", "z", "rx", "ry", "rz", "gripper"), np.array([0.02] * 3 + [0.1] * 3 + [1.0]))

LIMITS = ToolLimits(
    workspace_lower=np.array([0.3, -0.1, 0.2]),
    workspace_upper=np.array([0.5, 0.1, 0.35]),
    tool_speed=0.5,
    turn_rate=2.5,
    tool_acceleration=4.0,
    turn_acceleration=20.0,
    leash=0.06,
    leash_angle=0.25,
    joint_margin=0.01,
    force_soft=10.0,
    force_hard=40.0,
    torque_hard=5.0,
    tilt_max=0.5,
    command_validity=0.2,
    observation_age_max=0.15,
    jump_max=0.1,
)
LOOSE = replace(
    LIMITS,
    workspace_lower=np.array([-1.5, -1.5, -0.5]),
    workspace_upper=np.array([1.5, 1.5, 1.5]),
    tool_speed=10.0,
    turn_rate=100.0,
    tool_acceleration=1000.0,
    turn_acceleration=10000.0,
    leash=1.0,
    leash_angle=3.0,
    tilt_max=3.0,
)


@dataclass
class Rig:
    """A guarded fake robot, and everything that the guard reported."""

    limits: ToolLimits = LIMITS
    layout: ActionLayout = FULL_LAYOUT
    lag: float = 0.03
    clock: FakeClock = field(default_factory=FakeClock)
    events: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.robot = FakeRobot(self.clock, action=self.layout, control_period=PERIOD, lag=self.lag)
        self.guard = GuardedRobot(self.robot, self.limits, self.clock, self.events.append)

    def act(self, *values: float) -> Guarded:
        self.guard.observe()
        return self.guard.act(Action(np.array(values, np.float32)))

    def rules(self) -> list[str]:
        return [event.rule for event in self.events]


class Laws:
    """Watches commands one after another; velocities are recomputed from the poses that were sent."""

    def __init__(self, limits: ToolLimits, layout: ActionLayout) -> None:
        self.limits = limits
        self.layout = layout
        self.restart(None)

    def restart(self, pose: NDArray[Any] | None) -> None:
        """The target was anchored, at rest."""
        self.pose = pose
        self.velocity = np.zeros(3)
        self.turning = np.zeros(3)

    def check(self, guarded: Guarded, measured: Observation) -> None:
        if self.pose is None:
            self.restart(measured.tool_pose_in_base.astype(np.float64))
        assert self.pose is not None
        limits, target = self.limits, guarded.command.target
        before, self.pose = self.pose, target[:7]
        moved = target[:3] - before[:3]
        turned = np.array(rotation.difference(unit(target[3:7]), unit(before[3:7])))
        velocity, turning = moved / PERIOD, turned / PERIOD

        lowest = np.minimum(limits.workspace_lower, before[:3])
        highest = np.maximum(limits.workspace_upper, before[:3])
        assert (target[:3] >= lowest - 1e-12).all()
        assert (target[:3] <= highest + 1e-12).all()
        assert np.linalg.norm(velocity) <= limits.tool_speed + EPS
        assert np.linalg.norm(turning) <= limits.turn_rate + EPS
        steepest = max(limits.tilt_max, rotation.tilt(unit(before[3:7])))
        assert rotation.tilt(unit(target[3:7])) <= steepest + EPS

        if not guarded.rules & {"leash", "force_soft"}:
            assert np.linalg.norm(velocity - self.velocity) <= limits.tool_acceleration * PERIOD + EPS
        if not guarded.rules & {"leash_angle", "tilt"}:
            assert np.linalg.norm(turning - self.turning) <= limits.turn_acceleration * PERIOD + EPS
        self._check_against_measured(before, target, moved, measured)
        self._check_executed(guarded, moved, turned)
        self.velocity, self.turning = velocity, turning

    def _check_against_measured(
        self, before: NDArray[Any], target: NDArray[Any], moved: NDArray[Any], measured: Observation
    ) -> None:
        limits, tool = self.limits, measured.tool_pose_in_base.astype(np.float64)
        lag = max(limits.leash, float(np.linalg.norm(before[:3] - tool[:3])))
        assert np.linalg.norm(target[:3] - tool[:3]) <= lag + EPS
        facing = unit(tool[3:7])
        angle = max(limits.leash_angle, rotation_angle(unit(before[3:7]), facing))
        assert rotation_angle(unit(target[3:7]), facing) <= angle + EPS
        force = measured.tool_wrench[:3].astype(np.float64)
        if np.linalg.norm(force) > limits.force_soft:
            assert moved @ force / np.linalg.norm(force) >= -EPS

    def _check_executed(self, guarded: Guarded, moved: NDArray[Any], turned: NDArray[Any]) -> None:
        told = dict(zip(self.layout.names, guarded.executed.values.tolist(), strict=True))
        scale = dict(zip(self.layout.names, self.layout.scale.tolist(), strict=True))
        for name, value in zip(("x", "y", "z", "rx", "ry", "rz"), (*moved, *turned), strict=True):
            if name in told:
                assert abs(told[name] - np.clip(value / scale[name], -1, 1)) <= 1e-5
        assert guarded.command.target[7] in (0.0, 1.0)
        assert told.get("gripper", 1.0) == 2.0 * guarded.command.target[7] - 1.0


def unit(q: NDArray[Any]) -> rotation.Quaternion:
    w, x, y, z = q.tolist()
    return rotation.normalise((w, x, y, z))


def rotation_angle(a: rotation.Quaternion, b: rotation.Quaternion) -> float:
    return math.sqrt(sum(v * v for v in rotation.difference(a, b)))
