"""How networks look at a state vector in native units: differences of its parts beside it, and all of it normalised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from robot_rlhf.errors import ConfigError
from robot_rlhf.parts import find_part

SMALLEST_SPREAD = 1e-4
"""Standard deviation below which an entry counts as one that does not vary, in its own units."""
LARGEST = 10.0
"""Standard deviations beyond which an entry is clipped: a thing that fell off the table says no more than that."""


@dataclass(frozen=True)
class Difference:
    """One part of the state vector minus another."""

    of: int
    """First entry of the part that is looked at."""
    to: int
    """First entry of the part that is subtracted."""
    width: int
    """Entries of both."""


def find_differences(pairs: tuple[tuple[str, str], ...], spans: Mapping[str, slice]) -> tuple[Difference, ...]:
    """Named pairs as places in the state vector.

    Args:
        pairs: (a, b) for a - b, as find_part reads them.
        spans: where each name lies.

    Raises:
        UnknownNameError: no such name.
        ConfigError: entries that it does not have, or two parts of different lengths.
    """
    found: list[Difference] = []
    for a, b in pairs:
        first, second = find_part(a, spans), find_part(b, spans)
        widths = first.stop - first.start, second.stop - second.start
        if widths[0] != widths[1]:
            raise ConfigError(f"relative {a!r} to {b!r}: {widths[0]} entries to {widths[1]}, allowed: equally many")
        found.append(Difference(first.start, second.start, widths[0]))
    return tuple(found)


class VectorView(nn.Module):
    """State (B, D) to (B, D + widths): differences appended, then everything normalised by what was noted.

    Statistics are buffers: they are saved, sent and loaded with the weights, so that a policy acts as its learner
    means it to. Without differences and normalising it is the identity, and has no tensors.
    """

    def __init__(self, size: int, relative: tuple[Difference, ...] = (), *, normalised: bool = False) -> None:
        super().__init__()
        self.relative = relative
        self.normalised = normalised
        self.size = size + sum(difference.width for difference in relative)
        if normalised:
            self.register_buffer("count", torch.zeros(()))
            self.register_buffer("mean", torch.zeros(self.size))
            self.register_buffer("variance", torch.ones(self.size))

    def forward(self, state: Tensor) -> Tensor:
        whole = self.joined(state)
        if not self.normalised:
            return whole
        _, mean, variance = self._statistics()
        return ((whole - mean) / self._spread(variance)).clamp(-LARGEST, LARGEST)

    def restored(self, seen: Tensor) -> Tensor:
        """The inverse of `forward` as far as nothing was clipped: the joined vector. Shape (B, D + widths)."""
        if not self.normalised:
            return seen
        _, mean, variance = self._statistics()
        return seen * self._spread(variance) + mean

    def joined(self, state: Tensor) -> Tensor:
        """The state and its differences, in native units."""
        if not self.relative:
            return state
        away = [state[:, d.of : d.of + d.width] - state[:, d.to : d.to + d.width] for d in self.relative]
        return torch.cat([state, *away], dim=1)

    @torch.no_grad()
    def note(self, state: Tensor) -> None:
        """Let a batch enter mean and variance, which are those of all that was noted (Chan et al. 1979, eq. 2.1).

        Args:
            state: Shape (B, D).
        """
        if not self.normalised:
            return
        count, mean, variance = self._statistics()
        whole = self.joined(state)
        several = float(len(whole))
        total = count + several
        away = whole.mean(dim=0) - mean
        squares = (
            variance * count + whole.var(dim=0, unbiased=False) * several + away.square() * (count * several / total)
        )
        variance.copy_(squares / total)
        mean.add_(away * (several / total))
        count.copy_(total)

    def _statistics(self) -> tuple[Tensor, Tensor, Tensor]:
        return cast("tuple[Tensor, Tensor, Tensor]", (self.count, self.mean, self.variance))

    @staticmethod
    def _spread(variance: Tensor) -> Tensor:
        return variance.sqrt().clamp(min=SMALLEST_SPREAD)
