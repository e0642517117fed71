"""Side-by-side measurements: contestants take turns in one run, each in a process and, if need be, a Python of its own.

A peer is measured when its interpreter is named: `--python sbx=PATH/bin/python`. How to make one:

    python3.11 -m venv peers && peers/bin/pip install sbx-rl stable-baselines3    # likewise torchrl, lerobot
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
JAX_ONE_THREAD = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"}


@dataclass(frozen=True)
class Entry:
    """One contestant: a script that serves (benchmarks/peers/serve.py), and what it is told."""

    name: str
    script: str
    arguments: Sequence[object]
    python: str = sys.executable
    """The interpreter it runs in."""
    cores: str | None = None
    """Processors it may use, as taskset takes them; None for all."""


@dataclass
class Result:
    """What was measured of an entry."""

    version: str
    ms: list[float] = field(default_factory=list[float])

    @property
    def median(self) -> float:
        return statistics.median(self.ms)


class _Contestant:
    def __init__(self, entry: Entry) -> None:
        self.entry = entry

    def __enter__(self) -> _Contestant:
        command = [self.entry.python, str(HERE / self.entry.script), *map(str, self.entry.arguments)]
        if self.entry.cores is not None:
            command = ["taskset", "-c", self.entry.cores, *command]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ONE_THREAD, **JAX_ONE_THREAD, "PYTHONPATH": str(HERE.parent)},
        )
        self.version = str(self._hear()["version"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=20.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def measure(self, seconds: float) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        return float(self._hear()["ms"])

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"{self.entry.name}: ended without an answer")


def contest(entries: Sequence[Entry], *, rounds: int, seconds: float) -> dict[str, Result]:
    """Start all, one after the other; in each round each measures for some seconds, alone."""
    results: dict[str, Result] = {}
    started: list[_Contestant] = []
    try:
        for entry in entries:
            contestant = _Contestant(entry).__enter__()
            started.append(contestant)
            results[entry.name] = Result(contestant.version)
        for _ in range(rounds):
            for contestant in started:
                results[contestant.entry.name].ms.append(contestant.measure(seconds))
    finally:
        for contestant in started:
            contestant.__exit__(None, None, None)
    return results


def show(title: str, results: Mapping[str, Result], *, first: str | None = None) -> None:
    """Print a table; `first` is what the others are compared with."""
    table = Table("", "version", "ms", "smallest to largest", "per s", "ratio", title=title)
    base = results[first].median if first is not None else None
    for name, result in results.items():
        spread = f"{min(result.ms):.3f} to {max(result.ms):.3f}"
        ratio = "" if base is None else f"{result.median / base:.2f}"
        table.add_row(name, result.version, f"{result.median:.3f}", spread, f"{1e3 / result.median:,.1f}", ratio)
    Console(width=120).print(table)


def keep(path: Path, what: str, results: Mapping[str, Result], **facts: object) -> None:
    """Append what was measured to a file of JSON lines."""
    row = {"date": time.strftime("%Y-%m-%d"), "what": what, **facts}
    row["results"] = {
        name: {"version": r.version, "ms": round(r.median, 4), "all_ms": [round(t, 4) for t in r.ms]}
        for name, r in results.items()
    }
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def add_options(parser: argparse.ArgumentParser) -> None:
    """What every contest can be told."""
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="per contestant and round")
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH", help="interpreter of a peer")


def interpreters(options: argparse.Namespace) -> dict[str, str]:
    """Peer to interpreter, as given."""
    return dict(pair.split("=", 1) for pair in options.python)
