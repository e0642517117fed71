"""`robot-rlhf ros recorder`: named topics into a rosbag2 (MCAP) of which a crash loses nothing that was written."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from mcap.records import Metadata

from robot_rlhf.apps.ros_host import joined, log_to_stderr, read_options, until_ended
from robot_rlhf.errors import ConfigError, JournalError
from robot_rlhf.journal.mcapfile import McapFile, message_record
from robot_rlhf_hardware.ros import wire
from robot_rlhf_hardware.ros.bus import Bus
from robot_rlhf_hardware.ros.nodes import RECORDER
from robot_rlhf_hardware.ros.topics import DEFAULT, FIXED_FRAMES, IMAGE, SENSOR, Topic

FILE = "bag_0.mcap"
QUEUE, IMAGE_QUEUE = 1000, 50
"""Messages of a topic that may wait while the disk is slow; a picture takes a megabyte or more."""
SYNC_EVERY = 1.0
"""Seconds: what the death of the machine may lose; that of the process loses nothing that arrived."""


class Recorder:
    """Writes each message as the bytes in which it came; unchunked, so that the file is whole at any moment."""

    def __init__(self, bus: Bus, folder: Path, topics: Sequence[str], *, reliable: bool) -> None:
        """Create the bag, which must not exist, and subscribe.

        Args:
            topics: entries NAME:TYPE.

        Raises:
            ConfigError: an entry that is none, an unknown type, or a folder that is there.
        """
        self._bus = bus
        self._folder = folder
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise ConfigError(f"parameter out {folder}: cannot be made ({error.strerror})") from error
        self._file = McapFile(folder / FILE)
        self._file.open("ros2", "robot_rlhf", Metadata(name="rosbag2", metadata={"ROS_DISTRO": "jazzy"}))
        self._topics = [_entry(text) for text in topics]
        self._counts = [0] * len(self._topics)
        self._sequence = 0
        self._first = self._last = 0
        self._channels = [
            self._file.add_channel(bus.resolved(name), "cdr", (kind, "ros2msg", _definition(kind)))
            for name, kind in self._topics
        ]
        self._file.append(self._file.definitions())
        self.describe()
        for number, (name, kind) in enumerate(self._topics):
            qos = replace(DEFAULT if reliable else SENSOR, depth=IMAGE_QUEUE if kind == IMAGE else QUEUE)
            if bus.resolved(name) == "/tf_static":  # every broadcaster of fixed frames keeps them for latecomers
                qos = FIXED_FRAMES
            bus.subscription(Topic(name, kind, "subscription", "", qos), self._writer(number), raw=True)

    def _writer(self, number: int) -> Any:
        return lambda data: self.write(number, data)

    def write(self, number: int, data: bytes) -> None:
        """Append a message of one of the topics, in its bytes.

        Raises:
            JournalError: the disk is full, or the file is gone; so does every later `sync`.
        """
        channel, now = self._channels[number], round(self._bus.now() * 1e9)
        self._file.append(message_record(channel, self._sequence, now, bytes(data)), {channel: 1}, now)
        self._sequence += 1
        self._counts[number] += 1
        self._first = self._first or now
        self._last = now

    @property
    def messages(self) -> int:
        """Written so far."""
        return sum(self._counts)

    def sync(self) -> None:
        """Have the disk hold everything, and metadata.yaml say so."""
        self._file.sync()
        self.describe()

    def close(self) -> None:
        """Write the summary of the file, and the last metadata.yaml."""
        self._file.close()
        self.describe()

    def describe(self) -> None:
        """Replace metadata.yaml, which `ros2 bag` reads.

        Raises:
            JournalError: the disk does not take it.
        """
        start = {"nanoseconds_since_epoch": self._first}
        duration = {"nanoseconds": self._last - self._first}
        topics = [
            {
                "topic_metadata": {
                    "name": self._bus.resolved(name),
                    "type": kind,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": [],
                    "type_description_hash": wire.type_hash(kind),
                },
                "message_count": count,
            }
            for (name, kind), count in zip(self._topics, self._counts, strict=True)
        ]
        said = {
            "version": 9,
            "storage_identifier": "mcap",
            "duration": duration,
            "starting_time": start,
            "message_count": self.messages,
            "topics_with_message_count": topics,
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [FILE],
            "files": [
                {"path": FILE, "starting_time": start, "duration": duration, "message_count": self.messages},
            ],
            "custom_data": None,
            "ros_distro": "jazzy",
        }
        target = self._folder / "metadata.yaml"
        scratch = target.with_suffix(".part")
        try:
            scratch.write_text(yaml.safe_dump({"rosbag2_bagfile_information": said}, sort_keys=False), encoding="utf-8")
            scratch.replace(target)
        except OSError as error:
            raise JournalError(f"{target}: cannot be written: {error.strerror}") from error


def _entry(text: str) -> tuple[str, str]:
    name, mark, kind = text.partition(":")
    if not mark or not name:
        raise ConfigError(f"parameter topics: got {text!r}, allowed: NAME:TYPE, such as joy:sensor_msgs/msg/Joy")
    if kind not in wire.typestore().fielddefs:
        raise ConfigError(f"parameter topics: {text!r}: type {kind!r} is not known, for example sensor_msgs/msg/Joy")
    return name, kind


def _definition(kind: str) -> bytes:
    return wire.typestore().generate_msgdef(kind, ros_version=2)[0].encode()


def run(argv: Sequence[str]) -> int:
    """Record until SIGINT or SIGTERM; returns the exit code."""
    options = read_options(RECORDER.executable, argv)
    log_to_stderr(options.log_level)
    with joined(options) as bus:
        values: dict[str, Any] = dict(bus.parameters(RECORDER.parameters))
        recorder = Recorder(bus, Path(values["out"]), values["topics"], reliable=values["reliable"])
        bus.log(logging.INFO, f"recording {len(values['topics'])} topics into {values['out']}")
        try:
            until_ended(bus, SYNC_EVERY, recorder.sync)
        except JournalError as error:
            bus.log(logging.ERROR, f"recording ends: {error}")
            raise
        finally:
            recorder.close()
    return 0
