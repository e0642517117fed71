"""Knows whether a learner that somebody else started, for example ROS's launch, is alive."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from robot_rlhf.background import Background
from robot_rlhf.errors import LinkError
from robot_rlhf.runtime.exchange import LearnerNews, read_news, said_once
from robot_rlhf.timing import Clock


class LearnerElsewhere:
    """A context manager like LearnerProcess, which only listens to the learner's news."""

    def __init__(self, folder: Path, clock: Clock, *, heartbeat_timeout: float, look_every: float = 0.1) -> None:
        """Args: folder: the exchange folder of the run."""
        self._folder = folder
        self._clock = clock
        self._timeout = heartbeat_timeout
        self._background = Background("learner-news", self._listen, look_every, died=self._give_up)
        self._last_stamp: float | None = None
        self._trouble = ""
        self._heard_at: float | None = None
        self.news: LearnerNews | None = None
        """What the learner last said."""
        self.healthy = False
        """True while it speaks."""
        self.failure = ""
        """Why it cannot be heard any more. A learner that is gone is none: whoever started it may start it again."""
        self.disk_full = False
        """Never: it says so to whoever started it."""

    def __enter__(self) -> LearnerElsewhere:
        self._background.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._background.close()

    def check(self) -> None:
        """Raises LinkError when it cannot be heard any more; a learner that is gone may come back."""
        if self.failure:
            raise LinkError(self.failure)

    def _listen(self) -> bool:
        """What lay there before counts for nothing: only one that goes on speaking lives."""
        try:
            news = read_news(self._folder)
        except LinkError as error:
            self._trouble = said_once(str(error), self._trouble)
            self.healthy = self._speaks
            return True
        self._trouble = ""
        if news is not None and news.stamp != self._last_stamp:
            if self._last_stamp is not None:
                self.news, self._heard_at = news, self._clock.now()
            self._last_stamp = news.stamp
        self.healthy = self._speaks
        return True

    @property
    def _speaks(self) -> bool:
        return self._heard_at is not None and self._clock.now() - self._heard_at < self._timeout

    def _give_up(self, why: str) -> None:
        self.failure, self.healthy = why, False
