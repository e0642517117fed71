"""New rewards for all rows, chunk by chunk, while sampling and appending go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from robot_rlhf.datatypes import Batch
from robot_rlhf.errors import ConfigError, InvalidValueError, ShapeError
from robot_rlhf.replay.blocks import POLICY
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.mixing import EVERYTHING, WATCHED, Group

Score = Callable[[Batch], Tensor]
"""One-step transitions, with pictures and rewards as they were recorded, to one reward each (B,)."""


class Relabelling:
    """One pass over the rows of a group whose reward has another version, oldest first.

    Rows that arrive meanwhile with another version are covered, too; those that are overwritten or discarded before
    their score is there are skipped, and so are rows that the block was not shown yet. The buffer is locked while rows
    are read and written, not while they are scored.
    """

    def __init__(
        self,
        buffer: ReplayBuffer,
        score: Score,
        version: int,
        *,
        chunk: int = 4096,
        group: Group = EVERYTHING,
        block: str = POLICY,
    ) -> None:
        """Begin; `advance` does it.

        Args:
            score: one-step transitions to a reward each; their rewards are those recorded, whatever has replaced them
                since, and their pictures are uint8, as they were seen.
            version: of the rewards to come.
            chunk: transitions that are scored at once, and lie in memory together.
            group: rows that get a new reward; with WATCHED ones the batches' actions mean nothing.
            block: whose eyes see what is scored.
        """
        if chunk < 1:
            raise ConfigError(f"replay: relabelling in chunks of {chunk}, allowed: at least 1")
        self.version = version
        self.changed = 0
        """Rows that got a new reward so far."""
        self._buffer = buffer
        self._score = score
        self._chunk = chunk
        self._group = group
        self._block = block

    @property
    def remaining(self) -> int:
        """Rows held now, and shown, that still have a reward of another version."""
        return len(self._buffer.outdated(self.version, self._group, self._block))

    def advance(self) -> bool:
        """Score one chunk. Returns whether rows remain; when more arrive after the last, advance again.

        Raises:
            ShapeError: the score has not one number per transition.
            InvalidValueError: a score is NaN or infinite; names its row. The chunk keeps its old rewards.
        """
        buffer = self._buffer
        with buffer.lock:
            index = torch.as_tensor(buffer.outdated(self.version, self._group, self._block)[: self._chunk])
            if not len(index):
                return False
            recorded = torch.as_tensor(buffer.columns(index)["recorded_reward"]).to(buffer.device)
            acted = self._group.isdisjoint(WATCHED)
            batch = buffer.gather(index, one_step=True, block=self._block, actions=acted)
            batch = replace(batch, reward=recorded)
        values = self._score(batch).detach()
        if values.shape != index.shape:
            raise ShapeError("replay relabelling score", tuple(values.shape), (len(index),))
        values = values.cpu()
        wrong = np.flatnonzero(~torch.isfinite(values).numpy())
        if len(wrong):
            row = int(index[wrong[0]])
            raise InvalidValueError(
                f"replay relabelling to version {self.version}, row {row}", float(values[wrong[0]]), "a finite score"
            )
        with buffer.lock:
            still = torch.as_tensor(buffer.can_be_drawn(index))
            self.changed += buffer.update_rewards(index[still], values[still], version=self.version)
        return self.remaining > 0
