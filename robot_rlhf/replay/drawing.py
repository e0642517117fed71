"""Which rows a batch holds: by the mix of sources, by weight, by label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from robot_rlhf.datatypes import Source
from robot_rlhf.errors import ConfigError, ReplayError
from robot_rlhf.replay.ledger import UNLABELLED, Ledger
from robot_rlhf.replay.members import Members
from robot_rlhf.replay.mixing import Group, Mix, describe, shares
from robot_rlhf.replay.rows import Rows

Draw = Literal["uniform", "weight"]
"""Each transition of a group is equally likely; or in proportion to its weight."""


class Drawing:
    """Draws row numbers; see ReplayBuffer for what the arguments mean."""

    def __init__(self, ledger: Ledger, rows: Rows, generator: torch.Generator) -> None:
        self._ledger = ledger
        self._rows = rows
        self._generator = generator

    def mixed(self, k: int, batch_size: int, mix: Mix, draw: Draw) -> Tensor:
        """Row numbers, int64, on the device. Shape (k, batch_size).

        Raises:
            ConfigError: there is no such way to draw.
            ReplayError: all groups are empty; or drawing by weight, all weights of a group are 0.
        """
        if draw not in ("uniform", "weight"):
            raise ConfigError(f"replay: draw {draw!r}, allowed: 'uniform', 'weight'")
        groups = [self._ledger.group(group) for group in mix]
        counts = shares(batch_size, list(mix.values()), [len(members) for members in groups])
        if k < 1 or batch_size < 1 or not any(counts):
            held = {source: int(count) for source, count in zip(Source, self._ledger.counts, strict=True)}
            raise ReplayError(
                f"replay: cannot sample {k} x {batch_size} transitions of {describe(mix)}; held: "
                + ", ".join(f"{source.name} {count}" for source, count in held.items())
            )
        drawn = [self._group(members, (k, count), draw) for members, count in zip(groups, counts, strict=True) if count]
        return torch.cat(drawn, dim=1)

    def _group(self, members: Members, shape: tuple[int, int], draw: Draw) -> Tensor:
        if draw == "uniform":
            return members.draw(shape, self._generator)
        numbers = members.numbers()
        weights = self._rows.floats[numbers % self._ledger.capacity, self._rows.weight]
        return numbers[draw_by_weight(weights, shape, self._generator)]

    def labelled(self, batch_size: int, fractions: Mapping[int, float] | None, group: Group) -> tuple[Tensor, Tensor]:
        """Row numbers, and their labels, both int64 (batch_size,), on the device.

        Raises:
            ConfigError: fractions are negative or do not sum to 1.
            ReplayError: no row has a label that is wanted.
        """
        numbers = self._ledger.numbers(group)
        labels = self._ledger.columns["label"][numbers % self._ledger.capacity]
        if fractions is None:
            known = np.unique(labels[labels != UNLABELLED]).tolist()
            fractions = {label: 1 / len(known) for label in known}
        elif not np.isclose(sum(fractions.values()), 1.0) or min(fractions.values()) < 0:
            raise ConfigError(f"replay: fractions of labels {dict(fractions)} must be in [0, 1] and sum to 1")
        members = [numbers[labels == label] for label in fractions]
        counts = shares(batch_size, list(fractions.values()), [len(rows) for rows in members])
        if not any(counts):
            raise ReplayError(
                f"replay: cannot sample {batch_size} transitions with labels {sorted(fractions)}; "
                f"of {len(numbers)} rows {int((labels != UNLABELLED).sum())} have one, see update_labels()"
            )
        device = self._generator.device
        drawn: list[Tensor] = []
        for rows, count in zip(members, counts, strict=True):
            place = torch.randint(max(1, len(rows)), (count,), generator=self._generator, device=device)
            drawn.append(torch.as_tensor(rows).to(device)[place])
        return torch.cat(drawn), torch.as_tensor(np.repeat(np.array(list(fractions)), counts)).to(device)


def draw_by_weight(weights: Tensor, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Places drawn with replacement, each with probability weight / sum of weights, by inverting the sums.

    Args:
        weights: not negative. Shape (N,).
        shape: of the result.
        generator: on the weights' device.

    Returns:
        int64, in [0, N); never one whose weight is 0.

    Raises:
        ReplayError: a weight is negative, or all are 0.
    """
    sums = weights.double().cumsum(0)
    if not len(weights) or bool((weights < 0).any()) or not bool(sums[-1] > 0):
        low, high = (float(weights.min()), float(weights.max())) if len(weights) else (0.0, 0.0)
        raise ReplayError(
            f"replay: cannot draw by weight, the {len(weights)} weights are from {low:g} to {high:g}; "
            "allowed: none below 0 and at least one above"
        )
    # A product that is rounded up to the total would point behind the last place.
    below = torch.nextafter(sums[-1], sums.new_zeros(()))
    drawn = torch.rand(shape, generator=generator, device=weights.device, dtype=torch.float64) * sums[-1]
    return torch.searchsorted(sums, drawn.minimum(below), right=True)
