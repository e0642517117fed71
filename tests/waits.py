"""Waiting for what is to happen. Nothing fails because a machine is busy: the ceiling is far beyond any honest wait."""

from __future__ import annotations

import time
from collections.abc import Callable

CEILING = 120.0
"""Seconds after which what was waited for counts as never happening."""


def until(true: Callable[[], object], *, look_every: float = 0.01) -> None:
    """Wait until it is true; fails at the ceiling."""
    deadline = time.monotonic() + CEILING
    while not true():
        assert time.monotonic() < deadline, f"it did not come true within {CEILING:g} s"
        time.sleep(look_every)
