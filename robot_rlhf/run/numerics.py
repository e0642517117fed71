"""How a process that learns computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def tiny_is_zero() -> Iterator[None]:
    """Within the block this thread takes numbers too small for full precision as 0.

    Adam's moments of units that no longer learn decay into that range, where a CPU is many times slower.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
