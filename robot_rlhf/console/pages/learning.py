"""The panel that shows whether the robot gets better: numbers, curves, why it is not training, and advice."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from nicegui import ui
from numpy.typing import NDArray

if TYPE_CHECKING:
    from robot_rlhf.console.shared import Console

CHART_PERIOD = 4
"""Refreshes of the page from one look at the curves to the next: one second."""
MAX_POINTS = 400
"""Points per curve; longer ones are thinned."""
TREND = 4_000
"""Status reports remembered for the curves over time; every second one goes when it is full."""
NUMBERS: tuple[tuple[str, str, str], ...] = (
    ("help", "success, helped", "Successes among the last 20 practice episodes, whoever drove them"),
    ("alone", "success, alone", "Successes among the last episodes that nobody helped in"),
    ("share", "driven by people", "Share of the last episodes' steps that a person drove"),
    ("minutes", "min hands on", "Minutes that hands drove, of those at the machine: demonstrations, practice watched"),
    ("updates", "updates", "Gradient steps of the learner so far"),
    ("age", "policy age", "Updates that the learner is ahead of the policy that drives"),
)
"""Key, words below the number, and the tooltip."""
TABS: tuple[tuple[str, str], ...] = (("success", "Success"), ("return", "Return"), ("value", "Q"), ("pace", "Pace"))
RUNNING = 20
"""Episodes over which success and the share of people are averaged."""
OVER_TIME = ("value", "pace")
"""Tabs whose curves are over minutes; the others are over episodes."""
FEW = 30
"""Up to so many points are drawn as points too."""
_INK = "#8594a3"
_BLUE, _ORANGE = "#3f87d6", "#d07c14"
_COLUMNS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "success": ("episode {value}", ("success of last 20", "driven by people")),
    "return": ("episode {value}", ("return",)),
    "value": ("{value} min", ("Q", "return seen")),
    "pace": ("{value} min", ("updates per step", "policy age")),
}
"""How the axis below is labelled, and the names of the curves."""


class Trend:
    """What the status reports said over time, for curves: one per console, thinned as it grows."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, ...]] = []
        """Minute of the session, Q, return, ratio, policy age; NaN where nothing was said."""
        self._skip = 1
        self._count = 0

    def take(self, status: Mapping[str, Any]) -> None:
        """A new status report."""
        self._count += 1
        if self._count % self._skip:
            return
        names = ("session_seconds", "q", "value_return", "ratio", "policy_age_updates")
        row = [number(status.get(name)) for name in names]
        if math.isnan(row[0]):
            return
        self.rows.append((row[0] / 60.0, *row[1:]))
        if len(self.rows) >= TREND:
            self.rows = self.rows[::2]
            self._skip *= 2

    @property
    def newest(self) -> tuple[float, ...] | None:
        """The last row; another object whenever something is new."""
        return self.rows[-1] if self.rows else None

    def column(self, index: int) -> NDArray[np.float64]:
        """0 is the minute. Shape (reports,)."""
        return np.array([row[index] for row in self.rows], np.float64)


def trend_of(console: Console) -> Trend:
    """The console's, made and connected at the first call."""
    if console.robot is None:
        return Trend()
    for call in console.robot.on_status:
        owner = getattr(call, "__self__", None)
        if isinstance(owner, Trend):
            return owner
    trend = Trend()
    console.robot.on_status.append(trend.take)
    return trend


def number(value: object) -> float:
    """A finite number, or NaN for anything else that a status may say."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return math.nan
    return float(value)


class LearningPanel:
    """The panel on one page."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._trend = trend_of(console)
        self._tab = TABS[0][0]
        self._turn = 0
        self.visible = True
        """Whether anybody sees the page; nothing is drawn else."""
        self._drawn: tuple[str, object] = ("", None)
        self._chart: ui.echart | None = None
        self._tabs: dict[str, ui.element] = {}

    def build(self) -> None:
        """Into the current slot."""
        with ui.element("section").classes("c-panel d-learn").props('aria-label="Learning"'):
            cells = "".join(
                f'<div class="d-number" title="{title}"><b id="d-n-{name}">–</b>'
                f'<span id="d-l-{name}">{words}</span></div>'
                for name, words, title in NUMBERS
            )
            ui.html(cells, sanitize=False).classes("d-numbers")
            ui.html(
                '<i class="material-icons" id="d-trains-icon" aria-hidden="true">hourglass_empty</i>'
                '<span id="d-trains-words">–</span>',
                sanitize=False,
            ).classes("d-trains").props('id="d-trains" role="status"')
            with ui.element("div").classes("d-plots"):
                with ui.element("div").classes("d-tabs").props('role="tablist"'):
                    for name, words in TABS:
                        tab = ui.element("button").props('type="button" role="tab"').mark(f"tab-{name}")
                        tab.props(f'aria-selected="{"true" if name == self._tab else "false"}"')
                        tab.on("click", self._chooser(name))
                        with tab:
                            ui.label(words)
                        self._tabs[name] = tab
                self._chart = ui.echart(_options(self._tab), renderer="svg")
            ui.html("", sanitize=False).classes("d-advice").props('id="d-advice" aria-label="Advice"')

    def refresh(self) -> None:
        """Draw anew once a second, when something is new."""
        self._turn += 1
        if self.visible and self._turn % CHART_PERIOD == 1:
            self._draw()

    def _chooser(self, name: str) -> Callable[[], None]:
        def choose() -> None:
            self._tab = name
            for other, tab in self._tabs.items():
                tab.props(f'aria-selected="{"true" if other == name else "false"}"')
            if self._chart is not None:
                self._chart.run_chart_method("setOption", _options(name), True)
            self._drawn = ("", None)
            self._draw()

        return choose

    def _draw(self) -> None:
        over_time = self._tab in OVER_TIME
        series = self._console.history.series
        newest = self._trend.newest if over_time else series
        if self._chart is None or (self._drawn[0] == self._tab and self._drawn[1] is newest):
            return
        self._drawn = (self._tab, newest)
        columns = curves(self._tab, series, self._trend)
        source = [thin(column) for column in columns]
        few = len(source[0]) <= FEW
        lines = [{"data": pairs(source[0], y), "showSymbol": few, "symbolSize": 5} for y in source[1:]]
        option: dict[str, Any] = {"series": lines}
        if not over_time and len(source[0]):
            option["xAxis"] = {"max": max(2.0, float(source[0][-1]))}
        self._chart.run_chart_method("setOption", option)


def curves(tab: str, series: Mapping[str, NDArray[Any]], trend: Trend) -> list[NDArray[np.float64]]:
    """What a tab shows: the axis below, then each curve, all of one length."""
    if tab == "value":
        return [trend.column(0), trend.column(1), trend.column(2)]
    if tab == "pace":
        return [trend.column(0), trend.column(3), trend.column(4)]
    # Demonstrations succeed by selection, and evaluations are nobody's practice: neither says how the robot gets on.
    counted = ~np.isnan(series["success"]) & (series["practice"] == 1)
    episode = series["episode"][counted]
    if tab == "return":
        return [episode, series["return"][counted]]
    return [episode, running_mean(series["success"][counted]), running_mean(series["human_share"][counted])]


def running_mean(values: NDArray[np.float64], over: int = RUNNING) -> NDArray[np.float64]:
    """Mean of each value and those before it, at most so many. Shape (n,)."""
    sums = np.concatenate([np.zeros(1), np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - over)
    return (sums[ends] - sums[starts]) / (ends - starts)


def thin(column: NDArray[np.float64], most: int = MAX_POINTS) -> NDArray[np.float64]:
    """At most so many points, evenly chosen; the first and the newest are always among them."""
    if len(column) <= most:
        return column
    return column[np.linspace(0, len(column) - 1, most).round().astype(int)]


def pairs(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[list[float | None]]:
    """As a chart takes them; a gap where nothing is known."""
    return [[float(a), float(b) if math.isfinite(b) else None] for a, b in zip(x, y, strict=True)]


def _options(tab: str) -> dict[str, Any]:
    below, names = _COLUMNS[tab]
    percent, over_time = tab == "success", tab in OVER_TIME
    label = {"color": _INK, "fontSize": 11, "hideOverlap": True, "showMinLabel": True}
    axis: dict[str, Any] = {
        "axisLine": {"lineStyle": {"color": _INK}},
        "axisLabel": label,
        "splitLine": {"lineStyle": {"color": _INK, "opacity": 0.18}},
        "axisTick": {"show": False},
    }
    left: dict[str, Any] = {
        **axis,
        "type": "value",
        "scale": not percent,
        "splitNumber": 2,
        "axisLine": {"show": False},
    }
    if percent:
        left |= {"min": 0, "max": 1, "interval": 0.5}
    ys = [left]
    if tab == "pace":
        ys.append({**left, "splitLine": {"show": False}})
    lines = [
        {
            "type": "line",
            "name": name,
            "data": cast("list[float]", []),
            "showSymbol": False,
            "yAxisIndex": i if tab == "pace" else 0,
            "lineStyle": {"width": 2.5, "type": "solid" if i == 0 else "dashed"},
            "color": (_BLUE, _ORANGE)[i],
            "step": False,
            "connectNulls": False,
        }
        for i, name in enumerate(names)
    ]
    below_axis = {
        **axis,
        "type": "value",
        "axisLabel": {**label, "formatter": below},
        "splitLine": {"show": False},
        "splitNumber": 3,
        "min": 0 if over_time else 1,
        "max": "dataMax" if over_time else 2,
        "minInterval": 0 if over_time else 1,
    }
    legend = {"icon": "roundRect", "top": 0, "right": 4, "itemWidth": 18, "itemHeight": 4, "textStyle": {"color": _INK}}
    return {
        "animation": False,
        "grid": {"left": 36, "right": 36 if tab == "pace" else 14, "top": 24, "bottom": 20},
        "legend": legend,
        "tooltip": {"trigger": "axis", "confine": True},
        "xAxis": below_axis,
        "yAxis": ys,
        "series": lines,
    }
