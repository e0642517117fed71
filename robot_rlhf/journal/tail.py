"""Follows a journal on disk: all of it that is there, and what it gains."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.decoder import FileDecoder, Places, Record
from robot_rlhf.journal.files import journal_files

_PIECE = 1 << 20
"""Bytes read at once; larger records wait for their next piece."""


class JournalTail:
    """Follows a journal that another process may be writing; each record is read and decoded once.

    A record that is not yet whole is waited for; where a run died in the middle of one, it is passed over as soon
    as the next run's file is there. The folder may still be empty or missing.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        pictures: bool = True,
        steps: bool = True,
        places: list[Places] | None = None,
    ) -> None:
        """Args:
        path: a journal's folder, or one of its files.
        pictures, steps, places: what to leave out, and where pictures are told, as FileDecoder says.
        """
        self._path = Path(path)
        self._pictures = pictures
        self._steps = steps
        self._places = places
        self._descriptor = -1
        self._number = -1
        self._file: Path | None = None
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
        return [record for _, records in self.pieces(max_bytes) for record in records]

    def records(self) -> Iterator[Record]:
        """Everything until the present end."""
        for _, records in self.pieces():
            yield from records

    def pieces(self, max_bytes: int | None = None) -> Iterator[tuple[Path, list[Record]]]:
        """The same piece by piece, each with the file it is from: no episode goes on in another file.

        Args:
            max_bytes: stop after about so many bytes; None: at the present end.
        """
        read = 0
        while max_bytes is None or read < max_bytes:
            got, file, records = self._read_piece()
            if file is None:
                return
            read += got
            yield file, records

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

    def _read_piece(self) -> tuple[int, Path | None, list[Record]]:
        """Read on in the current file, or at its end begin the next. Returns bytes, file (None at the end), records."""
        while True:
            # Looked for before reading: a run that has begun its file will not append to the one before it.
            following = self._following()
            if self._decoder is not None and self._descriptor >= 0:
                data = os.read(self._descriptor, _PIECE)
                if data:
                    return len(data), self._file, self._decoder.feed(data)
            if following is None:
                return 0, None, []
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
        self._file = path
        self._decoder = FileDecoder(path, pictures=self._pictures, steps=self._steps, places=self._places)


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


def journal_session(path: str | os.PathLike[str]) -> tuple[RobotSpec, dict[str, str]]:
    """Robot and session metadata of a journal, as its newest file describes them.

    Raises:
        JournalError: no journal, or every file broke off before its description.
    """
    where = check_journal(path)
    for file in reversed(journal_files(where) if where.is_dir() else [where]):
        with JournalTail(file, pictures=False, steps=False) as tail:
            tail.poll(1)
            if tail.spec is not None:
                return tail.spec, dict(tail.metadata)
    raise JournalError(f"{where}: the journal broke off before it described its robot")


def journal_spec(path: str | os.PathLike[str]) -> RobotSpec:
    """The robot of a journal; see journal_session."""
    return journal_session(path)[0]
