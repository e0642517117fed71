"""Follows a journal on disk: all of it that is there, and what it gains."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.blocks import end_of_data
from robot_rlhf.journal.decoder import EpisodeStarted, FileDecoder, Places, Record
from robot_rlhf.journal.files import journal_files
from robot_rlhf.journal.format import UNSEALED_VERSION
from robot_rlhf.journal.robots import MEANING, PICTURED, check_same
from robot_rlhf.journal.seal import find_blocks
from robot_rlhf.journal.unsealed import check_closed, find_messages

log = logging.getLogger(__name__)

_PIECE = 1 << 20
"""Bytes read at once; larger records wait for their next piece."""


@dataclass(frozen=True)
class FileEnd:
    """How far one file was read."""

    file: Path
    version: int | None
    """Of its format; None where it broke off in its header."""
    closed: bool
    """The end of its data was reached; else it broke off, or is being written."""
    checked: bool
    """What was read of it was under checksums that are right."""
    offset: int
    """Bytes of it that were read."""
    passed_over: int
    """Bytes behind them that hold nothing whole; 0 for a closed file."""
    place: str
    """What was read last, in words."""
    why: str
    """Why no more was read."""

    def __str__(self) -> str:
        if self.closed:
            return f"{self.file}: whole" if self.checked else f"{self.file}: closed, without a checksum"
        left = f"; {self.passed_over} bytes behind it are passed over ({self.why})" if self.passed_over else ""
        doubt = "" if self.checked else "; version 1 has no checksums in a file that was not closed"
        return f"{self.file}: was not closed, what is recorded ends at byte {self.offset}, {self.place}{left}{doubt}"


class JournalTail:
    """Follows a journal that another process may be writing; each record is read and decoded once.

    A record that is not yet whole is waited for. Where a run died in the middle of one, or the power failed and left
    zeros or garbage there, it is passed over with a warning as soon as the next run's file is there. Damage that whole
    records follow is no such end: it is an error. The folder may still be empty or missing.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        pictures: bool = True,
        steps: bool = True,
        places: list[Places] | None = None,
        same: Sequence[str] | None = None,
        warns: bool = True,
    ) -> None:
        """Args:
        path: a journal's folder, or one of its files.
        pictures, steps, places: what to leave out, and where pictures are told, as FileDecoder says.
        same: what of the robot must not differ between files, see `robots`; None: whatever what is read depends on.
        warns: log how far a file was read that was not closed.
        """
        self._path = Path(path)
        self._pictures = pictures
        self._steps = steps
        self._places = places
        self._same = (PICTURED if pictures or places is not None else MEANING) if same is None else same
        self._warns = warns and steps
        self._descriptor = -1
        self._number = -1
        self._file: Path | None = None
        self._decoder: FileDecoder | None = None
        self._topics: Counter[str] = Counter()
        self._first: tuple[Path, RobotSpec] | None = None
        self._compared = False
        self._trusted = False
        """The checksum of all of the present file is known to be right."""
        self._stuck = -1
        """Size of the file when everything up to its end was looked at, and its last bytes held nothing whole."""
        self._suspect = -1
        """Whole records were seen behind this place, and not there; it is looked at again before that is damage."""
        self._ends: list[FileEnd] = []

    @property
    def path(self) -> Path:
        return self._path

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

    @property
    def ends(self) -> list[FileEnd]:
        """How far each file was read that was left, or read to its present end by `records` or `pieces`."""
        return list(self._ends)

    def poll(self, max_bytes: int = 16 * _PIECE) -> list[Record]:
        """Everything that became whole since the last call; empty when there is nothing new. Does not wait.

        Args:
            max_bytes: stop after about so many bytes, so that catching up with a long journal fits into memory.

        Raises:
            JournalError: a foreign or damaged file, one of another version, or one of another robot than the first.
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
                if max_bytes is None:
                    self.settle()
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

    def settle(self) -> None:
        """Nobody appends to the present file any more: say what of it is passed over."""
        decoder = self._decoder
        if decoder is None or self._file is None or self._descriptor < 0:
            return
        size = os.fstat(self._descriptor).st_size
        why = decoder.damage.what if decoder.damage else "not a whole record"
        over = 0 if decoder.finished else size - decoder.offset
        checked = decoder.checked or self._trusted
        end = FileEnd(self._file, decoder.version, decoder.finished, checked, decoder.offset, over, decoder.place, why)
        if end in self._ends:
            return
        self._ends = [known for known in self._ends if known.file != end.file] + [end]
        if self._warns and not (end.closed and end.checked):
            log.warning("%s", end)

    def _read_piece(self) -> tuple[int, Path | None, list[Record]]:
        """Read on in the current file, or at its end begin the next. Returns bytes, file (None at the end), records."""
        while True:
            # Looked for before reading: a run that has begun its file will not append to the one before it.
            following = self._following()
            if self._decoder is not None and self._descriptor >= 0:
                got, records = self._read_on(self._decoder)
                if got:
                    return got, self._file, records
                if self._must_read_again(self._decoder):
                    continue
            if following is None:
                return 0, None, []
            self.settle()
            self._begin(following)

    def _read_on(self, decoder: FileDecoder) -> tuple[int, list[Record]]:
        if self._stuck >= 0:
            if os.fstat(self._descriptor).st_size == self._stuck:
                return 0, []
            self._rewind(decoder)
        if decoder.damage is not None:
            return 0, []
        data = os.read(self._descriptor, _PIECE)
        records = decoder.feed(data) if data else []
        if not self._compared and decoder.spec is not None:
            self._compare_robot(decoder.spec)
        return len(data), records

    def _rewind(self, decoder: FileDecoder) -> None:
        self._stuck = -1
        decoder.rewind()
        os.lseek(self._descriptor, decoder.offset, os.SEEK_SET)

    def _must_read_again(self, decoder: FileDecoder) -> bool:
        """Look at what is left at the end of the file; whether to read it once more before it is called damaged.

        Raises:
            JournalError: whole records follow on what is neither whole nor the end.
        """
        size = os.fstat(self._descriptor).st_size
        if decoder.finished or size in (decoder.offset, self._stuck):
            return False
        behind = _whole_behind(self._descriptor, decoder, size)
        if behind is None:
            self._suspect = -1
            if decoder.damage is not None:
                self._stuck = size
            return False
        if self._suspect != decoder.offset:  # what was read may have been on its way to the disk
            self._suspect = decoder.offset
            self._rewind(decoder)
            return True
        what = decoder.damage.what if decoder.damage else "a record that is not whole"
        unsealed = decoder.version == UNSEALED_VERSION
        raise JournalError(
            f"{self._file}: damaged at byte {decoder.offset}, {decoder.place}: {what}, and whole records follow at "
            f"byte {behind}. What is whole can be saved: robot-rlhf journal salvage {self._path}"
            f"{' --unchecked' if unsealed else ''} --out NEW"
        )

    def _compare_robot(self, spec: RobotSpec) -> None:
        """Raises JournalError when the numbers of this file mean something else than those of the first."""
        self._compared = True
        assert self._file is not None
        if self._first is None:
            self._first = (self._file, spec)
        check_same(spec, self._first[1], str(self._file), str(self._first[0]), self._same)

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
        self._compared, self._stuck, self._suspect = False, -1, -1
        self._trusted = check_closed(path)
        self._decoder = FileDecoder(
            path, pictures=self._pictures, steps=self._steps, places=self._places, trusted=self._trusted
        )


def _whole_behind(descriptor: int, decoder: FileDecoder, size: int) -> int | None:
    """Where something whole of the same file begins behind what was decoded."""
    if decoder.version == UNSEALED_VERSION:
        return next(find_messages(descriptor, decoder.offset + 1, size), None)
    blocks = find_blocks(descriptor, decoder.offset, size)
    own = next((block.place for block in blocks if decoder.identity in (None, block.seal.file)), None)
    end = end_of_data(descriptor)
    return end if own is None and end is not None and end > decoder.offset else own


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
        session = session_of(file)
        if session is not None:
            return session
    raise JournalError(f"{where}: the journal broke off before it described its robot")


def first_task(path: str | os.PathLike[str]) -> str | None:
    """Task of the first recorded episode of a journal; None while there is none.

    Raises:
        JournalError: a foreign or damaged file, or one of another version.
    """
    with JournalTail(path, pictures=False, steps=False) as tail:
        for record in tail.records():
            if isinstance(record, EpisodeStarted):
                return record.meta.task
    return None


def session_of(file: Path) -> tuple[RobotSpec, dict[str, str]] | None:
    """Robot and session metadata of one file; None where it broke off before them.

    Raises:
        JournalError: a foreign or damaged file.
    """
    with JournalTail(file, pictures=False, steps=False) as tail:
        tail.poll(1)
        return None if tail.spec is None else (tail.spec, dict(tail.metadata))


def journal_spec(path: str | os.PathLike[str]) -> RobotSpec:
    """The robot of a journal; see journal_session."""
    return journal_session(path)[0]
