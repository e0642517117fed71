"""Tools that are not ours open a journal: the mcap package, its ROS 2 decoder, and rosbags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap.stream_reader import StreamReader
from mcap_ros2.reader import read_ros2_messages
from rosbags.highlevel import AnyReader

from robot_rlhf.datatypes import Observation
from robot_rlhf.journal.format import LIBRARY
from robot_rlhf.journal.sensors import FixedMessage, SensorTopics, typestore
from robot_rlhf.journal.writer import JournalWriter
from tests.journal.sessions import make_episode, make_observation, make_spec, tell

EPOCH_NS = 1_700_000_000_000_000_000
COUNT = 4


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = make_spec({"front": (6, 4)})
    with JournalWriter(tmp_path_factory.mktemp("journal"), spec, epoch_offset_ns=EPOCH_NS) as writer:
        tell(writer, make_episode(spec, 2, COUNT))
    return writer.path


@pytest.fixture(scope="module")
def observations() -> list[Observation]:
    episode = make_episode(make_spec({"front": (6, 4)}), 2, COUNT)
    return [episode.observation(t) for t in range(COUNT + 1)]


def test_mcap_reads_every_message(journal: Path) -> None:
    with journal.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        header, summary = reader.get_header(), reader.get_summary()
        messages = list(reader.iter_messages())
    assert (header.profile, header.library) == ("ros2", LIBRARY)
    assert summary is not None
    assert summary.statistics is not None
    assert summary.statistics.message_count == len(messages) == 7 * (COUNT + 1) + (COUNT + 1) + 3 + 1
    times = [message.log_time for _, _, message in messages]
    assert (summary.statistics.message_start_time, summary.statistics.message_end_time) == (min(times), max(times))
    assert min(times) == EPOCH_NS + 20_000_000_000
    described = {channel.topic: schema for schema, channel, _ in messages if schema and schema.encoding == "jsonschema"}
    assert set(described) == {f"/robot_rlhf/{name}" for name in ("episode_start", "step", "event", "episode_end")}
    with journal.open("rb") as file:
        assert len(list(StreamReader(file, validate_crcs=True).records)) > len(messages)


def test_records_hold_what_their_schemas_require(journal: Path) -> None:
    with journal.open("rb") as file:
        for schema, channel, message in make_reader(file).iter_messages():
            if channel.message_encoding == "json" and schema is not None:
                wanted, value = json.loads(schema.data), json.loads(message.data)
                assert set(wanted["required"]) <= set(value) <= set(wanted["properties"])


def test_ros2_decoder_reads_every_sensor_topic(journal: Path, observations: list[Observation]) -> None:
    seen: dict[str, list[Any]] = {}
    for message in read_ros2_messages(str(journal), topics=[t.topic for t in SensorTopics(make_spec()).topics]):
        seen.setdefault(message.channel.topic, []).append(message.ros_msg)
    assert {topic: len(messages) for topic, messages in seen.items()} == dict.fromkeys(seen, COUNT + 1)
    assert len(seen) == 6
    check_ros_messages(seen, observations)


def test_rosbags_reads_every_sensor_topic(journal: Path, observations: list[Observation]) -> None:
    seen: dict[str, list[Any]] = {}
    with AnyReader([journal]) as reader:
        for connection, _, data in reader.messages():
            seen.setdefault(connection.topic, []).append(reader.deserialize(data, connection.msgtype))
    assert len(seen) == 7
    check_ros_messages(seen, observations)
    pictures = seen["/camera/front/compressed"]
    assert all(bytes(picture.data[:4]) == b"\x89PNG" for picture in pictures)


def check_ros_messages(seen: dict[str, list[Any]], observations: list[Observation]) -> None:
    for t, observation in enumerate(observations):
        joints: Any = seen["/joint_states"][t]
        assert np.array_equal(joints.position, observation.joint_position)
        assert np.array_equal(joints.velocity, observation.joint_velocity)
        assert list(joints.name) == [f"joint_{i}" for i in range(7)]
        stamp = joints.header.stamp
        assert stamp.sec * 10**9 + stamp.nanosec == EPOCH_NS + round(observation.stamp * 1e9)
        for topic, pose in (
            ("/tool_pose", observation.tool_pose_in_base),
            ("/tool_target", observation.tool_target_in_base),
        ):
            message: Any = seen[topic][t]
            p, q = message.pose.position, message.pose.orientation
            assert [p.x, p.y, p.z, q.w, q.x, q.y, q.z] == pose.tolist()
        twist: Any = seen["/tool_velocity"][t]
        v, w = twist.twist.linear, twist.twist.angular
        assert [v.x, v.y, v.z, w.x, w.y, w.z] == observation.tool_velocity.tolist()
        wrench: Any = seen["/wrench"][t]
        f, m = wrench.wrench.force, wrench.wrench.torque
        assert [f.x, f.y, f.z, m.x, m.y, m.z] == observation.tool_wrench.tolist()
        gripper: Any = seen["/gripper"][t]
        assert list(gripper.position) == [observation.gripper, observation.gripper_target]


def test_filled_in_messages_equal_serialised_ones() -> None:
    """The naive twin: what rosbags gives for the message object is what the template gives."""
    spec = make_spec()
    topics = SensorTopics(spec)
    observation = make_observation(spec, np.random.default_rng(0), 12.25)
    for index, data in topics.encode(observation, EPOCH_NS + 5):
        topic = topics.topics[index]
        assert isinstance(topic, FixedMessage)
        message = typestore().deserialize_cdr(data, topic.msgtype)
        assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1_700_000_000, 5)
        assert bytes(typestore().serialize_cdr(message, topic.msgtype)) == data
