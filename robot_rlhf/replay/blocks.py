"""Further columns of the same rows: what others than the policy see of each observation, a reward model for example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.datatypes import Array
from robot_rlhf.errors import ReplayError, UnknownNameError
from robot_rlhf.replay.ledger import Ledger
from robot_rlhf.replay.pictures import PictureConfig, make_pictures
from robot_rlhf.replay.rows import Seen, check_observation

POLICY = "policy"
"""Name of the block that every buffer has: what the policy sees, and what is drawn."""


class Block:
    """One looker's state vectors and pictures by slot; a row may be shown to it later than it was written."""

    def __init__(
        self,
        capacity: int,
        state_size: int,
        cameras: Mapping[str, tuple[int, int]],
        pictures: PictureConfig,
        device: torch.device,
    ) -> None:
        """Args: pictures: where they lie; they come as they were seen."""
        self.state_size = state_size
        self.cameras = dict(cameras)
        self.filled = np.zeros(capacity, np.bool_)
        """Which slots hold what was shown. Shape (capacity,)."""
        self.filled_to = 0
        """Number of the row after the newest that was shown."""
        self._states = torch.zeros((capacity, state_size), dtype=torch.float32, device=device)
        as_seen = replace(pictures, dtype="uint8", shift=0)
        self._pictures = {name: make_pictures(capacity, size, as_seen, device) for name, size in cameras.items()}

    def check(self, observation: Seen) -> Array:
        """Its state vector; raises InvalidValueError or ShapeError for entries of other names, types or shapes."""
        return check_observation(observation, self.state_size, self.cameras)

    def write(self, number: int, state: Array, observation: Seen) -> None:
        """Show a row what was checked."""
        slot = number % len(self.filled)
        self._states[slot] = torch.as_tensor(state)
        for name, store in self._pictures.items():
            store.write(slot, observation[name])
        self.filled[slot] = True
        self.filled_to = max(self.filled_to, number + 1)

    def observation(self, slots: Tensor) -> dict[str, Tensor]:
        """'state' (N, D), and pictures (N, H, W, 3) uint8."""
        pictures = {name: store.stored(slots) for name, store in self._pictures.items()}
        return {"state": self._states.index_select(0, slots), **pictures}


class Blocks:
    """The blocks of one ring by name, beside the policy's."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._by_name: dict[str, Block] = {}

    def add(self, name: str, block: Block) -> None:
        """Raises ReplayError when there is one of this name, or rows were written without it."""
        if name == POLICY or name in self._by_name:
            raise ReplayError(f"replay: a block {name!r} is there already")
        if self._ledger.written:
            raise ReplayError(f"replay: block {name!r} after {self._ledger.written} rows; allowed: before the first")
        self._by_name[name] = block

    def of(self, name: str) -> Block | None:
        """The block; None for the policy's, which lies with the transitions.

        Raises:
            UnknownNameError: no such block.
        """
        if name == POLICY:
            return None
        if name not in self._by_name:
            raise UnknownNameError("block of replay", name, (POLICY, *self._by_name))
        return self._by_name[name]

    def check(self, seen: Mapping[str, Seen]) -> dict[str, Array]:
        """State vectors by block, of a row that is about to be appended; raises as Block.check and `of` do."""
        found: dict[str, Array] = {}
        for name, observation in seen.items():
            block = self.of(name)
            if block is not None:
                found[name] = block.check(observation)
        return found

    def begin_row(self, number: int, states: Mapping[str, Array], seen: Mapping[str, Seen]) -> None:
        """A row was appended: it is shown to those for whom there is something, which was checked."""
        for name, block in self._by_name.items():
            if name in states:
                block.write(number, states[name], seen[name])
            else:
                block.filled[number % len(block.filled)] = False

    def fill(self, name: str, numbers: NDArray[np.int64], seen: Seen) -> int:
        """Show rows that were written before; those overwritten since are passed over.

        Args:
            numbers: Shape (N,).
            seen: with a first axis of N.

        Returns:
            How many rows were still held.

        Raises:
            ReplayError: a number was never written, or the block is the policy's.
            UnknownNameError: no such block.
            InvalidValueError, ShapeError: entries of other names, types or shapes.
        """
        block = self.of(name)
        if block is None:
            raise ReplayError(f"replay: block {POLICY!r} is filled with its rows, allowed later: any other")
        _, held = self._ledger.slots_held(numbers, stale_allowed=True)
        for k in np.flatnonzero(held):
            row = {entry: value[k] for entry, value in seen.items()}
            block.write(int(numbers[k]), block.check(row), row)
        if len(numbers):
            block.filled_to = max(block.filled_to, int(numbers.max()) + 1)
        return int(held.sum())

    def filled_to(self, name: str) -> int:
        """Number of the row after the newest that was shown."""
        block = self.of(name)
        return self._ledger.written if block is None else block.filled_to

    def shown(self, name: str, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which transitions, of rows that are held, were shown with both their observations. Shape (N,)."""
        block = self.of(name)
        if block is None:
            return np.ones(len(numbers), np.bool_)
        size = len(block.filled)
        return block.filled[numbers % size] & block.filled[(numbers + 1) % size]
