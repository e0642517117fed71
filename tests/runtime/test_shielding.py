"""What a shield changes is executed and told; what it must not do stops the robot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from robot_rlhf.conformance import ShieldConformance, sample_observation
from robot_rlhf.datatypes import Action, Driver, EpisodeKind, GuardEvent, Observation, Outcome
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.ports import Shield
from robot_rlhf.runtime.evaluation import evaluate
from tests.runtime.stations import GO, LEFT, Listener, Rig, Script, run_station, wish


@dataclass
class Slow:
    """A Shield that lets nobody go faster than half of what is allowed along x."""

    resets: int = 0

    def reset(self) -> None:
        self.resets += 1

    def filter(self, observation: Observation, action: Action, driver: Driver) -> Action:
        if abs(action.values[0]) <= 0.1:
            return action
        values = action.values.copy()
        values[0] = np.clip(values[0], -0.1, 0.1)
        return Action(values)


@dataclass
class Gives:
    """A Shield that gives whatever a function does."""

    give: Callable[[Action], Action]

    def reset(self) -> None:
        pass

    def filter(self, observation: Observation, action: Action, driver: Driver) -> Action:
        return self.give(action)


class TestSlow(ShieldConformance):
    action_size = 5

    def make_shield(self) -> Shield:
        return Slow()

    def make_observation(self) -> Observation:
        return sample_observation(Rig().robot.spec, 0.0, np.random.default_rng(0))


def changes(listener: Listener) -> list[GuardEvent]:
    return [event for event in listener.told("event") if isinstance(event, GuardEvent) and event.rule == "shield"]


def test_the_shielded_action_is_executed_and_told() -> None:
    rig = Rig(policy=Script([LEFT, GO, LEFT]), hands=[None, None, None, GO])
    shield = Slow()
    end = run_station(replace(rig.station, shield=shield))
    assert end.steps == 10
    assert shield.resets == 1
    steps = rig.listener.steps
    for number in (1, 3):
        assert steps[number].action.values[0] == pytest.approx(0.1, abs=1e-5)
    assert steps[1].proposed is GO, "the wish is recorded as it was"
    assert (steps[1].driver, steps[3].driver) == (Driver.POLICY, Driver.HUMAN)
    assert steps[0].action.values[1] == pytest.approx(0.5, abs=1e-5)
    assert [event.detail for event in changes(rig.listener)] == [
        "the policy's x 0.200 to 0.100",
        "the human's x 0.200 to 0.100",
    ]
    assert not any(event.latched for event in changes(rig.listener))


def test_a_shield_that_lets_all_pass_changes_nothing() -> None:
    def told(shield: Shield | None) -> list[bytes]:
        rig = Rig(policy=Script([GO, LEFT, wish(0, 0, -1, 0, -1)]))
        run_station(replace(rig.station, shield=shield))
        assert not changes(rig.listener)
        return [step.action.values.tobytes() for step in rig.listener.steps]

    assert told(None) == told(Gives(lambda action: action)) == told(Gives(lambda action: Action(action.values.copy())))


def test_what_a_shield_gives_is_limited_by_the_guard() -> None:
    rig = Rig(policy=Script([wish(0, 0, 0, 0, 1)]))
    rig.task.time_limit = 200
    run_station(replace(rig.station, shield=Gives(lambda action: wish(1, 0, 0, 0, 1))))
    assert "workspace" in {event.rule for event in rig.listener.told("event")}
    reach = rig.robot.spec.command.upper[0]
    assert max(float(step.next_observation.tool_target_in_base[0]) for step in rig.listener.steps) <= reach + 1e-6


@pytest.mark.parametrize("kind", [EpisodeKind.DEMONSTRATION, EpisodeKind.EVALUATION])
def test_demonstrations_and_evaluations_are_shielded_too(kind: EpisodeKind) -> None:
    if kind is EpisodeKind.DEMONSTRATION:
        rig = Rig(policy=None, hands=[GO] * 10)
        run_station(replace(rig.station, shield=Slow()), kind)
        listener = rig.listener
    else:
        rig, listener = Rig(), Listener()
        evaluate(replace(rig.station, shield=Slow()), episodes=1, seed=0, subscribers=[listener])
    assert len(changes(listener)) == len(listener.steps) == 10
    assert max(step.action.values[0] for step in listener.steps) < 0.1 + 1e-5


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (lambda action: Action(np.full(5, np.nan, np.float32)), "finite"),
        (lambda action: Action(np.full(5, 1.5, np.float32)), r"\[-1, 1\]"),
        (lambda action: Action(np.zeros(4, np.float32)), r"shape \(4,\), allowed: shape \(5,\)"),
        (lambda action: Action(np.zeros((5, 1), np.float32)), r"shape is \(5, 1\)"),
        (lambda action: None, "shield: got a NoneType, allowed: an Action"),
    ],
)
def test_what_is_no_action_is_a_latched_fault(give: Callable[[Action], Any], words: str) -> None:
    rig = Rig(release_faults=False)
    end = run_station(replace(rig.station, shield=Gives(give)))
    assert (end.outcome, end.steps) == (Outcome.FAULT, 0)
    (fault,) = rig.guard.faults
    assert fault.rule == "shield"
    with pytest.raises(InvalidValueError, match=words):
        raise InvalidValueError("fault", fault.detail, "")
    assert fault in rig.listener.told("event")
