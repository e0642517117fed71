"""A robot behind the bus in memory, for tests: it follows poses, and everything about it may be changed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from robot_rlhf.safety.limits import ToolLimits
from robot_rlhf_hardware.ros.bus import Bus
from robot_rlhf_hardware.ros.bus_fake import FakeBus, FakeGraph
from robot_rlhf_hardware.ros.messages import (
    image_fields,
    joint_state_fields,
    pose_of,
    pose_stamped_fields,
    wrench_stamped_fields,
)
from robot_rlhf_hardware.ros.robot import RosRobot
from robot_rlhf_hardware.ros.settings import RobotSettings
from robot_rlhf_hardware.ros.topics import (
    GRIPPER_GOAL,
    PARALLEL_GRIPPER_GOAL,
    POLICY_TOPICS,
    ROBOT_SIM_TOPICS,
    Topic,
    named,
)

NAMES = ("shoulder", "elbow", "wrist")
HOME = (0.5, 0.0, 0.2, 0.0, 1.0, 0.0, 0.0)
LIMITS = ToolLimits(
    workspace_lower=np.array([0.2, -0.4, 0.0]),
    workspace_upper=np.array([0.8, 0.4, 0.6]),
    tool_speed=0.5,
    turn_rate=2.0,
    tool_acceleration=20.0,
    turn_acceleration=50.0,
    leash=0.06,
    leash_angle=0.4,
    joint_margin=0.01,
    force_soft=20.0,
    force_hard=60.0,
    torque_hard=10.0,
    tilt_max=0.5,
    command_validity=0.15,
    observation_age_max=0.25,
    jump_max=0.1,
)
SETTINGS = RobotSettings(
    joint_names=NAMES,
    joint_lower=(-3.0,) * 3,
    joint_upper=(3.0,) * 3,
    joint_speed_max=(10.0,) * 3,
    base_frame="base",
    tool_frame="tool0",
    tool_pose="topic",
    tool_twist=False,
    wrench=True,
    wrench_sign=1,
    gripper_joint="finger",
    gripper_states="joint_states",
    gripper_closed=0.0,
    gripper_open=0.04,
    gripper_command="position",
    gripper_effort=20.0,
    cameras=(),
    camera_transport="raw",
    camera_fit="exact",
    image_height=24,
    image_width=32,
    scene=("cube",),
    command="pose",
    twist_horizon=0.1,
    state_age_max=0.2,
    image_age_max=0.3,
    image_same_max=0.0,
    scene_age_max=0.5,
    clock_error_max=0.1,
    control_period=0.05,
    action_names=("x", "y", "z", "rz", "gripper"),
    action_scale=(0.02, 0.02, 0.02, 0.15, 1.0),
)


def settings(**changes: Any) -> RobotSettings:
    return replace(SETTINGS, **changes)


def mirrored(name: str, role: Any, **changes: Any) -> Topic:
    """The other end of one of the policy's topics."""
    return replace(named(POLICY_TOPICS, name), role=role, **changes)


GOALS = "gripper_cmd/_action/send_goal"
GRIPPER_ACTIONS = (("action", GRIPPER_GOAL), ("parallel_action", PARALLEL_GRIPPER_GOAL))
"""What `gripper_command` may be beside position, and the service by which that action takes goals."""


@dataclass
class FakeArm:
    """The robot's side: publishes its state every 10 ms, and follows target poses at once. On any bus."""

    bus: Bus
    order: tuple[str, ...] = ("finger", "wrist", "shoulder", "elbow")
    """Names as they stand in its messages: another order than the policy's, with the gripper first."""
    angles: dict[str, float] = field(
        default_factory=lambda: {"shoulder": 0.1, "elbow": 0.2, "wrist": 0.3, "finger": 0.04}
    )
    pose: tuple[float, ...] = HOME
    wrench: tuple[float, ...] = (0.0,) * 6
    wrench_frame: str = "base"
    silent: set[str] = field(default_factory=set[str])
    """Topics that say nothing."""
    lag: float = 0.0
    """How old its stamps are, seconds."""
    picture: np.ndarray = field(default_factory=lambda: np.zeros((24, 32, 3), np.uint8))
    cameras: tuple[str, ...] = ()
    targets: list[np.ndarray] = field(default_factory=list)
    opening: float = 0.04

    def __post_init__(self) -> None:
        bus = self.bus
        self.out = {n: bus.publisher(mirrored(n, "publisher")) for n in ("joint_states", "current_pose", "wrench")}
        self.out["cube"] = bus.publisher(mirrored("perception/{thing}", "publisher"), "perception/cube")
        for camera in self.cameras:
            self.out[camera] = bus.publisher(mirrored("{camera}/image_raw", "publisher"), f"{camera}/image_raw")
        bus.subscription(mirrored("target_pose", "subscription"), self._follow)
        bus.subscription(mirrored("gripper_controller/commands", "subscription"), self._grip)
        self.tell()  # before the timer has another thread do it
        bus.timer(0.01, self.tell)

    def _follow(self, message: Any) -> None:
        self.targets.append(pose_of(message.pose))
        self.pose = tuple(self.targets[-1].tolist())

    def _grip(self, message: Any) -> None:
        self.opening = self.angles["finger"] = float(message.data[0])

    def take_goals(self, kind: str) -> list[Any]:
        """Serve the gripper's action of a type; returns the goals it will have taken."""
        goals: list[Any] = []

        def take(request: Any) -> dict[str, Any]:
            goal = request.goal.command
            goals.append(goal)
            position = goal.position[0] if kind == PARALLEL_GRIPPER_GOAL else goal.position
            self.opening = self.angles["finger"] = float(position)
            return {"accepted": True}

        self.bus.service(named(ROBOT_SIM_TOPICS, GOALS, kind), take)
        return goals

    def tell(self) -> None:
        stamp = self.bus.now() - self.lag
        told = {
            "joint_states": joint_state_fields(stamp, self.order, [self.angles[n] for n in self.order]),
            "current_pose": pose_stamped_fields(stamp, "base", self.pose),
            "wrench": wrench_stamped_fields(stamp, self.wrench_frame, self.wrench),
            "cube": pose_stamped_fields(stamp, "base", (0.5, 0.1, 0.02, 1.0, 0.0, 0.0, 0.0)),
            **{camera: image_fields(stamp, camera, self.picture) for camera in self.cameras},
        }
        for name, fields in told.items():
            if name not in self.silent:
                self.out[name].publish(fields)


@dataclass
class Pair:
    """A robot's side and ours on one graph."""

    graph: FakeGraph
    arm: FakeArm
    arm_bus: FakeBus
    bus: FakeBus
    robot: RosRobot

    def pass_time(self, seconds: float) -> None:
        self.graph.advance(seconds)

    @property
    def now(self) -> float:
        return self.graph.clock.now()


def pair(robot_settings: RobotSettings = SETTINGS, **arm: Any) -> Pair:
    graph = FakeGraph()
    graph.clock.advance(10.0)
    bus = FakeBus(graph, "policy")
    robot = RosRobot(bus, robot_settings, LIMITS)
    arm_bus = FakeBus(graph, "robot")
    made = FakeArm(arm_bus, cameras=robot_settings.cameras, **arm)
    graph.advance(0.02)
    return Pair(graph, made, arm_bus, bus, robot)
