"""Goals in hindsight: what an episode reached later, as if it had been what was wanted (Andrychowicz et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.datatypes import Array, Batch
from robot_rlhf.errors import ConfigError, InvalidValueError, ShapeError
from robot_rlhf.ranges import SHARE, check_ranges
from robot_rlhf.replay.ledger import Ledger
from robot_rlhf.replay.rows import Rows

Strategy = Literal["future", "final", "episode"]


@dataclass(frozen=True, eq=False)
class Wanted:
    """N transitions as if another goal had been theirs: what a judge looks at. g entries of a goal."""

    achieved: Array
    """What holds after the transition. Shape (N, g)."""
    desired: Array
    """The goal given to it. Shape (N, g)."""
    reward: Array
    """As recorded, for the goal it had. Shape (N,)."""
    terminated: NDArray[np.bool_]
    """As recorded. Shape (N,)."""


Judge = Callable[[Wanted], tuple[NDArray[np.floating], NDArray[np.bool_]]]
"""Reward (N,) of such transitions, and which of them end the episode (N,)."""


@dataclass(frozen=True)
class HindsightConfig:
    """Which transitions get which goals."""

    share: float = 0.8
    """Of drawn transitions that get a goal in hindsight: k / (k + 1) for k of them per one as it was; 0.8 is k = 4."""
    strategy: Strategy = "future"
    """future: something reached by this transition or later in its episode; final: what the episode ended with;
    episode: anything reached in it."""

    def __post_init__(self) -> None:
        check_ranges(self, "hindsight", share=SHARE)
        if self.strategy not in ("future", "final", "episode"):
            raise ConfigError(f"hindsight.strategy: got {self.strategy!r}, allowed: 'future', 'final', 'episode'")


class Hindsight:
    """Gives a share of drawn transitions a goal that their own episode reached, and the reward they then deserve."""

    def __init__(self, achieved: slice, desired: slice, judge: Judge, config: HindsightConfig | None = None) -> None:
        """
        Args:
            achieved: where in the state vector what was reached lies.
            desired: where the goal lies.
            judge: decides reward and end; where that is a simulator's true reward, whoever passes it has asked for it.

        Raises:
            ConfigError: the two parts are not equally long, or overlap.
        """
        width = achieved.stop - achieved.start
        if width != desired.stop - desired.start or width < 1:
            raise ConfigError(f"hindsight: {achieved} reached, {desired} wanted; allowed: equally many entries")
        if max(achieved.start, desired.start) < min(achieved.stop, desired.stop):
            raise ConfigError(f"hindsight: {achieved} reached and {desired} wanted overlap")
        self.achieved, self.desired = achieved, desired
        self.config = config or HindsightConfig()
        self._judge = judge

    def __call__(self, batch: Batch, rows: Rows, ledger: Ledger, discount: float, generator: torch.Generator) -> Batch:
        """One-step transitions as they were drawn, to those to learn from; the rest of the batch is as it was.

        Args:
            batch: with row numbers as index. Shape (B, ...).
            rows: of the ring the batch is from.
            ledger: of the same ring.
            discount: gamma of a step that does not end the episode.
            generator: draws which transitions get a goal, and whose.

        Raises:
            ShapeError, InvalidValueError: the judge gives another number of rewards, or one that is not finite.
        """
        chance = torch.rand(len(batch.index), generator=generator, device=batch.index.device)
        place = torch.rand(len(batch.index), generator=generator, device=batch.index.device)
        chosen = (chance < self.config.share).nonzero()[:, 0]
        if not len(chosen):
            return batch
        source = self._goal_rows(batch.index[chosen], place[chosen], ledger)
        goal = rows.floats[source % len(rows.floats), self.achieved]
        observation, following = dict(batch.observation), dict(batch.next_observation)
        for seen in (observation, following):
            seen["state"] = seen["state"].clone()
            seen["state"][chosen, self.desired] = goal
        reward, ends = self._judged(
            Wanted(
                achieved=following["state"][chosen, self.achieved].cpu().numpy(),
                desired=goal.cpu().numpy(),
                reward=batch.reward[chosen].cpu().numpy(),
                terminated=(batch.discount[chosen] == 0.0).cpu().numpy(),
            )
        )
        rewards, discounts = batch.reward.clone(), batch.discount.clone()
        rewards[chosen] = torch.as_tensor(reward, dtype=torch.float32).to(rewards.device)
        discounts[chosen] = torch.as_tensor(np.where(ends, 0.0, discount), dtype=torch.float32).to(discounts.device)
        return replace(batch, observation=observation, next_observation=following, reward=rewards, discount=discounts)

    def _goal_rows(self, index: Tensor, place: Tensor, ledger: Ledger) -> Tensor:
        """The row of the same episode whose achievement becomes the goal of each transition. Shape (N,)."""
        first, last = (torch.as_tensor(bound).to(index.device) for bound in ledger.episode_bounds(index.cpu().numpy()))
        strategy = self.config.strategy
        earliest = index + 1 if strategy == "future" else last if strategy == "final" else first + 1
        several = last - earliest + 1
        return earliest + (place * several).long().minimum(several - 1)

    def _judged(self, wanted: Wanted) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
        reward, ends = self._judge(wanted)
        for name, value in (("reward", reward), ("ends", ends)):
            if value.shape != wanted.reward.shape:
                raise ShapeError(f"hindsight {name}", value.shape, wanted.reward.shape)
        if not np.isfinite(reward).all():
            raise InvalidValueError("hindsight reward", reward[~np.isfinite(reward)][0], "finite numbers")
        return reward, ends


def sparse_judge(reached: Callable[[Array, Array], NDArray[np.bool_]]) -> Judge:
    """The judge of this loop's sparse reward: 1 where the goal is reached, which ends the episode; costs stay.

    Args:
        reached: whether what was achieved (N, g) is what was desired (N, g). Shape (N,).
    """

    def judge(wanted: Wanted) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
        succeeded = wanted.terminated & (wanted.reward > 0.0)
        there = reached(wanted.achieved, wanted.desired)
        return wanted.reward - succeeded + there, (wanted.terminated & ~succeeded) | there

    return judge
