"""The figures of the results, drawn from the rows that were measured."""

from __future__ import annotations

from pathlib import Path

from benchmarks import growth
from benchmarks.learning import plots
from benchmarks.learning.figures import grouped
from benchmarks.learning.first_era import FIRST_ERA
from benchmarks.learning.report import pictures, reported
from benchmarks.learning.rows import Era
from benchmarks.rewards.report import draw_optimised
from benchmarks.rewards.rows import read_rows

ROWS = Path(growth.RESULTS)


def draw_all(folder: Path) -> list[str]:
    """Draw every figure into a folder; their names there, which are those of the files beside the rows."""
    drawn: list[str] = []
    for name, (_, draw) in pictures(grouped(reported(list(Era().all_rows())))).items():
        if draw(folder / name):
            drawn.append(name)
    first = f"learning/{FIRST_ERA}/learning.png"
    (folder / first).parent.mkdir(parents=True)
    plots.curves(grouped(Era(FIRST_ERA).all_rows()), folder / first)
    growth.draw(ROWS / "speed.jsonl", folder / "growth.png")
    draw_optimised(read_rows(ROWS / "rewards.jsonl", "optimise"), folder / "rewards_optimised.png")
    return [*drawn, first, "growth.png", "rewards_optimised.png"]
