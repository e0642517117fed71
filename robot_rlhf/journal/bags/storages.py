"""The files of a bag: what channels each has, and their messages as bytes. Nothing is decoded here."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml
import zstandard
from mcap.reader import make_reader
from mcap.records import Channel as McapChannel
from mcap.records import Schema
from rosbags.rosbag1 import Reader as Reader1

MCAP_MAGIC = b"\x89MCAP0\r\n"
SQLITE_MAGIC = b"SQLite format 3\x00"
BAG_MAGIC = b"#ROSBAG V2.0"
DESCRIPTION = "metadata.yaml"


@dataclass(frozen=True)
class Channel:
    """What a file says about one topic of one type."""

    topic: str
    kind: str
    """Message type, for example sensor_msgs/msg/JointState."""
    encoding: str
    """cdr for ROS 2, ros1, or whatever else."""
    language: str
    """ros2msg or ros2idl, in which `definition` is written; empty without one."""
    definition: str
    count: int
    """Number of messages."""


Raw = tuple[int, Channel, bytes]
"""When it was received (nanoseconds since 1970), of which channel, and the message."""


class Storage(Protocol):
    """One file."""

    channels: Sequence[Channel]
    start: int
    """When its first message was received; the largest of numbers without one."""

    def messages(self, wanted: Collection[Channel]) -> Iterator[Raw]:
        """The messages of these channels in the order of receiving."""
        ...


class McapStorage:
    """An MCAP file, whatever is in it beside ROS messages."""

    def __init__(self, path: Path, *, compressed: bool) -> None:
        """Args: compressed: each message by itself, as rosbag2 can."""
        self._path = path
        self._compressed = compressed
        self._by_id: dict[int, Channel] = {}
        with path.open("rb") as file:
            summary = make_reader(file).get_summary()
        self._indexed = summary is not None and bool(summary.chunk_indexes)
        statistics = None if summary is None else summary.statistics
        if summary is None or statistics is None:
            self.start = self._scan()
        else:
            counts = statistics.channel_message_counts
            for number, channel in summary.channels.items():
                schema = summary.schemas.get(channel.schema_id)
                self._by_id[number] = _mcap_channel(channel, schema, counts.get(number, 0))
            self.start = statistics.message_start_time if statistics.message_count else _NEVER
        self.channels: Sequence[Channel] = [*self._by_id.values()]

    def messages(self, wanted: Collection[Channel]) -> Iterator[Raw]:
        numbers = {number for number, channel in self._by_id.items() if channel in wanted}
        topics = {self._by_id[number].topic for number in numbers}
        before = 0
        with self._path.open("rb") as file:
            # Without an index the library would hold every message at once to bring them into order.
            reader = make_reader(file, validate_crcs=True)
            for _, told, message in reader.iter_messages(topics, log_time_order=self._indexed):
                if told.id not in numbers:
                    continue
                if message.log_time < before:
                    raise ValueError("messages are not in the order of their times, and there is no index")
                before = message.log_time
                data = _plain(message.data) if self._compressed else message.data
                yield message.log_time, self._by_id[told.id], data

    def _scan(self) -> int:
        """Count what is there, in a file that does not say; returns its start."""
        start, counts, found = _NEVER, dict[int, int](), dict[int, tuple[McapChannel, Schema | None]]()
        with self._path.open("rb") as file:
            for schema, channel, message in make_reader(file).iter_messages(log_time_order=False):
                found[channel.id] = (channel, schema)
                counts[channel.id] = counts.get(channel.id, 0) + 1
                start = min(start, message.log_time)
        self._by_id = {n: _mcap_channel(channel, schema, counts[n]) for n, (channel, schema) in found.items()}
        return start


def _mcap_channel(channel: McapChannel, schema: Schema | None, count: int) -> Channel:
    is_text = schema is not None and schema.encoding in ("ros2msg", "ros2idl")
    return Channel(
        topic=channel.topic,
        kind="" if schema is None else schema.name,
        encoding=channel.message_encoding,
        language=schema.encoding if schema is not None and is_text else "",
        definition=schema.data.decode() if schema is not None and is_text else "",
        count=count,
    )


class SqliteStorage:
    """A .db3 file, of any version of rosbag2."""

    def __init__(self, path: Path, *, compressed: bool) -> None:
        self._path = path
        self._compressed = compressed
        self._by_id: dict[int, Channel] = {}
        with closing(self._opened()) as database:
            texts = dict[str, tuple[str, str]]()
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "message_definitions" in tables:
                query = "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
                texts = {kind: (language, text) for kind, language, text in database.execute(query)}
            query = (
                "SELECT topics.id, name, type, serialization_format, count(messages.id) FROM topics "
                "LEFT JOIN messages ON topics.id = messages.topic_id GROUP BY topics.id ORDER BY topics.id"
            )
            for number, topic, kind, encoding, count in database.execute(query):
                language, text = texts.get(kind, ("", ""))
                known = language in ("ros2msg", "ros2idl")
                told = (language, text) if known else ("", "")
                self._by_id[number] = Channel(topic, kind, encoding, *told, count)
            (start,) = database.execute("SELECT min(timestamp) FROM messages").fetchone()
        self.start = _NEVER if start is None else int(start)
        self.channels: Sequence[Channel] = [*self._by_id.values()]

    def messages(self, wanted: Collection[Channel]) -> Iterator[Raw]:
        numbers = [number for number, channel in self._by_id.items() if channel in wanted]
        if not numbers:
            return
        query = (
            f"SELECT topic_id, timestamp, data FROM messages WHERE topic_id IN ({', '.join('?' * len(numbers))}) "
            "ORDER BY timestamp, id"
        )
        with closing(self._opened()) as database:
            for number, received, data in database.execute(query, numbers):
                yield received, self._by_id[number], _plain(data) if self._compressed else data

    def _opened(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)


class Ros1Storage:
    """A .bag file of ROS 1."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with Reader1(path) as reader:
            self.channels: Sequence[Channel] = [self._channel(connection) for connection in reader.connections]
            self.start = reader.start_time if reader.message_count else _NEVER

    def messages(self, wanted: Collection[Channel]) -> Iterator[Raw]:
        with Reader1(self._path) as reader:
            connections = [c for c in reader.connections if self._channel(c) in wanted]
            if not connections:
                return
            for connection, received, data in reader.messages(connections):
                yield received, self._channel(connection), data

    def _channel(self, connection: Any) -> Channel:
        text = connection.msgdef.data
        return Channel(connection.topic, connection.msgtype, "ros1", "ros2msg", text, connection.msgcount)


_NEVER = 2**63 - 1


def _plain(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


def open_storages(path: Path, unpacked: Path) -> list[Storage]:
    """The files of a bag: by what they hold, whatever its description says of them.

    Args:
        path: a folder with a description, or one file.
        unpacked: where files go that are compressed as a whole.

    Raises:
        ValueError: a file is no bag, in words. OSError, and what the libraries raise for damaged files.
    """
    if not path.is_dir():
        return [_storage(path, compressed=False)]
    told = yaml.safe_load((path / DESCRIPTION).read_text(encoding="utf-8"))
    information: dict[str, Any] = told["rosbag2_bagfile_information"]
    names = [Path(name).name for name in information["relative_file_paths"]]
    mode = str(information.get("compression_mode") or "").lower()
    form = str(information.get("compression_format") or "")
    if mode in ("file", "message") and form != "zstd":
        raise ValueError(f"{DESCRIPTION}: compression_format {form!r}; allowed: zstd")
    files = [path / name for name in names]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise ValueError(f"{DESCRIPTION} names files that are not there: {', '.join(missing)}")
    if mode == "file":
        files = [_unpacked(file, unpacked) for file in files]
    return [_storage(file, compressed=mode == "message") for file in files]


def _storage(path: Path, *, compressed: bool) -> Storage:
    with path.open("rb") as file:
        begin = file.read(16)
    if begin.startswith(MCAP_MAGIC):
        return McapStorage(path, compressed=compressed)
    if begin.startswith(SQLITE_MAGIC):
        return SqliteStorage(path, compressed=compressed)
    if begin.startswith(BAG_MAGIC):
        return Ros1Storage(path)
    raise ValueError(f"{path.name} begins neither as MCAP, nor as SQLite, nor as a ROS 1 bag")


def _unpacked(file: Path, folder: Path) -> Path:
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as target, file.open("rb") as packed:
        zstandard.ZstdDecompressor().copy_stream(packed, target)
    return Path(target.name)
