"""EPIC: invariances, known distances, and what the canonical reward is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from robot_rlhf.errors import InvalidValueError, ShapeError
from robot_rlhf.rewards.epic import RewardFunction, Transitions, canonical_reward, epic_distance

STATES, ACTIONS = 6, 3


def drawn(rng: np.random.Generator, count: int) -> Transitions:
    return Transitions(rng.integers(0, STATES, count), rng.integers(0, ACTIONS, count), rng.integers(0, STATES, count))


def of(table: NDArray[np.float64]) -> RewardFunction:
    """A reward given by its table (S, A, S)."""
    return lambda s, a, n: table[s, a, n]


def tables(seed: int) -> tuple[np.random.Generator, NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    return rng, rng.standard_normal((STATES, ACTIONS, STATES)), rng.standard_normal(STATES)


@given(st.integers(0, 10_000), st.floats(0.1, 10.0), st.floats(-5.0, 5.0), st.floats(0.0, 1.0))
def test_shaping_scale_and_offset_change_nothing(seed: int, scale: float, offset: float, gamma: float) -> None:
    rng, table, potential = tables(seed)
    shaped = scale * (table + gamma * potential[None, None, :] - potential[:, None, None]) + offset
    batch, sample = drawn(rng, 40), drawn(rng, 15)
    assert epic_distance(of(table), of(shaped), batch, sample, gamma) == pytest.approx(0.0, abs=1e-6)
    other = of(tables(seed + 1)[1])
    near, far = (epic_distance(reward, other, batch, sample, gamma) for reward in (of(table), of(shaped)))
    assert near == pytest.approx(far, abs=1e-6)


@given(st.integers(0, 10_000))
def test_it_is_a_distance(seed: int) -> None:
    rng, a, _ = tables(seed)
    b, c = (of(rng.standard_normal((STATES, ACTIONS, STATES))) for _ in range(2))
    batch, sample = drawn(rng, 60), drawn(rng, 20)

    def distance(x: RewardFunction, y: RewardFunction) -> float:
        return epic_distance(x, y, batch, sample, 0.9)

    assert distance(of(a), b) == pytest.approx(distance(b, of(a)))
    assert distance(of(a), c) <= distance(of(a), b) + distance(b, c) + 1e-9
    assert distance(of(a), of(-a)) == pytest.approx(1.0)


def test_unrelated_rewards_are_half_way() -> None:
    rng, a, _ = tables(0)
    grid = Transitions(*(x.ravel() for x in np.indices((STATES, ACTIONS, STATES))))
    distances = [epic_distance(of(a), of(rng.standard_normal(a.shape)), grid, drawn(rng, 200), 0.9) for _ in range(20)]
    assert np.mean(distances) == pytest.approx(math.sqrt(0.5), abs=0.03)


def test_the_canonical_reward_is_its_definition() -> None:
    rng, table, _ = tables(3)
    batch, gamma = drawn(rng, 9), 0.8
    everything = Transitions(*(x.ravel() for x in np.indices((STATES, ACTIONS, STATES))))  # uniform and independent
    mean = table.mean(axis=(1, 2))  # E[R(s, A, S')]
    s, a, n = batch.state, batch.action, batch.next_state
    by_hand = table[s, a, n] + gamma * mean[n] - mean[s] - gamma * mean.mean()
    np.testing.assert_allclose(canonical_reward(of(table), batch, everything, gamma), by_hand)


def test_a_reward_of_the_next_state_alone_only_loses_its_mean() -> None:
    rng, _, value = tables(4)
    batch, sample = drawn(rng, 30), drawn(rng, 10)
    canonical = canonical_reward(lambda s, a, n: value[n], batch, sample, 0.95)
    np.testing.assert_allclose(canonical, value[batch.next_state] - value[sample.next_state].mean())


def test_large_batches_are_done_in_parts() -> None:
    rng, table, _ = tables(5)
    batch, sample = drawn(rng, 3_000), drawn(rng, 64)
    whole = canonical_reward(of(table), batch, sample, 0.9)
    one = Transitions(batch.state[-1:], batch.action[-1:], batch.next_state[-1:])
    assert canonical_reward(of(table), one, sample, 0.9)[0] == pytest.approx(whole[-1])


def test_what_cannot_be_compared() -> None:
    rng, table, _ = tables(6)
    batch = drawn(rng, 5)
    assert math.isnan(epic_distance(of(table), lambda s, a, n: np.ones(len(s)), batch, batch, 0.9))
    with pytest.raises(InvalidValueError, match="discount 2"):
        epic_distance(of(table), of(table), batch, batch, 2.0)
    with pytest.raises(ShapeError):
        epic_distance(of(table), lambda s, a, n: 1.0, batch, batch, 0.9)
