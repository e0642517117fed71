"""Weights and news between the learner's process and the robot's: two small files, replaced atomically.

Steps go the other way through the journal, which the learner follows. So neither side ever waits for the other, a
learner that dies loses nothing, and no socket is opened.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from robot_rlhf.datatypes import Action, Observation, WeightSnapshot
from robot_rlhf.errors import CheckpointError, LinkError
from robot_rlhf.learner.checkpoint import read_snapshot, write_snapshot
from robot_rlhf.policy.learned import LearnedPolicy

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


def write_news(folder: Path, news: LearnerNews) -> None:
    """Replace the learner's news."""
    scratch = folder / (NEWS + ".part")
    try:
        scratch.write_text(json.dumps(asdict(news)))
        scratch.replace(folder / NEWS)
    except OSError as error:
        raise LinkError(f"{folder / NEWS}: cannot be written ({error.strerror})") from error


def read_news(folder: Path) -> LearnerNews | None:
    """The newest news; None before the first."""
    try:
        return LearnerNews(**json.loads((folder / NEWS).read_text()))
    except FileNotFoundError:
        return None
    except (TypeError, ValueError) as error:
        raise LinkError(f"{folder / NEWS}: not what a learner writes ({error})") from error


def publish(folder: Path, newest: WeightSnapshot, averaged: WeightSnapshot, facts: Mapping[str, object]) -> None:
    """Replace the weights."""
    write_snapshot(folder / AVERAGED, averaged, facts)
    write_snapshot(folder / WEIGHTS, newest, facts)


class WeightsInbox:
    """Watches for new weights in a thread of its own, so that the control loop never reads a file."""

    def __init__(self, folder: Path, *, period: float = 0.05) -> None:
        self._path = folder / WEIGHTS
        self._period = period
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._newest: WeightSnapshot | None = None
        self._seen: tuple[int, int] | None = None
        self.error = ""
        """Why the last file could not be used; empty when it could."""
        self._thread = threading.Thread(target=self._watch, name="weights-inbox", daemon=True)

    def __enter__(self) -> WeightsInbox:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5.0)

    def take(self) -> WeightSnapshot | None:
        """Weights that were not taken yet; at most once each."""
        with self._lock:
            newest, self._newest = self._newest, None
            return newest

    def _watch(self) -> None:
        while not self._stop.wait(self._period):
            try:
                stat = os.stat(self._path)
            except OSError:
                continue
            mark = (stat.st_mtime_ns, stat.st_ino)
            if mark == self._seen:
                continue
            try:
                snapshot, _ = read_snapshot(self._path)
            except (CheckpointError, ValueError) as error:
                self.error = str(error)
                continue
            self._seen, self.error = mark, ""
            with self._lock:
                self._newest = snapshot


class FreshPolicy:
    """A Policy that swaps in the newest weights between steps."""

    def __init__(self, policy: LearnedPolicy, inbox: WeightsInbox) -> None:
        self._policy = policy
        self._inbox = inbox

    @property
    def version(self) -> int:
        return self._policy.version

    def reset(self) -> None:
        self._policy.reset()

    def act(self, observation: Observation, instruction: str, rng: np.random.Generator) -> Action:
        newest = self._inbox.take()
        if newest is not None:
            self._policy.load(newest)
        return self._policy.act(observation, instruction, rng)
