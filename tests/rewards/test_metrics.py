"""Metrics against naive twins, hand-computed values, and their laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.errors import InvalidValueError, ShapeError
from robot_rlhf.rewards import metrics
from robot_rlhf.rewards.metrics import Proportion

VALUES = st.lists(st.integers(-4, 4).map(float), min_size=2, max_size=12)
PAIRS = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=12)
SCORED = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=14)


# -- order -------------------------------------------------------------------------------------------------------------


@given(VALUES)
def test_ranks_are_the_mean_places_of_equals(values: list[float]) -> None:
    order = sorted(values)
    twin = [np.mean([i + 1 for i, other in enumerate(order) if other == value]) for value in values]
    np.testing.assert_allclose(metrics.ranks(values), twin)


@given(PAIRS)
def test_correlations_are_scipys(pairs: list[tuple[int, int]]) -> None:
    stats = pytest.importorskip("scipy.stats")
    a, b = np.array(pairs, float).T
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert math.isnan(metrics.spearman(a, b))
        return
    assert metrics.spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    assert metrics.pearson(a, b) == pytest.approx(stats.pearsonr(a, b).statistic, abs=1e-12)


@given(PAIRS)
def test_tau_a_counts_pairs(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs, float).T
    n = len(a)
    twin = sum(np.sign((a[j] - a[i]) * (b[j] - b[i])) for i in range(n) for j in range(i + 1, n)) / (n * (n - 1) / 2)
    assert metrics.kendall_tau_a(a, b) == pytest.approx(twin)


def test_tau_a_by_hand() -> None:
    assert metrics.kendall_tau_a([1, 2, 3], [1, 3, 2]) == pytest.approx(1 / 3)
    assert metrics.kendall_tau_a([1, 1, 2], [1, 2, 3]) == pytest.approx(2 / 3)  # the tie counts in the denominator
    assert math.isnan(metrics.kendall_tau_a([1], [1]))


def test_voc_by_hand() -> None:
    assert metrics.voc([0.1, 0.2, 0.9]) == pytest.approx(1.0)
    assert metrics.voc([3.0, 2.0, 1.0]) == pytest.approx(-1.0)
    assert metrics.voc([0, 2, 1, 3]) == pytest.approx(0.8)  # 1 - 6 * 2 / (4 * 15)
    assert math.isnan(metrics.voc([1.0, 1.0, 1.0]))


def test_correlations_do_not_mistake_rounding_for_a_trend() -> None:
    assert math.isnan(metrics.pearson(np.full(5, 0.1), np.arange(5)))
    assert metrics.pearson(1e-200 * np.arange(5), np.arange(5)) == pytest.approx(1.0)
    assert math.isnan(metrics.pearson([1.0], [2.0]))


def test_what_is_no_vector_of_numbers_is_refused() -> None:
    with pytest.raises(ShapeError):
        metrics.spearman([1, 2], [1, 2, 3])
    with pytest.raises(ShapeError):
        metrics.voc(np.zeros((2, 2)))
    with pytest.raises(InvalidValueError, match="NaN"):
        metrics.roc_auc([math.nan, 1.0], [True, False])


# -- detection ---------------------------------------------------------------------------------------------------------


@given(SCORED)
def test_auc_counts_pairs(items: list[tuple[int, bool]]) -> None:
    scores, positive = [s for s, _ in items], [p for _, p in items]
    ups, downs = [s for s, p in items if p], [s for s, p in items if not p]
    auc = metrics.roc_auc(scores, positive)
    if not ups or not downs:
        assert math.isnan(auc)
        return
    twin = np.mean([(u > d) + 0.5 * (u == d) for u in ups for d in downs])
    assert auc == pytest.approx(twin)


@given(SCORED, st.integers(-4, 4))
def test_detection_counts_everything_once(items: list[tuple[int, bool]], threshold: int) -> None:
    found = metrics.detection([s for s, _ in items], [p for _, p in items], threshold)
    assert found.true_positives == sum(s >= threshold and p for s, p in items)
    assert found.recall.total + found.false_positive_rate.total == len(items)
    assert found.precision.hits == found.recall.hits
    assert found.precision.total == sum(s >= threshold for s, _ in items)


def test_detection_by_hand() -> None:
    found = metrics.detection([0.9, 0.8, 0.5, 0.4, 0.1], [True, False, True, True, False], 0.5)
    assert found.precision == Proportion(2, 3)
    assert found.recall == Proportion(2, 3)
    assert found.false_positive_rate == Proportion(1, 2)
    assert found.recall.interval == metrics.wilson_interval(2, 3)


def test_a_proportion_of_nothing_is_unknown() -> None:
    assert math.isnan(Proportion(0, 0).rate)
    assert Proportion(0, 0).interval == (0.0, 1.0)


# -- calibration -------------------------------------------------------------------------------------------------------


def test_reliability_by_hand() -> None:
    curve = metrics.reliability([0.05, 0.15, 0.55, 0.65, 1.0], [False, True, True, False, True], bins=2)
    assert curve.counts.tolist() == [2, 3]
    np.testing.assert_allclose(curve.promised, [0.1, 2.2 / 3])
    np.testing.assert_allclose(curve.happened, [0.5, 2 / 3])
    assert curve.expected_calibration_error == pytest.approx(0.4 * 0.4 + 0.6 * 0.2 / 3)


def test_probabilities_that_are_drawn_from_are_calibrated() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    curve = metrics.reliability(p, rng.random(20_000) < p)
    assert curve.expected_calibration_error < 0.015
    assert metrics.reliability(p, rng.random(20_000) < p**3).expected_calibration_error > 0.15


def test_reliability_of_little() -> None:
    assert math.isnan(metrics.reliability([], []).expected_calibration_error)
    assert np.isnan(metrics.reliability([0.05], [False]).promised[1:]).all()
    with pytest.raises(InvalidValueError, match=r"\[0, 1\]"):
        metrics.reliability([1.2], [True])


# -- tasks, members, labels --------------------------------------------------------------------------------------------


def test_confusion_over_tasks_by_hand() -> None:
    names, means, counts = metrics.task_confusion(
        [[1.0, 0.5, 0.0], [0.0, 0.2, 0.9]], ["lift", "reach"], ["b", "b", "a"]
    )
    assert names == ["a", "b"]
    assert counts.tolist() == [1, 2]
    np.testing.assert_allclose(means, [[0.0, 0.75], [0.9, 0.1]])
    with pytest.raises(ShapeError):
        metrics.task_confusion([[1.0]], ["lift"], ["a", "b"])


def test_disagreement_by_hand() -> None:
    np.testing.assert_allclose(metrics.disagreement([[1.0, 0.0], [3.0, 0.0]]), [math.sqrt(2), 0.0])
    np.testing.assert_allclose(metrics.disagreement([[1.0, 5.0]]), [0.0, 0.0])


def test_label_accuracy_by_hand() -> None:
    found = metrics.label_accuracy([1, 0, 1, 0.5, 0.5, 0], [2.0, -1.0, -3.0, 0.0, 1.0, 0.0])
    assert found.strict == Proportion(2, 3)
    assert found.equal == Proportion(1, 2)
    assert found.gold_equal == 1


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=9))
def test_a_rational_teacher_is_always_right(differences: list[float]) -> None:
    labels = [0.5 if d == 0 else float(d > 0) for d in differences]
    found = metrics.label_accuracy(labels, differences)
    assert found.strict.hits == found.strict.total
    assert found.equal.hits == found.equal.total
    assert found.gold_equal == 0
