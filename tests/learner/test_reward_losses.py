"""Losses of rewards against values by hand, finite differences, and laws."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.learner.reward_losses import bradley_terry, progress_loss, soft_bins, success_loss
from robot_rlhf.rewards.network import read_progress


def test_bradley_terry_by_hand() -> None:
    left = torch.tensor([[[1.0, 2.0], [0.0, 0.0]]])  # (E=1, P=2, L=2)
    right = torch.tensor([[[0.5, 0.5, 0.0], [1.0, 1.0, 1.0]]])
    target = torch.tensor([1.0, 0.5])  # left preferred, a tie
    first = -math.log(1.0 / (1.0 + math.exp(-2.0)))
    second = -0.5 * (math.log(1.0 / (1.0 + math.exp(3.0))) + math.log(1.0 / (1.0 + math.exp(-3.0))))
    assert math.isclose(float(bradley_terry(left, right, target)), (first + second) / 2, rel_tol=1e-6)


def test_an_answer_that_all_else_contradicts_costs_little_and_pulls_no_more() -> None:
    """With a coin's answers among them (p' = 0.9 p + 0.05), the loss is bounded, and its gradient dies away."""
    left = torch.tensor([[[-3.0], [-30.0]]], dtype=torch.float64, requires_grad=True)  # labelled better all the same
    right = torch.zeros(1, 2, 1, dtype=torch.float64)
    target = torch.ones(2, dtype=torch.float64)
    chance = 1.0 / (1.0 + math.exp(3.0))
    loss = bradley_terry(left, right, target, 0.1)
    by_hand = -(math.log(0.9 * chance + 0.05) + math.log(0.05)) / 2
    assert math.isclose(float(loss.detach()), by_hand, rel_tol=1e-9)
    (gradient,) = torch.autograd.grad(loss, left)
    assert abs(float(gradient[0, 1])) < 1e-9
    slope = -0.9 * chance * (1.0 - chance) / (0.9 * chance + 0.05) / 2
    assert math.isclose(float(gradient[0, 0]), slope, rel_tol=1e-9)
    assert torch.autograd.gradcheck(lambda a: bradley_terry(a, right, target, 0.1), left)


def test_a_tie_is_learned_by_equal_returns() -> None:
    left = torch.tensor([[[1.0, -1.0]]], requires_grad=True)
    right = torch.tensor([[[0.0, 0.0]]])
    loss = bradley_terry(left, right, torch.tensor([0.5]))
    assert math.isclose(float(loss.detach()), math.log(2.0), rel_tol=1e-6)  # the least that a tie can cost
    (gradient,) = torch.autograd.grad(loss, left)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient))


def test_bradley_terry_gradient_by_hand_and_by_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(2, 3, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    target = torch.tensor([1.0, 0.0, 0.5], dtype=torch.float64)
    left.requires_grad_()
    right.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: bradley_terry(a, b, target), (left, right))
    gradient = torch.autograd.grad(bradley_terry(left, right, target), left)[0]
    chance = torch.sigmoid(left.sum(-1) - right.sum(-1)).detach()
    by_hand = ((chance - target) / 6.0).unsqueeze(-1).expand(2, 3, 4)  # mean over 2 members x 3 pairs; every step alike
    torch.testing.assert_close(gradient, by_hand)


@given(st.floats(0.0, 1.0), st.integers(2, 20))
def test_soft_bins_are_likelihoods_that_expect_the_progress(progress: float, count: int) -> None:
    bins = soft_bins(torch.tensor([progress], dtype=torch.float64), count)
    assert math.isclose(float(bins.sum()), 1.0, abs_tol=1e-9)
    assert int((bins > 0).sum()) <= 2
    centres = torch.linspace(0, 1, count, dtype=torch.float64)
    assert math.isclose(float((bins * centres).sum()), progress, abs_tol=1e-9)
    read = read_progress(torch.log(bins.float() + 1e-30))
    assert math.isclose(float(read), progress, abs_tol=1e-5)


def test_progress_loss_by_hand() -> None:
    bins = torch.tensor([[[0.0, 0.0, 0.0]]])  # three centres 0, 0.5, 1, all alike
    assert math.isclose(float(progress_loss(bins, torch.tensor([0.25]))), math.log(3.0), rel_tol=1e-6)
    sure = torch.tensor([[[100.0, 0.0, 0.0]]])
    assert math.isclose(float(progress_loss(sure, torch.tensor([0.0]))), 0.0, abs_tol=1e-6)
    single = torch.tensor([[[0.0], [math.log(3.0)]]])  # one bin: sigmoids 0.5 and 0.75
    assert math.isclose(float(progress_loss(single, torch.tensor([0.0, 0.25]))), (0.25 + 0.25) / 2, rel_tol=1e-6)


def test_progress_loss_gradient() -> None:
    bins = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0.1, 0.5, 1.0], dtype=torch.float64)
    gradient = torch.autograd.grad(progress_loss(bins, target), bins)[0]
    by_hand = (torch.softmax(bins.detach(), dim=-1) - soft_bins(target, 5)) / 6.0
    torch.testing.assert_close(gradient, by_hand)


def test_success_loss_weighs_classes_alike() -> None:
    logit = torch.tensor([[0.0, 1.0, -1.0, 2.0]])
    label = torch.tensor([1.0, 0.0, 0.0, 0.0])
    cost = [math.log(2.0), math.log1p(math.exp(1.0)), math.log1p(math.exp(-1.0)), math.log1p(math.exp(2.0))]
    assert math.isclose(float(success_loss(logit, label)), (cost[0] + np.mean(cost[1:])) / 2, rel_tol=1e-6)
    repeated = torch.cat([logit, logit[:, 1:].repeat(1, 9)], dim=1)
    many = torch.cat([label, torch.zeros(27)])
    torch.testing.assert_close(success_loss(repeated, many), success_loss(logit, label))


def test_success_loss_of_one_class() -> None:
    loss = success_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([1.0, 1.0]))
    assert math.isclose(float(loss), math.log(2.0), rel_tol=1e-6)
