"""What is said at the other arms of a run, and about it afterwards: what stands, stands at every arm."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from robot_rlhf.datatypes import Feedback, FeedbackKind
from robot_rlhf.journal.files import journal_files
from robot_rlhf.journal.shared import writer_of
from robot_rlhf.journal.tail import JournalTail
from robot_rlhf.runtime.standing import StandingSentences


class SaidElsewhere:
    """Follows the sentences of a shared journal for one of its writers. A context manager: it lets go of the files."""

    def __init__(self, journal: Path, writer: str, standing: StandingSentences, *, follows: bool = True) -> None:
        """
        Args:
            writer: tells `standing` itself what it writes from now on.
            follows: False where nobody speaks any more: what was said before `recover` is all.
        """
        self._journal = journal
        self._writer = writer
        self._standing = standing
        self._follows = follows
        self._tails: dict[Path, JournalTail] = {}
        self._own: set[Path] = set()
        self._stack = ExitStack()

    def __enter__(self) -> SaidElsewhere:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def recover(self, own: Callable[[Path], object]) -> None:
        """Take in what was said so far, here, elsewhere and in review, in the order of the files.

        Args:
            own: reads a file of this writer's, and tells `standing` of it.
        """
        for path in journal_files(self._journal):
            is_own = self._is_own(path)
            if is_own:
                own(path)
            elif is_own is not None:
                self._hear(path)

    def hear(self) -> None:
        """Take in what was said elsewhere since.

        Raises:
            JournalError: a foreign or damaged file.
        """
        for path in journal_files(self._journal) if self._follows else ():
            if self._is_own(path) is False:
                self._hear(path)

    def _is_own(self, path: Path) -> bool | None:
        """Whether this writer writes it; None as long as the file does not say who does."""
        if path in self._own or path in self._tails:
            return path in self._own
        writer = writer_of(path)
        if writer == self._writer:
            self._own.add(path)
        return None if writer is None else writer == self._writer

    def _hear(self, path: Path) -> None:
        if path not in self._tails:
            tail = JournalTail(path, pictures=False, steps=False, same=())
            self._tails[path] = self._stack.enter_context(tail)
        for record in self._tails[path].records():
            if isinstance(record, Feedback) and record.kind is FeedbackKind.MEANING:
                self._standing.take_in(record, here=False)
