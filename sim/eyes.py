"""How far a task still is from done, as a person who watches would judge; not a reward, and never given to a learner."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robot_rlhf.datatypes import Observation

Remaining = Callable[[Observation], float]
"""Metres still to go; 0 when done."""

LIFT = 0.10
"""How far a grasped cube is lifted, m."""


def remaining_to_reach(observation: Observation) -> float:
    """Distance from the tool to the target."""
    return _distance(observation, "target")


def remaining_to_lift(observation: Observation) -> float:
    """Distance to the cube, then what is left of the lift."""
    if observation.privileged["grasped"][0] > 0.5:
        return max(0.0, LIFT - float(observation.privileged["cube"][2]))
    return LIFT + _distance(observation, "cube")


def remaining_to_insert(observation: Observation) -> float:
    """Distance to the mouth of the hole, then the depth that is left."""
    return _distance(observation, "hole")


REMAINING: dict[str, Remaining] = {
    "reach": remaining_to_reach,
    "pick_cube": remaining_to_lift,
    "peg_insert": remaining_to_insert,
}


def _distance(observation: Observation, name: str) -> float:
    return float(np.linalg.norm(observation.privileged[name][:3] - observation.tool_pose_in_base[:3]))
