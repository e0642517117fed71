"""The tests over DDS once more with rclpy on our side; skipped where ROS 2 is not sourced."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from hardware.ros.topics import DEFAULT, DIAGNOSTICS, POLICY_TOPICS, STRING, Topic, named
from robot_rlhf.datatypes import Action
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import MonotonicClock, Rate

pytest.importorskip("rclpy.node", reason="ROS 2 is not sourced here")
pytest.importorskip("cyclonedds.core", reason="cyclonedds has no wheel here")

from hardware.ros.bus_dds import URI, DdsBus, loopback
from hardware.ros.bus_rclpy import RclpyBus
from hardware.ros.robot import RosRobot
from tests.hardware.ros.test_bus_dds import PATIENT, SETTINGS, TIMEOUT, FarSide, wait_for


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> int:
    chosen = random.SystemRandom().randrange(1, 102)
    monkeypatch.setenv(URI, loopback())
    monkeypatch.setenv("ROS_DOMAIN_ID", str(chosen))
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp")
    return chosen


@pytest.fixture
def far_side(domain: int) -> Iterator[FarSide]:
    side = FarSide(domain)
    yield side
    side.close()


def test_closed_loop_pictures_and_service(far_side: FarSide) -> None:
    clock = MonotonicClock()
    with RclpyBus("policy") as bus:
        robot = RosRobot(bus, SETTINGS, PATIENT)
        reset = bus.client(named(POLICY_TOPICS, "reset"))
        robot.wait_until_ready(TIMEOUT)
        expected = np.arange(24 * 32 * 3, dtype=np.int64).reshape(24, 32, 3) % 251
        np.testing.assert_array_equal(robot.observe().images["front"], expected)
        guard, pace = GuardedRobot(robot, PATIENT, clock), Rate(clock, 0.05)
        seen = guard.observe()
        start = seen.tool_pose_in_base[0]
        for _ in range(10):
            guard.act(Action(np.array([0.5, 0, 0, 0, -1], np.float32)))
            pace.wait()
            seen = guard.observe()
        assert seen.tool_pose_in_base[0] > start + 0.03
        guard.stop()
        assert reset.call({}, TIMEOUT).success


def test_qos_that_does_not_fit_is_reported_in_words(domain: int) -> None:
    side = FarSide(domain, "--best-effort-joy")
    try:
        with RclpyBus("policy") as bus:
            bus.subscription(named(POLICY_TOPICS, "joy"), lambda _: None)
            wait_for(lambda: any("RELIABILITY" in words for words in bus.troubles()))
    finally:
        side.close()


def test_nested_messages_arrive_whole(domain: int) -> None:
    heard: list[str] = []
    with RclpyBus("policy") as bus, DdsBus("other", domain=domain) as other:
        topic = Topic("/diagnostics", DIAGNOSTICS, "publisher", "", DEFAULT)
        other.subscription(topic, lambda m: heard.append(f"{m.status[0].level} {m.status[0].values[0].value}"))
        publisher = bus.publisher(topic)
        wait_for(lambda: publisher.subscribers() == 1)
        status = {"level": 2, "name": "a", "values": [{"key": "k", "value": "v"}]}
        publisher.publish({"status": [status]})
        wait_for(lambda: heard == ["2 v"])


def test_latched_messages_and_raw_bytes(domain: int) -> None:
    heard: list[bool] = []
    raw: list[bytes] = []
    with RclpyBus("policy") as bus, DdsBus("late", domain=domain) as late:
        estop = named(POLICY_TOPICS, "~/estop")
        bus.publisher(estop).publish({"data": True})
        late.subscription(estop, lambda m: heard.append(m.data), "/policy/estop")
        wait_for(lambda: heard == [True])
        talk = Topic("talk", STRING, "publisher", "", DEFAULT)
        bus.subscription(talk, lambda data: raw.append(bytes(data)), raw=True)
        publisher = late.publisher(talk)
        wait_for(lambda: publisher.subscribers() == 1)
        publisher.publish({"data": "abc"})
        wait_for(lambda: bool(raw))
    assert raw[0][8:11] == b"abc"
