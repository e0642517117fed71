"""How far a reward can be trusted: rank correlations, detection, calibration, disagreement. Pure NumPy.

A figure that cannot be computed (one class only, a constant column) is NaN, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robot_rlhf.errors import InvalidValueError, ShapeError

Floats = NDArray[np.float64]


def wilson_interval(successes: float, episodes: float, z: float = 1.96) -> tuple[float, float]:
    """Wilson score interval of a success rate (Wilson 1927), 95 % by default.

    Raises:
        InvalidValueError: no episodes, or more successes than episodes.
    """
    if episodes < 1 or not 0 <= successes <= episodes:
        raise InvalidValueError("wilson_interval", f"{successes} of {episodes}", "0 <= successes <= episodes, >= 1")
    rate = successes / episodes
    scale = 1.0 + z * z / episodes
    center = (rate + z * z / (2 * episodes)) / scale
    half = z / scale * math.sqrt(rate * (1 - rate) / episodes + z * z / (4 * episodes * episodes))
    return max(0.0, min(rate, center - half)), min(1.0, max(rate, center + half))  # all of all: 1, whatever is rounded


@dataclass(frozen=True)
class Proportion:
    """So many of so many."""

    hits: int
    total: int

    @property
    def rate(self) -> float:
        """NaN of nothing."""
        return self.hits / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval; 0 to 1 of nothing."""
        return wilson_interval(self.hits, self.total) if self.total else (0.0, 1.0)


# -- order -------------------------------------------------------------------------------------------------------------


def ranks(values: ArrayLike) -> Floats:
    """Ranks from 1, equal values sharing the mean of theirs. Shape (N,) -> (N,)."""
    x = _vector("values", values)
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - 0.5 * (counts - 1))[inverse]


def pearson(first: ArrayLike, second: ArrayLike) -> float:
    """Pearson's correlation; NaN when a column is constant, or shorter than 2. Shapes (N,)."""
    a, b = _pair(first, second)
    if len(a) < 2:
        return math.nan
    a, b = _centred(a), _centred(b)
    scale = math.sqrt(float(a @ a)) * math.sqrt(float(b @ b))
    return float(np.clip(a @ b / scale, -1.0, 1.0)) if scale > 0.0 else math.nan


def _centred(x: Floats) -> Floats:
    """Less its mean, scaled by its largest entry; exactly 0 for a constant column. Shape (N,)."""
    if x.min() == x.max():
        return np.zeros_like(x)
    x = x / np.abs(x).max()
    return x - x.mean()


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's rank correlation: Pearson's of the ranks, so that ties are allowed. NaN as `pearson`. Shapes (N,)."""
    a, b = _pair(first, second)
    return pearson(ranks(a), ranks(b))


def voc(values: ArrayLike) -> float:
    """Value-order correlation: Spearman's of an episode's values with time (GVL, Ma et al. 2024). Shape (T,).

    1 for values that only rise, 0 without order, -1 for ones that only fall.
    """
    x = _vector("values", values)
    return spearman(x, np.arange(len(x)))


def kendall_tau_a(first: ArrayLike, second: ArrayLike) -> float:
    """Kendall's tau-a (Kendall 1938): (concordant - discordant) of all N (N - 1) / 2 pairs; a tie is neither.

    NaN for fewer than two entries. Shapes (N,).
    """
    a, b = _pair(first, second)
    n = len(a)
    if n < 2:
        return math.nan
    total = sum(float(np.sign(a[i + 1 :] - a[i]) @ np.sign(b[i + 1 :] - b[i])) for i in range(n - 1))
    return total / (n * (n - 1) / 2)


# -- detection ---------------------------------------------------------------------------------------------------------


def roc_auc(scores: ArrayLike, positive: ArrayLike) -> float:
    """Chance that a positive scores above a negative, a tie counting half (Hanley and McNeil 1982). Shapes (N,).

    NaN when one class is missing.
    """
    x, label = _labelled(scores, positive)
    n, m = int(label.sum()), int((~label).sum())
    if not n or not m:
        return math.nan
    return float((ranks(x)[label].sum() - n * (n + 1) / 2) / (n * m))


@dataclass(frozen=True)
class Detection:
    """What a threshold tells apart: an item is called positive from the threshold on."""

    threshold: float
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int

    @property
    def precision(self) -> Proportion:
        """Of those called positive, the ones that are."""
        return Proportion(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> Proportion:
        """Of the positives, the ones that were called so."""
        return Proportion(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def false_positive_rate(self) -> Proportion:
        """Of the negatives, the ones that were called positive."""
        return Proportion(self.false_positives, self.false_positives + self.true_negatives)


def detection(scores: ArrayLike, positive: ArrayLike, threshold: float) -> Detection:
    """Count at a threshold. Args: scores, positive: shapes (N,)."""
    x, label = _labelled(scores, positive)
    called = x >= threshold
    return Detection(
        threshold,
        int((called & label).sum()),
        int((called & ~label).sum()),
        int((~called & ~label).sum()),
        int((~called & label).sum()),
    )


# -- calibration -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often what was promised with a probability came true, bin by bin. K bins of equal width over [0, 1]."""

    edges: Floats
    """Shape (K + 1,)."""
    counts: NDArray[np.int64]
    """Items per bin. Shape (K,)."""
    promised: Floats
    """Mean probability; NaN in an empty bin. Shape (K,)."""
    happened: Floats
    """Share of positives; NaN in an empty bin. Shape (K,)."""

    @property
    def expected_calibration_error(self) -> float:
        """Mean gap between both, weighted by items (Naeini et al. 2015; Guo et al. 2017, eq. 3); NaN of nothing."""
        total = int(self.counts.sum())
        if not total:
            return math.nan
        held = self.counts > 0
        gaps = np.abs(self.promised[held] - self.happened[held])
        return float(gaps @ self.counts[held] / total)


def reliability(probabilities: ArrayLike, positive: ArrayLike, bins: int = 10) -> Reliability:
    """The reliability curve.

    Args:
        probabilities: In [0, 1]. Shape (N,).
        positive: Shape (N,).
        bins: K.

    Raises:
        InvalidValueError: a probability outside [0, 1], or no bins.
    """
    p, label = _labelled(probabilities, positive)
    if bins < 1:
        raise InvalidValueError("reliability bins", bins, ">= 1")
    if len(p) and not (p.min() >= 0.0 and p.max() <= 1.0):
        raise InvalidValueError("reliability probabilities", [p.min(), p.max()], "numbers in [0, 1]")
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        promised = np.bincount(place, p, bins) / counts
        happened = np.bincount(place, label.astype(np.float64), bins) / counts
    return Reliability(np.linspace(0.0, 1.0, bins + 1), counts, promised, happened)


# -- tasks, members, labels --------------------------------------------------------------------------------------------


def task_confusion(
    values: Sequence[Sequence[float]], sentences: Sequence[str], tasks: Sequence[str]
) -> tuple[list[str], Floats, NDArray[np.int64]]:
    """Mean final value of each task's episodes under each sentence (the confusion matrix of ReWiND, Zhang et al. 2025).

    Args:
        values: per sentence the final value of every episode. Shape (S, N).
        sentences: S of them.
        tasks: of the N episodes.

    Returns:
        The K different tasks in order; means (S, K); episodes per task (K,).
    """
    table = np.asarray(values, np.float64).reshape(len(sentences), -1)
    if table.shape != (len(sentences), len(tasks)):
        raise ShapeError("task_confusion values", table.shape, (len(sentences), len(tasks)))
    names = sorted(set(tasks))
    member = np.array([[task == name for name in names] for task in tasks], np.float64).reshape(-1, len(names))
    counts = member.sum(axis=0)
    return names, table @ member / counts, counts.astype(np.int64)


def disagreement(members: ArrayLike) -> Floats:
    """Standard deviation over an ensemble's members, unbiased; 0 for a single one. Shape (E, N) -> (N,)."""
    x = np.asarray(members, np.float64)
    if x.ndim != 2 or not len(x):
        raise ShapeError("members", x.shape, ("E >= 1", "N"))
    return x.std(axis=0, ddof=1) if len(x) > 1 else np.zeros(x.shape[1])


@dataclass(frozen=True)
class LabelAccuracy:
    """Preference labels against what gold says of the same pairs."""

    strict: Proportion
    """Labels that name a better segment, and gold names the same; pairs that are equal in gold are left out."""
    equal: Proportion
    """Labels 'equal' whose pair is equal in gold."""
    gold_equal: int
    """Labels that name a better segment although gold has none."""


def label_accuracy(labels: ArrayLike, gold_difference: ArrayLike, *, equal_within: float = 0.0) -> LabelAccuracy:
    """How often labels agree with gold.

    Args:
        labels: 1 where the first segment is better, 0 where the second is, 0.5 where they are equal. Shape (N,).
        gold_difference: Gold return of the first minus that of the second segment. Shape (N,).
        equal_within: Differences up to this count as equal.
    """
    label, difference = _pair(labels, gold_difference)
    equal = np.abs(difference) <= equal_within
    says_equal = label == 0.5
    judged = ~says_equal & ~equal
    agrees = (label > 0.5) == (difference > 0.0)
    return LabelAccuracy(
        Proportion(int((agrees & judged).sum()), int(judged.sum())),
        Proportion(int((says_equal & equal).sum()), int(says_equal.sum())),
        int((~says_equal & equal).sum()),
    )


# -- input -------------------------------------------------------------------------------------------------------------


def _vector(name: str, values: ArrayLike) -> Floats:
    x = np.asarray(values, np.float64)
    if x.ndim != 1:
        raise ShapeError(name, x.shape, ("N",))
    if not np.isfinite(x).all():
        raise InvalidValueError(name, "NaN or infinity", "finite numbers")
    return x


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    a, b = _vector("first", first), _vector("second", second)
    if a.shape != b.shape:
        raise ShapeError("second", b.shape, a.shape)
    return a, b


def _labelled(scores: ArrayLike, positive: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    x, label = _vector("scores", scores), np.asarray(positive, np.bool_)
    if label.shape != x.shape:
        raise ShapeError("positive", label.shape, x.shape)
    return x, label
