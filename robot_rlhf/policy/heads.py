"""Heads: what the numbers of the actor network mean, as a distribution of actions."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional

from robot_rlhf.errors import CheckpointError, ConfigError
from robot_rlhf.naming import OfKind, label_of

LOG_2PI = math.log(2.0 * math.pi)
LOG_STD_MIN = -5.0
LOG_STD_MAX = 1.0
LARGEST_ACTION = 0.99
"""Actions are clipped to this before the inverse of tanh, where 1 would be infinite."""
LARGEST_POINT = 0.999
"""The same for what is done without spread."""
NO_SPREAD = -30.0
"""Log standard deviation of what is done without spread."""


class Head(OfKind, ABC):
    """A policy's distribution of c continuous action entries in [-1, 1], for each of B observations.

    A run chooses the class (network.head); an instance is what the network said of some observations. Nothing here may
    branch on the values of tensors: updates are recorded and compiled.

    What is given entry by entry, in shape (B, c), sums to what holds of the whole action; where entries hang together,
    each has an equal part.
    """

    KINDS: ClassVar[Mapping[str, str]] = {"gaussian": "robot_rlhf.policy.heads:TanhGaussian"}
    WHAT: ClassVar[str] = "network.head"

    @classmethod
    @abstractmethod
    def outputs(cls, entries: int) -> int:
        """How many numbers the network gives for so many action entries."""

    @classmethod
    def noises(cls, entries: int) -> int:
        """How many standard normal numbers a sample of so many action entries is made of."""
        return entries

    @classmethod
    @abstractmethod
    def of(cls, raw: Tensor, entries: int) -> Self:
        """What the network said. Args: raw: any numbers, near 0 at first. Shape (B, outputs)."""

    @abstractmethod
    def mode(self) -> Tensor:
        """The action that it stands for: done without exploring; gradients flow through it. In [-1, 1], (B, c)."""

    @abstractmethod
    def sample(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """An action, through which gradients flow, and its log density.

        Args:
            noise: standard normal. Shape (B, noises).

        Returns:
            In [-1, 1], shape (B, c); entry by entry, shape (B, c).
        """

    @abstractmethod
    def log_prob(self, action: Tensor) -> Tensor:
        """Log density of actions, finite at -1 and 1, too. Shape (B, c), entry by entry (B, c)."""

    def explored(self, noise: Tensor, share: float) -> Tensor:
        """An action drawn with a share of the spread, 0 to 1. Shapes (B, noises) -> (B, c)."""
        mode = self.mode()
        return mode + share * (self.sample(noise)[0] - mode)

    def imitation_error(self, action: Tensor) -> Tensor:
        """What imitating an action makes smaller, beside `spread_error`. Shape (B, c), entry by entry (B, c)."""
        return (self.mode() - action).square()

    def spread_error(self, action: Tensor) -> Tensor:
        """What fitting the spread to the error of imitation makes smaller. Shape (B, c), entry by entry (B, c)."""
        return -self.log_prob(action)


def check_head(what: str, given: str, own: type[Head]) -> None:
    """Check that weights were learned for this head: another may need as many numbers, and mean others by them.

    Args:
        what: is given; the beginning of the message.
        given: the name that the weights have for theirs; empty where they have none.

    Raises:
        CheckpointError: they were learned for another.
    """
    if given and given != label_of(own.kind):
        raise CheckpointError(f"{what}: learned for head {given!r}, this architecture has {label_of(own.kind)!r}")


def head_named(name: str) -> type[Head]:
    """The head of a name, or one's own.

    Raises:
        UnknownNameError: neither.
        ConfigError: one's own that cannot be imported, is no Head, or lacks something that every head has.
    """
    found = Head.of_kind(name)
    lacks = sorted(getattr(found, "__abstractmethods__", ()))
    if lacks:
        raise ConfigError(f"{Head.WHAT} {name!r}: lacks {', '.join(lacks)}; allowed: a head with all of a Head's")
    return found


class TanhGaussian(Head):
    """A Gaussian squashed by tanh, entry by entry (SAC, Haarnoja et al. 2018)."""

    kind: ClassVar[str] = "gaussian"

    def __init__(self, mean: Tensor, log_std: Tensor) -> None:
        """Both before the tanh. Shape (B, c)."""
        self.mean = mean
        self.log_std = log_std

    @classmethod
    def outputs(cls, entries: int) -> int:
        return 2 * entries

    @classmethod
    def of(cls, raw: Tensor, entries: int) -> Self:
        mean, log_std = raw.split([entries, entries], dim=1)
        return cls(mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX))

    @classmethod
    def at(cls, action: Tensor) -> Self:
        """What does an action without spread. In [-1, 1], shape (B, c)."""
        mean = torch.atanh(action.clamp(-LARGEST_POINT, LARGEST_POINT))
        return cls(mean, torch.full_like(mean, NO_SPREAD))

    def mode(self) -> Tensor:
        return torch.tanh(self.mean)

    def sample(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        raw = self.mean + self.log_std.exp() * noise
        log_prob = tanh_gaussian_log_prob(noise, self.log_std, raw)  # first: the order in which gradients are summed
        return torch.tanh(raw), log_prob

    def log_prob(self, action: Tensor) -> Tensor:
        """Entries beyond LARGEST_ACTION count as it."""
        raw = _before_tanh(action)
        noise = (raw - self.mean) * torch.exp(-self.log_std)
        return tanh_gaussian_log_prob(noise, self.log_std, raw)

    def explored(self, noise: Tensor, share: float) -> Tensor:
        """With a share of the standard deviation before the tanh."""
        return torch.tanh(self.mean + share * self.log_std.exp() * noise)

    def spread_error(self, action: Tensor) -> Tensor:
        """Gaussian negative log-likelihood before the tanh, with the mean held fixed."""
        scaled = (_before_tanh(action) - self.mean.detach()) * torch.exp(-self.log_std)
        return 0.5 * scaled.square() + self.log_std


class PolicyOutput(NamedTuple):
    """The policy's distribution of whole actions for B observations."""

    continuous: Head
    """Of the c continuous entries."""
    gripper_logit: Tensor | None
    """Log odds of opening. Shape (B,), or None without a gripper that is a choice of two."""

    def sample(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """A continuous action (B, c), and minus the entropy estimate of the whole action (B,).

        Args:
            noise: standard normal. Shape (B, noises).
        """
        action, log_prob = self.continuous.sample(noise)
        neg_entropy = log_prob.sum(dim=1)
        if self.gripper_logit is not None:
            neg_entropy = neg_entropy - gripper_entropy(self.gripper_logit)
        return action, neg_entropy

    def log_prob(self, action: Tensor, is_open: Tensor | None) -> Tensor:
        """Log density of whole actions.

        Args:
            action: continuous part. Shape (B, c).
            is_open: 1 where the gripper is open, or None. Shape (B,).

        Returns:
            Shape (B,).
        """
        log_prob = self.continuous.log_prob(action).sum(dim=1)
        if self.gripper_logit is None or is_open is None:
            return log_prob
        return log_prob - functional.binary_cross_entropy_with_logits(self.gripper_logit, is_open, reduction="none")

    def is_open(self, threshold: float | Tensor = 0.5) -> Tensor | None:
        """1 where the gripper opens: its chance is above the threshold (a uniform number: drawn). (B,), or None."""
        if self.gripper_logit is None:
            return None
        return (torch.sigmoid(self.gripper_logit) > threshold).to(self.gripper_logit.dtype)


def tanh_gaussian_log_prob(noise: Tensor, log_std: Tensor, raw: Tensor) -> Tensor:
    """Log density of tanh(raw) with raw = mean + exp(log_std) * noise (SAC, Haarnoja et al. 2018, appendix C).

    log(1 - tanh(u)^2) is computed as 2 (log 2 - u - softplus(-2u)), which does not overflow.

    Args:
        noise: Standard normal. Shape (B, c).
        log_std: Shape (B, c).
        raw: Before the tanh. Shape (B, c).

    Returns:
        Entry by entry. Shape (B, c).
    """
    gaussian = -0.5 * (noise.square() + LOG_2PI) - log_std
    squash = 2.0 * (math.log(2.0) - raw - functional.softplus(-2.0 * raw))
    return gaussian - squash


def gripper_entropy(logit: Tensor) -> Tensor:
    """Entropy of opening with probability sigmoid(logit), nats. Shape (B,) -> (B,)."""
    return functional.softplus(logit) - logit * torch.sigmoid(logit)


def _before_tanh(action: Tensor) -> Tensor:
    return torch.atanh(action.clamp(-LARGEST_ACTION, LARGEST_ACTION))
