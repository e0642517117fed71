"""Learning with a person beside its baselines: success, hands on, time at the machine, cycle time, worst moments.

    python -m benchmarks.learning run --suite pick peg --processes 2     # over days; killed, it goes on where it was
    python -m benchmarks.learning status --suite pick peg
    python -m benchmarks.learning report                                 # tables, page and pictures
    python -m benchmarks.learning run --suite pick --methods ours --people novice --seeds 100 101 \\
        --variant lr --set learner.learning_rate=1e-3                        # to choose a setting

Suites: pick and peg (the comparison over people), long (15,000 steps), short (what sessions of 500 to 2,000 steps
deploy), ablations, controls, worlds (push and drawer_store), words (sentences alone), hard (pegs), pixels, precision.
Each run is a process
with one thread; its row is a file in benchmarks/results/learning/ERA, whole or not there, and what has its row is not
run again. Success is measured unaided, at one seed on the same starts for all methods.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.learning.cases import METHODS, REPORT_SEEDS, TASKS, Case
from benchmarks.learning.report import report
from benchmarks.learning.rows import ERA, Era
from benchmarks.learning.run import run
from benchmarks.learning.runner import Runner, do_one
from benchmarks.learning.status import show
from benchmarks.learning.suites import SUITES, chosen
from robot_rlhf.errors import RobotRlhfError
from robot_rlhf.run.folder.provenance import source_commit


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.learning", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (("run", "do what has no row yet"), ("status", "how far it is")):
        command = commands.add_parser(name, help=what)
        command.add_argument("--suite", nargs="+", choices=tuple(SUITES), default=["pick", "peg"])
        command.add_argument("--tasks", nargs="+", choices=tuple(TASKS), default=[])
        command.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=[])
        command.add_argument("--people", nargs="+", default=[])
        command.add_argument("--seeds", nargs="+", type=int, default=[], help="in the place of the suite's own")
        command.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="settings of all runs")
        command.add_argument("--variant", default="", help="what runs with --set are called")
        command.add_argument("--processes", type=int, default=1, help="runs at a time, one thread each")
        command.add_argument("--era", default=ERA)
    command = commands.choices["run"]
    command.add_argument("--budget-hours", type=float, help="begin no run after these")
    command.add_argument("--retry", action="store_true", help="do also what failed before")
    command.add_argument("--nice", type=int, default=10, help="how much the runs stand back behind others")
    command = commands.add_parser("report", help="tables into docs/results/learning.md, a page and pictures")
    command.add_argument("--era", default=ERA)
    command = commands.add_parser("one", help="one run, in this process; for `run`")
    command.add_argument("rows", type=Path)
    command.add_argument("runs", type=Path)
    command.add_argument("case", type=Case.from_json)
    return parser.parse_args(argv)


def warnings_of(options: argparse.Namespace, wanted: Sequence[Case], commit: str | None) -> list[str]:
    """What a person should think of before seeds are spent that are kept for the report."""
    spent = sorted({case.seed for case in wanted if case.seed in REPORT_SEEDS})
    if not spent:
        return []
    seeds = f"seeds {spent[0]} to {spent[-1]} are kept for the report"
    found: list[str] = []
    if options.set:
        found.append(
            f"{seeds}: a setting that is chosen by what it does on them has no fresh ones left; tune on 100-139"
        )
    if commit is not None and commit.endswith("+changes"):
        found.append(f"{seeds}: the program has changes that are in no commit, so that nobody can run it again")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    options = parsed(argv)
    if options.command == "one":
        era = Era(options.rows.name, results=options.rows.parent, runs=options.runs.parent)
        return do_one(era, options.case, run, source_commit())
    console = Console()
    era = Era(options.era)
    try:
        if options.command == "report":
            report(era, console)
            return 0
        wanted = chosen(
            options.suite,
            tasks=options.tasks,
            methods=options.methods,
            people=options.people,
            seeds=options.seeds,
            variant=options.variant,
            settings=options.set,
        )
        if options.command == "status":
            show(era, wanted, options.processes, console)
            return 0
        for text in warnings_of(options, wanted, source_commit()):
            print(f"warning: {text}", file=sys.stderr, flush=True)
        os.nice(options.nice)
        runner = Runner(
            era,
            processes=options.processes,
            budget_hours=options.budget_hours,
            retry=options.retry,
            commit=source_commit(),
            say=lambda text: print(text, flush=True),
        )
        return 0 if runner.run(wanted) else 1
    except RobotRlhfError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on with what is missing", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
