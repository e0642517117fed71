"""What is whole in a damaged journal, written into a new one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from robot_rlhf.datatypes import EpisodeEnd, Feedback, RobotSpec, Segment, Step
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.blocks import Damage
from robot_rlhf.journal.decoder import EpisodeStarted, FileDecoder, Record
from robot_rlhf.journal.files import journal_files
from robot_rlhf.journal.format import UNSEALED_VERSION
from robot_rlhf.journal.placing import placed
from robot_rlhf.journal.reader import tell
from robot_rlhf.journal.tail import check_journal
from robot_rlhf.journal.unsealed import check_closed
from robot_rlhf.journal.writer import JournalWriter

_PIECE = 1 << 20
"""Bytes read at once."""


@dataclass(frozen=True)
class Gap:
    """Bytes that are passed over."""

    file: Path
    start: int
    """Bytes from the start of the file."""
    end: int
    place: str
    """What was read before them, in words."""
    why: str

    def __str__(self) -> str:
        return f"{self.file}: bytes {self.start} to {self.end}, {self.place}: {self.why}"


@dataclass(frozen=True)
class SalvageReport:
    """What was saved, and what was not."""

    target: Path
    episodes: int
    """Those whose end is among what was saved."""
    steps: int
    broken_off: tuple[str, ...]
    """Ids of the episodes that were saved up to the damage, or up to where their recording broke off."""
    gaps: tuple[Gap, ...]
    left_out: int
    """Whole records that were not saved: steps behind damage in their episode, ends and events about what is lost."""
    unchecked: tuple[Path, ...]
    """Files whose bytes no checksum covers: what was saved of them may hold a changed number."""


def salvage(path: str | os.PathLike[str], target: str | os.PathLike[str], *, unchecked: bool = False) -> SalvageReport:
    """Write every whole episode, and of a damaged one the steps up to the damage, into a new journal.

    The journal is only read. The new one appears under its name when all of it is written.

    Args:
        path: a journal's folder, or one of its files.
        target: folder of the journal to make; must not exist, or be empty.
        unchecked: also take what no checksum covers: files of version 1 that were not closed, or are damaged.

    Raises:
        JournalError: nothing to save, unchecked files, or the target is not a new place or cannot be written.
    """
    source, goal = check_journal(path), Path(target)
    if goal.resolve() != source.resolve() and goal.resolve().is_relative_to(source.resolve()):
        raise JournalError(f"{goal}: inside the journal that is to be saved, which stays as it is")
    files = journal_files(source) if source.is_dir() else [source]
    return _Salvage(files, goal).run(unchecked)


class _Salvage:
    def __init__(self, files: list[Path], goal: Path) -> None:
        self._files = files
        self._goal = goal
        self._steps: dict[str, int] = {}
        """Steps of the episodes that can be saved."""
        self._ended: set[str] = set()
        self._left_out = 0

    def run(self, unchecked: bool) -> SalvageReport:
        doubtful = [file for file in self._files if _has_no_checksum(file)]
        if doubtful and not unchecked:
            raise JournalError(
                f"{doubtful[0]}: of version 1, and no checksum tells which of its bytes changed; --unchecked takes "
                "every record that can be right, in which a number may be another"
            )
        gaps = [gap for file in self._files for gap in self._look_through(file)]
        if not self._steps:
            raise JournalError(f"{self._files[0].parent}: no start of an episode in it is whole")
        with placed(self._goal, "salvaging", folder=True, empty=True) as folder:
            for file in self._files:
                self._copy(file, folder)
        return SalvageReport(
            target=self._goal,
            episodes=len(self._ended),
            steps=sum(self._steps.values()),
            broken_off=tuple(name for name in self._steps if name not in self._ended),
            gaps=tuple(gaps),
            left_out=self._left_out,
            unchecked=tuple(doubtful),
        )

    def _look_through(self, file: Path) -> Iterator[Gap]:
        """Count what can be saved of a file."""
        whole = _Whole(file, pictures=False)
        for thing in whole:
            if isinstance(thing, Gap):
                yield thing
            elif isinstance(thing, EpisodeStarted):
                self._steps[thing.meta.id] = 0
            elif isinstance(thing, Step):
                self._steps[next(reversed(self._steps))] += 1
            elif isinstance(thing, EpisodeEnd) and self._steps.get(thing.id) == thing.steps:
                self._ended.add(thing.id)
        self._left_out += whole.torn_steps

    def _copy(self, file: Path, folder: Path) -> None:
        whole = _Whole(file)
        writer: JournalWriter | None = None
        try:
            for thing in whole:
                if isinstance(thing, Gap) or not self._stands(thing):
                    continue
                if writer is None:
                    writer = self._begin(whole, folder)
                tell(thing, writer)
        finally:
            if writer is not None:
                writer.close()

    def _stands(self, record: Record) -> bool:
        """What the record is about was saved, too."""
        if isinstance(record, EpisodeEnd):
            stands = record.id in self._ended
        elif isinstance(record, Feedback):
            stands = self._has(record.span) and (record.other is None or self._has(record.other))
        else:
            stands = True
        self._left_out += not stands
        return stands

    def _has(self, span: Segment) -> bool:
        name = span.episode_id
        return name in self._ended or span.start + span.length <= self._steps.get(name, -1)

    def _begin(self, whole: _Whole, folder: Path) -> JournalWriter:
        spec, metadata = whole.session()
        offset = int(metadata.pop("epoch_offset_ns", "0"))
        metadata |= {"salvaged_from": whole.file.name}
        if _has_no_checksum(whole.file):
            metadata |= {"salvaged_unchecked": "true"}
        return JournalWriter(folder, spec, metadata=metadata, epoch_offset_ns=offset).open()


class _Whole:
    """Goes through everything in a file that is whole, and says where there is none."""

    def __init__(self, file: Path, *, pictures: bool = True) -> None:
        self.file = file
        self._decoder = FileDecoder(file, pictures=pictures)

    def session(self) -> tuple[RobotSpec, dict[str, str]]:
        """Robot and session metadata; known once there was a record."""
        assert self._decoder.spec is not None
        return self._decoder.spec, dict(self._decoder.metadata)

    @property
    def torn_steps(self) -> int:
        """Whole steps that go on with an episode behind damage in it."""
        return self._decoder.torn_steps

    def __iter__(self) -> Iterator[Record | Gap]:
        decoder = self._decoder
        try:
            with self.file.open("rb", buffering=0) as file:
                while True:
                    data = b"" if decoder.damage else file.read(_PIECE)
                    if data:
                        yield from decoder.feed(data)
                        continue
                    size, start, place = os.fstat(file.fileno()).st_size, decoder.offset, decoder.place
                    damage = decoder.damage or Damage(start, "nothing whole")
                    if decoder.finished or start == size or damage.somewhere_before:
                        return
                    more = decoder.skip_to_next(file.fileno())
                    if decoder.spec is None:
                        place = "the description of the robot, and so all of the file, is lost"
                    yield Gap(self.file, start, decoder.offset if more else size, place, damage.what)
                    if not more:
                        return
                    file.seek(decoder.offset)
        except OSError as error:
            raise JournalError(f"{self.file}: cannot read the journal: {error.strerror}") from error


def _has_no_checksum(file: Path) -> bool:
    """A file of version 1 that was not closed, or differs from its checksum."""
    try:
        if check_closed(file):
            return False
    except JournalError:
        pass
    decoder = FileDecoder(file, pictures=False, steps=False)
    with file.open("rb") as opened:
        decoder.feed(opened.read(_PIECE))
    return decoder.version == UNSEALED_VERSION
