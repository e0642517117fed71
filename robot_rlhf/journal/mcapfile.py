"""An MCAP file that is only ever appended to, one block of whole records per system call.

Unchunked and unbuffered: what `append` has returned from is in the operating system and survives the death of the
process; what `sync` has returned from survives the death of the machine.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import Channel, DataEnd, Footer, Header, McapRecord, Metadata, Schema, Statistics, SummaryOffset
from mcap.writer import MCAP0_MAGIC

from robot_rlhf.errors import JournalError
from robot_rlhf.journal.seal import MAX_BLOCK, Seal

_MESSAGE = struct.Struct("<BQHIQQ")
_MESSAGE_FIELDS = 22
"""Bytes of a message record between its length and its data."""


def message_record(channel: int, sequence: int, time_ns: int, data: bytes) -> bytes:
    """One MCAP message record."""
    head = _MESSAGE.pack(Opcode.MESSAGE, _MESSAGE_FIELDS + len(data), channel, sequence, time_ns, time_ns)
    return head + data


def serialized(*records: McapRecord) -> bytes:
    builder = RecordBuilder()
    for record in records:
        record.write(builder)
    return builder.end()


class _Written(NamedTuple):
    """One write."""

    data: bytes
    crc: int
    """Of the file with it."""
    messages: Mapping[int, int]
    """By channel."""
    time_ns: int


class McapFile:
    """An open MCAP file with its running statistics."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1
        self._sums = (0, 0)
        """Bytes of the file that are counted, and their CRC-32."""
        self._writing: _Written | None = None
        """Begun and not counted."""
        self._failure: JournalError | None = None
        self._schemas: list[Schema] = []
        self._channels: list[Channel] = []
        self._metadata_count = 0
        self._counts: dict[int, int] = {}
        self._first_ns: int | None = None
        self._last_ns = 0

    @property
    def closed(self) -> bool:
        return self._descriptor < 0

    def open(self, profile: str, library: str, metadata: Metadata) -> None:
        """Create the file, which must not exist, and write its header.

        Raises:
            JournalError: the file cannot be created or written.
        """
        try:
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise JournalError(f"{self.path}: cannot create the journal file: {error.strerror}") from error
        self._metadata_count = 1
        try:
            self.append(MCAP0_MAGIC + serialized(Header(profile, library), metadata))
        except JournalError:
            os.close(self._descriptor)
            self._descriptor = -1
            raise

    def add_channel(self, topic: str, encoding: str, schema: tuple[str, str, bytes]) -> int:
        """Register a topic; returns its channel id. The records are part of the next block: see `definitions`.

        Args:
            topic: name of the topic.
            encoding: of its messages, 'cdr' or 'json'.
            schema: name, encoding and text of its schema; an equal one is shared.
        """
        name, schema_encoding, text = schema
        known = next((s for s in self._schemas if s.name == name), None)
        if known is None:
            known = Schema(id=len(self._schemas) + 1, name=name, encoding=schema_encoding, data=text)
            self._schemas.append(known)
        channel = Channel(
            id=len(self._channels) + 1, topic=topic, message_encoding=encoding, metadata={}, schema_id=known.id
        )
        self._channels.append(channel)
        self._counts[channel.id] = 0
        return channel.id

    def definitions(self) -> bytes:
        """The records of all schemas and channels, to be appended before the first message."""
        return serialized(*self._schemas, *self._channels)

    def append(self, block: bytes, messages: Mapping[int, int] | None = None, time_ns: int = 0) -> None:
        """Write whole records; when it returns they are in the operating system.

        Args:
            block: the records.
            messages: for the statistics, how many messages of each channel the block holds.
            time_ns: their time.

        Raises:
            JournalError: the disk is full, or the file is gone. The file is cut back to its last whole block, and
                every later call raises the same error.
        """
        self.check_open()
        if self._writing is not None:
            self._settle(self._writing)
        data, crc = self._finished(block)
        self._write(_Written(data, crc, messages or {}, time_ns))

    def _finished(self, block: bytes) -> tuple[bytes, int]:
        """What is written for a block, and the checksum of the file with it."""
        return block, zlib.crc32(block, self._crc)

    def check_open(self) -> None:
        """Raises JournalError when an `append` before has failed, or the file is closed."""
        if self._failure is not None:
            raise self._failure
        if self.closed:
            raise JournalError(f"{self.path}: the journal is closed")

    def _settle(self, written: _Written) -> None:
        """Count the last write where Ctrl-C kept it from being counted, or take away what it left of one."""
        self._writing = None
        try:
            if os.lseek(self._descriptor, 0, os.SEEK_CUR) == self._size + len(written.data):
                self._count(written)
            else:
                self._cut_back()
        except OSError as error:
            raise JournalError(f"{self.path}: cannot append to the journal: {error.strerror}") from error

    def _cut_back(self) -> None:
        os.ftruncate(self._descriptor, self._size)
        os.lseek(self._descriptor, self._size, os.SEEK_SET)

    def _write(self, written: _Written) -> None:
        self._writing = written
        try:
            done = os.write(self._descriptor, written.data)
            while done < len(written.data):
                done += os.write(self._descriptor, memoryview(written.data)[done:])
        except OSError as error:
            # What is behind the last whole block is of use to nobody; the error itself is what counts.
            with suppress(OSError):
                self._cut_back()
            self._writing = None
            self._failure = JournalError(
                f"{self.path}: cannot append to the journal: {error.strerror}; "
                f"the {self._size} bytes recorded before stay readable"
            )
            raise self._failure from error
        self._count(written)
        self._writing = None

    def _count(self, written: _Written) -> None:
        self._sums = (self._size + len(written.data), written.crc)  # both at once: Ctrl-C falls before or behind it
        if written.messages:
            self._first_ns = written.time_ns if self._first_ns is None else min(self._first_ns, written.time_ns)
            self._last_ns = max(self._last_ns, written.time_ns)
            for channel, count in written.messages.items():
                self._counts[channel] = self._counts.get(channel, 0) + count

    @property
    def _size(self) -> int:
        return self._sums[0]

    @property
    def _crc(self) -> int:
        return self._sums[1]

    def sync(self) -> None:
        """Have the disk hold everything appended so far. Callable from another thread.

        Raises:
            JournalError: the disk does not take it, or an `append` before has failed.
        """
        if self._failure is not None:
            raise self._failure
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            raise JournalError(f"{self.path}: cannot sync the journal to disk: {error.strerror}") from error

    def close(self) -> None:
        """Write the summary that random-access readers want, sync and close. Idempotent.

        Raises:
            JournalError: the summary could not be written; everything before it stays readable.
        """
        if self.closed:
            return
        try:
            if self._failure is None:
                if self._writing is not None:
                    self._settle(self._writing)
                summary = self._summary()
                self._write(_Written(summary, 0, {}, 0))
                self.sync()
        finally:
            os.close(self._descriptor)
            self._descriptor = -1

    def _summary(self) -> bytes:
        end = serialized(DataEnd(self._crc))
        start = self._size + len(end)
        # JSON channels are left out: rosbag tools list topics from here and know ROS schemas only. Readers that
        # know JSON read unchunked files from the front, where every channel is.
        listed = [c for c in self._channels if c.message_encoding == "cdr"]
        used = {c.schema_id for c in listed}
        statistics = Statistics(
            attachment_count=0,
            channel_count=len(self._channels),
            channel_message_counts=self._counts,
            chunk_count=0,
            message_count=sum(self._counts.values()),
            message_start_time=self._first_ns or 0,
            message_end_time=self._last_ns,
            metadata_count=self._metadata_count,
            schema_count=len(self._schemas),
        )
        groups = (
            (Opcode.SCHEMA, serialized(*(s for s in self._schemas if s.id in used))),
            (Opcode.CHANNEL, serialized(*listed)),
            (Opcode.STATISTICS, serialized(statistics)),
        )
        summary = b"".join(group for _, group in groups)
        offset_start = start + len(summary)
        position = start
        offsets: list[SummaryOffset] = []
        for opcode, group in groups:
            offsets.append(SummaryOffset(group_opcode=opcode, group_start=position, group_length=len(group)))
            position += len(group)
        summary += serialized(*offsets)
        footer_head = struct.pack("<BQQQ", Opcode.FOOTER, 20, start, offset_start)
        crc = zlib.crc32(footer_head, zlib.crc32(summary))
        footer = Footer(summary_start=start, summary_offset_start=offset_start, summary_crc=crc)
        return end + summary + serialized(footer) + MCAP0_MAGIC


class SealedFile(McapFile):
    """The same with a seal behind every block: a file of a journal."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._identity: int | None = None

    def _finished(self, block: bytes) -> tuple[bytes, int]:
        if len(block) > MAX_BLOCK:
            raise JournalError(f"{self.path}: cannot append {len(block)} bytes at once, allowed {MAX_BLOCK}")
        after = zlib.crc32(block, self._crc)
        if self._size == 0:
            self._identity = after
        assert self._identity is not None
        seal = Seal(self._size, len(block), self._crc, after, self._identity).record()
        return block + seal, zlib.crc32(seal, after)
