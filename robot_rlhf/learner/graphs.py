"""Whole updates as CUDA graphs: sampling, shifting, critics, actor and temperature in one launch, with no waiting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from robot_rlhf.datatypes import Batch
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.mixing import Mix

Metrics = Mapping[str, Tensor]
WARM_UP = 3
"""Updates before a capture: kernels are compiled, and memory is found, when they first run."""


class RecordedLearner(Protocol):
    """A learner whose update is a part on the host, `begin`, and one on the device alone, `step`."""

    device: torch.device
    generator: torch.Generator

    def begin(self) -> bool:
        """Count an update; returns whether the actor learns in it."""
        ...

    def step(self, batch: Batch, *, with_actor: bool) -> Metrics:
        """What a graph can hold."""
        ...

    def state(self) -> Mapping[str, Tensor]: ...

    def load_state(self, state: Mapping[str, Tensor]) -> None: ...


class Captured(Protocol):
    """Work that was recorded once, and is done again by `replay`, into the same `metrics`."""

    metrics: Metrics

    def replay(self) -> None: ...


Capture = Callable[[Callable[[], Metrics], Sequence[torch.Generator]], Captured]


class UpdateGraphs:
    """Does updates of a learner from a ReplayBuffer, as `learner.update(buffer.sample(...))` would one by one.

    A graph holds fixed sizes, so there is one per kind of update: with or without the actor, and per share of the
    groups in a batch, which changes only while a group is still empty.
    """

    def __init__(
        self,
        learner: RecordedLearner,
        buffer: ReplayBuffer,
        batch_size: int,
        mix: Mix,
        *,
        capture: Capture | None = None,
    ) -> None:
        """Args: capture: how work is recorded; None records CUDA graphs."""
        self._learner = learner
        self._lock = buffer.lock
        self._sampler = buffer.static_sampler(batch_size, mix)
        self._capture = capture or CudaGraph
        self._graphs: dict[tuple[tuple[int, ...], bool], Captured] = {}

    def update(self) -> Metrics:
        """One update; metrics as the learner's own update gives them, copied, so that they may be kept.

        Raises:
            ReplayError: all groups of the mix are empty.
        """
        with self._lock:  # on a GPU for the launch only: the stream keeps the order
            self._sampler.sync()
            with_actor = self._learner.begin()
            kind = (self._sampler.signature, with_actor)
            if kind not in self._graphs:
                self._graphs[kind] = self._record(with_actor)
            graph = self._graphs[kind]
            graph.replay()
            return {name: value.clone() for name, value in graph.metrics.items()}

    def _record(self, with_actor: bool) -> Captured:
        """Warm up on copies of nothing: what the learner is, and what was drawn, is put back afterwards."""
        learner, sampler = self._learner, self._sampler

        def work() -> Metrics:
            return learner.step(sampler.draw(), with_actor=with_actor)

        before, drawn = learner.state(), sampler.generator.get_state()
        side = torch.cuda.Stream() if learner.device.type == "cuda" else None
        if side is not None:
            side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                work()
        if side is not None:
            torch.cuda.current_stream().wait_stream(side)
        learner.load_state(before)
        sampler.generator.set_state(drawn)
        return self._capture(work, (learner.generator, sampler.generator))


class CudaGraph:
    """A recording on a GPU."""

    def __init__(self, work: Callable[[], Metrics], generators: Sequence[torch.Generator]) -> None:
        self._graph = torch.cuda.CUDAGraph()
        for generator in generators:
            self._graph.register_generator_state(generator)
        with torch.cuda.graph(self._graph):
            self.metrics = work()

    def replay(self) -> None:
        self._graph.replay()
