"""The sampleable rows of one group, oldest first, mirrored on the device."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Members:
    """A queue of row numbers in rising order: rows enter at the back, and leave the front as the ring overwrites.

    What it holds depends on the ring's content alone, never on when the group was first asked for, so that a buffer
    rebuilt from a journal draws the same batches. Relabelling and discarding mostly concern the newest rows, so they
    cut the back and put what is to stay there again.
    """

    def __init__(self, capacity: int, device: torch.device, numbers: Iterable[int] = ()) -> None:
        self._capacity = capacity
        self._host = np.zeros(capacity, np.int64)
        shared = torch.as_tensor(self._host)
        self._device = shared if device.type == "cpu" else shared.to(device)
        self._mirrored = device.type == "cpu"
        # Positions count up for ever; the slot of a position is its remainder by the capacity.
        self._front = 0
        self._back = 0
        self._synced = 0
        for number in numbers:
            self.push(number)

    def __len__(self) -> int:
        return self._back - self._front

    def push(self, number: int) -> None:
        """Append a row; its number is larger than all others."""
        self._host[self._back % self._capacity] = number
        self._back += 1

    def drop_before(self, number: int) -> None:
        """Forget rows older than number."""
        while self._front < self._back and self._host[self._front % self._capacity] < number:
            self._front += 1

    def drop_from(self, number: int) -> None:
        """Forget the row with this number and all newer ones."""
        while self._front < self._back and self._host[(self._back - 1) % self._capacity] >= number:
            self._back -= 1
        self._synced = min(self._synced, self._back)

    def put_from(self, first: int, numbers: NDArray[np.int64]) -> None:
        """From the row with the number `first` on hold these, which are as new and in rising order."""
        self.drop_from(first)
        self._host[(self._back + np.arange(len(numbers))) % self._capacity] = numbers
        self._back += len(numbers)

    def drop(self, first: int, end: int) -> None:
        """Forget the rows from number first up to, not including, end."""
        kept: list[int] = []
        while self._front < self._back and (number := int(self._host[(self._back - 1) % self._capacity])) >= first:
            self._back -= 1
            if number >= end:
                kept.append(number)
        self._synced = min(self._synced, self._back)
        for number in reversed(kept):
            self.push(number)

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Row numbers drawn uniformly with replacement, int64, on the device."""
        self._sync()
        place = torch.randint(len(self), shape, generator=generator, device=self._device.device)
        start = self._front % self._capacity
        if start:
            place = place.add_(start).remainder_(self._capacity)
        return self._device.take(place)

    def sync(self) -> tuple[int, int]:
        """Bring the mirror up to date. Returns the slot of the oldest member, and how many there are."""
        self._sync()
        return self._front % self._capacity, len(self)

    @property
    def mirror(self) -> Tensor:
        """Row numbers by slot, int64, on the device; always the same memory. Shape (capacity,)."""
        return self._device

    def numbers(self) -> Tensor:
        """All row numbers, oldest first, int64, on the device."""
        self._sync()
        places = torch.arange(self._front, self._back, device=self._device.device)
        return self._device.take(places.remainder_(self._capacity))

    def _sync(self) -> None:
        """Bring what changed since the last draw to the device, in at most two copies."""
        if self._mirrored:
            return
        first = max(self._synced, self._front)
        while first < self._back:
            slot = first % self._capacity
            length = min(self._back - first, self._capacity - slot)
            self._device[slot : slot + length] = torch.as_tensor(self._host[slot : slot + length])
            first += length
        self._synced = self._back
