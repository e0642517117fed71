"""The table of topics and services: names, types, quality of service, rates. Everything else looks them up here.

Names are ROS names: relative ones lie in the node's namespace, those that begin with ~/ below the node's own name,
and all can be remapped. `{camera}` and `{thing}` stand for the names of the parameters `cameras` and `scene`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

JOINT_STATE = "sensor_msgs/msg/JointState"
POSE = "geometry_msgs/msg/PoseStamped"
TWIST_STAMPED = "geometry_msgs/msg/TwistStamped"
TWIST = "geometry_msgs/msg/Twist"
WRENCH = "geometry_msgs/msg/WrenchStamped"
TF = "tf2_msgs/msg/TFMessage"
IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
JOY = "sensor_msgs/msg/Joy"
BOOL = "std_msgs/msg/Bool"
FLOAT = "std_msgs/msg/Float32"
STRING = "std_msgs/msg/String"
NUMBERS = "std_msgs/msg/Float64MultiArray"
TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"
DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"
TRIGGER = "std_srvs/srv/Trigger"
GRIPPER_GOAL = "control_msgs/action/GripperCommand_SendGoal"
PARALLEL_GRIPPER_GOAL = "control_msgs/action/ParallelGripperCommand_SendGoal"

MESSAGE_TYPES: tuple[str, ...] = (
    *(JOINT_STATE, POSE, TWIST_STAMPED, TWIST, WRENCH, TF, IMAGE, COMPRESSED_IMAGE, CAMERA_INFO, JOY),
    *(BOOL, FLOAT, STRING, NUMBERS, TRAJECTORY, DIAGNOSTICS),
)
"""Every message type that crosses the bus."""
SERVICE_TYPES: tuple[str, ...] = (TRIGGER, GRIPPER_GOAL, PARALLEL_GRIPPER_GOAL)


@dataclass(frozen=True)
class Qos:
    """What of a ROS QoS profile matters for two endpoints to meet, and how much is kept."""

    reliable: bool
    depth: int
    latched: bool = False
    """transient_local: who comes later still gets the last message."""


SENSOR = Qos(reliable=False, depth=5)
"""rclpy's sensor data profile: takes from every publisher, waits for nothing."""
NEWEST = Qos(reliable=False, depth=1)
"""Only the newest counts."""
COMMAND = Qos(reliable=True, depth=1)
"""Meets every subscriber; an old command is replaced rather than queued."""
DEFAULT = Qos(reliable=True, depth=10)
LATCHED = Qos(reliable=True, depth=1, latched=True)
FIXED_FRAMES = Qos(reliable=True, depth=100, latched=True)
"""Of /tf_static: a message of every broadcaster, all at once; with a depth of 1 that of one would be left."""

Role = Literal["publisher", "subscription", "service", "client"]


@dataclass(frozen=True)
class Topic:
    """One topic or service of a node."""

    name: str
    type: str
    role: Role
    what: str
    qos: Qos = DEFAULT
    rate: str = ""
    """Messages per second, in words."""
    when: str = ""
    """Parameter setting with which it is used; empty for always."""


POLICY_TOPICS: tuple[Topic, ...] = (
    Topic("joint_states", JOINT_STATE, "subscription", "Joints, found by name", NEWEST, "50 to 1000"),
    Topic("current_pose", POSE, "subscription", "Tool in base_frame", NEWEST, "50+", "tool_pose: topic"),
    Topic("/tf", TF, "subscription", "Tool in base_frame", DEFAULT, "50+", "tool_pose: tf"),
    Topic("/tf_static", TF, "subscription", "Fixed frames", FIXED_FRAMES, "once", "tool_pose: tf"),
    Topic("current_twist", TWIST_STAMPED, "subscription", "Velocity of the tool", NEWEST, "50+", "tool_twist: true"),
    Topic("wrench", WRENCH, "subscription", "Force on the tool", NEWEST, "100+", "wrench: true"),
    Topic("gripper/joint_states", JOINT_STATE, "subscription", "Gripper", NEWEST, "20+", "gripper_states: own"),
    Topic("{camera}/image_raw", IMAGE, "subscription", "Pictures", SENSOR, "15 to 60", "camera_transport: raw"),
    Topic(
        *("{camera}/image_raw/compressed", COMPRESSED_IMAGE, "subscription", "Pictures", SENSOR, "15 to 60"),
        "camera_transport: compressed",
    ),
    Topic("perception/{thing}", POSE, "subscription", "Where a thing is, in base_frame", NEWEST, "10+"),
    Topic("joy", JOY, "subscription", "The operator's gamepad", DEFAULT, "20 to 100", "teleop: joy or both"),
    Topic(
        "spacenav/twist", TWIST, "subscription", "The operator's 3D mouse", DEFAULT, "20+", "teleop: spacenav or both"
    ),
    Topic("say", STRING, "subscription", "What a person says: each message is a sentence", DEFAULT, "on change"),
    Topic(
        "success", BOOL, "subscription", "Somebody or something saw success", DEFAULT, "10+", "success: topic or both"
    ),
    Topic("estop", BOOL, "subscription", "True latches the e-stop; False releases nothing", DEFAULT, "on change"),
    Topic("target_pose", POSE, "publisher", "Where the tool shall be", COMMAND, "1 / control_period", "command: pose"),
    Topic(
        *("servo_node/delta_twist_cmds", TWIST_STAMPED, "publisher", "Velocity of the tool, for MoveIt Servo", COMMAND),
        *("1 / control_period", "command: twist"),
    ),
    Topic(
        *("forward_position_controller/commands", NUMBERS, "publisher", "Joint positions", COMMAND),
        *("1 / control_period", "command: joints"),
    ),
    Topic(
        *("joint_trajectory_controller/joint_trajectory", TRAJECTORY, "publisher", "Joint positions", COMMAND),
        *("1 / control_period", "command: trajectory"),
    ),
    Topic(
        "gripper_controller/commands",
        NUMBERS,
        "publisher",
        "Opening",
        COMMAND,
        "on change",
        "gripper_command: position",
    ),
    Topic("gripper_cmd/_action/send_goal", GRIPPER_GOAL, "client", "Opening", when="gripper_command: action"),
    Topic(
        "gripper_cmd/_action/send_goal",
        PARALLEL_GRIPPER_GOAL,
        "client",
        "Opening",
        when="gripper_command: parallel_action",
    ),
    Topic("reset", TRIGGER, "client", "Brings robot and scene to a start", when="reset: service"),
    Topic("~/estop", BOOL, "publisher", "Whether the e-stop is latched", LATCHED, "on change"),
    Topic("~/stop", TRIGGER, "service", "Latches the e-stop"),
    Topic("~/release", TRIGGER, "service", "Releases it, unless something still asks for it"),
    Topic("~/episode", STRING, "publisher", "Start and end of an episode, JSON", LATCHED, "on change"),
    Topic("~/step", STRING, "publisher", "Each recorded step in short, JSON", DEFAULT, "1 / control_period"),
    Topic("~/reward", FLOAT, "publisher", "Reward of the last step", DEFAULT, "1 / control_period"),
    Topic("~/situation", STRING, "publisher", "What the loop is doing, JSON", NEWEST, "5"),
    Topic("/diagnostics", DIAGNOSTICS, "publisher", "Health of every stream", DEFAULT, "1, and on change"),
)

ROBOT_SIM_TOPICS: tuple[Topic, ...] = (
    Topic("joint_states", JOINT_STATE, "publisher", "Seven joints and the gripper", SENSOR, "state_rate"),
    Topic("current_pose", POSE, "publisher", "Tool", SENSOR, "state_rate"),
    Topic("current_twist", TWIST_STAMPED, "publisher", "Velocity of the tool", SENSOR, "state_rate"),
    Topic("wrench", WRENCH, "publisher", "Force on the tool", SENSOR, "state_rate"),
    Topic("/tf", TF, "publisher", "Tool, once more", DEFAULT, "state_rate", "publish_tf: true"),
    Topic("{camera}/image_raw", IMAGE, "publisher", "Pictures", SENSOR, "camera_rate"),
    Topic("{camera}/camera_info", CAMERA_INFO, "publisher", "Size and focal length", SENSOR, "camera_rate"),
    Topic("perception/{thing}", POSE, "publisher", "Where a thing is", SENSOR, "state_rate"),
    Topic("success", BOOL, "publisher", "What a judge beside the robot sees", DEFAULT, "20"),
    Topic("~/holding", BOOL, "publisher", "The robot holds still because no command comes", LATCHED, "on change"),
    Topic("target_pose", POSE, "subscription", "Where the tool shall be", COMMAND, "20"),
    Topic("servo_node/delta_twist_cmds", TWIST_STAMPED, "subscription", "Velocity of the tool", COMMAND, "20"),
    Topic("gripper_controller/commands", NUMBERS, "subscription", "Opening", COMMAND, "on change"),
    Topic("gripper_cmd/_action/send_goal", GRIPPER_GOAL, "service", "Opening", when="gripper_action: GripperCommand"),
    Topic(
        "gripper_cmd/_action/send_goal",
        PARALLEL_GRIPPER_GOAL,
        "service",
        "Opening",
        when="gripper_action: ParallelGripperCommand",
    ),
    Topic("reset", TRIGGER, "service", "A new start"),
    Topic("~/faults", STRING, "subscription", "Topics that fall silent or repeat an old message, JSON", DEFAULT),
    Topic("joy", JOY, "publisher", "The simulated person's gamepad", DEFAULT, "50", "person: a preset"),
    Topic("policy/episode", STRING, "subscription", "What the person is told", LATCHED, "", "person: a preset"),
    Topic("policy/step", STRING, "subscription", "What the person is told", DEFAULT, "", "person: a preset"),
    Topic("policy/situation", STRING, "subscription", "What the person sees", NEWEST, "", "person: a preset"),
)

OPERATOR_TOPICS: tuple[Topic, ...] = (
    Topic("spacenav/twist", TWIST, "publisher", "The 3D mouse", DEFAULT, "50"),
    Topic("joy", JOY, "publisher", "Its buttons, laid out as the gamepad's", DEFAULT, "50"),
)


def named(topics: tuple[Topic, ...], name: str, kind: str = "") -> Topic:
    """The entry of a table, of a type where a name has several; raises KeyError when there is none, or not one."""
    found = [topic for topic in topics if topic.name == name and kind in ("", topic.type)]
    if len(found) != 1:
        raise KeyError(name)
    return found[0]
