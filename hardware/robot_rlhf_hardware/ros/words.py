"""What a person says over a ROS topic: each std_msgs/String is a sentence."""

from __future__ import annotations

import logging
import threading
from typing import Any

from robot_rlhf.datatypes import HumanInput, Sentence, Situation
from robot_rlhf_hardware.ros.bus import Bus
from robot_rlhf_hardware.ros.topics import POLICY_TOPICS, named

MAX_SENTENCE = 2_000
"""Characters of one sentence."""
MAX_WAITING = 20
"""Sentences that may wait for the loop; more are dropped with a warning."""


class RosWords:
    """A Teleop and a Monitor that never drives: it reads what was said since the last look. Somebody is there while a
    sentence drives; else it reads None when nothing was said."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._lock = threading.Lock()
        self._sentences: list[Sentence] = []
        self._obeyed = False
        """What was said drives now."""
        bus.subscription(named(POLICY_TOPICS, "say"), self._take)

    def read(self) -> HumanInput | None:
        with self._lock:
            sentences, self._sentences = tuple(self._sentences), []
        return HumanInput(sentences=sentences) if sentences or self._obeyed else None

    def show(self, situation: Situation) -> None:
        self._obeyed = bool(situation.spoken)

    def _take(self, message: Any) -> None:
        now = self._bus.clock.now()  # the message has no stamp: it began no later than this
        shown = "".join(c if c.isprintable() else " " for c in str(message.data)[: MAX_SENTENCE + 1])
        text = " ".join(shown.split())
        if not text or len(message.data) > MAX_SENTENCE:
            size = f"{len(message.data)} characters" if text else "no words"
            self._bus.log(logging.WARNING, f"say: {size}, allowed is a sentence of 1 to {MAX_SENTENCE}: not heard")
            return
        with self._lock:
            full = len(self._sentences) >= MAX_WAITING
            if not full:
                self._sentences.append(Sentence(text, now))
        if full:
            self._bus.log(logging.WARNING, f"say: {MAX_WAITING} sentences wait for the loop already: not heard")
