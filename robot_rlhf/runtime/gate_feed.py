"""Notes for every row that enters replay which of the rules it breaks that no learned reward outweighs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from robot_rlhf.datatypes import EpisodeEnd, EpisodeMeta, Event, Observation, Step
from robot_rlhf.facts import columns_of
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.rewards.gates import KEPT, Gates


class GateFeed:
    """A Tutor in the place of a ReplayFeed, which it tells everything."""

    def __init__(self, feed: ReplayFeed, gates: Gates) -> None:
        self.gates = gates
        self._feed = feed
        self._broken = np.full(feed.buffer.capacity_rows, KEPT, np.int8)
        """Number of the first broken rule of the row in each slot."""
        self._before: Observation | None = None
        """The one before the step's own."""
        self._newest: Observation | None = None

    @property
    def buffer(self) -> ReplayBuffer:
        return self._feed.buffer

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._before, self._newest = None, observation
        self._feed.on_episode_start(meta, observation)

    def on_step(self, step: Step) -> None:
        if self._newest is None or self._newest.stamp != step.observation.stamp:  # after a jump
            self._before = None
        written = self.buffer.written
        self._feed.on_step(step)
        if self.buffer.written > written:
            told = [o for o in (self._before, step.observation, step.next_observation) if o is not None]
            row = self.buffer.written - 2
            self._broken[row % len(self._broken)] = self.gates.broken(columns_of(told))[-1]
        self._before, self._newest = step.observation, step.next_observation

    def on_event(self, event: Event) -> None:
        self._feed.on_event(event)

    def on_episode_end(self, end: EpisodeEnd) -> None:
        self._feed.on_episode_end(end)

    def work(self, heartbeat: Callable[[], None] = lambda: None) -> None:
        """Rows are written, and looked at, as steps come."""

    def gate(self, index: Tensor, reward: Tensor) -> Tensor:
        """The rewards that remain of rows. Args: index: row numbers (B,); reward: theirs (B,)."""
        broken = self._broken[index.cpu().numpy() % len(self._broken)]
        return self.gates.applied(reward, torch.as_tensor(broken, device=reward.device))
