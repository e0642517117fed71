"""Clocks and the rate of the control loop."""

from __future__ import annotations

import time
from collections import deque
from typing import Protocol

from robot_rlhf.errors import InvalidValueError


class Clock(Protocol):
    """Monotonic seconds; everything that stamps or waits is given one."""

    def now(self) -> float:
        """Seconds since an arbitrary start; never goes back."""
        ...

    def sleep_until(self, deadline: float) -> None:
        """Return at or after the deadline; at once if it has passed."""
        ...


class MonotonicClock:
    """The machine's monotonic clock, shared by all processes of this machine."""

    def now(self) -> float:
        return time.monotonic()

    def sleep_until(self, deadline: float) -> None:
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(left)


class FakeClock:
    """A clock that moves only when told: simulated time, and tests.

    A simulated robot advances it by one control period per command, so that stamps, deadlines and journals of a
    run depend on nothing but its seed.
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        if not seconds >= 0:
            raise InvalidValueError("FakeClock.advance", seconds, "seconds >= 0")
        self._now += seconds

    def sleep_until(self, deadline: float) -> None:
        self._now = max(self._now, deadline)


class Rate:
    """Keeps a loop at a fixed period on absolute deadlines, so that lateness does not add up.

    After an overrun the next deadline is one period after now: missed periods are not made up for by hurrying.
    """

    def __init__(self, clock: Clock, period: float) -> None:
        if not period > 0:
            raise InvalidValueError("Rate.period", period, "seconds > 0")
        self._clock = clock
        self.period = period
        self.overruns = 0
        """Times the work took longer than the period by more than a tenth of it."""
        self.lateness = 0.0
        """Seconds by which the last deadline was missed; 0 when it was met."""
        self.periods = 0
        """Times `wait` was called."""
        self.recent: deque[float] = deque(maxlen=100_000)
        """Seconds between the last returns of `wait`, without those that a restart interrupted."""
        self._deadline = clock.now() + period
        self._woke: float | None = None

    def wait(self) -> float:
        """Sleep until the deadline; returns the time slept (0 on an overrun)."""
        before = self._clock.now()
        self.lateness = max(0.0, before - self._deadline)
        if self.lateness > 0.1 * self.period:
            self.overruns += 1
        slept = 0.0
        if self.lateness > 0.0:
            self._deadline = before + self.period
        else:
            self._clock.sleep_until(self._deadline)
            slept = self._deadline - before
            self._deadline += self.period
        self._note()
        return slept

    def _note(self) -> None:
        now = self._clock.now()
        if self._woke is not None:
            self.recent.append(now - self._woke)
        self._woke = now
        self.periods += 1

    def restart(self) -> None:
        """Begin a new series of periods now, for example after a reset."""
        self._deadline = self._clock.now() + self.period
        self._woke = None
