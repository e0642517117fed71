"""Ctrl-C between two things, never within one."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)


class _Holder:
    """The handler of Ctrl-C within a block."""

    def __init__(self, usual: Callable[[int, FrameType | None], object]) -> None:
        self.usual = usual
        self.held = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.held:
            self.usual(number, frame)
        self.held = True
        log.warning("stopping as soon as this step is done; press Ctrl-C again to stop at once")


@contextmanager
def interrupts_held() -> Generator[None]:
    """Let a first Ctrl-C wait until the block, the outermost of nested ones, is done; a second one is not held.

    Only Python's main thread receives signals: in another one this does nothing, nor where Ctrl-C is ignored.
    """
    main = threading.current_thread() is threading.main_thread()
    usual = signal.getsignal(signal.SIGINT) if main else None
    if not callable(usual) or isinstance(usual, _Holder):
        yield
        return
    holder = _Holder(usual)
    signal.signal(signal.SIGINT, holder)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        if holder.held:
            signal.raise_signal(signal.SIGINT)
