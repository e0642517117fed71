"""Each step tells what was asked for in it; what cannot be asked for stops the robot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from robot_rlhf.conformance import DirectorConformance, sample_observation
from robot_rlhf.datatypes import NO_CONTEXT, Action, Assignment, EpisodeKind, Observation, Outcome
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.journal.reader import episodes
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.ports import Director
from robot_rlhf.runtime.directing import TaskDirector
from robot_rlhf.runtime.evaluation import evaluate
from tests.runtime.stations import GO, Listener, Rig, Script, run_station


@dataclass
class Goals:
    """A Director of a goal that is drawn for each episode, and counts the steps towards it."""

    context_sizes: Mapping[str, int] = field(default_factory=lambda: {"goal": 2, "age": 1})
    goal: np.ndarray = field(default_factory=lambda: np.zeros(2, np.float32))
    age: int = 0

    def reset(self, rng: np.random.Generator) -> None:
        self.goal, self.age = rng.uniform(size=2).astype(np.float32), 0

    def asked(self, observation: Observation) -> Assignment:
        self.age += 1
        return Assignment(f"step {self.age}", {"goal": self.goal, "age": np.array([self.age], np.float32)})


@dataclass
class Says:
    """A Director that says whatever a function gives."""

    say: Callable[[], Assignment]
    context_sizes: Mapping[str, int] = field(default_factory=lambda: {"goal": 2})

    def reset(self, rng: np.random.Generator) -> None:
        pass

    def asked(self, observation: Observation) -> Assignment:
        return self.say()


@dataclass
class Attentive(Script):
    """Keeps what it was asked."""

    heard: list[Assignment] = field(default_factory=list)

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        self.heard.append(asked)
        rng.uniform()
        return super().act(observation, asked, rng)


class TestTaskDirector(DirectorConformance):
    def make_director(self) -> Director:
        return TaskDirector(Rig().task)

    def make_observation(self) -> Observation:
        return sample_observation(Rig().robot.spec, 0.0, np.random.default_rng(0))


class TestGoals(TestTaskDirector):
    def make_director(self) -> Director:
        return Goals()


def test_without_a_director_the_task_is_asked_for_in_its_own_words() -> None:
    policy = Attentive([GO])
    rig = Rig(policy=policy)
    rig.run()
    assert {step.instruction for step in rig.listener.steps} == {"wait"}
    assert all(step.context is NO_CONTEXT for step in rig.listener.steps)
    assert {asked.instruction for asked in policy.heard} == {"wait"}
    rig.task.instruction = "wait no longer"
    rig.run(seed=1)
    assert policy.heard[-1].instruction == rig.listener.steps[-1].instruction == "wait no longer"


@pytest.mark.parametrize("kind", [EpisodeKind.PRACTICE, EpisodeKind.DEMONSTRATION])
def test_each_step_tells_what_was_asked_for_in_it(kind: EpisodeKind, tmp_path: Path) -> None:
    policy = Attentive([GO]) if kind is EpisodeKind.PRACTICE else None
    rig = Rig(policy=policy, hands=[GO] * 10)
    with JournalWriter(tmp_path, rig.robot.spec) as journal:
        station = replace(rig.station, director=Goals(), subscribers=(journal, rig.listener))
        run_station(station, kind, 4)
    goal = rig.listener.steps[0].context["goal"]
    (read,) = episodes(tmp_path)
    for steps in (rig.listener.steps, read.steps()):
        assert len(steps) == 10
        for number, step in enumerate(steps, 1):
            assert step.instruction == f"step {number}"
            assert step.context["age"].tolist() == [number]
            assert step.context["goal"].tobytes() == goal.tobytes()
    if policy is not None:
        assert [(asked.instruction, asked.context) for asked in policy.heard] == [
            (step.instruction, step.context) for step in rig.listener.steps
        ]


def test_what_a_director_draws_moves_neither_the_start_nor_the_exploration() -> None:
    def told(director: Director | None) -> tuple[list[float], float, list[float]]:
        rig = Rig()
        run_station(replace(rig.station, director=director), seed=6)
        goal = rig.listener.steps[0].context.get("goal", np.zeros(0))
        return rig.task.resets, float(rig.listener.steps[-1].next_observation.stamp), goal.tolist()

    plain, directed, again = told(None), told(Goals()), told(Goals())
    assert plain[:2] == directed[:2]
    assert directed == again, "one seed, one goal"


def test_an_evaluation_is_directed_too() -> None:
    rig, seen = Rig(policy=Attentive([GO])), Listener()
    evaluate(replace(rig.station, director=Goals()), episodes=2, seed=0, subscribers=[seen])
    assert [step.context["age"].tolist() for step in seen.steps] == [[n] for n in range(1, 11)] * 2
    assert seen.steps[0].context["goal"].tolist() != seen.steps[-1].context["goal"].tolist()


@pytest.mark.parametrize(
    ("say", "words"),
    [
        (lambda: Assignment("", {"goal": np.array([0.0, np.nan], np.float32)}), "finite"),
        (lambda: Assignment("", {"goal": np.zeros((2, 1), np.float32)}), "shape"),
        (lambda: Assignment("", {"goal": np.zeros(3, np.float32)}), r"goal \(3,\), allowed: goal \(2,\)"),
        (lambda: Assignment("", {"gaol": np.zeros(2, np.float32)}), r"gaol \(2,\), allowed: goal \(2,\)"),
        (Assignment, r"got none, allowed: goal \(2,\)"),
        (lambda: "grasp it", "director: got a str, allowed: an Assignment"),
    ],
)
def test_what_cannot_be_asked_for_is_a_latched_fault(say: Callable[[], Any], words: str) -> None:
    rig = Rig(release_faults=False)
    end = run_station(replace(rig.station, director=Says(say)))
    assert end.outcome is Outcome.FAULT
    assert end.steps == 0
    (fault,) = rig.guard.faults
    assert fault.rule == "director"
    with pytest.raises(InvalidValueError, match=words):
        raise InvalidValueError("fault", fault.detail, "")
    assert rig.stops > 0
    assert fault in rig.listener.told("event")


def test_an_assignment_stays_as_it_was_said() -> None:
    goal = np.zeros(2, np.float32)
    asked = Assignment("go", {"goal": goal})
    goal[:] = 1.0
    assert asked.context["goal"].tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="read-only"):
        asked.context["goal"][0] = 1.0
    assert isinstance(asked.context, MappingProxyType)
    assert Assignment("go", {}).context is NO_CONTEXT
