"""The simulated person: every knob does what it says, and the same seed gives the same person."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_rlhf.conformance import TeleopConformance
from robot_rlhf.datatypes import (
    Action,
    Assignment,
    Button,
    Driver,
    EpisodeKind,
    EpisodeMeta,
    HumanInput,
    Step,
)
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.people.person import PEOPLE, PersonConfig, SimulatedPerson
from tests.sim.scene import STEADY, Scene, as_bytes, bursts, drives, first


class TestPerson(TeleopConformance):
    action_size = 3

    def make_teleop(self) -> SimulatedPerson:
        scene = Scene(PEOPLE["clumsy"])
        scene.watch(3, kind=EpisodeKind.DEMONSTRATION)
        observation = scene.guard.observe()
        meta = EpisodeMeta("e", "reach", EpisodeKind.DEMONSTRATION, 0, "p", "r")
        scene.person.on_episode_start(meta, observation)
        return scene.person


@pytest.mark.parametrize("preset", ["attentive", "clumsy"])
def test_a_seed_gives_the_same_person(preset: str) -> None:
    a = [as_bytes(Scene(PEOPLE[preset]).watch(80, seed)) for seed in (3, 3, 4)]
    assert a[0] == a[1] != a[2]


def test_hands_off_between_episodes() -> None:
    scene = Scene(STEADY)
    scene.watch(30)
    read = scene.person.read()
    assert read is not None
    assert read.action is None
    assert not read.buttons


# -- when --------------------------------------------------------------------------------------------------------------


def test_patience_is_how_long_no_progress_is_watched() -> None:
    at = [first(Scene(replace(STEADY, patience=seconds)).watch(80)) for seconds in (0.25, 0.5, 1.5)]
    assert at == [5, 10, 30], "a robot that rests makes no progress from its first step on"


def test_reaction_delay_comes_on_top() -> None:
    at = [first(Scene(replace(STEADY, reaction_delay=seconds)).watch(80)) for seconds in (0.0, 0.25, 1.0)]
    assert at == [10, 15, 30]


def test_progress_is_no_reason() -> None:
    scene = Scene(STEADY)
    expert = scene.task.expert(0.0)
    rng = np.random.default_rng(0)
    read = scene.watch(60, policy=lambda o: expert.act(o, Assignment(), rng), until_success=True)
    assert scene.solved
    assert not any(drives(read))


def test_going_back_is_a_reason_before_patience_runs_out() -> None:
    scene = Scene(replace(STEADY, patience=60.0))
    expert = scene.task.expert(0.0)
    rng = np.random.default_rng(0)
    read = scene.watch(60, policy=lambda o: Action(-expert.act(o, Assignment(), rng).values), obey=False)
    assert any(drives(read))
    later = Scene(replace(STEADY, patience=60.0, indulgence=0.4))
    waits = later.watch(60, policy=lambda o: Action(-expert.act(o, Assignment(), rng).values), obey=False)
    assert first(waits) > first(read)


def takes_over_on_seeing(config: PersonConfig, **changes: Any) -> bool:
    scene = Scene(config)
    scene.task.reset(np.random.default_rng(0))
    scene.guard.anchor()
    seen = replace(scene.guard.observe(), **changes)
    scene.person.on_episode_start(EpisodeMeta("e", "t", EpisodeKind.PRACTICE, 0, "p", "r"), seen)
    read = scene.person.read()
    return read is not None and read.action is not None


def test_pressing_hard_is_a_reason() -> None:
    wrench = np.array([0.0, 0.0, 30.0, 0.0, 0.0, 0.0], np.float32)
    assert takes_over_on_seeing(replace(STEADY, alarm_force=20.0), tool_wrench=wrench)
    assert not takes_over_on_seeing(replace(STEADY, alarm_force=40.0), tool_wrench=wrench)


def test_nearing_a_joint_limit_is_a_reason() -> None:
    spec = Scene(STEADY).spec
    middle = 0.5 * (spec.position_lower + spec.position_upper)
    near = middle.copy()
    near[3] = spec.position_upper[3] - 0.01
    assert takes_over_on_seeing(STEADY, joint_position=near)
    assert not takes_over_on_seeing(STEADY, joint_position=middle)


def test_attention_is_the_chance_of_noticing() -> None:
    def mean_start(attention: float) -> float:
        starts = [first([*Scene(replace(STEADY, attention=attention)).watch(150, seed), SENTINEL]) for seed in range(8)]
        return float(np.mean(starts))

    assert mean_start(1.0) == 10
    assert 10 < mean_start(0.3) < mean_start(0.03)


SENTINEL = HumanInput(Action(np.zeros(3, np.float32)))


def test_one_who_is_never_there_never_takes_over() -> None:
    scene = Scene(PEOPLE["absent"])
    assert not any(any(drives(scene.watch(100, seed))) for seed in range(3))


# -- how long ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "steps"), [(0.05, 1), (0.3, 6), (0.6, 12), (1.0, 20)])
def test_a_burst_lasts_as_long_as_it_says(seconds: float, steps: int) -> None:
    lengths = bursts(Scene(replace(STEADY, burst=seconds)).watch(120, obey=False))
    assert len(lengths) >= 2
    assert set(lengths) == {steps}


def test_one_who_corrects_to_the_end_keeps_driving() -> None:
    driving = drives(Scene(replace(STEADY, burst=None)).watch(100, obey=False))
    assert driving == [False] * 10 + [True] * 90


def test_a_budget_ends_the_help() -> None:
    scene = Scene(replace(STEADY, budget=1.0))
    total = sum(sum(drives(scene.watch(100, seed, obey=False))) for seed in range(4))
    assert 20 <= total < 20 + 6, "a correction that has begun is finished"
    assert scene.person.driven == pytest.approx(0.05 * total)


# -- how well ----------------------------------------------------------------------------------------------------------


def demonstration(config: PersonConfig, seed: int = 0, steps: int = 60) -> np.ndarray:
    read = Scene(config).watch(steps, seed, kind=EpisodeKind.DEMONSTRATION, obey=False)
    return np.stack([r.action.values for r in read if r.action is not None])


def test_demonstrations_are_driven_throughout() -> None:
    assert all(drives(Scene(PEOPLE["absent"]).watch(20, kind=EpisodeKind.DEMONSTRATION)))


def test_skill_noise_is_wobble() -> None:
    """The robot is held, so a perfect hand repeats one action."""
    spreads = [float(demonstration(replace(STEADY, skill_noise=noise)).std(axis=0).max()) for noise in (0, 0.1, 0.3)]
    assert spreads[0] < 0.02 < spreads[1] < spreads[2]


def test_pauses_are_moments_of_rest() -> None:
    def rests(rate: float, pause: float = 0.3) -> int:
        config = replace(STEADY, pause_rate=rate, pause=pause)
        return sum(int((~demonstration(config, seed).any(axis=1)).sum()) for seed in range(6))

    assert rests(0.0) == 0
    assert 0 < rests(0.1, pause=0.1) < rests(0.1, pause=0.5)
    assert rests(0.02) < rests(0.2)


def test_errors_begin_corrections_in_a_wrong_direction() -> None:
    def first_motion(error_rate: float, seed: int) -> np.ndarray:
        config = replace(STEADY, error_rate=error_rate, burst=0.5)
        read = [r.action.values for r in Scene(config).watch(25, seed, obey=False) if r.action is not None]
        return np.stack(read[:10])

    for seed in range(3):
        right, wrong = first_motion(0.0, seed), first_motion(1.0, seed)
        assert (wrong[:4] == wrong[0]).all(), "four steps of one wrong direction"
        assert not np.allclose(wrong[0], right[0], atol=0.1)
        np.testing.assert_allclose(wrong[4:], right[4:], atol=0.05)


def test_fatigue_slows_and_shakes() -> None:
    config = replace(STEADY, reaction_delay=0.2, skill_noise=0.05, fatigue=2.0)
    fresh, tired = Scene(config), Scene(config)
    tired.person.driven = 60.0
    assert first(fresh.watch(80)) == 14
    assert first(tired.watch(80)) == 22, "three times the delay after a minute of driving"

    def wobble(scene: Scene) -> float:
        read = scene.watch(60, kind=EpisodeKind.DEMONSTRATION, obey=False)
        return float(np.stack([r.action.values for r in read if r.action is not None]).std(axis=0).max())

    assert wobble(tired) > 1.5 * wobble(fresh)


# -- judging -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("error_rate", "button"), [(0.0, Button.SUCCESS), (1.0, Button.FAILURE)])
def test_success_is_pressed_once_when_it_is_seen(error_rate: float, button: Button) -> None:
    scene = Scene(replace(STEADY, error_rate=error_rate))
    read = scene.watch(60, kind=EpisodeKind.DEMONSTRATION)
    assert scene.solved
    pressed = [(t, b) for t, r in enumerate(read) for b in r.buttons]
    assert len(pressed) == 1
    assert pressed[0][1] is button
    scene.watch(pressed[0][0] - 1, kind=EpisodeKind.DEMONSTRATION)
    assert not scene.solved, "not before it is there"


@pytest.mark.parametrize(("error_rate", "button"), [(0.0, Button.FAILURE), (1.0, Button.SUCCESS)])
def test_failure_is_pressed_when_the_episode_is_over_without_success(error_rate: float, button: Button) -> None:
    scene = Scene(replace(STEADY, error_rate=error_rate))
    read = scene.watch(5)
    assert all(not r.buttons for r in read)
    observation = scene.guard.observe()
    rest = Action(np.zeros(scene.spec.action.size, np.float32))
    scene.person.on_step(
        Step(5, observation, rest, rest, Driver.POLICY, 0.0, False, True, -1, "", observation)  # cut by the time limit
    )
    verdict = scene.person.read()
    assert verdict is not None
    assert verdict.buttons == {button}


@pytest.mark.parametrize("task", ["reach", "pick_cube"])
@pytest.mark.parametrize("preset", sorted(PEOPLE))
def test_everyone_can_show_the_task(task: str, preset: str) -> None:
    scene = Scene(PEOPLE[preset], task)
    solved = 0
    for seed in range(4):
        scene.watch(scene.task.time_limit, seed, kind=EpisodeKind.DEMONSTRATION, until_success=True)
        solved += scene.solved
    assert solved >= 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("attention", 1.5), ("reaction_delay", -1.0), ("skill_noise", float("nan")), ("burst", -0.1), ("speed", 0.0)),
        *(("speed", 1.1), ("sight_delay", float("inf")), ("presence", -0.1), ("mirror_rate", 2.0), ("linger", -1.0)),
        *(("key_change", float("inf")), ("mirror", float("nan")), ("sight_delay", 11.0)),
    ],
)
def test_settings_that_cannot_be_are_named(name: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=f"PersonConfig.{name}"):
        PersonConfig(**{name: value})
