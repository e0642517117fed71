"""The scripted experts, behind the guard with each task's limits."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_rlhf.datatypes import Assignment
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.ports import Policy
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.rotation import POINTING_DOWN, multiply
from robot_rlhf_sim.tasks import Blocks, DrawerStore, PegInsert, PickCube, Push, Reach

CASES = (
    (Reach, {}, 0.0),
    (PickCube, {}, 0.0),
    (PickCube, {}, 0.15),
    (PegInsert, {}, 0.0),
    (PegInsert, {}, 0.15),
    (PegInsert, {"clearance": 0.0005}, 0.0),
    (Push, {}, 0.0),
    (Push, {}, 0.15),
    (Push, {"friction": 0.8, "mass": 0.5, "distance": 0.3}, 0.0),
    (DrawerStore, {}, 0.0),
    (DrawerStore, {}, 0.15),
    (Blocks, {}, 0.0),
    (Blocks, {}, 0.15),
)


def successes(task_type: Any, options: dict[str, float], noise: float, episodes: int) -> int:
    """How many of the seeds 0, 1, ... the expert solves."""
    clock = FakeClock()
    task = task_type(clock, **options)
    guard = GuardedRobot(task.arm, task.limits, clock)
    expert = task.expert(noise)
    solved = 0
    for seed in range(episodes):
        rng = np.random.default_rng(seed)
        task.reset(rng)
        guard.anchor()
        expert.reset()
        for _ in range(task.time_limit):
            guard.act(expert.act(guard.observe(), Assignment(task.instruction), rng))
            if task.success(guard.observe()):
                solved += 1
                break
    assert not guard.faults
    return solved


@pytest.mark.parametrize(("task_type", "options", "noise"), CASES)
def test_solves_its_task(task_type: Any, options: dict[str, float], noise: float) -> None:
    assert successes(task_type, options, noise, 25) >= 24


@pytest.mark.slow
@pytest.mark.parametrize(("task_type", "options", "noise"), CASES)
def test_solves_its_task_on_200_seeds(task_type: Any, options: dict[str, float], noise: float) -> None:
    assert successes(task_type, options, noise, 200) >= 196


def test_who_has_only_keys_feels_for_the_hole_and_does_not_press_on() -> None:
    """Half a tap beside the hole: with a stick one waits until it is right, with keys one presses, up to a force."""
    task = PegInsert(FakeClock())
    guard = GuardedRobot(task.arm, task.limits, FakeClock())
    task.reset(np.random.default_rng(0))
    guard.anchor()
    seen = guard.observe()
    x, y, z, *turned = seen.privileged["hole"].tolist()
    pose = np.array([x + 0.001, y, z + 0.0005, *multiply((turned[0], turned[1], turned[2], turned[3]), POINTING_DOWN)])
    beside = replace(seen, tool_pose_in_base=pose, tool_target_in_base=pose)
    pressed = replace(beside, tool_wrench=np.array([0.0, 0.0, 60.0, 0.0, 0.0, 0.0], np.float32))
    rng = np.random.default_rng(0)
    keys, stick = task.expert(0.0, tap=0.25), task.expert(0.0)
    down = task.arm.spec.action.names.index("z")
    assert stick.act(beside, Assignment(), rng).values[down] >= 0.0
    assert keys.act(beside, Assignment(), rng).values[down] < -0.05
    assert keys.act(pressed, Assignment(), rng).values[down] > 0.0
    np.testing.assert_array_equal(
        stick.act(pressed, Assignment(), rng).values, stick.act(beside, Assignment(), rng).values
    )


@pytest.mark.parametrize("task_type", [Reach, PickCube, PegInsert, Push, DrawerStore, Blocks])
def test_is_a_markov_policy_without_noise(task_type: Any) -> None:
    """Another expert, asked in another order, wishes the same."""
    task = task_type(FakeClock())
    one, other = task.expert(), task.expert()
    assert isinstance(one, Policy)
    assert one.version == -1
    rng = np.random.default_rng(0)
    seen = []
    for seed in range(6):
        task.reset(np.random.default_rng(seed))
        seen.append(task.arm.observe())
    forward = [one.act(o, Assignment(), rng).values for o in seen]
    backward = [other.act(o, Assignment(), rng).values for o in reversed(seen)]
    np.testing.assert_array_equal(forward, backward[::-1])


def test_noise_wobbles_like_a_hand() -> None:
    """Stationary spread as asked for, neighbours alike, the gripper steady, and the same seed the same."""
    task = Reach(FakeClock())
    task.reset(np.random.default_rng(0))
    seen = task.arm.observe()
    x, y, z = seen.tool_pose_in_base[:3].tolist()
    task.arm.data.mocap_pos[0] = (x, y, z)
    task.arm.settle()
    seen = task.arm.observe()

    def wobble(seed: int) -> np.ndarray:
        expert, rng = task.expert(0.1), np.random.default_rng(seed)
        return np.stack([expert.act(seen, Assignment(), rng).values for _ in range(4000)])

    values = wobble(1)
    assert values.std() == pytest.approx(0.1, rel=0.1)
    neighbours = np.mean([np.corrcoef(c[:-1], c[1:])[0, 1] for c in values.T])
    assert neighbours == pytest.approx(0.8, abs=0.05)
    np.testing.assert_array_equal(values, wobble(1))
    assert any(not np.array_equal(a, b) for a, b in itertools.pairwise((values, wobble(2))))


def test_unreasonable_noise_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="noise"):
        Reach(FakeClock()).expert(noise=-0.1)
