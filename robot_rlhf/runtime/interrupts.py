"""Ctrl-C and SIGTERM between two things, never within one; and a run that ends in order though they come again."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)

Handler = Callable[[int, FrameType | None], object]
NUMBERS = (signal.SIGINT, signal.SIGTERM)
"""Being told to end is treated like Ctrl-C."""


class EndedAtOnceError(KeyboardInterrupt):
    """Somebody did not want to wait until everything was saved; says what is missing."""


class _Holder:
    """The handler of either signal within a block."""

    def __init__(self, usual: dict[int, Handler]) -> None:
        self.usual = usual
        self.held: int | None = None
        """The signal that waits."""

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.held is not None:
            self.usual[number](number, frame)
        self.held = number
        log.warning("stopping as soon as this step is done; press Ctrl-C again to stop at once")


@contextmanager
def interrupts_held() -> Generator[None]:
    """Let a first Ctrl-C or SIGTERM wait until the block, the outermost of nested ones, is done; a second is not held.

    Only Python's main thread receives signals: in another one this does nothing, nor where Ctrl-C is ignored.
    """
    usual = _handlers()
    if not usual or any(isinstance(handler, _Holder) for handler in usual.values()):
        yield
        return
    holder = _Holder(usual)
    try:
        with _handled_by(holder, usual):
            yield
    finally:
        if holder.held is not None:
            signal.raise_signal(holder.held)


@contextmanager
def ending_in_order(missing: str) -> Generator[None]:
    """Within the block, which is a whole run, the first Ctrl-C or SIGTERM ends it; the second changes nothing, as what
    there is is being saved; a third raises EndedAtOnceError.

    Args:
        missing: what is not there after an end at once, and how to go on.
    """
    usual, count = _handlers(), 0

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count == 1:
            usual[number](number, frame)
        elif count == 2:
            log.warning("ending already: everything is being saved; once more ends at once, without %s", missing)
        else:
            raise EndedAtOnceError(f"ended at once, without {missing}")

    with _handled_by(end, usual):
        yield


@contextmanager
def _handled_by(handler: Handler, usual: Mapping[int, Handler]) -> Generator[None]:
    """Have a handler for these signals within the block, and the usual ones again after it."""
    for number in usual:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, before in usual.items():
            signal.signal(number, before)


def _handlers() -> dict[int, Handler]:
    """Python's own handlers of these signals; none outside the main thread, nor where one is ignored."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    found = {number: signal.getsignal(number) for number in NUMBERS}
    return {int(number): handler for number, handler in found.items() if callable(handler)}
