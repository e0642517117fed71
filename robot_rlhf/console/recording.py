"""A recorded or still growing session, made browsable: an index of its episodes, and their pictures on demand."""

from __future__ import annotations

import bisect
import itertools
import json
import math
import os
import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from robot_rlhf.datatypes import (
    Array,
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Event,
    Feedback,
    Observation,
    Outcome,
    RobotSpec,
    Segment,
    Step,
)
from robot_rlhf.errors import InvalidValueError, JournalError, UnknownNameError
from robot_rlhf.feedback.queries import path_features
from robot_rlhf.journal.decoder import EpisodeStarted, PicturePlace, Places, Record
from robot_rlhf.journal.labels import Labels, is_about
from robot_rlhf.journal.sensors import ImageTopic
from robot_rlhf.journal.tail import JournalTail

JPEG_QUALITY = 85
CACHE_BYTES = 64 << 20
"""Of JPEG pictures that are kept: some 8,000 of 128 x 128."""
PIECE_BYTES = 8 << 20
"""Read at once, so that a page may ask for an episode while a long journal is still being indexed."""
PATH_SIZE = 4
"""Tool position x, y, z in metres, and gripper opening, per observation."""


class LabelSink(Protocol):
    """Takes what a person says about recorded episodes: a LabelWriter, or the way to a running session."""

    def give(self, feedback: Feedback) -> None:
        """Keep it. Raises RobotRlhfError when it cannot be kept."""
        ...


@dataclass(frozen=True)
class DriverRun:
    """Steps in a row that one driver decided."""

    driver: Driver
    start: int
    length: int


@dataclass(frozen=True)
class EpisodeRow:
    """One line of a session's table of contents."""

    number: int
    """Position in the journal, from 0: names the episode in addresses."""
    id: str
    task: str
    kind: EpisodeKind
    recorded: Outcome | None
    """How it ended when it ran; None while it runs, or where the recording broke off."""
    outcome: Outcome | None
    """The same as labelled today; DISCARDED for a deleted one."""
    deleted: bool
    open: bool
    """It is being recorded now."""
    steps: int
    seconds: float
    human_steps: int
    continues: str
    """Id of the paused episode that it goes on with, or empty."""
    detail: str


@dataclass(frozen=True)
class EpisodeValues:
    """What the critic promised at each step of an episode, and what followed; None where it was not finite."""

    q: tuple[float | None, ...]
    """Q(s, a) of the executed action. One per step."""
    returns: tuple[float | None, ...]
    """Discounted return from each step on. One per step."""
    updates: int
    """Those the critic had behind it."""


@dataclass
class _Recorded:
    """Index of one episode: what is small is kept, pictures are only located."""

    number: int
    meta: EpisodeMeta
    file: Path
    open: bool = True
    end: EpisodeEnd | None = None
    stamps: array[float] = field(default_factory=lambda: array("d"))
    path: array[float] = field(default_factory=lambda: array("f"))
    """PATH_SIZE numbers per observation."""
    drivers: bytearray = field(default_factory=bytearray)
    rewards: array[float] = field(default_factory=lambda: array("d"))
    instructions: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """First step of each instruction, and its text."""
    events: list[Event] = field(default_factory=list[Event])
    pictures: dict[str, array[int]] = field(default_factory=dict[str, "array[int]"])
    """Camera name to offset, length and checksum per observation; length 0 where there is no picture."""

    @property
    def steps(self) -> int:
        return len(self.rewards)

    def observe(self, observation: Observation, places: Places) -> None:
        index = len(self.stamps)
        self.stamps.append(observation.stamp)
        self.path.extend((*observation.tool_pose_in_base[:3].tolist(), observation.gripper))
        for camera, place in places.items():
            known = self.pictures.setdefault(camera, array("q"))
            known.extend([0, 0, 0] * (index - len(known) // 3))
            known.extend((place.offset, place.length, place.crc))

    def add(self, step: Step, places: Places) -> None:
        self.drivers.append(step.driver)
        self.rewards.append(step.reward)
        if not self.instructions or self.instructions[-1][1] != step.instruction:
            self.instructions.append((step.index, step.instruction))
        self.observe(step.next_observation, places)


class Recording:
    """A journal, read as far as it has grown. All methods may be called from any thread.

    Nothing is read before the first `refresh`. Pictures stay on disk; the index keeps some 70 bytes per step.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, values: str | os.PathLike[str] = "", cache_bytes: int = CACHE_BYTES
    ) -> None:
        """Args:
        path: a journal's folder, or one of its files.
        values: file of the critic's values, one JSON object per line; it may grow, or be absent. Empty for none.
        cache_bytes: how much of the pictures asked for is kept in memory.
        """
        self.path = Path(path)
        self.problem = ""
        """Why the journal cannot be read any further; empty while it can."""
        self.labels = Labels()
        self._places: list[Places] = []
        self._tail = JournalTail(self.path, places=self._places)
        self._episodes: list[_Recorded] = []
        self._numbers: dict[str, int] = {}
        self._file: Path | None = None
        self._version = 0
        self._lock = threading.RLock()
        self._cache = PictureCache(cache_bytes)
        self._topics: dict[str, ImageTopic] = {}
        self._values = _ValuesFile(Path(values)) if values else None

    # -- reading -----------------------------------------------------------------------------------------------------

    def refresh(self) -> int:
        """Read what the journal has gained; returns a number that grows whenever there is something new.

        A damaged record ends the reading: `problem` says where, and what came before stays browsable.
        """
        while not self.problem:
            with self._lock:
                grown = False
                try:
                    for file, records in self._tail.pieces(PIECE_BYTES):
                        grown = True
                        self._take(file, records)
                except JournalError as error:
                    self.problem = str(error)
                    self._version += 1
                if not grown:
                    break
        with self._lock:
            self._version += self._values is not None and self._values.has_changed()
            return self._version

    def close(self) -> None:
        """Let go of the journal."""
        with self._lock:
            self._tail.close()

    def _take(self, file: Path, records: Sequence[Record]) -> None:
        if file != self._file:
            self._file = file
            self._close_open()
            self.labels.begin_file()
        places = iter(self._places)
        for record in records:
            self.labels.add(record)
            if isinstance(record, EpisodeStarted):
                self._close_open()
                self._begin(record, file, next(places))
            elif isinstance(record, Step):
                if self._episodes:
                    self._episodes[-1].add(record, next(places))
            elif isinstance(record, EpisodeEnd):
                if self._episodes and self._episodes[-1].meta.id == record.id:
                    self._episodes[-1].end = record
                self._close_open()
            else:
                self._take_event(record)
        self._places.clear()
        self._version += bool(records)

    def _begin(self, record: EpisodeStarted, file: Path, places: Places) -> None:
        recorded = _Recorded(len(self._episodes), record.meta, file)
        recorded.observe(record.observation, places)
        self._numbers[record.meta.id] = recorded.number
        self._episodes.append(recorded)

    def _close_open(self) -> None:
        if self._episodes:
            self._episodes[-1].open = False

    def _take_event(self, event: Event) -> None:
        recorded = self._episodes[-1] if self._episodes and self._episodes[-1].open else None
        if isinstance(event, Feedback) and (recorded is None or not is_about(event, recorded.meta.id)):
            number = self._numbers.get(event.span.episode_id)
            recorded = None if number is None else self._episodes[number]
        if recorded is not None:
            recorded.events.append(event)

    # -- what there is -----------------------------------------------------------------------------------------------

    @property
    def version(self) -> int:
        """Grows whenever `refresh` found something."""
        return self._version

    @property
    def spec(self) -> RobotSpec | None:
        """The robot; None before the journal described it."""
        return self._tail.spec

    @property
    def control_period(self) -> float:
        """Seconds per step."""
        return self.spec.control_period if self.spec is not None else 0.05

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras that were recorded."""
        with self._lock:
            return tuple(dict.fromkeys(camera for episode in self._episodes for camera in episode.pictures))

    def rows(self) -> list[EpisodeRow]:
        """Every episode with at least one step, in the order of recording."""
        with self._lock:
            return [self._row(recorded) for recorded in self._episodes if recorded.steps]

    def row(self, episode: int | str) -> EpisodeRow:
        """One of them, by number or id. Raises UnknownNameError."""
        with self._lock:
            return self._row(self._find(episode))

    def driver_runs(self, episode: int | str) -> list[DriverRun]:
        """Who drove, from the first step to the last."""
        with self._lock:
            return list(_runs(bytes(self._find(episode).drivers)))

    def rewards(self, episode: int | str) -> list[float]:
        """The reward for training of each step, as recorded."""
        with self._lock:
            return self._find(episode).rewards.tolist()

    def values(self, episode: int | str) -> EpisodeValues | None:
        """What the critic said of an episode; None when it said nothing of it, or of another number of steps."""
        with self._lock:
            recorded = self._find(episode)
            told = None if self._values is None else self._values.of(recorded.meta.id)
            return told if told is not None and len(told.q) == recorded.steps else None

    def instructions(self, episode: int | str) -> list[tuple[int, str]]:
        """First step of each instruction, and its text."""
        with self._lock:
            return list(self._find(episode).instructions)

    def events(self, episode: int | str) -> list[tuple[Event, int, int]]:
        """What happened in or was said about an episode, each with the steps it is about: first, and count."""
        with self._lock:
            recorded = self._find(episode)
            located: list[tuple[Event, int, int]] = []
            for event in recorded.events:
                if isinstance(event, Feedback):
                    located.append((event, event.span.start, event.span.length))
                else:
                    step = bisect.bisect_left(recorded.stamps, event.stamp) - 1
                    located.append((event, min(max(step, 0), max(recorded.steps - 1, 0)), 1))
            return located

    def tool_path(self, segment: Segment) -> list[list[float]]:
        """x, y, z in metres and the gripper's opening before each step of a segment, and after the last.

        Raises:
            UnknownNameError: no such episode.
            InvalidValueError: the segment is not inside it.
        """
        with self._lock:
            recorded = self._inside(segment)
            flat = recorded.path[segment.start * PATH_SIZE : (segment.start + segment.length + 1) * PATH_SIZE]
        return np.asarray(flat, np.float64).reshape(-1, PATH_SIZE).round(5).tolist()

    def features(self, segment: Segment) -> Array:
        """What a segment looks like, as a vector: `path_features` of the tool's path."""
        return path_features(self.tool_path(segment))

    def comparable(self) -> dict[str, int]:
        """Id to number of steps of every episode of which clips may be compared: ended, and not discarded."""
        return {row.id: row.steps for row in self.rows() if not row.open and row.outcome is not Outcome.DISCARDED}

    # -- pictures ----------------------------------------------------------------------------------------------------

    def frame(self, episode: int | str, step: int, camera: str) -> bytes:
        """The picture before a step, or behind the last one, as JPEG.

        Args:
            episode: number or id.
            step: 0 to the number of steps.
            camera: one of `cameras`.

        Raises:
            UnknownNameError: no such episode or camera.
            InvalidValueError: no such step, or no picture at it.
            JournalError: the file cannot be read.
        """
        with self._lock:
            recorded = self._find(episode)
            if not 0 <= step <= recorded.steps:
                raise InvalidValueError("step", step, f"0 to {recorded.steps} in episode {recorded.meta.id}")
            if camera not in recorded.pictures:
                raise UnknownNameError("camera", camera, recorded.pictures)
            known = recorded.pictures[camera]
            offset, length, crc = known[3 * step : 3 * step + 3] if 3 * step < len(known) else (0, 0, 0)
            topic = self._topics.setdefault(camera, ImageTopic(camera))
        if not length:
            raise InvalidValueError("step", step, f"one with a picture of camera {camera}")
        key = (recorded.number, step, camera)
        jpeg = self._cache.get(key)
        if jpeg is None:
            jpeg = _jpeg(topic.decode(PicturePlace(recorded.file, offset, length, crc).read()))
            self._cache.put(key, jpeg)
        return jpeg

    def clip(self, segment: Segment, camera: str) -> list[bytes]:
        """The pictures of a segment as JPEG: one before each step, and one behind the last; errors as for frame."""
        with self._lock:
            number = self._inside(segment).number
        return [self.frame(number, segment.start + i, camera) for i in range(segment.length + 1)]

    # -- helpers -----------------------------------------------------------------------------------------------------

    def _find(self, episode: int | str) -> _Recorded:
        number = self._numbers.get(episode, -1) if isinstance(episode, str) else episode
        if not 0 <= number < len(self._episodes):
            if isinstance(episode, str):
                raise UnknownNameError("episode", episode, self._numbers)
            raise InvalidValueError("episode", episode, f"numbers below {len(self._episodes)}")
        return self._episodes[number]

    def _inside(self, segment: Segment) -> _Recorded:
        recorded = self._find(segment.episode_id)
        if segment.start + segment.length > recorded.steps:
            raise InvalidValueError(
                f"segment of {segment.episode_id}",
                f"steps {segment.start} to {segment.start + segment.length}",
                f"0 to {recorded.steps}",
            )
        return recorded

    def _row(self, recorded: _Recorded) -> EpisodeRow:
        meta, end = recorded.meta, recorded.end
        labels = self.labels.of(meta.id)
        ended = None if end is None else end.outcome
        return EpisodeRow(
            number=recorded.number,
            id=meta.id,
            task=meta.task,
            kind=meta.kind,
            recorded=ended,
            outcome=labels.outcome_of(ended),
            deleted=labels.deleted,
            open=recorded.open,
            steps=recorded.steps,
            seconds=recorded.stamps[-1] - recorded.stamps[0],
            human_steps=recorded.drivers.count(Driver.HUMAN),
            continues=meta.continues,
            detail="" if end is None else end.detail,
        )


class PictureCache:
    """The pictures asked for last, up to a number of bytes."""

    def __init__(self, limit: int) -> None:
        self.bytes = 0
        self._limit = limit
        self._kept: OrderedDict[tuple[int, int, str], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[int, int, str]) -> bytes | None:
        with self._lock:
            picture = self._kept.get(key)
            if picture is not None:
                self._kept.move_to_end(key)
            return picture

    def put(self, key: tuple[int, int, str], picture: bytes) -> None:
        with self._lock:
            self.bytes += len(picture) - len(self._kept.pop(key, b""))
            self._kept[key] = picture
            while self.bytes > self._limit:
                _, oldest = self._kept.popitem(last=False)
                self.bytes -= len(oldest)


class _ValuesFile:
    """The critic's values by episode, from a file of JSON lines; read when first asked for, then by what is new."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = 0
        self._read = 0
        """Bytes: when last looked at, and of whole lines taken in."""
        self._values: dict[str, EpisodeValues] = {}

    def has_changed(self) -> bool:
        """Whether it has grown, or shrunk, since this was asked last."""
        size = self._size()
        changed, self._seen = size != self._seen, size
        return changed

    def of(self, episode: str) -> EpisodeValues | None:
        """The last that was said of an episode."""
        size = self._size()
        if size < self._read:  # another file
            self._read = 0
            self._values.clear()
        if size > self._read:
            self._read_on()
        return self._values.get(episode)

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def _read_on(self) -> None:
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                new = file.read()
        except OSError:
            return
        whole = new.rfind(b"\n") + 1  # what stands behind is being written, or was cut by a crash
        for line in new[:whole].splitlines():
            try:
                row = json.loads(line)
                q, returns = _numbers(row["q"]), _numbers(row["return"])
                if len(q) == len(returns):
                    self._values[str(row["episode"])] = EpisodeValues(q, returns, int(row["policy_updates"]))
            except (ValueError, KeyError, TypeError, OverflowError):
                continue
        self._read += whole


def _numbers(values: Sequence[float | None]) -> tuple[float | None, ...]:
    return tuple(None if v is None or not math.isfinite(v) else float(v) for v in values)


def _runs(drivers: bytes) -> Iterator[DriverRun]:
    start = 0
    for driver, group in itertools.groupby(drivers):
        length = sum(1 for _ in group)
        yield DriverRun(Driver(driver), start, length)
        start += length


def _jpeg(picture: np.ndarray) -> bytes:
    """Args: picture uint8 (H, W, 3), RGB."""
    ok, jpeg = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
    if not ok:
        raise JournalError(f"a picture of shape {picture.shape} that JPEG cannot hold")
    return jpeg.tobytes()
