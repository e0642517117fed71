"""Transforms of rewards: values by hand, laws, and what shaping does to the optimal policy of small problems."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.errors import CheckpointError, InvalidValueError, ShapeError
from robot_rlhf.rewards import transforms
from tests.draws import draws

MEMBERS = torch.tensor([[1.0, 0.0], [2.0, 0.0], [6.0, -3.0]])  # (E=3, B=2)
ENSEMBLES = arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=st.floats(-50, 50))
REWARDS = arrays(np.float64, st.integers(1, 8), elements=st.floats(-50, 50))


def test_ensemble_transforms_by_hand() -> None:
    torch.testing.assert_close(transforms.mean_reward(MEMBERS), torch.tensor([3.0, -1.0]))
    torch.testing.assert_close(transforms.minimum(MEMBERS), torch.tensor([1.0, -3.0]))
    # unbiased variances: (4 + 1 + 9) / 2 = 7 and (1 + 1 + 4) / 2 = 3
    torch.testing.assert_close(transforms.mean_minus_variance(MEMBERS, 0.5), torch.tensor([-0.5, -2.5]))


def test_a_single_member_has_no_variance() -> None:
    torch.testing.assert_close(transforms.mean_minus_variance(MEMBERS[:1], 9.0), MEMBERS[0])


@given(ENSEMBLES, st.floats(0, 5))
def test_conservative_rewards_are_at_most_the_mean(members: NDArray[np.float64], penalty: float) -> None:
    r = torch.from_numpy(members)
    mean = transforms.mean_reward(r)
    assert bool((transforms.mean_minus_variance(r, penalty) <= mean + 1e-9).all())
    assert bool((transforms.minimum(r) <= mean + 1e-9).all())
    torch.testing.assert_close(transforms.mean_minus_variance(r, 0.0), mean)


@pytest.mark.parametrize("bad", [torch.zeros(3), torch.zeros(0, 3)])
def test_members_have_two_axes(bad: Tensor) -> None:
    for transform in (transforms.mean_reward, transforms.minimum, lambda r: transforms.mean_minus_variance(r, 0.1)):
        with pytest.raises(ShapeError, match="members"):
            transform(bad)


def test_disagreement_is_never_rewarded() -> None:
    with pytest.raises(InvalidValueError, match="penalty"):
        transforms.mean_minus_variance(MEMBERS, -0.1)


def test_centred_sigmoid_by_hand() -> None:
    got = transforms.centred_sigmoid(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 3.0]), steepness=math.log(3.0) / 2.0)
    # sigmoid(0) = 1/2, sigmoid(-log 3) = 1/4, sigmoid(log 3) = 3/4
    torch.testing.assert_close(got, torch.tensor([0.375, 0.625]))
    own = torch.tensor([[1.0, 3.0]])  # one reference of its own for each transition
    torch.testing.assert_close(transforms.centred_sigmoid(torch.tensor([1.0, 3.0]), own), torch.tensor([0.5, 0.5]))


@given(REWARDS, REWARDS, st.floats(0.1, 3), st.floats(-20, 20))
def test_centred_sigmoid_is_bounded_monotone_and_centred(
    reward: NDArray[np.float64], references: NDArray[np.float64], steepness: float, offset: float
) -> None:
    r, refs = torch.from_numpy(np.sort(reward)), torch.from_numpy(references)
    got = transforms.centred_sigmoid(r, refs, steepness)
    assert bool(((got >= 0) & (got <= 1)).all())
    assert bool((got.diff() >= -1e-12).all())
    torch.testing.assert_close(transforms.centred_sigmoid(r + offset, refs + offset, steepness), got)


def test_centred_sigmoid_refuses_what_cannot_be() -> None:
    reward = torch.zeros(3)
    for references in (torch.zeros(0), torch.zeros(2, 2), torch.zeros(1, 1, 3)):
        with pytest.raises(ShapeError, match="references"):
            transforms.centred_sigmoid(reward, references)
    with pytest.raises(InvalidValueError, match="steepness"):
        transforms.centred_sigmoid(reward, torch.zeros(1), 0.0)


def test_gates_by_hand() -> None:
    held, next_held = torch.tensor([True, True, False]), torch.tensor([True, False, True])
    position = torch.tensor([[0.5, 0.0, 0.1], [0.5, 0.0, 0.1], [0.2, 0.0, 0.1]])
    assert transforms.dropped(held, next_held).tolist() == [False, True, False]
    lower, upper = torch.tensor([0.3, -0.2, 0.0]), torch.tensor([0.7, 0.2, 0.3])
    assert transforms.out_of_workspace(position, lower, upper).tolist() == [False, False, True]
    reward = torch.tensor([0.7, float("nan"), 0.9])
    gates = (transforms.dropped(held, next_held), transforms.out_of_workspace(position, lower, upper))
    torch.testing.assert_close(transforms.gated(reward, *gates, value=-1.0), torch.tensor([0.7, -1.0, -1.0]))
    torch.testing.assert_close(transforms.gated(reward[:1], value=-1.0), reward[:1])
    for gate in (torch.zeros(2, dtype=torch.bool), torch.zeros(3)):
        with pytest.raises(ShapeError, match="gate"):
            transforms.gated(reward, gate, value=0.0)


def test_shaping_by_hand() -> None:
    reward = torch.tensor([0.0, 1.0, 0.0])
    phi, next_phi = torch.tensor([0.2, 0.8, 0.8]), torch.tensor([0.8, 5.0, 0.5])
    discount = torch.tensor(
        [0.9, 0.0, 0.9]
    )  # goes on, terminated: no potential there, cut by the time limit: it counts
    got = transforms.shaped(reward, phi, next_phi, discount)
    torch.testing.assert_close(got, torch.tensor([0.52, 0.2, -0.35]))


@given(arrays(np.float64, 6, elements=st.floats(-5, 5)), st.floats(0.5, 1.0))
def test_shaping_telescopes_over_n_steps(potentials: NDArray[np.float64], gamma: float) -> None:
    phi = torch.from_numpy(potentials)
    n = len(phi) - 1
    steps = transforms.shaped(torch.zeros(n), phi[:-1], phi[1:], torch.full((n,), gamma, dtype=torch.float64))
    whole = sum(gamma**k * float(steps[k]) for k in range(n))
    at_once = transforms.shaped(torch.zeros(1), phi[:1], phi[-1:], torch.tensor([gamma**n], dtype=torch.float64))
    assert math.isclose(whole, float(at_once), abs_tol=1e-9)


def optimal_policy(
    reward: NDArray[np.float64], chance: NDArray[np.float64], terminal: NDArray[np.bool_], gamma: float
) -> NDArray[np.int64]:
    """By value iteration. Rewards R(s, a, s') and chances (S, A, S); a terminal state ends the episode."""
    value = np.zeros(len(chance))
    q = np.zeros(chance.shape[:2])
    for _ in range(600):
        q = (chance * (reward + gamma * np.where(terminal, 0.0, value))).sum(axis=2)
        value = q.max(axis=1)
    return q.argmax(axis=1)


def test_shaping_keeps_the_optimal_policy_and_a_raw_bonus_does_not() -> None:
    states, actions, gamma = 7, 3, 0.9
    changed = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        chance = rng.dirichlet(np.full(states, 0.3), size=(states, actions))
        terminal = np.arange(states) >= states - 2
        reward = rng.normal(size=(states, actions, states))
        phi = rng.normal(0.0, 3.0, states)
        discount = gamma * (1.0 - terminal)
        shape = reward.shape
        given = [
            torch.from_numpy(np.broadcast_to(a, shape).copy()).reshape(-1) for a in (phi[:, None, None], phi, discount)
        ]
        shaped = transforms.shaped(torch.from_numpy(reward).reshape(-1), *given).reshape(shape).numpy()
        best = optimal_policy(reward, chance, terminal, gamma)[~terminal]
        np.testing.assert_array_equal(optimal_policy(shaped, chance, terminal, gamma)[~terminal], best)
        changed += bool((optimal_policy(reward + phi, chance, terminal, gamma)[~terminal] != best).any())
    assert changed > 20


@draws(50)
@given(st.lists(REWARDS, min_size=1, max_size=5))
def test_running_norm_is_that_of_all_rewards_at_once(parts: list[NDArray[np.float64]]) -> None:
    norm = transforms.RunningNorm()
    for part in parts:
        norm.update(torch.from_numpy(part))
    whole = np.concatenate(parts)
    assert norm.count == len(whole)
    assert math.isclose(norm.mean, whole.mean(), abs_tol=1e-9)
    by_hand = whole.var(ddof=1) if len(whole) > 1 else 0.0
    assert math.isclose(norm.variance, by_hand, rel_tol=1e-9, abs_tol=1e-9)
    got = norm(torch.from_numpy(whole))
    spread = math.sqrt(norm.variance)
    scale = spread if spread > transforms.SMALLEST_SPREAD else 1.0
    torch.testing.assert_close(got, torch.from_numpy((whole - norm.mean) / scale))


def test_running_norm_can_leave_the_mean_in() -> None:
    norm = transforms.RunningNorm(centre=False)
    norm.update(torch.tensor([1.0, 3.0]))
    torch.testing.assert_close(norm(torch.tensor([2.0])), torch.tensor([2.0 / math.sqrt(2.0)]))


def test_running_norm_is_saved_whole_and_never_poisoned() -> None:
    norm, other = transforms.RunningNorm(), transforms.RunningNorm()
    rewards = torch.tensor([0.1, 0.5, -2.0])
    torch.testing.assert_close(norm(rewards), rewards)
    norm.update(rewards)
    with pytest.raises(InvalidValueError, match="NaN"):
        norm.update(torch.tensor([0.0, float("nan")]))
    norm.update(torch.zeros(0))
    other.load_state(norm.state())
    torch.testing.assert_close(other(rewards), norm(rewards))
    for bad in ({}, {"running_norm": torch.zeros(2)}, {"running_norm": torch.tensor([3.0, 0.0, -1.0])}):
        with pytest.raises(CheckpointError, match="running_norm"):
            other.load_state(bad)
