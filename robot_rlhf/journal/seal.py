"""The seal behind every block of a journal file: a private MCAP record by which damage is told from data.

A block is what one system call appends: whole records that count together or not at all. Its seal says where it
begins, how long it is, and the CRC-32 of the whole file before and behind it. So every byte is under a checksum that
is compared before the byte is believed, blocks that were swapped, repeated or lost are noticed, and a block can be
checked by itself wherever it lies. Readers of MCAP skip records of a kind that they do not know.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

SEAL = 0xA5
"""Opcode of the record; MCAP leaves 0x80 to 0xFF to applications."""
MAX_BLOCK = 1 << 30
"""Bytes. No block, and no record in it, is longer: a longer one is damage."""

_FIELDS = struct.Struct("<QIIII")
_HEAD = struct.pack("<BQ", SEAL, _FIELDS.size)
SEAL_SIZE = len(_HEAD) + _FIELDS.size
"""Bytes of the record."""
_PIECE = 1 << 22
"""Bytes looked through at once."""


class Seal(NamedTuple):
    """What the record says."""

    start: int
    """Bytes from the start of the file to the block."""
    length: int
    """Bytes of the block."""
    before: int
    """CRC-32 of everything in the file before the block."""
    after: int
    """The same with the block."""
    file: int
    """`after` of the file's first block: of which file it is."""

    def record(self) -> bytes:
        """The MCAP record."""
        return _HEAD + _FIELDS.pack(*self)

    @classmethod
    def read(cls, payload: bytes | bytearray | memoryview) -> Seal:
        """The inverse of `record`, behind opcode and length. Raises struct.error for another length."""
        return cls(*_FIELDS.unpack(payload))


@dataclass(frozen=True, slots=True)
class FoundBlock:
    """A whole block, found by its seal."""

    place: int
    """Where it lies; `seal.start` is where it was written."""
    seal: Seal
    data: bytes


def find_blocks(descriptor: int, start: int, end: int) -> Iterator[FoundBlock]:
    """Every whole block in a span of a file, in the order of their seals, whatever lies between them.

    Args:
        descriptor: the open file; its position stays.
        start, end: bytes from the start of the file.
    """
    position = start
    while position < end:
        data = os.pread(descriptor, min(_PIECE, end - position) + SEAL_SIZE - 1, position)
        last = _PIECE + len(_HEAD) - 1  # a seal that begins behind the piece belongs to the next one
        at = data.find(_HEAD, 0, last)
        while at >= 0:
            if at + SEAL_SIZE <= len(data) and position + at + SEAL_SIZE <= end:
                found = _block_before(descriptor, position + at, Seal.read(data[at + len(_HEAD) : at + SEAL_SIZE]))
                if found is not None and found.place >= start:
                    yield found
            at = data.find(_HEAD, at + 1, last)
        position += _PIECE


def _block_before(descriptor: int, place: int, seal: Seal) -> FoundBlock | None:
    """The block that ends where its seal lies, when it is whole."""
    if not 0 < seal.length <= min(place, MAX_BLOCK):
        return None
    data = os.pread(descriptor, seal.length, place - seal.length)
    if len(data) != seal.length or zlib.crc32(data, seal.before) != seal.after:
        return None
    return FoundBlock(place - seal.length, seal, data)
