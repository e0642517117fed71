"""Laws of rclpy that the bus without ROS does not have: on a double as strict as rclpy, and on rclpy where it is."""

from __future__ import annotations

import importlib
import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_rlhf.datatypes import Command
from robot_rlhf.errors import ConfigError, RobotError, UnknownNameError
from robot_rlhf_hardware.ros import messages as m
from robot_rlhf_hardware.ros import topics as t
from robot_rlhf_hardware.ros.bus import BusError
from robot_rlhf_hardware.ros.diagnostics import Level, Status, status_fields
from robot_rlhf_hardware.ros.outputs import GripperOutput
from robot_rlhf_hardware.ros.parameters import Parameter
from robot_rlhf_hardware.ros.robot import RosRobot
from robot_rlhf_hardware.ros.topics import (
    COMMAND,
    FIXED_FRAMES,
    LATCHED,
    POLICY_TOPICS,
    STRING,
    TF,
    TRIGGER,
    Topic,
    named,
)
from tests.hardware.ros import rclpy_double
from tests.hardware.ros.graphs import GRIPPER_ACTIONS, HOME, FakeArm, settings
from tests.hardware.ros.processes import DOMAINS, PATIENT, SETTINGS, wait_for

OURS = ("bus_rclpy", "rclpy_graph", "rclpy_host", "rclpy_messages", "rclpy_spin")
CONFIGURE, CLEANUP, ACTIVATE, DEACTIVATE = 1, 2, 3, 4
PARAMETERS = (
    Parameter("speed", "double", 0.5, "m/s", 0.0, 1.0),
    Parameter("wrench_sign", "integer", 1, "sign", -1, 1),
    Parameter("names", "string_array", ("x",), "names"),
)


@pytest.fixture(params=["double", "rclpy"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Makes a bus, or what else a module over rclpy holds, on the double and on rclpy itself."""
    for name in OURS:
        sys.modules.pop(f"robot_rlhf_hardware.ros.{name}", None)
    if request.param == "double":
        rclpy_double.install(monkeypatch)
    else:
        pytest.importorskip("rclpy.node", reason="ROS 2 is not sourced here")
        monkeypatch.setenv("ROS_DOMAIN_ID", str(next(DOMAINS)))
        monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

    def made(*arguments: Any, kind: str = "bus_rclpy.RclpyBus", **named_arguments: Any) -> Any:
        module, _, member = kind.partition(".")
        return getattr(importlib.import_module(f"robot_rlhf_hardware.ros.{module}"), member)(
            *arguments, **named_arguments
        )

    yield made
    for name in OURS:
        sys.modules.pop(f"robot_rlhf_hardware.ros.{name}", None)


@pytest.fixture(autouse=True)
def no_thread_dies(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A traceback of a thread at the end is a failure."""
    died: list[str] = []
    monkeypatch.setattr(
        threading, "excepthook", lambda told: died.append(f"{told.exc_type.__name__}: {told.exc_value}")
    )
    yield died
    assert not died


# -- the graph ---------------------------------------------------------------------------------------------------------


def test_a_second_policy_of_the_same_name_is_a_rival_and_a_twin(make: Callable[..., Any]) -> None:
    topic = named(POLICY_TOPICS, "target_pose")
    with make("policy") as ours:
        mine = ours.publisher(topic)
        assert mine.rivals() == 0
        assert ours.twins() == 0
        with make("policy") as theirs:
            other = theirs.publisher(topic)
            wait_for(lambda: mine.rivals() == other.rivals() == ours.twins() == theirs.twins() == 1)
            wait_for(lambda: [e.node for e in ours.endpoints() if e.topic == "/target_pose"] == ["/policy"])
        wait_for(lambda: mine.rivals() == ours.twins() == 0)


def test_a_robot_is_not_driven_beside_a_second_node_of_the_same_name(make: Callable[..., Any]) -> None:
    with make("policy") as ours, make("robot") as theirs:
        robot = RosRobot(ours, replace(SETTINGS, cameras=()), PATIENT)
        FakeArm(theirs)
        robot.wait_until_ready(30.0)
        with make("policy") as twin:
            twin.publisher(named(POLICY_TOPICS, "target_pose"))
            wait_for(lambda: bool(robot._rivals))
            with pytest.raises(RobotError, match="/target_pose: 1 other publisher"):
                robot.observe()


def test_the_whole_graph_is_seen(make: Callable[..., Any]) -> None:
    """Not only the topics on which we have an endpoint ourselves; without ours, and without those of every node."""
    with make("doctor") as doctor, make("servo") as servo:
        doctor.publisher(Topic("mine", STRING, "publisher", ""))
        servo.subscription(named(POLICY_TOPICS, "servo_node/delta_twist_cmds"), lambda _: None)
        servo.publisher(Topic("other", STRING, "publisher", ""))
        there = {("/servo_node/delta_twist_cmds", False, "/servo"), ("/other", True, "/servo")}
        nameless = {(topic, writer, "") for topic, writer, _ in there}  # as long as nobody has told whose they are

        def seen() -> set[tuple[str, bool, str]]:
            found = {(end.topic, end.writer, end.node) for end in doctor.endpoints()}
            assert found <= there | nameless
            return found

        wait_for(lambda: seen() == there)


def test_the_fixed_frames_of_three_broadcasters_reach_who_comes_later(make: Callable[..., Any]) -> None:
    with make("urdf") as urdf, make("calibration") as calibration, make("mount") as mount, make("policy") as policy:
        for bus in (urdf, calibration, mount):
            publisher = bus.publisher(Topic("/tf_static", TF, "publisher", "", replace(FIXED_FRAMES, depth=1)))
            child = bus.node.strip("/")
            publisher.publish({"transforms": [m.transform_fields(1.0, "base", child, (0, 0, 0.1, 1, 0, 0, 0))]})
        wait_for(lambda: len(policy.endpoints()) == 3)
        heard: set[str] = set()
        policy.subscription(
            named(POLICY_TOPICS, "/tf_static"), lambda told: heard.update(one.child_frame_id for one in told.transforms)
        )
        wait_for(lambda: heard == {"urdf", "calibration", "mount"})


# -- the thread --------------------------------------------------------------------------------------------------------


def test_what_is_raised_in_the_executor_does_not_end_it(make: Callable[..., Any]) -> None:
    raised: list[int] = []
    ticks: list[int] = []

    def fail() -> None:
        raised.append(1)
        raise RuntimeError("on purpose")

    with make("policy") as bus:
        steady = importlib.import_module("robot_rlhf_hardware.ros.bus_rclpy")._STEADY
        bus._node.create_timer(0.01, fail, clock=steady)  # as rclpy's own: not one of those that the bus guards
        bus.timer(0.01, lambda: ticks.append(1))
        wait_for(lambda: len(raised) > 5 and len(ticks) > 5)
        assert not bus.failure.reason


@pytest.mark.parametrize("why", ["rounds", "shutdown"])
def test_a_thread_that_can_go_on_no_longer_says_so_once(make: Callable[..., Any], why: str) -> None:
    told: list[str] = []
    with make("policy") as bus:
        bus.failure.listeners.append(told.append)
        if why == "rounds":

            def fail() -> None:
                raise RuntimeError("the wait set is broken")

            bus._spinner._executor.spin_once = fail
        else:
            bus._context.try_shutdown()
        wait_for(lambda: bool(told))
        expected = {"rounds": "20 rounds failed in a row, .*the wait set is broken", "shutdown": "ROS was shut down"}
        assert len(told) == 1
        assert re.search(expected[why], told[0])


def test_a_node_ends_without_a_word(make: Callable[..., Any]) -> None:
    """A shutdown takes away what a running round waits for: the round comes first."""
    for _ in range(10):
        with make("policy") as bus:
            ticks: list[int] = []
            bus.timer(0.001, lambda ticks=ticks: ticks.append(1))
            wait_for(lambda ticks=ticks: bool(ticks))


# -- parameters --------------------------------------------------------------------------------------------------------


def given(**parameters: str) -> list[str]:
    return ["--ros-args", *(word for name, written in parameters.items() for word in ("-p", f"{name}:={written}"))]


def test_parameters_are_read_with_rcls_types(make: Callable[..., Any]) -> None:
    with make("policy", given(speed="0.25", wrench_sign="-1", names='["y", "on"]')) as bus:
        assert bus.parameters(PARAMETERS) == {"speed": 0.25, "wrench_sign": -1, "names": ("y", "on")}
        assert bus.parameters(PARAMETERS)["speed"] == 0.25, "a second time, as after a configuration that failed"
    with make("policy", given(names="[]")) as bus:
        assert bus.parameters(PARAMETERS)["names"] == ("x",), "an empty sequence says nothing"


def test_a_misspelt_parameter_is_an_error(make: Callable[..., Any]) -> None:
    """rclpy passes over an override that nobody declares."""
    with (
        make("policy", given(wrench_sgn="-1"), {"wrench_sgn": -1}) as bus,
        pytest.raises(UnknownNameError, match="Did you mean 'wrench_sign'"),
    ):
        bus.parameters(PARAMETERS)
    with (
        make("policy", given(speed="1"), {"speed": 1}) as bus,
        pytest.raises(ConfigError, match=r"speed: got 1, .*write 1\.0 for 1"),
    ):
        bus.parameters(PARAMETERS)


@pytest.mark.parametrize(("command", "kind"), GRIPPER_ACTIONS)
def test_a_goal_of_the_grippers_action_arrives(make: Callable[..., Any], command: str, kind: str) -> None:
    with make("policy") as ours, make("robot") as theirs:
        goals = FakeArm(theirs).take_goals(kind)
        gripper = GripperOutput(ours, settings(gripper_command=command))

        def told(opening: float) -> bool:
            gripper.send(opening)  # until it is answered
            return bool(goals) and np.asarray(goals[-1].position).item() == opening * 0.04

        for opening in (0.0, 1.0):
            wait_for(lambda: told(opening))  # noqa: B023
        wait_for(lambda: gripper.status().message == "follows")
        effort = goals[-1].max_effort if command == "action" else list(goals[-1].effort)
        assert effort == (20.0 if command == "action" else [20.0])


# -- lifecycle ---------------------------------------------------------------------------------------------------------


class Core:
    """What a host hosts."""

    def __init__(self, bus: Any, deeds: list[str]) -> None:
        self._bus = bus
        self.deeds = deeds
        self._ended = threading.Event()

    def configure(self) -> None:
        self._bus.parameters(PARAMETERS)
        self._bus.publisher(named(POLICY_TOPICS, "~/estop"))
        self._bus.service(named(POLICY_TOPICS, "~/stop"), lambda _: {"success": True, "message": "stopped"})
        self._bus.timer(0.01, lambda: None)
        self.deeds.append("configure")
        if self.deeds == ["configure"]:
            raise ConfigError("the camera is not there")

    def activate(self) -> None:
        self.deeds.append("activate")
        if "broken" in self.deeds:
            raise RuntimeError("on purpose")

    def deactivate(self) -> None:
        self.deeds.append("deactivate")

    def end(self) -> None:
        self._ended.set()

    def run(self) -> dict[str, Any]:
        assert self._ended.wait(30.0)
        return {"interrupted": True}


class Operator:
    """Asks for transitions, as `ros2 lifecycle set` does."""

    def __init__(self, bus: Any) -> None:
        self._kind = importlib.import_module("lifecycle_msgs.srv").ChangeState
        self._client = bus._node.create_client(self._kind, "/policy/change_state")
        assert self._client.wait_for_service(timeout_sec=30.0)

    def change(self, number: int) -> bool:
        request = self._kind.Request()
        request.transition.id = number
        done = threading.Event()
        future = self._client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        assert done.wait(30.0), "nobody answered"
        return bool(future.result().success)


def host(make: Callable[..., Any], deeds: list[str]) -> Any:
    return make("policy", ["--ros-args"], {}, lambda bus: Core(bus, deeds), kind="rclpy_host.LifecycleHost")


def test_a_request_out_of_place_is_refused_and_the_emergency_stop_stays_alive(make: Callable[..., Any]) -> None:
    deeds = ["once"]
    with make("operator") as bus, host(make, deeds):
        operator, stop = Operator(bus), bus.client(Topic("policy/stop", TRIGGER, "client", ""))
        assert operator.change(CONFIGURE)
        assert operator.change(ACTIVATE)
        for number in (CLEANUP, CONFIGURE, ACTIVATE, 99):
            assert not operator.change(number)
            assert stop.call({}, 30.0).success
        assert operator.change(DEACTIVATE)
        assert not operator.change(DEACTIVATE)
        assert not operator.change(CLEANUP), "end the node instead"
        assert stop.call({}, 30.0).success
    assert deeds == ["once", "configure", "activate", "deactivate", "deactivate"]


def test_a_configuration_that_failed_can_be_asked_for_again(make: Callable[..., Any]) -> None:
    deeds: list[str] = []
    with make("operator") as bus, host(make, deeds) as hosted:
        said: list[str] = []
        monitored, hosted.bus.log = hosted.bus.log, lambda level, text: (said.append(text), monitored(level, text))
        operator = Operator(bus)
        assert not operator.change(CONFIGURE)
        assert said == ["cannot be configured: the camera is not there"]
        assert not [end for end in bus.endpoints() if end.topic == "/policy/estop"], "nothing is left of it"
        assert operator.change(CONFIGURE)
        wait_for(lambda: len([end for end in bus.endpoints() if end.topic == "/policy/estop"]) == 1)
    assert deeds == ["configure", "configure"]


def test_a_transition_that_fails_halfway_holds_still_and_ends_with_an_error(make: Callable[..., Any]) -> None:
    deeds = ["broken"]
    with make("operator") as bus, host(make, deeds) as hosted:
        operator = Operator(bus)
        assert operator.change(CONFIGURE)
        assert not operator.change(ACTIVATE)
        with pytest.raises(BusError, match="a transition failed"):
            hosted.run()
    assert deeds == ["broken", "configure", "activate", "deactivate"]


def test_a_deaf_bus_holds_still_and_ends_with_an_error(make: Callable[..., Any]) -> None:
    deeds = ["once"]
    with make("operator") as bus, host(make, deeds) as hosted:
        operator = Operator(bus)
        assert operator.change(CONFIGURE)
        assert operator.change(ACTIVATE)
        hosted.bus._context.try_shutdown()
        with pytest.raises(BusError, match="ROS was shut down"):
            hosted.run()
        assert deeds[-1] == "deactivate"


def test_a_second_policy_is_neither_configured_nor_activated(make: Callable[..., Any]) -> None:
    deeds = ["once"]
    with make("operator") as bus, host(make, deeds) as second:
        operator = Operator(bus)
        with make("policy") as first:
            wait_for(lambda: second.bus.twins() == first.twins() == 1)
            with pytest.raises(BusError, match="another node /policy is on the graph"):
                second.configure()
        wait_for(lambda: second.bus.twins() == 0)
        assert operator.change(CONFIGURE)
        with make("policy"):
            wait_for(lambda: second.bus.twins() == 1)
            assert not operator.change(ACTIVATE)
        wait_for(lambda: second.bus.twins() == 0)
        assert operator.change(ACTIVATE)
    assert deeds == ["once", "configure", "activate", "deactivate"]


# -- messages ----------------------------------------------------------------------------------------------------------

IMAGE = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
FIELDS: dict[str, dict[str, Any]] = {
    t.JOINT_STATE: m.joint_state_fields(1.5, ["a"], [0.1], [np.nan]),
    t.POSE: m.pose_stamped_fields(1.5, "base", HOME),
    t.TWIST_STAMPED: m.twist_stamped_fields(1.5, "base", np.arange(6.0)),
    t.TWIST: m.twist_fields(np.arange(6.0)),
    t.WRENCH: m.wrench_stamped_fields(1.5, "base", np.arange(6.0)),
    t.TF: {"transforms": [m.transform_fields(1.5, "base", "tool0", HOME)]},
    t.IMAGE: m.image_fields(1.5, "front", IMAGE),
    t.COMPRESSED_IMAGE: m.compressed_image_fields(1.5, "front", IMAGE),
    t.CAMERA_INFO: m.camera_info_fields(1.5, "front", 2, 4, 0.8),
    t.JOY: m.joy_fields(1.5, [0.5], [1, 0]),
    t.BOOL: {"data": True},
    t.FLOAT: {"data": 0.5},
    t.STRING: {"data": "words"},
    t.NUMBERS: m.numbers_fields([0.1, 0.2]),
    t.TRAJECTORY: m.trajectory_fields(1.5, ["a"], [0.1], 0.05),
    t.DIAGNOSTICS: {"status": [status_fields(Status("a", Level.WARN, "b", {"c": "d"}), "/policy")]},
}


def test_every_message_that_crosses_the_bus_is_taken(make: Callable[..., Any]) -> None:
    """Field for field with the types that the generated classes demand, and it arrives."""
    assert set(FIELDS) == set(t.MESSAGE_TYPES)
    with make("policy") as bus, make("other") as other:
        for number, (kind, fields) in enumerate(FIELDS.items()):
            heard: list[Any] = []
            entry = Topic(f"topic{number}", kind, "publisher", "", LATCHED)
            bus.publisher(entry).publish(fields)
            other.subscription(entry, heard.append)
            wait_for(lambda heard=heard: bool(heard))
            if kind == t.IMAGE:
                np.testing.assert_array_equal(m.image_of(heard[0]), IMAGE)
            if kind == t.DIAGNOSTICS:
                assert heard[0].status[0].level == b"\x01"


def test_a_robot_follows_over_rclpy(make: Callable[..., Any]) -> None:
    with make("policy") as bus, make("robot") as side:
        robot = RosRobot(bus, replace(SETTINGS, cameras=()), PATIENT)
        arm = FakeArm(side)
        robot.wait_until_ready(30.0)
        wait_for(lambda: robot._output.publisher.subscribers() == 1)
        target = np.array([0.52, *HOME[1:], 0.0])
        robot.send(Command(target, bus.clock.now() + 30.0))
        wait_for(lambda: arm.pose[0] == pytest.approx(0.52) and arm.opening == 0.0)
        wait_for(lambda: robot.observe().tool_pose_in_base[0] == pytest.approx(0.52))
        assert named(POLICY_TOPICS, "target_pose").qos == COMMAND
