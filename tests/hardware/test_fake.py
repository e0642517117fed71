from __future__ import annotations

import numpy as np
import pytest

from robot_rlhf.conformance import RobotConformance
from robot_rlhf.datatypes import Command
from robot_rlhf.errors import InvalidValueError, RobotError
from robot_rlhf.ports import Robot
from robot_rlhf.timing import FakeClock, MonotonicClock
from robot_rlhf_hardware.fake import HOME, FakeRobot

PERIOD = 0.05
LAG = 0.03


class TestFakeRobotConformance(RobotConformance):
    def make_robot(self) -> Robot:
        return FakeRobot(FakeClock())


class TestFakeRobotInRealTime(RobotConformance):
    def make_robot(self) -> Robot:
        return FakeRobot(MonotonicClock())


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(5.0)


@pytest.fixture
def robot(clock: FakeClock) -> FakeRobot:
    return FakeRobot(clock, control_period=PERIOD, lag=LAG)


def at(x: float, valid_until: float = 1e6) -> Command:
    return Command(np.array([x, *HOME[1:], 1.0]), valid_until)


def measured_x(robot: FakeRobot) -> float:
    return float(robot.observe().tool_pose_in_base[0])


def test_follows_with_a_first_order_lag(robot: FakeRobot) -> None:
    robot.send(at(0.5))
    assert measured_x(robot) == pytest.approx(0.5 - 0.1 * np.exp(-PERIOD / LAG), abs=1e-6)


def test_reported_speed_is_the_slope_of_the_position(robot: FakeRobot, clock: FakeClock) -> None:
    robot.send(at(0.5))
    before = robot.observe()
    clock.advance(1e-3)
    slope = (measured_x(robot) - float(before.tool_pose_in_base[0])) / 1e-3
    assert slope == pytest.approx(float(before.tool_velocity[0]), rel=0.03)


def test_moves_until_the_deadline_and_no_longer(robot: FakeRobot, clock: FakeClock) -> None:
    robot.send(at(0.5, valid_until=clock.now() + 0.06))
    clock.advance(10.0)
    assert measured_x(robot) == pytest.approx(0.5 - 0.1 * np.exp(-0.06 / LAG), abs=1e-6)
    assert not robot.observe().tool_velocity.any()


def test_stop_ends_the_motion(robot: FakeRobot, clock: FakeClock) -> None:
    robot.send(at(0.5))
    robot.stop()
    held = measured_x(robot)
    clock.advance(1.0)
    assert measured_x(robot) == held


def test_turns_towards_the_target(robot: FakeRobot, clock: FakeClock) -> None:
    half = 0.5 * 0.4
    robot.send(Command(np.array([*HOME[:3], 0.0, np.cos(half), np.sin(half), 0.0, 1.0]), 1e6))
    clock.advance(1.0)
    seen = robot.observe()
    np.testing.assert_allclose(seen.tool_pose_in_base[3:], [0.0, np.cos(half), np.sin(half), 0.0], atol=1e-6)
    np.testing.assert_allclose(seen.joint_position[3:], [0, 0, 0.4], atol=1e-6)


def test_delay_makes_observations_old_and_commands_late(robot: FakeRobot, clock: FakeClock) -> None:
    robot.delay(0.1)
    robot.send(at(0.5, valid_until=clock.now() + 1.0))
    assert measured_x(robot) == pytest.approx(HOME[0])
    robot.send(at(0.5, valid_until=clock.now() + 0.08))  # it arrives after its deadline: never followed
    clock.advance(0.02)
    robot.observe()
    clock.advance(0.1)
    seen = robot.observe()
    assert clock.now() - seen.stamp >= 0.1 - 1e-9
    assert float(seen.tool_pose_in_base[0]) > HOME[0]


def test_drops_the_share_it_was_told(robot: FakeRobot) -> None:
    robot.drop(1.0, np.random.default_rng(0))
    robot.send(at(0.5))
    assert measured_x(robot) == pytest.approx(HOME[0])
    robot.clear()
    robot.send(at(0.5))
    assert measured_x(robot) > HOME[0] + 0.05
    assert len(robot.received) == 2


def test_freeze_and_thaw(robot: FakeRobot, clock: FakeClock) -> None:
    robot.freeze()
    robot.send(at(0.5))
    assert robot.observe().stamp == clock.now() - PERIOD
    assert measured_x(robot) == pytest.approx(HOME[0])
    robot.thaw()
    assert robot.observe().stamp == clock.now()


def test_jump_fault_nan_and_force(robot: FakeRobot) -> None:
    robot.jump(0.2)
    assert measured_x(robot) == pytest.approx(HOME[0] + 0.2)
    robot.force([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(robot.observe().tool_wrench, [1, 2, 3, 0, 0, 0])
    robot.nan()
    with pytest.raises(InvalidValueError):
        robot.observe()
    robot.fault("motor too warm")
    with pytest.raises(RobotError, match="motor too warm"):
        robot.send(at(0.5))
    robot.clear()
    assert not robot.observe().tool_wrench.any()


def test_refuses_troubles_that_make_no_sense(robot: FakeRobot) -> None:
    with pytest.raises(InvalidValueError, match="delay"):
        robot.delay(-1.0)
    with pytest.raises(InvalidValueError, match="drop"):
        robot.drop(1.5, np.random.default_rng(0))
