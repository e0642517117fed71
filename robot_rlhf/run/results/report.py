"""The report of a run: summary.json, curves.png and rollouts.mp4."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.disk import replace_text, writing
from robot_rlhf.errors import RenderError
from robot_rlhf.naming import label_of
from robot_rlhf.ports import TrainablePolicy
from robot_rlhf.run.folder.run_folder import RunFolder, read_json_lines
from robot_rlhf.run.results.summary import is_measured
from robot_rlhf.run.results.video import write_rollouts
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.runtime.evaluation import wilson_interval
from robot_rlhf.runtime.tally import Tally

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

ROLLING = 20
"""Episodes over which human share and return are averaged in the plots."""
BLUE, ORANGE, GREEN, RED, GREY = "#2563eb", "#d97706", "#059669", "#dc2626", "#6b7280"


def write_report(
    run: RunFolder,
    config: TrainConfig,
    summary: Mapping[str, Any],
    tally: Tally,
    evaluations: Sequence[Mapping[str, Any]],
    policy: TrainablePolicy | None,
) -> None:
    """Write what is left of a run for people to look at.

    Args:
        policy: what rollouts.mp4 shows; None makes no video.
    """
    write_json(run.summary, summary)
    figure = draw_curves(summary, tally, evaluations, read_json_lines(run.metrics))
    with writing(run.curves):
        figure.savefig(run.curves, dpi=130)
    if policy is None or config.video_episodes == 0:
        return
    try:
        write_rollouts(run.video, config, policy, config.video_episodes)
    except RenderError as error:
        log.warning("no rollouts.mp4: %s", error)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON with sorted keys; a reader sees the old file or the whole new one."""
    replace_text(path, json.dumps(dict(value), indent=2, sort_keys=True) + "\n")


def draw_curves(
    summary: Mapping[str, Any],
    tally: Tally,
    evaluations: Sequence[Mapping[str, Any]],
    metrics: Sequence[Mapping[str, Any]],
) -> Figure:
    """Success, human share, return, and values against returns, over practice steps."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with mpl.rc_context({**style, "font.size": 10, "axes.titlelocation": "left", "axes.titleweight": "bold"}):
        figure = Figure(figsize=(11, 7), layout="constrained")
        panels = figure.subplots(2, 2, sharex=True)
        title = figure.suptitle(headline(summary), fontsize=13, fontweight="bold")
        title.set_fontsize(13 * min(1.0, 0.98 * figure.bbox.width / title.get_window_extent().width))
        _success_panel(panels[0, 0], summary, evaluations)
        _human_panel(panels[0, 1], tally)
        _return_panel(panels[1, 0], tally)
        _value_panel(panels[1, 1], [row for row in metrics if row.get("group") == "value"])
        end = max([tally.steps, *(int(row["step"]) for row in evaluations), 1])
        panels[0, 0].set_xlim(0, end)
        for panel in panels.flat:
            panel.grid(alpha=0.25)
        for panel in panels[1]:
            panel.set_xlabel("practice steps")
        if summary.get("offline"):
            panels[0, 0].set_xlabel("updates")
    return figure


def headline(summary: Mapping[str, Any]) -> str:
    """The run in one line."""
    parts = [f"{label_of(summary['task'])} ({summary['algorithm']}, seed {summary['seed']})"]
    if is_measured(summary):
        low, high = summary["wilson_low"], summary["wilson_high"]
        parts.append(f"{summary['success_rate']:.0%} unaided [{low:.0%}, {high:.0%}]")
    parts.append(f"{summary['hands_on_minutes']:.2f} min hands on, {summary['at_machine_minutes']:.1f} at the machine")
    parts.append(f"{summary['env_steps']:,} steps")
    return "  ·  ".join(parts)


def _success_panel(panel: Axes, summary: Mapping[str, Any], evaluations: Sequence[Mapping[str, Any]]) -> None:
    panel.set_title("Success without help")
    panel.set_ylim(-0.03, 1.05)
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    if not evaluations:
        _nothing(panel, "no evaluation yet")
        return
    steps = [row["step"] for row in evaluations]
    bounds = [wilson_interval(int(row["successes"]), int(row["episodes"])) for row in evaluations]
    low, high = [b[0] for b in bounds], [b[1] for b in bounds]
    panel.fill_between(steps, low, high, color=BLUE, alpha=0.15, linewidth=0, label="95 % interval (Wilson)")
    panel.plot(steps, [row["success_rate"] for row in evaluations], "o-", color=BLUE, label="evaluations", markersize=4)
    if is_measured(summary):
        rate = summary["success_rate"]
        label = f"final: {summary['eval_successes']} of {summary['eval_episodes']}"
        panel.axhline(rate, color=GREEN, linestyle="--", linewidth=1.2, label=label)
    panel.legend(loc="lower right", frameon=False, fontsize=8)


def _human_panel(panel: Axes, tally: Tally) -> None:
    panel.set_title("Steps that the person drove")
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    if not tally.history:
        _nothing(panel, "no practice episode yet")
        return
    ends = _episode_ends(tally)
    lengths = np.array([max(1, e.steps) for e in tally.history], np.float64)
    human = np.array([e.human_steps for e in tally.history], np.float64)
    panel.plot(ends, human / lengths, ".", color=GREY, alpha=0.35, markersize=4, clip_on=False, label="per episode")
    share = rolling_sum(human) / rolling_sum(lengths)
    panel.plot(ends, share, color=ORANGE, linewidth=2, label=f"last {ROLLING} episodes")
    panel.set_ylim(0.0, max(0.1, 1.08 * float((human / lengths).max())))
    panel.legend(loc="upper right", frameon=False, fontsize=8)


def _return_panel(panel: Axes, tally: Tally) -> None:
    panel.set_title("Return per practice episode (help included)")
    if not tally.history:
        _nothing(panel, "no practice episode yet")
        return
    ends = _episode_ends(tally)
    returns = np.array([e.reward for e in tally.history], np.float64)
    panel.plot(ends, returns, ".", color=GREY, alpha=0.35, markersize=4, clip_on=False, label="per episode")
    mean = rolling_sum(returns) / rolling_sum(np.ones(len(returns)))
    panel.plot(ends, mean, color=GREEN, linewidth=2, label=f"last {ROLLING} episodes")
    panel.legend(loc="lower right", frameon=False, fontsize=8)


def _value_panel(panel: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    panel.set_title("Q vs return")
    if not rows:
        _nothing(panel, "no critic")
        return
    steps = [row["step"] for row in rows]

    def smooth(name: str) -> NDArray[np.float64]:
        values = np.array([row[name] for row in rows], np.float64)
        return rolling_sum(values) / rolling_sum(np.ones(len(values)))

    panel.plot(steps, smooth("q"), color=BLUE, linewidth=1.8, label="mean Q: what the critic promised")
    panel.plot(steps, smooth("return"), color=GREEN, linewidth=1.8, label="mean discounted return that followed")
    gap = [row["over_estimation"] for row in rows]
    panel.plot(steps, gap, color=RED, linewidth=1.2, linestyle=":", label="over-estimation")
    panel.axhline(0.0, color=GREY, linewidth=0.8)
    panel.legend(loc="best", frameon=False, fontsize=8)


def _episode_ends(tally: Tally) -> NDArray[np.int64]:
    """Practice steps at the end of each episode. Shape (episodes,)."""
    return np.cumsum([e.steps for e in tally.history])


def rolling_sum(values: NDArray[np.float64], window: int = ROLLING) -> NDArray[np.float64]:
    """Sum over the last `window` values, over fewer at the start. Shape (N,) -> (N,)."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    first = np.maximum(0, np.arange(1, len(values) + 1) - window)
    return total[1:] - total[first]


def _nothing(panel: Axes, why: str) -> None:
    panel.text(0.5, 0.5, why, transform=panel.transAxes, ha="center", va="center", color=GREY)
