"""Whether the task has succeeded, by a learned reward: in simulation at once, in real time beside the loop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from robot_rlhf.background import contained
from robot_rlhf.datatypes import Observation
from robot_rlhf.errors import ConfigError
from robot_rlhf.rewards.model import HeldSuccess, LearnedReward

log = logging.getLogger(__name__)

Encode = Callable[[Observation], Mapping[str, NDArray[Any]]]


class SuccessWatch:
    """Looks at every observation of an episode; success must be seen as often in a row as the model's threshold asks.

    Args:
        model: reads its success head.
        encode: observation to what the model looks at.
    """

    def __init__(self, model: LearnedReward, encode: Encode) -> None:
        if model.reads != "success":
            raise ConfigError(f"success model: reads {model.reads}, allowed success")
        self.model = model
        self._encode = encode
        self._held = HeldSuccess(model.calibration)

    def begin(self) -> None:
        """An episode, or a part of one, begins."""
        self._held.reset()

    def succeeded(self, observation: Observation) -> bool:
        """By this observation, the newest."""
        return self._held.step(self._probability(observation))

    def close(self) -> None:
        """No more observations come."""

    def _probability(self, observation: Observation) -> float:
        row = {name: torch.as_tensor(np.array(value)).unsqueeze(0) for name, value in self._encode(observation).items()}
        return float(self.model.members(row).mean())


class SuccessWatchBeside(SuccessWatch):
    """As SuccessWatch, in a thread of its own: the loop is told what was seen so far, and never waits.

    The verdict is about a period old. An observation that comes while an older one still waits takes its place.
    """

    def __init__(self, model: LearnedReward, encode: Encode) -> None:
        super().__init__(model, encode)
        self._condition = threading.Condition()
        self._waiting: Observation | None = None
        self._verdict = False
        self._episode = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="success-watch", daemon=True)
        self._thread.start()

    def begin(self) -> None:
        with self._condition:
            self._episode += 1
            self._waiting, self._verdict = None, False
            super().begin()

    def succeeded(self, observation: Observation) -> bool:
        with self._condition:
            self._waiting = observation
            self._condition.notify()
            return self._verdict

    def close(self) -> None:
        with self._condition:
            self._closed = True
            self._condition.notify()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        with contained(lambda _: log.exception("success model: cannot look at an observation; it judges no more")):
            self._judge()

    def _judge(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._closed or self._waiting is not None)
                if self._closed:
                    return
                observation, self._waiting, episode = self._waiting, None, self._episode
            assert observation is not None
            chance = self._probability(observation)
            with self._condition:
                if episode == self._episode:
                    self._verdict = self._held.step(chance) or self._verdict
