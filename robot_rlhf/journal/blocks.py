"""The bytes of a journal file, in pieces of any size, to the blocks of records in it that may be believed."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.writer import MCAP0_MAGIC

from robot_rlhf.errors import JournalError
from robot_rlhf.journal.format import LIBRARY, LIBRARY_PREFIX, READABLE, UNSEALED_VERSION
from robot_rlhf.journal.seal import MAX_BLOCK, SEAL, SEAL_SIZE, Seal

HEAD = struct.Struct("<BQ")
"""Opcode and length of a record."""
MESSAGE_FIELDS = struct.Struct("<HIQQ")
"""Channel, sequence, time and time of publishing, before a message's data."""

_KINDS = frozenset({Opcode.HEADER, Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE, Opcode.METADATA})
"""What a journal consists of, seals and the end of the data aside."""
_MAGIC = len(MCAP0_MAGIC)
_DATA_END = HEAD.size + 4
_FOOTER = struct.Struct("<QQI")
_CLOSING = HEAD.size + _FOOTER.size + _MAGIC
"""Bytes of footer and closing magic."""


class RawRecord(NamedTuple):
    """One record as it lies in the file."""

    opcode: int
    payload: memoryview
    offset: int
    """Bytes from the start of the file."""


@dataclass(frozen=True)
class Damage:
    """From where on a file cannot be believed, and why."""

    offset: int
    """Bytes from the start of the file."""
    what: str
    somewhere_before: bool = False
    """It is not known where before the place."""


def end_of_data(descriptor: int) -> int | None:
    """Where the data of a file that was closed end, as its last bytes say; None for one that was not."""
    size = os.fstat(descriptor).st_size
    closing = os.pread(descriptor, _CLOSING, max(size - _CLOSING, 0))
    if len(closing) != _CLOSING or not closing.endswith(MCAP0_MAGIC):
        return None
    if HEAD.unpack_from(closing) != (Opcode.FOOTER, _FOOTER.size):
        return None
    start = _FOOTER.unpack_from(closing, HEAD.size)[0] - _DATA_END
    return start if 0 < start < size else None


def summary_problem(path: Path, start: int) -> str:
    """What is wrong with the summary of a file that was closed; empty where it is whole.

    Args:
        start: where it begins, behind the end of the data; in bytes from the start of the file.
    """
    with path.open("rb") as file:
        file.seek(start)
        data = file.read()
    if len(data) < _CLOSING or not data.endswith(MCAP0_MAGIC):
        return "its summary does not end as it should"
    told_start, _, crc = _FOOTER.unpack_from(data, len(data) - _MAGIC - _FOOTER.size)
    right = zlib.crc32(data[: -_MAGIC - 4]) == crc
    return "" if right and told_start == start else "its summary differs from its checksum"


class BlockReader:
    """Gives the blocks of one file, in order; a version 1 file has no seals, and each record is a block.

    It stops at the first thing that cannot be: `damage` says where. What is merely incomplete waits for more bytes.
    """

    def __init__(self, path: Path) -> None:
        """Args: path: the file, for messages."""
        self._path = path
        self.version: int | None = None
        """Of the format; None before the header was seen."""
        self.offset = 0
        """Up to here the file is believed, in bytes from its start."""
        self.finished = False
        """The end of the data was reached; behind it are only the summary and the closing magic."""
        self.checked = False
        """At the end of the data the checksum of all of it was right."""
        self.damage: Damage | None = None
        self.identity: int | None = None
        """Checksum of the first block, by which its seals tell the file from others."""
        self._crc = 0
        """Of everything before `offset`."""
        self._buffer = bytearray()
        """The bytes from `_base` on."""
        self._base = 0
        self._shift = 0
        """Bytes by which the present block lies behind the place where it was written; 0 but after `skip`."""
        self._walked = 0
        """Behind whole records of a block whose seal is not there yet, in bytes from the start of the file."""

    def feed(self, data: bytes) -> Iterator[list[RawRecord]]:
        """Blocks that these bytes make whole. A block is believed once the next one is asked for.

        Raises:
            JournalError: no MCAP file, not a journal, or one of another version.
        """
        if self.finished:
            return
        del self._buffer[: self.offset - self._base]
        self._base = self.offset
        self._buffer += data
        if self.version is None:
            self.version = self._look_at_header()
        while self.version is not None and self.damage is None and not self.finished:
            end, records, crc = self._next_block()
            if not end:
                return
            yield records
            self._crc, self.offset, self._walked = crc, end, end

    def reject(self, what: str) -> None:
        """The block that was given last cannot be: take it for damage."""
        self.damage = Damage(self.offset, what)

    def rewind(self) -> None:
        """Forget what is not believed; to be fed again from `offset` on."""
        self._buffer.clear()
        self._base = self._walked = self.offset
        self.damage = None
        if self.offset == 0:
            self.version = None

    def skip(self, place: int, seal: Seal | None) -> None:
        """Go on with something whole behind damage; to be fed from `place` on.

        Args:
            place: where it begins, in bytes from the start of the file.
            seal: of the block there; None in a file without seals.
        """
        self.offset = place
        self.rewind()
        if seal is not None:
            self.identity, self._crc, self._shift = seal.file, seal.before, place - seal.start

    @property
    def written(self) -> int:
        """Where `offset` was when the file was written."""
        return self.offset - self._shift

    # -- the file's beginning ----------------------------------------------------------------------------------------

    def _look_at_header(self) -> int | None:
        """The version, once it can be told."""
        known = min(len(self._buffer), _MAGIC)
        differs = next((i for i in range(known) if self._buffer[i] != MCAP0_MAGIC[i]), known)
        if differs < known:
            if any(self._buffer[differs:]):
                raise JournalError(f"{self._path}: not an MCAP file, expected a journal '{LIBRARY}'")
            self.damage = Damage(0, "zeros in the place of the file's beginning")
            return None
        if len(self._buffer) < _MAGIC + HEAD.size:
            return None
        opcode, length = HEAD.unpack_from(self._buffer, _MAGIC)
        if opcode != Opcode.HEADER or length > MAX_BLOCK:
            self.damage = Damage(0, f"no MCAP header at byte {_MAGIC}")
            return None
        start = _MAGIC + HEAD.size
        if len(self._buffer) < start + length:
            return None
        return self._version_of(bytes(self._buffer[start : start + length]))

    def _version_of(self, payload: bytes) -> int | None:
        stream = ReadDataStream(io.BytesIO(payload))
        try:
            stream.read_prefixed_string()  # the profile
            library = stream.read_prefixed_string()
        except (McapError, ValueError, struct.error) as error:
            self.damage = Damage(0, f"an MCAP header that cannot be read ({error})")
            return None
        if not library or "\0" in library:
            self.damage = Damage(0, "zeros in the MCAP header")
            return None
        if library not in READABLE:
            found = f"version {library.removeprefix(LIBRARY_PREFIX)}" if library.startswith(LIBRARY_PREFIX) else ""
            problem = f"journal {found}" if found else f"an MCAP file written by '{library}', not a journal"
            supported = ", ".join(f"'{name}'" for name in READABLE)
            raise JournalError(f"{self._path}: {problem}; supported: {supported}")
        self._walked = _MAGIC
        return READABLE[library]

    # -- blocks ------------------------------------------------------------------------------------------------------

    def _next_block(self) -> tuple[int, list[RawRecord], int]:
        """Where the next block ends, its records, and the checksum of the file up to there; (0, [], 0) for none."""
        none: tuple[int, list[RawRecord], int] = (0, [], 0)
        while True:
            at = self._walked - self._base
            if at + HEAD.size > len(self._buffer):
                return none
            opcode, length = HEAD.unpack_from(self._buffer, at)
            begins_block = self._walked == (self.offset or _MAGIC)
            if opcode == SEAL and self.version != UNSEALED_VERSION:
                return self._sealed(at) if at + SEAL_SIZE <= len(self._buffer) else none
            if opcode == Opcode.DATA_END and begins_block and self.offset:
                self._end(at)
                return none
            if opcode not in _KINDS or length > MAX_BLOCK:
                place = f"at byte {self._walked}"
                what = f"of kind 0x{opcode:02X}" if opcode not in _KINDS else f"of {length} bytes"
                self.damage = Damage(self.offset, f"a record {what} {place}, which a journal has not")
                return none
            end = at + HEAD.size + length
            if end > len(self._buffer):
                return none
            self._walked = self._base + end
            if self.version == UNSEALED_VERSION:
                return self._unsealed(end)

    def _sealed(self, at: int) -> tuple[int, list[RawRecord], int]:
        """Check the block that ends at `at` in the buffer by the seal behind it."""
        start = self.offset - self._base
        record = bytes(self._buffer[at : at + SEAL_SIZE])
        try:
            seal = Seal.read(record[HEAD.size :]) if HEAD.unpack_from(record)[1] == SEAL_SIZE - HEAD.size else None
        except struct.error:
            seal = None
        block = self._buffer[start:at]
        crc = zlib.crc32(block, self._crc)
        identity = crc if self.identity is None else self.identity
        if seal != Seal(self.written, len(block), self._crc, crc, identity):
            self.damage = Damage(self.offset, f"{len(block)} bytes that differ from their checksum")
            return 0, [], 0
        self.identity = identity
        return self._base + at + SEAL_SIZE, self._records(block), zlib.crc32(record, crc)

    def _unsealed(self, end: int) -> tuple[int, list[RawRecord], int]:
        """Check the record that ends at `end` in the buffer as far as its format allows."""
        block = self._buffer[self.offset - self._base : end]
        records = self._records(block)
        for record in records:
            if record.opcode == Opcode.MESSAGE:
                if len(record.payload) < MESSAGE_FIELDS.size:
                    self.damage = Damage(self.offset, f"a message of {len(record.payload)} bytes")
                    return 0, [], 0
                _, _, time_ns, publish_ns = MESSAGE_FIELDS.unpack_from(record.payload)
                if time_ns != publish_ns:
                    self.damage = Damage(self.offset, f"a message with the times {time_ns} and {publish_ns} ns")
                    return 0, [], 0
        return self._base + end, records, zlib.crc32(block, self._crc)

    def _records(self, block: bytearray) -> list[RawRecord]:
        view = memoryview(block)
        position = _MAGIC if self.offset == 0 else 0
        records: list[RawRecord] = []
        while position < len(block):
            opcode, length = HEAD.unpack_from(block, position)
            start = position + HEAD.size
            records.append(RawRecord(opcode, view[start : start + length], self.offset + position))
            position = start + length
        return records

    def _end(self, at: int) -> None:
        """Compare the checksum of the whole data with what is known of it at their end."""
        start = at + HEAD.size
        if HEAD.unpack_from(self._buffer, at)[1] != 4:
            self.damage = Damage(self.offset, "an end of the data of another length than 4 bytes")
            return
        if start + 4 > len(self._buffer):
            return
        (told,) = struct.unpack_from("<I", self._buffer, start)
        # Version 1 writes 0 for a checksum that is not known.
        if told != self._crc and (told or self.version != UNSEALED_VERSION):
            self.damage = Damage(self.offset, "data that differ from the checksum at their end", somewhere_before=True)
            return
        self.finished, self.checked = True, told == self._crc
        self.offset = self._base + start + 4
