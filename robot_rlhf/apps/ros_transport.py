"""What makes the stand-in robot late: things that are delivered after some seconds, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np

from robot_rlhf_hardware.ros.bus import Fields


class Teller(Protocol):
    """Publishes, whatever becomes of it on the way."""

    def publish(self, fields: Fields) -> None: ...


class Transport:
    """Delivers what it is given late, by the clock of whoever calls; none overtakes another."""

    def __init__(self, delay: float, jitter: float, rng: np.random.Generator) -> None:
        """
        Args:
            delay: seconds.
            jitter: seconds; up to so much more, drawn anew for each.
        """
        self._delay = delay
        self._jitter = jitter
        self._rng = rng
        self._waiting: deque[tuple[float, float, Callable[[float], None]]] = deque()

    def give(self, now: float, deed: Callable[[float], None]) -> None:
        """Do it now where nothing is delayed, else when it is due; it is told by how many seconds it is late."""
        if self._delay <= 0.0 and self._jitter <= 0.0:
            deed(0.0)
            return
        due = now + self._delay + float(self._rng.uniform(0.0, self._jitter))
        if self._waiting:
            due = max(due, self._waiting[-1][0])
        self._waiting.append((due, now, deed))

    def deliver(self, now: float) -> None:
        """Do all that is due."""
        while self._waiting and self._waiting[0][0] <= now:
            _, given, deed = self._waiting.popleft()
            deed(now - given)

    def clear(self) -> None:
        """Nothing is under way any more."""
        self._waiting.clear()


class LatePublisher:
    """A publisher whose messages, with the stamps of when they were made, come late."""

    def __init__(self, publisher: Teller, transport: Transport, now: Callable[[], float]) -> None:
        self._publisher = publisher
        self._transport = transport
        self._now = now

    def publish(self, fields: Fields) -> None:
        self._transport.give(self._now(), lambda late: self._publisher.publish(fields))
