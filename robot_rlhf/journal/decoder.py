"""Turns the bytes of a journal file, in pieces of any size, into what was recorded."""

from __future__ import annotations

import io
import json
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, Metadata
from mcap.writer import MCAP0_MAGIC

from robot_rlhf.datatypes import Action, Driver, EpisodeEnd, EpisodeMeta, Event, Observation, RobotSpec, Step
from robot_rlhf.errors import JournalError, RobotRlhfError
from robot_rlhf.journal.format import (
    LIBRARY,
    LIBRARY_PREFIX,
    SESSION_METADATA,
    TOPIC_EPISODE_END,
    TOPIC_EPISODE_START,
    TOPIC_EVENT,
    TOPIC_STEP,
    Json,
    decode_episode_end,
    decode_event,
    decode_meta,
    decode_spec,
)
from robot_rlhf.journal.sensors import SensorTopics

_RECORD_HEAD = struct.Struct("<BQ")
_MESSAGE_CHANNEL = struct.Struct("<H")
_MESSAGE_FIELDS = 22


@dataclass(frozen=True)
class EpisodeStarted:
    """An episode begins. When one is open already, that one's recording broke off."""

    meta: EpisodeMeta
    observation: Observation


Record = EpisodeStarted | Step | Event | EpisodeEnd


@dataclass(frozen=True, slots=True)
class PicturePlace:
    """Where a recorded picture is: the bytes that ImageTopic.decode takes."""

    file: Path
    offset: int
    """Bytes from the start of the file."""
    length: int
    """Bytes."""

    def read(self) -> bytes:
        """Raises JournalError when the file cannot be read, or has shrunk."""
        try:
            with self.file.open("rb") as file:
                file.seek(self.offset)
                data = file.read(self.length)
        except OSError as error:
            raise JournalError(f"{self.file}: cannot read a picture: {error.strerror}") from error
        if len(data) != self.length:
            shrunk = "is cut off: the file has shrunk since it was indexed"
            raise JournalError(f"{self.file}: a picture at byte {self.offset} {shrunk}")
        return data


Places = Mapping[str, PicturePlace]
"""Where the pictures of one observation are, by camera name."""


class FileDecoder:
    """Decodes one file. Feed it bytes as they come; what is incomplete waits for the next piece."""

    def __init__(
        self, path: Path, *, pictures: bool = True, steps: bool = True, places: list[Places] | None = None
    ) -> None:
        """Args:
        path: the file, for messages and places.
        pictures: decode pictures; without them Observation.images is empty.
        steps: decode steps; without them only starts, events and ends of episodes are returned, some ten times
            as fast.
        places: is given where the pictures of each observation are, one entry per EpisodeStarted or Step
            returned; pictures are then not decoded.
        """
        self._path = path
        self._with_pictures = pictures and places is None
        self._with_steps = steps
        self._places = places
        self._pictures: dict[str, PicturePlace] = {}
        self._rest = b""
        self._offset = 0
        self._checked_magic = False
        self._checked_header = False
        self.spec: RobotSpec | None = None
        self.metadata: dict[str, str] = {}
        """The session's metadata, without the entries that the writer adds for itself."""
        self.topics: Counter[str] = Counter()
        """Messages per topic so far."""
        self._channels: dict[int, tuple[str, int]] = {}
        self._sensors: SensorTopics | None = None
        self._pending: dict[int, bytes] = {}
        self._last: Observation | None = None
        self._finished = False

    def feed(self, data: bytes) -> list[Record]:
        """Whatever became complete with these bytes.

        Raises:
            JournalError: not a journal, one of another version, or a damaged record; names file and place.
        """
        buffer = self._rest + data
        position = 0
        if not self._checked_magic:
            known = min(len(buffer), len(MCAP0_MAGIC))
            if buffer[:known] != MCAP0_MAGIC[:known]:
                raise JournalError(f"{self._path}: not an MCAP file, expected a journal '{LIBRARY}'")
            if known < len(MCAP0_MAGIC):
                self._rest = buffer
                return []
            self._checked_magic = True
            position = known
        found: list[Record] = []
        view = memoryview(buffer)
        # Behind the summary comes the closing magic, which is no record.
        while not self._finished and position + _RECORD_HEAD.size <= len(buffer):
            opcode, length = _RECORD_HEAD.unpack_from(buffer, position)
            start = position + _RECORD_HEAD.size
            if not self._checked_header and opcode != Opcode.HEADER:
                raise JournalError(f"{self._path}: damaged: no MCAP header at byte {self._offset + position}")
            if start + length > len(buffer):
                break
            record = self._decode(opcode, view[start : start + length], self._offset + position)
            if record is not None:
                found.append(record)
            position = start + length
        self._offset += position
        self._rest = b"" if self._finished else buffer[position:]
        return found

    def _decode(self, opcode: int, payload: memoryview, offset: int) -> Record | None:
        try:
            if opcode == Opcode.MESSAGE:
                return self._message(payload, offset + _RECORD_HEAD.size + _MESSAGE_FIELDS)
            if opcode == Opcode.HEADER:
                self._check_header(bytes(payload))
            elif opcode == Opcode.METADATA:
                self._session(bytes(payload))
            elif opcode == Opcode.CHANNEL:
                self._channel(bytes(payload))
            elif opcode == Opcode.DATA_END:
                self._finished = True
        except JournalError:
            raise
        except (RobotRlhfError, ValueError, KeyError, TypeError, struct.error) as error:
            kind = type(error).__name__
            raise JournalError(f"{self._path}: damaged record at byte {offset} ({kind}: {error})") from error
        return None

    def _check_header(self, payload: bytes) -> None:
        stream = _stream(payload)
        stream.read_prefixed_string()  # the profile
        library = stream.read_prefixed_string()
        if library != LIBRARY:
            found = f"version {library.removeprefix(LIBRARY_PREFIX)}" if library.startswith(LIBRARY_PREFIX) else ""
            problem = f"journal {found}" if found else f"an MCAP file written by '{library}', not a journal"
            raise JournalError(f"{self._path}: {problem}; supported: '{LIBRARY}'")
        self._checked_header = True

    def _session(self, payload: bytes) -> None:
        record = Metadata.read(_stream(payload))
        if record.name == SESSION_METADATA:
            entries = dict(record.metadata)
            self.spec = decode_spec(entries.pop("robot_spec"))
            self._sensors = SensorTopics(self.spec)
            entries.pop("journal_version")
            self.metadata = entries

    def _channel(self, payload: bytes) -> None:
        if self._sensors is None:
            raise JournalError(f"{self._path}: damaged: no session metadata before the first channel")
        channel = Channel.read(_stream(payload))
        index = next((i for i, t in enumerate(self._sensors.topics) if t.topic == channel.topic), -1)
        self._channels[channel.id] = (channel.topic, index)

    def _message(self, payload: memoryview, offset: int) -> Record | None:
        """Args: offset: where in the file the message's data begin."""
        topic, sensor = self._channels[_MESSAGE_CHANNEL.unpack_from(payload)[0]]
        self.topics[topic] += 1
        if sensor >= 0:
            self._sensor(sensor, payload, offset)
            return None
        if topic == TOPIC_STEP and not self._with_steps:
            self._pending.clear()
            self._pictures = {}
            return None
        data = bytes(payload[_MESSAGE_FIELDS:])
        if topic == TOPIC_STEP:
            return self._step(json.loads(data))
        if topic == TOPIC_EPISODE_START:
            fields: Json = json.loads(data)
            self._last = self._observation(fields["observation"])
            return EpisodeStarted(decode_meta(fields["meta"]), self._last)
        if topic == TOPIC_EVENT:
            return decode_event(data)
        if topic == TOPIC_EPISODE_END:
            return decode_episode_end(data)
        return None

    def _sensor(self, sensor: int, payload: memoryview, offset: int) -> None:
        """Keep a message until the record that makes its observation count."""
        camera = self._sensors.camera(sensor) if self._sensors is not None else None
        if camera is None or self._with_pictures:
            self._pending[sensor] = bytes(payload[_MESSAGE_FIELDS:])
        elif self._places is not None:
            self._pictures[camera] = PicturePlace(self._path, offset, len(payload) - _MESSAGE_FIELDS)

    def _observation(self, rest: Json) -> Observation:
        if self._sensors is None:
            raise JournalError(f"{self._path}: damaged: no session metadata")
        observation = self._sensors.decode(self._pending, rest)
        self._pending.clear()
        if self._places is not None:
            self._places.append(self._pictures)
            self._pictures = {}
        return observation

    def _step(self, fields: dict[str, Any]) -> Step:
        if self._last is None:
            raise JournalError(f"{self._path}: damaged: a step outside an episode")
        proposed = fields["proposed"]
        before = self._last
        self._last = self._observation(fields["next_observation"])
        return Step(
            index=fields["index"],
            observation=before,
            proposed=None if proposed is None else Action(proposed),
            executed=Action(fields["executed"]),
            driver=Driver[fields["driver"].upper()],
            reward=fields["reward"],
            gold_reward=fields["gold_reward"],
            terminated=fields["terminated"],
            truncated=fields["truncated"],
            policy_version=fields["policy_version"],
            instruction=fields["instruction"],
            next_observation=self._last,
        )


def _stream(payload: bytes) -> ReadDataStream:
    return ReadDataStream(io.BytesIO(payload))
