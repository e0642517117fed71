"""The losses, as pure functions of tensors. E critics, B transitions, c continuous action entries."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

SMALL = 1e-12
"""Added to a variance, whose root has no gradient at 0."""


class Shares(NamedTuple):
    """How much of each entry of B actions is imitated, in [0, 1]."""

    continuous: Tensor
    """Shape (B, c)."""
    gripper: Tensor | None
    """Of a gripper that is a choice of two. Shape (B,), or None."""


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
    errors: Tensor,
    gripper_logit: Tensor | None,
    is_open: Tensor | None,
    mask: Tensor,
    shares: Shares | None = None,
) -> Tensor:
    """Error of imitating the continuous entries plus cross entropy of the gripper, averaged over the rows in the mask.

    Args:
        errors: as the head has it (Head.imitation_error). Shape (B, c); or (K, B, c) of K networks, whose losses are
            summed.
        gripper_logit: Log odds of opening, or None. Shape (B,) or (K, B).
        is_open: 1 where the executed gripper is open, or None. Shape (B,).
        mask: Weight of each row, 0 for rows not to be imitated. Shape (B,).
        shares: how much of each entry is imitated; None for all of it.
    """
    error = (errors if shares is None else errors * shares.continuous).sum(dim=-1)
    if gripper_logit is not None and is_open is not None:
        wanted = is_open.expand_as(gripper_logit)
        of_gripper = functional.binary_cross_entropy_with_logits(gripper_logit, wanted, reduction="none")
        error = error + (of_gripper if shares is None or shares.gripper is None else of_gripper * shares.gripper)
    return (error * mask).sum() / mask.sum().clamp(min=1.0)


def spread_loss(errors: Tensor, mask: Tensor, shares: Shares | None = None) -> Tensor:
    """Fits the spread to the imitation error, so that a cloned policy's samples are as tidy as its mode.

    Args:
        errors: as the head has it (Head.spread_error). Shape (B, c).
        mask, shares: as in cloning_loss.
    """
    error = (errors if shares is None else errors * shares.continuous).sum(dim=1)
    return (error * mask).sum() / mask.sum().clamp(min=1.0)
