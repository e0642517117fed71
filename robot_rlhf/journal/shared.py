"""Follows a journal to which several writers append at once, each its own file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from robot_rlhf.datatypes import EpisodeEnd, Outcome, RobotSpec, Step
from robot_rlhf.journal.decoder import EpisodeStarted, Record
from robot_rlhf.journal.files import journal_files
from robot_rlhf.journal.robots import MEANING, PICTURED, check_same
from robot_rlhf.journal.tail import JournalTail

WRITER = "writer"
"""Session metadata that names who wrote a file of a shared journal."""

BYTES_AT_ONCE = 4 << 20
"""Per file and call."""


@dataclass
class _Followed:
    """One file, and what is held back of its open episode."""

    tail: JournalTail
    held: list[Record] = field(default_factory=list[Record])
    steps: int = 0
    """Among what is held."""
    at_end: bool = False
    """The last look found nothing more."""


class SharedTail:
    """Tells whole episodes, in the order in which they end: so it reads like the journal of one writer.

    An episode is held back until its end was recorded. One that broke off is told, ended with Outcome.STOPPED, once a
    later file of the same writer is there. The folder may still be empty or missing.
    """

    def __init__(self, folder: str | os.PathLike[str], *, pictures: bool = True) -> None:
        """Args: pictures: False leaves them out of the observations."""
        self._folder = Path(folder)
        self._pictures = pictures
        self._files: dict[Path, _Followed] = {}
        self._done: set[Path] = set()
        self.spec: RobotSpec | None = None
        """The robot; None before a file's header was read."""

    def poll(self) -> list[Record]:
        """Episodes that ended since the last call, and events outside episodes; empty when there is nothing new.

        Does not wait, and stops after some megabytes, so that catching up with a long journal fits into memory.

        Raises:
            JournalError: a foreign or damaged file, or one of another version.
        """
        while True:
            whole = self._look()
            if whole or all(file.at_end for file in self._files.values()):
                return whole

    def rest(self) -> list[Record]:
        """What is left once nobody writes any more: an episode that is open then has broken off, and is told so.

        Raises:
            JournalError: as `poll` does.
        """
        told: list[Record] = []
        while records := self.poll():
            told += records
        return told + [record for path in list(self._files) for record in self._break_off(path)]

    def close(self) -> None:
        """Let go of the files. Idempotent."""
        for file in self._files.values():
            file.tail.close()

    def __enter__(self) -> SharedTail:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _look(self) -> list[Record]:
        for path in journal_files(self._folder):  # before reading: who has begun a file does not append to its last one
            if path not in self._files and path not in self._done:
                self._files[path] = _Followed(JournalTail(path, pictures=self._pictures))
        whole = [record for file in self._files.values() for record in self._read(file)]
        return whole + [record for path in self._superseded() for record in self._break_off(path)]

    def _read(self, file: _Followed) -> Iterator[Record]:
        file.at_end = True
        for _, records in file.tail.pieces(BYTES_AT_ONCE):
            file.at_end = False
            for record in records:
                yield from _whole(file, record)
        self._compare(file.tail)

    def _compare(self, tail: JournalTail) -> None:
        """Raises JournalError when the numbers of a file mean something else than those of the first."""
        if tail.spec is None or tail.spec is self.spec:
            return
        if self.spec is None:
            self.spec = tail.spec
        check_same(tail.spec, self.spec, str(tail.path), str(self._folder), PICTURED if self._pictures else MEANING)

    def _superseded(self) -> list[Path]:
        """Files read to their end whose writer has begun another one since."""
        newest = {file.tail.metadata.get(WRITER, ""): path for path, file in self._files.items() if file.tail.spec}
        found: list[Path] = []
        for path, file in self._files.items():
            later = newest.get(file.tail.metadata.get(WRITER, ""), path)
            if file.at_end and later != path:
                found.append(path)
        return found

    def _break_off(self, path: Path) -> list[Record]:
        file = self._files.pop(path)
        self._done.add(path)
        file.tail.settle()
        file.tail.close()
        if not file.held:
            return []
        started = file.held[0]
        assert isinstance(started, EpisodeStarted)
        return [*file.held, EpisodeEnd(started.meta.id, Outcome.STOPPED, file.steps, "the recording broke off")]


def _whole(file: _Followed, record: Record) -> Sequence[Record]:
    """What may be told with this record."""
    if not file.held and not isinstance(record, EpisodeStarted):
        return [record]
    file.held.append(record)
    file.steps += isinstance(record, Step)
    if not isinstance(record, EpisodeEnd):
        return ()
    told, file.held, file.steps = file.held, [], 0
    return told


def files_of(folder: Path, writer: str) -> list[Path]:
    """The files that one writer has written, in the order of writing."""
    return [path for path in journal_files(folder) if writer_of(path) == writer]


def writer_of(path: Path) -> str | None:
    """Who wrote a file; empty where it does not say, None where it broke off before."""
    with JournalTail(path, pictures=False, steps=False) as tail:
        tail.poll(1)
        return tail.metadata.get(WRITER, "") if tail.spec else None
