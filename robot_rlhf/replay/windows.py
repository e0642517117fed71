"""Sequences of consecutive steps, for models that look at more than one: of one episode, and padded with zeros."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from robot_rlhf.datatypes import Source
from robot_rlhf.errors import ConfigError
from robot_rlhf.replay.blocks import Block
from robot_rlhf.replay.ledger import Ledger
from robot_rlhf.replay.rows import Rows


@dataclass(frozen=True, eq=False)
class Windows:
    """N sequences of up to L steps. What lies behind the end of an episode, or was discarded, is 0."""

    observation: Mapping[str, Tensor]
    """The L observations that steps leave, and the one after the last step: 'state' (N, L + 1, D) float32 and cameras
    by name (N, L + 1, H, W, 3) uint8."""
    action: Tensor
    """Executed actions; 0 where nobody knows them. Shape (N, L, m)."""
    reward: Tensor
    """One-step rewards. Shape (N, L)."""
    terminated: Tensor
    """True where the task ended by itself. Shape (N, L)."""
    source: Tensor
    """A Source per step, int64. Shape (N, L)."""
    context: Tensor
    """What was wanted. Shape (N, L, C)."""
    mask: Tensor
    """True for steps that there are: of each sequence the first ones. Shape (N, L)."""
    acted: Tensor
    """True for those of them whose action is known. Shape (N, L)."""


def collect(rows: Rows, ledger: Ledger, block: Block | None, index: Tensor, length: int) -> Windows:
    """The steps from these rows on, at most `length` of them, that follow each other in one episode.

    Args:
        block: whose eyes see the observations, which end the sequence where it was shown none; None for the policy's.
        index: numbers of rows that are held, on the host. Shape (N,).
    """
    if length < 1:
        raise ConfigError(f"replay: windows of {length} steps, allowed: at least 1")
    numbers = index.numpy()[:, None] + np.arange(length + 1)  # (N, L + 1)
    slots = numbers % ledger.capacity
    steps = ledger.can_be_drawn(numbers[:, :-1])
    if block is not None:
        steps &= block.filled[slots[:, :-1]] & block.filled[slots[:, 1:]]
    here = ledger.columns["episode"][slots[:, :-1]]
    mask = np.logical_and.accumulate(steps & (here == here[:, :1]), axis=1)  # (N, L)
    seen = np.concatenate([np.ones_like(mask[:, :1]), mask], axis=1)

    device = rows.device
    places = torch.as_tensor(slots).to(device).view(-1)
    kept, looked = torch.as_tensor(mask).to(device), torch.as_tensor(seen).to(device)
    floats = rows.floats.index_select(0, places)
    observation = rows.observation(floats, places, None) if block is None else block.observation(places)
    tail = floats.view(len(index), length + 1, floats.shape[1])[:, :-1]
    tail = torch.where(kept[..., None], tail, tail.new_zeros(()))
    source = tail[..., rows.source].long()
    return Windows(
        observation={name: _padded(value, looked) for name, value in observation.items()},
        action=tail[..., rows.state_size : rows.reward],
        reward=tail[..., rows.reward],
        terminated=kept & (tail[..., rows.goes_on] == 0.0),
        source=source,
        context=tail[..., rows.context],
        mask=kept,
        acted=kept & (source != Source.WATCHED),
    )


def _padded(value: Tensor, looked: Tensor) -> Tensor:
    """(N * (L + 1), ...) to (N, L + 1, ...), with zeros where there is nothing to look at."""
    several = value.view(*looked.shape, *value.shape[1:])
    return torch.where(looked.view(*looked.shape, *[1] * (value.ndim - 1)), several, several.new_zeros(()))
