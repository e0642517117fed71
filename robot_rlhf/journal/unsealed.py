"""What can be checked of a file without seals, as version 0.1.0 wrote them.

Once such a file was closed, one checksum at the end of its data covers all of it. One that was not closed has none:
then each record must be, byte for byte, what would be written for what it says; a digit that became another digit
cannot be told.
"""

from __future__ import annotations

import json
import os
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from robot_rlhf.datatypes import Observation
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.blocks import HEAD, BlockReader, Damage, end_of_data
from robot_rlhf.journal.format import UNSEALED_VERSION, Json, to_json
from robot_rlhf.journal.seal import MAX_BLOCK
from robot_rlhf.journal.sensors import ImageTopic, SensorTopics

_PIECE = 1 << 18
"""Bytes read at once."""
_MESSAGE = re.compile(rb"\x05(.{4}\0{4})..(.{4})(.{8})\3", re.DOTALL)
"""The beginning of a message: its length, and a time that is also the time of publishing."""
_MESSAGE_BYTES = HEAD.size + 22
_PNG_HEAD = 8
_PNG_CHUNK = struct.Struct(">I4s")


def check_closed(path: Path) -> bool:
    """Compare a file without seals with the checksum at the end of its data, before anything in it is believed.

    Returns:
        Whether the checksum is right; False for a file that was not closed, or has seals.

    Raises:
        JournalError: the file was closed and differs from its checksum; or no journal.
    """
    reader = BlockReader(path)
    try:
        with path.open("rb") as file:
            while reader.damage is None and not reader.finished and (data := file.read(_PIECE)):
                for _ in reader.feed(data):
                    if reader.version != UNSEALED_VERSION:
                        return False
            if reader.finished:
                return reader.checked
            closed = end_of_data(file.fileno()) is not None
    except OSError as error:
        raise JournalError(f"{path}: cannot read the journal: {error.strerror}") from error
    if reader.version != UNSEALED_VERSION:
        return False
    damage = reader.damage or Damage(reader.offset, "a record that is not whole")
    if closed or damage.somewhere_before:
        raise JournalError(
            f"{path}: damaged {'somewhere before' if damage.somewhere_before else 'at'} byte {damage.offset}: "
            f"{damage.what}. What can be read of it: robot-rlhf journal salvage {path} --unchecked --out NEW"
        )
    return False


def find_messages(descriptor: int, start: int, end: int) -> Iterator[int]:
    """Where in a span of a file what looks like a whole message begins."""
    position = start
    while position < end:
        data = os.pread(descriptor, min(_PIECE, end - position) + _MESSAGE_BYTES - 1, position)
        for match in _MESSAGE.finditer(data):
            (length,) = struct.unpack("<Q", match[1])
            place = position + match.start()
            if match.start() < _PIECE and 22 <= length <= MAX_BLOCK and place + HEAD.size + length <= end:
                yield place
        position += _PIECE


def check_text(data: bytes, again: bytes) -> None:
    """Check that a record's text is what is written for it; fields that are younger than the file may be missing.

    Args:
        data: the text in the file.
        again: the text of what was decoded of it.

    Raises:
        JournalError: it is not.
    """
    said = json.loads(data)
    if to_json(said, "record") != data or not _agree(said, json.loads(again)):
        raise JournalError("not as it would be written")


def _agree(said: Any, again: Any) -> bool:
    if isinstance(said, dict) and isinstance(again, dict):
        fields = cast("Json", said)
        return all(name in again and _agree(value, again[name]) for name, value in fields.items())
    return said == again


def check_sensed(observation: Observation, time_ns: int, sensed: Mapping[int, bytes], sensors: SensorTopics) -> None:
    """Check that an observation's messages are what is written for it.

    Args:
        observation: what was decoded of them.
        time_ns: their time in the file.
        sensed: the messages, by index into the sensor topics.
        sensors: the robot's.

    Raises:
        JournalError: they are not.
    """
    for index, expected in sensors.encode(replace(observation, images={}), time_ns):
        if sensed[index] != expected:
            raise JournalError(f"{sensors.topics[index].topic} is not as it would be written")
    for index, topic in enumerate(sensors.topics):
        if isinstance(topic, ImageTopic) and index in sensed:
            _check_png(topic.png(sensed[index]), topic.topic)


def _check_png(png: bytes, topic: str) -> None:
    """Compare the chunks of a picture with their checksums."""
    position = _PNG_HEAD
    while position + _PNG_CHUNK.size + 4 <= len(png):
        length, _ = _PNG_CHUNK.unpack_from(png, position)
        end = position + _PNG_CHUNK.size + length
        if png[end : end + 4] != struct.pack(">I", zlib.crc32(png[position + 4 : end])):
            break
        position = end + 4
    if position != len(png):
        raise JournalError(f"{topic}: a picture that differs from its checksum")
