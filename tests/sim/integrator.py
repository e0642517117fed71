"""The least that turns actions into commands, for tests of the simulation that need no guard."""

from __future__ import annotations

import numpy as np

from robot_rlhf.datatypes import Action, Command, Observation
from sim.arm import SimArm
from sim.rotation import exp, multiply

_AXES = ("x", "y", "z")
_TURNS = ("rx", "ry", "rz")


def follow(arm: SimArm, action: Action, leash: float = 0.04) -> Observation:
    """target += action * scale, held within `leash` of the measured tool; one control period."""
    seen = arm.observe()
    layout = arm.spec.action
    wish = dict(zip(layout.names, (action.values * layout.scale).tolist(), strict=True))
    position = seen.tool_target_in_base[:3] + [wish.get(n, 0.0) for n in _AXES]
    offset = position - seen.tool_pose_in_base[:3]
    distance = float(np.linalg.norm(offset))
    if distance > leash:
        position = seen.tool_pose_in_base[:3] + offset * leash / distance
    rx, ry, rz = (wish.get(n, 0.0) for n in _TURNS)
    quat = multiply(exp((rx, ry, rz)), seen.tool_target_in_base[3:].tolist())
    opening = seen.gripper_target if "gripper" not in wish else float(wish["gripper"] >= 0.0)
    arm.send(Command(np.array([*position, *quat, opening]), arm.clock.now() + 0.2))
    return arm.observe()
