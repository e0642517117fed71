"""Start a correction session on a real arm: operator's gamepad, policy, learner, and a recorder of the topics."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, RegisterEventHandler
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare
from lifecycle_msgs.msg import Transition


def generate_launch_description() -> LaunchDescription:
    policy = LifecycleNode(
        package="robot_rlhf",
        executable="policy",
        name="policy",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        parameters=[
            LaunchConfiguration("params"),
            {
                "out": ParameterValue(LaunchConfiguration("out"), value_type=str),
                "run": ParameterValue(LaunchConfiguration("run"), value_type=str),
                "operator": ParameterValue(LaunchConfiguration("operator"), value_type=str),
                "demonstrations": ParameterValue(LaunchConfiguration("demonstrations"), value_type=int),
                "learner": "node",
                "console": ParameterValue(LaunchConfiguration("console"), value_type=bool),
            },
        ],
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "params",
                default_value=PathJoinSubstitution([FindPackageShare("robot_rlhf"), "config", "robot.yaml"]),
                description="Parameter file: joints, limits, workspace, cameras and task of your robot",
            ),
            DeclareLaunchArgument("namespace", default_value="", description="Namespace of the robot's topics"),
            DeclareLaunchArgument("joy_device", default_value="0", description="Number of the gamepad"),
            DeclareLaunchArgument("out", default_value="runs", description="Folder in which the run's folder lies"),
            DeclareLaunchArgument("run", default_value="ros", description="Name of the run; an existing one goes on"),
            DeclareLaunchArgument("operator", default_value="operator", description="Name of the person"),
            DeclareLaunchArgument(
                "demonstrations", default_value="5", description="Successful demonstrations before practice"
            ),
            DeclareLaunchArgument(
                "console", default_value="false", description="Serve the operator's web page beside the gamepad"
            ),
            DeclareLaunchArgument(
                "bag", default_value="bag", description="Folder of the bag of raw topics to record; must not exist"
            ),
            Node(
                package="joy",
                executable="joy_node",
                name="joy_node",
                namespace=LaunchConfiguration("namespace"),
                output="screen",
                parameters=[
                    {
                        "device_id": ParameterValue(LaunchConfiguration("joy_device"), value_type=int),
                        "autorepeat_rate": 50.0,
                    }
                ],
            ),
            Node(
                package="robot_rlhf",
                executable="learner",
                name="learner",
                namespace=LaunchConfiguration("namespace"),
                output="screen",
                parameters=[
                    {
                        "out": ParameterValue(LaunchConfiguration("out"), value_type=str),
                        "run": ParameterValue(LaunchConfiguration("run"), value_type=str),
                    }
                ],
            ),
            Node(
                package="robot_rlhf",
                executable="recorder",
                name="recorder",
                namespace=LaunchConfiguration("namespace"),
                output="screen",
                parameters=[
                    LaunchConfiguration("params"),
                    {"out": ParameterValue(LaunchConfiguration("bag"), value_type=str)},
                ],
            ),
            # Only configuring leads to activation: who deactivates the policy must find it deactivated for good.
            RegisterEventHandler(
                OnStateTransition(
                    target_lifecycle_node=policy,
                    start_state="configuring",
                    goal_state="inactive",
                    entities=[
                        EmitEvent(
                            event=ChangeState(
                                lifecycle_node_matcher=matches_action(policy),
                                transition_id=Transition.TRANSITION_ACTIVATE,
                            )
                        )
                    ],
                )
            ),
            policy,
            EmitEvent(
                event=ChangeState(
                    lifecycle_node_matcher=matches_action(policy), transition_id=Transition.TRANSITION_CONFIGURE
                )
            ),
        ]
    )
