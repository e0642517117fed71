"""Trains a learned reward from recorded episodes and labels, and says how good it is on what it did not see."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from robot_rlhf.datatypes import Feedback
from robot_rlhf.errors import ConfigError
from robot_rlhf.feedback.comparisons import cycles
from robot_rlhf.learner.reward_calibration import calibrate
from robot_rlhf.learner.reward_data import Moments, Pairs, part_preferences, preference_probabilities, split_episodes
from robot_rlhf.learner.reward_lessons import (
    Lesson,
    PreferenceConfig,
    PreferenceLesson,
    ProgressConfig,
    ProgressLesson,
    Show,
    SuccessConfig,
    SuccessLesson,
    success_rows,
)
from robot_rlhf.learner.state import AdamState
from robot_rlhf.ranges import AT_LEAST_ONE, RATE, SHIFT, Range, check_ranges
from robot_rlhf.rewards.metrics import Detection, Proportion, detection, roc_auc, voc
from robot_rlhf.rewards.model import Calibration, HeldSuccess, LearnedReward
from robot_rlhf.rewards.network import Head
from robot_rlhf.rewards.trajectory import Trajectory


@dataclass(frozen=True)
class RewardTraining:
    """How a reward is learned."""

    updates: int = 1_000
    batch_size: int = 128
    """Rows per update, each member's own."""
    learning_rate: float = 1e-3
    shift_pixels: int = 4
    """Pictures are shifted at random by up to this many pixels (DrQ)."""
    review_every: int = 100
    """Updates between two looks at how far it is: hard examples are found, and preferences may be learned enough."""
    calibration_share: float = 0.2
    """Share of the episodes that only set the success head's probability and threshold."""
    held_out_share: float = 0.2
    """Share of the episodes, and of the labelled pairs, that only measure. Where preferences are learned beside other
    heads, pairs about an episode of either share measure as well, so that no head has seen what measures another."""
    progress: ProgressConfig = field(default_factory=ProgressConfig)
    preference: PreferenceConfig = field(default_factory=PreferenceConfig)
    success: SuccessConfig = field(default_factory=SuccessConfig)

    def __post_init__(self) -> None:
        check_ranges(self, "training", updates=AT_LEAST_ONE, review_every=AT_LEAST_ONE, batch_size=Range(1, 1_000_000))
        check_ranges(self, "training", learning_rate=RATE, shift_pixels=SHIFT)
        for name in ("calibration_share", "held_out_share"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError(f"training.{name}: got {getattr(self, name)}, allowed 0 to below 1")
        if self.calibration_share + self.held_out_share >= 1.0:
            raise ConfigError(
                "training.calibration_share and held_out_share: together below 1; nothing is left to learn"
            )


@dataclass(frozen=True)
class ProgressReport:
    """Of held-out episodes; NaN where there are none of a kind."""

    successes: int
    failures: int
    voc: float
    """Mean rank correlation of progress with time, over successful episodes."""
    auc: float
    """Chance that a success ends with more progress than a failure."""
    other_text_lower: Proportion
    """Successes whose own sentence is worth more, over the whole episode, than any other's."""


@dataclass(frozen=True)
class PreferenceReport:
    """Of labelled pairs."""

    pairs: int
    """Usable labels, ties included."""
    ties: int
    unusable: int
    """Labels about episodes that are deleted or not given, or steps that they do not have."""
    accuracy: Proportion
    """Of those learned from, ties aside, the ones ordered as labelled."""
    held_out: Proportion
    """Of those kept for measuring."""
    contradictions: tuple[str, ...]
    """Rounds of preferences that no reward can satisfy, in words."""


@dataclass(frozen=True)
class SuccessReport:
    """Of held-out episodes; the threshold was chosen on others."""

    positives: int
    """Moments of success learned from."""
    negatives: int
    calibration: Calibration
    frames: Detection
    """Single moments, those in the gap before a success left out."""
    episodes: Detection
    """Episodes called a success at any moment, held as long as the calibration asks for."""
    early: Proportion
    """Successful episodes called so before the gap: too soon."""
    auc: float
    """Of single moments."""


@dataclass(frozen=True)
class RewardReport:
    """What a training of a reward came to."""

    version: int
    updates: int
    seconds: float
    episodes: int
    progress: ProgressReport | None = None
    preference: PreferenceReport | None = None
    success: SuccessReport | None = None


@dataclass(frozen=True)
class _Shares:
    """What of the recordings teaches, and what is kept from that."""

    learn: list[Trajectory]
    adjust: list[Trajectory]
    """Set the success head's probability and threshold."""
    held_out: list[Trajectory]
    """Measure."""
    known: Sequence[Feedback]
    """Preferences that teach."""
    measuring: Sequence[Feedback]
    """Preferences that measure."""

    @classmethod
    def of(
        cls,
        trajectories: Sequence[Trajectory],
        preferences: Sequence[Feedback],
        heads: Sequence[Head],
        config: RewardTraining,
        rng: np.random.Generator,
    ) -> _Shares:
        learn, adjust, held_out = split_episodes(trajectories, (config.calibration_share, config.held_out_share), rng)
        if "success" not in heads:
            learn, adjust = learn + adjust, []
        alone = set(heads) == {"preference"}  # else heads share the trunk: none may see what measures another
        apart = [] if alone else [t.id for t in adjust + held_out]
        return cls(learn, adjust, held_out, *part_preferences(preferences, config.held_out_share, apart))


def train_reward(
    model: LearnedReward,
    trajectories: Sequence[Trajectory],
    heads: Sequence[Head],
    config: RewardTraining,
    *,
    seed: int,
    preferences: Sequence[Feedback] = (),
    on_update: Callable[[int, float], None] | None = None,
) -> RewardReport:
    """Teach heads together, in place; heads that are not among them are forgotten, for the trunk moves on.

    The same seed, data and first weights give the same weights on a CPU.

    Args:
        trajectories: of any outcome.
        preferences: labels that stand, about segments of them.
        on_update: told the number of updates done, and the loss.

    Raises:
        ConfigError: no head, or one that cannot be learned from this; says what is missing.
        ShapeError: a trajectory that the model cannot look at.
    """
    if not heads:
        raise ConfigError("reward training: no head to train; allowed: progress, preference, success")
    began = time.perf_counter()
    rng = np.random.default_rng(seed)
    moments = Moments(trajectories, model.inputs)
    shares = _Shares.of(trajectories, preferences, heads, config, rng)
    known, measuring = Pairs.of(shares.known, moments), Pairs.of(shares.measuring, moments)
    lessons = _lessons(model, moments, shares, known, heads, config, seed)
    _teach_words(model, trajectories)
    done = _run(model, list(lessons.values()), config, rng, on_update)
    model.version += 1
    model.trained = tuple(lessons)
    model.calibration = Calibration()
    if "success" in heads:
        model.calibration = _calibrated(model, moments, shares, config.success)
    if model.reads not in lessons:
        model.read(next(iter(lessons)))
    return RewardReport(
        version=model.version,
        updates=done,
        seconds=time.perf_counter() - began,
        episodes=len(trajectories),
        progress=measure_progress(model, moments, shares.held_out) if "progress" in heads else None,
        preference=_measure_preference(model, moments, known, measuring, preferences)
        if "preference" in heads
        else None,
        success=measure_success(model, moments, shares.learn, shares.held_out, config.success)
        if "success" in heads
        else None,
    )


def _lessons(
    model: LearnedReward,
    moments: Moments,
    shares: _Shares,
    known: Pairs,
    heads: Sequence[Head],
    config: RewardTraining,
    seed: int,
) -> dict[Head, Lesson]:
    """What teaches each head; raises ConfigError where its share does not suffice for that."""
    show = Show(moments, config.shift_pixels, seed)
    lessons: dict[Head, Lesson] = {}
    if "progress" in heads:
        reads_text = model.config.text > 0
        lessons["progress"] = ProgressLesson(
            show, shares.learn, config.progress, config.batch_size, reads_text=reads_text
        )
    if "preference" in heads:
        if shares.measuring and not shares.known:
            raise ConfigError(
                f"preference: all {len(shares.measuring)} labels are among those that measure; label more pairs"
            )
        pictures = bool(model.inputs.cameras)
        lessons["preference"] = PreferenceLesson(show, known, config.preference, pictures=pictures)
    if "success" in heads:
        lessons["success"] = SuccessLesson(show, shares.learn, config.success, config.batch_size, seed)
        _check_calibrates(moments, shares.adjust, config.success)
    return lessons


def _calibrated(model: LearnedReward, moments: Moments, shares: _Shares, config: SuccessConfig) -> Calibration:
    """Probability and threshold of success, from episodes that no weight was learned from."""
    positive, negative = success_rows(moments, shares.adjust, config)
    logits = moments.ask(model, np.concatenate([positive, negative]), lambda found: found.success)
    label = np.arange(logits.shape[1]) < len(positive)
    return calibrate(logits, label, false_positive_rate=config.false_positive_rate, hold=config.frames)


def _run(
    model: LearnedReward,
    lessons: Sequence[Lesson],
    config: RewardTraining,
    rng: np.random.Generator,
    on_update: Callable[[int, float], None] | None,
) -> int:
    """Update until it is enough; returns how many updates were made."""
    adam = AdamState(list(model.network.parameters()), config.learning_rate)
    for update in range(1, config.updates + 1):
        losses = [lesson.loss(model, rng) for lesson in lessons]
        total = losses[0]
        for loss in losses[1:]:
            total = total + loss
        adam.step(total)
        last = update % config.review_every == 0 or update == config.updates
        if last and on_update is not None:
            on_update(update, float(total.detach()))
        if last:
            enough = [lesson.review(model) for lesson in lessons]
            if all(enough):
                return update
    return config.updates


def _teach_words(model: LearnedReward, trajectories: Sequence[Trajectory]) -> None:
    sentences = Counter(trajectory.instruction for trajectory in trajectories)
    if model.network.words is not None:
        model.network.words.teach(sentences)
    if model.instruction not in sentences:
        model.instruction = sentences.most_common(1)[0][0]


def _check_calibrates(moments: Moments, trajectories: Sequence[Trajectory], config: SuccessConfig) -> None:
    positive, negative = success_rows(moments, trajectories, config)
    if not len(positive) or not len(negative):
        good = sum(t.success is True for t in trajectories)
        bad = sum(t.success is False for t in trajectories)
        raise ConfigError(
            f"success: calibration needs moments of both classes; its share of the episodes has {good} successful and "
            f"{bad} failed ones; record more episodes, or raise training.calibration_share"
        )


# -- figures ---------------------------------------------------------------------------------------------------------


def measure_progress(model: LearnedReward, moments: Moments, trajectories: Sequence[Trajectory]) -> ProgressReport:
    """Progress of episodes that it did not learn from."""
    judged = [t for t in trajectories if t.success is not None]
    values = {t.id: moments.ask(model, moments.rows(t), lambda heads: heads.progress).mean(axis=0) for t in judged}
    good = [t for t in judged if t.success]
    orders = [voc(values[t.id]) for t in good]
    ends = np.array([values[t.id][-1] for t in judged])
    known = sorted({t.instruction for t in moments.trajectories})
    lower = 0
    several = model.config.text > 0 and len(known) > 1
    for trajectory in good if several else ():
        others = [sentence for sentence in known if sentence != trajectory.instruction]
        rows = moments.rows(trajectory)
        worth = [
            moments.ask(model, rows, lambda heads: heads.progress, {trajectory.instruction: other}).mean()
            for other in others
        ]
        lower += bool(values[trajectory.id].mean() > max(worth))
    return ProgressReport(
        successes=len(good),
        failures=len(judged) - len(good),
        voc=float(np.mean(np.nan_to_num(orders))) if orders else math.nan,
        auc=roc_auc(ends, [bool(t.success) for t in judged]),
        other_text_lower=Proportion(lower, len(good) if several else 0),
    )


def measure_success(
    model: LearnedReward,
    moments: Moments,
    learned: Sequence[Trajectory],
    trajectories: Sequence[Trajectory],
    config: SuccessConfig,
) -> SuccessReport:
    """How success is told of episodes that neither weights nor threshold were made from."""
    calibration = model.calibration
    known_positive, known_negative = success_rows(moments, learned, config)
    positive, negative = success_rows(moments, trajectories, config)
    both = np.concatenate([positive, negative])
    label = np.arange(len(both)) < len(positive)
    scores = calibration.probability(moments.ask(model, both, lambda heads: heads.success))
    judged = [t for t in trajectories if t.success is not None]
    called: list[bool] = []
    early = Proportion(0, 0)
    for trajectory in judged:
        chances = calibration.probability(moments.ask(model, moments.rows(trajectory), lambda heads: heads.success))
        first = first_held(chances, calibration)
        called.append(first is not None)
        if trajectory.success:
            soon = first is not None and first < len(chances) - config.frames - config.gap
            early = Proportion(early.hits + soon, early.total + 1)
    return SuccessReport(
        positives=len(known_positive),
        negatives=len(known_negative),
        calibration=calibration,
        frames=detection(scores, label, calibration.threshold),
        episodes=detection(np.array(called, np.float64), [bool(t.success) for t in judged], 0.5),
        early=early,
        auc=roc_auc(scores, label),
    )


def first_held(probabilities: np.ndarray, calibration: Calibration) -> int | None:
    """First moment at which success has been held as long as it must be; None for never. Shape (T + 1,)."""
    held = HeldSuccess(calibration)
    return next((t for t, chance in enumerate(probabilities.tolist()) if held.step(chance)), None)


def _measure_preference(
    model: LearnedReward, moments: Moments, known: Pairs, held_out: Pairs, preferences: Sequence[Feedback]
) -> PreferenceReport:
    rounds = cycles(preferences)
    return PreferenceReport(
        pairs=len(known) + len(held_out),
        ties=int((known.target == 0.5).sum() + (held_out.target == 0.5).sum()),
        unusable=known.unusable + held_out.unusable,
        accuracy=ordered_rightly(model, moments, known),
        held_out=ordered_rightly(model, moments, held_out),
        contradictions=tuple(
            " > ".join(f"{s.episode_id}[{s.start}:{s.start + s.length}]" for s in segments) for segments in rounds
        ),
    )


def ordered_rightly(model: LearnedReward, moments: Moments, pairs: Pairs) -> Proportion:
    """Pairs that all members together order as labelled, of those that are no ties."""
    decided = np.flatnonzero(pairs.target != 0.5)
    if not len(decided):
        return Proportion(0, 0)
    some = pairs.chosen(decided)
    chance = preference_probabilities(model, moments, some).mean(axis=0)
    return Proportion(int(((chance > 0.5) == (some.target > 0.5)).sum()), len(decided))
