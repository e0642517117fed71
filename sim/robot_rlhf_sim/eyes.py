"""What a person who watches sees, and when: how far a task still is from done. Never given to a learner."""

from __future__ import annotations

import numpy as np

from robot_rlhf.datatypes import Observation
from robot_rlhf.people.person import Remaining

LIFT = 0.10
"""How far a grasped cube is lifted, m."""
DEPTH = 0.025
"""How deep the peg goes, m."""


def remaining_to_reach(observation: Observation) -> float:
    """Distance from the tool to the target."""
    return _distance(observation, "target")


def remaining_to_lift(observation: Observation) -> float:
    """Distance to the cube, then what is left of the lift."""
    if observation.privileged["grasped"][0] > 0.5:
        return max(0.0, LIFT - float(observation.privileged["cube"][2]))
    return LIFT + _distance(observation, "cube")


def remaining_to_insert(observation: Observation) -> float:
    """Distance from the peg's tip to where it has to go, inside the hole."""
    goal = observation.privileged["hole"][:3] - (0.0, 0.0, DEPTH)
    return float(np.linalg.norm(goal - observation.tool_pose_in_base[:3]))


REMAINING: dict[str, Remaining] = {
    "reach": remaining_to_reach,
    "pick_cube": remaining_to_lift,
    "peg_insert": remaining_to_insert,
}


def _distance(observation: Observation, name: str) -> float:
    return float(np.linalg.norm(observation.privileged[name][:3] - observation.tool_pose_in_base[:3]))
