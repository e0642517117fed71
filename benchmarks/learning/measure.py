"""Measures a policy as every method is measured: unaided, at one seed on the same starts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.learning.rows import Row
from robot_rlhf.datatypes import EpisodeEnd, EpisodeMeta, Event, Observation, Step
from robot_rlhf.ports import Policy
from robot_rlhf.run.build import evaluation_station
from robot_rlhf.run.results.judge import FINAL_FIRST, describe
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.runtime.evaluation import evaluate

HELP_WINDOW = 20
"""Practice episodes over which success with help is told."""


class Starts:
    """A Subscriber that takes down where each episode began."""

    def __init__(self) -> None:
        self.digests: list[str] = []
        """Of the robot's joints and of everything in the scene, as it truly was, one per episode."""

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        digest = hashlib.sha256(np.asarray(observation.joint_position).tobytes())
        for place in (observation.scene, observation.privileged):
            for name in sorted(place):
                digest.update(name.encode() + np.asarray(place[name]).tobytes())
        self.digests.append(digest.hexdigest())

    def on_step(self, step: Step) -> None:
        """A start is over."""

    def on_event(self, event: Event) -> None:
        """No part of a start."""

    def on_episode_end(self, end: EpisodeEnd) -> None:
        """No part of a start."""

    @property
    def checksum(self) -> str:
        """Of all starts, in order: equal for runs that were measured on the same ones."""
        return hashlib.sha256("".join(self.digests).encode()).hexdigest()[:16]


def measured(config: TrainConfig, policy: Policy, *, episodes: int | None = None, first: int = FINAL_FIRST) -> Row:
    """Measure a policy without help.

    Args:
        episodes: how many; None: as many as the final evaluation has.
        first: number of the first; the default gives the starts that were used for nothing else.

    Returns:
        As an evaluation is described, with each episode's outcome ('1' or '0') and its steps, and the starts' checksum.
    """
    starts = Starts()
    with evaluation_station(config, policy) as station:
        result = evaluate(
            station,
            episodes=config.evaluation.final_episodes if episodes is None else episodes,
            seed=config.seed,
            first=first,
            subscribers=(starts,),
        )
    outcomes = "".join("1" if success else "0" for success in result.successes)
    return {**describe(result), "outcomes": outcomes, "lengths": list(result.lengths), "starts": starts.checksum}


def help_curve(metrics: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    """Practice steps, and success of the last 20 practice episodes with what help there was, from metrics.jsonl.

    The first of them stands after 20 episodes, before which there are no 20.
    """
    practice = [(int(row["step"]), float(row["success_with_help"])) for row in metrics if row["group"] == "practice"]
    return practice[HELP_WINDOW - 1 :]
