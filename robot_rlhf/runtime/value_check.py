"""Compares what the critic promised with what episodes really returned."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Array, EpisodeEnd, EpisodeKind, EpisodeMeta, Event, Observation, Outcome, Step
from robot_rlhf.journal.helped import FINISHED


class EpisodeValues(NamedTuple):
    """What the critic promised at each step of one episode, and what really followed. T steps."""

    episode: str
    """Id of the episode."""
    q: NDArray[np.float32]
    """Q(s, a) of the executed action, as the critic stood when the episode had ended. Shape (T,)."""
    returns: NDArray[np.float64]
    """Discounted return from each step on. Shape (T,)."""


class ValueCheck:
    """A Subscriber: mean of Q(s, a) minus the discounted return that followed, over finished practice episodes.

    What an episode cut by the time limit would still have returned is not known: the critic's own value of its last
    step stands for it. HIL-SERL warns that long corrections that end in success make the value function
    over-estimate; this measures it.
    """

    def __init__(
        self,
        q_values: Callable[[list[Step], Array], NDArray[np.float32]],
        discount: float,
        *,
        alarm_above: float = 0.3,
        episodes: int = 10,
    ) -> None:
        self._q_values = q_values
        self._discount = discount
        self._alarm_above = alarm_above
        self._gaps: deque[float] = deque(maxlen=episodes)
        self._steps: list[Step] = []
        self._active = False
        self.last: tuple[float, float] | None = None
        """Mean Q and mean return of the last episode."""
        self.last_values: EpisodeValues | None = None
        """The same step by step."""

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._active = meta.kind is EpisodeKind.PRACTICE
        self._steps = []

    def on_step(self, step: Step) -> None:
        if self._active:
            self._steps.append(step)

    def on_event(self, event: Event) -> None:
        """Nothing to compare."""

    def on_episode_end(self, end: EpisodeEnd) -> None:
        if not self._steps or end.outcome not in FINISHED:
            return
        actions = [s.executed.values for s in self._steps if s.executed is not None]
        if len(actions) < len(self._steps):
            return
        q = self._q_values(self._steps, np.stack(actions))
        rewards = np.array([s.reward for s in self._steps])
        if end.outcome is Outcome.TIME_LIMIT:
            rewards[-1] = q[-1]
        returns = discounted_returns(rewards, self._discount)
        self.last = float(q.mean()), float(returns.mean())
        self.last_values = EpisodeValues(end.id, q, returns)
        self._gaps.append(self.last[0] - self.last[1])

    @property
    def over_estimation(self) -> float:
        """Mean gap over the last episodes; 0 before the first."""
        return sum(self._gaps) / len(self._gaps) if self._gaps else 0.0

    @property
    def alarm(self) -> bool:
        """True when the critic promises clearly more than episodes return."""
        return len(self._gaps) == self._gaps.maxlen and self.over_estimation > self._alarm_above


def discounted_returns(rewards: NDArray[np.floating], discount: float) -> NDArray[np.float64]:
    """G_t = r_t + discount * G_{t+1}. Shape (T,) -> (T,)."""
    returns = np.zeros(len(rewards))
    total = 0.0
    for t in range(len(rewards) - 1, -1, -1):
        total = float(rewards[t]) + discount * total
        returns[t] = total
    return returns
