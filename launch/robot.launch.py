"""Start the policy node on a real arm up to inactive: it senses everything and sends nothing, for the dry run."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
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
            DeclareLaunchArgument("run", default_value="dry_run", description="Name of the run"),
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
            policy,
            # Nothing here activates it: `ros2 lifecycle set /policy activate` does, once the checks have passed.
            EmitEvent(
                event=ChangeState(
                    lifecycle_node_matcher=matches_action(policy), transition_id=Transition.TRANSITION_CONFIGURE
                )
            ),
        ]
    )
