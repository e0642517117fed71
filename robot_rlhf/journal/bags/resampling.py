"""From topics that come when they like to one row per control period."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.errors import JournalError
from robot_rlhf.journal.bags.episodes import Span
from robot_rlhf.journal.bags.poses import Rows
from robot_rlhf.journal.bags.series import Series, Times
from robot_rlhf.journal.bags.source import Bag

Places = NDArray[np.intp]

TOLERANCE = 0.01
"""Share of a period by which a message may come late and still belong to it: clocks are read in nanoseconds."""


@dataclass(frozen=True, eq=False)
class Grid:
    """The moments of one episode's observations. T + 1 of them."""

    span: Span
    times: Times
    """Nanoseconds. Shape (T + 1,)."""
    period: int
    """Nanoseconds of a control period."""

    @property
    def tolerance(self) -> int:
        """Nanoseconds by which a message may come late and still count."""
        return round(TOLERANCE * self.period)

    @property
    def steps(self) -> int:
        return len(self.times) - 1


def regular_grid(span: Span, period: float) -> Grid:
    """One moment per period from the span's start on."""
    each = round(period * 1e9)
    count = max(0, span.end - span.start + round(TOLERANCE * each)) // each + 1
    return Grid(span, span.start + each * np.arange(count, dtype=np.int64), each)


def grid_of_messages(span: Span, series: Series, period: float) -> Grid:
    """One moment per message of a topic."""
    each = round(period * 1e9)
    late = round(TOLERANCE * each)
    low, high = span.start - late, span.end + late
    stamps: list[int] = series.time.tolist()
    times = [time for time in dict.fromkeys(stamps) if low <= time <= high]
    return Grid(span, np.array(times, np.int64), each)


def newest(times: Times, grid: Grid) -> Places:
    """Place of the newest message at each moment; -1 where none has come yet. Shape (T + 1,)."""
    places = np.searchsorted(times, grid.times + grid.tolerance, "right") - 1
    if grid.span.abuts and len(grid.times):  # what came second at that moment belongs to the next episode
        first = int(times.searchsorted(int(grid.times[-1]) - grid.tolerance, "left"))
        places[-1] = min(int(places[-1]), first) if first < len(times) else places[-1]
    return places


def check_fresh(bag: Bag, what: str, times: Times, grid: Grid, places: Places, stale: float) -> None:
    """Raises JournalError where a topic has not begun, or has been silent for too long."""
    if (places < 0).any():
        raise JournalError(
            f"{bag.path}: topic {what}: its first message, at {bag.moment(int(times[0]))}, comes after an episode that "
            f"begins at {bag.moment(grid.span.start)}"
        )
    age = grid.times - times[places]
    if (age > stale * 1e9).any():
        worst = int(np.argmax(age))
        raise JournalError(
            f"{bag.path}: topic {what} is silent for {age[worst] / 1e9:.3f} s at {bag.moment(int(grid.times[worst]))}, "
            f"within an episode; allowed: {stale:g} s (--stale)"
        )


def sampled(bag: Bag, series: Series, grid: Grid, stale: float) -> Rows:
    """The newest values at each moment. Shape (T + 1, k).

    Raises:
        JournalError: nothing new for longer than `stale` seconds, or a value that is not finite.
    """
    places = newest(series.time, grid)
    check_fresh(bag, series.topic, series.time, grid, places, stale)
    values = series.values[places]
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        when = bag.moment(int(series.received[places[row]]))
        raise JournalError(
            f"{bag.path}: topic {series.topic} at {when}: {series.names[column]} is {values[row, column]}; allowed: "
            "finite numbers"
        )
    return values


def differenced(positions: Rows, times: Times) -> Rows:
    """Velocities as the change since the moment before; the first as the second. Shape of positions."""
    if len(times) < 2:
        return np.zeros_like(positions)
    seconds = np.diff(times)[:, None] / 1e9
    change = np.diff(positions, axis=0) / seconds
    return np.concatenate([change[:1], change])


def integrated(series: Series, grid: Grid, timeout: float) -> Rows:
    """The integral of velocities over each step, where each holds until the next, but not for longer than `timeout`.

    Args:
        series: velocities. k values.
        timeout: seconds after which a robot stops without a newer command.

    Returns:
        Shape (T, k).
    """
    time: Rows = (series.time - grid.times[0]) / 1e9
    until_next: Rows = np.diff(time, append=np.inf)
    held = np.minimum(until_next, timeout)
    before = np.concatenate([np.zeros((1, series.values.shape[1])), np.cumsum(series.values * held[:, None], axis=0)])
    moments: Rows = (grid.times - grid.times[0]) / 1e9
    places = np.searchsorted(time.astype(np.float64), moments, "right") - 1
    known = np.maximum(places, 0)
    since = np.minimum(moments - time[known], held[known])[:, None]
    total = np.where(places[:, None] < 0, 0.0, before[known] + series.values[known] * since)
    return np.diff(total, axis=0)
