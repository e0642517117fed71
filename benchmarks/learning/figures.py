"""What is said of the runs of one case: rates with intervals, medians with ranges, paired differences."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.learning.rows import Row
from robot_rlhf.rewards.metrics import wilson_interval

Key = tuple[str, str, str, str]
"""Task, method, person, variant."""
CALM = 0.97
"""Two evaluations in a row that reach this success rate have learned it."""
FALL = 0.93
"""A later one below this has unlearned it."""


def grouped(rows: Iterable[Row]) -> dict[Key, list[Row]]:
    """The rows by what they are, each case's in the order of the seeds."""
    groups: dict[Key, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["seed"]):
        groups.setdefault((row["task"], row["method"], row["person"], row["variant"]), []).append(row)
    return groups


def pooled(finals: Sequence[Row]) -> tuple[int, int]:
    """Successes and episodes of several measurements."""
    return sum(final["successes"] for final in finals), sum(final["episodes"] for final in finals)


def rate(finals: Sequence[Row]) -> str:
    """Pooled success with its Wilson interval, in %."""
    if not finals:
        return "–"
    successes, episodes = pooled(finals)
    low, high = wilson_interval(successes, episodes)
    return f"{100 * successes / episodes:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def each(rows: Iterable[Row], value: Callable[[Row], float | None], digits: int = 1) -> str:
    """Median over the rows, with the range; '–' where no row has a value."""
    values = [v for v in map(value, rows) if v is not None]
    if not values:
        return "–"
    middle = f"{statistics.median(values):.{digits}f}"
    low, high = (f"{v:.{digits}f}" for v in (min(values), max(values)))
    return middle if low == high else f"{middle} ({low}–{high})"


def cycle_seconds(row: Row) -> float | None:
    """Mean length of the successful episodes of the final evaluation."""
    steps = row["final"]["cycle_steps"]
    return None if steps is None else steps * row["control_period"]


def worst_unaided(row: Row) -> float | None:
    """Least unaided success rate of the evaluations during practice, %; None where there were none during practice."""
    during = [100 * point["success_rate"] for point in row["curve"] if point["step"] > 0]
    return min(during, default=None)


def worst_helped(row: Row) -> float | None:
    """Least share of 20 practice episodes in a row that succeeded with what help there was, %."""
    share = row.get("worst_helped")
    return None if share is None else 100 * share


def below_cloning(row: Row, clone: Row | None) -> float | None:
    """Points by which unaided success was below that of the clone of the same data, at the worst moment; at least 0."""
    if clone is None:
        return None
    own = {point["step"]: point["success_rate"] for point in row["curve"]}
    gaps = [point["success_rate"] - own[point["step"]] for point in clone["curve"] if point["step"] in own]
    return max(0.0, 100 * max(gaps)) if gaps else None


@dataclass(frozen=True)
class Paired:
    """Two policies on the same starts, one start at a time."""

    episodes: int
    only_first: int
    """Starts on which the first alone succeeded."""
    only_second: int
    cycle_difference: float | None
    """Mean of first minus second, control steps, where both succeeded."""

    @property
    def points(self) -> float:
        """First minus second, in percentage points."""
        return 100 * (self.only_first - self.only_second) / self.episodes

    @property
    def half_width(self) -> float:
        """Of the 95 % interval of the points (Agresti and Min 2005: Wald's, with 0.5 added to each cell)."""
        b, c, n = self.only_first + 0.5, self.only_second + 0.5, self.episodes + 2
        return 100 * 1.96 * math.sqrt(b + c - (b - c) ** 2 / n) / n

    def __str__(self) -> str:
        return f"{self.points:+.1f} ± {self.half_width:.1f}"


def paired(first: Sequence[Row], second: Sequence[Row]) -> Paired | None:
    """Compare two cases over the seeds that both have; None where there is none, or it began from other starts."""
    others = {row["seed"]: row for row in second}
    pairs = [(row["final"], others[row["seed"]]["final"]) for row in first if row["seed"] in others]
    pairs = [(a, b) for a, b in pairs if a["starts"] is not None and a["starts"] == b["starts"]]
    if not pairs:
        return None
    outcomes = [(a, b) for one, two in pairs for a, b in zip(one["outcomes"], two["outcomes"], strict=True)]
    lengths = [
        a - b
        for one, two in pairs
        for a, b, p, q in zip(one["lengths"], two["lengths"], one["outcomes"], two["outcomes"], strict=True)
        if p == q == "1"
    ]
    return Paired(
        len(outcomes),
        outcomes.count(("1", "0")),
        outcomes.count(("0", "1")),
        statistics.mean(lengths) if lengths else None,
    )


def difference(first: Sequence[Row], second: Sequence[Row], value: Callable[[Row], float]) -> float | None:
    """Mean of first minus second over the seeds that both have."""
    others = {row["seed"]: row for row in second}
    found = [value(row) - value(others[row["seed"]]) for row in first if row["seed"] in others]
    return statistics.mean(found) if found else None


def held(curve: Sequence[Mapping[str, float]]) -> tuple[int | None, float | None]:
    """Practice steps at which two evaluations in a row had reached 97 %, and the least success rate after that."""
    for number in range(1, len(curve)):
        if min(curve[number - 1]["success_rate"], curve[number]["success_rate"]) >= CALM:
            later = [point["success_rate"] for point in curve[number + 1 :]]
            return int(curve[number]["step"]), min(later, default=None)
    return None, None
