"""`robot-rlhf doctor --delay`: how late a robot obeys and is seen, by what was recorded of it; nothing is sent.

The tool's motion per control period is explained by its own motion in the two periods before, which is what servos are
like, and by what was commanded some periods before (an ARX model with dead time, Ljung, System Identification, 1999,
chapter 10.3). The dead time is the one that leaves the least unexplained. It holds everything from the wish of a
policy to the observation that shows its effect: the way to the robot, the robot itself, the way back. How far it can
be trusted comes from pieces of the episodes drawn anew with replacement (a block bootstrap, Künsch 1989).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import RECENT, RobotSpec
from robot_rlhf.episode import Episode
from robot_rlhf.errors import ConfigError
from robot_rlhf.journal.reader import episodes, journal_spec
from robot_rlhf.run.recordings import journal_path

Rows = NDArray[np.float64]
LONGEST = RECENT - 1
"""Control periods of dead time that are looked for at most."""
SERVO = 2
"""Periods of its own motion that explain the tool's."""
PIECE = 50
"""Steps of a piece at most: longer than what the model remembers, so that pieces have little to do with each other."""
DRAWS = 200
"""Times the pieces are drawn anew."""
EXPLAINED = 0.5
"""Share of the motion that must be explained for a dead time to mean anything."""
STEPS = 100
"""Steps with a whole past that are needed."""
SIMULATED = 3
"""Periods that the simulation can be late, in obeying and in being seen, each."""
AXES = ("x", "y", "z")


@dataclass(frozen=True)
class DeadTime:
    """How late a robot is, in control periods, from a wish to the observation that shows it."""

    periods: int
    low: int
    """2.5 % of the draws found less."""
    high: int
    """2.5 % of the draws found more."""
    explained: float
    """Share of the tool's motion that the model explains with this dead time."""
    second: float
    """The same with the next best one."""
    steps: int
    """That it was found from."""

    @property
    def is_sure(self) -> bool:
        return self.explained >= EXPLAINED and self.low == self.high

    @property
    def words(self) -> str:
        span = f"{self.low}" if self.low == self.high else f"{self.low} to {self.high}"
        return (
            f"{self.periods} control periods from wish to effect seen (95 % of draws: {span}); it explains "
            f"{self.explained:.1%} of the tool's motion in {self.steps:,} steps, the next best {self.second:.1%}"
        )

    @property
    def advice(self) -> str:
        """What to train with."""
        if self.explained < EXPLAINED:
            return "record a minute of free motion in all directions, by hand: what was recorded is not what was asked"
        if self.high == 0:
            return "train as it is: nothing is late"
        simulated = f", in simulation --disturbance.command-delay {min(self.low, SIMULATED)}"
        if self.low > SIMULATED:
            simulated += f" --disturbance.sensing-delay {min(self.low - SIMULATED, SIMULATED)}"
        if self.high > self.low:
            simulated += " --disturbance.jitter 0.5"
        if self.low > 2 * SIMULATED:
            simulated += f" (it can be {2 * SIMULATED} periods late at most)"
        return f"train with --features.ahead{simulated}"


def dead_time_of(path: Path) -> DeadTime:
    """Of the robot in a recorded session.

    Args:
        path: a run's folder, or a journal.

    Raises:
        JournalError: no journal, a foreign or damaged file.
        ConfigError: a robot whose commands are no motions of a tool, or too little recorded.
    """
    journal = journal_path(path)
    spec = journal_spec(journal)
    told = (episode for episode in episodes(journal, pictures=False) if episode.acted.all())
    return dead_time([_motion(episode, spec) for episode in told], str(path))


def dead_time(motions: Sequence[tuple[Rows, Rows]], where: str = "recording") -> DeadTime:
    """Args:
        motions: per episode what was commanded in each period, and how the tool moved in it, m, base frame. Shapes
            (T, k) and (T, k).

    Raises:
        ConfigError: too little of both.
    """
    grams = [piece for commanded, moved in motions for piece in _pieces(commanded, moved)]
    steps = sum(count for _, _, count in grams)
    if steps < STEPS or not sum(float(np.abs(commanded).sum()) for commanded, _ in motions):
        raise ConfigError(f"{where}: {steps} steps with motion and a whole past; a dead time needs {STEPS}")
    left = np.stack([gram for gram, _, _ in grams])  # (pieces, lags, p, p)
    total = np.array([size for _, size, _ in grams])
    rest = _unexplained(left.sum(axis=0), float(total.sum()))
    best = int(np.argmin(rest))
    rng = np.random.default_rng(0)
    drawn: list[int] = []
    for _ in range(DRAWS):
        chosen = rng.integers(0, len(grams), len(grams))
        drawn.append(int(np.argmin(_unexplained(left[chosen].sum(axis=0), float(total[chosen].sum())))))
    low, high = (int(np.quantile(drawn, q, method="nearest")) for q in (0.025, 0.975))
    second = float(np.partition(rest, 1)[1])
    return DeadTime(best, min(low, best), max(high, best), 1.0 - float(rest[best]), 1.0 - second, steps)


def _motion(episode: Episode, spec: RobotSpec) -> tuple[Rows, Rows]:
    names = spec.action.names
    axes = [axis for axis in AXES if axis in names]
    if spec.command.kind != "tool_pose" or not axes:
        what = f"{spec.command.kind}: {', '.join(names)}"
        raise ConfigError(
            f"doctor --delay: commands of this robot ({what}) are no motions of a tool; allowed: actions x, y, z"
        )
    entries = [names.index(axis) for axis in axes]
    commanded = episode.executed[:, entries].astype(np.float64) * spec.action.scale[entries]
    place = episode.observations["tool_pose_in_base"][:, [AXES.index(axis) for axis in axes]].astype(np.float64)
    return commanded, np.diff(place, axis=0)


def _pieces(commanded: Rows, moved: Rows) -> Iterator[tuple[NDArray[np.float64], float, int]]:
    """Of each piece: products of the model's columns with each other, per dead time; squared motion, summed; steps.

    The columns are the motion, the motion 1 to SERVO periods before, and the command `lag` periods before.
    """
    first, end = LONGEST + SERVO, len(moved)
    for begin in range(first, end, PIECE):
        steps = np.arange(begin, min(begin + PIECE, end))
        motion = [moved[steps - k].ravel() for k in range(SERVO + 1)]
        columns = [np.stack([*motion, commanded[steps - lag].ravel()]) for lag in range(LONGEST + 1)]
        yield np.stack([each @ each.T for each in columns]), float(motion[0] @ motion[0]), len(steps)


def _unexplained(grams: NDArray[np.float64], size: float) -> Rows:
    """Share of the squared motion that least squares leaves, per dead time. Shape (lags,)."""
    rest: list[float] = []
    for gram in grams:
        weights = np.linalg.lstsq(gram[1:, 1:], gram[1:, 0], rcond=None)[0]
        rest.append((gram[0, 0] - float(weights @ gram[1:, 0])) / max(size, 1e-300))
    return np.array(rest)
