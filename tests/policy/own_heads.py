"""Heads of a user's own: bounded by themselves, squashed with heavier tails, and with two peaks."""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from robot_rlhf.policy.heads import Head, TanhGaussian, tanh_gaussian_log_prob


class Kumaraswamy(Head):
    """Nearly a Beta distribution, with an inverse in closed form (Kumaraswamy 1980); no tanh anywhere."""

    def __init__(self, a: Tensor, b: Tensor) -> None:
        self.a, self.b = a, b

    @classmethod
    def outputs(cls, entries: int) -> int:
        return 2 * entries

    @classmethod
    def of(cls, raw: Tensor, entries: int) -> Self:
        a, b = (1.01 + part.clamp(-5.0, 5.0).exp() for part in raw.split([entries, entries], dim=1))
        return cls(a, b)

    def mode(self) -> Tensor:
        return 2.0 * ((self.a - 1.0) / (self.a * self.b - 1.0)) ** (1.0 / self.a) - 1.0

    def sample(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        rest = torch.special.ndtr(-noise) ** (1.0 / self.b)  # what is above the share that the noise stands for
        action = 2.0 * (1.0 - rest).clamp(1e-6, 1.0 - 1e-6) ** (1.0 / self.a) - 1.0
        return action, self.log_prob(action)

    def log_prob(self, action: Tensor) -> Tensor:
        x = (0.5 * (action + 1.0)).clamp(1e-4, 1.0 - 1e-4)
        inside = (self.b - 1.0) * torch.log1p(-(x**self.a))
        return self.a.log() + self.b.log() + (self.a - 1.0) * x.log() + inside - math.log(2.0)


class TwoPeaks(Head):
    """Per entry the better of two ways: a mixture of two squashed Gaussians, which takes two numbers per draw."""

    def __init__(self, one: TanhGaussian, other: TanhGaussian, odds: Tensor) -> None:
        self.one, self.other, self.odds = one, other, odds

    @classmethod
    def outputs(cls, entries: int) -> int:
        return 5 * entries

    @classmethod
    def noises(cls, entries: int) -> int:
        return 2 * entries

    @classmethod
    def of(cls, raw: Tensor, entries: int) -> Self:
        one, other, odds = raw.split([2 * entries, 2 * entries, entries], dim=1)
        return cls(TanhGaussian.of(one, entries), TanhGaussian.of(other, entries), odds)

    def mode(self) -> Tensor:
        return torch.where(self.odds > 0.0, self.one.mode(), self.other.mode())

    def sample(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        noise, which = noise.chunk(2, dim=1)
        first = torch.special.ndtr(which) < torch.sigmoid(self.odds)
        raw = torch.where(first, *(way.mean + way.log_std.exp() * noise for way in (self.one, self.other)))
        return torch.tanh(raw), self._density(raw)

    def log_prob(self, action: Tensor) -> Tensor:
        return self._density(torch.atanh(action.clamp(-0.99, 0.99)))

    def _density(self, raw: Tensor) -> Tensor:
        one, other = (
            functional.logsigmoid(odds) + tanh_gaussian_log_prob((raw - way.mean) / way.log_std.exp(), way.log_std, raw)
            for odds, way in ((self.odds, self.one), (-self.odds, self.other))
        )
        return torch.logaddexp(one, other)

    def imitation_error(self, action: Tensor) -> Tensor:
        """The likelihood: between two ways is none."""
        return -self.log_prob(action)


class Twin(TanhGaussian):
    """Needs as many numbers as its parent."""


class Branching(Kumaraswamy):
    """What no head may do."""

    def mode(self) -> Tensor:
        return super().mode() if bool((self.a > 0.0).all()) else torch.zeros_like(self.a)


class WrongDensity(Kumaraswamy):
    """Its density is that of something else."""

    def log_prob(self, action: Tensor) -> Tensor:
        return super().log_prob(action) + 0.1


class CutOff(TanhGaussian):
    """A sample near the edge has the density that it has a little before it: entropy for nothing."""

    def sample(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        action, _ = super().sample(noise)
        return action, self.log_prob(action)


class Unfinished(Head):
    @classmethod
    def outputs(cls, entries: int) -> int:
        return entries
