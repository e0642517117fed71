"""What is said at the other arms of a run, and about it afterwards: what stands, stands at every arm."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from robot_rlhf.datatypes import Feedback, FeedbackKind
from robot_rlhf.journal.files import journal_files
from robot_rlhf.journal.shared import WRITER
from robot_rlhf.journal.tail import JournalTail
from robot_rlhf.runtime.standing import StandingSentences


class SaidElsewhere:
    """Follows the sentences of a shared journal for one of its writers. A context manager: it lets go of the files."""

    def __init__(self, journal: Path, writer: str, standing: StandingSentences) -> None:
        """Args: writer: tells `standing` itself what it writes from now on."""
        self._journal = journal
        self._writer = writer
        self._standing = standing
        self._tails: dict[Path, JournalTail] = {}
        self._stack = ExitStack()

    def __enter__(self) -> SaidElsewhere:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def recover(self) -> None:
        """Take in what was said so far, here, elsewhere and in review, in the order of the files."""
        self._hear(own=True)

    def hear(self) -> None:
        """Take in what was said elsewhere since.

        Raises:
            JournalError: a foreign or damaged file.
        """
        self._hear(own=False)

    def _hear(self, *, own: bool) -> None:
        for path in journal_files(self._journal):
            if path not in self._tails:
                tail = JournalTail(path, pictures=False, steps=False, same=())
                self._tails[path] = self._stack.enter_context(tail)
            tail = self._tails[path]
            records = list(tail.records())
            here = tail.metadata.get(WRITER) == self._writer
            for record in records if own or not here else ():
                if isinstance(record, Feedback) and record.kind is FeedbackKind.MEANING:
                    self._standing.take_in(record, here=here)
