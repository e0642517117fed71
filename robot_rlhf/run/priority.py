"""Who gets the processor first: the control loop, then the console, then the learner."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

REAL_TIME_PRIORITY = 20


@contextlib.contextmanager
def urgent() -> Iterator[bool]:
    """Have this thread run before all ordinary ones for a while, where this user may; yields whether it does.

    What it starts meanwhile, processes and threads, has ordinary priority.
    """
    try:
        before = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(REAL_TIME_PRIORITY))
    except (AttributeError, OSError):
        yield False
        return
    try:
        yield True
    finally:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, *before)


def stay_urgent() -> None:
    """Have this thread run before all ordinary ones for the rest of its life, where this user may."""
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(REAL_TIME_PRIORITY))


def modest(steps: int) -> None:
    """Have this process stand back by so many steps of niceness."""
    with contextlib.suppress(OSError):
        os.nice(steps)
