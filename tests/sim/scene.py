"""A simulated person before a simulated robot, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_rlhf.datatypes import (
    Action,
    Button,
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    HumanInput,
    Observation,
    Outcome,
    Step,
)
from robot_rlhf.people.person import PersonConfig, SimulatedPerson
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.tasks import Blocks, DrawerStore, PegInsert, PickCube, Push, Reach

TASKS: dict[str, Any] = {
    "reach": Reach,
    "pick_cube": PickCube,
    "peg_insert": PegInsert,
    "push": Push,
    "drawer_store": DrawerStore,
    "blocks": Blocks,
}
STEADY = PersonConfig(
    reaction_delay=0.0, attention=1.0, patience=0.5, indulgence=0.0, burst=0.3, skill_noise=0.0, error_rate=0.0
)
"""Takes over as soon as half a second went by without progress, for six steps."""


@dataclass
class Scene:
    """A task on the simulated arm whose robot only moves when the person moves it."""

    config: PersonConfig
    task_name: str = "reach"

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.task = TASKS[self.task_name](self.clock)
        self.guard = GuardedRobot(self.task.arm, self.task.limits, self.clock)
        self.spec = self.guard.spec
        self.blind = False
        task = self.task
        self.person = SimulatedPerson(self.config, self.spec, task.expert, task.remaining, task.success)

    def watch(
        self,
        steps: int,
        seed: int = 0,
        *,
        kind: EpisodeKind = EpisodeKind.PRACTICE,
        policy: Callable[[Observation], Action] | None = None,
        until_success: bool = False,
        obey: bool = True,
        ends: bool = False,
    ) -> list[HumanInput]:
        """What the person does, step by step, in one episode; without a policy the robot rests.

        Args:
            obey: False keeps the robot from doing what the person wants, so that there is never any progress.
            ends: the step with a success ends the episode, and the person is asked for a verdict.
        """
        self.task.reset(np.random.default_rng(seed))
        self.guard.anchor()
        observation = self.guard.observe()
        self.person.on_episode_start(EpisodeMeta("e", "t", kind, seed, "p", "r"), observation)
        read: list[HumanInput] = []
        rest = Action(np.zeros(self.spec.action.size, np.float32))
        for index in range(steps):
            given = self.person.read()
            assert given is not None
            read.append(given)
            driver = Driver.POLICY if given.action is None else Driver.HUMAN
            wish = given.action or (policy(observation) if policy else rest)
            executed = self.guard.act(wish if obey or given.action is None else rest).executed
            following = self.guard.observe()
            over = ends and bool(self.task.success(following))
            self.person.on_step(Step(index, observation, rest, executed, driver, 0.0, over, False, 0, "", following))
            observation = following
            if until_success and self.task.success(observation):
                break
        self.solved = bool(self.task.success(observation))
        verdict = self.person.read() if ends else None
        self.verdict = verdict.buttons if verdict else frozenset[Button]()
        self.person.on_episode_end(EpisodeEnd("e", Outcome.TIME_LIMIT, len(read)))
        return read


def drives(read: list[HumanInput]) -> list[bool]:
    return [r.action is not None for r in read]


def first(read: list[HumanInput]) -> int:
    """Number of the step at which the person takes over."""
    return drives(read).index(True)


def bursts(read: list[HumanInput]) -> list[int]:
    """Lengths of the spans of driving, but for one that the end cut off."""
    lengths, run = [], 0
    for driving in drives(read):
        if driving:
            run += 1
        elif run:
            lengths.append(run)
            run = 0
    return lengths


def as_bytes(read: list[HumanInput]) -> list[tuple[bytes, frozenset[Button]]]:
    return [(b"" if r.action is None else r.action.values.tobytes(), r.buttons) for r in read]
