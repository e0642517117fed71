"""The losses, as pure functions of tensors. E critics, B transitions, c continuous action entries."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

LOG_2PI = math.log(2.0 * math.pi)
SMALL = 1e-12
"""Added to a variance, whose root has no gradient at 0."""


class Shares(NamedTuple):
    """How much of each entry of B actions is imitated, in [0, 1]."""

    continuous: Tensor
    """Shape (B, c)."""
    gripper: Tensor | None
    """Of a gripper that is a choice of two. Shape (B,), or None."""


def tanh_gaussian_log_prob(noise: Tensor, log_std: Tensor, raw: Tensor) -> Tensor:
    """Log density of tanh(raw) with raw = mean + exp(log_std) * noise (SAC, Haarnoja et al. 2018, appendix C).

    log(1 - tanh(u)^2) is computed as 2 (log 2 - u - softplus(-2u)), which does not overflow.

    Args:
        noise: Standard normal. Shape (B, c).
        log_std: Shape (B, c).
        raw: Before the tanh. Shape (B, c).

    Returns:
        Shape (B,).
    """
    gaussian = -0.5 * (noise.square() + LOG_2PI) - log_std
    squash = 2.0 * (math.log(2.0) - raw - functional.softplus(-2.0 * raw))
    return (gaussian - squash).sum(dim=1)


def gripper_entropy(logit: Tensor) -> Tensor:
    """Entropy of opening with probability sigmoid(logit), nats. Shape (B,) -> (B,)."""
    return functional.softplus(logit) - logit * torch.sigmoid(logit)


def expected_over_gripper(q: Tensor, logit: Tensor) -> Tensor:
    """Exact expectation of Q over the gripper's two states.

    Args:
        q: Values of closing and of opening. Shape (..., B, 2).
        logit: Log odds of opening. Shape (B,).

    Returns:
        Shape (..., B).
    """
    chance = torch.sigmoid(logit)
    return q[..., 0] + chance * (q[..., 1] - q[..., 0])


def of_executed_gripper(q: Tensor, is_open: Tensor | None) -> Tensor:
    """Q of what the gripper did; None where it is no choice of two. Shapes (E, B, 1 or 2), (B,) -> (E, B)."""
    if is_open is None:
        return q[..., 0]
    return q[..., 0] + is_open * (q[..., 1] - q[..., 0])


def td_target(
    reward: Tensor, discount: Tensor, next_value: Tensor, *, lowest: float | None = None, highest: float | None = None
) -> Tensor:
    """y = r + discount * V(s'), clipped to what returns are possible.

    `discount` is gamma^n * (1 - terminated), so a time limit bootstraps and a success does not. The clip uses known
    bounds of the return (for a reward of 1 at success: highest 1); it removes over-estimation beyond the possible.

    All of shape (B,).
    """
    target = reward + discount * next_value
    if lowest is not None or highest is not None:
        target = target.clamp(lowest, highest)
    return target


def critic_loss(q: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean squared TD error, averaged over the ensemble.

    Args:
        q: Q of the executed action. Shape (E, B).
        target: Shape (B,).
        weight: Shape (B,).
    """
    return ((q - target).square() * weight).mean()


def actor_loss(value: Tensor, neg_entropy: Tensor, temperature: Tensor, weight: Tensor) -> Tensor:
    """SAC's policy loss: mean of temperature * log pi - Q. All of shape (B,), temperature a scalar."""
    return ((temperature * neg_entropy - value) * weight).mean()


def cautious_value(values: Tensor, caution: float) -> Tensor:
    """The critics' mean less `caution` of their standard deviations, as a lower confidence bound. (E, B) -> (B,)."""
    mean = values.mean(dim=0)
    if not caution:
        return mean
    return mean - caution * (values - mean).square().mean(dim=0).add(SMALL).sqrt()


def temperature_loss(
    log_temperature: Tensor, neg_entropy: Tensor, target_entropy: float, *, steady: bool = False
) -> Tensor:
    """Raises the temperature while the policy's entropy is below its target (SAC v2, eq. 18).

    Args:
        log_temperature: Scalar.
        neg_entropy: log pi of sampled actions, detached here. Shape (B,).
        target_entropy: Nats.
        steady: its logarithm in its place, as in softlearning (Haarnoja et al. 2018, the authors' code): the gradient
            then does not shrink with the temperature.
    """
    factor = log_temperature if steady else log_temperature.exp()
    return -factor * (neg_entropy.detach() + target_entropy).mean()


def cloning_loss(
    mean: Tensor,
    gripper_logit: Tensor | None,
    action: Tensor,
    is_open: Tensor | None,
    mask: Tensor,
    shares: Shares | None = None,
) -> Tensor:
    """Squared error of the tanh mean plus cross entropy of the gripper, averaged over the rows in the mask.

    Args:
        mean: Before the tanh. Shape (B, c); or (K, B, c) of K networks, whose losses are summed.
        gripper_logit: Log odds of opening, or None. Shape (B,) or (K, B).
        action: Executed continuous action. Shape (B, c).
        is_open: 1 where the executed gripper is open, or None. Shape (B,).
        mask: Weight of each row, 0 for rows not to be imitated. Shape (B,).
        shares: how much of each entry is imitated; None for all of it.
    """
    squares = (torch.tanh(mean) - action).square()
    error = (squares if shares is None else squares * shares.continuous).sum(dim=-1)
    if gripper_logit is not None and is_open is not None:
        wanted = is_open.expand_as(gripper_logit)
        of_gripper = functional.binary_cross_entropy_with_logits(gripper_logit, wanted, reduction="none")
        error = error + (of_gripper if shares is None or shares.gripper is None else of_gripper * shares.gripper)
    return (error * mask).sum() / mask.sum().clamp(min=1.0)


def spread_loss(mean: Tensor, log_std: Tensor, action: Tensor, mask: Tensor, shares: Shares | None = None) -> Tensor:
    """Fits the standard deviation to the imitation error, so that a cloned policy's samples are as tidy as its mean.

    Gaussian negative log-likelihood of atanh(action) with the mean held fixed. Shapes as in cloning_loss.
    """
    raw = torch.atanh(action.clamp(-0.99, 0.99))
    scaled = (raw - mean.detach()) * torch.exp(-log_std)
    nll = 0.5 * scaled.square() + log_std
    nll = (nll if shares is None else nll * shares.continuous).sum(dim=1)
    return (nll * mask).sum() / mask.sum().clamp(min=1.0)
