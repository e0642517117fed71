"""Work on tensors as one piece of machine code: traced once, then fused and compiled by torch's inductor."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

log = logging.getLogger(__name__)

Work = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]
Run = Callable[..., Sequence[Tensor]]
CANNOT = (RuntimeError, OSError, ImportError, subprocess.SubprocessError)
"""What torch raises where it cannot compile: no compiler, a broken one, an operation it does not know."""


class Compiled:
    """Does work on tensors by name as code compiled for their shapes, or as it is written where that cannot be done.

    The work is traced once per set of shapes, gradients and steps of optimisers included, so there is nothing left of
    Python and autograd in what runs. It draws nothing at random, and keeps no tensor that it was given.
    """

    def __init__(self, work: Work, held: Sequence[Tensor], written_out: Callable[[bool], None]) -> None:
        """
        Args:
            held: all tensors that the work reads or changes, besides those it is given.
            written_out: told True before the work is traced and False afterwards.
        """
        self._work = work
        self._held = list(held)
        self._written_out = written_out
        self._runs: dict[tuple[object, ...], tuple[Run, list[str]]] = {}
        self.fails = False
        """True once compiling has failed."""

    def __call__(self, given: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        if self.fails:
            return self._work(given)
        kind = tuple((name, tensor.shape, tensor.dtype) for name, tensor in given.items())
        if kind not in self._runs:
            return self._first(kind, given)
        run, names = self._runs[kind]
        with torch.no_grad():
            return dict(zip(names, run(*self._held, *given.values()), strict=True))

    def _first(self, kind: tuple[object, ...], given: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Compile, and do the work for the first time."""
        began = time.monotonic()
        before = [tensor.detach().clone() for tensor in self._held]
        try:
            run, names = self._traced(given)
            self._put_back(before)  # tracing did the work
            with torch.no_grad():
                results = run(*self._held, *given.values())
        except CANNOT as error:
            self._put_back(before)
            self.fails = True
            reason = (str(error).strip().splitlines() or [""])[0]
            log.warning("updates are not compiled (%s: %s)", type(error).__name__, reason)
            return self._work(given)
        self._runs[kind] = run, names
        log.info("an update of %d tensors compiled in %.0f s", len(given), time.monotonic() - began)
        return dict(zip(names, results, strict=True))

    def _traced(self, given: Mapping[str, Tensor]) -> tuple[Run, list[str]]:
        names: list[str] = []

        def flat(*tensors: Tensor) -> list[Tensor]:
            results = self._work(dict(zip(given, tensors[len(self._held) :], strict=True)))
            names[:] = results
            return list(results.values())

        self._written_out(True)
        try:
            graph = make_fx(flat)(*self._held, *given.values())
        finally:
            self._written_out(False)
        strangers = [node.name for node in graph.graph.nodes if node.op == "get_attr"]
        assert not strangers, f"tensors that are neither held nor given: {strangers}"
        return torch.compile(graph, fullgraph=True, dynamic=False), names

    @torch.no_grad()
    def _put_back(self, before: Sequence[Tensor]) -> None:
        for tensor, value in zip(self._held, before, strict=True):
            tensor.copy_(value)
