"""How much of each sentence a policy has taken up, as its speaker is told."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.datatypes import Array
from robot_rlhf.errors import CheckpointError

NEWEST = 50
"""Sentences that are measured."""
ROWS_EACH = 16
"""Rows of a sentence that are looked at."""
AFTER = (200, 1_000)
"""Updates after which it is also noted what had been taken up."""
SMALL = 1e-6

Mode = Callable[[Tensor], Tensor]
"""Numbers of rows (N,) to what the policy would do there (N, m)."""


@dataclass
class _Taken:
    """One sentence."""

    born: int
    numbers: list[int] = field(default_factory=list[int])
    target: list[Array] = field(default_factory=list[Array])
    mask: list[NDArray[np.bool_]] = field(default_factory=list[NDArray[np.bool_]])
    then: list[float] = field(default_factory=list[float])
    """Squared distance of what the policy would have done when it was told; NaN before that is known."""
    after: dict[int, float] = field(default_factory=dict[int, float])
    now: float = math.nan


class Uptake:
    """1 - |mode now - a*| / |mode then - a*| over a sentence's rows and the entries that it means.

    1: the policy does it; 0: it does what it did; below 0: it does the opposite.
    """

    def __init__(self) -> None:
        self._taken: dict[str, _Taken] = {}

    def put(self, sentence: str, born: int) -> None:
        """A sentence, in the place of what it said before; the newest now. Args: born: updates when it was said."""
        self.remove(sentence)
        self._taken[sentence] = _Taken(born)
        while len(self._taken) > NEWEST:
            del self._taken[next(iter(self._taken))]

    def add(self, sentence: str, number: int, target: Array, mask: NDArray[np.bool_]) -> None:
        """A row of it, unless there are enough, or it is measured no more. Shapes (m,)."""
        taken = self._taken.get(sentence)
        if taken is not None and len(taken.numbers) < ROWS_EACH:
            taken.numbers.append(number)
            taken.target.append(target)
            taken.mask.append(mask)
            taken.then.append(math.nan)

    def remove(self, sentence: str) -> None:
        """It is measured no more."""
        self._taken.pop(sentence, None)

    def begin(self, mode: Mode, held: Callable[[Tensor], NDArray[np.bool_]]) -> None:
        """Note what the policy does in rows that are new."""
        new = [(t, i) for t in self._taken.values() for i, then in enumerate(t.then) if math.isnan(then)]
        for (taken, i), distance in zip(new, self._distances(new, mode, held), strict=True):
            if distance is not None:
                taken.then[i] = distance

    def measure(self, mode: Mode, held: Callable[[Tensor], NDArray[np.bool_]], updates: int) -> None:
        """Look again. Args: held: which rows can still be looked at (N,); updates: of the learner, so far."""
        rows = [(t, i) for t in self._taken.values() for i, then in enumerate(t.then) if not math.isnan(then)]
        found: dict[int, list[tuple[float, float]]] = {}
        for (taken, i), distance in zip(rows, self._distances(rows, mode, held), strict=True):
            if distance is not None:
                found.setdefault(id(taken), []).append((taken.then[i], distance))
        for sentence, taken in list(self._taken.items()):
            of = found.get(id(taken))
            if of is None:
                if taken.numbers and not any(map(math.isnan, taken.then)):
                    del self._taken[sentence]  # all of its rows are gone
                continue
            then, now = (math.sqrt(sum(column)) for column in zip(*of, strict=True))
            taken.now = 1.0 - now / max(then, SMALL) if now > SMALL else 1.0
            for after in AFTER:
                if updates - taken.born >= after:
                    taken.after.setdefault(after, taken.now)

    @staticmethod
    def _distances(
        rows: Sequence[tuple[_Taken, int]], mode: Mode, held: Callable[[Tensor], NDArray[np.bool_]]
    ) -> list[float | None]:
        """Squared distance of each row's action from what was said; None where the row is gone."""
        if not rows:
            return []
        numbers = torch.tensor([taken.numbers[i] for taken, i in rows])
        there = held(numbers)
        distances: list[float | None] = [None] * len(rows)
        if not there.any():
            return distances
        actions = mode(numbers[torch.as_tensor(there)]).cpu().numpy()
        for place, action in zip(np.flatnonzero(there).tolist(), actions, strict=True):
            taken, i = rows[place]
            distances[place] = float(np.square((action - taken.target[i])[taken.mask[i]]).sum())
        return distances

    @property
    def values(self) -> Mapping[str, float]:
        """The newest figure of each sentence that has one, the newest sentence last."""
        return {sentence: taken.now for sentence, taken in self._taken.items() if not math.isnan(taken.now)}

    def after(self, updates: int) -> list[float]:
        """What had been taken up after so many updates, one of AFTER, of each sentence that is that old."""
        return [taken.after[updates] for taken in self._taken.values() if updates in taken.after]

    def state(self, sentences: Iterable[str]) -> dict[str, Any]:
        """As JSON has it, by sentence."""
        return {
            name: {
                "born": taken.born,
                "then": [None if math.isnan(then) else then for then in taken.then],
                "after": {str(after): value for after, value in taken.after.items()},
                "now": None if math.isnan(taken.now) else taken.now,
            }
            for name, taken in self._taken.items()
            if name in set(sentences)
        }

    def load(self, sentence: str, state: Mapping[str, Any]) -> None:
        """What is kept of a sentence that was told again. Raises CheckpointError where it is not what state() gives."""
        taken = self._taken.get(sentence)
        if taken is None:
            return
        try:
            then = [math.nan if value is None else float(value) for value in state["then"]]
            taken.born = int(state["born"])
            taken.after = {int(after): float(value) for after, value in state["after"].items()}
            taken.now = math.nan if state["now"] is None else float(state["now"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"uptake of sentence {sentence!r}: {error!r}") from error
        known = min(len(then), len(taken.then))
        taken.then[:known] = then[:known]

    def born(self, sentence: str, updates: int) -> None:
        """It counts as said after so many updates."""
        if sentence in self._taken:
            self._taken[sentence].born = updates
