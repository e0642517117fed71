"""EPIC: how far two rewards are from each other, whatever their potential shaping and positive scale."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robot_rlhf.errors import InvalidValueError, ShapeError
from robot_rlhf.rewards.metrics import Floats, pearson

RewardFunction = Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], ArrayLike]
"""States (N, ...), actions (N, ...), next states (N, ...) to rewards (N,). A 'state' may be an index into a table."""


@dataclass(frozen=True, eq=False)
class Transitions:
    """N transitions, as a reward function takes them."""

    state: NDArray[Any]
    """Shape (N, ...)."""
    action: NDArray[Any]
    """Shape (N, ...)."""
    next_state: NDArray[Any]
    """Shape (N, ...)."""

    def __post_init__(self) -> None:
        for name in ("action", "next_state"):
            if len(getattr(self, name)) != len(self.state):
                raise ShapeError(f"Transitions.{name}", getattr(self, name).shape, (len(self.state), "..."))

    def __len__(self) -> int:
        return len(self.state)


def canonical_reward(reward: RewardFunction, batch: Transitions, sample: Transitions, discount: float) -> Floats:
    """The canonically shaped reward of each transition (Gleave et al. 2021, definition 4.1).

    C(R)(s, a, s') = R(s, a, s') + E[gamma R(s', A, S') - R(s, A, S') - gamma R(S, A, S')]

    with S, S' and A drawn independently. Approximated: the expectation over (A, S') is the mean over the M pairs
    (action, next state) of `sample`, which stay together, and that over S the mean over the M states of `sample`; so
    A and S' are as dependent as they are there. Whatever the sample, shaping the reward by a potential changes the
    result by one constant at most. Takes (2 N + M) M evaluations of the reward.

    Args:
        batch: the N transitions of interest.
        sample: M transitions that stand for the distributions of states and actions.

    Returns:
        Shape (N,).
    """
    of_states = _mean_over(reward, batch.state, sample)
    of_next = _mean_over(reward, batch.next_state, sample)
    of_all = float(_mean_over(reward, sample.state, sample).mean())
    own = _evaluated(reward, batch.state, batch.action, batch.next_state)
    return own + discount * of_next - of_states - discount * of_all


def epic_distance(
    first: RewardFunction, second: RewardFunction, batch: Transitions, sample: Transitions, discount: float
) -> float:
    """The EPIC distance, in [0, 1] (Gleave et al. 2021, definition 4.4): Pearson distance of the canonical rewards.

    sqrt((1 - rho) / 2): 0 for rewards that have the same optimal policies by shaping and scale, 0.71 for unrelated
    ones, 1 for opposite ones. The batch is the coverage distribution: what it does not hold does not count.
    NaN when a canonical reward is the same everywhere.

    Raises:
        InvalidValueError: no transitions, or a discount outside [0, 1].
    """
    if not len(batch) or not len(sample) or not 0.0 <= discount <= 1.0:
        raise InvalidValueError(
            "epic_distance",
            f"{len(batch)} transitions, {len(sample)} in the sample, discount {discount}",
            "at least one of each, discount in [0, 1]",
        )
    rho = pearson(canonical_reward(first, batch, sample, discount), canonical_reward(second, batch, sample, discount))
    return math.sqrt((1.0 - rho) / 2.0)


def _mean_over(reward: RewardFunction, states: NDArray[Any], sample: Transitions) -> Floats:
    """Mean reward of each state over the sample's actions and next states. Shape (N,)."""
    m = len(sample)
    means = np.empty(len(states))
    rows = max(1, 65_536 // m)
    for first in range(0, len(states), rows):
        part = states[first : first + rows]
        n = len(part)
        everything = _evaluated(
            reward, np.repeat(part, m, axis=0), _tiled(sample.action, n), _tiled(sample.next_state, n)
        )
        means[first : first + n] = everything.reshape(n, m).mean(axis=1)
    return means


def _tiled(rows: NDArray[Any], times: int) -> NDArray[Any]:
    """All rows, again and again. Shape (M, ...) -> (times * M, ...)."""
    return np.tile(rows, (times, *(1 for _ in rows.shape[1:])))


def _evaluated(reward: RewardFunction, state: NDArray[Any], action: NDArray[Any], following: NDArray[Any]) -> Floats:
    values = np.asarray(reward(state, action, following), np.float64)
    if values.shape != (len(state),):
        raise ShapeError("reward function", values.shape, (len(state),))
    return values
