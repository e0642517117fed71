"""A person takes over from a wild policy, on the simulated arm: nothing jumps at any switch."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from robot_rlhf.datatypes import Action, Assignment, Driver, FeedbackKind, Observation
from robot_rlhf.feedback.arbiter import Arbiter
from robot_rlhf.people.person import PersonConfig, SimulatedPerson
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.runtime.station import Station
from robot_rlhf.safety.guard import Guarded, GuardedRobot
from robot_rlhf.safety.limits import ToolLimits
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.tasks import PickCube, Reach
from tests.runtime.stations import Listener, run_station
from tests.safety.laws import Laws

EAGER = PersonConfig(reaction_delay=0.1, attention=1.0, patience=0.2, burst=0.3, skill_noise=0.3, error_rate=0.5)


class WatchedGuard(GuardedRobot):
    """Checks from outside, command by command, that poses and velocities stay within the limits' steps."""

    def __init__(self, robot: Any, limits: ToolLimits, clock: FakeClock) -> None:
        super().__init__(robot, limits, clock)
        self.laws = Laws(limits, robot.spec.action)
        self.checked = 0

    def anchor(self) -> None:
        super().anchor()
        self.laws.restart(None)

    def act(self, action: Action) -> Guarded:
        assert self._seen is not None
        measured = self._seen
        guarded = super().act(action)
        self.laws.check(guarded, measured)
        self.checked += 1
        return guarded


@dataclass
class Wild:
    """A policy that jerks from one extreme to another."""

    size: int
    version: int = 0

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        return Action(rng.choice([-1.0, 1.0], self.size).astype(np.float32))

    def reset(self) -> None:
        """Nothing is kept."""


@pytest.mark.parametrize("task_type", [Reach, PickCube])
def test_no_switch_jumps(task_type: Any) -> None:
    clock = FakeClock()
    task = task_type(clock)
    guard = WatchedGuard(task.arm, task.limits, clock)
    person = SimulatedPerson(EAGER, guard.spec, task.expert, task.remaining, task.success)
    listener = Listener()
    station = Station(
        guard=guard,
        task=task,
        policy=Wild(guard.spec.action.size),
        arbiter=Arbiter(guard.spec.action, give_back_after=0.1),
        reward=SparseReward(),
        clock=clock,
        teleop=person,
        subscribers=(listener, person),
        release_faults=True,
    )
    for seed in range(8):
        run_station(station, seed=seed)
    drivers = [step.driver for step in listener.steps]
    switches = sum(a is not b for a, b in itertools.pairwise(drivers))
    assert switches > 20
    assert {Driver.POLICY, Driver.HUMAN, Driver.REFLEX} == set(drivers)
    assert guard.checked == len(drivers)
    spans = [f.span.length for f in listener.feedback if f.kind is FeedbackKind.INTERVENTION]
    assert sum(spans) == drivers.count(Driver.HUMAN)
