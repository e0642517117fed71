"""Parameters with which the policy node drives the stand-in robot: the task's own limits, as a ROS parameter file."""

from __future__ import annotations

from typing import Any

from robot_rlhf.apps.ros_robot_sim import FINGER
from robot_rlhf.timing import FakeClock
from robot_rlhf_hardware.ros.rcl_yaml import dumped
from robot_rlhf_sim.place import SimConfig
from robot_rlhf_sim.robots.built_in import FINGER_TRAVEL


def stand_in_parameters(task: str, *, person: str = "attentive") -> dict[str, Any]:
    """Sections for the nodes robot_sim, policy and learner, in ROS form."""
    world = SimConfig().open(task, clock=FakeClock(), cameras={})
    spec, limits = world.spec, world.task.limits
    names = spec.action.names
    bounds = {name: _plain(value) for name, value in vars(limits).items()}
    policy: dict[str, Any] = {
        "joint_names": list(spec.joint_names),
        "joint_lower": _plain(spec.position_lower),
        "joint_upper": _plain(spec.position_upper),
        "joint_speed_max": _plain(spec.speed_max),
        "tool_twist": True,
        "wrench": True,
        "scene": list(spec.scene),
        "action_names": list(names),
        "action_scale": _plain(spec.action.scale),
        "limits": bounds,
        "control_period": spec.control_period,
        "deadzone": 0.0,
        "give_back_after": 0.1,
        "task": task,
        "instruction": world.task.instruction,
        "time_limit": world.task.time_limit,
        "reset": "service",
        "success": "both",
        "operator": person,
        "release_faults": True,
        "without_learner": "continue",
        **{f"axis_{name}": axis for name, axis in _AXES.items() if name in names},
    }
    if "gripper" in names:
        policy |= {"gripper_joint": FINGER, "gripper_closed": 0.0, "gripper_open": FINGER_TRAVEL}
    sections = {"robot_sim": {"task": task, "person": person}, "policy": policy}
    return {node: {"ros__parameters": values} for node, values in sections.items()}


_AXES = {"rx": 6, "ry": 7}
"""Beyond the default mapping, which has none for tilting."""


def _plain(value: Any) -> Any:
    """Numbers of seven digits: those of float32 as people write them."""
    if hasattr(value, "tolist"):
        return [float(f"{number:.7g}") for number in value.tolist()]
    return value


def stand_in_yaml(task: str) -> str:
    """The same as the text of a parameter file."""
    return dumped(stand_in_parameters(task))
