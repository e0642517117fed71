"""The guard's faults, events and modes, one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_rlhf.conformance import sample_observation
from robot_rlhf.datatypes import Action, ActionLayout, Command, CommandLayout, GuardEvent, Observation, RobotSpec
from robot_rlhf.errors import ConfigError, FaultLatchedError, InvalidValueError, ShapeError
from robot_rlhf.safety.guard import QUIET_PERIODS, GuardedRobot
from robot_rlhf.safety.limits import DirectLimits
from robot_rlhf.timing import FakeClock
from robot_rlhf_hardware.fake import HOME, FakeRobot
from tests.safety.laws import FULL_LAYOUT, LIMITS, LOOSE, PERIOD, Rig

REST = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
RIGHT = (0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture
def rig() -> Rig:
    return Rig()


TROUBLES: dict[str, Callable[[Rig], object]] = {
    "stale_observation": lambda rig: (rig.robot.freeze(), rig.clock.advance(0.16)),
    "jump": lambda rig: rig.robot.jump(0.12),
    "joint_position": lambda rig: [(rig.robot.jump(0.09), rig.robot.observe()) for _ in range(13)],
    "force_hard": lambda rig: rig.robot.force([0.0, 0.0, 41.0]),
    "nan": lambda rig: rig.robot.nan(),
    "robot": lambda rig: rig.robot.fault("motor too warm"),
}


@pytest.mark.parametrize("rule", TROUBLES)
def test_a_fault_is_latched_until_it_is_released(rig: Rig, rule: str) -> None:
    rig.act(*RIGHT)
    sent = len(rig.robot.received)
    TROUBLES[rule](rig)
    try:
        assert isinstance(rig.guard.observe(), Observation)
    except FaultLatchedError:
        assert rule in ("nan", "robot"), "an observation that exists is returned"
    assert rule in [fault.rule for fault in rig.guard.faults]
    assert all(event.latched for event in rig.events if event.rule == rule)
    reported = len(rig.events)
    for _ in range(3):
        with pytest.raises(FaultLatchedError, match=r"release\(\)") as caught:
            rig.act(*RIGHT)
        assert "\n" not in str(caught.value)
    assert len(rig.robot.received) == sent
    assert len(rig.events) == reported, "a fault is reported once"

    rig.robot.clear()
    with pytest.raises(FaultLatchedError):
        rig.guard.act(Action(np.array(RIGHT, np.float32)))
    if rule == "joint_position":
        rig.robot.jump(-1.17)
    rig.guard.release()
    assert not rig.guard.faults
    before = rig.guard.observe()
    guarded = rig.act(*RIGHT)
    np.testing.assert_allclose(guarded.command.target[0], before.tool_pose_in_base[0], atol=1e-6)
    assert 0 < guarded.command.target[1] - before.tool_pose_in_base[1] <= LIMITS.tool_acceleration * PERIOD**2 + 1e-9


def test_a_lasting_cause_latches_again(rig: Rig) -> None:
    rig.robot.force([50.0, 0.0, 0.0])
    rig.guard.observe()
    rig.guard.release()
    rig.guard.observe()
    assert [fault.rule for fault in rig.guard.faults] == ["force_hard"]


def test_joint_speed_and_torque() -> None:
    rig = Rig()
    spec = rig.robot.spec
    good = sample_observation(spec, 0.0, np.random.default_rng(0))
    still = np.zeros(6, np.float32)
    for name, values, rule in (
        ("joint_velocity", still + np.eye(6, dtype=np.float32)[4] * 20.5, "joint_speed"),
        ("tool_wrench", still + np.eye(6, dtype=np.float32)[3] * 5.5, "torque_hard"),
    ):
        fields: dict[str, Any] = {"joint_position": still, "joint_velocity": still, "tool_wrench": still, name: values}
        seen = replace(good, **fields)
        robot = FakeRobot(FakeClock())
        robot.observe = lambda seen=seen: seen
        guard = GuardedRobot(robot, LIMITS, FakeClock())
        assert guard.observe() is seen
        assert [fault.rule for fault in guard.faults] == [rule]


def test_an_old_observation_is_not_acted_upon(rig: Rig) -> None:
    rig.guard.observe()
    rig.clock.advance(0.16)
    with pytest.raises(FaultLatchedError, match="stale_observation"):
        rig.guard.act(Action(np.array(RIGHT, np.float32)))
    assert not rig.robot.received


def test_nan_never_reaches_the_robot(rig: Rig) -> None:
    forged = object.__new__(Action)
    object.__setattr__(forged, "values", np.array([np.nan, 0, 0, 0, 0, 0, 0], np.float32))
    rig.guard.observe()
    with pytest.raises(FaultLatchedError, match="nan"):
        rig.guard.act(forged)
    assert not rig.robot.received


def test_the_loop_can_latch_a_fault(rig: Rig) -> None:
    rig.act(*RIGHT)
    rig.guard.fault("policy", "wished NaN")
    held = rig.robot.observe().tool_pose_in_base
    rig.clock.advance(0.1)
    np.testing.assert_array_equal(rig.robot.observe().tool_pose_in_base, held)
    assert rig.events[-1] == GuardEvent(PERIOD, "policy", "wished NaN", latched=True)
    with pytest.raises(FaultLatchedError, match="wished NaN"):
        rig.act(*RIGHT)


def test_a_command_that_ran_out_is_told_and_the_target_begins_anew(rig: Rig) -> None:
    rig.act(*RIGHT)
    rig.guard.observe()
    rig.clock.advance(1.0)
    rig.guard.observe()
    rig.guard.observe()
    assert rig.rules().count("stale_command") == 1
    measured = rig.guard.observe().tool_pose_in_base
    guarded = rig.act(*REST)
    np.testing.assert_allclose(guarded.command.target[:3], measured[:3], atol=1e-6)
    assert not rig.guard.faults


def test_a_rule_is_reported_when_it_starts_to_bind(rig: Rig) -> None:
    per_step = [rig.act(*RIGHT) for _ in range(40)]
    bound = [i for i, guarded in enumerate(per_step) if "workspace" in guarded.rules]
    assert len(bound) > 20
    assert [i for i, g in enumerate(per_step) if "workspace" in [e.rule for e in g.events]] == bound[:1]
    rig.act(0, -1, 0, 0, 0, 0, 1)
    for _ in range(QUIET_PERIODS + 5):
        rig.act(*RIGHT)
    assert rig.rules().count("workspace") == 1, "binding again soon after is the same event"
    for _ in range(QUIET_PERIODS + 2):
        rig.act(*REST)
    for _ in range(5):
        rig.act(*RIGHT)
    assert rig.rules().count("workspace") == 2
    assert rig.guard.take_events() == tuple(rig.events)
    assert rig.guard.take_events() == ()


def test_a_soft_force_stops_only_what_pushes_against_it(rig: Rig) -> None:
    for _ in range(4):
        rig.act(0, 1, -1, 0, 0, 0, 1)
    rig.robot.force([0.0, 0.0, 15.0])
    before = rig.act(0, 1, -1, 0, 0, 0, 1).command.target
    guarded = rig.act(0, 1, -1, 0, 0, 0, 1)
    after = guarded.command.target
    assert after[2] == pytest.approx(before[2], abs=1e-12), "not further down"
    assert after[1] > before[1] + 1e-3, "but along"
    assert "force_soft" in guarded.rules
    for _ in range(3):
        guarded = rig.act(0, 0, 1, 0, 0, 0, 1)
    assert guarded.command.target[2] > after[2], "and away"


def test_the_leash_pulls_the_target_after_the_tool() -> None:
    rig = Rig(limits=replace(LIMITS, leash=0.03))
    rig.robot.drop(1.0, np.random.default_rng(0))
    rig.act(*REST)
    rig.robot.jump(0.08)
    guarded = [rig.act(*REST) for _ in range(10)][-1]
    measured = rig.guard.observe().tool_pose_in_base
    assert np.linalg.norm(guarded.command.target[:3] - measured[:3]) <= 0.03 + 1e-6
    assert "leash" in rig.rules()


def test_hold_comes_to_rest_within_the_limits_and_keeps_the_grip(rig: Rig) -> None:
    poses = [rig.act(1, 0, 0, 0.5, 0, 0, -1).command.target for _ in range(3)]
    held = [rig.guard.hold() for _ in range(8)]
    poses += [guarded.command.target for guarded in held]
    speeds = np.diff([pose[0] for pose in poses]) / PERIOD
    assert speeds[1] == pytest.approx(0.4), "it was moving"
    assert (np.abs(np.diff(speeds)) <= LIMITS.tool_acceleration * PERIOD + 1e-9).all()
    assert speeds[3:].tolist() == pytest.approx([0.0] * 7, abs=1e-9)
    np.testing.assert_array_equal(poses[-1], poses[-2])
    np.testing.assert_allclose(held[0].executed.values, [0.5, 0, 0, 0, 0, 0, -1], atol=1e-6)
    np.testing.assert_array_equal(held[-1].executed.values, [0, 0, 0, 0, 0, 0, -1])
    assert held[-1].command.valid_until > rig.clock.now()
    assert not any(guarded.rules for guarded in held), "braking is what was asked for"


def test_a_layout_without_gripper_keeps_the_grip() -> None:
    rig = Rig(layout=ActionLayout(("x", "y"), np.array([0.01, 0.01])))
    rig.robot.send(Command(np.array([*HOME, 0.0]), 1e6))
    assert rig.act(1, 0).command.target[7] == 0.0


def test_anchor_forgets_motion_and_accepts_a_new_place(rig: Rig) -> None:
    for _ in range(5):
        rig.act(*RIGHT)
    rig.robot.jump(-0.08)
    rig.robot.jump(-0.08)
    rig.guard.anchor()
    assert not rig.guard.faults
    measured = rig.guard.observe().tool_pose_in_base
    guarded = rig.act(*REST)
    np.testing.assert_allclose(guarded.command.target[:7], measured, atol=1e-6)
    assert not rig.guard.faults
    for _ in range(30):
        guarded = rig.act(1, 0, 0, 0, 0, 0, 1)
    assert guarded.command.target[0] > LIMITS.workspace_lower[0], "from outside the box the way in is open"


def test_leaving_the_context_stops_the_robot(rig: Rig) -> None:
    rig.act(*RIGHT)
    with pytest.raises(FaultLatchedError), rig.guard:
        raise FaultLatchedError("anything")
    held = rig.robot.observe().tool_pose_in_base
    rig.clock.advance(0.1)
    np.testing.assert_array_equal(rig.robot.observe().tool_pose_in_base, held)
    rig.guard.stop()


def test_a_stop_from_another_thread_wins_over_a_command_on_its_way(rig: Rig) -> None:
    send = rig.robot.send

    def send_while_stopped(command: Command) -> Command:
        thread = threading.Thread(target=rig.guard.stop)
        thread.start()
        thread.join()
        return send(command)

    rig.robot.send = send_while_stopped
    rig.act(*RIGHT)
    held = rig.robot.observe().tool_pose_in_base
    rig.clock.advance(0.1)
    np.testing.assert_array_equal(rig.robot.observe().tool_pose_in_base, held)


def test_move_to_gives_up_in_time_and_refuses_forbidden_goals(rig: Rig) -> None:
    rig.robot.drop(1.0, np.random.default_rng(0))
    assert rig.guard.move_to((0.45, *HOME[1:]), 1.0, timeout=0.5) is False
    assert rig.clock.now() == pytest.approx(0.5 + PERIOD, abs=PERIOD)
    with pytest.raises(InvalidValueError, match="workspace"):
        rig.guard.move_to((0.9, *HOME[1:]), 1.0, timeout=0.5)
    with pytest.raises(InvalidValueError, match="tilt"):
        rig.guard.move_to((*HOME[:3], 1.0, 0.0, 0.0, 0.0), 1.0, timeout=0.5)
    rig.robot.clear()
    rig.robot.force([0, 0, 60.0])
    with pytest.raises(FaultLatchedError, match="force_hard"):
        rig.guard.move_to((0.45, *HOME[1:]), 1.0, timeout=0.5)


def test_what_the_robot_accepted_is_what_was_executed() -> None:
    rig = Rig(limits=LOOSE)
    send = rig.robot.send

    def half(command: Command) -> Command:
        target = command.target.copy()
        target[0] = HOME[0] + 0.5 * (target[0] - HOME[0])
        return send(Command(target, command.valid_until))

    rig.robot.send = half
    guarded = rig.act(1, 0, 0, 0, 0, 0, 1)
    assert guarded.executed.values[0] == pytest.approx(0.5, abs=1e-5)
    assert guarded.rules == {"robot_limit"}
    assert guarded.command.target[0] == pytest.approx(HOME[0] + 0.01)


def test_refuses_what_does_not_fit_together(rig: Rig) -> None:
    with pytest.raises(ShapeError, match=r"\(2,\).*\(7,\)"):
        rig.act(0.0, 0.0)
    cases: list[tuple[ActionLayout, Any, str]] = [
        (ActionLayout(("x", "wrist"), np.ones(2, np.float32)), LIMITS, "wrist"),
        (ActionLayout(("x", "x"), np.ones(2, np.float32)), LIMITS, "distinct"),
        (ActionLayout(("x",), np.ones(1, np.float32), "tool"), LIMITS, "frame 'base'"),
        (ActionLayout(("x",), np.zeros(1, np.float32)), LIMITS, "scale"),
        (FULL_LAYOUT, replace(LIMITS, command_validity=0.05), "command_validity"),
        (FULL_LAYOUT, replace(LIMITS, workspace_upper=np.array([9.0, 9.0, 9.0])), "workspace"),
        (FULL_LAYOUT, DirectLimits(np.ones(8), 1.0, 1.0), "needs ToolLimits"),
    ]
    for layout, limits, words in cases:
        with pytest.raises(ConfigError, match=words):
            Rig(limits=limits, layout=layout)


class Motors:
    """A robot with two native commands, that keeps what it is sent."""

    def __init__(self, clock: FakeClock) -> None:
        names = ("left", "right")
        nothing = np.zeros(0, np.float32)
        layout = ActionLayout(names, np.ones(2, np.float32), "none")
        bounds = CommandLayout("direct", names, np.array([-2.0, 1.0]), np.array([2.0, 5.0]))
        self.spec = RobotSpec((), nothing, nothing, nothing, PERIOD, layout, bounds)
        self.clock = clock
        self.received: list[list[float]] = []

    def observe(self) -> Observation:
        return sample_observation(self.spec, self.clock.now(), np.random.default_rng(0))

    def send(self, command: Command) -> Command:
        self.received.append(command.target.tolist())
        return command

    def stop(self) -> None: ...


def test_direct_commands_are_scaled_and_limited_in_rate() -> None:
    clock = FakeClock()
    motors = Motors(clock)
    guard = GuardedRobot(motors, DirectLimits(np.array([0.5, np.inf]), 0.2, 0.1), clock)
    guard.observe()
    guard.act(Action(np.array([1.0, -1.0], np.float32)))
    guarded = guard.act(Action(np.array([1.0, -1.0], np.float32)))
    assert motors.received == [[0.5, 1.0], [1.0, 1.0]]
    np.testing.assert_allclose(guarded.executed.values, [0.5, -1.0])
    assert guarded.rules == {"rate"}
    guarded = guard.act(Action(np.array([0.4, 0.5], np.float32)))
    np.testing.assert_allclose(guarded.executed.values, [0.4, 0.5], atol=1e-6)
    assert not guarded.rules
    assert guard.hold().command.target.tolist() == motors.received[-1]
    clock.advance(0.11)
    with pytest.raises(FaultLatchedError, match="stale_observation"):
        guard.act(Action(np.zeros(2, np.float32)))
    with pytest.raises(ConfigError, match="tool_pose"):
        guard.move_to(HOME, 1.0, timeout=1.0)
    with pytest.raises(ShapeError, match="rate_max"):
        GuardedRobot(motors, DirectLimits(np.ones(3), 0.2, 0.1), clock)
    with pytest.raises(ConfigError, match="needs DirectLimits"):
        GuardedRobot(motors, LIMITS, clock)
