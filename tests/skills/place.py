"""A simulated robot that does one skill after the other, and sees nothing privileged while it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from robot_rlhf.datatypes import Action, Observation
from robot_rlhf.facts import FactBook, book_of
from robot_rlhf.meaning import Meaning
from robot_rlhf.skills.primitives import make_skill
from robot_rlhf.skills.skill import Skill
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.place import SimConfig

Truth = Callable[[Observation], bool]
"""What holds after a skill, as only the simulator knows."""


class Obedient:
    """A task on the simulated arm whose robot does what skills decide, and nothing else."""

    def __init__(self, task: str) -> None:
        self.place = SimConfig().open(task, clock=FakeClock(), cameras={})
        self.task = self.place.task
        self.facts: FactBook = book_of(self.task, self.place.spec)
        self.last = ""
        self.periods = 0
        self.observation = self.reset(0)

    def reset(self, seed: int) -> Observation:
        self.observation = self.place.guard.begin(lambda: self.task.reset(np.random.default_rng(seed)))
        self.last, self.periods = "", 0
        return self.observation

    def perceived(self) -> Observation:
        return replace(self.observation, privileged={})

    def make(self, meaning: Meaning) -> Skill | str:
        return make_skill(meaning, self.perceived(), self.place.spec, self.facts, last=self.last)

    def does(self, meaning: Meaning) -> Skill:
        """Do a skill to its end; raises AssertionError where it cannot begin."""
        skill = self.make(meaning)
        assert not isinstance(skill, str), skill
        for _ in self.steps(skill):
            pass
        self.last = meaning.thing or self.last
        return skill

    def moves(self, action: Action) -> Observation:
        """One control period."""
        self.place.guard.act(action)
        self.periods += 1
        self.observation = self.place.guard.observe()
        return self.observation

    def steps(self, skill: Skill, most: int = 400) -> Iterator[Observation]:
        for _ in range(most):
            action = skill.act(self.perceived())
            if action is None:
                return
            yield self.moves(action)
        raise AssertionError(f"{skill.words}: no end after {most} periods")


def say(skill: str, thing: str = "", place: str = "", amount: float | None = None) -> Meaning:
    return Meaning("goal", skill=skill, thing=thing, place=place, amount=amount)
