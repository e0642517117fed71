"""Kill a writing process with SIGKILL at random moments and count the steps that are lost.

    python -m benchmarks.journal_crash --kills 20

A child process writes steps as fast as it can and reports each one when `on_step` has returned; the parent kills it
at a random moment and reads the journal back. Lost steps = reported steps that are not in the journal (exact ones:
every step read back is compared with the one that was written).
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_rlhf.datatypes import Step
from robot_rlhf.journal.reader import read_journal
from robot_rlhf.journal.writer import JournalWriter
from tests.journal.sessions import make_episode, make_spec, make_steps, plain

SEED = 7
STEPS = 100_000
REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Crash:
    """What one killed writer leaves behind."""

    acknowledged: int
    """Steps whose on_step had returned before the kill, as far as the parent heard."""
    read_back: int
    """Steps that the journal gives back."""
    equal: bool
    """The steps read back are those that were written."""

    @property
    def lost(self) -> int:
        return max(0, self.acknowledged - self.read_back)


def write_until_killed(folder: str) -> None:
    """The child: one endless episode, each step reported on standard output once it is recorded."""
    spec = make_spec()
    steps = make_steps(spec, np.random.default_rng(SEED), STEPS)
    first = next(steps)
    with JournalWriter(folder, spec) as writer:
        writer.on_episode_start(make_episode(spec, 0, 1).meta, first.observation)
        for step in itertools.chain((first,), steps):
            writer.on_step(step)
            os.write(1, b".")


def crash(folder: Path, after: float) -> Crash:
    """Start a writer, kill it `after` seconds behind its first step, and read its journal."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.journal_crash", "--write", str(folder)]
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        reported = len(child.stdout.read(1))
        # Read along: a child that waits for a full pipe would always be killed between two steps.
        os.set_blocking(child.stdout.fileno(), False)
        deadline = time.monotonic() + after
        while time.monotonic() < deadline:
            reported += len(child.stdout.read() or b"")
        child.send_signal(signal.SIGKILL)
        child.wait(10)
        reported += len(child.stdout.read() or b"")
    read = [record for record in read_journal(folder) if isinstance(record, Step)]
    told = make_steps(make_spec(), np.random.default_rng(SEED), STEPS)
    equal = all(plain(got) == plain(step) for got, step in zip(read, told, strict=False))
    return Crash(reported, len(read), equal)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        write_until_killed(arguments.write)
        return
    rng = np.random.default_rng(arguments.seed)
    print(f"python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    print(f"{'kill':>4} {'after s':>8} {'acknowledged':>12} {'read back':>10} {'lost':>5} {'equal':>6}")
    crashes: list[Crash] = []
    for kill in range(arguments.kills):
        after = float(rng.uniform(0.0, 1.5))
        with tempfile.TemporaryDirectory() as folder:
            result = crash(Path(folder) / "journal", after)
        crashes.append(result)
        print(
            f"{kill:4d} {after:8.3f} {result.acknowledged:12d} {result.read_back:10d} {result.lost:5d} "
            f"{result.equal!s:>6}"
        )
    lost = [result.lost for result in crashes]
    print(
        f"lost steps per kill: median {statistics.median(lost)}, largest {max(lost)}; "
        f"all steps equal: {all(result.equal for result in crashes)}"
    )


if __name__ == "__main__":
    main()
