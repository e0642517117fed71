"""How a process that learns computes."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch


@contextmanager
def tiny_is_zero() -> Generator[None]:
    """Within the block this thread takes numbers too small for full precision as 0.

    Adam's moments of units that no longer learn decay into that range, where a CPU is many times slower.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextmanager
def computing(threads: int, seed: int) -> Generator[None]:
    """Compute a run: on so many threads, what torch draws by this seed, and with tiny numbers as zero."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    with tiny_is_zero():
        yield
