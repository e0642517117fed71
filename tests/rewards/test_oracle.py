"""The simulated teacher: each of its irregularities by hand, their order, and how often they strike."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.conformance import LabelerConformance
from robot_rlhf.datatypes import Segment
from robot_rlhf.errors import ConfigError, InvalidValueError, UnknownNameError
from robot_rlhf.ports import Labeler
from robot_rlhf.rewards.labelers.oracle import Oracle, Teacher, gold_by_episode, usual_reward

A, B = Segment("a", 0, 3), Segment("b", 0, 3)


def oracle(
    left: Sequence[float], right: Sequence[float], usual: float | None = None, seed: int = 0, **teacher: float
) -> Oracle:
    rewards = {"a": np.array(left, np.float32), "b": np.array(right, np.float32)}
    return Oracle(lambda s: rewards[s.episode_id], np.random.default_rng(seed), Teacher(**teacher), usual=usual)


def shares(teacher: Oracle, count: int = 20_000) -> dict[str, float]:
    return {answer: n / count for answer, n in Counter(teacher.compare(A, B) for _ in range(count)).items()}


def test_a_perfect_teacher_prefers_the_larger_return() -> None:
    assert oracle([0, 0, 1], [0.2, 0.2, 0.2]).compare(A, B) == "left"
    assert oracle([0, 0, 1], [0.4, 0.4, 0.4]).compare(A, B) == "right"
    assert oracle([0, 1, 0], [0, 0, 1]).compare(A, B) == "equal"


def test_skips_when_neither_return_is_worth_it() -> None:
    # A segment of 3 steps usually returns 3 * 0.5 = 1.5; a tenth of it is 0.15.
    assert oracle([0.04] * 3, [0.0] * 3, usual=0.5, skip=0.1).compare(A, B) == "skip"
    assert oracle([0.06] * 3, [0.0] * 3, usual=0.5, skip=0.1).compare(A, B) == "left"


def test_a_myopic_teacher_counts_the_end_more() -> None:
    # 0.5 ** (2, 1, 0) = 0.25, 0.5, 1: left 0.25 * 3 = 0.75, right 1; the plain sums are 3 and 1.
    assert oracle([3, 0, 0], [0, 0, 1], myopia=0.5).compare(A, B) == "right"
    assert oracle([5, 0, 0], [0, 0, 1], myopia=0.5).compare(A, B) == "left"
    assert oracle([3, 0, 0], [0, 0, 1]).compare(A, B) == "left"


@pytest.mark.parametrize("beta", [0.0, 0.5, 2.0])
def test_a_noisy_teacher_chooses_as_a_softmax_says(beta: float) -> None:
    # exp(beta * 1.2) / (exp(beta * 1.2) + exp(beta * 0.3))
    expected = math.exp(1.2 * beta) / (math.exp(1.2 * beta) + math.exp(0.3 * beta))
    assert shares(oracle([0.4] * 3, [0.1] * 3, beta=beta))["left"] == pytest.approx(expected, abs=0.012)


def test_a_noisy_teacher_is_myopic_first() -> None:
    # Weighted 0.25, 0.5, 1: left 0.25, right 1.
    expected = 1 / (1 + math.exp(2.0 * 0.75))
    assert shares(oracle([1, 0, 0], [0, 0, 1], beta=2.0, myopia=0.5))["left"] == pytest.approx(expected, abs=0.012)


def test_mistakes_turn_an_answer_round() -> None:
    told = shares(oracle([1] * 3, [0] * 3, mistakes=0.1))
    assert told["right"] == pytest.approx(0.1, abs=0.008)
    assert set(told) == {"left", "right"}
    # Noise first, then the mistake: p (1 - e) + (1 - p) e.
    p = 1 / (1 + math.exp(-1.0 * 0.9))
    told = shares(oracle([0.4] * 3, [0.1] * 3, beta=1.0, mistakes=0.2))
    assert told["left"] == pytest.approx(p * 0.8 + (1 - p) * 0.2, abs=0.012)


def test_equal_overrules_noise_and_mistakes_but_not_skip() -> None:
    # Usual return 3 * 0.5; the returns differ by 0.12 < 0.1 * 1.5.
    assert shares(oracle([0.5] * 3, [0.46] * 3, usual=0.5, equal=0.1, beta=1.0, mistakes=0.5)) == {"equal": 1.0}
    assert "equal" not in shares(oracle([0.5] * 3, [0.44] * 3, usual=0.5, equal=0.1, mistakes=0.5))
    assert oracle([0.04] * 3, [0.0] * 3, usual=0.5, skip=0.1, equal=0.5).compare(A, B) == "skip"


def test_equal_looks_at_plain_returns() -> None:
    """The weights of a myopic teacher would tell them apart."""
    assert oracle([1, 0, 0], [0, 0, 1], usual=0.5, equal=0.1, myopia=0.5).compare(A, B) == "equal"


def test_an_episode_that_ended_stays_as_it_ended() -> None:
    assert oracle([0.5, 1.0], [0.6, 0.6, 0.6]).compare(A, B) == "left", "0.5 + 1 + 1 against 1.8"


@given(
    left=st.lists(st.floats(-5, 5, width=32), min_size=3, max_size=3),
    right=st.lists(st.floats(-5, 5, width=32), min_size=3, max_size=3),
    beta=st.floats(0, 1e6),
)
def test_large_differences_do_not_overflow(left: list[float], right: list[float], beta: float) -> None:
    assert oracle(left, right, beta=beta).compare(A, B) in ("left", "right")


def test_the_usual_reward_is_that_of_the_last_ten_episodes() -> None:
    rewards = [np.full(7, 9.0, np.float32), *(np.full(4, i, np.float32) for i in range(9)), np.full(14, 1, np.float32)]
    assert usual_reward(rewards) == pytest.approx((4 * sum(range(9)) + 14) / (9 * 4 + 14))
    with pytest.raises(InvalidValueError, match="no episodes"):
        usual_reward([])


def test_the_author_names_every_irregularity() -> None:
    assert oracle([0], [0]).author == "oracle"
    assert oracle([0], [0], beta=1, mistakes=0.1).author == "oracle beta=1 mistakes=0.1"


def test_gold_comes_by_episode() -> None:
    gold = gold_by_episode({"a": np.arange(5, dtype=np.float32)})
    np.testing.assert_array_equal(gold(Segment("a", 2, 3)), [2, 3, 4])
    with pytest.raises(InvalidValueError, match="steps 3 to 6, allowed: 0 to 5"):
        gold(Segment("a", 3, 3))
    with pytest.raises(UnknownNameError):
        gold(B)


def test_judges_by_the_last_reward_where_it_is_a_share() -> None:
    assert oracle([0, 0.25, 0.75], [0, 0, 4]).judge(A) == 0.75
    assert oracle([0, 0.25, 0.75], [0, 0, 4]).judge(B) is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"beta": -1.0}, "beta: got -1.0"),
        ({"myopia": 0.0}, "myopia: got 0.0"),
        ({"mistakes": 1.5}, "mistakes: got 1.5, allowed 0 to 1"),
        ({"equal": math.nan}, "equal: got nan"),
        ({"skip": 0.1}, "must know the usual reward"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        oracle([0], [0], **settings)


def drawn(seed: int = 3) -> tuple[dict[str, np.ndarray], list[Segment]]:
    rng = np.random.default_rng(seed)
    return {name: rng.random(20).astype(np.float32) for name in "abcd"}, [Segment(name, 2, 9) for name in "abcd"]


class TestRationalOracle(LabelerConformance):
    def make_labeler(self) -> tuple[Labeler, list[Segment]]:
        rewards, segments = drawn()
        teacher = Teacher(myopia=0.9, equal=0.1, skip=0.1)
        return Oracle(gold_by_episode(rewards), np.random.default_rng(0), teacher, usual=0.5), segments


class TestNoisyOracle(LabelerConformance):
    even_handed = False

    def make_labeler(self) -> tuple[Labeler, list[Segment]]:
        rewards, segments = drawn()
        return Oracle(gold_by_episode(rewards), np.random.default_rng(0), Teacher(beta=1.0, mistakes=0.2)), segments
