"""Simulated tasks whose robot, world and perception are other ones in each episode."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol, cast

import numpy as np

from robot_rlhf.datatypes import Observation, Outcome
from robot_rlhf.facts import FactBook, book_of
from robot_rlhf.meaning import Meaning
from robot_rlhf.ports import AdvisedTask, EndingTask, GoldTask
from robot_rlhf.safety.limits import ToolLimits
from robot_rlhf_sim.arm import SimArm
from robot_rlhf_sim.disturbance import NOISE, PERIODS, DisturbedRobot
from robot_rlhf_sim.experts import ScriptedExpert
from robot_rlhf_sim.variation import DRAWS


class SimTask(GoldTask, Protocol):
    """A simulated task and the arm it built."""

    @property
    def arm(self) -> SimArm: ...

    @property
    def limits(self) -> ToolLimits: ...

    def remaining(self, observation: Observation) -> float:
        """How far the task still is from done, as a person who watches sees it, m. Never given to a learner."""
        ...

    def expert(self, noise: float = 0.0, tap: float = 0.0) -> ScriptedExpert: ...


EXTRA_DELAY = 2
"""Periods by which commands are later at most with randomise 1; half as many on the average."""
EXTRA_NOISE = 0.25
"""Largest additional action noise, in actions."""


class VariedTask:
    """A simulated task that begins its robot's disturbances with each episode, and draws another world for it.

    What it draws comes from a generator of its own, spawned from the episode's: the starts stay those of the task.
    """

    def __init__(self, task: SimTask, robot: DisturbedRobot, randomise: float = 0.0) -> None:
        """
        Args:
            task: of the arm.
            robot: around its arm.
            randomise: in [0, 1], how far world and robot may differ from the nominal ones: by that share of what
                variation.py says for a draw of 1, EXTRA_DELAY and EXTRA_NOISE.
        """
        self._task = task
        self._robot = robot
        self._randomise = randomise
        self._disturbance = robot.config

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

    @property
    def goal(self) -> tuple[str, str]:
        """Of a task that is asked for by naming a thing and a place; AttributeError for another."""
        return cast("Any", self._task).goal

    def ask(self, thing: str, place: str) -> None:
        """As of the task."""
        cast("Any", self._task).ask(thing, place)

    def reset(self, rng: np.random.Generator) -> None:
        (own,) = rng.spawn(1)
        if self._randomise:
            self._draw(own)
        self._robot.begin(own)
        self._task.reset(rng)

    def _draw(self, rng: np.random.Generator) -> None:
        much, base = self._randomise, self._disturbance
        self._task.arm.vary(much * rng.uniform(-1.0, 1.0, DRAWS))
        late = base.command_delay + int(rng.binomial(EXTRA_DELAY, 0.5 * much))
        noise = base.action_noise + EXTRA_NOISE * much * float(rng.uniform())
        self._robot.config = replace(
            base,
            command_delay=min(late, int(PERIODS.most)),
            action_noise=min(noise, NOISE.most),
        )

    def success(self, observation: Observation) -> bool:
        return self._task.success(observation)

    def ended(self, observation: Observation) -> Outcome | None:
        """None of a task whose world never ends an episode."""
        return self._task.ended(observation) if isinstance(self._task, EndingTask) else None

    def gold_reward(self, observation: Observation) -> float:
        return self._task.gold_reward(observation)

    @property
    def facts(self) -> FactBook:
        return book_of(self._task, self.arm.spec)

    def remaining(self, observation: Observation) -> float:
        return self._task.remaining(observation)

    def advises(self, observation: Observation) -> Meaning | None:
        """None of a task that nobody can do by words."""
        return self._task.advises(observation) if isinstance(self._task, AdvisedTask) else None

    def expert(self, noise: float = 0.0, tap: float = 0.0) -> ScriptedExpert:
        return self._task.expert(noise, tap)
