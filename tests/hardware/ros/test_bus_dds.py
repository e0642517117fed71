"""Two processes over DDS, as ROS nodes see each other; each test in a domain of its own."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hardware.ros.topics import DEFAULT, POLICY_TOPICS, STRING, Topic, named
from robot_rlhf.datatypes import Action, Command
from robot_rlhf.errors import FaultLatchedError, RobotError
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import MonotonicClock, Rate
from tests.hardware.ros.graphs import LIMITS, settings

pytest.importorskip("cyclonedds.core", reason="cyclonedds has no wheel here")

from hardware.ros.bus import BusError
from hardware.ros.bus_dds import URI, DdsBus, loopback
from hardware.ros.robot import RosRobot

ROOT = Path(__file__).parents[3]
TIMEOUT = 30.0
SETTINGS = settings(cameras=("front",), state_age_max=20.0, image_age_max=20.0, scene_age_max=20.0)
PATIENT = replace(LIMITS, command_validity=20.0, observation_age_max=20.0, jump_max=1.0)
"""A busy machine must not look like a fault; ages have their own tests, on a clock that is told."""


DOMAINS = itertools.cycle(random.SystemRandom().sample(range(1, 102), 101))
"""The configuration of a domain is read once while this process is in it: no test gets one that may not be left."""


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv(URI, loopback(uuid.uuid4().hex))  # whoever tests beside us on this machine is not met
    return next(DOMAINS)


class FarSide:
    """The robot's process."""

    def __init__(self, domain: int, *options: str) -> None:
        command = [sys.executable, "-m", "tests.hardware.ros.far_side", "--domain", str(domain), *options]
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=TIMEOUT)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.communicate(b"", timeout=TIMEOUT)


@pytest.fixture
def far_side(domain: int) -> Iterator[FarSide]:
    side = FarSide(domain)
    yield side
    side.close()


def wait_for(what: Callable[[], bool], timeout: float = TIMEOUT) -> None:
    deadline = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)


def test_closed_loop_pictures_and_service(domain: int, far_side: FarSide) -> None:
    """The robot follows the guard's commands; pictures arrive to the byte; a service is answered."""
    clock = MonotonicClock()
    with DdsBus("policy", domain=domain) as bus:
        robot = RosRobot(bus, SETTINGS, PATIENT)
        reset = bus.client(named(POLICY_TOPICS, "reset"))
        robot.wait_until_ready(TIMEOUT)
        expected = np.arange(24 * 32 * 3, dtype=np.int64).reshape(24, 32, 3) % 251
        np.testing.assert_array_equal(robot.observe().images["front"], expected)
        guard, pace = GuardedRobot(robot, PATIENT, clock), Rate(clock, 0.05)
        seen, executed = guard.observe(), guard.hold()
        start = seen.tool_pose_in_base[0]
        for _ in range(10):
            executed = guard.act(Action(np.array([0.5, 0, 0, 0, -1], np.float32)))
            pace.wait()
            seen = guard.observe()
        wait_for(lambda: abs(robot.observe().tool_pose_in_base[0] - executed.command.target[0]) < 1e-5)
        assert seen.tool_pose_in_base[0] > start + 0.05
        wait_for(lambda: robot.observe().gripper == 0.0)
        guard.stop()
        reply = reset.call({}, TIMEOUT)
        assert reply.success
        assert int(reply.message.split()[1]) >= 10
        robot.begin_anew()
        robot.wait_until_ready(TIMEOUT)
        assert robot.observe().tool_pose_in_base[0] == pytest.approx(0.6)


def test_a_killed_robot_is_noticed_and_nothing_moves_any_more(domain: int, far_side: FarSide) -> None:
    with DdsBus("policy", domain=domain) as bus:
        robot = RosRobot(bus, replace(SETTINGS, state_age_max=1.0), PATIENT)
        robot.wait_until_ready(TIMEOUT)
        guard = GuardedRobot(robot, PATIENT, MonotonicClock())
        observation = guard.observe()
        target = np.array([*observation.tool_target_in_base, 1.0], np.float64)
        robot.send(Command(target, observation.stamp + 60.0))
        far_side.kill()
        wait_for(lambda: bool(robot.holding))
        assert "stale" in robot.holding
        with pytest.raises(FaultLatchedError, match=r"stale|no message"):
            guard.observe()


def test_a_killed_policy_leaves_the_robots_state_readable(domain: int, far_side: FarSide) -> None:
    """A client that dies in the middle of everything disturbs neither the robot nor the next client."""
    script = (
        "import os, signal\n"
        "from hardware.ros.bus_dds import DdsBus\n"
        "from hardware.ros.robot import RosRobot\n"
        "from tests.hardware.ros.graphs import LIMITS, settings\n"
        f"bus = DdsBus('policy', domain={domain}).__enter__()\n"
        "robot = RosRobot(bus, settings(state_age_max=20.0, scene_age_max=20.0), LIMITS)\n"
        "robot.wait_until_ready(30.0); robot.observe()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL
    with DdsBus("policy", domain=domain) as bus:
        robot = RosRobot(bus, SETTINGS, PATIENT)
        robot.wait_until_ready(TIMEOUT)
        assert robot.observe().tool_pose_in_base[0] == pytest.approx(0.5)
        assert bus.client(named(POLICY_TOPICS, "reset")).call({}, TIMEOUT).message == "after 0 targets"


def test_qos_that_does_not_fit_is_reported_in_words(domain: int) -> None:
    side = FarSide(domain, "--best-effort-joy")
    try:
        with DdsBus("policy", domain=domain) as bus:
            joy = bus.subscription(named(POLICY_TOPICS, "joy"), lambda _: None)
            wait_for(lambda: bool(bus.troubles()))
            assert bus.troubles() == (
                "/joy: incompatible QoS (RELIABILITY): the publisher of /robot offers less than we ask for: "
                "nothing passes",
            )
            assert joy.publishers() == 0
            side.close()
            wait_for(lambda: not bus.troubles())
    finally:
        side.close()


def test_a_topic_of_another_type_is_reported_in_words(domain: int, far_side: FarSide) -> None:
    with DdsBus("policy", domain=domain) as bus:
        bus.subscription(Topic("joint_states", STRING, "subscription", ""), lambda _: None)
        wait_for(lambda: bool(bus.troubles()))
        assert "has type sensor_msgs/msg/JointState, ours is std_msgs/msg/String" in bus.troubles()[0]


def test_a_second_publisher_of_commands_is_found(domain: int) -> None:
    side = FarSide(domain, "--rival")
    try:
        with DdsBus("policy", domain=domain) as bus:
            robot = RosRobot(bus, SETTINGS, PATIENT)
            wait_for(lambda: "1 other publisher" in robot._rivals)
            with pytest.raises(RobotError, match="/target_pose: 1 other publisher"):
                robot.observe()
    finally:
        side.close()


def test_a_service_that_nobody_serves_fails_in_time(domain: int) -> None:
    with DdsBus("policy", domain=domain) as bus:
        client = bus.client(named(POLICY_TOPICS, "reset"))
        began = time.monotonic()
        with pytest.raises(BusError, match=r"service /reset: no server within 0\.2 s"):
            client.call({}, 0.2)
        assert time.monotonic() - began >= 0.2


def test_who_leaves_is_gone_though_somebody_holds_on_to_it(domain: int) -> None:
    with DdsBus("stays", domain=domain) as stays:
        heard: list[str] = []
        ears = stays.subscription(Topic("talk", STRING, "subscription", ""), lambda message: heard.append(message.data))
        with DdsBus("leaves", domain=domain) as leaves:
            mouth = leaves.publisher(Topic("talk", STRING, "publisher", ""))
            client = leaves.client(named(POLICY_TOPICS, "reset"))
            wait_for(lambda: ears.publishers() == 1)
        wait_for(lambda: ears.publishers() == 0)
        with pytest.raises(BusError, match="/talk: cannot be published"):
            mouth.publish({"data": "nobody hears this"})
        with pytest.raises(BusError, match="service /reset: cannot be called, the node has left"):
            client.call({}, 0.05)
        assert heard == []


def test_a_service_is_not_called_from_a_callback(domain: int) -> None:
    with DdsBus("policy", domain=domain) as bus:
        client = bus.client(named(POLICY_TOPICS, "reset"))
        caught: list[str] = []

        def call() -> None:
            try:
                client.call({}, 5.0)
            except BusError as error:
                caught.append(str(error))

        bus.once(0.0, call)
        wait_for(lambda: bool(caught))
        assert "wait for itself" in caught[0]


def test_a_latched_message_reaches_whoever_comes_later(domain: int) -> None:
    with DdsBus("policy", domain=domain) as bus:
        bus.publisher(named(POLICY_TOPICS, "~/estop")).publish({"data": True})
        heard: list[bool] = []
        with DdsBus("late", domain=domain) as late:
            topic = named(POLICY_TOPICS, "~/estop")
            late.subscription(topic, lambda m: heard.append(m.data), "/policy/estop")
            wait_for(lambda: heard == [True])


def test_names_are_remapped_and_namespaces_added(domain: int) -> None:
    heard: list[str] = []
    topic = Topic("talk", STRING, "publisher", "", DEFAULT)
    with (
        DdsBus("a", domain=domain, namespace="left", remaps={"talk": "chatter"}) as a,
        DdsBus("b", domain=domain) as b,
    ):
        publisher = a.publisher(topic)
        assert a.node == "/left/a"
        b.subscription(topic, lambda m: heard.append(m.data), "/left/chatter")
        wait_for(lambda: publisher.subscribers() == 1)
        publisher.publish({"data": "hello"})
        wait_for(lambda: heard == ["hello"])
        wait_for(lambda: any(end.node == "/left/a" and end.topic == "/left/chatter" for end in b.endpoints()))


def test_a_callback_that_fails_does_not_silence_the_others(domain: int, caplog: pytest.LogCaptureFixture) -> None:
    ticks: list[int] = []

    def fail() -> None:
        raise ValueError("on purpose")

    with DdsBus("policy", domain=domain) as bus:
        bus.timer(0.01, fail)
        timer = bus.timer(0.01, lambda: ticks.append(1))
        wait_for(lambda: len(ticks) > 3)
        timer.cancel()
        time.sleep(0.05)
        count = len(ticks)
        time.sleep(0.05)
        assert len(ticks) == count
    assert "on purpose" in caplog.text


def test_raw_subscriptions_get_the_bytes(domain: int) -> None:
    heard: list[bytes] = []
    topic = Topic("talk", STRING, "publisher", "", DEFAULT)
    with DdsBus("a", domain=domain) as bus, DdsBus("b", domain=domain) as other:
        other.subscription(topic, lambda data: heard.append(bytes(data)), raw=True)
        publisher = bus.publisher(topic)
        wait_for(lambda: publisher.subscribers() == 1)
        publisher.publish({"data": "abc"})
        wait_for(lambda: bool(heard))
    assert heard[0].startswith(bytes.fromhex("0001000004000000") + b"abc\0")


def test_domains_out_of_range_are_refused() -> None:
    with pytest.raises(BusError, match="0 to 101"):
        DdsBus("policy", domain=102)
