"""Processes of the runner for its tests: runs that measure nothing, and begin, wait and fail as files say.

    worker.py one ROWS RUNS CASE          one run
    worker.py run ROWS RUNS CASE...       a runner with two processes

RUNS/NAME.begun gets a line with the process's number as a run begins; it waits while RUNS/NAME.hold is there, and fails
where RUNS/NAME.fail is.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from benchmarks.learning.cases import Case
from benchmarks.learning.rows import Era, Row
from benchmarks.learning.runner import Runner, do_one

COMMAND = (sys.executable, __file__)


def era_of(rows: str, runs: str) -> Era:
    """The era of two folders of the same name."""
    return Era(Path(rows).name, results=Path(rows).parent, runs=Path(runs).parent)


def row_of(case: Case) -> Row:
    """What a run of that case could have measured."""
    final = {"episodes": 1, "successes": 1, "success_rate": 1.0, "cycle_steps": 20.0, "outcomes": "1", "lengths": [20]}
    names = {name: getattr(case, name) for name in ("task", "method", "person", "seed", "variant")}
    spent = {"env_steps": 10, "hands_on_seconds": 1.0, "at_machine_seconds": 2.0, "wall_s": 3.0, "curve": []}
    made = {"commit": "c" * 40, "versions": {"python": "3"}, "ended": "2026-11-29", "control_period": 0.05}
    final["starts"] = str(case.seed)
    return {**names, **spent, **made, "settings": list(case.settings), "final": final}


def measure(case: Case, runs: Path) -> Row:
    """Begin, wait, fail or succeed."""
    with (runs / f"{case.name}.begun").open("a") as file:
        file.write(f"{os.getpid()}\n")
    while (runs / f"{case.name}.hold").exists():
        time.sleep(0.01)
    if (runs / f"{case.name}.fail").exists():
        raise ValueError("as the file says")
    return row_of(case)


def main() -> int:
    what, rows, runs, *cases = sys.argv[1:]
    era = era_of(rows, runs)
    wanted = [Case.from_json(text) for text in cases]
    if what == "one":
        return do_one(era, wanted[0], measure, None)
    runner = Runner(era, processes=2, command=COMMAND, say=lambda text: None)
    return 0 if runner.run(wanted) else 1


if __name__ == "__main__":
    sys.exit(main())
