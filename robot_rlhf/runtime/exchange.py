"""Weights and news between the learner's process and the robot's: two small files, replaced atomically.

Steps go the other way through the journal, which the learner follows. So neither side ever waits for the other, a
learner that dies loses nothing, and no socket is opened.
"""

from __future__ import annotations

import json
import logging
import math
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from robot_rlhf.background import Background
from robot_rlhf.datatypes import Action, Assignment, Observation, WeightSnapshot
from robot_rlhf.errors import CheckpointError, LinkError
from robot_rlhf.learner.checkpoint import read_snapshot, write_snapshot
from robot_rlhf.ports import TrainablePolicy

log = logging.getLogger(__name__)

WEIGHTS = "weights.safetensors"
"""The newest weights, which practise."""
AVERAGED = "averaged.safetensors"
"""The weights to evaluate and deploy."""
NEWS = "learner.json"


@dataclass(frozen=True)
class LearnerNews:
    """What the learner says of itself."""

    pid: int
    stamp: float
    """Monotonic seconds of this machine when it was written."""
    steps: int
    updates: int
    version: int
    """Version of the newest published weights; -1 before the first."""
    state: str
    """'learning', or why not."""
    latency_ms: float
    """Median time from a step's end to its arrival in replay, over the last steps."""
    latency_p99_ms: float
    over_estimation: float
    alarm: bool
    q: float | None = None
    """Mean Q of the last compared episode; None before the first."""
    value_return: float | None = None
    """Mean return of the same episode."""
    recorded: int = 0
    """Practice steps read from the journal, those included that a label deleted, from which nothing is learned."""
    learned: bool = False
    """Whether the policy is more than its first random weights."""
    uptake: Mapping[str, float] = field(default_factory=dict[str, float])
    """How much of each of the newest sentences the policy has taken up, 1 for all of it; the newest last."""


def write_news(folder: Path, news: LearnerNews) -> None:
    """Replace the learner's news."""
    scratch = folder / (NEWS + ".part")
    try:
        scratch.write_text(json.dumps(asdict(news)), encoding="utf-8")
        scratch.replace(folder / NEWS)
    except OSError as error:
        raise LinkError(f"{folder / NEWS}: cannot be written ({error.strerror})") from error


def read_news(folder: Path) -> LearnerNews | None:
    """The newest news; None before the first."""
    try:
        news = LearnerNews(**json.loads((folder / NEWS).read_text(encoding="utf-8")))
        for name in ("pid", "stamp", "steps", "updates", "version", "latency_ms", "over_estimation", "recorded"):
            if not math.isfinite(getattr(news, name)):
                raise ValueError(f"{name} is {getattr(news, name)}")
        if not all(math.isfinite(share) for share in dict(news.uptake).values()):
            raise ValueError(f"uptake is {news.uptake}")
    except FileNotFoundError:
        return None
    except (TypeError, ValueError, OSError) as error:
        raise LinkError(f"{folder / NEWS}: not what a learner writes ({error})") from error
    return news


def said_once(trouble: str, before: str) -> str:
    """Log what is wrong with the news, unless it was the same at the look before; returns it."""
    if trouble != before:
        log.warning("%s", trouble)
    return trouble


def forget(folder: Path) -> None:
    """Take away what an earlier learner of the run left: it would be taken for what the present one says."""
    for name in (NEWS, WEIGHTS, AVERAGED):
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise LinkError(f"{folder / name}: cannot be taken away ({error.strerror})") from error


def publish(folder: Path, newest: WeightSnapshot, averaged: WeightSnapshot, facts: Mapping[str, object]) -> None:
    """Replace the weights."""
    write_snapshot(folder / AVERAGED, averaged, facts)
    write_snapshot(folder / WEIGHTS, newest, facts)


class WeightsInbox:
    """Watches for new weights in a thread of its own, so that the control loop never reads a file."""

    def __init__(self, folder: Path, *, period: float = 0.05) -> None:
        self._path = folder / WEIGHTS
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._newest: WeightSnapshot | None = None
        self._seen: tuple[int, int] | None = None
        self._background = Background("weights-inbox", self._look, period)
        self.error = ""
        """Why the last file could not be used; empty when it could."""

    def __enter__(self) -> WeightsInbox:
        self._background.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._background.close()

    @property
    def trouble(self) -> str:
        """Why newer weights do not arrive, in words; empty while they do."""
        return self._background.failure or self.error

    @property
    def dead(self) -> bool:
        """Nobody watches any more: no weights will ever arrive."""
        return bool(self._background.failure)

    def follow(self, path: Path) -> None:
        """Watch another file from now on. Its weights are read at once: call it between episodes."""
        with self._looking:
            if path != self._path:
                self._path, self._seen = path, None
                with self._lock:
                    self._newest = None
        self._look()

    def take(self) -> WeightSnapshot | None:
        """Weights that were not taken yet; at most once each."""
        with self._lock:
            newest, self._newest = self._newest, None
            return newest

    def _look(self) -> bool:
        with self._looking:
            return self._look_alone()

    def _look_alone(self) -> bool:
        try:
            stat = os.stat(self._path)
        except OSError:
            with self._lock:
                self._newest = self._seen = None  # a new learner took its predecessor's away
            return True
        mark = (stat.st_mtime_ns, stat.st_ino)
        if mark == self._seen:
            return True
        try:
            snapshot, _ = read_snapshot(self._path)
        except CheckpointError as error:
            if not self.error:
                log.warning("weights of the learner not taken over: %s", error)
            self.error = str(error)
            return True
        self._seen, self.error = mark, ""
        with self._lock:
            self._newest = snapshot
        return True


class FreshPolicy:
    """A Policy that swaps in the newest weights between steps."""

    def __init__(self, policy: TrainablePolicy, inbox: WeightsInbox) -> None:
        self._policy = policy
        self._inbox = inbox

    @property
    def version(self) -> int:
        return self._policy.version

    def reset(self) -> None:
        self._policy.reset()

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        newest = self._inbox.take()
        if newest is not None:
            self._policy.load(newest)
        return self._policy.act(observation, asked, rng)
