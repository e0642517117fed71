"""Late and noisy robots: a list shifted by the delay, order kept, and no delay bit-equal to no wrapper."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.conformance import RobotConformance, TaskConformance, assert_same_state
from robot_rlhf.datatypes import Action, Assignment, Command, Observation
from robot_rlhf.errors import ConfigError, RobotError
from robot_rlhf.ports import GoldTask, Restorable, Robot, Task
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.disturbance import DisturbanceConfig, DisturbedRobot, Line
from robot_rlhf_sim.gymnasium_robot import GymnasiumRobot, GymnasiumTask
from robot_rlhf_sim.place import SimConfig
from robot_rlhf_sim.tasks import PickCube, Reach
from robot_rlhf_sim.varied import VariedTask
from tests.draws import draws

DOWN = (0.0, 1.0, 0.0, 0.0)
BOTH = DisturbanceConfig(command_delay=1, sensing_delay=2, jitter=0.3, action_noise=0.1)


def late_cube(config: DisturbanceConfig = BOTH) -> tuple[Task, DisturbedRobot]:
    clock = FakeClock()
    task = PickCube(clock)
    robot = DisturbedRobot(task.arm, config, clock)
    return VariedTask(task, robot), robot


class TestLateArm(RobotConformance):
    def make_robot(self) -> Robot:
        return late_cube()[1]


class TestLateArmTask(TaskConformance):
    def make_task(self) -> tuple[Task, Robot]:
        return late_cube()


class TestLatePendulum(RobotConformance):
    def make_robot(self) -> Robot:
        clock = FakeClock()
        robot = GymnasiumRobot(gym.make("Pendulum-v1"), clock)
        task = GymnasiumTask(robot, name="pendulum", instruction="swing up", time_limit=200)
        task.reset(np.random.default_rng(0))
        return DisturbedRobot(robot, BOTH, clock)


def path(steps: int, seed: int = 0) -> list[np.ndarray]:
    """Targets of a wandering tool with a gripper that opens and closes."""
    rng = np.random.default_rng(seed)
    places = np.array([0.5, 0.0, 0.2]) + np.cumsum(rng.uniform(-0.01, 0.01, (steps, 3)), axis=0)
    return [np.array([*place, *DOWN, float(rng.random() < 0.8)]) for place in places]


def follow(robot: Robot, targets: list[np.ndarray]) -> list[Observation]:
    seen = [robot.observe()]
    for target in targets:
        robot.send(Command(target, seen[-1].stamp + 60.0))
        seen.append(robot.observe())
    return seen


def at_start(robot: Robot, task: Task) -> None:
    task.reset(np.random.default_rng(1))
    robot.stop()


def test_no_disturbance_is_bit_equal_to_no_wrapper() -> None:
    task, plain = PickCube(FakeClock()), None
    at_start(task.arm, task)
    plain = follow(task.arm, path(40))
    wrapped_task, robot = late_cube(DisturbanceConfig())
    at_start(robot, wrapped_task)
    for a, b in zip(plain, follow(robot, path(40)), strict=True):
        assert_same_state(a, b)
        assert a.stamp == b.stamp


@pytest.mark.parametrize("delay", [1, 2, 3])
def test_late_commands_are_the_same_commands_behind_periods_of_rest(delay: int) -> None:
    """The naive twin: an arm at once, told to hold for as many periods first."""
    task = PickCube(FakeClock())
    at_start(task.arm, task)
    rest = task.arm.observe()
    hold = np.array([*rest.tool_target_in_base, rest.gripper_target], np.float64)
    twin = follow(task.arm, [hold] * delay + path(30)[: 30 - delay])
    late_task, robot = late_cube(DisturbanceConfig(command_delay=delay))
    at_start(robot, late_task)
    seen = follow(robot, path(30))
    for a, b in zip(twin, seen, strict=True):
        np.testing.assert_array_equal(a.joint_position, b.joint_position)
        np.testing.assert_array_equal(a.tool_pose_in_base, b.tool_pose_in_base)
        assert a.stamp == b.stamp
    for target, b in zip(path(30), seen[1:], strict=True):
        np.testing.assert_array_equal(b.tool_target_in_base, target[:7].astype(np.float32))
        assert b.gripper_target == target[7]


@pytest.mark.parametrize("delay", [1, 2, 3])
def test_late_senses_are_the_same_senses_some_periods_ago(delay: int) -> None:
    task = PickCube(FakeClock())
    at_start(task.arm, task)
    twin = follow(task.arm, path(30))
    late_task, robot = late_cube(DisturbanceConfig(sensing_delay=delay))
    at_start(robot, late_task)
    for t, b in enumerate(follow(robot, path(30))):
        a = twin[max(0, t - delay)]
        np.testing.assert_array_equal(a.joint_position, b.joint_position)
        np.testing.assert_array_equal(a.scene["cube"], b.scene["cube"])
        np.testing.assert_array_equal(a.privileged["grasped"], b.privileged["grasped"])
        assert a.stamp == b.stamp, "the stamp is that of the sensing"


@given(
    delay=st.integers(0, 3),
    jitter=st.floats(0.0, 1.0),
    seed=st.integers(0, 1000),
    gaps=st.lists(st.integers(0, 2), max_size=40),
)
@draws(200)
def test_a_line_keeps_order_and_its_bounds(delay: int, jitter: float, seed: int, gaps: list[int]) -> None:
    """Against a plain list: what is taken was put delay to delay + 1 periods ago, and is never older than before."""
    line: Line[int] = Line(delay, jitter)
    rng = np.random.default_rng(seed)
    put: dict[int, int] = {}
    last = -1
    for now, many in enumerate(gaps):
        if many:
            line.put(now, now, rng)
            put[now] = now
        taken = line.take(now)
        surely = [when for when in put if when + delay + 1 <= now]
        perhaps = [when for when in put if when + delay <= now]
        if taken is None:
            assert not surely
            continue
        assert taken in perhaps
        assert taken >= max(surely, default=0)
        assert taken >= last
        last = taken


@given(jitter=st.sampled_from([0.0, 1.0]))
@draws(2)
def test_jitter_of_all_is_one_period_more(jitter: float) -> None:
    line: Line[int] = Line(1, jitter)
    rng = np.random.default_rng(0)
    taken = []
    for now in range(5):
        line.put(now, now, rng)
        taken.append(line.take(now))
    assert taken == ([None, 0, 1, 2, 3] if jitter == 0.0 else [None, None, 0, 1, 2])


def test_jitter_differs_between_seeds_and_repeats_with_one() -> None:
    def run(seed: int) -> bytes:
        task, robot = late_cube(DisturbanceConfig(command_delay=1, jitter=0.5, action_noise=0.2))
        task.reset(np.random.default_rng(seed))
        robot.stop()
        return np.concatenate([seen.joint_position for seen in follow(robot, path(20))]).tobytes()

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_the_starts_are_those_of_the_task() -> None:
    """What is drawn for the disturbance takes nothing from the episode's own draws: with and without are paired."""
    task = PickCube(FakeClock())
    task.reset(np.random.default_rng(5))
    late_task, robot = late_cube()
    late_task.reset(np.random.default_rng(5))
    assert_same_state(task.arm.observe(), robot.observe())


def test_noise_has_the_size_it_was_given_and_is_no_drift() -> None:
    clock = FakeClock()
    task = Reach(clock)

    class Spy:
        spec = task.arm.spec
        sent: list[np.ndarray] = []  # noqa: RUF012  for this test alone

        def observe(self) -> Observation:
            return task.arm.observe()

        def send(self, command: Command) -> Command:
            self.sent.append(command.target)
            clock.advance(0.05)
            return command

        def stop(self) -> None: ...

    robot = DisturbedRobot(Spy(), DisturbanceConfig(action_noise=0.25), clock)
    target = np.array([0.5, 0.0, 0.2, *DOWN, 1.0])
    for _ in range(3000):
        robot.observe()
        robot.send(Command(target, clock.now() + 1.0))
    errors = np.array(Spy.sent)[:, :3] - target[:3]
    np.testing.assert_allclose(errors.std(axis=0), 0.25 * 0.02, rtol=0.1)
    np.testing.assert_allclose(errors.mean(axis=0), 0.0, atol=5e-4)
    assert (np.array(Spy.sent)[:, 3:] == target[3:]).all(), "no turn where actions have none, and the gripper has none"


def test_a_stop_empties_the_lines() -> None:
    task, robot = late_cube(DisturbanceConfig(command_delay=3, sensing_delay=3))
    at_start(robot, task)
    seen = follow(robot, path(10))
    assert seen[-1].stamp < robot._clock.now()
    robot.stop()
    now = robot.observe()
    assert now.stamp == robot._clock.now(), "what is seen next is the present"
    hold = np.array([*now.tool_target_in_base, now.gripper_target], np.float64)
    after = follow(robot, [hold] * 8)
    assert np.linalg.norm(after[-1].tool_pose_in_base[:3] - now.tool_pose_in_base[:3]) < 0.02, "nothing was under way"


def test_a_reset_shows_nothing_of_the_episode_before() -> None:
    task, robot = late_cube(DisturbanceConfig(command_delay=2, sensing_delay=3))
    at_start(robot, task)
    follow(robot, path(10))
    task.reset(np.random.default_rng(9))
    fresh = PickCube(FakeClock())
    fresh.reset(np.random.default_rng(9))
    assert_same_state(robot.observe(), fresh.arm.observe())


def test_a_command_that_ran_out_stops_the_robot() -> None:
    task, robot = late_cube(DisturbanceConfig(command_delay=2))
    at_start(robot, task)
    clock = robot._clock
    assert isinstance(clock, FakeClock)
    for target in path(5):
        robot.send(Command(target, clock.now() + 0.1))
    clock.advance(0.5)
    before = robot.observe()
    hold = np.array([*before.tool_pose_in_base, 1.0], np.float64)
    robot.send(Command(hold, clock.now() + 0.1))
    far = np.abs(robot.observe().joint_position - before.joint_position).max()
    assert far < 0.05, "what was under way is dropped"


def test_idle_time_brings_the_present_nearer() -> None:
    """While nobody commands, senses go on: in real time an observation must not grow old for ever."""
    task, robot = late_cube(DisturbanceConfig(sensing_delay=3))
    at_start(robot, task)
    follow(robot, path(6))
    clock = robot._clock
    assert isinstance(clock, FakeClock)
    ages = []
    for _ in range(6):
        clock.advance(0.05)
        ages.append(clock.now() - robot.observe().stamp)
    assert max(ages) < 0.2
    np.testing.assert_allclose(robot.observe().joint_position, task.arm.observe().joint_position)  # type: ignore[attr-defined]


def test_snapshots_are_exact_with_what_is_under_way() -> None:
    task, robot = late_cube()
    at_start(robot, task)
    assert isinstance(robot, Restorable)
    follow(robot, path(7))
    state = robot.snapshot()
    clock = robot._clock.now()

    def go_on() -> list[Observation]:
        return follow(robot, path(15, seed=3))

    first = go_on()
    robot.restore(state)
    later = robot._clock.now() - clock
    for a, b in zip(first, go_on(), strict=True):
        assert_same_state(a, b)
        assert b.stamp - a.stamp == pytest.approx(later)


def test_a_robot_without_snapshots_is_named() -> None:
    robot = TestLatePendulum().make_robot()
    assert isinstance(robot, DisturbedRobot)
    with pytest.raises(RobotError, match="GymnasiumRobot has no snapshots"):
        robot.snapshot()


@pytest.mark.parametrize(
    ("name", "value"),
    [("command_delay", 4), ("sensing_delay", -1), ("jitter", 1.5), ("jitter", float("nan")), ("action_noise", -0.1)],
)
def test_settings_are_checked(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"disturbance.{name}"):
        DisturbanceConfig(**{name: value})


@pytest.mark.parametrize(("command", "sensing"), [(1, 0), (0, 1), (2, 0), (1, 1), (3, 3)])
def test_the_guard_keeps_its_limits_around_a_late_arm(command: int, sensing: int) -> None:
    """No fault of its own making, the leash and the workspace hold, and what was executed is what was commanded."""
    disturbance = DisturbanceConfig(command_delay=command, sensing_delay=sensing)
    world = SimConfig(disturbance=disturbance).open("pick_cube", clock=FakeClock(), cameras={})
    assert isinstance(world.task, GoldTask)
    limits, rng = world.task.limits, np.random.default_rng(0)
    for seed in range(3):
        seen = world.guard.begin(lambda seed=seed: world.task.reset(np.random.default_rng(seed)))
        for _ in range(60):
            before = seen
            wish = Action(rng.uniform(-1.0, 1.0, 5).astype(np.float32))
            sent = world.guard.act(wish).command.target[:3]
            seen = world.guard.observe()
            assert np.linalg.norm(sent - before.tool_pose_in_base[:3]) <= limits.leash + 1e-6
            assert (sent >= limits.workspace_lower - 1e-9).all()
            assert (sent <= limits.workspace_upper + 1e-9).all()
        assert not world.guard.faults


def test_command_and_sensing_delay_are_one_delay_to_whoever_acts() -> None:
    """Splitting a constant delay changes no observation of an episode but its stamps."""

    def run(command: int, sensing: int) -> list[Observation]:
        disturbance = DisturbanceConfig(command_delay=command, sensing_delay=sensing)
        world = SimConfig(disturbance=disturbance).open("pick_cube", clock=FakeClock(), cameras={})
        expert, rng = world.task.expert(), np.random.default_rng(3)
        seen = [world.guard.begin(lambda: world.task.reset(rng))]
        for _ in range(40):
            world.guard.act(expert.act(seen[-1], Assignment(), rng))
            seen.append(world.guard.observe())
        return seen

    for a, b in zip(run(2, 0), run(1, 1), strict=True):
        np.testing.assert_allclose(a.tool_pose_in_base, b.tool_pose_in_base, atol=1e-5)
        np.testing.assert_allclose(a.tool_target_in_base, b.tool_target_in_base, atol=1e-5)
