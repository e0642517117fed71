"""What a robot is sent for a target of its tool: a pose, a velocity for MoveIt Servo, or joint positions."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from robot_rlhf.errors import ConfigError
from robot_rlhf.safety import rotation
from robot_rlhf.safety.limits import ToolLimits
from robot_rlhf_hardware.ros.bus import Bus, Fields, Publisher
from robot_rlhf_hardware.ros.diagnostics import Level, Status
from robot_rlhf_hardware.ros.frames import quaternion
from robot_rlhf_hardware.ros.messages import (
    Numbers,
    numbers_fields,
    pose_stamped_fields,
    trajectory_fields,
    twist_stamped_fields,
)
from robot_rlhf_hardware.ros.settings import RobotSettings
from robot_rlhf_hardware.ros.topics import GRIPPER_GOAL, PARALLEL_GRIPPER_GOAL, POLICY_TOPICS, named

ANSWER_WITHIN = 1.0
"""Seconds after which a gripper that has not answered a goal is told about."""


class JointSolver(Protocol):
    """Inverse kinematics of the arm."""

    def solve(self, pose: Numbers, start: Numbers) -> Numbers:
        """Joint positions (n,), rad, that bring the tool to a pose (7,), near those it starts from."""
        ...


class Output(Protocol):
    """One way of telling a robot where its tool shall be."""

    publisher: Publisher

    def send(self, target: Numbers, measured: Numbers, joints: Numbers) -> None:
        """Args: target, measured: tool poses (7,); joints: measured positions (n,)."""
        ...

    def repeat(self, target: Numbers, measured: Numbers) -> None:
        """Say again what is to be reached, between two calls of `send`: where silence would brake the robot."""
        ...

    def hold(self, where: Numbers | None, joints: Numbers | None, *, again: bool) -> None:
        """Hold still: a velocity of zero, or the pose `where` (7,) or the joints (n,) as the target.

        Args:
            where: None when somebody has moved the tool away from where it was held: nothing but a velocity is sent.
            joints: measured just now; None when they are not known.
            again: the same hold as the last call's: the target stays what it was.
        """
        ...


class PoseOutput:
    """PoseStamped, for Cartesian impedance controllers."""

    def __init__(self, bus: Bus, settings: RobotSettings) -> None:
        self._bus = bus
        self._frame = settings.base_frame
        self.publisher = bus.publisher(named(POLICY_TOPICS, "target_pose"))

    def send(self, target: Numbers, measured: Numbers, joints: Numbers) -> None:
        self._publish(target)

    def repeat(self, target: Numbers, measured: Numbers) -> None:
        """A pose stays what it is."""

    def hold(self, where: Numbers | None, joints: Numbers | None, *, again: bool) -> None:
        if where is not None:
            self._publish(where)

    def _publish(self, pose: Numbers) -> None:
        self.publisher.publish(pose_stamped_fields(self._bus.now(), self._frame, pose))


class TwistOutput:
    """TwistStamped, for MoveIt Servo: the velocity that would reach the target within the horizon."""

    def __init__(self, bus: Bus, settings: RobotSettings, limits: ToolLimits) -> None:
        self._bus = bus
        self._frame = settings.base_frame
        self._horizon = settings.twist_horizon
        self._fastest = limits.tool_speed, limits.turn_rate
        self.publisher = bus.publisher(named(POLICY_TOPICS, "servo_node/delta_twist_cmds"))

    def send(self, target: Numbers, measured: Numbers, joints: Numbers) -> None:
        linear = (target[:3] - measured[:3]) / self._horizon
        turn = rotation.difference(quaternion(target), quaternion(measured))
        angular = np.array(turn) / self._horizon
        parts = [_shortened(*pair) for pair in zip((linear, angular), self._fastest, strict=True)]
        self._publish(np.concatenate(parts))

    def repeat(self, target: Numbers, measured: Numbers) -> None:
        self.send(target, measured, np.zeros(0))  # from where the tool is by now: so it does not run past the target

    def hold(self, where: Numbers | None, joints: Numbers | None, *, again: bool) -> None:
        self._publish(np.zeros(6))

    def _publish(self, twist: Numbers) -> None:
        # Servo ignores a command that is not stamped now.
        self.publisher.publish(twist_stamped_fields(self._bus.now(), self._frame, twist))


class JointOutput:
    """Float64MultiArray for a forward command controller, or a JointTrajectory of one point."""

    def __init__(self, bus: Bus, settings: RobotSettings, solver: JointSolver) -> None:
        self._bus = bus
        self._solver = solver
        self._names = settings.joint_names
        self._seconds = settings.control_period
        self._told: Numbers | None = None
        self._held: Numbers | None = None
        """Target of the last hold."""
        self._trajectory = settings.command == "trajectory"
        name = "joint_trajectory_controller/joint_trajectory" if self._trajectory else _FORWARD
        self.publisher = bus.publisher(named(POLICY_TOPICS, name))

    def send(self, target: Numbers, measured: Numbers, joints: Numbers) -> None:
        # From what was told last, so that the lag of the joints does not stir the null space.
        start = joints if self._told is None else self._told
        self._told = np.asarray(self._solver.solve(target, start), np.float64)
        self._publish(self._told)

    def repeat(self, target: Numbers, measured: Numbers) -> None:
        """Joint positions stay what they are."""

    def hold(self, where: Numbers | None, joints: Numbers | None, *, again: bool) -> None:
        if where is None:
            return
        if not again or self._held is None:
            self._held = self._told if joints is None else joints
        self._told = None
        if self._held is not None:  # else nothing is known: the controller holds what it was told last
            self._publish(self._held)

    def _publish(self, joints: Numbers) -> None:
        if self._trajectory:
            fields = trajectory_fields(self._bus.now(), self._names, joints, self._seconds)
        else:
            fields = numbers_fields(joints)
        self.publisher.publish(fields)


_FORWARD = "forward_position_controller/commands"


def output_for(bus: Bus, settings: RobotSettings, limits: ToolLimits, solver: JointSolver | None) -> Output:
    """The output that the parameter `command` names.

    Raises:
        ConfigError: joint commands without a model of the arm.
    """
    if settings.command == "pose":
        return PoseOutput(bus, settings)
    if settings.command == "twist":
        return TwistOutput(bus, settings, limits)
    if solver is None:
        raise ConfigError(f"parameter command: {settings.command!r} needs parameter kinematics, a model of the arm")
    return JointOutput(bus, settings, solver)


class GripperOutput:
    """Tells the gripper: a position with every command, or an action goal when the opening changes."""

    def __init__(self, bus: Bus, settings: RobotSettings) -> None:
        self._bus = bus
        self._asked_at: float | None = None
        """Since when a goal waits for an answer."""
        self._sent_at = 0.0
        self._refused = ""
        self._closed, self._open = settings.gripper_closed, settings.gripper_open
        self._effort = settings.gripper_effort
        self._joint, self._parallel = settings.gripper_joint, settings.gripper_command == "parallel_action"
        self._told: float | None = None
        self.send: Callable[[float], None] = lambda _: None
        if not settings.gripper_joint:
            return
        if settings.gripper_command == "position":
            publisher = bus.publisher(named(POLICY_TOPICS, "gripper_controller/commands"))
            self.send = lambda opening: publisher.publish(numbers_fields([self._position(opening)]))
            return
        kind = PARALLEL_GRIPPER_GOAL if self._parallel else GRIPPER_GOAL
        client = bus.client(named(POLICY_TOPICS, "gripper_cmd/_action/send_goal", kind))

        def send_goal(opening: float) -> None:
            now = bus.clock.now()
            unheeded = self._asked_at is not None or bool(self._refused)
            if opening != self._told or (unheeded and now - self._sent_at > ANSWER_WITHIN):
                if opening != self._told or self._asked_at is None:
                    self._asked_at = now
                self._told, self._sent_at = opening, now
                client.send(self._goal(opening), lambda reply: self._answered(opening, reply))

        self.send = send_goal

    def _answered(self, opening: float, reply: Any) -> None:
        if opening != self._told:  # of a goal before the last one
            return
        self._asked_at = None
        self._refused = "" if reply.accepted else f"the goal {self._position(opening):g} was refused"
        if self._refused:
            self._bus.log(logging.WARNING, f"gripper: {self._refused}")

    def status(self) -> Status:
        """For the diagnostics: whether the last goal of an action was accepted."""
        silent = 0.0 if self._asked_at is None else self._bus.clock.now() - self._asked_at
        if silent > ANSWER_WITHIN:
            return Status("gripper", Level.WARN, f"no answer to a goal for {silent:.1f} s")
        return Status("gripper", Level.WARN, self._refused) if self._refused else Status("gripper", Level.OK, "follows")

    def forget(self) -> None:
        """The next opening is told even if it is the last one."""
        self._told = None

    def _position(self, opening: float) -> float:
        return self._closed + opening * (self._open - self._closed)

    def _goal(self, opening: float) -> Fields:
        command: Fields = {"position": self._position(opening), "max_effort": self._effort}
        if self._parallel:  # a joint's state; without an effort the controller takes its own
            effort = [self._effort] if self._effort else []
            command = {"name": [self._joint], "position": [self._position(opening)], "effort": effort}
        return {"goal_id": {"uuid": list(os.urandom(16))}, "goal": {"command": command}}


def _shortened(values: Numbers, longest: float) -> Numbers:
    size = math.sqrt(float(values @ values))
    return values if size <= longest else values * (longest / size)
