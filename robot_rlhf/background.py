"""A thread that looks at something again and again, and that does not die without a word."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

log = logging.getLogger(__name__)

TIME_TO_END = 5.0
"""Seconds that a look may still take when the thread is to end."""


@contextmanager
def contained(failed: Callable[[Exception], object]) -> Generator[None]:
    """What goes wrong within, whatever it is, is told, and ends nothing else."""
    try:
        yield
    except Exception as error:  # of anybody's callback or thread, on which others do not depend
        failed(error)


class Background:
    """Calls `look` every period, until it is closed, `look` says that it is done, or it fails.

    What depends on such a thread reads results that it leaves; those of a dead thread look like good ones that are old.
    """

    def __init__(
        self, name: str, look: Callable[[], bool], every: float, *, died: Callable[[str], None] = lambda why: None
    ) -> None:
        """
        Args:
            look: returns False once there is nothing to look at any more.
            every: seconds between two looks.
            died: told why the thread is gone, in the thread itself.
        """
        self._look = look
        self._every = every
        self._died = died
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.failure = ""
        """Why nobody looks any more; empty while somebody does, and after an end in order."""

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more. Idempotent, also where it was never begun."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=TIME_TO_END)

    def _run(self) -> None:
        with contained(self._fail):  # who looks at what this thread leaves must know that it is old
            while not self._stop.wait(self._every):
                if not self._look():
                    return

    def _fail(self, error: Exception) -> None:
        self.failure = f"thread {self._thread.name} died: {type(error).__name__}: {error}"
        log.error("%s", self.failure)
        self._died(self.failure)
