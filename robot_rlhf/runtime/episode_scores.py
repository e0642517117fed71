"""Scores the pictures of an episode in one batch when it is over, and keeps the scores in replay beside its rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from robot_rlhf.datatypes import EpisodeEnd, EpisodeMeta, Event, Observation, Step
from robot_rlhf.errors import RenderError
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.runtime.gate_feed import GateFeed

Heartbeat = Callable[[], None]
ScorePictures = Callable[[NDArray[np.uint8], Heartbeat], NDArray[np.float32]]
"""Pictures (B, H, W, 3), and what to call now and then, to scores (B, E)."""
Row = tuple[int, Observation]
"""Number of a row of replay, and what was observed in it."""

AT_ONCE = 1_000
"""Pictures that wait at most: more are scored without waiting to be asked, so that memory stays bounded."""


class EpisodeScores:
    """A Tutor in the place of a feed, which it tells everything: shows a block of replay its rows' scores.

    Observations are kept until an episode, or a part of one, is over; `work` then scores their pictures together.
    """

    def __init__(self, feed: ReplayFeed | GateFeed, block: str, score: ScorePictures, camera: str) -> None:
        self.buffer = feed.buffer
        self._feed = feed
        self._block = block
        self._score = score
        self._camera = camera
        self._open: list[Row] = []
        self._over: deque[list[Row]] = deque()
        self._working = False
        self.scored = 0
        """Pictures so far."""

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._close()  # one that never ended: a killed run
        written = self.buffer.written
        self._feed.on_episode_start(meta, observation)
        self._note(written, observation)

    def on_step(self, step: Step) -> None:
        written = self.buffer.written
        self._feed.on_step(step)
        self._note(written, step.observation, step.next_observation)

    def on_event(self, event: Event) -> None:
        self._feed.on_event(event)

    def on_episode_end(self, end: EpisodeEnd) -> None:
        self._feed.on_episode_end(end)
        self._close()

    def _note(self, first: int, *seen: Observation) -> None:
        """What is in the rows that were written just now, from number first on: the last of what was seen."""
        several = self.buffer.written - first
        if several:
            self._open += zip(range(first, self.buffer.written), seen[-several:], strict=True)

    def work(self, heartbeat: Heartbeat = lambda: None) -> None:
        """Score what is over. More may be told meanwhile, by the heartbeat too.

        Raises:
            RenderError: an observation without a picture of the camera.
        """
        if self._working:  # told from within by the heartbeat: what is over keeps its turn
            return
        self._working = True
        try:
            while self._over:
                numbers, seen = zip(*self._over.popleft(), strict=True)
                scores = self._score(np.stack([self._picture(o) for o in seen]), heartbeat)
                self.buffer.fill(self._block, torch.tensor(numbers), {"state": scores})
                self.scored += len(seen)
        finally:
            self._working = False

    def finish(self) -> None:
        """Nothing more comes: score also what has not ended."""
        self._close()
        self.work()

    def _close(self) -> None:
        if self._open:
            self._over.append(self._open)
        self._open = []
        if sum(map(len, self._over)) > AT_ONCE:
            self.work()

    def _picture(self, observation: Observation) -> NDArray[np.uint8]:
        if self._camera not in observation.images:
            has = ", ".join(sorted(observation.images)) or "none"
            raise RenderError(
                f"the observation at {observation.stamp:.2f} s has pictures of {has}, not of {self._camera!r}, "
                "which are to be scored"
            )
        return observation.images[self._camera]
