"""Push: what is drawn, when the glass ends an episode, what the lamp tells, and what the knobs change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_rlhf.datatypes import Action, Assignment, Observation, Outcome
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.ports import EndingTask
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.disturbance import DisturbanceConfig, DisturbedRobot
from robot_rlhf_sim.tasks import Push, Reach
from robot_rlhf_sim.tasks.push import FORESEEN, IN_RING, LIT_WITHIN, PUCK_RADIUS, SLEEVE_RADIUS, ZONE
from robot_rlhf_sim.varied import VariedTask


def placed(task: Push, **places: tuple[float, float]) -> Observation:
    """What is seen with puck, goal or glass somewhere else."""
    arm = task.arm
    for name, place in places.items():
        if name == "puck":
            arm.data.qpos[task._address : task._address + 2] = place
        else:
            arm.data.mocap_pos[("goal", "glass").index(name), :2] = place
    arm.settle()
    return arm.observe()


def begun(**options: Any) -> Push:
    task = Push(FakeClock(), **options)
    task.reset(np.random.default_rng(0))
    return task


def test_the_puck_counts_in_the_ring_and_nowhere_else() -> None:
    task = begun()
    for aside, inside in ((0.0, True), (IN_RING - 0.001, True), (IN_RING + 0.001, False)):
        seen = placed(task, goal=(0.55, 0.1), puck=(0.55 + aside, 0.1), glass=(0.4, 0.1))
        assert task.success(seen) is inside
        assert task.ended(seen) is None


def test_who_touches_the_glass_has_failed() -> None:
    """Whether with the puck or with the fingers, and a puck in the ring does not make up for it."""
    task = begun()
    tool = task.arm.tool_pose()[:2]
    for radius, thing in ((PUCK_RADIUS, "puck"), (SLEEVE_RADIUS, "fingers")):
        x, y = (0.55, 0.1) if thing == "puck" else tool
        for gap in (-0.001, 0.001):
            seen = placed(task, puck=(0.55, 0.1), goal=(0.55, 0.1), glass=(x + radius + ZONE + gap, y))
            assert seen.privileged["clear"][0] == pytest.approx(gap, abs=1e-5)
            assert task.ended(seen) is (Outcome.FAILURE if gap < 0 else None)
            assert task.success(seen) is (gap > 0)
            assert (task.gold_reward(seen) == 0.0) is (gap < 0)


def test_a_varied_task_ends_as_the_task_within_does() -> None:
    for task, ends in ((begun(), True), (Reach(FakeClock()), False)):
        varied = VariedTask(task, DisturbedRobot(task.arm, DisturbanceConfig(), task.arm.clock, seed=0))
        assert isinstance(varied, EndingTask)
        if isinstance(task, Push):
            seen = placed(task, glass=(task.arm.tool_pose()[0], task.arm.tool_pose()[1]))
        else:
            seen = task.arm.observe()
        assert (varied.ended(seen) is Outcome.FAILURE) is ends


def test_a_straight_way_is_as_long_as_it_looks_and_a_barred_one_longer() -> None:
    task = begun()
    free = task.remaining(placed(task, puck=(0.5, -0.1), goal=(0.5, 0.1), glass=(0.65, 0.0)))
    behind = np.array([0.5, -0.1 - PUCK_RADIUS - SLEEVE_RADIUS])
    to_puck = float(np.linalg.norm(np.array(task.arm.tool_pose()[:2]) - behind))
    assert free == pytest.approx(0.2 - IN_RING + to_puck, abs=1e-5)
    assert task.remaining(placed(task, glass=(0.51, 0.0))) > free + 0.02


def test_who_watches_sees_the_puck_go_towards_the_glass() -> None:
    """While it is pushed, and only on a line that comes to the glass."""
    task = begun()
    x, y, _ = task.arm.tool_pose()[:3]
    close = PUCK_RADIUS + SLEEVE_RADIUS
    fast = np.array([0.0, 0.1, 0.0, 0.0, 0.0, 0.0], np.float32)
    for aside, speed, foreseen in ((0.0, 1.0, True), (0.05, 1.0, True), (0.06, 1.0, False), (0.0, 0.0, False)):
        seen = placed(task, puck=(x, y + close), goal=(x, y + 0.3), glass=(x + aside, y + close + 0.1))
        moving, still = (task.remaining(replace(seen, tool_velocity=v * fast)) for v in (speed, 0.0))
        assert (moving - still == pytest.approx(FORESEEN)) is foreseen


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_lamp_tells_the_truth_as_often_as_asked_for(share: float) -> None:
    task = Push(FakeClock(), lamp_truth=share)
    lit: list[tuple[bool, bool]] = []
    for seed in range(20):
        task.reset(np.random.default_rng(seed))
        x, y = task.arm.data.mocap_pos[0, :2].tolist()
        both = []
        for aside in (0.9 * LIT_WITHIN, 1.1 * LIT_WITHIN):
            placed(task, puck=(x + aside, y))
            task.happen(task.arm, 0.05)
            both.append(bool(placed(task).privileged["lit"][0]))
        lit.append((both[0], both[1]))
    if share:
        assert set(lit) == {(True, False)}
    else:
        assert set(lit) == {(True, True), (False, False)}


def test_the_lamp_changes_nothing_but_itself() -> None:
    """The same pushes end at the same place, whether it tells the truth or not."""
    ends = []
    for share in (0.0, 1.0):
        task = Push(FakeClock(), lamp_truth=share)
        guard, rng, expert = (
            GuardedRobot(task.arm, task.limits, task.arm.clock),
            np.random.default_rng(3),
            task.expert(),
        )
        task.reset(rng)
        guard.anchor()
        for _ in range(40):
            guard.act(expert.act(guard.observe(), Assignment(), rng))
        ends.append(guard.observe().scene["puck"])
    np.testing.assert_array_equal(*ends)


def test_a_puck_of_little_friction_slides_on() -> None:
    slid = []
    for friction in (0.05, 0.8):
        task = begun(friction=friction)
        guard = GuardedRobot(task.arm, task.limits, task.arm.clock)
        placed(task, goal=(0.4, 0.2), glass=(0.6, 0.2), puck=(0.5, 0.0))
        task.arm.begin((0.5, -0.06, 0.018, 0.0, 1.0, 0.0, 0.0), 0.0)
        placed(task, goal=(0.4, 0.2), glass=(0.6, 0.2), puck=(0.5, 0.0))
        guard.anchor()
        seen = guard.observe()
        for step in range(25):
            guard.act(Action(np.array([0.0, 1.0 if step < 15 else 0.0], np.float32)))
            seen = guard.observe()
        slid.append(float(seen.privileged["puck"][1]))
    assert slid[0] > slid[1] + 0.003 > 0.015


@pytest.mark.parametrize("option", [{"friction": 0.0}, {"mass": 5.0}, {"distance": 1.0}, {"lamp_truth": 1.5}])
def test_impossible_worlds_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError, match=next(iter(option))):
        Push(FakeClock(), **option)


def test_pushing_at_random_succeeds_never() -> None:
    task = Push(FakeClock())
    guard = GuardedRobot(task.arm, task.limits, task.arm.clock)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        task.reset(rng)
        guard.anchor()
        for _ in range(task.time_limit):
            guard.act(Action(np.clip(rng.normal(size=2), -1.0, 1.0).astype(np.float32)))
            seen = guard.observe()
            assert not task.success(seen)
            if task.ended(seen):
                break
