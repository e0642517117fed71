"""Whether commands are those of the arm that was measured: what they asked for, against how the tool moved.

Both are summed over short windows, and the lag by which the tool follows is the one that explains its motion best.
Along each direction in which enough was commanded, the tool must have moved the same way, and about as far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from robot_rlhf.journal.bags.poses import Rows, motion

WINDOW = 0.2
"""Seconds over which motions are summed, so that noise of a single period does not count."""
LAG = 0.6
"""Seconds by which a tool may follow its commands."""
ENOUGH = {"m": 0.02, "rad": 0.1}
"""Length of the way that must be commanded for a check."""
FACTOR = (0.5, 2.0)
"""How far a tool may move for a command of 1; contact, limits and lag take some."""
ALIGNED = 0.7
"""Cosine between the directions of command and motion from which on they agree."""
EXPLAINED = 0.3
"""Share of the measured motion that commands must explain."""
APART = 0.2
"""Metres between commanded and measured poses (median) up to which they are the same arm's."""
AXES = {"m": ("x", "y", "z"), "rad": ("rx", "ry", "rz")}


class Followed(Protocol):
    """T steps of an arm that follows commands."""

    @property
    def shifts(self) -> Rows:
        """What was asked of the tool in each step: m, then rad, base frame. Shape (T, 6)."""
        ...

    @property
    def pose(self) -> Rows:
        """Measured. Shape (T + 1, 7)."""
        ...

    @property
    def target(self) -> Rows:
        """Commanded. Shape (T + 1, 7)."""
        ...

    @property
    def opening(self) -> Rows:
        """Measured, 0 closed to 1 open. Shape (T + 1,)."""
        ...

    @property
    def opening_target(self) -> Rows:
        """Commanded. Shape (T + 1,)."""
        ...


@dataclass(frozen=True)
class Agreement:
    """What came of the check, in words for people."""

    said: tuple[str, ...]
    contradictions: tuple[str, ...]


def agreement(rows: Sequence[Followed], period: float, *, poses: bool, gripper: bool) -> Agreement:
    """Compare commands and motion of all episodes.

    Args:
        rows: the episodes.
        period: of control, s.
        poses: commands were poses, whose places count, too.
        gripper: the opening was both commanded and measured.
    """
    said: list[str] = []
    against: list[str] = []
    for unit, part in (("m", slice(0, 3)), ("rad", slice(3, 6))):
        told = [episode.shifts[:, part] for episode in rows]
        made = [motion(episode.pose[:-1], episode.pose[1:])[:, part] for episode in rows]
        agrees, words = _compared(told, made, unit, period)
        (said if agrees else against).append(words)
    if poses:
        apart = np.concatenate([np.linalg.norm(e.target[:, :3] - e.pose[:, :3], axis=1) for e in rows])
        middle = float(np.median(apart))
        words = f"commanded poses lie {middle:.3g} m from the measured ones (median; allowed: {APART:g})"
        (said if middle <= APART else against).append(words)
    if gripper:
        agrees, words = _openings(rows, period)
        (said if agrees else against).append(words)
    return Agreement(tuple(said), tuple(against))


def _compared(told: Sequence[Rows], made: Sequence[Rows], unit: str, period: float) -> tuple[bool, str]:
    """Whether three axes agree, and in words how."""
    what = "translation" if unit == "m" else "rotation"
    commanded, moved = (sum(float(np.abs(part).sum()) for part in parts) for parts in (told, made))
    if commanded < ENOUGH[unit]:
        return True, f"{what}: {commanded:.2g} {unit} commanded in all, too little to check"
    if moved < 0.1 * commanded:
        return False, f"{what}: {commanded:.3g} {unit} commanded, but only {moved:.2g} {unit} measured"
    fits = [fit for lag in range(max(1, round(LAG / period)) + 1) if (fit := _fit(told, made, period, lag, unit))]
    if not fits:
        return True, f"{what}: episodes too short to check"
    best = max(fits, key=lambda fit: fit.explained)
    answers = ", ".join(_answer(d, r, AXES[unit]) for d, r in zip(best.directions, best.responses, strict=True))
    words = f"{what}: a command of 1 moved the tool by {answers}; {best.explained:.0%} explained, lag {best.lag:.2g} s"
    agrees = best.explained >= EXPLAINED and all(
        FACTOR[0] <= float(r @ d) <= FACTOR[1] and float(r @ d) >= ALIGNED * float(np.linalg.norm(r))
        for d, r in zip(best.directions, best.responses, strict=True)
    )
    return agrees, words


@dataclass(frozen=True, eq=False)
class _Fit:
    """How the tool answers commands along the k directions in which enough was commanded."""

    lag: float
    """Seconds."""
    explained: float
    """Share of the measured motion."""
    directions: Rows
    """Of commands, each of length 1 and at a right angle to the others. Shape (k, 3)."""
    responses: Rows
    """Motion for a command of 1 along each. Shape (k, 3)."""


def _fit(told: Sequence[Rows], made: Sequence[Rows], period: float, lag: int, unit: str) -> _Fit | None:
    """Least squares over windows, in the principal directions of the commands; None where no window fits in."""
    window = max(1, round(WINDOW / period))
    pairs = [
        (_sums(commands[: len(commands) - lag], window), _sums(motions[lag:], window))
        for commands, motions in zip(told, made, strict=True)
        if len(commands) >= lag + window
    ]
    if not pairs:
        return None
    asked, moved = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    left, sizes, right = np.linalg.svd(asked, full_matrices=False)
    ways = np.abs(np.concatenate(told) @ right.T).sum(axis=0)
    clear = (ways >= ENOUGH[unit]) & (sizes**2 >= 0.02 * (sizes**2).sum()) & (sizes > 0.0)
    if not clear.any():
        return None
    left, sizes, right = left[:, clear], sizes[clear], right[clear]
    signs = np.sign(right[np.arange(len(right)), np.argmax(np.abs(right), axis=1)])  # x, not -x
    left, right = left * signs, right * signs[:, None]
    responses = (left.T @ moved) / sizes[:, None]
    rest = moved - (left * sizes) @ responses
    explained = 1.0 - float((rest**2).sum() / max(float((moved**2).sum()), 1e-12))
    return _Fit(lag * period, explained, right, responses)


def _sums(values: Rows, window: int) -> Rows:
    """Sums over each window. Shape (T, 3) to (T - window + 1, 3)."""
    total = np.concatenate([np.zeros((1, 3)), np.cumsum(values, axis=0)])
    return total[window:] - total[:-window]


def _answer(direction: Rows, response: Rows, axes: tuple[str, ...]) -> str:
    size = float(np.linalg.norm(response))
    return f"{size:.2f} along {_named(response / max(size, 1e-12), axes)} for {_named(direction, axes)}"


def _named(direction: Rows, axes: tuple[str, ...]) -> str:
    place = int(np.argmax(np.abs(direction)))
    if abs(direction[place]) > 0.95:
        return f"{'-' if direction[place] < 0 else ''}{axes[place]}"
    return "(" + ", ".join(f"{part:.2f}" for part in direction) + ")"


def _openings(rows: Sequence[Followed], period: float) -> tuple[bool, str]:
    """Whether the gripper opens when it is told to."""
    told, made = (np.concatenate([getattr(e, name) for e in rows]) for name in ("opening_target", "opening"))
    if float(np.ptp(told)) < 0.5 or float(np.ptp(made)) < 0.1:
        return True, "gripper: hardly moved, too little to check"
    together: list[float] = []
    for lag in range(max(1, round(2.0 * LAG / period)) + 1):
        if len(told) > lag + 2:
            a, b = told[: len(told) - lag], made[lag:]
            spread = float(a.std() * b.std())
            together.append(float(((a - a.mean()) * (b - b.mean())).mean()) / spread if spread > 0 else 0.0)
    strongest = max(together, key=abs)
    words = f"gripper: opening measured and commanded go together by {strongest:.2f} (correlation)"
    return strongest > -0.5, words
