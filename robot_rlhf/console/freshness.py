"""How old a page's message is, and whether there are too many of them: pure, time is given."""

from __future__ import annotations

from collections import deque

MAX_AGE = 0.35
"""Seconds; what a person did longer ago than that does not drive."""
WINDOW = 5.0
"""Seconds of hearing a page by which its clock is judged."""
SETTLING = 0.25
"""Seconds after the first message, and after a jump of the page's clock, in which nothing is taken for fresh."""
_GAP = 0.25
"""A silence counts no longer than this in WINDOW: what a page says after it is judged by what it said before."""


class PageClock:
    """Tells the age of a page's messages, whose clock has another zero than ours and may jump.

    The least lag between the page's stamp and the arrival, over the last WINDOW, is taken for a message that was not
    held up; what lags more is late by the difference. Messages of one socket keep their order, so a stamp before the
    last one's, or a lag far below the least, can only be a jump of the page's clock: then everything begins anew.
    A lag that falls by more than MAX_AGE at once may be a jump or the end of a hold-up: what comes with it is waited
    out too.
    """

    def __init__(self) -> None:
        self._lags: deque[tuple[float, float]] = deque()  # (time heard, lag), lags rising: the first is the least
        self._heard = 0.0
        self._arrived = self._stamped = 0.0
        self._settled_at: float | None = None

    @property
    def settled_at(self) -> float:
        """Our time from which on messages may be fresh; infinite before the first."""
        return float("inf") if self._settled_at is None else self._settled_at

    def fresh(self, stamped: float, arrived: float) -> bool:
        """Whether a message is at most MAX_AGE old.

        Args:
            stamped: by the page, in seconds of its own clock.
            arrived: in seconds of ours, which never goes back.
        """
        return self.age(stamped, arrived) <= MAX_AGE and arrived >= self.settled_at

    def age(self, stamped: float, arrived: float) -> float:
        """Seconds by which the message was held up; to be asked once per message, in their order."""
        lag = arrived - stamped
        least = self._lags[0][1] if self._lags else lag
        if self._settled_at is None or stamped < self._stamped or lag < least - MAX_AGE:
            self._lags.clear()
            self._settled_at = arrived + SETTLING
        elif lag < self._arrived - self._stamped - MAX_AGE:
            self._settled_at = arrived + SETTLING
        self._heard += min(max(arrived - self._arrived, 0.0), _GAP)
        self._arrived, self._stamped = arrived, stamped
        while self._lags and self._lags[-1][1] >= lag:
            self._lags.pop()
        self._lags.append((self._heard, lag))
        while self._lags[0][0] < self._heard - WINDOW:
            self._lags.popleft()
        return lag - self._lags[0][1]


class Budget:
    """A steady rate with room for the small bursts that any network makes."""

    def __init__(self, rate: float, burst: int) -> None:
        """Args: rate: messages per second in the long run; burst: messages that may come at once."""
        self._rate = rate
        self._burst = float(burst)
        self._left = float(burst)
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Whether one more is within the budget at this time, in seconds."""
        elapsed = 0.0 if self._at is None else max(0.0, now - self._at)
        self._at = now
        self._left = min(self._burst, self._left + self._rate * elapsed)
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
