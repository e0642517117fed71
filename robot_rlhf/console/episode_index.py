"""The index of one recorded episode: what is small is kept, pictures are only located."""

from __future__ import annotations

import bisect
import itertools
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from robot_rlhf.datatypes import (
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Event,
    Feedback,
    Observation,
    Outcome,
    Step,
)
from robot_rlhf.errors import InvalidValueError, UnknownNameError
from robot_rlhf.journal.decoder import PicturePlace, Places
from robot_rlhf.journal.labels import EpisodeLabels

PATH_SIZE = 4
"""Tool position x, y, z in metres, and gripper opening, per observation."""


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
    sentences: int = 0
    """So many were said about it."""


@dataclass
class EpisodeIndex:
    """One episode, so far as it has been read. Its reader guards it: nothing here is locked."""

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
        """How many there are so far."""
        return len(self.rewards)

    # -- taking in ---------------------------------------------------------------------------------------------------

    def observe(self, observation: Observation, places: Places) -> None:
        """Take in an observation: the one before the first step, or the one behind a step."""
        index = len(self.stamps)
        self.stamps.append(observation.stamp)
        self.path.extend((*observation.tool_pose_in_base[:3].tolist(), observation.gripper))
        for camera, place in places.items():
            known = self.pictures.setdefault(camera, array("q"))
            known.extend([0, 0, 0] * (index - len(known) // 3))
            known.extend((place.offset, place.length, place.crc))

    def add(self, step: Step, places: Places) -> None:
        """Take in a step, and where the pictures behind it are."""
        self.drivers.append(step.driver)
        self.rewards.append(step.reward)
        if not self.instructions or self.instructions[-1][1] != step.instruction:
            self.instructions.append((step.index, step.instruction))
        self.observe(step.next_observation, places)

    # -- what is asked of it -----------------------------------------------------------------------------------------

    def row(self, labels: EpisodeLabels) -> EpisodeRow:
        """Its line in the table of contents, as labelled today."""
        ended = None if self.end is None else self.end.outcome
        return EpisodeRow(
            number=self.number,
            id=self.meta.id,
            task=self.meta.task,
            kind=self.meta.kind,
            recorded=ended,
            outcome=labels.outcome_of(ended),
            deleted=labels.deleted,
            open=self.open,
            steps=self.steps,
            seconds=self.stamps[-1] - self.stamps[0],
            human_steps=self.drivers.count(Driver.HUMAN),
            continues=self.meta.continues,
            detail="" if self.end is None else self.end.detail,
        )

    def driver_runs(self) -> list[DriverRun]:
        """Who drove, from the first step to the last."""
        return list(_runs(bytes(self.drivers)))

    def located_events(self) -> list[tuple[Event, int, int]]:
        """What happened in or was said about it, each with the steps it is about: first, and count."""
        located: list[tuple[Event, int, int]] = []
        for event in self.events:
            if isinstance(event, Feedback):
                located.append((event, event.span.start, event.span.length))
            else:
                step = bisect.bisect_left(self.stamps, event.stamp) - 1
                located.append((event, min(max(step, 0), max(self.steps - 1, 0)), 1))
        return located

    def check_span(self, start: int, length: int) -> None:
        """Raises InvalidValueError when the span reaches beyond the last step."""
        if start + length > self.steps:
            raise InvalidValueError(
                f"segment of {self.meta.id}", f"steps {start} to {start + length}", f"0 to {self.steps}"
            )

    def tool_path(self, start: int, length: int) -> list[list[float]]:
        """x, y, z in metres and the gripper's opening before each of some steps, and after the last."""
        flat = self.path[start * PATH_SIZE : (start + length + 1) * PATH_SIZE]
        return np.asarray(flat, np.float64).reshape(-1, PATH_SIZE).round(5).tolist()

    def picture(self, step: int, camera: str) -> PicturePlace:
        """Where the picture before a step is, or the one behind the last.

        Raises:
            UnknownNameError: no such camera.
            InvalidValueError: no such step, or no picture at it.
        """
        if not 0 <= step <= self.steps:
            raise InvalidValueError("step", step, f"0 to {self.steps} in episode {self.meta.id}")
        if camera not in self.pictures:
            raise UnknownNameError("camera", camera, self.pictures)
        known = self.pictures[camera]
        offset, length, crc = known[3 * step : 3 * step + 3] if 3 * step < len(known) else (0, 0, 0)
        if not length:
            raise InvalidValueError("step", step, f"one with a picture of camera {camera}")
        return PicturePlace(self.file, offset, length, crc)


def _runs(drivers: bytes) -> Iterator[DriverRun]:
    start = 0
    for driver, group in itertools.groupby(drivers):
        length = sum(1 for _ in group)
        yield DriverRun(Driver(driver), start, length)
        start += length
