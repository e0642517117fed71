"""Simulated tasks whose robot, world and perception are other ones in each episode."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from robot_rlhf.datatypes import Observation
from robot_rlhf.ports import GoldTask
from robot_rlhf.safety.limits import ToolLimits
from sim.arm import SimArm
from sim.disturbance import DisturbedRobot
from sim.experts import ScriptedExpert


class SimTask(GoldTask, Protocol):
    """A simulated task and the arm it built."""

    @property
    def arm(self) -> SimArm: ...

    @property
    def limits(self) -> ToolLimits: ...

    def expert(self, noise: float = 0.0, tap: float = 0.0) -> ScriptedExpert: ...


class VariedTask:
    """A simulated task that begins its robot's disturbances with each episode.

    What it draws comes from a generator of its own, spawned from the episode's: the starts stay those of the task.
    """

    def __init__(self, task: SimTask, robot: DisturbedRobot) -> None:
        self._task = task
        self._robot = robot

    @property
    def name(self) -> str:
        return self._task.name

    @property
    def instruction(self) -> str:
        return self._task.instruction

    @property
    def time_limit(self) -> int:
        return self._task.time_limit

    @property
    def arm(self) -> SimArm:
        return self._task.arm

    @property
    def limits(self) -> ToolLimits:
        return self._task.limits

    def reset(self, rng: np.random.Generator) -> None:
        (own,) = rng.spawn(1)
        self._robot.begin(own)
        self._task.reset(rng)

    def success(self, observation: Observation) -> bool:
        return self._task.success(observation)

    def gold_reward(self, observation: Observation) -> float:
        return self._task.gold_reward(observation)

    def expert(self, noise: float = 0.0, tap: float = 0.0) -> ScriptedExpert:
        return self._task.expert(noise, tap)
