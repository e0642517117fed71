"""The losses of learned rewards, as pure functions of tensors. E ensemble members, B moments, P pairs, L steps."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def bradley_terry(left: Tensor, right: Tensor, target: Tensor, mistakes: float = 0.0) -> Tensor:
    """Cross entropy of preferring the left segment with probability sigmoid(sum left - sum right).

    Bradley and Terry 1952, as Christiano et al. 2017, eq. 1, use it; a tie is a target of 0.5, and some of the answers
    are taken for a fair coin's (their section 2.2.3), so that a wrong one need not be learned at any price.

    Args:
        left: Reward per step; 0 in steps that a shorter segment does not have. Shape (E, P, L).
        right: Likewise; its L may differ.
        target: How far the left one is preferred, in [0, 1]. Shape (P,) or (E, P).
        mistakes: Chance of a coin's answer, in [0, 1).

    Returns:
        Mean over members and pairs.
    """
    logit = left.sum(dim=-1) - right.sum(dim=-1)
    target = target.expand_as(logit)
    if not mistakes:
        return functional.binary_cross_entropy_with_logits(logit, target)
    chance = (1.0 - mistakes) * torch.sigmoid(logit) + 0.5 * mistakes
    return functional.binary_cross_entropy(chance, target)


def soft_bins(progress: Tensor, count: int) -> Tensor:
    """Likelihoods of the two nearest of `count` >= 2 evenly spread centres, whose expectation is the progress.

    Args:
        progress: In [0, 1]. Shape (...).

    Returns:
        Shape (..., count).
    """
    place = progress.clamp(0.0, 1.0).unsqueeze(-1) * (count - 1)
    return (1.0 - (place - torch.arange(count, device=progress.device)).abs()).clamp(min=0.0)


def progress_loss(bins: Tensor, target: Tensor) -> Tensor:
    """Cross entropy against soft targets; of one bin the squared error of its sigmoid.

    Args:
        bins: Log likelihoods up to a constant. Shape (E, B, K).
        target: Progress in [0, 1]. Shape (B,) or (E, B).

    Returns:
        Mean over members and moments.
    """
    target = target.expand(bins.shape[:-1])
    if bins.shape[-1] == 1:
        return (torch.sigmoid(bins[..., 0]) - target).square().mean()
    return -(soft_bins(target, bins.shape[-1]) * functional.log_softmax(bins, dim=-1)).sum(dim=-1).mean()


def success_loss(logit: Tensor, succeeded: Tensor) -> Tensor:
    """Cross entropy in which successes and others count the same, however many there are of each.

    Args:
        logit: Log odds of success. Shape (E, B).
        succeeded: 0 or 1. Shape (B,) or (E, B).

    Returns:
        Mean of the classes' means; of one class alone its mean.
    """
    label = succeeded.to(logit.dtype).expand_as(logit)
    error = functional.binary_cross_entropy_with_logits(logit, label, reduction="none")
    means = [(error * c).sum() / c.sum().clamp(min=1.0) for c in (label, 1.0 - label)]
    present = (label.amax() > 0).to(error.dtype) + (label.amin() < 1).to(error.dtype)
    return (means[0] + means[1]) / present
