"""What people say should have been done: rows of replay with another action, to be imitated and never to be valued."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.datatypes import Array, frozen_array
from robot_rlhf.errors import ConfigError, InvalidValueError
from robot_rlhf.replay.buffer import ReplayBuffer


@dataclass(frozen=True, eq=False)
class AdvisedRows:
    """What one sentence says of n rows of replay, with actions of m entries."""

    numbers: NDArray[np.int64]
    """Of the rows, as in Batch.index. Shape (n,)."""
    target: Array
    """What should have been done, in [-1, 1]. Shape (n, m)."""
    mask: NDArray[np.bool_]
    """Entries that it says something about. Shape (n, m)."""
    weight: Array
    """Of each row in the loss, when it is new. Shape (n,)."""
    born: int
    """Updates of the learner when it was said."""

    def __post_init__(self) -> None:
        size = len(self.numbers)
        for name, shape, kind in (
            ("numbers", (size,), np.int64),
            ("target", (size, None), np.float32),
            ("mask", (size, self.target.shape[1]), np.bool_),
            ("weight", (size,), np.float32),
        ):
            object.__setattr__(self, name, frozen_array(f"AdvisedRows.{name}", getattr(self, name), shape, kind))
        if (np.abs(self.target) > 1.0 + 1e-6).any() or (self.weight < 0.0).any():
            raise InvalidValueError("AdvisedRows", "a target or a weight", "targets in [-1, 1], weights >= 0")

    def __len__(self) -> int:
        return len(self.numbers)

    def only(self, rows: NDArray[np.bool_]) -> AdvisedRows:
        """Those rows alone. Args: rows: Shape (n,)."""
        return replace(
            self,
            numbers=self.numbers[rows],
            target=self.target[rows],
            mask=self.mask[rows],
            weight=self.weight[rows],
        )


@dataclass(frozen=True, eq=False)
class AdvisedBatch:
    """Advice as a learner takes it, on its device. B rows."""

    observation: Mapping[str, Tensor]
    """As Batch.observation."""
    target: Tensor
    """Shape (B, m)."""
    mask: Tensor
    """1 for entries that are meant, else 0. Shape (B, m)."""
    weight: Tensor
    """What is left of each row's weight. Shape (B,)."""
    index: Tensor
    """Numbers of the rows, int64. Shape (B,)."""

    def beside(self, other: AdvisedBatch) -> AdvisedBatch:
        """The rows of both, in this order."""
        return AdvisedBatch(
            {name: torch.cat([seen, other.observation[name]]) for name, seen in self.observation.items()},
            torch.cat([self.target, other.target]),
            torch.cat([self.mask, other.mask]),
            torch.cat([self.weight, other.weight]),
            torch.cat([self.index, other.index]),
        )


class Advice:
    """The newest advice by sentence, up to so many rows; the oldest goes first, and all of it fades.

    A row of it lives no longer than the row of replay that it is about.
    """

    def __init__(self, *, capacity: int = 8_192, lasts: int = 6_000) -> None:
        """
        Args:
            capacity: rows held at most.
            lasts: updates after which nothing is left of a row's weight; it goes linearly.

        Raises:
            ConfigError: one of them is below 1.
        """
        if capacity < 1 or lasts < 1:
            raise ConfigError(f"advice: {capacity} rows that last {lasts} updates, allowed: at least 1 of each")
        self.capacity = capacity
        self.lasts = lasts
        self._rows: dict[str, AdvisedRows] = {}
        self._all: AdvisedRows | None = None
        self._born = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    def __contains__(self, sentence: str) -> bool:
        return sentence in self._rows

    def of(self, sentence: str) -> AdvisedRows | None:
        """What a sentence says, as far as it is held."""
        return self._rows.get(sentence)

    def put(self, sentence: str, rows: AdvisedRows) -> None:
        """What a sentence says, in the place of what it said before; it is the newest now."""
        self.remove(sentence)
        if not len(rows):
            return
        self._rows[sentence], self._all = rows, None
        over = len(self) - self.capacity
        while over > 0:
            oldest = next(iter(self._rows))
            gone = min(over, len(self._rows[oldest]))
            self._keep(oldest, np.arange(len(self._rows[oldest])) >= gone)
            over -= gone

    def remove(self, sentence: str) -> None:
        """Forget a sentence; one that says nothing is passed over."""
        if self._rows.pop(sentence, None) is not None:
            self._all = None

    def forget_gone(self, buffer: ReplayBuffer) -> None:
        """Forget what is about rows that cannot be drawn any more: overwritten, or of a discarded episode."""
        for sentence, rows in list(self._rows.items()):
            held = buffer.can_be_drawn(torch.as_tensor(rows.numbers.copy()))
            if not held.all():
                self._keep(sentence, held)

    def _keep(self, sentence: str, rows: NDArray[np.bool_]) -> None:
        self._all = None
        if rows.any():
            self._rows[sentence] = self._rows[sentence].only(rows)
        else:
            del self._rows[sentence]

    def weights(self, updates: int) -> Array:
        """What is left of the weights after so many updates of the learner, in the order of sentences. Shape (N,)."""
        everything = self._everything()
        if everything is None:
            return np.zeros(0, np.float32)
        left = 1.0 - (updates - self._born) / self.lasts
        return (everything.weight * np.clip(left, 0.0, 1.0)).astype(np.float32)

    def sample(self, buffer: ReplayBuffer, size: int, updates: int, generator: torch.Generator) -> AdvisedBatch | None:
        """Draw rows that have not faded, uniformly, with replacement.

        Args:
            buffer: what they are rows of.
            updates: of the learner, so far.
            generator: draws; on the buffer's device. What draws batches is left alone.

        Returns:
            None where nothing is left.
        """
        self.forget_gone(buffer)
        weights = self.weights(updates)
        alive = np.flatnonzero(weights > 0.0)
        everything = self._everything()
        if everything is None or not len(alive):
            return None
        drawn = torch.randint(len(alive), (size,), generator=generator, device=generator.device)
        chosen = alive[drawn.cpu().numpy()]
        index = torch.as_tensor(everything.numbers[chosen])

        def there(array: NDArray[np.floating] | NDArray[np.bool_]) -> Tensor:
            return torch.as_tensor(array[chosen].astype(np.float32)).to(buffer.device)

        return AdvisedBatch(
            buffer.seen(index, generator),
            there(everything.target),
            there(everything.mask),
            there(weights),
            index.to(buffer.device),
        )

    def _everything(self) -> AdvisedRows | None:
        """All rows as one, kept until they change."""
        if self._all is None and self._rows:
            held = list(self._rows.values())
            self._all = AdvisedRows(
                numbers=np.concatenate([rows.numbers for rows in held]),
                target=np.concatenate([rows.target for rows in held]),
                mask=np.concatenate([rows.mask for rows in held]),
                weight=np.concatenate([rows.weight for rows in held]),
                born=0,
            )
            self._born = np.concatenate([np.full(len(rows), rows.born, np.int64) for rows in held])
        return self._all if self._rows else None
