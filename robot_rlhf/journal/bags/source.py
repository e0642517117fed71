"""Opens a recorded bag (rosbag2 in SQLite or MCAP, or ROS 1) and gives its messages with the times that matter."""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from apsw import Error as SqliteError
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection
from rosbags.rosbag1 import ReaderError as BagError1
from rosbags.rosbag2 import ReaderError as BagError2

from robot_rlhf.errors import JournalError
from robot_rlhf.journal.sensors import typestore

_UNREADABLE = (
    *(AnyReaderError, BagError1, BagError2, SqliteError, struct.error, OSError, EOFError),
    *(ValueError, KeyError, TypeError, IndexError, AssertionError, RuntimeError),
)
"""What the reader raises for files that are no bags, or damaged ones: it checks little of what it is given."""
_MEND = "the recording may have been cut off: `ros2 bag reindex FOLDER`, or `mcap recover FILE`, mends that"


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
    """An open bag. Every error names the bag, and where it can the topic and the time."""

    def __init__(self, path: str | os.PathLike[str], files: Sequence[Path] = ()) -> None:
        """
        Args:
            path: a rosbag2 folder with metadata.yaml, or one .mcap, .db3 or ROS 1 .bag file.
            files: the files to read in its place, for a folder without that description.
        """
        self.path = Path(path)
        self._files = list(files) or [self.path]
        self._reader: AnyReader | None = None
        self._start = 0

    def __enter__(self) -> Bag:
        """Open it.

        Raises:
            JournalError: not there, not a bag, damaged, or empty.
        """
        if not self.path.exists():
            raise JournalError(f"{self.path}: no such bag; allowed: a rosbag2 folder, or a .mcap or .db3 file")
        if any(file.is_dir() and not (file / "metadata.yaml").is_file() for file in self._files):
            recordings = sorted(file.name for file in self.path.iterdir() if file.suffix in (".mcap", ".db3"))
            remedy = f"; name one of its files ({', '.join(recordings[:3])}), or mend it" if recordings else ""
            raise JournalError(f"{self.path}: not a rosbag2 folder: it has no metadata.yaml{remedy}")
        try:
            reader = AnyReader(self._files, default_typestore=typestore())
            reader.open()
        except _UNREADABLE as error:
            raise JournalError(f"{self.path}: not a bag that can be read ({_words(error)}); {_MEND}") from error
        self._reader = reader
        if not reader.message_count:
            reader.close()
            raise JournalError(f"{self.path}: an empty bag: it holds no message")
        self._start = reader.start_time
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    @property
    def topics(self) -> dict[str, str]:
        """Topic to message type, of every topic that has messages; sorted."""
        return {c.topic: c.msgtype for c in sorted(self._open.connections, key=lambda c: c.topic) if c.msgcount}

    @property
    def start(self) -> int:
        """When the first message was received, nanoseconds since 1970."""
        return self._start

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """The messages of these topics, in the order in which they were received.

        Raises:
            JournalError: the bag is damaged; names the topic, and the time up to which it could be read.
        """
        reader = self._open
        wanted: list[Connection] = [c for c in reader.connections if c.topic in topics]
        place = self._start
        if not wanted:
            return
        try:
            for connection, received, data in reader.messages(connections=wanted):
                place = received
                value: Any = reader.deserialize(data, connection.msgtype)
                header: Any = getattr(value, "header", None)
                stamp = 0 if header is None else header.stamp.sec * 1_000_000_000 + header.stamp.nanosec
                yield BagMessage(connection.topic, received, stamp, value)
        except _UNREADABLE as error:
            names = ", ".join(sorted({connection.topic for connection in wanted}))
            where = f"damaged at or after {self.moment(place)}, while reading {names}"
            raise JournalError(f"{self.path}: {where} ({_words(error)}); {_MEND}") from error

    def moment(self, received: int) -> str:
        """A time for people: seconds after the bag began."""
        return f"{(received - self._start) / 1e9:.3f} s"

    @property
    def _open(self) -> AnyReader:
        if self._reader is None:
            raise JournalError(f"{self.path}: the bag is not open")
        return self._reader


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
