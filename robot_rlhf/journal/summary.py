"""What a journal holds, counted: the content of `robot-rlhf journal info`."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from robot_rlhf.datatypes import EpisodeEnd, Feedback, Step
from robot_rlhf.journal.blocks import summary_problem
from robot_rlhf.journal.decoder import EpisodeStarted, Record
from robot_rlhf.journal.files import journal_files
from robot_rlhf.journal.labels import Labels
from robot_rlhf.journal.robots import RUN, differences
from robot_rlhf.journal.tail import FileEnd, JournalTail, check_journal, session_of

BROKEN_OFF = "broken off"
"""In place of an outcome where an episode's end was not recorded."""


@dataclass(frozen=True)
class JournalSummary:
    """A journal in numbers."""

    path: Path
    files: int
    bytes: int
    journal_versions: tuple[int, ...]
    """Of the formats of its files."""
    whole: int
    """Files that were closed, and of which every byte was compared with a checksum."""
    problems: tuple[str, ...]
    """What is to be said of the others: how far each was read, and what was passed over."""
    metadata: Mapping[str, str]
    """Session metadata of the newest file."""
    versions: Mapping[str, tuple[str, ...]]
    """Software versions that the episodes name, by package."""
    tasks: Mapping[str, int]
    """Episodes by task."""
    episodes: Mapping[str, Mapping[str, int]]
    """Number of episodes by kind, then by outcome; 'broken off' for one without an end."""
    steps: int
    steps_without_actions: int
    """Of which nobody knows what the robot was told."""
    steps_by_driver: Mapping[str, int]
    duration: float
    """Seconds from first to last observation, summed over the episodes."""
    hands_on_seconds: float
    """The part of it in which a person drove."""
    at_machine_seconds: float
    """The part of it for which a person was there, their hands on or not: demonstrations whole, and practice that
    somebody could take over."""
    events: Mapping[str, int]
    """Feedback by kind, guard events as 'guard: <rule>'."""
    deleted: int
    """Episodes that a person deleted later; they are among `episodes` as they were recorded."""
    relabelled: Mapping[str, int]
    """Episodes whose outcome a person labelled after their end, by that outcome."""
    preferences: int
    """Pairs of segments with a preference that stands."""
    topics: Mapping[str, int]
    """Messages by topic."""

    @property
    def total_episodes(self) -> int:
        return sum(sum(outcomes.values()) for outcomes in self.episodes.values())

    @property
    def broken_off(self) -> int:
        """Episodes whose end was not recorded."""
        return sum(outcomes.get(BROKEN_OFF, 0) for outcomes in self.episodes.values())

    @property
    def human_share(self) -> float:
        """Share of the steps that a person drove; 0 for an empty journal."""
        return self.steps_by_driver.get("human", 0) / self.steps if self.steps else 0.0


class _Count:
    """Running totals while a journal is read."""

    def __init__(self) -> None:
        self.tasks: Counter[str] = Counter()
        self.outcomes: dict[str, Counter[str]] = {}
        self.drivers: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.versions: dict[str, set[str]] = {}
        self.without_actions = 0
        self.duration = 0.0
        self.hands_on_seconds = 0.0
        self.at_machine_seconds = 0.0
        self._attended = False
        self.labels = Labels()
        self._open: str | None = None

    def begin_file(self) -> None:
        self.end_episode(BROKEN_OFF)
        self.labels.begin_file()

    def end_episode(self, outcome: str) -> None:
        if self._open is not None:
            self.outcomes.setdefault(self._open, Counter())[outcome] += 1
        self._open = None

    def add(self, record: Record) -> None:
        self.labels.add(record)
        if isinstance(record, EpisodeStarted):
            self.end_episode(BROKEN_OFF)
            self._open, self._attended = record.meta.kind.value, record.meta.attended
            self.tasks[record.meta.task] += 1
            for package, version in record.meta.versions.items():
                self.versions.setdefault(package, set()).add(version)
        elif isinstance(record, Step):
            seconds = record.next_observation.stamp - record.observation.stamp
            driver = record.driver.name.lower()
            self.drivers[driver] += 1
            self.without_actions += record.executed is None
            self.duration += seconds
            self.hands_on_seconds += seconds if driver == "human" else 0.0
            self.at_machine_seconds += seconds if self._attended else 0.0
        elif isinstance(record, EpisodeEnd):
            self.end_episode(record.outcome.value)
        elif isinstance(record, Feedback):
            self.events[record.kind.value] += 1
        else:
            self.events[f"guard: {record.rule}"] += 1


def describe(path: str | os.PathLike[str]) -> JournalSummary:
    """Read a journal once and count.

    Raises:
        JournalError: no journal, a foreign or damaged file, or one of another version.
    """
    where = check_journal(path)
    count = _Count()
    with JournalTail(where, pictures=False, same=(), warns=False) as tail:
        before: Path | None = None
        for file, records in tail.pieces():
            if file != before:
                count.begin_file()
                before = file
            for record in records:
                count.add(record)
        count.end_episode(BROKEN_OFF)
        topics, metadata, ends = tail.topics, dict(tail.metadata), tail.ends
    files = journal_files(where) if where.is_dir() else [where]
    return JournalSummary(
        path=where,
        files=len(files),
        bytes=sum(file.stat().st_size for file in files),
        journal_versions=tuple(sorted({end.version for end in ends if end.version is not None})),
        whole=sum(end.closed and end.checked for end in ends),
        problems=(*_problems(ends), *_other_robots(files)),
        metadata=metadata,
        versions={package: tuple(sorted(found)) for package, found in sorted(count.versions.items())},
        tasks=dict(count.tasks),
        episodes={kind: dict(outcomes) for kind, outcomes in count.outcomes.items()},
        steps=sum(count.drivers.values()),
        steps_without_actions=count.without_actions,
        steps_by_driver=dict(count.drivers),
        duration=count.duration,
        hands_on_seconds=count.hands_on_seconds,
        at_machine_seconds=count.at_machine_seconds,
        events=dict(count.events),
        deleted=len(count.labels.deleted),
        relabelled=dict(Counter(outcome.value for outcome in count.labels.relabelled.values())),
        preferences=len(count.labels.preferences),
        topics=dict(sorted(topics.items())),
    )


def _problems(ends: Sequence[FileEnd]) -> Iterator[str]:
    for end in ends:
        if not (end.closed and end.checked):
            yield str(end)
        problem = summary_problem(end.file, end.offset) if end.closed else ""
        if problem:
            yield f"{end.file}: {problem}; tools that read bags may refuse it, nothing recorded is lost"


def _other_robots(files: Sequence[Path]) -> Iterator[str]:
    """Files whose robot differs from the one before."""
    described = [(file, session[0]) for file in files if (session := session_of(file)) is not None]
    for (before, robot), (file, other) in itertools.pairwise(described):
        found = differences(other, robot, RUN)
        if found:
            yield f"{file}: another robot than in {before.name}: {'; '.join(found)}"
