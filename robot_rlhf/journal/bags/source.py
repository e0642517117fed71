"""Opens a recorded bag (rosbag2 in SQLite or MCAP, or ROS 1) and gives its messages with the times that matter."""

from __future__ import annotations

import heapq
import os
import sqlite3
import struct
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
import zstandard
from mcap.exceptions import McapError
from rosbags.rosbag1 import ReaderError
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_types_from_idl, get_types_from_msg, get_typestore

from robot_rlhf.errors import JournalError
from robot_rlhf.journal.bags.storages import DESCRIPTION, Channel, Storage, open_storages
from robot_rlhf.journal.sensors import typestore

_UNREADABLE = (
    *(McapError, ReaderError, SerdeError, TypesysError, sqlite3.Error, struct.error, yaml.YAMLError),
    *(zstandard.ZstdError, OSError, EOFError),
    *(ValueError, KeyError, TypeError, IndexError, AssertionError, RuntimeError),
)
"""What the readers raise for files that are no bags, or damaged ones: they check little of what they are given."""
_MEND = "the recording may have been cut off: `ros2 bag reindex FOLDER`, or `mcap recover FILE`, mends that"
_READABLE = ("cdr", "ros1")


@dataclass(frozen=True, slots=True)
class BagMessage:
    """One message, decoded."""

    topic: str
    received: int
    """When the recorder got it, nanoseconds since 1970."""
    stamp: int
    """When its header says that it was measured; 0 without a header, or with an empty one."""
    value: Any


class Bag:
    """An open bag. Every error names the bag, and where it can the topic and the time.

    Only messages that are asked for are decoded: what else is in the bag, in whatever form, does not matter.
    """

    def __init__(self, path: str | os.PathLike[str], files: Sequence[Path] = ()) -> None:
        """
        Args:
            path: a rosbag2 folder with metadata.yaml, or one .mcap, .db3 or ROS 1 .bag file.
            files: the files to read in its place, for a folder without that description.
        """
        self.path = Path(path)
        self._files = list(files) or [self.path]
        self._stack = ExitStack()
        self._storages: list[Storage] = []
        self._channels: dict[str, list[Channel]] = {}
        self._decoders: dict[Channel, Callable[[bytes], Any]] = {}
        self._start = 0

    def __enter__(self) -> Bag:
        """Open it.

        Raises:
            JournalError: not there, not a bag, damaged, or empty.
        """
        if not self.path.exists():
            raise JournalError(f"{self.path}: no such bag; allowed: a rosbag2 folder, or a .mcap or .db3 file")
        if any(file.is_dir() and not (file / DESCRIPTION).is_file() for file in self._files):
            recordings = sorted(file.name for file in self.path.iterdir() if file.suffix in (".mcap", ".db3"))
            remedy = f"; name one of its files ({', '.join(recordings[:3])}), or mend it" if recordings else ""
            raise JournalError(f"{self.path}: not a rosbag2 folder: it has no metadata.yaml{remedy}")
        with ExitStack() as stack:
            unpacked = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bag-")))
            try:
                self._storages = [storage for file in self._files for storage in open_storages(file, unpacked)]
            except _UNREADABLE as error:
                raise JournalError(f"{self.path}: not a bag that can be read ({_words(error)}); {_MEND}") from error
            for channel in (channel for storage in self._storages for channel in storage.channels if channel.count):
                self._channels.setdefault(channel.topic, []).append(channel)
            if not self._channels:
                raise JournalError(f"{self.path}: an empty bag: it holds no message")
            self._start = min(storage.start for storage in self._storages)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()
        self._storages = []

    @property
    def topics(self) -> dict[str, str]:
        """Topic to message type, of every topic that has messages which can be decoded; sorted."""
        return {t: c[0].kind for t, c in sorted(self._channels.items()) if not self._why_not(c)}

    @property
    def unreadable(self) -> Mapping[str, str]:
        """The other topics that have messages, and why those cannot be decoded; sorted."""
        return {t: why for t, channels in sorted(self._channels.items()) if (why := self._why_not(channels))}

    def kinds(self, topic: str) -> str:
        """The type of a topic's messages; all of them where there are several."""
        return ", ".join(dict.fromkeys(c.kind or c.encoding for c in self._channels[topic]))

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of messages by topic."""
        total: Counter[str] = Counter()
        for topic, channels in self._channels.items():
            total[topic] = sum(channel.count for channel in channels)
        return total

    @property
    def start(self) -> int:
        """When the first message was received, nanoseconds since 1970."""
        return self._start

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """The messages of these topics, in the order in which they were received.

        Raises:
            JournalError: the bag is damaged; names the topic, and the time up to which it could be read.
        """
        wanted = {channel for topic in topics for channel in self._channels.get(topic, ())}
        place = self._start
        if not wanted:
            return
        try:
            streams = [storage.messages(wanted) for storage in self._storages]
            for received, channel, data in heapq.merge(*streams, key=lambda raw: raw[0]):
                place = received
                value = self._decoded(channel, data)
                header: Any = getattr(value, "header", None)
                stamp = 0 if header is None else header.stamp.sec * 1_000_000_000 + header.stamp.nanosec
                yield BagMessage(channel.topic, received, stamp, value)
        except _UNREADABLE as error:
            names = ", ".join(sorted({channel.topic for channel in wanted}))
            where = f"damaged at or after {self.moment(place)}, while reading {names}"
            raise JournalError(f"{self.path}: {where} ({_words(error)}); {_MEND}") from error

    def first(self, topics: Collection[str]) -> dict[str, BagMessage]:
        """The first message of each of these topics, which all have some; reads no further than it must."""
        found: dict[str, BagMessage] = {}
        for message in self.messages(topics):
            found.setdefault(message.topic, message)
            if len(found) == len(set(topics)):
                break
        return found

    def moment(self, received: int) -> str:
        """A time for people: seconds after the bag began."""
        return f"{(received - self._start) / 1e9:.3f} s"

    def _decoded(self, channel: Channel, data: bytes) -> Any:
        decoder = self._decoders.get(channel)
        if decoder is None:
            decoder = self._decoders[channel] = _decoder(channel)
        return decoder(data)

    def _why_not(self, channels: Sequence[Channel]) -> str:
        """Why a topic's messages cannot be decoded; empty when they can."""
        kinds = dict.fromkeys(channel.kind for channel in channels)
        if len(kinds) > 1:
            return f"messages of {len(kinds)} types, {', '.join(kinds)}"
        foreign = next((c.encoding for c in channels if c.encoding not in _READABLE), None)
        return "" if foreign is None else f"encoded as {foreign or 'nothing told'}, not as ROS messages"


def _decoder(channel: Channel) -> Callable[[bytes], Any]:
    """From bytes to messages of a channel, by its own definition where the bag has it."""
    if channel.language:
        types = get_typestore(Stores.EMPTY)
        types.register(_definitions(channel))
    else:
        types = typestore()
        if channel.kind not in types.types:
            raise ValueError(f"the bag does not say what {channel.kind} is")
    decode: Callable[..., Any] = types.deserialize_ros1 if channel.encoding == "ros1" else types.deserialize_cdr
    return lambda data: decode(data, channel.kind)


def _definitions(channel: Channel) -> Any:
    if channel.language == "ros2msg":
        return get_types_from_msg(channel.definition, channel.kind)
    found: Any = {}
    for part in channel.definition.split("=" * 80 + "\n"):
        first, _, rest = part.partition("\n")
        found |= get_types_from_idl(rest if first.startswith("IDL: ") else part) if part.strip() else {}
    return found


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
