"""The nodes: executables, parameters and topics of each; launch files and docs are checked against this table."""

from __future__ import annotations

from dataclasses import dataclass

from robot_rlhf_hardware.ros.parameters import Parameter
from robot_rlhf_hardware.ros.topics import OPERATOR_TOPICS, POLICY_TOPICS, ROBOT_SIM_TOPICS, Topic

_PEOPLE = (
    *("attentive", "lazy", "late", "clumsy", "thorough"),
    *("slow", "keys", "hasty", "distracted", "clinging", "novice"),
)
"""Simulated people who can drive at all."""


@dataclass(frozen=True)
class Node:
    """One executable: `robot-rlhf ros NAME`, and the same in a colcon workspace."""

    executable: str
    what: str
    lifecycle: bool
    """With rclpy a managed node: unconfigured, inactive (senses, sends nothing), active."""
    parameters: tuple[Parameter, ...]
    topics: tuple[Topic, ...]


ROBOT: tuple[Parameter, ...] = (
    Parameter("joint_names", "string_array", None, "Joints of the arm, in the order the policy sees them"),
    Parameter("joint_lower", "double_array", None, "Smallest position of each joint, rad"),
    Parameter("joint_upper", "double_array", None, "Largest position of each joint, rad"),
    Parameter("joint_speed_max", "double_array", None, "Largest speed of each joint, rad/s", 0.0),
    Parameter("base_frame", "string", "base", "Frame of all poses"),
    Parameter("tool_frame", "string", "tool0", "Frame of the tool; its +z points along the fingers"),
    Parameter("tool_pose", "string", "topic", "Where the tool's pose comes from", choices=("topic", "tf")),
    Parameter("tool_twist", "bool", False, "Read the tool's velocity from a topic instead of from successive poses"),
    Parameter("wrench", "bool", False, "Read the force on the tool; without it forces are not limited"),
    Parameter("wrench_sign", "integer", 1, "1: force of the world on the tool; -1: of the tool on the world", -1, 1),
    Parameter("gripper_joint", "string", "", "Joint that tells the opening; empty without a gripper"),
    Parameter("gripper_states", "string", "joint_states", "Where that joint is told", choices=("joint_states", "own")),
    Parameter("gripper_closed", "double", 0.0, "Position of that joint when closed"),
    Parameter("gripper_open", "double", 0.04, "Position of that joint when open"),
    Parameter(
        "gripper_command",
        "string",
        "position",
        "How the gripper is told: numbers, or the action GripperCommand or ParallelGripperCommand",
        choices=("position", "action", "parallel_action"),
    ),
    Parameter("gripper_effort", "double", 20.0, "Largest effort of a gripper action, N", 0.0, 1000.0),
    Parameter("cameras", "string_array", (), "Names of the cameras; topics are NAME/image_raw"),
    Parameter("camera_transport", "string", "raw", "Topic of the pictures", choices=("raw", "compressed")),
    Parameter(
        "camera_fit",
        "string",
        "exact",
        "Pictures of another size: an error, or cut to shape and scaled",
        choices=("exact", "scale"),
    ),
    Parameter("image_height", "integer", 128, "Pixels", 1, 4096),
    Parameter("image_width", "integer", 128, "Pixels", 1, 4096),
    Parameter("scene", "string_array", (), "Things whose poses perception tells; topics are perception/NAME"),
    Parameter("command", "string", "pose", "What the robot is sent", choices=("pose", "twist", "joints", "trajectory")),
    Parameter(
        "kinematics",
        "string",
        "",
        "Model of the arm (MJCF or URDF, its world at base_frame, tool_frame a site or body), for joint commands",
    ),
    Parameter("twist_horizon", "double", 0.1, "Seconds in which a twist would reach the target", 0.02, 1.0),
    Parameter("state_age_max", "double", 0.2, "Seconds after which joints, pose and force are stale", 0.01, 2.0),
    Parameter("image_age_max", "double", 0.3, "Seconds after which a picture is stale", 0.01, 5.0),
    Parameter("image_same_max", "double", 0.0, "Seconds a picture may be the same to the bit; 0: for ever", 0.0, 60.0),
    Parameter("scene_age_max", "double", 0.5, "Seconds after which the pose of a thing is stale", 0.01, 10.0),
    Parameter("clock_error_max", "double", 0.1, "Seconds by which stamps may lie in the future", 0.001, 1.0),
)
"""Of whoever drives a robot over the bus."""

LIMITS: tuple[Parameter, ...] = (
    Parameter("control_period", "double", 0.05, "Seconds between two commands", 0.01, 1.0),
    Parameter(
        "action_names",
        "string_array",
        ("x", "y", "z", "rz", "gripper"),
        "What a policy moves",
        choices=("x", "y", "z", "rx", "ry", "rz", "gripper"),
    ),
    Parameter(
        "action_scale",
        "double_array",
        (0.02, 0.02, 0.02, 0.15, 1.0),
        "Largest motion per period: m, rad; 1 for the gripper",
        1e-6,
        1.0,
    ),
    Parameter(
        "limits.workspace_lower",
        "double_array",
        None,
        "Lowest corner of the box that holds the tool, m, base_frame",
        size=3,
    ),
    Parameter("limits.workspace_upper", "double_array", None, "Highest corner of it", size=3),
    Parameter("limits.tool_speed", "double", None, "m/s", 0.0, 3.0),
    Parameter("limits.turn_rate", "double", None, "rad/s", 0.0, 10.0),
    Parameter("limits.tool_acceleration", "double", None, "m/s^2", 0.0, 100.0),
    Parameter("limits.turn_acceleration", "double", None, "rad/s^2", 0.0, 500.0),
    Parameter("limits.leash", "double", None, "Largest distance of target and measured tool, m", 0.0, 0.5),
    Parameter("limits.leash_angle", "double", None, "Largest angle between them, rad", 0.0, 3.15),
    Parameter("limits.joint_margin", "double", None, "How far joints may be outside their limits, rad", 0.0, 0.5),
    Parameter("limits.force_soft", "double", None, "Force above which the tool pushes on no further, N", 0.0, 1000.0),
    Parameter("limits.force_hard", "double", None, "Force that is a fault, N", 0.0, 1000.0),
    Parameter("limits.torque_hard", "double", None, "Torque that is a fault, N m", 0.0, 500.0),
    Parameter("limits.tilt_max", "double", None, "Largest tilt of the tool from straight down, rad", 0.0, 3.15),
    Parameter("limits.command_validity", "double", None, "Seconds a command holds without a newer one", 0.02, 1.0),
    Parameter("limits.observation_age_max", "double", None, "Seconds after which an observation is stale", 0.02, 2.0),
    Parameter(
        "limits.jump_max", "double", None, "Largest plausible change of the tool between two observations, m", 0.0, 1.0
    ),
)
"""What the guard allows; none of the limits has a default."""

TELEOP: tuple[Parameter, ...] = (
    Parameter(
        "teleop",
        "string",
        "joy",
        "The operator's device; both: a 3D mouse beside the gamepad, on which STOP is",
        choices=("joy", "spacenav", "both", "none"),
    ),
    Parameter(
        "operator_timeout", "double", 0.35, "Seconds of silence after which the operator counts as gone", 0.05, 5.0
    ),
    Parameter("operator_required", "bool", True, "Hold still while no operator is there"),
    Parameter("give_back_after", "double", 0.4, "Seconds of hands off after which the policy drives again", 0.0, 10.0),
    Parameter("facing", "double", 0.0, "Direction in which the operator looks, rad about the base's z", -3.15, 3.15),
    Parameter("axis_x", "integer", 1, "Joy axis of forward; -1 for none", -1, 31),
    Parameter("axis_y", "integer", 0, "Joy axis of left", -1, 31),
    Parameter("axis_z", "integer", 4, "Joy axis of up", -1, 31),
    Parameter("axis_rx", "integer", -1, "Joy axis of turning about x", -1, 31),
    Parameter("axis_ry", "integer", -1, "Joy axis of turning about y", -1, 31),
    Parameter("axis_rz", "integer", 3, "Joy axis of turning about z", -1, 31),
    Parameter("axes_inverted", "integer_array", (), "Joy axes that count the other way", 0, 31),
    Parameter("deadzone", "double", 0.08, "Deflection below which an axis is at rest", 0.0, 0.9),
    Parameter("button_enable", "integer", 4, "Hands on while held; -1: hands on while an axis is deflected", -1, 31),
    Parameter("button_gripper", "integer", 5, "Opens and closes in turn", -1, 31),
    Parameter("button_open", "integer", 11, "Opens", -1, 31),
    Parameter("button_close", "integer", 12, "Closes", -1, 31),
    Parameter("button_success", "integer", 0, "The episode succeeded", -1, 31),
    Parameter("button_failure", "integer", 1, "The episode failed", -1, 31),
    Parameter("button_discard", "integer", 2, "End the episode, learn nothing from it", -1, 31),
    Parameter("button_pause", "integer", 3, "Pause; once more to go on", -1, 31),
    Parameter("button_stop", "integer", 6, "STOP, until released", -1, 31),
    Parameter("button_release", "integer", 7, "Release latched faults", -1, 31),
    Parameter("button_reset", "integer", 9, "End the episode unjudged", -1, 31),
    Parameter("button_end", "integer", 10, "End the session", -1, 31),
    Parameter("spacenav_full", "double", 1.0, "Deflection of a spacenav twist that counts as full", 0.01, 1000.0),
    Parameter("console", "bool", False, "Serve the operator's web page: watch, drive, judge, pause, stop"),
    Parameter("console_host", "string", "127.0.0.1", "Where it listens; 0.0.0.0 lets the network in, with the token"),
    Parameter("console_port", "integer", 8765, "TCP port of the page; 0 takes any free one", 0, 65535),
    Parameter("console_names", "string_array", (), "Further names under which browsers may address this machine"),
    Parameter("console_certificate", "string", "", "File with a certificate in PEM, for https; empty for http"),
    Parameter("console_key", "string", "", "File with the certificate's key in PEM, without a password"),
    Parameter(
        "console_patience", "double", 6.0, "Times time_limit that an episode may last while the page drives", 1.0, 1e4
    ),
)

TASK: tuple[Parameter, ...] = (
    Parameter("task", "string", None, "Name of the skill"),
    Parameter("instruction", "string", None, "What a person would say to ask for it"),
    Parameter("time_limit", "integer", 100, "Control periods after which an episode is cut", 1, 100_000),
    Parameter("reset", "string", "motion", "How an episode begins", choices=("service", "motion")),
    Parameter("reset_timeout", "double", 20.0, "Seconds a reset may take", 0.1, 600.0),
    Parameter("home", "double_array", (), "Start of the tool for reset motion: x, y, z, qx, qy, qz, qw in base_frame"),
    Parameter("home_spread", "double_array", (0.0, 0.0, 0.0), "Largest random distance from it, m", 0.0, 0.5, size=3),
    Parameter(
        "success",
        "string",
        "button",
        "Who says that it succeeded; model: the success_model of the file config",
        choices=("button", "topic", "both", "model"),
    ),
)

LEARNING: tuple[Parameter, ...] = (
    Parameter("out", "string", "runs", "Folder in which the run's own folder lies"),
    Parameter("run", "string", "ros", "Name of the run's folder; an existing run goes on"),
    Parameter("config", "string", "", "config.yaml with further settings of the learner"),
    Parameter("seed", "integer", 0, "Of exploration and learning", 0, 2**31 - 1),
    Parameter("operator", "string", "operator", "Name of who supervises"),
    Parameter("demonstrations", "integer", 5, "Successful demonstrations before practice", 0, 1000),
    Parameter("steps", "integer", 1_000_000, "Practice steps, the person's included", 0),
    Parameter("evaluate", "integer", 0, "Unaided episodes at the end", 0, 10_000),
    Parameter("features_scene", "bool", True, "The policy sees the poses of `scene`"),
    Parameter("features_cameras", "bool", False, "The policy sees the pictures"),
    Parameter(
        "learner",
        "string",
        "spawn",
        "The learner: started by this node, a node of its own, or none: then the run's own best policy drives",
        choices=("spawn", "node", "none"),
    ),
    Parameter("without_learner", "string", "hold", "While the learner is gone", choices=("hold", "continue")),
    Parameter("attended", "bool", True, "Somebody is there to release faults; otherwise a fault ends the run"),
    Parameter("release_faults", "bool", False, "For simulated robots only: release faults between episodes"),
)

POLICY = Node(
    "policy",
    "The control loop: robot, guard, operator, policy, journal",
    True,
    (*ROBOT, *LIMITS, *TELEOP, *TASK, *LEARNING),
    POLICY_TOPICS,
)

ROBOT_SIM = Node(
    "robot_sim",
    "A simulated arm with cameras and a simulated person, as a stand-in for a robot",
    False,
    (
        Parameter(
            "task", "string", "pick_cube", "What stands around the arm", choices=("reach", "pick_cube", "peg_insert")
        ),
        Parameter("seed", "integer", 0, "Of the starts", 0, 2**31 - 1),
        Parameter("state_rate", "double", 100.0, "States per second; physics moves on with them", 20.0, 500.0),
        Parameter("cameras", "string_array", (), "Cameras to publish", choices=("front", "wrist")),
        Parameter("camera_rate", "double", 20.0, "Pictures per second", 1.0, 60.0),
        Parameter("image_height", "integer", 128, "Pixels", 1, 4096),
        Parameter("image_width", "integer", 128, "Pixels", 1, 4096),
        Parameter("publish_tf", "bool", False, "Publish the tool's pose as a transform too"),
        Parameter("base_frame", "string", "base", "Frame of all poses"),
        Parameter(
            "gripper_action",
            "string",
            "GripperCommand",
            "Which action the gripper takes goals of",
            choices=("GripperCommand", "ParallelGripperCommand"),
        ),
        Parameter("tool_frame", "string", "tool0", "Frame of the tool"),
        Parameter(
            "command_timeout", "double", 0.15, "Seconds without a command after which the robot holds still", 0.02, 1.0
        ),
        Parameter("command_delay", "double", 0.0, "Seconds by which commands are followed late", 0.0, 0.5),
        Parameter("sensing_delay", "double", 0.0, "Seconds by which states and pictures are told late", 0.0, 0.5),
        Parameter("delay_jitter", "double", 0.0, "Seconds by which either may be later still; order is kept", 0.0, 0.2),
        Parameter("target_noise", "double", 0.0, "Standard deviation of the error of each target pose, m", 0.0, 0.05),
        Parameter(
            "person",
            "string",
            "none",
            "The simulated person at the gamepad",
            choices=("none", *_PEOPLE, "absent"),
        ),
        Parameter(
            "demonstrator",
            "string",
            "clumsy",
            "The one who demonstrates",
            choices=_PEOPLE,
        ),
        Parameter("joy_rate", "double", 50.0, "Messages per second of the gamepad", 10.0, 200.0),
    ),
    ROBOT_SIM_TOPICS,
)

LEARNER = Node(
    "learner",
    "Learns from the journal of a run while it grows, and publishes weights into its folder",
    False,
    (
        Parameter("out", "string", "runs", "Folder in which the run's own folder lies"),
        Parameter("run", "string", "ros", "Name of the run's folder"),
    ),
    (),
)

OPERATOR = Node(
    "operator",
    "Publishes a 3Dconnexion SpaceMouse as spacenav/twist and joy, where ROS's own drivers are not installed",
    False,
    (
        Parameter("rate", "double", 50.0, "Messages per second", 10.0, 200.0),
        Parameter("button_open", "integer", 11, "Joy button that opens the gripper", 0, 31),
        Parameter("button_close", "integer", 12, "Joy button that closes it", 0, 31),
    ),
    OPERATOR_TOPICS,
)

RECORDER = Node(
    "recorder",
    "Records named topics into a rosbag2 (MCAP) that survives a crash",
    False,
    (
        Parameter("out", "string", "bag", "Folder of the bag; must not exist"),
        Parameter(
            "topics", "string_array", None, "Entries NAME:TYPE, for example joint_states:sensor_msgs/msg/JointState"
        ),
        Parameter(
            "reliable", "bool", False, "Ask for reliable delivery; publishers that do not offer it are then not met"
        ),
    ),
    (),
)

NODES: dict[str, Node] = {node.executable: node for node in (ROBOT_SIM, POLICY, LEARNER, OPERATOR, RECORDER)}
"""By executable, which is also the node's name."""
