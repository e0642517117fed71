"""What each head of a learned reward is taught: which rows it is shown, in which order, and what they are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.errors import ConfigError
from robot_rlhf.learner.reward_data import Moments, Pairs, Rows, by_episode, preference_probabilities, to_device
from robot_rlhf.learner.reward_losses import bradley_terry, progress_loss, success_loss
from robot_rlhf.ranges import COUNT, SHARE, Range, check_ranges
from robot_rlhf.replay.augment import shift_pictures
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.rewards.network import Heads
from robot_rlhf.rewards.trajectory import Trajectory

MINED = 4096
"""Moments that are looked through for hard ones at a time; a thousand pictures take a second."""


@dataclass(frozen=True)
class ProgressConfig:
    """How progress is taught."""

    failed: float = 0.1
    """Share of rows from the ends of failed episodes, whose progress is 0; where there are some."""
    failed_end: float = 0.1
    """Share of a failed episode that is its end. What came before, successful episodes pass through as well."""
    wrong_text: float = 0.2
    """Share of rows that are shown with another task's sentence, for which progress is 0; where there are several."""

    def __post_init__(self) -> None:
        check_ranges(self, "progress", failed=SHARE, failed_end=SHARE, wrong_text=SHARE)


@dataclass(frozen=True)
class PreferenceConfig:
    """How preferences are taught."""

    pairs: int = 32
    """Pairs per update and member."""
    enough: float = 0.97
    """Share of the labelled pairs, ties aside, that all members together must order rightly to stop early."""
    mistakes: float = 0.0
    """Chance that an answer is as good as a coin's: what the others contradict is then not learned at any price."""
    picture_steps: int = 6
    """Steps drawn of each segment where pictures are looked at, standing for all of them; 0 takes all."""

    def __post_init__(self) -> None:
        check_ranges(self, "preference", pairs=Range(1, 1_000_000), enough=SHARE, picture_steps=COUNT)
        if not 0.0 <= self.mistakes < 1.0:
            raise ConfigError(f"preference.mistakes: got {self.mistakes}, allowed 0 to below 1")


@dataclass(frozen=True)
class SuccessConfig:
    """How success is taught."""

    frames: int = 1
    """Last observations of a successful episode that count as success; as many in a row must look so later."""
    gap: int = 3
    """Observations before those that count as nothing: they look like success already."""
    hard: float = 0.5
    """Share of the others that is drawn from those that look most like success."""
    false_positive_rate: float = 0.01
    """Share of the others that the threshold may let pass, on episodes kept for calibration."""

    def __post_init__(self) -> None:
        check_ranges(self, "success", frames=Range(1, 1_000_000), gap=Range(0, 1_000_000), hard=SHARE)
        if not 0.0 <= self.false_positive_rate < 1.0:
            raise ConfigError(f"success.false_positive_rate: got {self.false_positive_rate}, allowed 0 to below 1")


class Lesson(Protocol):
    """One head's part of every update."""

    def loss(self, model: LearnedReward, rng: np.random.Generator) -> Tensor:
        """Of rows drawn for each member by itself."""
        ...

    def review(self, model: LearnedReward) -> bool:
        """Look how far it is, now and then; returns whether it is enough."""
        ...


class Show:
    """Shows rows to the members, each its own, with their pictures shifted at random (DrQ)."""

    def __init__(self, moments: Moments, shift_pixels: int, seed: int) -> None:
        self.moments = moments
        self._shift = shift_pixels
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, model: LearnedReward, rows: Rows, instructions: Sequence[str] | None = None) -> Heads:
        """
        Args:
            rows: Shape (E, B).
            instructions: E * B sentences in the place of the rows' own.
        """
        observation, action, own = self.moments.take(rows.reshape(-1))
        observation = shift_pictures(observation, self._generator, self._shift)
        there = to_device(observation, action, model.device)
        return model.forward(*there, own if instructions is None else instructions, own_rows=True)


class ProgressLesson:
    """How much of a successful episode's time has gone by, t / T, for observation t of 0 to T; a pause takes none.

    The reward must be a function of one moment, so that replay may score any transition by itself. What ReWiND
    (Zhang et al. 2025) does with clips reads as follows for a single moment: a rewound or reversed clip consists of
    the same observations with the labels that they have anyway, so it adds nothing; where an episode that failed has
    ended, and one shown with another task's sentence from beginning to end, are worth 0.
    """

    def __init__(
        self, show: Show, trajectories: Sequence[Trajectory], config: ProgressConfig, batch: int, *, reads_text: bool
    ) -> None:
        """Raises ConfigError when no episode succeeded."""
        good = progress_targets(trajectories)
        if not good:
            failed = sum(t.success is False for t in trajectories)
            raise ConfigError(f"progress: learned from successful episodes; got 0 of them, {failed} failed ones")
        moments = show.moments
        self._show = show
        self._good = np.concatenate([moments.rows(t)[: len(target)] for t, target in good])
        self._target = np.concatenate([target for _, target in good])
        failures = [
            moments.rows(t)[-max(round(config.failed_end * len(t)), 1) :] for t in trajectories if t.success is False
        ]
        self._failed = np.concatenate(failures) if failures else np.zeros(0, np.int64)
        self._sentences = sorted({t.instruction for t in trajectories})
        several = reads_text and len(self._sentences) > 1
        self._wrong_text = config.wrong_text if several else 0.0
        self._batch = batch
        self._failing = round(config.failed * batch) if len(self._failed) else 0

    def loss(self, model: LearnedReward, rng: np.random.Generator) -> Tensor:
        members = model.config.members
        drawn = rng.integers(len(self._good), size=(members, self._batch))
        rows, target = self._good[drawn], self._target[drawn]
        if self._failing:
            rows[:, : self._failing] = rng.choice(self._failed, (members, self._failing))
            target[:, : self._failing] = 0.0
        sentences = None
        if self._wrong_text:
            sentences = self._show.moments.instructions(rows.reshape(-1))
            for i in np.flatnonzero(rng.random(rows.size) < self._wrong_text):
                others = [s for s in self._sentences if s != sentences[i]]
                sentences[i] = others[rng.integers(len(others))]
                target.reshape(-1)[i] = 0.0
        heads = self._show(model, rows, sentences)
        return progress_loss(heads.bins, torch.from_numpy(target).to(model.device))

    def review(self, model: LearnedReward) -> bool:
        return False


def progress_targets(trajectories: Sequence[Trajectory]) -> list[tuple[Trajectory, NDArray[np.float32]]]:
    """Share of the whole that has gone by at each observation, of all parts of episodes that succeeded in the end.

    Where a later part began before an earlier one ended, a rewind has undone what lay between: such a part has targets
    for its first observations alone, or is left out.
    """
    found: list[tuple[Trajectory, NDArray[np.float32]]] = []
    for parts in by_episode(trajectories).values():
        if parts[-1].success is not True:
            continue
        whole = end = parts[-1].begins_at + len(parts[-1])
        kept: list[tuple[Trajectory, NDArray[np.float32]]] = []
        for part in reversed(parts):
            end = min(end, part.begins_at + len(part))
            steps = np.arange(part.begins_at, end + 1, dtype=np.float32)
            if len(steps):
                kept.append((part, steps / np.float32(whole)))
            end = min(end, part.begins_at)
        found += reversed(kept)
    return found


class PreferenceLesson:
    """Which of two segments is better, by the sum of a reward over their steps (Christiano et al. 2017)."""

    def __init__(self, show: Show, pairs: Pairs, config: PreferenceConfig, *, pictures: bool) -> None:
        """Raises ConfigError without pairs."""
        if not len(pairs):
            raise ConfigError(f"preference: no usable label; {pairs.unusable} about episodes that are not here")
        self._show = show
        self._pairs = pairs
        self._config = config
        self._steps = config.picture_steps if pictures and config.picture_steps < pairs.left.shape[1] else 0

    def loss(self, model: LearnedReward, rng: np.random.Generator) -> Tensor:
        drawn = rng.integers(len(self._pairs), size=(model.config.members, self._config.pairs))
        left, right = (self._returns(model, rows[drawn], rng) for rows in (self._pairs.left, self._pairs.right))
        target = torch.from_numpy(self._pairs.target[drawn]).to(model.device)
        return bradley_terry(left, right, target, self._config.mistakes)

    def review(self, model: LearnedReward) -> bool:
        """Enough when most pairs are ordered as labelled (PEBBLE, Lee et al. 2021, stops at 0.97)."""
        decided = self._pairs.target != 0.5
        if not decided.any():
            return False
        chance = preference_probabilities(model, self._show.moments, self._pairs).mean(axis=0)
        right = (chance > 0.5) == (self._pairs.target > 0.5)
        return bool(right[decided].mean() > self._config.enough)

    def _returns(self, model: LearnedReward, rows: Rows, rng: np.random.Generator) -> Tensor:
        """Rewards per step, 0 where there is none. Shape (E, P, L) -> (E, P, L)."""
        scale = 1.0
        if self._steps:
            length = (rows >= 0).sum(axis=-1, keepdims=True)  # (E, P, 1)
            place = (rng.random((*rows.shape[:2], self._steps)) * length).astype(np.int64)
            rows = np.take_along_axis(rows, place, axis=-1)
            scale = torch.from_numpy((length / self._steps).astype(np.float32)).to(model.device)
        values = self._show(model, np.maximum(rows, 0).reshape(len(rows), -1)).preference.view(rows.shape)
        return values * torch.from_numpy(rows >= 0).to(model.device) * scale


class SuccessLesson:
    """Whether a moment is one of success; as many of either class, the others half of them hard ones."""

    def __init__(
        self, show: Show, trajectories: Sequence[Trajectory], config: SuccessConfig, batch: int, seed: int
    ) -> None:
        """Raises ConfigError when one class is missing; names the counts."""
        self._rng = np.random.default_rng(seed)
        self._show = show
        self._config = config
        self.positive, self.negative = success_rows(show.moments, trajectories, config)
        if not len(self.positive) or not len(self.negative):
            counts = {True: 0, False: 0, None: 0}
            for trajectory in trajectories:
                counts[trajectory.success] += 1
            raise ConfigError(
                f"success: one class only, {len(self.positive)} moments of success and {len(self.negative)} others, "
                f"from {counts[True]} successful, {counts[False]} failed and {counts[None]} unjudged episodes; "
                "it needs both"
            )
        self._half = max(batch // 2, 1)
        self._hard = self.negative
        self._count = round(config.hard * self._half)

    def loss(self, model: LearnedReward, rng: np.random.Generator) -> Tensor:
        members = model.config.members
        positive = rng.choice(self.positive, (members, self._half))
        easy = rng.choice(self.negative, (members, self._half - self._count))
        hard = rng.choice(self._hard, (members, self._count))
        heads = self._show(model, np.concatenate([positive, easy, hard], axis=1))
        label = torch.arange(2 * self._half, device=model.device) < self._half
        return success_loss(heads.success, label)

    def review(self, model: LearnedReward) -> bool:
        """Find those of up to MINED others that look most like success now; they are drawn more often from here on."""
        others = self.negative
        if len(others) > MINED:
            others = self._rng.choice(others, MINED, replace=False)
        scores = self._show.moments.ask(model, others, lambda heads: heads.success).mean(axis=0)
        count = min(len(others), max(2 * self._half, len(others) // 20))
        self._hard = others[np.argpartition(-scores, count - 1)[:count]]
        return False


def success_rows(moments: Moments, trajectories: Sequence[Trajectory], config: SuccessConfig) -> tuple[Rows, Rows]:
    """Rows of success, and others.

    Of a successful episode the last `frames` observations are the first, those before the gap the second; all of a
    failed one are the second. Unjudged episodes give none.
    """
    positive, negative = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for trajectory in trajectories:
        rows = moments.rows(trajectory)
        if trajectory.success is True:
            positive.append(rows[-config.frames :])
            negative.append(rows[: max(len(rows) - config.frames - config.gap, 0)])
        elif trajectory.success is False:
            negative.append(rows)
    return np.concatenate(positive), np.concatenate(negative)
