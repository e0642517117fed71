"""Places of one's own, as a user's file holds them: a function each."""

from __future__ import annotations

import numpy as np

from robot_rlhf.datatypes import ActionLayout, Observation
from robot_rlhf.place import PictureSizes, Place
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import Clock
from robot_rlhf_hardware.fake import FakeRobot
from robot_rlhf_hardware.fake_place import LIMITS


class Lift:
    """Raise the tool; nobody simulated knows how."""

    instruction = "raise the tool"
    time_limit = 20

    def __init__(self, robot: FakeRobot, name: str, height: float) -> None:
        self.name = name
        self._robot = robot
        self._height = height

    def reset(self, rng: np.random.Generator) -> None:
        self._robot.put(rng.uniform((0.3, -0.1, 0.2), (0.5, 0.1, 0.25)))

    def success(self, observation: Observation) -> bool:
        return bool(observation.tool_pose_in_base[2] > self._height)


def open_place(
    *, task: str, clock: Clock, cameras: PictureSizes, seed: int, height: float = 0.4, in_real_time: str = "no"
) -> Place:
    layout = ActionLayout(("x", "y", "z"), np.full(3, 0.02, np.float32))
    robot = FakeRobot(clock, action=layout)
    guard = GuardedRobot(robot, LIMITS, clock)
    return Place(guard, Lift(robot, task, height), clock, simulated=in_real_time == "no")


def open_broken(**_: object) -> Place:
    raise OSError("no robot\nat /dev/ttyUSB0")


def open_nothing(**_: object) -> None:
    """Forgets to return what it opened."""


def open_one_task(*, task: str) -> Place:
    raise AssertionError(task)


NOT_A_FUNCTION = 3
