"""Pictures of the report: curves, the people's costs, and the long runs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from benchmarks.learning.cases import METHODS, NOBODY, TASKS
from benchmarks.learning.figures import CALM, FALL, cycle_seconds, pooled
from benchmarks.learning.rows import Row
from benchmarks.learning.suites import LONG
from benchmarks.learning.tables import Groups, order, people_of
from robot_rlhf.rewards.metrics import wilson_interval

COLOURS = {
    "ours": "#2563eb",
    "hg_dagger": "#d97706",
    "sirius": "#059669",
    "cloning": "#7c3aed",
    "demonstrations": "#6b7280",
    "twenty": "#111827",
    "no_interventions": "#dc2626",
}
ACROSS = 4
"""Panels beside each other."""


def curves(groups: Groups, path: Path) -> bool:
    """Unaided success over practice steps, a panel per task and person; False where there is nothing to draw."""
    panels = [(task, person) for task in TASKS for person in people_of(groups, task) if person != NOBODY]
    if not panels:
        return False
    across = min(ACROSS, len(panels))
    down = math.ceil(len(panels) / across)
    figure, axes = plt.subplots(
        down, across, figsize=(3.4 * across + 0.4, 2.7 * down + 0.9), squeeze=False, sharey=True
    )
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (task, person) in zip(axes.flat, panels, strict=False):
        there = {method: groups.get((task, method, person, ""), ()) for method in COLOURS}
        end = max((row["env_steps"] for rows in there.values() for row in rows), default=0)
        for rank, (method, rows) in enumerate(there.items()):
            if rows:  # the points side by side behind the last step, so that intervals do not lie on each other
                _curve(axis, method, rows, end * (1.04 + 0.03 * rank))
        axis.set_title(f"{TASKS[task].label}: {person}", fontsize=9)
        axis.set_ylim(-3, 103)
        axis.grid(alpha=0.25)
        axis.tick_params(labelsize=8)
    for axis in axes[:, 0]:
        axis.set_ylabel("unaided success, %", fontsize=8)
    for number in range(len(panels)):
        if number + across >= len(panels):
            axes.flat[number].set_xlabel("practice steps (20 per second)", fontsize=8)
    drawn = [m for m in COLOURS if any(key[1] == m and not key[3] for key in groups)]
    handles = [Line2D([], [], color=COLOURS[m], lw=2, ls=_style(m), label=METHODS[m].label) for m in drawn]
    text = (
        "Line: median of the seeds' evaluations. Band: least to greatest. Point: final evaluation, pooled, 95 % Wilson."
    )
    figure.suptitle(text, fontsize=9, y=0.995)
    below = 1 - 0.22 / figure.get_figheight()
    figure.legend(handles=handles, loc="upper center", ncols=6, fontsize=8, frameon=False, bbox_to_anchor=(0.5, below))
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.45 / figure.get_figheight()))
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return True


def _style(method: str) -> str:
    return {"cloning": "--", "demonstrations": ":", "twenty": ":"}.get(method, "-")


def _curve(axis: Axes, method: str, rows: Sequence[Row], place: float) -> None:
    """Args: place: where on the axis of steps the final evaluation stands."""
    colour = COLOURS[method]
    points = [[(p["step"], 100 * p["success_rate"]) for p in row["curve"] if p["step"] > 0] for row in rows]
    points = [seed for seed in points if seed]
    if points:
        length = min(len(seed) for seed in points)
        steps = [statistics.mean(seed[k][0] for seed in points) for k in range(length)]
        rates = [[seed[k][1] for seed in points] for k in range(length)]
        axis.plot(steps, [statistics.median(r) for r in rates], _style(method), color=colour, lw=1.6)
        axis.fill_between(steps, [min(r) for r in rates], [max(r) for r in rates], color=colour, alpha=0.12, lw=0)
    successes, episodes = pooled([row["final"] for row in rows])
    low, high = wilson_interval(successes, episodes)
    share = successes / episodes
    if not points:  # demonstrations alone: nothing is practised
        axis.axhline(100 * share, ls=":", color=colour, lw=1.4)
    axis.errorbar(
        place, 100 * share, [[100 * (share - low)], [100 * (high - share)]], fmt="o", ms=3.5, color=colour, lw=1
    )


def costs(groups: Groups, task: str, path: Path) -> bool:
    """Success, hands-on seconds and cycle time of each person by method; False where there are no two people."""
    people = [person for person in people_of(groups, task) if person != NOBODY]
    methods = [m for m in COLOURS if any((task, m, person, "") in groups for person in people)]
    if len(people) < 2:
        return False
    figure, axes = plt.subplots(1, 3, figsize=(12, 0.75 * len(people) + 1.6), sharey=True)
    for number, person in enumerate(people):
        for rank, method in enumerate(methods):
            rows = groups.get((task, method, person, ""), ())
            if not rows:
                continue
            height = number + 0.78 * ((rank + 0.5) / len(methods) - 0.5)
            successes, episodes = pooled([row["final"] for row in rows])
            low, high = wilson_interval(successes, episodes)
            _bar(axes[0], height, 100 * successes / episodes, 100 * low, 100 * high, method)
            _range(axes[1], height, rows, lambda row: row["hands_on_seconds"], method)
            _range(axes[2], height, rows, cycle_seconds, method)
        if number % 2:
            for axis in axes:
                axis.axhspan(number - 0.5, number + 0.5, color="black", alpha=0.04, lw=0)
    axes[0].set_yticks(range(len(people)), people)
    axes[0].set_ylim(len(people) - 0.5, -0.5)
    axes[0].set_xlabel("unaided success, % (pooled, 95 % Wilson)")
    axes[1].set_xlabel("hands on, s (median, range over seeds)")
    axes[2].set_xlabel("cycle of successful episodes, s (median, range)")
    axes[0].set_xlim(-2, 102)
    axes[1].set_xlim(left=0)
    axes[2].set_xlim(left=0)
    for axis in axes:
        axis.grid(axis="x", alpha=0.25)
    handles = [Line2D([], [], color=COLOURS[m], marker="o", ls="", label=METHODS[m].label) for m in methods]
    figure.legend(handles=handles, loc="upper center", ncols=len(handles), fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.35 / figure.get_figheight()))
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return True


def _bar(axis: Axes, height: float, middle: float, low: float, high: float, method: str) -> None:
    axis.errorbar(middle, height, xerr=[[middle - low], [high - middle]], fmt="o", ms=4, color=COLOURS[method], lw=1.2)


def _range(axis: Axes, height: float, rows: Sequence[Row], value: Callable[[Row], float | None], method: str) -> None:
    values = [v for v in map(value, rows) if v is not None]
    if values:
        _bar(axis, height, statistics.median(values), min(values), max(values), method)


def long_curves(groups: Groups, path: Path) -> bool:
    """The long runs, each seed a line; False where there are none."""
    cases = sorted((key for key in groups if key[3] in LONG), key=lambda key: (key[0], order(key[2])))
    if not cases:
        return False
    figure, axes = plt.subplots(1, len(cases), figsize=(6 * len(cases), 3.6), squeeze=False, sharey=True)
    for axis, key in zip(axes[0], cases, strict=True):
        colours = plt.get_cmap("tab10")
        for number, row in enumerate(groups[key]):
            steps = [point["step"] for point in row["curve"]]
            rates = [100 * point["success_rate"] for point in row["curve"]]
            axis.plot(steps, rates, lw=1.1, color=colours(number % 10), alpha=0.8, label=str(row["seed"]))
        for level, text in ((CALM, "97 %"), (FALL, "93 %")):
            axis.axhline(100 * level, color="black", lw=0.7, ls=":")
            axis.annotate(text, (1.0, 100 * level), xycoords=("axes fraction", "data"), fontsize=7, va="center")
        axis.set_title(f"{TASKS[key[0]].label}, {METHODS[key[1]].label}: {key[2]}", fontsize=10)
        axis.set_xlabel("practice steps (20 per second)")
        axis.set_ylim(-3, 103)
        axis.grid(alpha=0.25)
        axis.legend(title="seed", fontsize=7, title_fontsize=7, ncols=2, loc="lower right")
    axes[0][0].set_ylabel("unaided success of 100 episodes, %")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return True
