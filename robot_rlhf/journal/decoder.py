"""Turns the bytes of a journal file, in pieces of any size, into what was recorded."""

from __future__ import annotations

import io
import json
import os
import struct
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Metadata

from robot_rlhf.datatypes import (
    NO_CONTEXT,
    Action,
    Driver,
    EpisodeEnd,
    EpisodeMeta,
    Event,
    Observation,
    RobotSpec,
    Step,
)
from robot_rlhf.episode import Recall
from robot_rlhf.errors import JournalError, RobotRlhfError
from robot_rlhf.journal.blocks import HEAD, MESSAGE_FIELDS, BlockReader, Damage, RawRecord
from robot_rlhf.journal.format import (
    SESSION_METADATA,
    TOPIC_EPISODE_END,
    TOPIC_EPISODE_START,
    TOPIC_EVENT,
    TOPIC_STEP,
    UNSEALED_VERSION,
    Json,
    decode_episode_end,
    decode_event,
    decode_meta,
    decode_spec,
    encode_episode_end,
    encode_episode_start,
    encode_event,
    encode_step,
)
from robot_rlhf.journal.schemas import JSON_SCHEMAS
from robot_rlhf.journal.seal import find_blocks
from robot_rlhf.journal.sensors import SensorTopics
from robot_rlhf.journal.unsealed import check_sensed, check_text, find_messages

_UNDECODABLE = (
    RobotRlhfError,
    McapError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    struct.error,
)
"""What decoding bytes that were never written may raise."""
_MESSAGE_CHANNEL = struct.Struct("<H")


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
    crc: int
    """CRC-32 of them when the place was told."""

    def read(self) -> bytes:
        """Raises JournalError when the file cannot be read, has shrunk, or differs from what was told."""
        try:
            with self.file.open("rb") as file:
                file.seek(self.offset)
                data = file.read(self.length)
        except OSError as error:
            raise JournalError(f"{self.file}: cannot read a picture: {error.strerror}") from error
        if len(data) != self.length:
            shrunk = "is cut off: the file has shrunk since it was indexed"
            raise JournalError(f"{self.file}: a picture at byte {self.offset} {shrunk}")
        if zlib.crc32(data) != self.crc:
            raise JournalError(f"{self.file}: damaged: the picture at byte {self.offset} has changed")
        return data


Places = Mapping[str, PicturePlace]
"""Where the pictures of one observation are, by camera name."""


class FileDecoder:
    """Decodes one file. Feed it bytes as they come; what is incomplete waits for the next piece."""

    def __init__(
        self,
        path: Path,
        *,
        pictures: bool = True,
        steps: bool = True,
        places: list[Places] | None = None,
        trusted: bool = False,
    ) -> None:
        """Args:
        path: the file, for messages and places.
        pictures: decode pictures; without them Observation.images is empty.
        steps: decode steps; without them only starts, events and ends of episodes are returned, some ten times
            as fast.
        places: is given where the pictures of each observation are, one entry per EpisodeStarted or Step
            returned; pictures are then not decoded.
        trusted: the checksum of all of the file is known to be right; without that each record of a file without
            seals must be just as it would be written.
        """
        self._path = path
        self._with_pictures = pictures and places is None
        self._with_steps = steps
        self._places = places
        self._pictures: dict[str, PicturePlace] = {}
        self._blocks = BlockReader(path)
        self._trusted = trusted
        self.spec: RobotSpec | None = None
        self.metadata: dict[str, str] = {}
        """The session's metadata, without the entries that the writer adds for itself."""
        self.topics: Counter[str] = Counter()
        """Messages per topic so far."""
        self._channels: dict[int, tuple[str, int]] = {}
        self._sensors: SensorTopics | None = None
        self._pending: dict[int, bytes] = {}
        self._last: Observation | None = None
        self._recall = Recall()
        self._torn = False
        """Something before was skipped: what an episode's next step begins with is not known."""
        self.torn_steps = 0
        """Whole steps that were left out for that."""
        self._episode: str | None = None
        self._steps = 0
        """Of the episode that is open, or was last."""

    @property
    def version(self) -> int | None:
        """Of the file's format; None before its header was read."""
        return self._blocks.version

    @property
    def offset(self) -> int:
        """Up to here the file was decoded, in bytes from its start."""
        return self._blocks.offset

    @property
    def identity(self) -> int | None:
        """By which the seals of a file tell it from others; None before its first block."""
        return self._blocks.identity

    @property
    def finished(self) -> bool:
        """The end of the data was reached: the file was closed, and is whole."""
        return self._blocks.finished

    @property
    def checked(self) -> bool:
        """Every byte of it was under a checksum that was right."""
        return self._blocks.checked or self._blocks.version != UNSEALED_VERSION

    @property
    def damage(self) -> Damage | None:
        """What ended the decoding at `offset`."""
        return self._blocks.damage

    @property
    def place(self) -> str:
        """What was decoded last, in words."""
        return "before the first episode" if self._episode is None else f"behind step {self._steps} of {self._episode}"

    def rewind(self) -> None:
        """Forget damage and what is incomplete; to be fed again from `offset` on."""
        self._blocks.rewind()

    def skip_to_next(self, descriptor: int) -> bool:
        """Go on behind damage with the next thing in the open file that is whole; to be fed from `offset` on.

        Where something is missing before it, steps are left out up to the next start of an episode.

        Returns:
            Whether there is anything.
        """
        size = os.fstat(descriptor).st_size
        if self.version == UNSEALED_VERSION:
            place, seal = next(find_messages(descriptor, self.offset + 1, size), None), None
        else:
            blocks = find_blocks(descriptor, self.offset, size)
            following = (b for b in blocks if b.seal.start >= self._blocks.written)
            block = next((b for b in following if self.identity in (None, b.seal.file)), None)
            place, seal = (None, None) if block is None else (block.place, block.seal)
        if place is None or self._sensors is None:
            return False
        self._torn = self._torn or seal is None or seal.start != self._blocks.written
        self._blocks.skip(place, seal)
        self._pending.clear()
        self._pictures = {}
        if not self._channels:  # their definitions were damaged; they are the same for every file of the robot
            topics = [topic.topic for topic in self._sensors.topics]
            indices = [*range(len(topics)), *[-1] * len(JSON_SCHEMAS)]
            self._channels = dict(enumerate(zip([*topics, *JSON_SCHEMAS], indices, strict=True), 1))
        return True

    def feed(self, data: bytes) -> list[Record]:
        """Whatever became complete with these bytes; at damage the decoding stops.

        Raises:
            JournalError: not a journal, one of another version, or records that cannot be decoded; names file and
                place.
        """
        found: list[Record] = []
        with np.errstate(over="ignore"):  # a damaged number of a file without seals: it is noticed as such
            for block in self._blocks.feed(data):
                try:
                    found += [record for record in map(self._decode, block) if record is not None]
                except _UNDECODABLE as error:
                    what = f"a record that cannot be decoded ({type(error).__name__}: {error})"
                    if self.version == UNSEALED_VERSION:
                        self._blocks.reject(what)
                        break
                    raise JournalError(f"{self._path}: damaged at byte {self.offset}: {what}") from error
        return found

    def _decode(self, record: RawRecord) -> Record | None:
        if record.opcode == Opcode.MESSAGE:
            return self._message(record.payload, record.offset + HEAD.size + MESSAGE_FIELDS.size)
        if record.opcode == Opcode.METADATA:
            self._session(bytes(record.payload))
        elif record.opcode == Opcode.CHANNEL:
            self._channel(bytes(record.payload))
        return None

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
            raise JournalError("no session metadata before the first channel")
        channel = Channel.read(_stream(payload))
        index = next((i for i, t in enumerate(self._sensors.topics) if t.topic == channel.topic), -1)
        self._channels[channel.id] = (channel.topic, index)

    def _message(self, payload: memoryview, offset: int) -> Record | None:
        """Args: offset: where in the file the message's data begin."""
        topic, sensor = self._channels[_MESSAGE_CHANNEL.unpack_from(payload)[0]]
        if sensor >= 0:
            self.topics[topic] += 1
            self._sensor(sensor, payload, offset)
            return None
        if topic == TOPIC_STEP and (self._torn or not self._with_steps):
            self.torn_steps += self._torn
            self._count(topic)
            self._pending.clear()
            self._pictures = {}
            return None
        sensed = dict(self._pending)
        data = bytes(payload[MESSAGE_FIELDS.size :])
        record = self._record(topic, data)
        if record is not None and not self._trusted and self.version == UNSEALED_VERSION:
            self._check_as_written(record, data, MESSAGE_FIELDS.unpack_from(payload)[2], sensed)
        self._count(topic)
        return record

    def _count(self, topic: str) -> None:
        self.topics[topic] += 1
        self._steps += topic == TOPIC_STEP

    def _check_as_written(self, record: Record, data: bytes, time_ns: int, sensed: dict[int, bytes]) -> None:
        """Check that a record without a seal is, to the byte, what would be written for it."""
        observation: Observation | None = None
        if isinstance(record, Step):
            if record.index != self._steps:
                raise JournalError(f"step {record.index} where step {self._steps} is due")
            observation, again = record.next_observation, encode_step(record)
        elif isinstance(record, EpisodeStarted):
            observation, again = record.observation, encode_episode_start(record.meta, record.observation)
        else:
            again = encode_episode_end(record) if isinstance(record, EpisodeEnd) else encode_event(record)
        check_text(data, again)
        if observation is not None and self._sensors is not None:
            if round(observation.stamp * 1e9) + int(self.metadata["epoch_offset_ns"]) != time_ns:
                raise JournalError(f"the stamp {observation.stamp} s in a message of {time_ns} ns")
            check_sensed(observation, time_ns, sensed, self._sensors)

    def _record(self, topic: str, data: bytes) -> Record | None:
        if topic == TOPIC_STEP:
            return self._step(json.loads(data))
        if topic == TOPIC_EPISODE_START:
            fields: Json = json.loads(data)
            self._last = self._observation(fields["observation"])
            self._recall.begin()
            meta = decode_meta(fields["meta"])
            self._episode, self._steps, self._torn = meta.id, 0, False
            return EpisodeStarted(meta, self._last)
        if topic == TOPIC_EVENT:
            return decode_event(data)
        if topic == TOPIC_EPISODE_END:
            return decode_episode_end(data)
        return None

    def _sensor(self, sensor: int, payload: memoryview, offset: int) -> None:
        """Keep a message until the record that makes its observation count."""
        camera = self._sensors.camera(sensor) if self._sensors is not None else None
        if camera is None or self._with_pictures:
            self._pending[sensor] = bytes(payload[MESSAGE_FIELDS.size :])
        elif self._places is not None:
            data = payload[MESSAGE_FIELDS.size :]
            self._pictures[camera] = PicturePlace(self._path, offset, len(data), zlib.crc32(data))

    def _observation(self, rest: Json) -> Observation:
        if self._sensors is None:
            raise JournalError("no session metadata")
        observation = self._sensors.decode(self._pending, rest)
        self._pending.clear()
        if self._places is not None:
            self._places.append(self._pictures)
            self._pictures = {}
        return observation

    def _step(self, fields: dict[str, Any]) -> Step:
        if self._last is None:
            raise JournalError("a step outside an episode")
        proposed = fields["proposed"]
        before = self._last
        executed = None if fields["executed"] is None else Action(fields["executed"])
        self._recall.add(executed)
        self._last = self._recall(self._observation(fields["next_observation"]))
        return Step(
            index=fields["index"],
            observation=before,
            proposed=None if proposed is None else Action(proposed),
            executed=executed,
            driver=Driver[fields["driver"].upper()],
            reward=fields["reward"],
            gold_reward=fields["gold_reward"],
            terminated=fields["terminated"],
            truncated=fields["truncated"],
            policy_version=fields["policy_version"],
            instruction=fields["instruction"],
            next_observation=self._last,
            context=fields.get("context", NO_CONTEXT),
            authority=fields.get("authority"),
            spoken=fields.get("spoken", ""),
        )


def _stream(payload: bytes) -> ReadDataStream:
    return ReadDataStream(io.BytesIO(payload))
