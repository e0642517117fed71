"""What seals cost: the same steps written with and without them, in turns, in one run.

    python -m benchmarks.journal_cost --rounds 40

A round writes an episode by `JournalWriter.on_step` into two files, one sealed as it is recorded, one without seals, in
an order that changes from round to round; processor time and elapsed time of the whole step are compared pairwise.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import numpy as np

from robot_rlhf.datatypes import Step
from robot_rlhf.journal.mcapfile import McapFile, SealedFile
from robot_rlhf.journal.writer import JournalWriter
from tests.journal.sessions import make_episode, make_spec, make_steps

KINDS: Mapping[str, type[McapFile]] = {"sealed": SealedFile, "unsealed": McapFile}


def write(folder: Path, kind: str, steps: list[Step], cameras: Mapping[str, tuple[int, int]]) -> tuple[float, float]:
    """Write the steps; returns microseconds of processor and of elapsed time per step."""
    spec = make_spec(cameras)
    with mock.patch("robot_rlhf.journal.writer.SealedFile", KINDS[kind]), JournalWriter(folder, spec) as writer:
        writer.on_episode_start(make_episode(spec, 0, 1).meta, steps[0].observation)
        cpu, clock = time.thread_time(), time.perf_counter()
        for step in steps:
            writer.on_step(step)
        cpu, clock = time.thread_time() - cpu, time.perf_counter() - clock
    return 1e6 * cpu / len(steps), 1e6 * clock / len(steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    print(f"python {platform.python_version()}, {platform.machine()}, {rounds} rounds")
    for what, cameras, count in (
        ("state", {}, 500),
        ("2 pictures of 96 x 128", {"front": (96, 128), "wrist": (96, 128)}, 100),
    ):
        steps = list(make_steps(make_spec(cameras), np.random.default_rng(0), count))
        taken: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
        for number in range(rounds):
            for kind in sorted(KINDS, reverse=bool(number % 2)):
                with tempfile.TemporaryDirectory() as folder:
                    taken[kind].append(write(Path(folder) / "journal", kind, steps, cameras))
        for i, clock in enumerate(("processor", "elapsed")):
            ours, bare = ([pair[i] for pair in taken[kind]] for kind in ("sealed", "unsealed"))
            more = [100 * (a / b - 1) for a, b in zip(ours, bare, strict=True)]
            low, middle, high = statistics.quantiles(more, n=4)
            print(
                f"{what:24} {clock:10} per step: {statistics.median(bare):7.1f} us without seals, "
                f"{statistics.median(ours):7.1f} us with; {middle:+.1f} % (quartiles {low:+.1f} to {high:+.1f})"
            )


if __name__ == "__main__":
    main()
