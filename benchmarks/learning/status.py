"""What is done, what runs, what is missing, and how long it will take."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.learning.cases import METHODS, Case
from benchmarks.learning.rows import Era, Row

STATES = ("done", "running", "failed", "missing")


def state_of(era: Era, case: Case) -> str:
    """One of STATES."""
    if era.row(case) is not None:
        return "done"
    if era.running(case):
        return "running"
    return "failed" if era.failed(case) else "missing"


def seconds_expected(case: Case, rows: Sequence[Row]) -> float | None:
    """How long a run takes: the median of what is done and most like it; None while nothing is done.

    Most like it: the same task, method and variant, with whomever; then the same task and method; then the method.
    """
    for names in (("task", "method", "variant"), ("task", "method"), ("method",), ()):
        alike = [row["wall_s"] for row in rows if all(row[name] == getattr(case, name) for name in names)]
        if alike:
            return statistics.median(alike)
    return None


def show(era: Era, wanted: Sequence[Case], processes: int, console: Console) -> None:
    """Print how far the runs are."""
    rows = list(era.all_rows())
    states = {case: state_of(era, case) for case in wanted}
    table = Table("task", "method", *STATES, title=f"era {era.name}: {len(wanted)} runs")
    for task, method in dict.fromkeys((case.task, case.method) for case in wanted):
        count = Counter(states[case] for case in wanted if (case.task, case.method) == (task, method))
        table.add_row(task, METHODS[method].label, *(str(count[state] or "·") for state in STATES))
    total = Counter(states.values())
    table.add_section()
    table.add_row("all", "", *(str(total[state]) for state in STATES))
    console.print(table)
    for case, state in states.items():
        if state == "running":
            console.print(f"running: {case.name}")
    for failure in era.all_failures():
        console.print(f"failed: {failure['name']}: {failure['error']}", markup=False)
    left = [seconds_expected(case, rows) for case, state in states.items() if state in ("missing", "running")]
    known = [seconds for seconds in left if seconds is not None]
    if known:
        hours = sum(known) / 3600 / processes
        console.print(f"expected: {hours:.1f} h with {processes} at a time")
    elif left:
        console.print("expected: unknown, no run is done yet")
