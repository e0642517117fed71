"""What the host knows of each row of the ring: its episode, step, source and versions, and which rows can be drawn."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from robot_rlhf.datatypes import Source
from robot_rlhf.errors import InvalidValueError, ReplayError, ShapeError
from robot_rlhf.replay.members import Members
from robot_rlhf.replay.mixing import Group

NOT_SAMPLED = -1
"""Source of a row that no transition leaves, or whose episode was discarded."""
UNLABELLED = -1
COLUMNS: dict[str, tuple[type[np.generic], int]] = {
    "episode": (np.int64, 0),
    "step": (np.int32, 0),
    "policy_version": (np.int64, 0),
    "reward_version": (np.int64, 0),
    "recorded_reward": (np.float32, 0),
    "label": (np.int8, UNLABELLED),
    "terminated": (np.bool_, 0),
    "truncated": (np.bool_, 0),
}
"""Name to type, and to the value of a new row."""


class Mark(enum.IntEnum):
    """What people said of a row afterwards; of several sayings the last counts."""

    NONE = 0
    PRAISED = 1
    BLAMED = 2
    NOT_MEANT = 3
    """What was done on a person's word had not been meant."""
    AGAINST_RULE = 4
    """A standing rule would have changed what was done: nobody is to imitate it."""


MARKED: Mapping[Mark, Mapping[Source, Source]] = MappingProxyType(
    {
        Mark.NONE: MappingProxyType({}),
        Mark.PRAISED: MappingProxyType({Source.POLICY: Source.PRAISED, Source.PROVEN: Source.PRAISED}),
        Mark.BLAMED: MappingProxyType(dict.fromkeys((Source.POLICY, Source.PROVEN, Source.HUMAN), Source.BLAMED)),
        Mark.NOT_MEANT: MappingProxyType({Source.HUMAN: Source.OTHER}),
        Mark.AGAINST_RULE: MappingProxyType(
            dict.fromkeys(
                (Source.POLICY, Source.PROVEN, Source.PRE_INTERVENTION, Source.HUMAN, Source.DEMO), Source.OTHER
            )
        ),
    }
)
"""As what a row of each source is drawn that has a mark; as itself where none is said."""
_DRAWN_AS = np.array([[MARKED[mark].get(source, source) for source in Source] for mark in Mark], np.int8)
HOST_ROW_BYTES = 1 + sum(np.dtype(kind).itemsize for kind, _ in COLUMNS.values())
MEMBER_BYTES = 8


class Ledger:
    """Columns by slot, counts by source, and the members of each group that was asked for."""

    def __init__(self, capacity: int, device: torch.device, more: Mapping[str, type[np.generic]] | None = None) -> None:
        """Args: more: further columns, 0 in a new row."""
        self._kinds = COLUMNS | {name: (kind, 0) for name, kind in (more or {}).items()}
        self.capacity = capacity
        self.written = 0
        """Rows ever written: the number of the next row."""
        self.columns: dict[str, NDArray[Any]] = {
            name: np.full(capacity, start, kind) for name, (kind, start) in self._kinds.items()
        }
        self.counts = np.zeros(len(Source), np.int64)
        """Transitions that can be drawn, per source."""
        self._source = np.full(capacity, NOT_SAMPLED, np.int8)
        self._own = self._source
        """As what each row would be drawn if nobody had said anything of it; the same array until somebody does."""
        self._marks: NDArray[np.int8] | None = None
        self._starts: list[int] = []
        """First row of each episode of which rows are held, and of few before."""
        self._starts_seen = np.zeros(0, np.int64)
        self._members: dict[Group, Members] = {}
        self._device = device

    @property
    def oldest(self) -> int:
        """Number of the oldest row that is still held."""
        return max(0, self.written - self.capacity)

    def append(self, episode: int, step: int) -> int:
        """Begin a row, which overwrites the oldest when the ring is full. Returns its slot."""
        number, slot = self.written, self.written % self.capacity
        if number >= self.capacity:
            self.unlist(number - self.capacity)
            for members in self._members.values():
                members.drop_before(number - self.capacity + 1)
        for name, (_, start) in self._kinds.items():
            self.columns[name][slot] = start
        if self._marks is not None:
            self._marks[slot] = Mark.NONE
        self.columns["episode"][slot] = episode
        self.columns["step"][slot] = step
        if step == 0:
            self._starts.append(number)
        self.written += 1
        return slot

    def episode_bounds(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First and last row of the episode that each row, which is held, belongs to, as far as they are held.

        The last is the newest so far where the episode is still open. Shapes (N,).
        """
        if len(self._starts) != len(self._starts_seen) or self._starts[-1] != self._starts_seen[-1]:
            gone = max(0, int(np.searchsorted(np.array(self._starts), self.oldest, side="right")) - 1)
            del self._starts[:gone]
            self._starts_seen = np.array(self._starts, np.int64)
        place = np.searchsorted(self._starts_seen, numbers, side="right")
        following = np.append(self._starts_seen, self.written)[place]
        return np.maximum(self._starts_seen[place - 1], self.oldest), following - 1

    def enlist(self, number: int, source: Source) -> None:
        """From now on the transition of this row, newer than all that were enlisted, can be drawn."""
        slot = number % self.capacity
        self._own[slot] = source
        if self._marks is not None:
            source = Source(_DRAWN_AS[self._marks[slot], source])
            self._source[slot] = source
        self.counts[source] += 1
        for group, members in self._members.items():
            if source in group:
                members.push(number)

    def unlist(self, number: int) -> None:
        """Count a row no longer; its groups are told apart."""
        slot = number % self.capacity
        if self._source[slot] != NOT_SAMPLED:
            self.counts[self._source[slot]] -= 1
            self._source[slot] = self._own[slot] = NOT_SAMPLED

    def drop(self, first: int, end: int) -> None:
        """Never draw again the rows from number first up to, not including, end."""
        for members in self._members.values():
            members.drop(first, end)
        for number in range(max(first, self.oldest), min(end, self.written)):
            self.unlist(number)

    def rename_newest(self, source: Source, most: int | None = None) -> tuple[int, int]:
        """The open episode's newest transitions of the policy, back to anybody else's, get another source.

        What was said of them stands.

        Args:
            most: how many at most; None for all.

        Returns:
            The number of the first, and the one after the last.
        """
        end = self.written - 1
        first = end
        earliest = self.oldest if most is None else max(self.oldest, end - most)
        while first > earliest and self._own[(first - 1) % self.capacity] == Source.POLICY:
            first -= 1
        for members in self._members.values():
            members.drop_from(first)
        for number in range(first, end):
            self.unlist(number)
            self.enlist(number, source)
        return first, end

    def mark(self, numbers: NDArray[np.int64], mark: Mark) -> NDArray[np.int64]:
        """Say something of rows, or, with NONE, take it back: they are drawn as if it had never been said.

        Args:
            numbers: of rows; those that cannot be drawn are passed over. Shape (N,).

        Returns:
            Numbers of the rows that are drawn as another source now, oldest first.
        """
        numbers = np.unique(numbers[self.can_be_drawn(numbers)])
        if self._marks is None:
            if mark is Mark.NONE:
                return numbers[:0]
            self._marks, self._own = np.zeros(self.capacity, np.int8), self._source.copy()
        slots = numbers % self.capacity
        self._marks[slots] = mark
        wanted = _DRAWN_AS[mark, self._own[slots]]
        changed = wanted != self._source[slots]
        numbers, slots, wanted = numbers[changed], slots[changed], wanted[changed]
        if not len(numbers):
            return numbers
        concerned = {*self._source[slots].tolist(), *wanted.tolist()}
        np.subtract.at(self.counts, self._source[slots], 1)
        np.add.at(self.counts, wanted, 1)
        self._source[slots] = wanted
        for group, members in self._members.items():
            if not concerned.isdisjoint(group):
                members.put_from(int(numbers[0]), self.numbers(group, int(numbers[0])))
        return numbers

    def sources(self, numbers: NDArray[np.int64]) -> NDArray[np.int8]:
        """As what rows, which are held, are drawn; NOT_SAMPLED where they are not. Shape (N,)."""
        return self._source[numbers % self.capacity]

    def group(self, group: Group) -> Members:
        """The members of a group, kept up to date from the first call on."""
        if group not in self._members:
            self._members[group] = Members(self.capacity, self._device, self.numbers(group).tolist())
        return self._members[group]

    def numbers(self, group: Group, first: int = 0) -> NDArray[np.int64]:
        """Row numbers, from `first` on, that can be drawn from a group, oldest first, on the host."""
        held = np.arange(max(first, self.oldest), self.written)
        return held[np.isin(self._source[held % self.capacity], [int(source) for source in group])]

    def can_be_drawn(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the numbers are rows that are held and that a transition leaves."""
        held = (numbers >= self.oldest) & (numbers < self.written)
        return held & (self._source[numbers % self.capacity] != NOT_SAMPLED)

    def of_source(self, numbers: NDArray[np.int64], source: Source) -> NDArray[np.bool_]:
        """Which of the rows, which are held, can be drawn from this source. Shape (N,)."""
        return self._source[numbers % self.capacity] == source

    def label(self, numbers: NDArray[np.int64], labels: NDArray[Any]) -> int:
        """Set the labels of rows that are still held. Returns how many those are.

        Raises:
            ShapeError: not one label per row.
            InvalidValueError: a label is not one of an int8 from -1 on.
        """
        if labels.shape != numbers.shape:
            raise ShapeError("replay labels", labels.shape, numbers.shape)
        if not np.isin(labels, np.arange(UNLABELLED, 128)).all():
            raise InvalidValueError("replay labels", np.unique(labels)[:5].tolist(), "integers from -1 to 127")
        slots, held = self.slots_held(numbers, stale_allowed=True)
        self.columns["label"][slots] = labels[held]
        return len(slots)

    def slots_held(
        self, numbers: NDArray[np.int64], *, stale_allowed: bool = False
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Slots of the rows that are still held, and which of the numbers those are.

        Raises:
            ReplayError: a number was never written, or, unless allowed, was overwritten.
        """
        held = numbers >= self.oldest
        if (numbers < 0).any() or (numbers >= self.written).any() or not (stale_allowed or held.all()):
            raise ReplayError(
                f"replay: rows {numbers.min()} to {numbers.max()} asked for, held are {self.oldest} to "
                f"{self.written - 1}"
            )
        return numbers[held] % self.capacity, held
