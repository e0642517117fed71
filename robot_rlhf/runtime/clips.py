"""The segments of a journal for labelers: senses are held in memory, pictures are read from disk when asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import EpisodeEnd, EpisodeMeta, Feedback, FeedbackKind, Observation, Outcome, Segment, Step
from robot_rlhf.episode import stack_observations
from robot_rlhf.errors import RenderError, UnknownNameError
from robot_rlhf.journal.decoder import EpisodeStarted, Places
from robot_rlhf.journal.labels import Labels
from robot_rlhf.journal.sensors import ImageTopic
from robot_rlhf.journal.tail import JournalTail, check_journal
from robot_rlhf.rewards.pairs import EpisodeFacts, camera_of, check_inside
from robot_rlhf.runtime.trajectories import SUCCEEDED


@dataclass(frozen=True)
class _Recorded:
    """One episode, or one part of a paused one."""

    meta: EpisodeMeta
    instruction: str
    columns: Mapping[str, NDArray[Any]]
    """T + 1 rows each; no pictures, nothing privileged."""
    places: tuple[Places, ...]
    """Of the pictures of each observation."""
    end: EpisodeEnd | None

    @property
    def steps(self) -> int:
        return len(self.places) - 1


class JournalClips:
    """A journal that nobody writes any more, as `rewards.pairs.Clips`.

    It holds less than a kilobyte per step; a picture is decoded whenever it is asked for, and not kept.
    """

    def __init__(self, recorded: Mapping[str, _Recorded], labels: Labels, given: tuple[Feedback, ...]) -> None:
        """Made by `read_clips`."""
        self._recorded = recorded
        self.labels = labels
        """What is said of the journal today."""
        self.comparisons = given
        """Everything that was ever said about pairs, in the order of recording; also what no longer stands."""

    @property
    def steps(self) -> dict[str, int]:
        """Id to number of steps of every episode with at least one, in the order of recording."""
        return {name: recorded.steps for name, recorded in self._recorded.items()}

    @property
    def comparable(self) -> dict[str, int]:
        """The same without those that were discarded or deleted."""
        return {name: r.steps for name, r in self._recorded.items() if self._outcome(r) is not Outcome.DISCARDED}

    def facts(self, episode_id: str) -> EpisodeFacts:
        recorded = self._find(episode_id)
        outcome = self._outcome(recorded)
        success = None if outcome is None else SUCCEEDED.get(outcome)
        return EpisodeFacts(recorded.steps, recorded.instruction, success, tuple(recorded.places[0]))

    def observations(self, segment: Segment) -> Mapping[str, NDArray[Any]]:
        recorded = self._find(segment.episode_id)
        check_inside(segment, recorded.steps)
        rows = slice(segment.start, segment.start + segment.length + 1)
        return {name: column[rows] for name, column in recorded.columns.items()}

    def frames(self, segment: Segment, camera: str) -> NDArray[np.uint8]:
        recorded = self._find(segment.episode_id)
        check_inside(segment, recorded.steps)
        camera_of(self, segment.episode_id, camera)
        topic = ImageTopic(camera)
        places = recorded.places[segment.start : segment.start + segment.length + 1]
        if missing := [segment.start + i for i, place in enumerate(places) if camera not in place]:
            raise RenderError(f"episode {segment.episode_id}: no picture of camera {camera} at step {missing[0]}")
        return np.stack([topic.decode(place[camera].read()) for place in places])

    def _find(self, episode_id: str) -> _Recorded:
        if episode_id not in self._recorded:
            raise UnknownNameError("episode", episode_id, self._recorded)
        return self._recorded[episode_id]

    def _outcome(self, recorded: _Recorded) -> Outcome | None:
        ended = None if recorded.end is None else recorded.end.outcome
        return self.labels.of(recorded.meta.id).outcome_of(ended)


def read_clips(path: str | os.PathLike[str]) -> JournalClips:
    """Read all of a journal but its pictures.

    Raises:
        JournalError: no journal, a foreign or damaged file, or one of another version.
    """
    labels = Labels()
    given: list[Feedback] = []
    recorded = {r.meta.id: r for r in _read_all(check_journal(path), labels, given) if r.steps}
    return JournalClips(recorded, labels, tuple(given))


def _read_all(path: Path, labels: Labels, given: list[Feedback]) -> Iterator[_Recorded]:
    """Every episode; an event also goes to the labels, and a comparison to `given`."""
    told: list[Places] = []
    reading: _Reading | None = None
    before: Path | None = None
    with JournalTail(path, places=told) as tail:
        for file, records in tail.pieces():
            if file != before:
                labels.begin_file()
                if reading is not None:
                    yield reading.done(None)
                before, reading = file, None
            places = iter(told)
            for record in records:
                labels.add(record)
                if isinstance(record, EpisodeStarted):
                    if reading is not None:
                        yield reading.done(None)
                    reading = _Reading(record, next(places))
                elif isinstance(record, Step):
                    place = next(places)
                    if reading is not None:
                        reading.add(record, place)
                elif isinstance(record, EpisodeEnd):
                    if reading is not None:
                        yield reading.done(record)
                    reading = None
                elif isinstance(record, Feedback) and record.kind is FeedbackKind.PREFERENCE:
                    given.append(record)
            told.clear()
    if reading is not None:
        yield reading.done(None)


class _Reading:
    """An episode while its records come."""

    def __init__(self, started: EpisodeStarted, places: Places) -> None:
        self._meta = started.meta
        self._observations: list[Observation] = [started.observation]
        self._places: list[Places] = [places]
        self._instruction = ""

    def add(self, step: Step, places: Places) -> None:
        self._observations.append(step.next_observation)
        self._places.append(places)
        self._instruction = step.instruction

    def done(self, end: EpisodeEnd | None) -> _Recorded:
        columns = stack_observations(self._observations)
        allowed = {name: column for name, column in columns.items() if not name.startswith("privileged/")}
        for column in allowed.values():
            column.flags.writeable = False
        return _Recorded(self._meta, self._instruction, allowed, tuple(self._places), end)
