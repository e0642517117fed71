"""What the tasks draw, report, and count as success."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_rlhf.datatypes import Action, Assignment
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.disturbance import DisturbanceConfig, DisturbedRobot
from robot_rlhf_sim.rotation import yaw
from robot_rlhf_sim.tasks import Blocks, DrawerStore, PegInsert, PickCube, Push, Reach
from robot_rlhf_sim.varied import VariedTask


def test_cubes_fill_their_region_and_yaw_is_reduced_by_symmetry() -> None:
    task = PickCube(FakeClock())
    rng = np.random.default_rng(0)
    cubes, colours = [], set()
    for _ in range(60):
        task.reset(rng)
        seen = task.arm.observe()
        cubes.append(seen.scene["cube"])
        np.testing.assert_array_equal(seen.scene["cube"], seen.privileged["cube"])
        colours.add(tuple(task.arm.memory.round(2).tolist()))
    spread = np.ptp(np.stack(cubes), axis=0)
    assert 0.16 < spread[0] <= 0.20
    assert 0.20 < spread[1] <= 0.24
    angles = [yaw(tuple(c[3:].tolist())) for c in cubes]
    assert -math.pi / 4 - 1e-6 <= min(angles) < -0.6
    assert 0.6 < max(angles) <= math.pi / 4 + 1e-6
    assert len(colours) > 50


def test_a_lifted_cube_counts_only_in_the_grasp() -> None:
    task = PickCube(FakeClock())
    task.reset(np.random.default_rng(0))
    arm = task.arm
    assert not task.success(arm.observe())
    arm.data.qpos[task._address + 2] = 0.3
    arm.settle()
    assert arm.observe().privileged["cube"][2] > 0.1
    assert not task.success(arm.observe())


def test_hole_error_moves_the_report_and_not_the_hole() -> None:
    task = PegInsert(FakeClock(), hole_error=0.002)
    rng = np.random.default_rng(0)
    offsets = []
    for _ in range(80):
        task.reset(rng)
        seen = task.arm.observe()
        offset = seen.scene["hole"] - seen.privileged["hole"]
        np.testing.assert_allclose(offset[2:], 0.0, atol=1e-6)
        offsets.append(offset[:2])
    distance = np.linalg.norm(np.stack(offsets), axis=1)
    assert distance.max() <= 0.002 + 1e-6
    assert distance.mean() == pytest.approx(2.0 / 3.0 * 0.002, rel=0.15)  # uniform over the disc
    assert np.linalg.norm(np.mean(offsets, axis=0)) < 0.0005


def test_without_hole_error_the_report_is_true() -> None:
    task = PegInsert(FakeClock())
    task.reset(np.random.default_rng(0))
    seen = task.arm.observe()
    np.testing.assert_array_equal(seen.scene["hole"], seen.privileged["hole"])


def test_peg_starts_tilted_above_a_turned_hole() -> None:
    task = PegInsert(FakeClock())
    rng = np.random.default_rng(0)
    tilts, turns = [], []
    for _ in range(60):
        task.reset(rng)
        seen = task.arm.observe()
        _, x, y, _ = seen.tool_pose_in_base[3:].tolist()
        tilts.append(2.0 * math.acos(min(math.hypot(x, y), 1.0)))  # a tool straight down has only x and y
        turns.append(yaw(tuple(seen.privileged["hole"][3:].tolist())))
        assert seen.privileged["depth"][0] < -0.03
        assert np.abs(seen.tool_wrench).max() == 0.0
    assert math.radians(6.0) < max(tilts) < math.radians(8.6)
    assert np.ptp(turns) > math.radians(22.0)
    assert np.abs(turns).max() <= math.radians(15.0) + 1e-6


def test_depth_counts_only_in_the_hole() -> None:
    task = PegInsert(FakeClock())
    task.reset(np.random.default_rng(0))
    arm = task.arm
    x, y, _ = arm.observe().privileged["hole"][:3].tolist()
    for aside, expected in ((0.0, 0.030), (0.03, 0.0)):
        arm.begin((x + aside, y, 0.010, 0.0, 1.0, 0.0, 0.0), 0.25)
        arm.data.mocap_pos[0] = (x, y, 0.0)
        arm.settle()
        assert arm.observe().privileged["depth"][0] == pytest.approx(expected, abs=1e-4)
        assert task.success(arm.observe()) is (expected > 0.025)


@pytest.mark.parametrize("option", [{"clearance": 0.0}, {"clearance": -0.001}, {"hole_error": 0.1}])
def test_impossible_pegs_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError, match=next(iter(option))):
        PegInsert(FakeClock(), **option)


@pytest.mark.parametrize("clearance", [0.001, 0.0005])
def test_random_actions_neither_explode_nor_push_through_walls(clearance: float) -> None:
    """Behind the guard, where every action is."""
    clock = FakeClock()
    task = PegInsert(clock, clearance=clearance)
    guard = GuardedRobot(task.arm, task.limits, clock)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        task.reset(rng)
        guard.anchor()
        for _ in range(100):
            guard.act(Action((np.sign(rng.normal(size=6)) * rng.uniform(0.3, 1.0)).astype(np.float32)))
            seen = guard.observe()
            assert np.abs(seen.joint_velocity).max() < 4.0
            if task.arm.data.ncon:
                assert task.arm.data.contact.dist.min() > -0.002


@pytest.mark.parametrize("task_type", [Reach, PickCube, PegInsert, Push, DrawerStore, Blocks])
def test_gold_reward_grows_to_the_goal(task_type: type[PickCube]) -> None:
    clock = FakeClock()
    task = task_type(clock)
    guard = GuardedRobot(task.arm, task.limits, clock)
    rng = np.random.default_rng(4)
    task.reset(rng)
    guard.anchor()
    expert = task.expert()
    rewards = [task.gold_reward(guard.observe())]
    while not task.success(guard.observe()) and len(rewards) < task.time_limit:
        guard.act(expert.act(guard.observe(), Assignment(task.instruction), rng))
        rewards.append(task.gold_reward(guard.observe()))
    assert all(0.0 <= r <= 1.0 for r in rewards)
    assert rewards[-1] > 0.85
    assert rewards[-1] > rewards[0] + 0.3


@pytest.mark.parametrize("task_type", [Reach, PickCube, PegInsert, Push, DrawerStore, Blocks])
def test_experts_leave_ever_less_to_go(task_type: Any) -> None:
    clock = FakeClock()
    task = task_type(clock)
    guard, rng = GuardedRobot(task.arm, task.limits, clock), np.random.default_rng(0)
    varied = VariedTask(task, DisturbedRobot(task.arm, DisturbanceConfig(), clock, seed=0))
    task.reset(rng)
    guard.anchor()
    left = [task.remaining(guard.observe())]
    while not task.success(guard.observe()) and len(left) < task.time_limit:
        guard.act(task.expert().act(guard.observe(), Assignment(), rng))
        left.append(task.remaining(guard.observe()))
        assert varied.remaining(guard.observe()) == left[-1]
    assert left[-1] < 0.03 < left[0]
    assert np.mean(np.diff(left) < 1e-3) > 0.8


def test_what_remains_of_a_lift() -> None:
    task = PickCube(FakeClock())
    task.reset(np.random.default_rng(0))
    seen = task.arm.observe()
    away = float(np.linalg.norm(seen.tool_pose_in_base[:3] - seen.privileged["cube"][:3]))
    assert task.remaining(seen) == pytest.approx(0.10 + away)
    for height, left in ((0.02, 0.08), (0.07, 0.03), (0.2, 0.0)):
        cube = np.array([0.5, 0.0, height, 1.0, 0.0, 0.0, 0.0], np.float32)
        held = replace(seen, privileged={"cube": cube, "grasped": np.ones(1, np.float32)})
        assert task.remaining(held) == pytest.approx(left, abs=1e-6)
