"""A recorded or still growing session, made browsable: an index of its episodes, and their pictures on demand."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from robot_rlhf.console.critic_values import EpisodeValues, ValuesFile
from robot_rlhf.console.episode_index import DriverRun, EpisodeIndex, EpisodeRow
from robot_rlhf.console.recorded_pictures import CACHE_BYTES, RecordedPictures
from robot_rlhf.console.sentences import Said, Sentences
from robot_rlhf.datatypes import Array, EpisodeEnd, Event, Feedback, Outcome, RobotSpec, Segment, Step
from robot_rlhf.errors import InvalidValueError, JournalError, UnknownNameError
from robot_rlhf.facts import PLACES
from robot_rlhf.feedback.queries import path_features
from robot_rlhf.journal.decoder import EpisodeStarted, Places, Record
from robot_rlhf.journal.labels import Labels, is_about
from robot_rlhf.journal.tail import JournalTail

PIECE_BYTES = 8 << 20
"""Read at once, so that a page may ask for an episode while a long journal is still being indexed."""


class LabelSink(Protocol):
    """Takes what a person says about recorded episodes: a LabelWriter, or the way to a running session."""

    def give(self, feedback: Feedback) -> None:
        """Keep it. Raises RobotRlhfError when it cannot be kept."""
        ...


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
        self._sentences = Sentences()
        self._places: list[Places] = []
        self._tail = JournalTail(self.path, places=self._places)
        self._episodes: list[EpisodeIndex] = []
        self._numbers: dict[str, int] = {}
        self._file: Path | None = None
        self._version = 0
        self._lock = threading.RLock()
        self._pictures = RecordedPictures(cache_bytes)
        self._values = ValuesFile(Path(values)) if values else None

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
        recorded = EpisodeIndex(len(self._episodes), record.meta, file)
        recorded.observe(record.observation, places)
        self._numbers[record.meta.id] = recorded.number
        self._episodes.append(recorded)

    def _close_open(self) -> None:
        if self._episodes:
            self._episodes[-1].open = False

    def _take_event(self, event: Event) -> None:
        recorded = self._episodes[-1] if self._episodes and self._episodes[-1].open else None
        if isinstance(event, Feedback):
            self._sentences.add(event)
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
            return self._find(episode).driver_runs()

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
            return self._find(episode).located_events()

    def sentences(self, episode: int | str) -> tuple[Said, ...]:
        """What was said about an episode, and how it is read today."""
        with self._lock:
            return self._sentences.about(self._find(episode).meta.id)

    @property
    def things(self) -> tuple[str, ...]:
        """Names of what may be spoken of: things of the scene, and what sentences of this session speak of."""
        scene = {} if self.spec is None else self.spec.scene
        with self._lock:
            named = (*(name for name, size in scene.items() if size in PLACES), *self._sentences.things)
        return tuple(dict.fromkeys(named))

    def tool_path(self, segment: Segment) -> list[list[float]]:
        """x, y, z in metres and the gripper's opening before each step of a segment, and after the last.

        Raises:
            UnknownNameError: no such episode.
            InvalidValueError: the segment is not inside it.
        """
        with self._lock:
            return self._inside(segment).tool_path(segment.start, segment.length)

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
            place = recorded.picture(step, camera)
        return self._pictures.jpeg(recorded.number, step, camera, place)

    def clip(self, segment: Segment, camera: str) -> list[bytes]:
        """The pictures of a segment as JPEG: one before each step, and one behind the last; errors as for frame."""
        with self._lock:
            number = self._inside(segment).number
        return [self.frame(number, segment.start + i, camera) for i in range(segment.length + 1)]

    # -- helpers -----------------------------------------------------------------------------------------------------

    def _find(self, episode: int | str) -> EpisodeIndex:
        number = self._numbers.get(episode, -1) if isinstance(episode, str) else episode
        if not 0 <= number < len(self._episodes):
            if isinstance(episode, str):
                raise UnknownNameError("episode", episode, self._numbers)
            raise InvalidValueError("episode", episode, f"numbers below {len(self._episodes)}")
        return self._episodes[number]

    def _inside(self, segment: Segment) -> EpisodeIndex:
        recorded = self._find(segment.episode_id)
        recorded.check_span(segment.start, segment.length)
        return recorded

    def _row(self, recorded: EpisodeIndex) -> EpisodeRow:
        episode = recorded.meta.id
        return replace(recorded.row(self.labels.of(episode)), sentences=self._sentences.count_about(episode))
