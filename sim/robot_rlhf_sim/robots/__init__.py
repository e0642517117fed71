"""Arms that a task can be built around: the built-in one, and any that a file in MuJoCo's format describes."""

from robot_rlhf_sim.robots.arm_model import ArmModel, Gripper
from robot_rlhf_sim.robots.built_in import BUILT_IN
from robot_rlhf_sim.robots.from_file import arm_from

__all__ = ["BUILT_IN", "ArmModel", "Gripper", "arm_from"]
