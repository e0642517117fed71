"""Kill one training run with SIGKILL again and again, resume it each time, and let it end.

    python -m benchmarks.run_crash --kills 20

Prints per kill how many steps the journal held, and how many the resumed run said it recovered. That no step is lost
between robot and journal is measured by benchmarks.journal_crash.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from robot_rlhf.journal.reader import read_journal

STEPS = 4_000
GROWTH = 100_000
"""Bytes the journal gains, some sixty steps, before the clock of a kill starts."""
TRAIN = [sys.executable, "-m", "robot_rlhf.apps.cli", "train"]


def journal_bytes(run: Path) -> int:
    """Size of the run's journal so far."""
    return sum(file.stat().st_size for file in (run / "journal").glob("*.mcap"))


def steps_in(run: Path) -> int:
    """Steps that can be read back, demonstrations included."""
    return sum(type(record).__name__ == "Step" for record in read_journal(run / "journal"))


def run_until_killed(command: list[str], run: Path, patience: float) -> bool:
    """Kill the run `patience` seconds after it has written some steps; False when it ended before."""
    before = journal_bytes(run) if run.exists() else 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120.0
    while process.poll() is None and journal_bytes(run) <= before + GROWTH and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(patience)
    if process.poll() is not None:
        return False
    process.send_signal(signal.SIGKILL)
    process.wait()
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    arguments = parser.parse_args()
    moments = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        settings = ["--task", "reach", "--steps", str(STEPS), "--out", folder, "--name", "run", "--video-episodes", "0"]
        settings += ["--evaluation.every", "100000", "--evaluation.final-episodes", "20", "--checkpoint-every", "25"]
        first = [*TRAIN, "--quiet", *settings]
        again = [*TRAIN, "--resume", str(run), "--quiet"]
        held: list[int] = []
        for kill in range(arguments.kills):
            if not run_until_killed(again if kill else first, run, moments.uniform(0.05, 1.0)):
                print(f"the run ended by itself before kill {kill + 1}")
                break
            held.append(steps_in(run))
            print(f"kill {kill + 1:2d}: {held[-1]} steps in the journal", flush=True)
        subprocess.run(again, check=True, stdout=subprocess.DEVNULL)
        summary = json.loads((run / "summary.json").read_text())
        print(f"last resume recovered {summary['recovered_steps']} steps (the journal held {held[-1] if held else 0})")
        print(
            f"the run ended with {summary['env_steps']} practice steps, {summary['updates']} updates, "
            f"{summary['eval_successes']} of {summary['eval_episodes']} unaided successes"
        )
        if held != sorted(held) or (held and summary["recovered_steps"] < held[-1]):
            sys.exit("steps were lost")


if __name__ == "__main__":
    main()
