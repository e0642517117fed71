"""How this process computes."""

from __future__ import annotations

import torch


def prepare_numerics(threads: int) -> None:
    """Use so many threads, and take numbers too small for full precision as 0.

    Adam's moments of units that no longer learn decay into that range, where a CPU is many times slower.
    """
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
