"""How cost grows: with the rows of replay, the batch, the cameras, and the arms that practise in parallel.

    python -m benchmarks.growth [--only rows batch cameras arms]

One thread. Prints a table per question, appends rows to results/speed.jsonl, and draws results/growth.png.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.rings import fill
from benchmarks.simulation import measure_run, run_config
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.policy.networks import NetworkConfig, Shapes

RESULTS = Path(__file__).parent / "results"
STATE, ACTION, HIDDEN = 18, 4, 128
SMALL = (32, 32)
"""A picture small enough for a million of them."""
REPEATS = 5
KEPT = "growth: "
"""What the kept rows of these questions begin with."""
Point = tuple[float, list[float]]


def timed(work: Callable[[], object], seconds: float = 0.6) -> list[float]:
    """Milliseconds per call: the median of each of several repetitions."""
    work()
    medians: list[float] = []
    for _ in range(REPEATS):
        times: list[float] = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 3:
            start = time.perf_counter()
            work()
            times.append(1e3 * (time.perf_counter() - start))
        medians.append(statistics.median(times))
    return medians


def rows() -> dict[str, list[Point]]:
    """Milliseconds to draw 256 of so many rows."""
    curves: dict[str, list[Point]] = {"from state": [], "one picture 32 x 32": []}
    for count in (10_000, 30_000, 100_000, 300_000, 1_000_000):
        for name, cameras in (("from state", {}), ("one picture 32 x 32", {"front": SMALL})):
            buffer = fill(count, STATE, ACTION, cameras)
            curves[name].append((count, timed(lambda buffer=buffer: buffer.sample(256))))
            del buffer
    return curves


def batch() -> dict[str, list[Point]]:
    """Milliseconds of drawing a batch and learning from it."""
    curves: dict[str, list[Point]] = {
        "draw, from state": [],
        "update, from state": [],
        "update, two pictures 64 x 64": [],
    }
    for name, pictures in (("from state", {}), ("two pictures 64 x 64", {"front": (64, 64), "wrist": (64, 64)})):
        buffer = fill(1_000, STATE, ACTION, pictures)
        shapes = Shapes(STATE, ACTION, None, pictures)
        learner = SacLearner(shapes, NetworkConfig(hidden=(HIDDEN, HIDDEN)), SacConfig(), seed=0)
        for size in (64, 128, 256, 512, 1024, 2048, 4096) if not pictures else (64, 128, 256, 512):
            if not pictures:
                curves["draw, from state"].append((size, timed(lambda s=size, b=buffer: b.sample(s))))
            update = timed(lambda s=size, b=buffer, learner=learner: learner.update(b.sample(s)))
            curves[f"update, {name}"].append((size, update))
    return curves


def cameras() -> dict[str, list[Point]]:
    """Milliseconds of drawing 64 transitions with so many cameras 64 x 64, and of learning from them."""
    curves: dict[str, list[Point]] = {"draw": [], "update": []}
    for count in (1, 2, 4, 8):
        pictures = {f"camera{i}": (64, 64) for i in range(count)}
        buffer = fill(1_000, STATE, ACTION, pictures)
        learner = SacLearner(Shapes(STATE, ACTION, None, pictures), NetworkConfig(), SacConfig(), seed=0)
        curves["draw"].append((count, timed(lambda b=buffer: b.sample(64))))
        curves["update"].append((count, timed(lambda b=buffer, learner=learner: learner.update(b.sample(64)))))
    return curves


def arms() -> dict[str, list[Point]]:
    """Milliseconds per practice step of so many arms in parallel, no updates, all processes on this machine."""
    curves: dict[str, list[Point]] = {"from state": [], "two pictures 64 x 64": []}
    for name, size, steps in (("from state", 0, 4_000), ("two pictures 64 x 64", 64, 1_500)):
        for count in (1, 2, 4, 8, 16):
            with tempfile.TemporaryDirectory() as scratch:
                config = run_config(Path(scratch), size, steps, 0.0, 64)
                rates = measure_run(replace(config, mode="parallel", arms=count))
            curves[name].append((count, [1e3 / rate for rate in rates]))
    return curves


QUESTIONS: dict[str, tuple[Callable[[], dict[str, list[Point]]], str, str]] = {
    "rows": (rows, "rows of replay", "ms to draw 256 transitions"),
    "batch": (batch, "transitions in a batch", "ms"),
    "cameras": (cameras, "cameras 64 x 64, batch 64", "ms"),
    "arms": (arms, "arms in parallel", "ms per practice step"),
}


def report(title: str, unit: str, curves: dict[str, list[Point]]) -> None:
    """Print one question's figures, and keep them."""
    table = Table(title, *curves, title=unit)
    places = sorted({x for points in curves.values() for x, _ in points})
    for x in places:
        cells = [dict(points).get(x) for points in curves.values()]
        shown = [f"{statistics.median(c):.3f} ({min(c):.3f} to {max(c):.3f})" if c else "" for c in cells]
        table.add_row(f"{x:,.0f}", *shown)
    Console(width=140).print(table)
    kept = {name: [[x, [round(t, 4) for t in times]] for x, times in points] for name, points in curves.items()}
    row: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "what": KEPT + title, "unit": unit, "curves": kept}
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / "speed.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")


def newest(rows: Path) -> dict[str, tuple[str, dict[str, list[Point]]]]:
    """The unit and the curves of each question by its title, as they were measured last."""
    found: dict[str, tuple[str, dict[str, list[Point]]]] = {}
    for line in rows.read_text(encoding="utf-8").splitlines():
        row: dict[str, Any] = json.loads(line)
        if row["what"].startswith(KEPT):
            found[row["what"].removeprefix(KEPT)] = (row["unit"], row["curves"])
    return found


def draw(rows: Path, path: Path) -> None:
    """One panel per question, both axes logarithmic; bars from the smallest to the largest."""
    panels = newest(rows)
    figure, axes = plt.subplots(1, len(panels), figsize=(4.6 * len(panels), 4.0), squeeze=False, layout="constrained")
    for axis, (title, (unit, curves)) in zip(axes[0], panels.items(), strict=True):
        for name, points in curves.items():
            xs = [x for x, _ in points]
            middle = [statistics.median(t) for _, t in points]
            below = [m - min(t) for m, (_, t) in zip(middle, points, strict=True)]
            above = [max(t) - m for m, (_, t) in zip(middle, points, strict=True)]
            axis.errorbar(xs, middle, yerr=[below, above], marker="o", capsize=3, label=name)
        axis.set(xscale="log", yscale="log", xlabel=title, ylabel=unit)
        axis.grid(alpha=0.3, which="both")
        axis.legend(fontsize="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=tuple(QUESTIONS), nargs="+", default=list(QUESTIONS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.only:
        ask, title, unit = QUESTIONS[name]
        report(title, unit, ask())
    draw(RESULTS / "speed.jsonl", RESULTS / "growth.png")


if __name__ == "__main__":
    main()
