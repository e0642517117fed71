"""Scores the pictures of an episode in one batch when it is over, and keeps the scores in replay in their place."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import EpisodeEnd, EpisodeKind, EpisodeMeta, Event, Observation, Step
from robot_rlhf.errors import RenderError
from robot_rlhf.journal.decoder import EpisodeStarted, Record
from robot_rlhf.journal.reader import tell
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed

Heartbeat = Callable[[], None]
ScorePictures = Callable[[NDArray[np.uint8], Heartbeat], NDArray[np.float32]]
"""Pictures (B, H, W, 3), and what to call now and then, to scores (B, E)."""

AT_ONCE = 1_000
"""Pictures that wait at most: more are scored without waiting to be asked, so that memory stays bounded."""


class EpisodeScores:
    """A Subscriber: fills a replay of scores with the rows that the policy's has, an episode later.

    What happens is kept until an episode, or a part of one, is over; `work` then scores its pictures together and
    passes everything on in the order in which it came. So rows have the same numbers in both.
    """

    def __init__(self, buffer: ReplayBuffer, score: ScorePictures, camera: str) -> None:
        self.buffer = buffer
        self._score = score
        self._camera = camera
        self._feed = ReplayFeed(buffer, self._row_of)
        self._open: list[Record] = []
        self._over: deque[list[Record]] = deque()
        self._found: dict[int, NDArray[np.float32]] = {}
        """Scores of the episode that is passed on, by the identity of its observations."""
        self._working = False

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        if any(isinstance(record, EpisodeStarted) for record in self._open):  # it never ended: a killed run
            self._close()
        self._open.append(EpisodeStarted(meta, observation))

    def on_step(self, step: Step) -> None:
        self._open.append(step)

    def on_event(self, event: Event) -> None:
        self._open.append(event)

    def on_episode_end(self, end: EpisodeEnd) -> None:
        self._open.append(end)
        self._close()

    def work(self, heartbeat: Heartbeat = lambda: None) -> int:
        """Score what is over; returns the number of pictures. More may be told meanwhile, by the heartbeat too.

        Raises:
            RenderError: an observation without a picture of the camera.
        """
        if self._working:  # told from within by the heartbeat: what is over keeps its turn
            return 0
        self._working = True
        count = 0
        try:
            while self._over:
                records = self._over.popleft()
                count += self._look_at(records, heartbeat)
                for record in records:
                    tell(record, self._feed)
        finally:
            self._found = {}
            self._working = False
        return count

    def finish(self) -> None:
        """Nothing more comes: score also what has not ended."""
        self._close()
        self.work()

    def _close(self) -> None:
        self._over.append(self._open)
        self._open = []
        if sum(map(len, self._over)) > AT_ONCE:
            self.work()

    def _look_at(self, records: list[Record], heartbeat: Heartbeat) -> int:
        started = [r for r in records if isinstance(r, EpisodeStarted)]
        if any(r.meta.kind is EpisodeKind.EVALUATION for r in started):  # not kept in replay
            return 0
        seen = {id(r.observation): r.observation for r in started}
        for step in (r for r in records if isinstance(r, Step)):
            seen |= {id(step.observation): step.observation, id(step.next_observation): step.next_observation}
        if not seen:
            return 0
        scores = self._score(np.stack([self._picture(o) for o in seen.values()]), heartbeat)
        self._found = dict(zip(seen, scores, strict=True))
        return len(seen)

    def _picture(self, observation: Observation) -> NDArray[np.uint8]:
        if self._camera not in observation.images:
            has = ", ".join(sorted(observation.images)) or "none"
            raise RenderError(
                f"the observation at {observation.stamp:.2f} s has pictures of {has}, not of {self._camera!r}, "
                "which are to be scored"
            )
        return observation.images[self._camera]

    def _row_of(self, observation: Observation) -> Mapping[str, NDArray[Any]]:
        return {"state": self._found[id(observation)]}
