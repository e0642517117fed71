from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from robot_rlhf.conformance import RobotConformance
from robot_rlhf.datatypes import Action, Command
from robot_rlhf.errors import ConfigError, FaultLatchedError, InvalidValueError, RobotError
from robot_rlhf.ports import Robot
from robot_rlhf.safety import rotation
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf_hardware.ros import topics as t
from robot_rlhf_hardware.ros.bus_fake import FakeBus, FakeGraph
from robot_rlhf_hardware.ros.diagnostics import Diagnostics, Level
from robot_rlhf_hardware.ros.messages import (
    joint_state_fields,
    pose_of,
    pose_stamped_fields,
    stamp_of,
    transform_fields,
    twist_of,
)
from robot_rlhf_hardware.ros.robot import WATCH_EVERY, RosRobot
from robot_rlhf_hardware.ros.settings import limits_of, settings_of
from robot_rlhf_hardware.ros.topics import FIXED_FRAMES, NEWEST, Qos
from tests.hardware.ros.graphs import (
    GOALS,
    GRIPPER_ACTIONS,
    HOME,
    LIMITS,
    NAMES,
    SETTINGS,
    FakeArm,
    Pair,
    mirrored,
    pair,
    settings,
)

COMMANDED = "/target_pose"


class TestRosRobotConformance(RobotConformance):
    def make_robot(self) -> Robot:
        return pair(settings(cameras=("front",))).robot


def target(x: float, valid_for: float = 0.15, *, now: float, opening: float = 1.0) -> Command:
    return Command(np.array([x, *HOME[1:], opening]), now + valid_for)


def sent(made: Pair, topic: str = COMMANDED) -> list[Any]:
    """Everything that we published on a topic."""
    return next(p for p in made.graph.publishers if p.name == topic and p.node == "/policy").sent


# -- what is sensed ----------------------------------------------------------------------------------------------------


def test_reads_everything() -> None:
    made = pair(settings(cameras=("front",)), wrench=(1, 2, 3, 0.1, 0.2, 0.3))
    made.arm.picture[:] = (10, 20, 30)
    made.pass_time(0.03)
    seen = made.robot.observe()
    np.testing.assert_allclose(seen.joint_position, [0.1, 0.2, 0.3], atol=1e-6)
    np.testing.assert_allclose(seen.tool_pose_in_base, HOME, atol=1e-6)
    np.testing.assert_allclose(seen.tool_target_in_base, HOME, atol=1e-6)
    np.testing.assert_allclose(seen.tool_wrench, [1, 2, 3, 0.1, 0.2, 0.3], atol=1e-6)
    assert seen.gripper == seen.gripper_target == 1.0
    assert seen.images["front"][0, 0].tolist() == [10, 20, 30]
    np.testing.assert_allclose(seen.scene["cube"][:3], [0.5, 0.1, 0.02], atol=1e-6)
    assert not seen.privileged
    assert made.now - 0.011 <= seen.stamp <= made.now


def test_a_force_in_the_tools_frame_is_turned_into_the_base() -> None:
    made = pair(wrench=(1.0, 2.0, 3.0, 0.0, 0.0, 0.0), wrench_frame="tool0")
    made.pass_time(0.02)
    # half a turn about x
    np.testing.assert_allclose(made.robot.observe().tool_wrench[:3], [1.0, -2.0, -3.0], atol=1e-6)


def test_the_sign_of_a_force_sensor_can_be_turned() -> None:
    made = pair(settings(wrench_sign=-1), wrench=(1.0, 0.0, 0.0, 0.0, 0.0, 0.5))
    np.testing.assert_allclose(made.robot.observe().tool_wrench, [-1, 0, 0, 0, 0, -0.5])


def test_velocity_follows_from_successive_poses() -> None:
    made = pair()
    for i in range(1, 4):
        turned = rotation.multiply(rotation.exp((0.0, 0.0, 0.01 * i)), rotation.POINTING_DOWN)
        made.arm.pose = (0.5 + 0.002 * i, 0.0, 0.2, *turned)
        made.pass_time(0.01)
    np.testing.assert_allclose(made.robot.observe().tool_velocity, [0.2, 0, 0, 0, 0, 1.0], atol=1e-4)


def test_the_tool_may_be_told_by_transforms() -> None:
    graph = FakeGraph()
    graph.clock.advance(10.0)
    bus = FakeBus(graph, "policy")
    robot = RosRobot(bus, settings(tool_pose="tf"), LIMITS)
    fixed = FakeBus(graph, "urdf").publisher(mirrored("/tf_static", "publisher"))
    moving = FakeBus(graph, "robot").publisher(mirrored("/tf", "publisher"))
    FakeArm(FakeBus(graph, "robot"), silent={"current_pose"}).tell()
    fixed.publish({"transforms": [transform_fields(1.0, "flange", "tool0", (0, 0, 0.1, 1, 0, 0, 0))]})
    half = rotation.exp((np.pi, 0.0, 0.0))
    moving.publish({"transforms": [transform_fields(bus.now(), "other", "thing", (0, 0, 0, 1, 0, 0, 0))]})
    with pytest.raises(RobotError, match="/tf: no message"):
        robot.observe()
    moving.publish({"transforms": [transform_fields(bus.now(), "base", "flange", (0.5, 0, 0.3, *half))]})
    np.testing.assert_allclose(robot.observe().tool_pose_in_base[:3], [0.5, 0.0, 0.2], atol=1e-6)
    graph.advance(0.3)
    with pytest.raises(RobotError, match="stale"):
        robot.observe()


def three_fixed(graph: FakeGraph) -> None:
    """Broadcasters of fixed frames, each with one transform, as a URDF, a calibration and a mount publish them."""
    links = (("base", "table"), ("table", "mount"), ("flange", "tool0"))
    for parent, child in links:
        publisher = FakeBus(graph, f"broadcaster_{child}").publisher(
            mirrored("/tf_static", "publisher", qos=replace(FIXED_FRAMES, depth=1))
        )
        publisher.publish({"transforms": [transform_fields(1.0, parent, child, (0, 0, 0.1, 1, 0, 0, 0))]})


def by_transforms(fixed_first: bool = True, **changes: Any) -> tuple[FakeGraph, RosRobot, Any, FakeArm]:
    """A robot whose pose is told by three fixed frames and a moving one."""
    graph = FakeGraph()
    graph.clock.advance(10.0)
    if fixed_first:
        three_fixed(graph)
    robot = RosRobot(FakeBus(graph, "policy"), settings(tool_pose="tf", **changes), LIMITS)
    moving = FakeBus(graph, "robot").publisher(mirrored("/tf", "publisher"))
    arm = FakeArm(FakeBus(graph, "robot"), silent={"current_pose"})
    return graph, robot, moving, arm


def test_the_fixed_frames_of_several_broadcasters_are_all_heard_by_who_comes_later() -> None:
    """They all come at once; with a history of 1 the frames of one would be left."""
    graph, robot, moving, _ = by_transforms()
    down = rotation.exp((np.pi, 0.0, 0.0))
    stamp = graph.clock.now() + graph.epoch
    moving.publish({"transforms": [transform_fields(stamp, "mount", "flange", (0.5, 0, 0.2, *down))]})
    np.testing.assert_allclose(robot.observe().tool_pose_in_base[:3], [0.5, 0.0, 0.3], atol=1e-6)


def test_one_bad_transform_of_an_unrelated_frame_drops_that_one_only() -> None:
    graph, robot, moving, arm = by_transforms()
    down, stamp = rotation.exp((np.pi, 0.0, 0.0)), graph.clock.now() + graph.epoch
    bad = transform_fields(stamp, "map", "gripper_camera", (0, 0, np.nan, 0, 0, 0, 0))
    good = transform_fields(stamp, "mount", "flange", (0.5, 0, 0.2, *down))
    moving.publish({"transforms": [bad, good]})
    np.testing.assert_allclose(robot.observe().tool_pose_in_base[:3], [0.5, 0.0, 0.3], atol=1e-6)
    moving.publish({"transforms": [bad]})
    robot.observe()
    moving.publish({"transforms": [transform_fields(stamp, "mount", "flange", (0.5, 0, np.nan, *down))]})
    with pytest.raises(RobotError, match="/tf: flange"):
        robot.observe()
    moving.publish({"transforms": [good]})
    robot.observe()
    assert arm.bus.node == "/robot"


def test_a_force_may_be_told_in_any_frame_that_hangs_on_the_base() -> None:
    graph, robot, moving, arm = by_transforms()
    down, quarter = rotation.exp((np.pi, 0.0, 0.0)), rotation.exp((0.0, 0.0, np.pi / 2))
    stamp = graph.clock.now() + graph.epoch
    flange = transform_fields(stamp, "mount", "flange", (0.5, 0, 0.2, *down))
    moving.publish({"transforms": [flange, transform_fields(stamp, "mount", "sensor", (0, 0, 0, *quarter))]})
    arm.wrench, arm.wrench_frame = (1.0, 0.0, 0.0, 0.0, 0.0, 2.0), "sensor"
    arm.tell()
    np.testing.assert_allclose(robot.observe().tool_wrench, [0, 1, 0, 0, 0, 2], atol=1e-6)
    arm.wrench_frame = "nowhere"
    arm.tell()
    with pytest.raises(RobotError, match=r"'nowhere'.*or a frame that transforms connect with 'base'"):
        robot.observe()


# -- joints from several drivers ---------------------------------------------------------------------------------------


def test_velocities_of_nan_are_not_told_and_no_fault() -> None:
    """joint_state_broadcaster writes NaN for an interface that a joint lacks."""
    made = pair()
    made.arm.silent.add("joint_states")
    names, positions = ["shoulder", "elbow", "wrist", "finger"], [0.1, 0.2, 0.3, 0.04]
    velocities = [0.5, 0.6, np.nan, np.nan]
    made.arm.out["joint_states"].publish(joint_state_fields(made.bus.now(), names, positions, velocities))
    np.testing.assert_allclose(made.robot.observe().joint_velocity, [0.5, 0.6, 0.0], atol=1e-6)
    assert not made.bus.warnings()


def test_another_drivers_joint_states_are_passed_over() -> None:
    made = pair()
    stranger = FakeBus(made.graph, "base_driver")
    wheels = stranger.publisher(mirrored("joint_states", "publisher"))
    for age in (0.0, 3.0):  # with a clock of its own, too
        wheels.publish(joint_state_fields(stranger.now() - age, ["left_wheel", "right_wheel"], [1.0, 2.0]))
        made.robot.observe()
    made.pass_time(0.02)
    made.robot.observe()
    assert not made.bus.warnings()


def test_arm_and_gripper_may_come_in_messages_of_their_own() -> None:
    made = pair()
    made.arm.order = ("wrist", "shoulder", "elbow")
    gripper = FakeBus(made.graph, "gripper")
    finger = gripper.publisher(mirrored("joint_states", "publisher"))
    slow = gripper.timer(0.5, lambda: finger.publish(joint_state_fields(gripper.now(), ["finger"], [0.02])))
    made.pass_time(2.0)
    seen = made.robot.observe()
    assert seen.gripper == pytest.approx(0.5)
    assert made.now - seen.stamp < 0.02, "the arm's age counts"
    slow.cancel()
    made.pass_time(1.2)
    with pytest.raises(RobotError, match=r"no joint 'finger' for 1\.\d\d s"):
        made.robot.observe()


def test_one_joint_of_the_arm_that_falls_silent_is_named() -> None:
    made = pair()
    made.arm.order = ("finger", "shoulder", "elbow")
    made.pass_time(0.25)
    with pytest.raises(RobotError, match=r"no joint 'wrist' for 0\.2"):
        made.robot.observe()


# -- what cannot be used -----------------------------------------------------------------------------------------------

TROUBLES: dict[str, tuple[Any, str]] = {
    "silent joints": (lambda arm: arm.silent.add("joint_states"), "/joint_states: stale"),
    "silent pose": (lambda arm: arm.silent.add("current_pose"), "/current_pose: stale"),
    "silent force": (lambda arm: arm.silent.add("wrench"), "/wrench: stale"),
    "dead camera": (lambda arm: arm.silent.add("front"), "/front/image_raw: stale"),
    "lost thing": (lambda arm: arm.silent.add("cube"), "/perception/cube: stale"),
    "old stamps": (lambda arm: setattr(arm, "lag", 0.25), "joint_states"),
    "stamps of the future": (lambda arm: setattr(arm, "lag", -0.5), "clocks must be synchronised"),
    "NaN in a joint": (lambda arm: arm.angles.update(elbow=np.nan), "JointState.position: got elbow"),
    "joint missing": (lambda arm: setattr(arm, "order", ("finger", "wrist", "elbow")), "no joint 'shoulder'"),
    "NaN in the pose": (lambda arm: setattr(arm, "pose", (np.nan, *HOME[1:])), "/current_pose: Pose"),
    "wrong frame": (lambda arm: setattr(arm, "wrench_frame", "sensor"), "frame_id: got 'sensor'"),
    "picture of another size": (lambda arm: setattr(arm, "picture", np.zeros((48, 64, 3), np.uint8)), "64x48"),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_trouble_is_named_and_the_robot_holds_still(name: str) -> None:
    """In time: the watchdog holds the robot still without the control loop's help, and every later call refuses."""
    make_trouble, words = TROUBLES[name]
    made = pair(settings(cameras=("front",)))
    made.robot.send(target(0.51, now=made.now))
    before = len(sent(made))
    made.arm.cameras = ("front",)
    make_trouble(made.arm)
    began = made.now
    for _ in range(60):  # the loop goes on commanding
        made.pass_time(0.01)
        try:
            made.robot.send(target(0.51 + 0.001 * (made.now - began), now=made.now))
        except RobotError:
            break
    limit = {"dead camera": 0.3, "lost thing": 0.5}.get(name, 0.2)
    assert made.now - began <= limit + 2 * WATCH_EVERY + 1e-6
    assert made.robot.holding
    assert len(sent(made)) > before
    last = pose_of(sent(made)[-1].pose)
    made.pass_time(0.1)
    np.testing.assert_array_equal(pose_of(sent(made)[-1].pose), last, err_msg="the command stays the same")
    with pytest.raises(RobotError, match=words):
        made.robot.observe()
    assert any(words.split(":")[0].strip("/") in text for text in made.bus.warnings())


def test_a_camera_that_repeats_its_picture_with_fresh_stamps_is_found() -> None:
    made = pair(settings(cameras=("front",), image_same_max=0.5))
    made.arm.cameras = ("front",)
    for shade in range(1, 100):  # noise: it changes
        made.arm.picture[0, 0] = shade
        made.pass_time(0.01)
    assert made.robot.observe().images["front"][0, 0, 0] > 90
    made.pass_time(0.4)
    made.robot.observe()
    made.pass_time(0.2)
    with pytest.raises(RobotError, match=r"front picture: got the same to the bit for 0\.\d s.*image_same_max"):
        made.robot.observe()
    made.arm.picture[0, 0] = 200
    made.pass_time(0.1)
    assert made.robot.observe().images["front"][0, 0, 0] == 200


def test_nothing_is_sensed_before_anybody_speaks() -> None:
    graph = FakeGraph()
    robot = RosRobot(FakeBus(graph, "policy"), settings(), LIMITS)
    with pytest.raises(RobotError, match="/joint_states: no message, 0 publishers"):
        robot.observe()
    with pytest.raises(RobotError, match="joint_states"):
        robot.wait_until_ready(0.1)


def test_one_bad_message_among_good_ones_is_told_once() -> None:
    made = pair()
    good = made.arm.out["joint_states"]
    good.publish(joint_state_fields(made.bus.now(), ["shoulder", "elbow"], [0.0, np.nan]))
    made.pass_time(0.01)  # a good one follows
    with pytest.raises(RobotError, match=r"JointState\.position: got elbow"):
        made.robot.observe()
    assert made.robot.observe().stamp > 0


def test_time_that_goes_back_is_told_and_then_followed() -> None:
    made = pair()
    made.graph.epoch -= 30.0
    made.pass_time(0.01)
    with pytest.raises(RobotError, match=r"29\.\d+ s before the last one"):
        made.robot.observe()
    made.pass_time(0.01)
    for topic in ("current_pose", "wrench", "perception/cube"):  # each tells it once
        with pytest.raises(RobotError, match=f"/{topic}: .* before the last one"):
            made.robot.observe()
    assert made.robot.observe().stamp > 0


def test_incompatible_qos_is_the_reason_given() -> None:
    graph = FakeGraph()
    bus = FakeBus(graph, "policy")
    RosRobot(bus, settings(), LIMITS)
    asking = FakeBus(graph, "picky")
    asking.subscription(mirrored("joint_states", "subscription", qos=Qos(True, 10)), lambda _: None)
    FakeBus(graph, "robot").publisher(mirrored("joint_states", "publisher", qos=NEWEST))
    assert "RELIABILITY" in asking.troubles()[0]
    assert "the publisher of /robot offers less than we ask for" in asking.troubles()[0]
    assert not bus.troubles(), "best effort takes from everybody"


def test_two_publishers_of_commands_are_one_too_many() -> None:
    made = pair()
    made.robot.send(target(0.51, 10.0, now=made.now))
    rival = FakeBus(made.graph, "rival")
    rival.publisher(mirrored("target_pose", "publisher"))
    made.pass_time(0.6)
    assert "1 other publisher" in made.robot.holding
    with pytest.raises(RobotError, match="/target_pose: 1 other publisher of commands"):
        made.robot.observe()
    rival.close()
    made.pass_time(0.6)
    made.robot.observe()


def test_a_second_node_of_the_same_name_is_one_too_many() -> None:
    """Though it does not publish commands yet."""
    made = pair()
    made.robot.send(target(0.51, 10.0, now=made.now))
    twin = FakeBus(made.graph, "policy")
    made.pass_time(0.6)
    assert "another node /policy" in made.robot.holding
    with pytest.raises(RobotError, match="another node /policy is on the graph"):
        made.robot.observe()
    twin.close()
    made.pass_time(0.6)
    made.robot.observe()


# -- what is sent ------------------------------------------------------------------------------------------------------


def test_sends_the_target_and_remembers_it() -> None:
    made = pair()
    made.robot.send(target(0.52, now=made.now, opening=0.0))
    np.testing.assert_allclose(pose_of(sent(made)[-1].pose), [0.52, *HOME[1:]], atol=1e-12)
    assert sent(made)[-1].header.frame_id == "base"
    assert sent(made, "/gripper_controller/commands")[-1].data.tolist() == [0.0]
    made.arm.pose = (0.505, *HOME[1:])
    made.pass_time(0.02)
    seen = made.robot.observe()
    assert seen.tool_target_in_base[0] == pytest.approx(0.52)
    assert seen.tool_pose_in_base[0] == pytest.approx(0.505)
    assert seen.gripper_target == 0.0


def test_a_command_that_runs_out_is_followed_by_a_hold() -> None:
    made = pair()
    made.arm_bus.close()
    arm = FakeArm(FakeBus(made.graph, "robot"))
    made.pass_time(0.02)
    made.robot.send(target(0.58, 0.15, now=made.now))
    arm.pose = (0.55, *HOME[1:])  # where it has got to
    made.pass_time(0.15 + WATCH_EVERY + 0.001)
    np.testing.assert_allclose(pose_of(sent(made)[-1].pose), [0.55, *HOME[1:]], atol=1e-9)
    assert made.robot.holding == "no command in time"
    count = len(sent(made))
    made.pass_time(0.5)
    assert len(sent(made)) == count, "once is enough"
    assert made.robot.observe().tool_target_in_base[0] == pytest.approx(0.55)


def test_stop_holds_where_the_tool_is_and_again_the_same() -> None:
    made = pair()
    made.robot.send(target(0.56, now=made.now))
    made.arm.pose = (0.53, *HOME[1:])
    made.pass_time(0.02)
    made.robot.stop()
    made.arm.pose = (0.52, *HOME[1:])  # sagging must not be followed
    made.pass_time(0.02)
    made.robot.stop()
    assert [round(pose_of(m.pose)[0], 6) for m in sent(made)[-2:]] == [0.53, 0.53]


def test_stop_of_a_robot_that_nobody_knows_says_nothing() -> None:
    graph = FakeGraph()
    robot = RosRobot(FakeBus(graph, "policy"), settings(), LIMITS)
    robot.stop()
    assert not next(p for p in graph.publishers if p.name == COMMANDED).sent


def test_when_the_pose_is_stale_the_hold_is_the_last_target() -> None:
    made = pair()
    made.arm.silent.add("current_pose")
    made.robot.send(target(0.52, 10.0, now=made.now))
    made.pass_time(0.25)
    np.testing.assert_allclose(pose_of(sent(made)[-1].pose)[0], 0.52, atol=1e-9)


def test_twists_lead_to_the_target_and_stop_with_zero() -> None:
    made = pair(settings(command="twist"))
    topic = "/servo_node/delta_twist_cmds"
    made.robot.send(target(0.52, now=made.now))
    np.testing.assert_allclose(twist_of(sent(made, topic)[-1].twist), [0.2, 0, 0, 0, 0, 0], atol=1e-9)
    made.robot.send(target(0.75, now=made.now))
    assert np.linalg.norm(twist_of(sent(made, topic)[-1].twist)[:3]) == pytest.approx(LIMITS.tool_speed)
    assert sent(made, topic)[-1].header.stamp.sec > 0
    made.robot.stop()
    np.testing.assert_array_equal(twist_of(sent(made, topic)[-1].twist), np.zeros(6))


@dataclass
class Servo:
    """MoveIt Servo's rule: the newest twist moves the tool while it is younger than the time-out, by its stamp; a
    command that is as old brakes."""

    arm: FakeArm
    timeout: float = 0.1
    twist: Any = None
    brakes: int = 0

    def __post_init__(self) -> None:
        bus = self.arm.bus
        bus.subscription(mirrored("servo_node/delta_twist_cmds", "subscription"), self._take)
        bus.timer(0.01, self._tick)

    def _take(self, message: Any) -> None:
        self.twist = message

    def _tick(self) -> None:
        if self.twist is None:
            return
        if self.arm.bus.now() - stamp_of(self.twist) >= self.timeout:
            self.brakes += 1
            self.twist = None
            return
        step = 0.01 * twist_of(self.twist.twist)
        self.arm.pose = (*(np.array(self.arm.pose[:3]) + step[:3]).tolist(), *self.arm.pose[3:])


@pytest.mark.parametrize("period", [0.05, 0.1, 0.2])
def test_servo_brakes_neither_between_two_steps_nor_runs_past_the_target(period: float) -> None:
    made = pair(settings(command="twist", twist_horizon=0.1))
    servo = Servo(made.arm)
    goal = 0.5
    for _ in range(10):
        goal += 0.01
        made.robot.send(target(goal, 0.25, now=made.now))
        made.pass_time(period)
        assert made.arm.pose[0] <= goal + 1e-6
    assert servo.brakes == 0
    assert made.arm.pose[0] == pytest.approx(goal, abs=0.015)
    made.pass_time(0.25)  # the loop has hung: a hold follows, as ever
    assert made.robot.holding == "no command in time"
    assert not np.any(twist_of(sent(made, "/servo_node/delta_twist_cmds")[-1].twist))
    before = len(sent(made, "/servo_node/delta_twist_cmds"))
    made.pass_time(0.2)
    assert len(sent(made, "/servo_node/delta_twist_cmds")) == before
    assert servo.brakes == 1


class Straight:
    """Kinematics of a gantry."""

    def solve(self, pose: np.ndarray, start: np.ndarray) -> np.ndarray:
        return pose[:3]


@pytest.mark.parametrize("command", ["joints", "trajectory"])
def test_joint_commands_come_from_the_solver_and_hold_the_measured_joints(command: str) -> None:
    graph = FakeGraph()
    graph.clock.advance(10.0)
    robot = RosRobot(FakeBus(graph, "policy"), settings(command=command), LIMITS, Straight())
    FakeArm(FakeBus(graph, "robot"))
    topic = {"joints": "/forward_position_controller/commands"}.get(
        command, "/joint_trajectory_controller/joint_trajectory"
    )
    told = next(p for p in graph.publishers if p.name == topic).sent

    def positions() -> list[float]:
        return np.asarray(told[-1].data if command == "joints" else told[-1].points[0].positions).tolist()

    robot.send(target(0.52, now=graph.clock.now()))
    assert positions() == pytest.approx([0.52, 0.0, 0.2])
    robot.stop()
    assert positions() == pytest.approx([0.1, 0.2, 0.3]), "in the policy's order"
    if command == "trajectory":
        assert told[-1].joint_names == list(NAMES)


def test_joint_commands_need_a_model() -> None:
    with pytest.raises(ConfigError, match="kinematics"):
        RosRobot(FakeBus(FakeGraph(), "policy"), settings(command="joints"), LIMITS)


@pytest.mark.parametrize(("command", "kind"), GRIPPER_ACTIONS)
def test_a_gripper_action_is_sent_when_the_opening_changes(command: str, kind: str) -> None:
    graph = FakeGraph()
    graph.clock.advance(10.0)
    robot = RosRobot(FakeBus(graph, "policy"), settings(gripper_command=command), LIMITS)
    goals = FakeArm(FakeBus(graph, "robot")).take_goals(kind)

    for opening in (1.0, 1.0, 0.0, 0.0, 1.0):
        robot.send(target(0.5, now=graph.clock.now(), opening=opening))
    assert [np.asarray(goal.position).item() for goal in goals] == [0.04, 0.0, 0.04]
    if command == "action":
        assert goals[0].max_effort == 20.0
    else:
        first = goals[0]
        assert (list(first.name), first.effort.tolist(), len(first.velocity)) == (["finger"], [20.0], 0)


def test_without_an_effort_a_parallel_gripper_takes_its_own() -> None:
    """ros2_controllers use the first effort of a goal, and their parameter where there is none."""
    made = pair(settings(gripper_command="parallel_action", gripper_effort=0.0))
    goals = made.arm.take_goals(t.PARALLEL_GRIPPER_GOAL)
    made.robot.send(target(0.5, now=made.now, opening=0.0))
    assert [(goal.position.tolist(), len(goal.effort)) for goal in goals] == [([0.0], 0)]


@pytest.mark.parametrize(("command", "kind"), GRIPPER_ACTIONS)
def test_a_gripper_that_refuses_or_does_not_answer_is_told_about(command: str, kind: str) -> None:
    made = pair(settings(gripper_command=command))

    def gripper() -> str:
        return next(status.message for status in made.robot.statuses() if status.name == "gripper")

    made.robot.send(target(0.5, now=made.now, opening=1.0))
    made.pass_time(1.5)
    assert gripper() == "no answer to a goal for 1.5 s"
    answers = [False, True]
    made.arm.bus.service(t.named(t.ROBOT_SIM_TOPICS, GOALS, kind), lambda _: {"accepted": answers.pop(0)})
    made.robot.send(target(0.5, now=made.now, opening=0.0))
    assert gripper() == "the goal 0 was refused"
    assert "gripper: the goal 0 was refused" in made.bus.warnings()
    made.robot.send(target(0.5, now=made.now, opening=1.0))
    assert gripper() == "follows"


# -- behind the guard --------------------------------------------------------------------------------------------------


def test_the_guard_latches_what_the_topics_say() -> None:
    made = pair()
    guard = GuardedRobot(made.robot, LIMITS, made.graph.clock)
    forward = Action(np.array([1, 0, 0, 0, 1], np.float32))
    for _ in range(3):
        guard.act(forward)
        made.pass_time(0.05)
        guard.observe()
    assert made.arm.pose[0] > 0.51
    made.arm.silent.add("joint_states")
    made.pass_time(0.25)
    with pytest.raises(FaultLatchedError, match="joint_states: stale"):
        guard.observe()
    count = len(sent(made))
    with pytest.raises(FaultLatchedError):
        guard.act(forward)
    assert len(sent(made)) == count
    made.arm.silent.clear()
    made.pass_time(0.05)
    guard.release()
    guard.observe()
    assert guard.act(forward).command.target[0] > made.arm.pose[0] - 0.03


def test_diagnostics_tell_of_every_stream() -> None:
    made = pair()
    diagnostics = Diagnostics(made.bus)
    diagnostics.add(made.robot.statuses)
    heard: list[Any] = []
    FakeBus(made.graph, "console").subscription(mirrored("/diagnostics", "subscription"), heard.append)

    def levels() -> dict[str, int]:
        return {s.name.removeprefix("policy: "): s.level for s in heard[-1].status}

    made.pass_time(1.2)
    assert levels() == dict.fromkeys(
        ("graph", "/joint_states", "/current_pose", "/wrench", "/perception/cube", "commands"), Level.OK
    )
    count = len(heard)
    made.arm.silent.add("joint_states")
    made.pass_time(0.35)
    assert levels()["/joint_states"] == Level.STALE
    assert len(heard) > count, "a change is told at once"
    made.arm.silent.clear()
    made.arm.angles["elbow"] = np.nan
    made.pass_time(0.1)
    assert levels()["/joint_states"] == Level.ERROR
    values = {v.key: v.value for s in heard[-1].status for v in s.values if s.name.endswith("joint_states")}
    assert int(values["refused"]) > 0
    assert "elbow" in values["last_refused"]


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"joint_lower": (-3.0,)}, "joint_lower: got 1 numbers, allowed: 3"),
        ({"joint_names": ("a", "a", "b")}, "distinct names"),
        ({"action_scale": (0.02,)}, "action_scale: got 1"),
        ({"gripper_joint": ""}, "a gripper stands in both"),
        ({"gripper_open": 0.0}, "gripper_open"),
        ({"wrench_sign": 0}, "wrench_sign"),
    ],
)
def test_settings_that_cannot_hold(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        settings(**changes)


def test_limits_and_settings_come_from_parameters() -> None:
    values: dict[str, Any] = {f"limits.{name}": value for name, value in vars(LIMITS).items()}
    values["limits.workspace_lower"] = (0.2, -0.4, 0.0)
    assert limits_of(values).tool_speed == LIMITS.tool_speed
    with pytest.raises(InvalidValueError, match="tool_speed"):
        limits_of(values | {"limits.tool_speed": 0.0})
    again = settings_of(type(settings()), vars(settings()))
    assert again == settings()
    spec = again.spec(LIMITS)
    assert spec.command.lower[0] == LIMITS.workspace_lower[0]
    assert spec.scene == {"cube": 7}


def test_a_pose_in_another_frame_is_refused() -> None:
    made = pair()
    made.arm.out["current_pose"].publish(pose_stamped_fields(made.bus.now(), "map", HOME))
    with pytest.raises(RobotError, match="'map', allowed: 'base'"):
        made.robot.observe()


# -- whatever happens --------------------------------------------------------------------------------------------------

DEEDS = st.one_of(
    st.tuples(st.just("send"), st.floats(-0.02, 0.02), st.floats(0.02, 0.3)),
    st.tuples(st.just("stop"), st.just(0.0), st.just(0.0)),
    st.tuples(st.just("silence"), st.sampled_from([0.0, 1.0, 2.0]), st.just(0.0)),
    st.tuples(st.just("speak"), st.just(0.0), st.just(0.0)),
    st.tuples(st.just("nan"), st.just(0.0), st.just(0.0)),
    st.tuples(st.just("forbid"), st.just(0.0), st.just(0.0)),
    st.tuples(st.just("permit"), st.just(0.0), st.just(0.0)),
)


@settings_of_hypothesis(max_examples=40, deadline=None)
@given(st.lists(st.tuples(DEEDS, st.floats(0.001, 0.12)), max_size=15))
def test_a_command_is_in_force_only_while_it_is_valid_and_everything_is_sensed(deeds: list[Any]) -> None:
    """Whatever is sent, lost, stopped and forbidden, in whatever order."""
    made = pair()
    topics = ("joint_states", "current_pose", "wrench")
    until, silent_since, forbidden = -1.0, float("inf"), False
    for (deed, value, validity), seconds in deeds:
        count, held = len(sent(made)), made.robot.holding
        if deed == "send":
            try:
                made.robot.send(target(0.5 + value, validity, now=made.now))
                assert not forbidden
                until = made.now + validity
            except RobotError:
                assert len(sent(made)) - count <= 1, "at most the hold"
        elif deed == "stop":
            made.robot.stop()
            assert made.robot.holding
        elif deed == "silence":
            made.arm.silent.add(topics[int(value)])
            silent_since = min(silent_since, made.now)
        elif deed == "speak":
            made.arm.silent.clear()
            silent_since = float("inf")
        elif deed == "nan":
            made.arm.out["current_pose"].publish(pose_stamped_fields(made.bus.now(), "base", (np.nan, *HOME[1:])))
        else:
            (made.robot.forbid if deed == "forbid" else made.robot.permit)(*(("inactive",) * (deed == "forbid")))
            forbidden = deed == "forbid"
            assert made.robot.holding or not forbidden
        if held and deed != "send":
            new = [pose_of(message.pose) for message in sent(made)[count:]]
            assert len(new) <= 1, "a robot that is held still is told at most where to stay"
        count = len(sent(made))
        made.pass_time(seconds)
        assert len(sent(made)) - count <= 1, "the watchdog holds once"
        if not made.robot.holding:
            assert not forbidden
            assert made.now <= until + WATCH_EVERY + 1e-6
            assert made.now - silent_since <= SETTINGS.state_age_max + 2 * WATCH_EVERY + 1e-6


# -- holds that must not move ------------------------------------------------------------------------------------------


class SameJoints:
    """Inverse kinematics that wants the joints to be where x is."""

    def solve(self, pose: np.ndarray, start: np.ndarray) -> np.ndarray:
        return np.full(3, float(pose[0]))


def joints_told(made: Pair) -> list[list[float]]:
    publisher = next(p for p in made.graph.publishers if p.name == "/forward_position_controller/commands")
    return [list(message.data) for message in publisher.sent]


def joint_pair(**arm: Any) -> Pair:
    graph = FakeGraph()
    graph.clock.advance(10.0)
    bus = FakeBus(graph, "policy")
    robot = RosRobot(bus, settings(command="joints"), LIMITS, SameJoints())
    arm_bus = FakeBus(graph, "robot")
    return Pair(graph, FakeArm(arm_bus, **arm), arm_bus, bus, robot)


def test_joints_that_are_not_known_are_never_held_at_zero() -> None:
    """A hold without measured joints repeats what was told last; before anything was told it says nothing."""
    made = joint_pair(silent={"joint_states"})
    made.pass_time(0.02)
    made.robot.stop()
    assert joints_told(made) == []
    made.arm.silent.clear()
    made.pass_time(0.02)
    made.robot.send(target(0.51, now=made.now))
    told = joints_told(made)[-1]
    made.arm.lag = 0.05  # the next stamps lie before the last ones: the stream is empty until they make sense
    made.pass_time(0.02)
    assert made.robot.holding
    assert joints_told(made)[-1] == told
    count = len(joints_told(made))
    made.robot.stop()
    assert joints_told(made)[count:] == [told], "a second time the same one"


def test_after_inactivity_a_hold_is_where_the_tool_is_then() -> None:
    """A reset by service, or another controller, moved it: STOP means here, not there where it was held before."""
    made = pair()
    made.robot.send(target(0.51, now=made.now))
    made.robot.stop()
    made.robot.forbid("inactive")
    made.arm.pose = (0.5, 0.3, 0.5, *HOME[3:])
    made.pass_time(0.05)
    made.robot.permit()
    made.robot.stop()
    np.testing.assert_allclose(pose_of(sent(made)[-1].pose)[:3], [0.5, 0.3, 0.5])


@pytest.mark.parametrize("command", ["pose", "twist"])
def test_a_tool_moved_away_while_it_is_held_is_neither_sent_back_nor_followed(command: str) -> None:
    topic = COMMANDED if command == "pose" else "/servo_node/delta_twist_cmds"
    made = pair(settings(command=command))
    made.robot.send(target(0.51, now=made.now))
    made.robot.stop()
    at = np.array(made.arm.pose)
    made.arm.pose = (*at[:2], at[2] - 0.5 * LIMITS.leash, *at[3:])  # it sags a little: the target stays
    made.pass_time(0.05)
    made.robot.stop()
    if command == "pose":
        np.testing.assert_allclose(pose_of(sent(made)[-1].pose)[:3], at[:3], atol=1e-6)
    before = len(sent(made, topic))
    for _ in range(10):  # a load heavier than the leash allows for: every hold is met 1.2 leashes lower
        lower = np.array(made.arm.pose)
        made.arm.pose = (*lower[:2], lower[2] - 1.2 * LIMITS.leash, *lower[3:])
        made.pass_time(0.05)
        made.robot.stop()
    said = sent(made, topic)[before:]
    if command == "pose":
        assert not said
    else:
        assert len(said) >= 10
        assert all(not np.any(twist_of(message.twist)) for message in said)
