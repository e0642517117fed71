"""Laws of robots, and of the tasks performed on them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from robot_rlhf.conformance.randomness import global_generator
from robot_rlhf.datatypes import Command, Observation, RobotSpec
from robot_rlhf.episode import OBSERVATION_ARRAYS, OBSERVATION_MAPPINGS
from robot_rlhf.errors import ShapeError, StaleError
from robot_rlhf.ports import GoldTask, Robot, Task

FAR = 60.0
"""Seconds for which a test's command is valid: longer than any test takes."""


def hold_command(robot: Robot, observation: Observation) -> Command:
    """A command that any robot accepts: stay where you are told to be, or the middle of what is allowed."""
    layout = robot.spec.command
    target = 0.5 * (layout.lower + layout.upper)
    if layout.kind == "tool_pose":
        target = np.array([*observation.tool_target_in_base, observation.gripper_target], np.float64)
    return Command(target, observation.stamp + FAR)


def assert_same_state(a: Observation, b: Observation) -> None:
    """Everything but the stamp is equal, bit for bit."""
    for name in OBSERVATION_ARRAYS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    assert (a.gripper, a.gripper_target) == (b.gripper, b.gripper_target)
    for group in OBSERVATION_MAPPINGS:
        left, right = getattr(a, group), getattr(b, group)
        assert set(left) == set(right)
        for key in left:
            np.testing.assert_array_equal(left[key], right[key], err_msg=f"{group}/{key}")


def assert_matches_spec(observation: Observation, spec: RobotSpec) -> None:
    n = len(spec.joint_names)
    assert observation.joint_position.shape == observation.joint_velocity.shape == (n,)
    assert {name: image.shape[:2] for name, image in observation.images.items()} == dict(spec.cameras)
    assert {name: len(vector) for name, vector in observation.scene.items()} == dict(spec.scene)
    assert {name: len(vector) for name, vector in observation.privileged.items()} == dict(spec.privileged)
    for pose in (observation.tool_pose_in_base, observation.tool_target_in_base):
        assert np.linalg.norm(pose[3:]) == pytest.approx(1.0, abs=1e-4), "a quaternion has length 1"


class RobotConformance:
    """Laws of a Robot that is ready to move."""

    def make_robot(self) -> Robot:
        raise NotImplementedError

    def test_is_a_robot(self) -> None:
        assert isinstance(self.make_robot(), Robot)

    def test_spec_is_constant(self) -> None:
        robot = self.make_robot()
        before = robot.spec
        robot.send(hold_command(robot, robot.observe()))
        assert robot.spec is before

    def test_observation_matches_spec(self) -> None:
        robot = self.make_robot()
        assert_matches_spec(robot.observe(), robot.spec)
        robot.send(hold_command(robot, robot.observe()))
        assert_matches_spec(robot.observe(), robot.spec)

    def test_time_never_goes_back(self) -> None:
        robot = self.make_robot()
        stamps = []
        for _ in range(3):
            observation = robot.observe()
            stamps.append(observation.stamp)
            robot.send(hold_command(robot, observation))
        assert stamps == sorted(stamps)

    def test_send_returns_what_was_sent(self) -> None:
        robot = self.make_robot()
        command = hold_command(robot, robot.observe())
        sent = robot.send(command)
        np.testing.assert_allclose(sent.target, command.target, atol=1e-6)
        assert sent.valid_until <= command.valid_until

    def test_refuses_a_wrong_length(self) -> None:
        robot = self.make_robot()
        command = hold_command(robot, robot.observe())
        for target in (command.target[:-1], np.append(command.target, 0.0)):
            with pytest.raises(ShapeError):
                robot.send(Command(target, command.valid_until))

    def test_ignores_an_expired_command(self) -> None:
        robot = self.make_robot()
        before = robot.observe()
        target = robot.spec.command.upper.copy()
        if robot.spec.command.kind == "tool_pose":
            target = hold_command(robot, before).target.copy()
            target[2] += 0.02
        with pytest.raises(StaleError):
            robot.send(Command(target, before.stamp - 1.0))
        after = robot.observe()
        np.testing.assert_allclose(after.tool_pose_in_base, before.tool_pose_in_base, atol=1e-3)
        np.testing.assert_array_equal(after.tool_target_in_base, before.tool_target_in_base)
        for name, vector in before.scene.items():
            np.testing.assert_allclose(after.scene[name], vector, atol=1e-3)

    def test_stop_is_idempotent_and_comes_from_any_thread(self) -> None:
        robot = self.make_robot()
        robot.stop()
        robot.stop()
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(robot.stop).result(timeout=10.0)

    def test_moves_again_after_stop(self) -> None:
        robot = self.make_robot()
        robot.stop()
        robot.send(hold_command(robot, robot.observe()))
        assert_matches_spec(robot.observe(), robot.spec)


class TaskConformance:
    """Laws of a Task, with the robot it is performed on."""

    steps = 5
    """Commands after a reset over which a seed must reproduce."""

    def make_task(self) -> tuple[Task, Robot]:
        raise NotImplementedError

    def _run(self, task: Task, robot: Robot, seed: int) -> list[Observation]:
        task.reset(np.random.default_rng(seed))
        seen = [robot.observe()]
        for _ in range(self.steps):
            robot.send(hold_command(robot, seen[-1]))
            seen.append(robot.observe())
        return seen

    def test_is_a_task(self) -> None:
        task, _ = self.make_task()
        assert isinstance(task, Task)
        assert task.name
        assert task.instruction
        assert isinstance(task.time_limit, int)
        assert task.time_limit >= 1

    def test_a_seed_reproduces_in_a_new_task(self) -> None:
        for a, b in zip(self._run(*self.make_task(), 7), self._run(*self.make_task(), 7), strict=True):
            assert_same_state(a, b)

    def test_a_seed_reproduces_after_other_episodes(self) -> None:
        task, robot = self.make_task()
        first = self._run(task, robot, 7)
        self._run(task, robot, 8)
        for a, b in zip(first, self._run(task, robot, 7), strict=True):
            assert_same_state(a, b)

    def test_other_seeds_begin_otherwise(self) -> None:
        task, robot = self.make_task()
        starts = []
        for seed in range(4):
            task.reset(np.random.default_rng(seed))
            seen = robot.observe()
            starts.append(np.concatenate([seen.joint_position, *seen.scene.values()]).tobytes())
        assert len(set(starts)) == 4

    def test_reset_leaves_the_global_generator_alone(self) -> None:
        task, _ = self.make_task()
        before = global_generator()
        task.reset(np.random.default_rng(0))
        assert global_generator() == before

    def test_begins_unsolved(self) -> None:
        task, robot = self.make_task()
        for seed in range(4):
            task.reset(np.random.default_rng(seed))
            assert task.success(robot.observe()) is False

    def test_gold_reward_is_a_number(self) -> None:
        task, robot = self.make_task()
        task.reset(np.random.default_rng(0))
        if isinstance(task, GoldTask):
            assert np.isfinite(task.gold_reward(robot.observe()))
