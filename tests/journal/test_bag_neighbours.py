"""What else is in a bag does not matter; and what is slightly odd in it is read for what it is."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import yaml
import zstandard
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as BagWriter

from robot_rlhf.errors import JournalError
from robot_rlhf.journal.bags.encodings import picture_of
from robot_rlhf.journal.bags.importing import plan_bag
from robot_rlhf.journal.bags.source import Bag
from robot_rlhf.journal.bags.topics import BagTopics
from tests.journal.teleop_bags import (
    JOINTS,
    START,
    STORE,
    Drive,
    Message,
    compressed,
    image,
    joint_state,
    number,
    transforms,
    write_bag,
)
from tests.journal.test_bag_import import SETTINGS, imported, reading, run
from tests.journal.test_bag_trouble import instead, refused

DRIVE = Drive(driven=((0.3, 1.8),), closes={0.0: 1.0})


# -- channels of other kinds -----------------------------------------------------------------------------------------


def with_foreign_channels(bag: Path, target: Path, *, chunks: bool, index: bool) -> Path:
    """The messages of a bag in one MCAP file, between JSON, protobuf and a service's events of an unknown type."""
    (file,) = bag.glob("*.mcap")
    compression = CompressionType.ZSTD if chunks else CompressionType.NONE
    with file.open("rb") as source, target.open("wb") as sink:
        writer = Writer(
            sink, compression=compression, use_chunking=chunks, use_statistics=index, use_summary_offsets=index
        )
        writer.start("ros2", "somebody")
        schemas: dict[int, int] = {}
        channels: dict[int, int] = {}
        foreign = [
            writer.register_channel(topic, encoding, writer.register_schema(name, language, data))
            for topic, encoding, name, language, data in (
                ("/foxglove/log", "json", "Log", "jsonschema", b"{}"),
                ("/detections", "protobuf", "Detections", "protobuf", b"\x0a\x00\xff"),
                ("/add/_service_event", "cdr", "pkg/srv/Add_Event", "ros2msg", b"pkg/Missing[] request"),
            )
        ]
        for schema, channel, message in make_reader(source).iter_messages():
            assert schema is not None
            if schema.id not in schemas:
                schemas[schema.id] = writer.register_schema(schema.name, schema.encoding, schema.data)
            if channel.id not in channels:
                number_ = writer.register_channel(channel.topic, channel.message_encoding, schemas[schema.id])
                channels[channel.id] = number_
            writer.add_message(channels[channel.id], message.log_time, message.data, message.log_time)
            for other in foreign:
                writer.add_message(other, message.log_time, b"\x00\xff not for us", message.log_time)
        writer.finish()
    return target


@pytest.mark.parametrize(("chunks", "index"), [(True, True), (False, True), (True, False), (False, False)])
def test_channels_of_other_kinds_do_not_matter(tmp_path: Path, chunks: bool, index: bool) -> None:
    plain = write_bag(tmp_path / "plain", DRIVE.messages())
    mixed = with_foreign_channels(plain, tmp_path / "mixed.mcap", chunks=chunks, index=index)
    plan = plan_bag(mixed, SETTINGS, robot=None)
    assert plan.left_out == {
        "/add/_service_event": ("pkg/srv/Add_Event", "not asked for"),
        "/detections": ("Detections", "encoded as protobuf, not as ROS messages"),
        "/foxglove/log": ("Log", "encoded as json, not as ROS messages"),
    }
    _, (ours,) = run(mixed, tmp_path / "mixed")
    _, (expected,) = run(plain, tmp_path / "expected")
    assert np.array_equal(ours.executed, expected.executed)
    words = r"topic /detections \(wrench\) cannot be read: encoded as protobuf"
    with pytest.raises(JournalError, match=words):
        plan_bag(mixed, reading(topics=BagTopics(wrench="/detections")), robot=None)


def test_service_events_in_a_database(tmp_path: Path) -> None:
    """rosbag2 writes 'unknown' for a definition that it did not find."""
    bag = write_bag(tmp_path / "bag", DRIVE.messages(), "sqlite3")
    (file,) = bag.glob("*.db3")
    database = sqlite3.connect(file)
    (topic,) = database.execute("SELECT max(id) + 1 FROM topics").fetchone()
    (definition,) = database.execute("SELECT max(id) + 1 FROM message_definitions").fetchone()
    kind, event = "pkg/srv/Add_Event", "/add/_service_event"
    columns = "(id, name, type, serialization_format, offered_qos_profiles, type_description_hash)"
    database.execute(f"INSERT INTO topics {columns} VALUES (?, ?, ?, 'cdr', '', '')", (topic, event, kind))
    columns = "(id, topic_type, encoding, encoded_message_definition, type_description_hash)"
    database.execute(f"INSERT INTO message_definitions {columns} VALUES (?, ?, 'unknown', '', '')", (definition, kind))
    values = (topic, START + 5, b"\x00\x01")
    database.execute("INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)", values)
    database.commit()
    database.close()
    plan = plan_bag(bag, SETTINGS, robot=None)
    assert plan.left_out == {event: (kind, "not asked for")}
    assert plan.steps == 30


def test_one_topic_with_two_types(tmp_path: Path) -> None:
    """It matters only to whoever asks for it."""
    numbers = [number("/state", kind, i / 10, 1) for i in range(10) for kind in ("Float32", "Int32")]
    bag = write_twice(tmp_path / "bag", DRIVE.messages(), numbers)
    why = "messages of 2 types, std_msgs/msg/Float32, std_msgs/msg/Int32"
    plan = plan_bag(bag, SETTINGS, robot=None)
    assert plan.left_out == {"/state": ("std_msgs/msg/Float32, std_msgs/msg/Int32", why)}
    said = refused(tmp_path, bag, reading(topics=BagTopics(gripper_command="/state")))
    assert f"topic /state (gripper_command) cannot be read: {why}" in said


def write_twice(folder: Path, messages: list[Message], twofold: list[Message]) -> Path:
    """A bag in which topics of a name have a connection per type."""
    connections: dict[tuple[str, str], Any] = {}
    with BagWriter(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, kind, seconds, message in sorted([*messages, *twofold], key=lambda m: m[2]):
            if (topic, kind) not in connections:
                connections[topic, kind] = writer.add_connection(topic, kind, typestore=STORE)
            data = STORE.serialize_cdr(message, kind)
            writer.write(connections[topic, kind], START + round(seconds * 1e9), data)
    return folder


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("identifier", ["", "sqlite3", "mcap", "my_plugin"])
def test_a_storage_that_is_not_named_or_misnamed(
    tmp_path: Path, storage: Literal["mcap", "sqlite3"], identifier: str
) -> None:
    bag = write_bag(tmp_path / "bag", DRIVE.messages(), storage)
    description = yaml.safe_load((bag / "metadata.yaml").read_text())
    description["rosbag2_bagfile_information"]["storage_identifier"] = identifier
    (bag / "metadata.yaml").write_text(yaml.safe_dump(description))
    assert plan_bag(bag, SETTINGS, robot=None).steps == 30


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(relative_file_paths=["other.mcap"]), "names files that are not there: other.mcap"),
        (lambda d: d.update(compression_mode="MESSAGE", compression_format="lz4"), "compression_format 'lz4'; allowed"),
        (lambda d: d.pop("relative_file_paths"), "not a bag that can be read"),
    ],
)
def test_a_description_that_is_wrong(tmp_path: Path, change: Callable[[Any], Any], words: str) -> None:
    bag = write_bag(tmp_path / "bag", DRIVE.messages())
    description = yaml.safe_load((bag / "metadata.yaml").read_text())
    change(description["rosbag2_bagfile_information"])
    (bag / "metadata.yaml").write_text(yaml.safe_dump(description))
    assert words in refused(tmp_path, bag)


def test_a_description_that_is_not_utf_8(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", DRIVE.messages())
    text = (bag / "metadata.yaml").read_bytes()
    (bag / "metadata.yaml").write_bytes(text + b"# caf\xe9\n")
    assert "not a bag that can be read" in refused(tmp_path, bag)


def test_files_that_are_compressed_as_a_whole(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", DRIVE.messages())
    (file,) = bag.glob("*.mcap")
    packed = zstandard.ZstdCompressor().compress(file.read_bytes())
    file.unlink()
    file.with_suffix(".mcap.zstd").write_bytes(packed)
    description = yaml.safe_load((bag / "metadata.yaml").read_text())
    information = description["rosbag2_bagfile_information"]
    information |= {
        "compression_mode": "FILE",
        "compression_format": "zstd",
        "relative_file_paths": [f"{file.name}.zstd"],
    }
    (bag / "metadata.yaml").write_text(yaml.safe_dump(description))
    assert plan_bag(bag, SETTINGS, robot=None).steps == 30


# -- what is slightly odd --------------------------------------------------------------------------------------------


def test_velocities_that_are_not_told(tmp_path: Path) -> None:
    """joint_state_broadcaster writes NaN for what a joint lacks: positions suffice, joint by joint."""
    messages = [m for m in DRIVE.messages() if m[0] != "/joint_states"]
    for i in range(230):
        p, v = DRIVE.joints(i / 100)
        names = ("finger", *JOINTS)
        told = [math.nan, v[0], math.nan, v[2] if i % 2 else math.nan]
        messages.append(joint_state(i / 100, names, [0.04, *p], told))
    (episode,) = imported(tmp_path, messages)
    found = episode.observations["joint_velocity"]
    times = [0.3 + 0.05 * t for t in range(len(episode) + 1)]
    assert np.isfinite(found).all()
    assert np.allclose(found[:, 0], [DRIVE.joints(t)[1][0] for t in times], atol=1e-6)
    expected = [DRIVE.joints(t - 0.025)[1][1] for t in times]
    assert np.allclose(found[1:, 1], expected[1:], atol=1e-3)
    assert np.allclose(found[:, 2], [DRIVE.joints(t)[1][2] for t in times], atol=0.02)


def back(seconds: float) -> Callable[[Any], None]:
    def change(message: Any) -> None:
        stamp = message.header.stamp
        ns = stamp.sec * 10**9 + stamp.nanosec - round(seconds * 1e9)
        stamp.sec, stamp.nanosec = ns // 10**9, ns % 10**9

    return change


@pytest.mark.parametrize("clock", ["received", "stamp"])
def test_a_header_that_is_slightly_out_of_order_is_told(tmp_path: Path, clock: Literal["received", "stamp"]) -> None:
    messages = [m for m in DRIVE.messages() if m[0] != "/recording"]
    messages += [image("/front/image_raw", i / 30, DRIVE.picture(i / 30)) for i in range(int(DRIVE.end * 30))]
    changed = instead("/joint_states", 0.6, back(0.015))(messages)
    changed = instead("/front/image_raw", 0.6, back(0.040))(changed)
    bag = write_bag(tmp_path / "bag", changed)
    settings = reading(clock=clock)
    rows = {row.role: row.holds for row in plan_bag(bag, settings, robot=None).rows}
    assert "1 of 229 headers up to 0.005 s out of order" in rows["joint_states"]
    assert "1 of 69 headers up to 0.007 s out of order" in rows["camera front"]
    _, (episode,) = run(bag, tmp_path / "out", settings)
    times = [0.3 + 0.05 * t for t in range(len(episode) + 1)]
    assert np.allclose(episode.observations["joint_position"], [DRIVE.joints(t)[0] for t in times], atol=0.01)


def test_two_publishers_whose_headers_interleave(tmp_path: Path) -> None:
    messages = DRIVE.messages()
    for topic, _, _, message in messages[1::4]:
        if topic == "/current_pose":
            back(0.015)(message)
    late = [m for m in messages if m[0] == "/current_pose"][::3]
    for _, _, _, message in late:
        back(0.015)(message)
    said = refused(tmp_path, write_bag(tmp_path / "bag", messages))
    assert "headers up to" in said
    assert "two publishers on one topic" in said


def test_frames_between_which_nothing_is_asked_do_not_matter(tmp_path: Path) -> None:
    messages = [m for m in DRIVE.messages() if m[0] != "/current_pose"]
    messages = [(t, k, s, framed(m) if t == "/target_pose" else m) for t, k, s, m in messages]
    for i in range(230):
        links = [("base_link", "tool0", DRIVE.measured(i / 100))]
        links.append((("map", "odom")[i % 2], "marker", [0, 0, 0, 1, 0, 0, 0]))
        links.append(("map", "broken", [math.nan, 0, 0, 0, 0, 0, 0]))
        messages.append(transforms("/tf", i / 100, links))
    (episode,) = imported(tmp_path, messages)
    times = [0.3 + 0.05 * t for t in range(len(episode) + 1)]
    expected = [DRIVE.measured(t) for t in times]
    assert np.allclose(episode.observations["tool_pose_in_base"], expected, atol=1e-6)


def framed(message: Any) -> Any:
    message.header.frame_id = "base_link"
    return message


def test_depth_and_mono16_are_left_out_by_name(tmp_path: Path) -> None:
    moments = [i / 30 for i in range(int(DRIVE.end * 30))]
    messages = DRIVE.messages()
    messages += [image("/front/image_raw", t, DRIVE.picture(t)) for t in moments]
    messages += [image("/range/image_raw", t, DRIVE.picture(t), "16UC1") for t in moments]
    messages += [image("/grey/image_raw", t, DRIVE.picture(t), "mono16") for t in moments]
    messages += [compressed("/camera/depth/image/compressed", t, DRIVE.picture(t)) for t in moments]
    bag = write_bag(tmp_path / "bag", messages)
    left = {topic: why for topic, (_, why) in plan_bag(bag, SETTINGS, robot=None).left_out.items()}
    assert left["/range/image_raw"].startswith("encoding '16UC1' is depth; allowed: rgb8, bgr8")
    assert left["/camera/depth/image/compressed"] == "depth, by its name"
    assert "does not tell how many of its bits are used: --reading.mono16-bits" in left["/grey/image_raw"]
    asked = reading(topics=BagTopics(cameras={"grey": "/grey/image_raw"}), mono16_bits=12)
    _, (episode,) = run(bag, tmp_path / "out", asked)
    level = np.array([math.floor(30 * (0.3 + 0.05 * t) + 0.03) % 256 for t in range(len(episode) + 1)])
    grey = episode.observations["images/grey"][:, 3, 3]
    assert np.abs(grey.astype(int) - np.round(level * 16 * 255 / 4095)[:, None]).max() <= 1


# -- encodings -------------------------------------------------------------------------------------------------------


def message_of(pixels: np.ndarray, encoding: str, width: int, *, big: bool = False, padding: int = 0) -> Any:
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(len(pixels), -1)
    rows = np.concatenate([rows, np.full((len(rows), padding), 200, np.uint8)], axis=1)
    return SimpleNamespace(
        height=len(rows),
        width=width,
        encoding=encoding,
        step=rows.shape[1],
        data=rows.reshape(-1),
        is_bigendian=int(big),
    )


COLOUR = np.array([200, 120, 40], np.uint8)
"""Red, green, blue."""


@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"])
@pytest.mark.parametrize("padding", [0, 6])
def test_yuv(encoding: str, padding: int) -> None:
    """One colour by the equations of BT.601, studio range, in either order of the bytes."""
    red, green, blue = (float(v) for v in COLOUR)
    y = 16 + 0.257 * red + 0.504 * green + 0.098 * blue
    u = 128 - 0.148 * red - 0.291 * green + 0.439 * blue
    v = 128 + 0.439 * red - 0.368 * green - 0.071 * blue
    order = (u, y, v, y) if encoding in ("yuv422", "uyvy") else (y, u, y, v)
    pixels = np.tile(np.round(order).astype(np.uint8), (4, 3))
    picture = picture_of(message_of(pixels, encoding, 6, padding=padding))
    assert picture.shape == (4, 6, 3)
    assert np.abs(picture.astype(int) - COLOUR).max() <= 3
    with pytest.raises(ValueError, match=r"5 pixels in a row of .*; allowed: an even number"):
        picture_of(message_of(np.zeros((4, 10), np.uint8), encoding, 5))


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer(pattern: str) -> None:
    """One colour through the mosaic that the encoding names: first row's two pixels, then the second's."""
    level = {"r": COLOUR[0], "g": COLOUR[1], "b": COLOUR[2]}
    tile = np.array([[level[pattern[0]], level[pattern[1]]], [level[pattern[2]], level[pattern[3]]]], np.uint8)
    picture = picture_of(message_of(np.tile(tile, (5, 6)), f"bayer_{pattern}8", 12))
    assert np.abs(picture[2:-2, 2:-2].astype(int) - COLOUR).max() <= 1


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_mono16(bits: int, big: bool) -> None:
    levels = np.array([[0, (2**bits - 1) // 2, 2**bits - 1, min(2**bits, 65535)]]).astype(">u2" if big else "<u2")
    picture = picture_of(message_of(levels, "mono16", 4, big=big), bits)
    assert picture[0, :, 0].tolist() == [0, 127, 255, 255]
    assert (picture == picture[..., :1]).all()


def test_eight_bits_of_four_channels() -> None:
    pixels = np.concatenate([np.tile(COLOUR[::-1], (3, 4, 1)), np.full((3, 4, 1), 9, np.uint8)], axis=2)
    for encoding in ("bgra8", "8UC4"):
        assert (picture_of(message_of(pixels, encoding, 4)) == COLOUR).all()


def test_what_is_no_picture() -> None:
    for message, words in (
        (SimpleNamespace(encoding="32FC1"), "encoding '32FC1' is depth; allowed: "),
        (SimpleNamespace(encoding="nv21"), "encoding 'nv21'; allowed: rgb8"),
        (SimpleNamespace(format="16UC1; compressedDepth png", data=b""), "is depth; allowed"),
        (SimpleNamespace(format="jpeg", data=b"12"), "2 bytes of format 'jpeg' that are no picture"),
        (message_of(np.zeros((2, 3), np.uint8), "rgb8", 4), "6 bytes in rows of 3 for 2 x 4 pixels of rgb8"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            picture_of(message)


def test_counts_and_kinds(tmp_path: Path) -> None:
    with Bag(write_bag(tmp_path / "bag", [*DRIVE.messages(), number("/x", "Bool", 0.1, True)])) as bag:
        assert (bag.counts["/x"], bag.kinds("/x")) == (1, "std_msgs/msg/Bool")
        assert {topic: message.topic for topic, message in bag.first(["/x", "/joint_states"]).items()} == {
            "/x": "/x",
            "/joint_states": "/joint_states",
        }
