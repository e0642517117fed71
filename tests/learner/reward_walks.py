"""A world of one line: walks from somewhere on the left to 1 (success), or away from it (failure)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Feedback, FeedbackKind, Segment
from robot_rlhf.rewards.trajectory import Trajectory

SIZE = 24
"""Pixels of a picture, in either direction."""


def walk(
    name: str,
    rng: np.random.Generator,
    *,
    success: bool | None = True,
    steps: int = 20,
    pictures: bool = False,
    instruction: str = "go right",
) -> Trajectory:
    """A walk whose state is its place, and two numbers that mean nothing."""
    start = rng.uniform(-1.0, -0.5)
    end = 1.0 if success else rng.uniform(-1.0, 0.2)
    place = np.linspace(start, end, steps + 1) + rng.normal(0.0, 0.01, steps + 1)
    place[-1] = end
    columns: dict[str, NDArray[np.generic]] = {
        "state": np.stack([place, *rng.normal(size=(2, steps + 1))], axis=1).astype(np.float32)
    }
    if pictures:
        columns["front"] = np.stack([picture(x) for x in place])
    actions = np.diff(place)[:, None].astype(np.float32)
    return Trajectory(name, "walk", instruction, columns, actions, success)


def picture(place: float) -> NDArray[np.uint8]:
    """A bright bar at the place."""
    image = np.full((SIZE, SIZE, 3), 40, np.uint8)
    column = int(np.clip((place + 1.0) / 2.0, 0.0, 1.0) * (SIZE - 4))
    image[:, column : column + 4] = 230
    return image


def walks(successes: int, failures: int, seed: int = 0, *, pictures: bool = False) -> list[Trajectory]:
    """Named walk-0, walk-1, ..., of different lengths."""
    rng = np.random.default_rng(seed)
    kinds = [True] * successes + [False] * failures
    return [
        walk(f"walk-{i}", rng, success=kind, steps=int(rng.integers(12, 25)), pictures=pictures)
        for i, kind in enumerate(kinds)
    ]


def labels(
    trajectories: list[Trajectory], count: int, seed: int, *, length: int = 6, mistakes: float = 0.0
) -> list[Feedback]:
    """Preferences for the segment that was further to the right on the whole; some the wrong way round."""
    rng = np.random.default_rng(seed)
    found: list[Feedback] = []
    for _ in range(count):
        segments: list[Segment] = []
        returns: list[float] = []
        for i in rng.integers(len(trajectories), size=2):
            trajectory = trajectories[i]
            start = int(rng.integers(len(trajectory) - length + 1))
            segments.append(Segment(trajectory.id, start, length))
            returns.append(float(trajectory.observations["state"][start + 1 : start + 1 + length, 0].sum()))
        value = float(returns[0] > returns[1])
        if rng.random() < mistakes:
            value = 1.0 - value
        found.append(Feedback(FeedbackKind.PREFERENCE, "oracle", 0.0, segments[0], value, other=segments[1]))
    return found
