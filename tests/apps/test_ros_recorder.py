from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader

from robot_rlhf.apps.ros_operator import LAYOUT, Publisher
from robot_rlhf.apps.ros_recorder import Recorder
from robot_rlhf.datatypes import Action, HumanInput
from robot_rlhf.errors import ConfigError, JournalError
from robot_rlhf_hardware.ros.bus_fake import FakeBus, FakeGraph
from robot_rlhf_hardware.ros.messages import joint_state_fields, joy_fields, transform_fields
from robot_rlhf_hardware.ros.topics import DEFAULT, JOINT_STATE, JOY, POLICY_TOPICS, TF, Topic

ENTRIES = (f"joint_states:{JOINT_STATE}", f"joy:{JOY}")


def recorded(folder: Path) -> list[tuple[str, int]]:
    """Topic and header stamp of every message."""
    with AnyReader([folder]) as reader:
        found: list[tuple[str, int]] = []
        for connection, _, data in reader.messages():
            message: Any = reader.deserialize(data, connection.msgtype)
            found.append((connection.topic, message.header.stamp.sec))
        return found


def test_a_bag_holds_what_was_said_in_order(tmp_path: Path) -> None:
    graph = FakeGraph()
    recorder = Recorder(FakeBus(graph, "recorder"), tmp_path / "bag", ENTRIES, reliable=False)
    other = FakeBus(graph, "robot")
    joints = other.publisher(Topic("joint_states", JOINT_STATE, "publisher", "", DEFAULT))
    joy = other.publisher(Topic("joy", JOY, "publisher", "", DEFAULT))
    for i in range(5):
        joints.publish(joint_state_fields(100.0 + i, ["a"], [0.1 * i]))
        graph.advance(0.01)
    joy.publish(joy_fields(200.0, [0.5], [1]))
    recorder.sync()
    recorder.close()
    assert recorded(tmp_path / "bag") == [*(("/joint_states", 100 + i) for i in range(5)), ("/joy", 200)]
    with Reader(tmp_path / "bag") as reader:
        assert {c.topic: c.msgcount for c in reader.connections} == {"/joint_states": 5, "/joy": 1}
        assert reader.duration > 0


def test_a_full_disk_ends_the_recorder_and_keeps_what_was_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = FakeGraph()
    recorder = Recorder(FakeBus(graph, "recorder"), tmp_path / "bag", ENTRIES, reliable=False)
    joints = FakeBus(graph, "robot").publisher(Topic("joint_states", JOINT_STATE, "publisher", "", DEFAULT))
    joints.publish(joint_state_fields(100.0, ["a"], [0.1]))
    recorder.sync()

    def full(descriptor: int, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(JournalError):
            recorder.write(0, b"message")
    with pytest.raises(JournalError, match="No space left"):
        recorder.sync()
    assert messages_in(tmp_path / "bag") == 1


def test_fixed_frames_told_before_are_recorded(tmp_path: Path) -> None:
    graph = FakeGraph()
    robot = FakeBus(graph, "robot")
    topic = next(topic for topic in POLICY_TOPICS if topic.name == "/tf_static")
    robot.publisher(topic).publish({"transforms": [transform_fields(7.0, "base", "camera", (0, 0, 1, 1, 0, 0, 0))]})
    recorder = Recorder(FakeBus(graph, "recorder"), tmp_path / "bag", (f"/tf_static:{TF}",), reliable=False)
    recorder.close()
    with Reader(tmp_path / "bag") as reader:
        assert {c.topic: c.msgcount for c in reader.connections} == {"/tf_static": 1}


def test_a_killed_recorder_loses_nothing_that_arrived(tmp_path: Path) -> None:
    script = (
        "import sys, os, signal; from pathlib import Path\n"
        "from robot_rlhf_hardware.ros.bus_fake import FakeBus, FakeGraph\n"
        "from robot_rlhf_hardware.ros.messages import joint_state_fields\n"
        "from robot_rlhf_hardware.ros.topics import *\n"
        "from robot_rlhf.apps.ros_recorder import Recorder\n"
        "graph = FakeGraph(); out = Path(sys.argv[1])\n"
        f"Recorder(FakeBus(graph, 'recorder'), out, {ENTRIES!r}, reliable=False)\n"
        "p = FakeBus(graph, 'r').publisher(Topic('joint_states', JOINT_STATE, 'publisher', ''))\n"
        "[p.publish(joint_state_fields(100.0 + i, ['a'], [0.0])) for i in range(50)]\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", script, str(tmp_path / "bag")]
    done = subprocess.run(command, cwd=root, env={**os.environ, "PYTHONPATH": path}, check=False, timeout=100)
    assert done.returncode == -signal.SIGKILL
    assert messages_in(tmp_path / "bag") == 50


def messages_in(bag: Path) -> int:
    """In a file that nobody has closed."""
    from mcap.stream_reader import StreamReader

    with (bag / "bag_0.mcap").open("rb") as file:
        return [type(record).__name__ for record in _until_broken(StreamReader(file))].count("Message")


def _until_broken(reader: Any) -> Iterator[Any]:
    from mcap.exceptions import EndOfFile

    iterator = iter(reader.records)
    while True:
        try:
            yield next(iterator)
        except (StopIteration, EndOfFile):
            return


@pytest.mark.parametrize("entry", ["joint_states", ":sensor_msgs/msg/Joy", "joy:sensor_msgs/Joy", "joy:none/msg/None"])
def test_entries_that_are_none(tmp_path: Path, entry: str) -> None:
    with pytest.raises(ConfigError, match="parameter topics"):
        Recorder(FakeBus(FakeGraph(), "recorder"), tmp_path / "bag", [entry], reliable=False)


def test_a_bag_is_never_overwritten(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be made"):
        Recorder(FakeBus(FakeGraph(), "recorder"), tmp_path, ENTRIES, reliable=False)


class Mouse:
    """A 3D mouse of which a test decides what it says."""

    says: HumanInput | None = HumanInput()

    def read(self) -> HumanInput | None:
        return self.says


def test_a_mouse_at_this_machine_becomes_twist_and_buttons() -> None:
    graph, mouse = FakeGraph(), Mouse()
    bus = FakeBus(graph, "operator")
    Publisher(bus, mouse, {"rate": 50.0, "button_open": 11, "button_close": 12})
    sent = {publisher.name: publisher.sent for publisher in graph.publishers}
    graph.advance(0.021)
    assert sent["/spacenav/twist"][-1].linear.x == 0.0
    mouse.says = HumanInput(Action(np.array([0.5, 0, 0, 0, 0, -0.25, -1], np.float32)))
    assert LAYOUT.size == 7
    graph.advance(0.02)
    assert (sent["/spacenav/twist"][-1].linear.x, sent["/spacenav/twist"][-1].angular.z) == (0.5, -0.25)
    assert sent["/joy"][-1].buttons[12] == 1
    mouse.says = None
    count = len(sent["/joy"])
    graph.advance(0.2)
    assert len(sent["/joy"]) == count, "silence tells that it is gone"
    assert bus.warnings() == ["the mouse is gone"]
