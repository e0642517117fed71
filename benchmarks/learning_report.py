"""Tables and a plot from the results of benchmarks.learning."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from robot_rlhf.runtime.evaluation import wilson_interval

Row = dict[str, Any]

METHODS = {
    "ours": "ours (RL + corrections)",
    "no_interventions": "ours, nobody corrects",
    "hg_dagger": "HG-DAgger",
    "cloning": "cloning of the same human data",
    "demonstrations": "cloning of the demonstrations alone",
    "sb3_sac": "stock SB3 SAC",
    "continuous_gripper": "ours, continuous gripper",
    "bfloat16": "ours, products in bfloat16",
}
ATTENDED = ("ours", "hg_dagger", "cloning", "continuous_gripper", "bfloat16")
"""Methods with a person who corrects."""
SETTINGS = {
    "pick_cube": "pick_cube",
    "pick_pixels": "pick_cube from two cameras",
    "peg_1mm": "peg_insert, 1 mm",
    "peg_0.5mm": "peg_insert, 0.5 mm",
    "peg_felt": "peg_insert, 1 mm, hole reported up to 2 mm off",
}
COLUMNS = (
    "| task | method | person | seeds | success of 100, per seed | pooled [95 % Wilson] | steps "
    "| seeds to 2x97 %: steps | training min | hands on min | at the machine min | human share, last 20 | cycle s |"
)


def load(folder: Path) -> list[Row]:
    """Every result there is."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def _each(rows: Sequence[Row], value: Callable[[Row], float | None], digits: int = 1) -> str:
    values = [v for v in (value(row) for row in rows) if v is not None]
    if not values:
        return "–"
    middle = f"{statistics.median(values):.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def table_row(rows: Sequence[Row]) -> str:
    """One line for the seeds of one case: medians with range."""
    first = rows[0]
    successes, episodes = sum(r["eval_successes"] for r in rows), sum(r["eval_episodes"] for r in rows)
    low, high = wilson_interval(successes, episodes)
    reached = [r.get("steps_to_97_twice") for r in rows]
    steps_to = f"{sum(s is not None for s in reached)} of {len(rows)}"
    if any(s is not None for s in reached):
        steps_to += f": {_each([r for r in rows if r.get('steps_to_97_twice')], lambda r: r['steps_to_97_twice'], 0)}"
    cells = [
        SETTINGS[first["setting"]],
        METHODS[first["method"]],
        first["operator"] if first["method"] in ATTENDED else "nobody",
        str(len(rows)),
        ", ".join(str(r["eval_successes"]) for r in rows),
        f"{100 * successes / episodes:.1f} % [{100 * low:.1f}, {100 * high:.1f}]",
        _each(rows, lambda r: r["env_steps"], 0),
        steps_to if "curve" in first else "–",
        _each(rows, lambda r: r["train_s"] / 60),
        _each(rows, lambda r: r["hands_on_seconds"] / 60, 2),
        _each(rows, lambda r: r["at_machine_seconds"] / 60),
        _each(rows, lambda r: 100 * r["human_step_share_last_20"] if "human_step_share_last_20" in r else None, 0)
        + " %",
        _each(rows, lambda r: None if r["cycle_steps"] is None else 0.05 * r["cycle_steps"], 2),
    ]
    return "| " + " | ".join(cells) + " |"


def report(folder: Path) -> None:
    """Print the table; write learning.png beside the results."""
    rows = load(folder)
    cases: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        cases.setdefault((row["setting"], row["method"], row["operator"]), []).append(row)
    order = sorted(
        cases, key=lambda c: (list(SETTINGS).index(c[0]), c[2] != "attentive", list(METHODS).index(c[1]), c[2])
    )
    print(COLUMNS)
    print("|" + " --- |" * (COLUMNS.count("|") - 1))
    for case in order:
        print(table_row(sorted(cases[case], key=lambda r: r["seed"])))
    plot(cases, folder.parent / "learning.png")


def plot(cases: dict[tuple[str, str, str], list[Row]], path: Path) -> None:
    """Unaided success over practice steps: each seed thin, the median thick; baselines without a curve as points."""
    settings = [s for s in SETTINGS if any(case[0] == s and case[2] == "attentive" for case in cases)]
    figure, axes = plt.subplots(1, max(1, len(settings)), figsize=(5.2 * max(1, len(settings)), 4.2), squeeze=False)
    colours = dict(zip(METHODS, plt.get_cmap("tab10").colors, strict=False))  # type: ignore[attr-defined]  # a listed map
    for axis, setting in zip(axes[0], settings, strict=False):
        for (of, method, operator), rows in cases.items():
            if of != setting or operator != "attentive":
                continue
            label = METHODS[method]
            for row in rows:
                final = row["eval_successes"] / row["eval_episodes"]
                axis.plot(row["env_steps"], 100 * final, "o", color=colours[method], markersize=5, label=label)
                if "curve" in row:
                    steps = [p["step"] for p in row["curve"]]
                    axis.plot(steps, [100 * p["success_rate"] for p in row["curve"]], color=colours[method], alpha=0.45)
                label = None
        axis.set(title=SETTINGS[setting], xlabel="practice steps (20 per second)", ylim=(-3, 103))
        axis.grid(alpha=0.25)
    axes[0][0].set_ylabel("unaided success of 100 episodes, %")
    axes[0][0].legend(loc="lower right", fontsize=8)
    figure.suptitle("Lines: during practice, one per seed. Points: final evaluation on fresh starts.", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
