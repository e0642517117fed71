"""The laws of each port, written once; a test of an implementation inherits them in three lines.

class TestMyRobot(RobotConformance):
    def make_robot(self) -> Robot:
        return MyRobot(...)
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rlhf.datatypes import (
    Action,
    Assignment,
    Batch,
    Button,
    Command,
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    GuardEvent,
    HumanInput,
    Observation,
    Outcome,
    RobotSpec,
    Segment,
    Step,
    WeightSnapshot,
    weights_checksum,
)
from robot_rlhf.episode import OBSERVATION_ARRAYS, OBSERVATION_MAPPINGS
from robot_rlhf.errors import CheckpointError, ShapeError, StaleError
from robot_rlhf.ports import Director, GoldTask, Labeler, Learner, Policy, Robot, Shield, Subscriber, Task, Teleop

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
        errors: list[BaseException] = []

        def stop() -> None:
            try:
                robot.stop()
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=stop)
        thread.start()
        thread.join(timeout=10.0)
        assert not thread.is_alive()
        assert not errors

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
        before = _global_generator()
        task.reset(np.random.default_rng(0))
        assert _global_generator() == before

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


class TeleopConformance:
    """Laws of a Teleop."""

    action_size: int

    def make_teleop(self) -> Teleop:
        raise NotImplementedError

    def test_is_a_teleop(self) -> None:
        assert isinstance(self.make_teleop(), Teleop)

    def test_reads_what_a_person_can_do(self) -> None:
        teleop = self.make_teleop()
        for _ in range(20):
            read = teleop.read()
            assert read is None or isinstance(read, HumanInput)
            if read is not None:
                assert all(isinstance(button, Button) for button in read.buttons)
                assert read.action is None or read.action.values.shape == (self.action_size,)


class PolicyConformance:
    """Laws of a Policy."""

    instruction = "do it"
    action_size: int

    def make_policy(self) -> Policy:
        raise NotImplementedError

    def make_observation(self) -> Observation:
        """One that the policy understands."""
        raise NotImplementedError

    def test_is_a_policy(self) -> None:
        policy = self.make_policy()
        assert isinstance(policy, Policy)
        assert isinstance(policy.version, int)
        assert policy.version >= -1

    def test_wishes_actions(self) -> None:
        policy, observation = self.make_policy(), self.make_observation()
        policy.reset()
        rng = np.random.default_rng(0)
        for _ in range(5):
            action = policy.act(observation, Assignment(self.instruction), rng)
            assert isinstance(action, Action)
            assert action.values.shape == (self.action_size,)
            assert np.abs(action.values).max() <= 1.0 + 1e-6

    def test_a_seed_reproduces(self) -> None:
        policy, observation = self.make_policy(), self.make_observation()

        def episode() -> list[bytes]:
            policy.reset()
            rng = np.random.default_rng(3)
            return [policy.act(observation, Assignment(self.instruction), rng).values.tobytes() for _ in range(4)]

        assert episode() == episode()

    def test_leaves_the_global_generator_alone(self) -> None:
        policy, observation = self.make_policy(), self.make_observation()
        before = _global_generator()
        policy.reset()
        policy.act(observation, Assignment(self.instruction), np.random.default_rng(0))
        assert _global_generator() == before


class DirectorConformance:
    """Laws of a Director."""

    def make_director(self) -> Director:
        raise NotImplementedError

    def make_observation(self) -> Observation:
        """One that the director understands."""
        raise NotImplementedError

    def _episode(self, director: Director) -> list[Assignment]:
        director.reset(np.random.default_rng(3))
        return [director.asked(self.make_observation()) for _ in range(4)]

    def test_is_a_director(self) -> None:
        assert isinstance(self.make_director(), Director)

    def test_asks_for_what_it_said_it_would(self) -> None:
        director = self.make_director()
        sizes = dict(director.context_sizes)
        for _ in range(2):
            for assignment in self._episode(director):
                assert isinstance(assignment, Assignment)
                assert {name: len(vector) for name, vector in assignment.context.items()} == sizes
        assert dict(director.context_sizes) == sizes

    def test_a_seed_reproduces(self) -> None:
        def plain() -> list[tuple[str, dict[str, bytes]]]:
            told = self._episode(director)
            return [(one.instruction, {name: v.tobytes() for name, v in one.context.items()}) for one in told]

        director = self.make_director()
        assert plain() == plain()

    def test_leaves_the_global_generator_alone(self) -> None:
        before = _global_generator()
        self._episode(self.make_director())
        assert _global_generator() == before


class ShieldConformance:
    """Laws of a Shield."""

    action_size: int

    def make_shield(self) -> Shield:
        raise NotImplementedError

    def make_observation(self) -> Observation:
        """One that the shield understands."""
        raise NotImplementedError

    def _episode(self, shield: Shield) -> list[bytes]:
        shield.reset()
        rng, given = np.random.default_rng(0), list[bytes]()
        for driver in (*Driver, *Driver):
            wish = Action(rng.uniform(-1, 1, self.action_size).astype(np.float32))
            before = wish.values.tobytes()
            passed = shield.filter(self.make_observation(), wish, driver)
            assert isinstance(passed, Action)
            assert passed.values.shape == (self.action_size,)
            assert wish.values.tobytes() == before, "what was wished is recorded: it stays as it was"
            given.append(passed.values.tobytes())
        return given

    def test_is_a_shield(self) -> None:
        assert isinstance(self.make_shield(), Shield)

    def test_gives_actions(self) -> None:
        assert self._episode(self.make_shield())

    def test_an_episode_reproduces(self) -> None:
        shield = self.make_shield()
        assert self._episode(shield) == self._episode(shield)

    def test_leaves_the_global_generator_alone(self) -> None:
        before = _global_generator()
        self._episode(self.make_shield())
        assert _global_generator() == before


def sample_observation(spec: RobotSpec, stamp: float, rng: np.random.Generator) -> Observation:
    """An arbitrary observation that matches a spec."""
    n = len(spec.joint_names)
    pose = np.array([*rng.normal(size=3), 0.0, 1.0, 0.0, 0.0], np.float32)

    def vectors(sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        return {name: rng.normal(size=size).astype(np.float32) for name, size in sizes.items()}

    return Observation(
        stamp=stamp,
        joint_position=rng.normal(size=n).astype(np.float32),
        joint_velocity=rng.normal(size=n).astype(np.float32),
        tool_pose_in_base=pose,
        tool_target_in_base=pose,
        tool_velocity=rng.normal(size=6).astype(np.float32),
        tool_wrench=rng.normal(size=6).astype(np.float32),
        gripper=float(rng.uniform()),
        gripper_target=1.0,
        images={k: rng.integers(0, 256, (*hw, 3)).astype(np.uint8) for k, hw in spec.cameras.items()},
        scene=vectors(spec.scene),
        privileged=vectors(spec.privileged),
    )


def sample_meta(number: int) -> EpisodeMeta:
    return EpisodeMeta(f"episode-{number:04d}", "sample", EpisodeKind.PRACTICE, number, "none", "task_success@1")


def sample_steps(spec: RobotSpec, count: int, seed: int, start: float = 0.0) -> list[Step]:
    """An arbitrary episode of steps that follow one another; the last one is cut by the time limit."""
    rng = np.random.default_rng(seed)
    seen = [sample_observation(spec, start + i * spec.control_period, rng) for i in range(count + 1)]
    steps = []
    for i in range(count):
        by_human = bool(rng.uniform() < 0.3)
        executed = Action(rng.uniform(-1, 1, spec.action.size).astype(np.float32))
        steps.append(
            Step(
                index=i,
                observation=seen[i],
                proposed=Action(rng.uniform(-1, 1, spec.action.size).astype(np.float32)) if by_human else executed,
                executed=executed,
                driver=Driver.HUMAN if by_human else Driver.POLICY,
                reward=0.0,
                terminated=False,
                truncated=i == count - 1,
                policy_version=i,
                instruction="do it",
                next_observation=seen[i + 1],
                gold_reward=float(rng.normal()),
            )
        )
    return steps


class SubscriberConformance:
    """Laws of a Subscriber: it takes every order of calls that a loop makes."""

    def make_spec(self) -> RobotSpec:
        """Of the robot whose episodes are told."""
        raise NotImplementedError

    def make_subscriber(self, spec: RobotSpec, folder: Path) -> Subscriber:
        raise NotImplementedError

    def finish(self, subscriber: Subscriber) -> None:
        """Close what the subscriber holds, where it holds something."""

    def _tell(self, subscriber: Subscriber, steps: list[Step], number: int, outcome: Outcome) -> None:
        meta = sample_meta(number)
        subscriber.on_episode_start(meta, steps[0].observation)
        for step in steps:
            subscriber.on_step(step)
            subscriber.on_event(GuardEvent(step.observation.stamp, "workspace", "the target would leave", False))
        subscriber.on_episode_end(EpisodeEnd(meta.id, outcome, len(steps)))

    def test_is_a_subscriber(self, tmp_path: Path) -> None:
        subscriber = self.make_subscriber(self.make_spec(), tmp_path)
        assert isinstance(subscriber, Subscriber)
        self.finish(subscriber)

    @pytest.mark.parametrize("outcome", [Outcome.TIME_LIMIT, Outcome.DISCARDED, Outcome.FAULT])
    def test_takes_episodes(self, tmp_path: Path, outcome: Outcome) -> None:
        spec = self.make_spec()
        subscriber = self.make_subscriber(spec, tmp_path)
        for number in range(2):
            self._tell(subscriber, sample_steps(spec, 4, number, start=10.0 * number), number, outcome)
        self.finish(subscriber)

    def test_takes_an_episode_that_ends_before_its_first_step(self, tmp_path: Path) -> None:
        spec = self.make_spec()
        subscriber = self.make_subscriber(spec, tmp_path)
        steps = sample_steps(spec, 1, 0)
        subscriber.on_episode_start(sample_meta(0), steps[0].observation)
        subscriber.on_event(GuardEvent(0.0, "nan", "the policy wished no number", True))
        subscriber.on_episode_end(EpisodeEnd(sample_meta(0).id, Outcome.FAULT, 0))
        self._tell(subscriber, steps, 1, Outcome.TIME_LIMIT)
        self.finish(subscriber)


class LabelerConformance:
    """Laws of a Labeler."""

    even_handed = True
    """Whether it answers the mirrored pair with the mirrored answer; not so where chance decides."""

    def make_labeler(self) -> tuple[Labeler, list[Segment]]:
        """With at least three segments that it can judge. Two calls give equal labelers."""
        raise NotImplementedError

    def _answers(self, *, turned: bool = False) -> list[str]:
        labeler, segments = self.make_labeler()
        pairs = itertools.combinations(segments, 2)
        return [labeler.compare(b, a) if turned else labeler.compare(a, b) for a, b in pairs]

    def test_is_a_labeler(self) -> None:
        labeler, segments = self.make_labeler()
        assert isinstance(labeler, Labeler)
        assert len(set(segments)) >= 3

    def test_answers_with_a_known_word(self) -> None:
        assert set(self._answers()) <= {"left", "right", "equal", "skip"}

    def test_judges_in_shares_or_not_at_all(self) -> None:
        labeler, segments = self.make_labeler()
        for segment in segments:
            score = labeler.judge(segment)
            assert score is None or 0 <= score <= 1

    def test_equal_labelers_answer_alike(self) -> None:
        assert self._answers() == self._answers()

    def test_sides_do_not_matter(self) -> None:
        if self.even_handed:
            mirror = {"left": "right", "right": "left"}
            assert [mirror.get(answer, answer) for answer in self._answers(turned=True)] == self._answers()

    def test_leaves_the_global_generator_alone(self) -> None:
        before = _global_generator()
        self._answers()
        assert _global_generator() == before


class LearnerConformance:
    """Laws of a Learner."""

    def make_learner(self) -> Learner:
        """Two calls give equal learners."""
        raise NotImplementedError

    def make_batch(self, seed: int) -> Batch:
        raise NotImplementedError

    def _updated(self, learner: Learner, seeds: range) -> WeightSnapshot:
        for seed in seeds:
            learner.update(self.make_batch(seed))
        return learner.snapshot()

    def test_is_a_learner(self) -> None:
        assert isinstance(self.make_learner(), Learner)

    def test_metrics_are_numbers(self) -> None:
        metrics = self.make_learner().update(self.make_batch(0))
        assert metrics
        for name, value in metrics.items():
            assert np.isfinite(float(value)), name

    def test_snapshot_has_its_checksum_and_grows_in_version(self) -> None:
        learner = self.make_learner()
        before = learner.snapshot()
        after = self._updated(learner, range(3))
        assert after.version > before.version
        assert before.checksum == weights_checksum(before.arrays)
        assert after.checksum == weights_checksum(after.arrays)
        assert after.checksum != before.checksum

    def test_snapshot_is_a_copy(self) -> None:
        learner = self.make_learner()
        snapshot = self._updated(learner, range(1))
        self._updated(learner, range(1, 3))
        assert snapshot.checksum == weights_checksum(snapshot.arrays)

    def test_equal_learners_stay_equal(self) -> None:
        a = self._updated(self.make_learner(), range(4))
        b = self._updated(self.make_learner(), range(4))
        assert a.checksum == b.checksum

    def test_a_loaded_state_goes_on_equally(self) -> None:
        learner, resumed = self.make_learner(), self.make_learner()
        self._updated(learner, range(3))
        state = {name: _copied(value) for name, value in learner.state().items()}
        resumed.load_state(state)
        assert resumed.snapshot().checksum == learner.snapshot().checksum
        assert self._updated(resumed, range(3, 6)).checksum == self._updated(learner, range(3, 6)).checksum

    def test_refuses_a_foreign_state(self) -> None:
        learner = self.make_learner()
        state = dict(learner.state())
        with pytest.raises(CheckpointError):
            learner.load_state({f"foreign {name}": value for name, value in state.items()})


def _copied(value: Any) -> Any:
    """A value that later updates of the learner cannot reach."""
    return value.clone() if hasattr(value, "clone") else value


def _global_generator() -> bytes:
    """State of numpy's global generator, which nothing here may use."""
    state = np.random.get_state(legacy=False)["state"]  # noqa: NPY002  reading it is the point
    return state["key"].tobytes() + bytes(str(state["pos"]), "ascii")
