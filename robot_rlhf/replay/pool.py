"""Memory for large batches that is used again as soon as nobody holds it."""

from __future__ import annotations

import sys

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

KEPT = 8
"""Blocks kept per size: for the batch in work and the one before it, of up to four cameras."""
SIZES = 8
"""Sizes for which blocks are kept; the one first asked for goes first."""


class Pool:
    """Hands out uint8 tensors on the CPU, without asking the system for fresh pages each time.

    A fresh block of tens of megabytes costs several times the copy into it, as the system clears every page. A tensor
    made from an array keeps the array alive while any view of it, or a graph that saved it, lives: a block whose
    array nobody else refers to is free, so a batch is never overwritten under its user.
    """

    def __init__(self) -> None:
        self._blocks: dict[tuple[int, int], list[NDArray[np.uint8]]] = {}

    def take(self, rows: int, width: int) -> Tensor:
        """A tensor of undefined content. Shape (rows, width)."""
        if (rows, width) not in self._blocks and len(self._blocks) == SIZES:
            del self._blocks[next(iter(self._blocks))]
        blocks = self._blocks.setdefault((rows, width), [])
        for k in range(len(blocks)):
            if sys.getrefcount(blocks[k]) == _UNSHARED:
                return torch.as_tensor(blocks[k])
        block = np.empty((rows, width), np.uint8)
        if len(blocks) < KEPT:
            blocks.append(block)
        return torch.as_tensor(block)


def _count_of_unshared() -> int:
    """What getrefcount says of a list's entry that nothing else refers to, in this interpreter."""
    blocks = [np.empty(1, np.uint8)]
    return sys.getrefcount(blocks[0])


_UNSHARED = _count_of_unshared()
