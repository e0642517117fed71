"""The arm that comes with the simulation: seven joints and a parallel gripper."""

from __future__ import annotations

import math
from pathlib import Path

import mujoco
import numpy as np

from robot_rlhf_sim.robots.arm_model import ArmModel, Gripper

FINGER_TRAVEL = 0.04
"""How far each finger moves, m."""
SCENE_FILE = Path(__file__).parents[1] / "scenes" / "arm.xml"

_JOINTS = tuple(f"joint{i + 1}" for i in range(7))
_FINGERS = ("left_finger", "right_finger")


def load_world() -> mujoco.MjSpec:
    """The arm on its table, for a task to add its bodies to."""
    return mujoco.MjSpec.from_file(str(SCENE_FILE))


BUILT_IN = ArmModel(
    name="built_in",
    load=load_world,
    root="link0",
    tool="hand",
    joints=_JOINTS,
    servos=_JOINTS,
    home=np.array([0.0, 0.1, 0.0, -2.3, 0.0, 2.4, math.pi / 4]),
    speed_max=np.array([2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61], np.float32),  # as published
    gripper=Gripper(
        joints=_FINGERS,
        closed=np.zeros(2),
        opened=np.full(2, FINGER_TRAVEL),
        servos=_FINGERS,
        closing=np.zeros(2),
        opening=np.full(2, FINGER_TRAVEL),
        sides=(("left_finger",), ("right_finger",)),
        width=2.0 * FINGER_TRAVEL,
    ),
)
