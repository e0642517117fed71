"""From row numbers to a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from robot_rlhf.datatypes import Batch
from robot_rlhf.replay.blocks import Block
from robot_rlhf.replay.rows import Rows


class Gather:
    """Collects transitions with their n-step rewards; a row's successor is the next row by construction."""

    def __init__(self, rows: Rows, discount: float, n_step: int) -> None:
        self._rows = rows
        self._discount = discount
        self._ahead = torch.arange(n_step, device=rows.device)
        self._powers = discount ** torch.arange(n_step + 1, dtype=torch.float32, device=rows.device)
        self._n_step = n_step

    def __call__(self, index: Tensor, generator: torch.Generator | None = None, block: Block | None = None) -> Batch:
        """The transitions that leave the rows with these numbers. No step waits for the device.

        Args:
            index: int64, on the device. Shape (N,).
            generator: draws the shifts of pictures as configured; None gives the pictures as they are stored.
            block: whose eyes see the observations; None for the policy's.
        """
        rows, size = self._rows, len(index)
        several = self._look_ahead(index) if self._n_step > 1 else None
        numbers = torch.cat((index, index + (1 if several is None else several[2])))  # (2N,)
        slots = numbers.remainder(len(rows.floats)) if rows.past else numbers.remainder_(len(rows.floats))
        floats = rows.floats.index_select(0, slots)
        observation = rows.observation(floats, slots, generator) if block is None else block.observation(slots)
        if rows.past and block is None:
            observation["past"] = rows.states_before(floats, numbers)
        here = floats[:size]
        if several is None:
            summed, discount = here[:, rows.reward], here[:, rows.goes_on] * self._discount
        else:
            summed, discount, _ = several
        wanted = {"context": here[:, rows.context]} if rows.context.stop > rows.context.start else {}
        return Batch(
            observation={name: value[:size] for name, value in observation.items()} | wanted,
            action=here[:, rows.state_size : rows.reward],
            reward=summed,
            discount=discount,
            next_observation={name: value[size:] for name, value in observation.items()} | wanted,
            source=here[:, rows.source].long(),
            weight=here[:, rows.weight],
            index=index,
            authority=None if rows.authority is None else rows.authority.index_select(0, slots[:size]),
        )

    @property
    def has_shares(self) -> bool:
        """Batches say whose share of each entry of the action was whose: there was a step that people shared."""
        return self._rows.authority is not None

    def _look_ahead(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """n-step reward, discount, and steps really taken: up to n, to the episode's end, or to the newest row.

        Source: Sutton & Barto, Reinforcement Learning, 2nd edition, equation 7.1.
        """
        rows = self._rows
        window = (index[:, None] + self._ahead).remainder_(len(rows.floats))  # (N, n)
        reward = rows.floats[window, rows.reward]
        # What lies behind a row without a transition belongs to others; nothing of it may enter.
        alive = rows.floats[window, rows.leaves].cumprod(dim=1)
        summed = (reward * alive * self._powers[:-1]).sum(dim=1)
        taken = alive.sum(dim=1).long()
        goes_on = torch.where(alive > 0, rows.floats[window, rows.goes_on], alive.new_ones(())).amin(dim=1)
        return summed, self._powers[taken] * goes_on, taken


def part(batch: Batch, start: int, length: int) -> Batch:
    """A span of a batch, as views."""
    span = slice(start, start + length)
    return Batch(
        observation={name: value[span] for name, value in batch.observation.items()},
        action=batch.action[span],
        reward=batch.reward[span],
        discount=batch.discount[span],
        next_observation={name: value[span] for name, value in batch.next_observation.items()},
        source=batch.source[span],
        weight=batch.weight[span],
        index=batch.index[span],
        authority=None if batch.authority is None else batch.authority[span],
    )
