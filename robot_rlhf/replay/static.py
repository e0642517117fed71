"""Sampling whose every step runs on the device with fixed shapes, so that a CUDA graph can hold it."""

from __future__ import annotations

from collections.abc import Mapping
from threading import RLock

import torch
from torch import Tensor

from robot_rlhf.datatypes import Batch
from robot_rlhf.errors import ReplayError
from robot_rlhf.replay.gather import Gather
from robot_rlhf.replay.members import Members
from robot_rlhf.replay.mixing import Group, shares


class StaticSampler:
    """Batches as `ReplayBuffer.sample` draws them, in two parts: sync() on the host, draw() on the device alone.

    Call sync() before each draw(). A row must not be written between the two: where another thread appends, hold the
    buffer's lock around both (on a GPU for the launches only; the stream keeps the order). A captured draw() goes on
    drawing from what the last sync() told the device, until `signature` changes: then capture it anew. Draw once
    before, as kernels are compiled when first used, and tell the graph of the generator:
    `graph.register_generator_state(sampler.generator)`.
    """

    def __init__(
        self,
        groups: Mapping[Group, Members],
        fractions: Mapping[Group, float],
        batch_size: int,
        gather: Gather,
        generator: torch.Generator,
        lock: RLock,
    ) -> None:
        """Made by ReplayBuffer.static_sampler."""
        self.generator = generator
        self._members = list(groups.values())
        self._fractions = [fractions[group] for group in groups]
        self._batch_size = batch_size
        self._gather = gather
        self._lock = lock
        self._counts: tuple[int, ...] = ()
        self._bounds = torch.zeros((len(self._members), 2), dtype=torch.int64, device=generator.device)
        """Slot of the oldest member, and number of members, by group."""

    @property
    def signature(self) -> tuple[int, ...]:
        """Transitions that each group gives to a batch, as of the last sync(), and a 1 behind them once batches have an
        authority; a captured draw() holds for one."""
        return (*self._counts, 1) if self._gather.has_shares else self._counts

    def sync(self) -> None:
        """Tell the device what the groups hold now.

        Raises:
            ReplayError: all groups of the mix are empty.
        """
        with self._lock:
            bounds = [members.sync() for members in self._members]
            counts = shares(self._batch_size, self._fractions, [length for _, length in bounds])
            if not any(counts):
                raise ReplayError(f"replay: cannot sample {self._batch_size} transitions, all groups are empty")
            self._counts = tuple(counts)
            self._bounds.copy_(torch.tensor(bounds))

    def draw(self) -> Batch:
        """Transitions uniformly within each group, with replacement; groups follow each other in the batch.

        Raises:
            ReplayError: sync() was never called.
        """
        if not self._counts:
            raise ReplayError("replay: draw() of a static sampler before its first sync()")
        # 53 bits, so that each of a million rows is equally likely.
        uniform = torch.rand(
            self._batch_size, generator=self.generator, device=self._bounds.device, dtype=torch.float64
        )
        drawn: list[Tensor] = []
        start = 0
        for members, bounds, count in zip(self._members, self._bounds, self._counts, strict=True):
            place = (uniform[start : start + count] * bounds[1]).long().add_(bounds[0]).remainder_(len(members.mirror))
            drawn.append(members.mirror.take(place))
            start += count
        return self._gather(torch.cat(drawn), self.generator)
