"""The newest message of one topic: checked as it arrives, and no longer given out when it is stale."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from robot_rlhf.errors import InvalidValueError, RobotError, ShapeError
from robot_rlhf_hardware.ros.bus import Bus, Subscription
from robot_rlhf_hardware.ros.diagnostics import Level, Status
from robot_rlhf_hardware.ros.messages import stamp_of
from robot_rlhf_hardware.ros.topics import Topic

T = TypeVar("T")
SAY_AGAIN = 5.0
"""Seconds before the same trouble is logged again."""


@dataclass(frozen=True)
class Sample(Generic[T]):
    """What one message said."""

    value: T
    stamp: float
    """Seconds of the monotonic clock at which it was sensed, by its header."""
    header: float
    """Stamp of its header, seconds of ROS time."""
    arrived: float
    """Seconds of the monotonic clock."""


class Stream(Generic[T]):
    """One input of a robot.

    A message that cannot be used is never given out: it is told once by `newest`, as an error, even if good ones
    follow at once, and counted. A stamp before the last one's is such a message, and begins a new series.
    """

    def __init__(
        self,
        bus: Bus,
        topic: Topic,
        convert: Callable[[Any], T | None],
        *,
        age_max: float,
        clock_error_max: float,
        name: str | None = None,
        stamp: Callable[[Any], float] = stamp_of,
    ) -> None:
        """Subscribe.

        Args:
            convert: what a message says; None when it does not concern us. Raises MessageError or ShapeError.
            age_max: seconds after which it is stale, by its stamp and by its arrival.
            clock_error_max: seconds by which a stamp may lie in the future.
            name: instead of the table's, where that has a placeholder.
            stamp: header stamp of a message, seconds of ROS time.
        """
        self.topic = bus.resolved(name or topic.name)
        self.age_max = age_max
        self._bus = bus
        self._convert = convert
        self._clock_error_max = clock_error_max
        self._stamp = stamp
        self._lock = threading.Lock()
        self._newest: Sample[T] | None = None
        self._bad = ""
        self._last_bad = ""
        self._said: dict[str, float] = {}
        self._times: deque[float] = deque(maxlen=50)
        self.count = 0
        """Messages that could be used."""
        self.refused = 0
        """Messages that could not."""
        self.listeners: list[Callable[[Sample[T]], None]] = []
        self.subscription: Subscription = bus.subscription(topic, self.take, name)

    def take(self, message: Any) -> None:
        """A message has come."""
        now, ros = self._bus.clock.now(), self._bus.now()
        try:
            value = self._convert(message)
            if value is None:
                return
            header = self._stamp(message)
            self._check_time(header, ros)
        except (InvalidValueError, ShapeError) as error:
            self._refuse(str(error), now)
            return
        sample = Sample(value, now - max(0.0, ros - header), header, now)
        with self._lock:
            self._newest = sample
            self.count += 1
            self._times.append(now)
        for listener in self.listeners:
            listener(sample)

    def _check_time(self, header: float, ros: float) -> None:
        if header <= 0.0:
            raise InvalidValueError("header.stamp", header, "the time of sensing: the driver does not stamp")
        if header > ros + self._clock_error_max:
            raise InvalidValueError(
                "header.stamp",
                f"{header - ros:.3f} s in the future",
                f"{self._clock_error_max:g} s: the machines' clocks must be synchronised",
            )
        last = self._newest
        if last is not None and header < last.header:
            with self._lock:
                self._newest = None
            raise InvalidValueError(
                "header.stamp", f"{last.header - header:.3f} s before the last one", "time that never goes back"
            )

    def _refuse(self, why: str, now: float) -> None:
        with self._lock:
            self.refused += 1
            self._bad = self._last_bad = f"{self.topic}: {why}"
            bad = self._bad
        if now - self._said.get(why.partition(":")[0], -SAY_AGAIN) >= SAY_AGAIN:
            self._said[why.partition(":")[0]] = now
            self._bus.log(logging.WARNING, bad)

    def newest(self) -> Sample[T]:
        """The newest message.

        Raises:
            RobotError: there was none, it is stale, or one that could not be used came since the last call.
        """
        with self._lock:
            sample, bad, self._bad = self._newest, self._bad, ""
        if bad:
            raise RobotError(bad)
        trouble = self._stale(sample)
        if sample is None or trouble:
            raise RobotError(trouble)
        return sample

    def peek(self) -> Sample[T] | None:
        """The newest message while it is fresh, without a word about trouble."""
        with self._lock:
            sample = self._newest
        return None if self._stale(sample) else sample

    def last(self) -> Sample[T] | None:
        """The newest message, however old."""
        with self._lock:
            return self._newest

    @property
    def trouble(self) -> str:
        """Why there is nothing to give out right now; empty when there is."""
        with self._lock:
            sample, bad = self._newest, self._bad
        return bad or self._stale(sample)

    def forget(self) -> None:
        """Give out nothing that was sensed before now: the world was changed by another way."""
        with self._lock:
            self._newest, self._bad = None, ""

    def _stale(self, sample: Sample[T] | None) -> str:
        if sample is None:
            whose = [words for words in self._bus.troubles() if words.startswith(f"{self.topic}:")]
            if whose:
                return whose[0]
            count = self.subscription.publishers()
            return f"{self.topic}: no message, {count} publisher{'s' if count != 1 else ''}"
        age = self._bus.clock.now() - sample.stamp
        if age > self.age_max:
            return f"{self.topic}: stale, sensed {age:.3f} s ago, allowed {self.age_max:g} s"
        return ""

    def status(self) -> Status:
        """For the diagnostics."""
        with self._lock:
            sample, bad, times = self._newest, self._bad or "", list(self._times)
        stale = self._stale(sample)
        rate = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0
        values = {
            "messages": str(self.count),
            "refused": str(self.refused),
            "rate_hz": f"{rate:.1f}",
            "publishers": str(self.subscription.publishers()),
        }
        if sample is not None:
            values["age_ms"] = f"{1e3 * (self._bus.clock.now() - sample.stamp):.1f}"
        if self._last_bad:
            values["last_refused"] = self._last_bad
        if bad:
            return Status(self.topic, Level.ERROR, bad, values)
        if stale:
            return Status(self.topic, Level.STALE, stale, values)
        return Status(self.topic, Level.OK, f"{rate:.0f} Hz", values)
