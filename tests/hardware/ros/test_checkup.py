"""The doctor's walk over a robot's graph: each trouble is named with what to do about it, and nothing is sent."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_rlhf_hardware.ros.bus_fake import FakeBus, FakeGraph
from robot_rlhf_hardware.ros.checkup import Checkup, Duties, Finding
from robot_rlhf_hardware.ros.messages import image_fields, joint_state_fields, joy_fields, pose_stamped_fields
from robot_rlhf_hardware.ros.topics import BOOL, DEFAULT, LATCHED, POLICY_TOPICS, Topic, named
from tests.hardware.ros.graphs import LIMITS, SETTINGS, FakeArm, mirrored

CAMERA = replace(SETTINGS, cameras=("front",))
DUTIES = Duties(button_enable=4)
PICTURE = np.arange(24 * 32 * 3, dtype=np.int64).reshape(24, 32, 3) % 251


class World:
    """A robot with a camera, a gamepad, a policy node that tells, and the doctor who listens."""

    def __init__(
        self, settings: Any = CAMERA, duties: Duties = DUTIES, *, joy: float = 0.02, policy: bool = True
    ) -> None:
        self.graph = FakeGraph()
        self.graph.clock.advance(10.0)
        self.arm = FakeArm(FakeBus(self.graph, "robot"), cameras=("front",))
        self.arm.picture = PICTURE.astype(np.uint8)
        pad = FakeBus(self.graph, "joy_node")
        self.buttons = [0] * 8
        hands = pad.publisher(mirrored("joy", "publisher"))
        if joy:
            pad.timer(joy, lambda: hands.publish(joy_fields(pad.now(), [0.0] * 6, self.buttons)))
        self.policy = FakeBus(self.graph, "policy")
        if policy:
            self.tell = {
                n: self.policy.publisher(named(POLICY_TOPICS, n)) for n in ("~/estop", "~/step", "~/situation")
            }
            self.tell["~/estop"].publish({"data": False})
            self.policy.publisher(named(POLICY_TOPICS, "target_pose"))
        self.bus = FakeBus(self.graph, "doctor")
        self.checkup = Checkup(self.bus, settings, LIMITS, duties)

    def findings(self, seconds: float = 1.0) -> dict[str, Finding]:
        self.graph.advance(seconds)
        found = list(self.checkup.findings())
        assert not [p for p in self.graph.publishers if p.node == "/doctor"], "the doctor sends nothing"
        return {finding.name: finding for finding in found}


def troubles(found: dict[str, Finding]) -> dict[str, str]:
    return {name: finding.state for name, finding in found.items() if finding.state != "ok"}


def test_a_healthy_robot_has_nothing_to_mend_but_a_latency_that_nobody_measured() -> None:
    found = World().findings()
    assert troubles(found) == {"latency": "warn"}
    assert {"/joint_states", "/current_pose", "/wrench", "/front/image_raw", "/perception/cube"} <= set(found)
    assert found["/joint_states"].found.startswith("100.0 Hz, 1 publisher(s)")
    assert "3 joints within their limits" in found["joints"].found
    assert found["/target_pose"].found == "1 listener(s), nobody else commands"
    assert found["e-stop"].found == "not latched"
    assert "24 x 32" in found["picture front"].found
    assert all(not finding.remedy for finding in found.values() if finding.state == "ok")


def test_an_empty_graph() -> None:
    graph = FakeGraph()
    graph.clock.advance(10.0)
    found = {f.name: f for f in Checkup(FakeBus(graph, "doctor"), CAMERA, LIMITS, DUTIES).findings()}
    assert found["graph"].state == "fail"
    assert "ROS_DOMAIN_ID" in found["graph"].remedy
    assert found["/joint_states"].found == "/joint_states: no message, 0 publishers"
    assert "start its driver" in found["/joint_states"].remedy
    assert found["e-stop"].state == "warn"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("joint_states", "/joint_states: no message, 1 publisher"),
        ("current_pose", "/current_pose: no message, 1 publisher"),
        ("front", "/front/image_raw: no message, 1 publisher"),
    ],
)
def test_a_topic_that_says_nothing(name: str, words: str) -> None:
    graph = FakeGraph()
    graph.clock.advance(10.0)
    FakeArm(FakeBus(graph, "robot"), cameras=("front",), silent={name})
    checkup = Checkup(FakeBus(graph, "doctor"), CAMERA, LIMITS, DUTIES)
    graph.advance(1.0)
    found = {f.name: f for f in checkup.findings()}
    topic = words.partition(":")[0]
    assert (found[topic].state, found[topic].found) == ("fail", words)
    assert "look at the driver" in found[topic].remedy


def test_a_topic_that_dies_while_we_listen() -> None:
    world = World()
    world.graph.advance(0.5)
    world.arm.silent.add("front")
    found = world.findings()
    assert found["/front/image_raw"].state == "fail"
    assert "stale" in found["/front/image_raw"].found


def test_a_joint_that_is_not_there() -> None:
    world = World(replace(CAMERA, joint_names=("shoulder", "elbow", "hand")))
    found = world.findings()["/joint_states"]
    assert found.state == "fail"
    assert "'hand'" in found.found
    assert "joint_names" in found.remedy


def test_joints_beyond_their_limits() -> None:
    found = World(replace(CAMERA, joint_lower=(-3.0, 0.25, -3.0))).findings()["joints"]
    assert (found.state, found.found) == ("fail", "elbow at 0.200 rad, limits 0.25 to 3")


def test_nan_is_named() -> None:
    world = World()
    world.arm.angles["elbow"] = float("nan")
    found = world.findings()["/joint_states"]
    assert found.state == "fail"
    assert "messages refused" in found.found
    assert "nan" in found.found


@pytest.mark.parametrize(
    ("lag", "words", "remedy"),
    [(0.5, "stale", "synchronise clocks"), (-0.5, "in the future", "synchronise the machines' clocks")],
)
def test_clocks_that_differ(lag: float, words: str, remedy: str) -> None:
    world = World()
    world.arm.lag = lag
    found = world.findings()["/current_pose"]
    assert found.state == "fail"
    assert words in found.found
    assert remedy in found.remedy


def test_pictures_of_another_size_and_of_one_colour() -> None:
    found = World(replace(CAMERA, image_height=48)).findings()["/front/image_raw"]
    assert found.state == "fail"
    assert "camera_fit: scale" in found.remedy
    world = World()
    world.arm.picture = np.full((24, 32, 3), 7, np.uint8)
    found = world.findings()["picture front"]
    assert (found.state, found.found) == ("warn", "24 x 32, of one colour")


def test_poses_in_another_frame() -> None:
    found = World(replace(CAMERA, base_frame="base_link")).findings()["/current_pose"]
    assert found.state == "fail"
    assert "base_frame" in found.remedy


def test_a_tool_outside_the_box_and_one_that_looks_aside() -> None:
    world = World()
    world.arm.pose = (0.9, 0.0, 0.2, 0.0, 1.0, 0.0, 0.0)
    found = world.findings()["tool in workspace"]
    assert found.state == "warn"
    assert "(0.900, 0.000, 0.200)" in found.found
    world = World()
    world.arm.pose = (0.5, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0)  # straight up
    found = world.findings()["tool in workspace"]
    assert (found.state, found.found) == ("warn", "tilted by 3.14 rad, allowed 0.5")


def test_a_force_that_was_not_zeroed() -> None:
    world = World()
    world.arm.wrench = (0.0, 0.0, -12.0, 0.0, 0.0, 0.0)
    found = world.findings()["force at rest"]
    assert (found.state, found.found) == ("warn", "12.0 N, soft limit 20 N")


def test_types_and_qos_that_do_not_meet() -> None:
    world = World(policy=False)
    other = FakeBus(world.graph, "old_driver")
    other.publisher(Topic("joint_states", BOOL, "publisher", ""))
    other.publisher(mirrored("joy", "publisher", qos=named(POLICY_TOPICS, "joint_states").qos))
    world.graph.advance(1.0)
    said = [f.found for f in world.checkup.findings() if f.name == "types and QoS"]
    assert len(said) == 2
    assert any("has type std_msgs/msg/Bool" in words and "/old_driver" in words for words in said)
    assert any("RELIABILITY" in words for words in said)


def test_two_sources_of_one_topic() -> None:
    world = World()
    twin = FakeBus(world.graph, "twin")
    publisher = twin.publisher(mirrored("current_pose", "publisher"))
    twin.timer(0.01, lambda: publisher.publish(pose_stamped_fields(twin.now(), "base", world.arm.pose)))
    found = world.findings()["/current_pose"]
    assert found.state == "fail"
    assert "2 publisher(s)" in found.found
    gripper = World()
    twin = FakeBus(gripper.graph, "gripper")  # joints are often told by several
    joints = twin.publisher(mirrored("joint_states", "publisher"))
    assert joints is not None
    assert gripper.findings()["/joint_states"].state == "ok"


def test_a_topic_that_is_slower_than_the_loop() -> None:
    """The loop runs at 200 Hz here, the robot tells its state 100 times a second."""
    found = World(replace(CAMERA, control_period=0.005)).findings()["/joint_states"]
    assert found.state == "warn"
    assert "200 Hz" in found.remedy


def test_who_commands() -> None:
    world = World()
    FakeBus(world.graph, "moveit").publisher(named(POLICY_TOPICS, "target_pose"))
    found = world.findings()["/target_pose"]
    assert (found.state, found.found) == ("fail", "commands come from /moveit")


@pytest.mark.parametrize(
    ("command", "topic"),
    [("twist", "/servo_node/delta_twist_cmds"), ("joints", "/forward_position_controller/commands")],
)
def test_a_controller_that_is_not_there(command: str, topic: str) -> None:
    found = World(replace(CAMERA, command=command)).findings()[topic]
    assert (found.state, found.found) == ("fail", "nobody listens")


def test_a_controller_of_another_type() -> None:
    world = World(replace(CAMERA, command="twist"))
    servo = FakeBus(world.graph, "servo")
    servo.subscription(Topic("servo_node/delta_twist_cmds", BOOL, "subscription", ""), lambda _: None)
    found = world.findings()["/servo_node/delta_twist_cmds"]
    assert found.state == "fail"
    assert "type std_msgs/msg/Bool" in found.found


def test_the_operators_gamepad() -> None:
    assert "no message, 1 publisher(s)" in World(joy=0.0).findings()["/joy"].found
    slow = World(joy=0.5).findings(3.0)["/joy"]
    assert slow.state == "fail"
    assert "autorepeat_rate" in slow.remedy
    world = World()
    world.buttons[4] = 1
    assert world.findings()["/joy"].state == "warn"
    both = World(duties=Duties(joy=False, spacenav=True)).findings()
    assert "/joy" not in both
    assert both["/spacenav/twist"].state == "fail"


def test_the_judge_of_success() -> None:
    world = World(duties=Duties(success=True))
    assert world.findings()["/success"].state == "warn"
    judge = FakeBus(world.graph, "judge")
    publisher = judge.publisher(Topic("success", BOOL, "publisher", "", DEFAULT))
    judge.timer(0.1, lambda: publisher.publish({"data": False}))
    found = world.findings()["/success"]
    assert (found.state, found.found) == ("ok", "10 Hz, now False")


def test_a_latched_emergency_stop_is_heard_by_who_comes_later() -> None:
    world = World()
    world.tell["~/estop"].publish({"data": True})
    later = Checkup(FakeBus(world.graph, "later"), CAMERA, LIMITS, DUTIES)
    world.graph.advance(0.5)
    found = {f.name: f for f in later.findings()}["e-stop"]
    assert (found.state, found.found) == ("fail", "latched")
    assert "release" in found.remedy
    assert world.tell["~/estop"].qos == LATCHED


def test_the_policy_node_and_its_latency() -> None:
    world = World()
    told = {"phase": "running", "policy_version": 12, "faults": {}}
    for age in np.linspace(0.02, 0.06, 41):
        stamps = {"/joint_states": world.policy.now() - 0.01, "/front/image_raw": world.policy.now() - float(age)}
        world.tell["~/step"].publish({"data": json.dumps({"index": 0, "stamps": stamps})})
    world.tell["~/situation"].publish({"data": json.dumps(told)})
    found = world.findings()
    assert found["policy node"].found == "running, policy version 12"
    assert found["latency"].state == "ok"
    assert found["latency"].found.startswith("40 ms (p50), 60 ms (p99)")
    world.tell["~/situation"].publish({"data": json.dumps({**told, "faults": {"stop": "pressed"}})})
    world.tell["~/step"].publish({"data": json.dumps({"stamps": {"a": world.policy.now() - 5.0}})})
    found = world.findings()
    assert found["policy node"].state == "fail"
    assert "stop: pressed" in found["policy node"].found
    assert found["latency"].state == "warn"


def test_a_picture_that_cannot_be_used() -> None:
    world = World()
    world.arm.silent.add("front")
    bus, camera = world.arm.bus, world.arm.out["front"]

    def depth() -> None:
        camera.publish({**image_fields(bus.now(), "front", world.arm.picture), "encoding": "16UC1"})

    bus.timer(0.05, depth)
    found = world.findings()["/front/image_raw"]
    assert found.state == "fail"
    assert "'16UC1'" in found.found


def test_joints_in_any_order_with_strangers_among_them() -> None:
    world = World()
    world.arm.silent.add("joint_states")
    bus = world.arm.bus
    names, positions = ["wheel", "wrist", "finger", "elbow", "shoulder"], [9.0, 0.3, 0.04, 0.2, 0.1]
    bus.timer(0.01, lambda: world.arm.out["joint_states"].publish(joint_state_fields(bus.now(), names, positions)))
    assert world.findings()["joints"].state == "ok"
