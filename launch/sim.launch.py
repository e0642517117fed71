"""Start the stand-in robot, a simulated arm behind real topics, and the policy node that learns on it."""

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
        namespace="",
        output="screen",
        parameters=[
            LaunchConfiguration("params"),
            {
                "out": ParameterValue(LaunchConfiguration("out"), value_type=str),
                "run": ParameterValue(LaunchConfiguration("run"), value_type=str),
                "seed": ParameterValue(LaunchConfiguration("seed"), value_type=int),
            },
        ],
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "params",
                default_value=PathJoinSubstitution([FindPackageShare("robot_rlhf"), "config", "sim.yaml"]),
                description="Parameter file of both nodes",
            ),
            DeclareLaunchArgument(
                "person",
                default_value="attentive",
                description="The simulated person at the gamepad; none to drive it yourself (joy, spacenav)",
            ),
            DeclareLaunchArgument("out", default_value="runs", description="Folder in which the run's folder lies"),
            DeclareLaunchArgument("run", default_value="ros", description="Name of the run; an existing one goes on"),
            DeclareLaunchArgument("seed", default_value="0", description="Of the starts, and of the learner"),
            Node(
                package="robot_rlhf",
                executable="robot_sim",
                name="robot_sim",
                namespace="",
                output="screen",
                parameters=[
                    LaunchConfiguration("params"),
                    {
                        "person": ParameterValue(LaunchConfiguration("person"), value_type=str),
                        "seed": ParameterValue(LaunchConfiguration("seed"), value_type=int),
                    },
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
