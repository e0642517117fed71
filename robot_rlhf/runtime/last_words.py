"""Why a child process ends for good, told to its parent over a pipe: a full disk takes no line of a log any more."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass

from robot_rlhf.disk import is_full
from robot_rlhf.errors import RobotRlhfError

log = logging.getLogger(__name__)

OPTION = "--words"
"""Of a child's command line: the descriptor of the pipe."""
SAID_WHY = 2
"""Exit code of a process that has told why."""
MOST = 4096
"""Bytes, which a pipe takes at once without a reader."""


@dataclass(frozen=True)
class LastWords:
    """What a child says of an error that it would meet again."""

    why: str
    """In one line."""
    disk_full: bool = False
    """The disk takes no more: so will it be for everybody."""


@contextmanager
def last_words(pipe: int | None, lasting: type[RobotRlhfError] | tuple[type[RobotRlhfError], ...]) -> Generator[None]:
    """Tell the parent of an error in the block that a new start would meet again, and end with SAID_WHY.

    Args:
        pipe: descriptor of its writing end; None: nobody listens, and errors pass.
        lasting: errors that would be met again, beside those of a full disk.
    """
    try:
        yield
    except (RobotRlhfError, OSError) as error:
        if pipe is None or not (isinstance(error, lasting) or is_full(error)):
            raise
        why = " ".join(str(error).split())
        if isinstance(error, OSError):
            why = f"{error.filename or 'system'}: {error.strerror}"
        log.error("%s", why)
        with suppress(BrokenPipeError):  # the parent was killed
            told = json.dumps(asdict(LastWords(why[: MOST // 8], is_full(error))), ensure_ascii=False)
            os.write(pipe, told.encode("utf-8", "replace"))  # a letter is up to 6 bytes
        raise SystemExit(SAID_WHY) from error


class Listener:
    """The parent's side of a child's pipe. Within its block, which also gives the child's end, the child is started."""

    def __init__(self) -> None:
        self._ear, self._mouth = os.pipe()
        os.set_blocking(self._ear, False)

    def __enter__(self) -> tuple[Listener, int]:
        return self, self._mouth

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        os.close(self._mouth)  # the child has it
        if kind is not None:
            os.close(self._ear)

    def hear(self) -> LastWords | None:
        """What a child that has ended said; None where it said nothing. To be called once."""
        try:
            said = os.read(self._ear, MOST)
        except BlockingIOError:  # a child of the child lives on
            said = b""
        os.close(self._ear)
        return LastWords(**json.loads(said)) if said else None
