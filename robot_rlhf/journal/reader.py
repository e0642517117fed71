"""Reads a journal: all of it, episode by episode, or as it grows."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from robot_rlhf.datatypes import Driver, EpisodeEnd, EpisodeMeta, Event, Outcome, RobotSpec, Step
from robot_rlhf.episode import Episode
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.decoder import EpisodeStarted, FileDecoder, Record
from robot_rlhf.journal.writer import journal_files
from robot_rlhf.ports import Subscriber

_PIECE = 1 << 20
"""Bytes read at once; larger records wait for their next piece."""


class JournalTail:
    """Follows a journal that another process may be writing; each record is read and decoded once.

    A record that is not yet whole is waited for; where a run died in the middle of one, it is passed over as soon
    as the next run's file is there. The folder may still be empty or missing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Args: path: a journal's folder, or one of its files."""
        self._path = Path(path)
        self._descriptor = -1
        self._number = -1
        self._decoder: FileDecoder | None = None
        self._topics: Counter[str] = Counter()

    @property
    def spec(self) -> RobotSpec | None:
        """The robot of the newest file that was reached; None before its header was read."""
        return None if self._decoder is None else self._decoder.spec

    @property
    def metadata(self) -> Mapping[str, str]:
        """The session metadata of the newest file that was reached."""
        return {} if self._decoder is None else self._decoder.metadata

    @property
    def topics(self) -> Counter[str]:
        """Messages per topic so far."""
        return self._topics if self._decoder is None else self._topics + self._decoder.topics

    def poll(self, max_bytes: int = 16 * _PIECE) -> list[Record]:
        """Everything that became whole since the last call; empty when there is nothing new. Does not wait.

        Args:
            max_bytes: stop after about so many bytes, so that catching up with a long journal fits into memory.

        Raises:
            JournalError: a foreign or damaged file, or one of another version.
        """
        found: list[Record] = []
        read = 0
        while read < max_bytes:
            got, records = self._read_piece()
            found += records
            read += got
            if not got:
                break
        return found

    def records(self) -> Iterator[Record]:
        """Everything until the present end."""
        while True:
            got, found = self._read_piece()
            yield from found
            if not got:
                return

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> JournalTail:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _read_piece(self) -> tuple[int, list[Record]]:
        """Read on in the current file, or at its end begin the next. Returns bytes read (0 at the present end)."""
        while True:
            # Looked for before reading: a run that has begun its file will not append to the one before it.
            following = self._following()
            if self._decoder is not None and self._descriptor >= 0:
                data = os.read(self._descriptor, _PIECE)
                if data:
                    return len(data), self._decoder.feed(data)
            if following is None:
                return 0, []
            self._begin(following)

    def _following(self) -> Path | None:
        if self._path.suffix == ".mcap" and not self._path.is_dir():
            return self._path if self._number < 0 and self._path.exists() else None
        return next((path for path in journal_files(self._path) if int(path.stem) > self._number), None)

    def _begin(self, path: Path) -> None:
        self.close()
        self._topics = self.topics
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise JournalError(f"{path}: cannot read the journal: {error.strerror}") from error
        self._number = int(path.stem) if path.stem.isdecimal() else 0
        self._decoder = FileDecoder(path)


def check_journal(path: str | os.PathLike[str]) -> Path:
    """The path, once it is clear that a journal is there.

    Raises:
        JournalError: nothing there, or a folder without numbered MCAP files.
    """
    where = Path(path)
    if not where.exists():
        raise JournalError(
            f"{where}: no such journal; allowed: a folder with 000.mcap, 001.mcap, ..., or one such file"
        )
    if where.is_dir() and not journal_files(where):
        raise JournalError(f"{where}: no journal files in this folder; allowed: 000.mcap, 001.mcap, ...")
    return where


def read_journal(path: str | os.PathLike[str]) -> Iterator[Record]:
    """Everything recorded, in the order of recording.

    Raises:
        JournalError: no journal, a foreign or damaged file, or one of another version.
    """
    with JournalTail(check_journal(path)) as tail:
        yield from tail.records()


def journal_spec(path: str | os.PathLike[str]) -> RobotSpec:
    """The robot of a journal, as its newest file describes it.

    Raises:
        JournalError: no journal, or every file broke off before its description.
    """
    where = check_journal(path)
    for file in reversed(journal_files(where) if where.is_dir() else [where]):
        with JournalTail(file) as tail:
            tail.poll(1)
            if tail.spec is not None:
                return tail.spec
    raise JournalError(f"{where}: the journal broke off before it described its robot")


def episodes(path: str | os.PathLike[str]) -> Iterator[Episode]:
    """Every episode with at least one step; `end` is None where the recording broke off.

    An episode's events are those recorded while it was open; later ones about it are in read_journal.
    """
    meta: EpisodeMeta | None = None
    steps: list[Step] = []
    events: list[Event] = []
    for record in read_journal(path):
        if isinstance(record, EpisodeStarted):
            if meta is not None and steps:
                yield Episode.from_steps(meta, steps, events)
            meta, steps, events = record.meta, [], []
        elif isinstance(record, Step):
            steps.append(record)
        elif isinstance(record, EpisodeEnd):
            if meta is not None and steps:
                yield Episode.from_steps(meta, steps, events, record)
            meta, steps, events = None, [], []
        elif meta is not None:
            events.append(record)
    if meta is not None and steps:
        yield Episode.from_steps(meta, steps, events)


@dataclass(frozen=True)
class ReplayCounts:
    """What a replayed journal held."""

    episodes: int
    steps: int
    human_steps: int
    broken_off: int
    """Episodes without a recorded end."""
    last_stamp: float
    """Clock time of the last observation, seconds; 0 for an empty journal. A simulated clock goes on from here."""


def replay_into(path: str | os.PathLike[str], subscriber: Subscriber) -> ReplayCounts:
    """Tell a subscriber everything that was recorded, as if it happened now.

    An episode that broke off is ended with Outcome.STOPPED, so that every start has its end.
    """
    count: Counter[str] = Counter()
    episode: str | None = None
    steps = 0
    last_stamp = 0.0

    def break_off() -> None:
        if episode is not None:
            count["broken_off"] += 1
            subscriber.on_episode_end(EpisodeEnd(episode, Outcome.STOPPED, steps, "the recording broke off"))

    for record in read_journal(path):
        if isinstance(record, EpisodeStarted):
            break_off()
            episode, steps = record.meta.id, 0
            last_stamp = record.observation.stamp
            count["episodes"] += 1
            subscriber.on_episode_start(record.meta, record.observation)
        elif isinstance(record, Step):
            steps += 1
            last_stamp = record.next_observation.stamp
            count["steps"] += 1
            count["human_steps"] += record.driver is Driver.HUMAN
            subscriber.on_step(record)
        elif isinstance(record, EpisodeEnd):
            episode = None
            subscriber.on_episode_end(record)
        else:
            subscriber.on_event(record)
    break_off()
    return ReplayCounts(count["episodes"], count["steps"], count["human_steps"], count["broken_off"], last_stamp)
