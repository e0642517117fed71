"""A log that nobody can fill: of lines of one kind a few are written in each minute, the others are counted."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

FEW = 5
"""Lines of one kind that are written within a window."""
WINDOW = 60.0
"""Seconds."""
KINDS = 50
"""Kinds of lines told apart; what is stranger still counts as one more."""
LARGEST = 1 << 20
"""Bytes of the log's file after which it is put aside; the one put aside before goes."""


@dataclass
class _Kind:
    begun: float
    lines: int = 0
    left_out: int = 0


class BoundedHandler(logging.StreamHandler[TextIO]):
    """Writes to a stream. Of each kind only the first record ever comes with its traceback.

    Two records are of one kind when logger, level and first line agree, numbers apart. How many were left out is
    written when the window is over and something else comes, and at the end.
    """

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Args: clock: steady seconds."""
        super().__init__(stream)
        self._clock = clock
        self._kinds: dict[tuple[str, int, str], _Kind] = {}
        self._explained: set[tuple[str, int, str]] = set()

    def emit(self, record: logging.LogRecord) -> None:
        now = self._clock()
        self._close_windows(now, WINDOW)
        key = (record.name, record.levelno, re.sub(r"\d+|0x[0-9a-f]+", "N", record.getMessage().split("\n", 1)[0][:80]))
        if key not in self._kinds and len(self._kinds) >= KINDS:
            key = ("", 0, "of other kinds")
        kind = self._kinds.setdefault(key, _Kind(now))
        if kind.lines >= FEW:
            kind.left_out += 1
            return
        kind.lines += 1
        if record.exc_info and key in self._explained:
            error = record.exc_info[1]
            record = logging.makeLogRecord(record.__dict__)
            said = record.getMessage().split("\n", 1)[0][:200]
            record.msg, record.args = " ".join(f"{said} ({type(error).__name__}: {error})".split())[:400], None
            record.exc_info = record.exc_text = record.stack_info = None
        if len(self._explained) < KINDS:
            self._explained.add(key)
        super().emit(record)

    def close(self) -> None:
        """Say what was left out, too."""
        self._close_windows(self._clock(), 0.0)
        super().close()

    def _close_windows(self, now: float, after: float) -> None:
        for key, kind in list(self._kinds.items()):
            if now - kind.begun < after:
                continue
            del self._kinds[key]
            if kind.left_out:
                text = f"left out {kind.left_out} more within {now - kind.begun:.0f} s: {key[2]}"
                super().emit(logging.LogRecord(key[0] or __name__, logging.WARNING, "", 0, text, None, None))


def log_boundedly(stream: TextIO) -> None:
    """Send every log of this process through one BoundedHandler: also those of libraries with handlers of their own."""
    handler = BoundedHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in list(logging.Logger.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def put_aside(file: Path) -> None:
    """Copy a log that has grown too large beside itself, and empty it; whoever appends to it goes on at its beginning.

    Raises:
        OSError: there is no room, or no right.
    """
    if file.stat().st_size > LARGEST:
        file.with_name(file.name + ".1").write_bytes(file.read_bytes())
        with file.open("r+b") as writable:
            writable.truncate()
