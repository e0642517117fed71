"""Losses against hand-computed NumPy values, and finite differences."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.learner import losses
from robot_rlhf.policy.heads import TanhGaussian
from tests.draws import draws


def test_expectation_over_the_gripper() -> None:
    q = torch.tensor([[[1.0, 3.0], [2.0, -2.0]]])  # (E=1, B=2, 2)
    logit = torch.tensor([0.0, math.log(3.0)])  # chances of opening: 1/2 and 3/4
    torch.testing.assert_close(losses.expected_over_gripper(q, logit), torch.tensor([[2.0, -1.0]]))


def test_td_target_by_hand() -> None:
    reward = torch.tensor([0.0, 1.0, -0.02])
    discount = torch.tensor([0.97, 0.0, 0.97])  # goes on, success, cut by the time limit: it bootstraps
    value = torch.tensor([0.5, 9.0, 1.2])
    torch.testing.assert_close(losses.td_target(reward, discount, value), torch.tensor([0.485, 1.0, 1.144]))
    clipped = losses.td_target(reward, discount, value, lowest=-1.0, highest=1.0)
    torch.testing.assert_close(clipped, torch.tensor([0.485, 1.0, 1.0]))


def test_critic_loss_by_hand() -> None:
    q = torch.tensor([[1.0, 2.0], [3.0, 4.0]])  # (E, B)
    target = torch.tensor([0.0, 2.0])
    weight = torch.tensor([1.0, 0.5])
    # member 0: 1*1, 0*0.5; member 1: 9*1, 4*0.5; mean of 4
    assert math.isclose(float(losses.critic_loss(q, target, weight)), (1 + 0 + 9 + 2) / 4)


def test_actor_and_temperature_losses_by_hand() -> None:
    value = torch.tensor([1.0, 3.0])
    neg_entropy = torch.tensor([0.5, -0.5])
    loss = losses.actor_loss(value, neg_entropy, torch.tensor(0.1), torch.ones(2))
    assert math.isclose(float(loss), ((0.05 - 1.0) + (-0.05 - 3.0)) / 2, rel_tol=1e-6)
    log_temperature = torch.tensor(math.log(0.2), requires_grad=True)
    # mean entropy is 0; with a target of -1 there is too much of it, and descent lowers the temperature
    losses.temperature_loss(log_temperature, neg_entropy, target_entropy=-1.0).backward()
    assert math.isclose(float(log_temperature.grad), 0.2, rel_tol=1e-5)  # type: ignore[arg-type]  # set by backward


def test_cloning_loss_by_hand_and_only_on_masked_rows() -> None:
    errors = torch.tensor([[0.25, 0.0], [3.61, 3.61]])
    logit = torch.tensor([0.0, 50.0])
    is_open = torch.tensor([1.0, 0.0])
    mask = torch.tensor([1.0, 0.0])
    got = losses.cloning_loss(errors, logit, is_open, mask)
    assert math.isclose(float(got), 0.25 + math.log(2.0), rel_tol=1e-6)
    assert float(losses.cloning_loss(errors, None, None, torch.zeros(2))) == 0.0


@draws(20)
@given(st.integers(0, 2**32 - 1))
def test_gradients_match_finite_differences(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mean, log_std, logit = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((4, 2), (4, 2), (4,))
    )
    action = torch.rand((4, 2), generator=generator, dtype=torch.float64) * 1.8 - 0.9
    is_open = (torch.rand(4, generator=generator) > 0.5).double()
    mask = torch.ones(4, dtype=torch.float64)

    def loss(m: torch.Tensor, s: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        still = TanhGaussian(torch.zeros_like(m), s)  # its mean is held fixed, which differences would not see
        cloning = losses.cloning_loss(TanhGaussian(m, s).imitation_error(action), g, is_open, mask)
        return cloning + losses.spread_loss(still.spread_error(action), mask)

    inputs = tuple(x.requires_grad_() for x in (mean, log_std, logit))
    assert torch.autograd.gradcheck(loss, inputs)


def test_spread_is_fitted_to_the_imitation_error() -> None:
    generator = torch.Generator().manual_seed(0)
    action = torch.tanh(0.4 * torch.randn(20_000, 1, generator=generator))
    log_std = torch.zeros(1, 1, requires_grad=True)
    optimiser = torch.optim.Adam([log_std], lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        head = TanhGaussian(torch.zeros_like(action), log_std.expand(len(action), 1))
        losses.spread_loss(head.spread_error(action), torch.ones(len(action))).backward()
        optimiser.step()
    assert math.isclose(float(log_std.detach().exp()), 0.4, rel_tol=0.03)
