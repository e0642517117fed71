"""The least that a robot of one's own needs to be taught: a task, limits, and settings that open its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from robot_rlhf.datatypes import Action, ActionLayout, Assignment, Observation
from robot_rlhf.errors import ConfigError, RobotError, UnknownNameError
from robot_rlhf.place import PictureSizes, Place, PlaceConfig
from robot_rlhf.ranges import SECONDS, check_ranges
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.safety.limits import ToolLimits
from robot_rlhf.timing import Clock
from robot_rlhf_hardware.fake import HOME, FakeRobot

POINT = "point"
ACTION = ActionLayout(("x", "y", "z"), np.full(3, 0.02, np.float32))
"""An action of 1 moves the commanded tool pose by 2 cm."""
LIMITS = ToolLimits(
    workspace_lower=np.array([0.2, -0.3, 0.1]),
    workspace_upper=np.array([0.6, 0.3, 0.5]),
    tool_speed=0.7,
    turn_rate=1.0,
    tool_acceleration=24.0,
    turn_acceleration=20.0,
    leash=0.06,
    leash_angle=0.2,
    joint_margin=0.01,
    force_soft=30.0,
    force_hard=120.0,
    torque_hard=15.0,
    tilt_max=0.2,
    command_validity=0.15,
    observation_age_max=0.25,
    jump_max=0.1,
)
BOX = np.array([[0.3, -0.2, 0.2], [0.5, 0.2, 0.4]])
"""Where tool and point are when an episode begins, m: lowest and highest corner."""
NEAR = 0.01
"""Distance, m, at which the point is touched."""
HOMING_TIMEOUT = 10.0
"""Seconds."""


class Touch:
    """Move the tool to a point. Whatever has these members is a task; `expert` and `remaining` are for simulated people
    alone.
    """

    name = "touch"
    instruction = "touch the point"
    time_limit = 60

    def __init__(self, robot: FakeRobot, bring: Callable[[np.ndarray], object]) -> None:
        """
        Args:
            robot: perceives the point.
            bring: brings its tool to a position, m, base frame, shape (3,).
        """
        self._robot = robot
        self._bring = bring

    def reset(self, rng: np.random.Generator) -> None:
        start, point = rng.uniform(*BOX), rng.uniform(*BOX)
        self._robot.set_thing(POINT, point)
        self._bring(start)

    def success(self, observation: Observation) -> bool:
        return self.remaining(observation) < NEAR

    def remaining(self, observation: Observation) -> float:
        """Distance from the tool to the point, m."""
        return float(np.linalg.norm(observation.scene[POINT][:3] - observation.tool_pose_in_base[:3]))

    def expert(self, noise: float = 0.0, tap: float = 0.0) -> TouchExpert:
        """Goes straight to the point; no tap is too long for it."""
        return TouchExpert(noise)


class TouchExpert:
    """A policy that looks at nothing but the observation."""

    version = -1

    def __init__(self, noise: float) -> None:
        self._noise = noise

    def reset(self) -> None:
        """It remembers nothing."""

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        away = (observation.scene[POINT] - observation.tool_target_in_base)[:3] / ACTION.scale
        wobble = self._noise * rng.standard_normal(3) if self._noise else 0.0
        return Action(np.clip(away + wobble, -1.0, 1.0).astype(np.float32))


@dataclass(frozen=True)
class FakeConfig(PlaceConfig):
    """A robot in memory that touches a point: what a place of your own looks like."""

    kind: ClassVar[str] = "fake"
    lag: float = 0.03
    """Time constant with which the robot follows, seconds."""
    homing: bool = False
    """Begin each episode by a motion, as a real robot must, instead of at once."""

    def __post_init__(self) -> None:
        check_ranges(self, "", lag=SECONDS)

    @property
    def simulated(self) -> bool:
        return True

    def check_task(self, task: str) -> None:
        if task != Touch.name:
            raise UnknownNameError("task of place fake", task, [Touch.name])

    def open(self, task: str, *, clock: Clock, cameras: PictureSizes, seed: int = 0) -> Place:
        self.check_task(task)
        if cameras:
            raise ConfigError(f"cameras: got {', '.join(cameras)}, but place fake has none")
        robot = FakeRobot(clock, action=ACTION, lag=self.lag, things=[POINT])
        guard = GuardedRobot(robot, LIMITS, clock)
        bring = partial(_move, guard) if self.homing else robot.put
        place = Place(guard, Touch(robot, bring), clock, simulated=True)
        place.world = robot
        return place


def _move(guard: GuardedRobot, position: np.ndarray) -> None:
    """Bring the tool there within the limits; raises RobotError where it does not arrive."""
    if not guard.move_to((*position.tolist(), *HOME[3:]), 1.0, timeout=HOMING_TIMEOUT):
        raise RobotError(f"the tool has not come to {position.round(3).tolist()} m within {HOMING_TIMEOUT:g} s")
