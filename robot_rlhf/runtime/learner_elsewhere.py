"""Knows whether a learner that somebody else started, for example ROS's launch, is alive."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from types import TracebackType

from robot_rlhf.errors import LinkError
from robot_rlhf.runtime.exchange import LearnerNews, read_news
from robot_rlhf.timing import Clock

log = logging.getLogger(__name__)


class LearnerElsewhere:
    """A context manager like LearnerProcess, which only listens to the learner's news."""

    def __init__(self, folder: Path, clock: Clock, *, heartbeat_timeout: float, look_every: float = 0.1) -> None:
        """Args: folder: the exchange folder of the run."""
        self._folder = folder
        self._clock = clock
        self._timeout = heartbeat_timeout
        self._look_every = look_every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="learner-news", daemon=True)
        self.news: LearnerNews | None = None
        """What the learner last said."""
        self.healthy = False
        """True while it speaks."""
        self.failure = ""
        """Always empty: whoever started it may start it again."""

    def __enter__(self) -> LearnerElsewhere:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=5.0)

    def check(self) -> None:
        """Nothing to complain of: a learner that is gone may come back."""

    def _listen(self) -> None:
        while not self._stop.wait(self._look_every):
            try:
                news = read_news(self._folder)
            except LinkError as error:
                log.warning("%s", error)
                continue
            self.news = news or self.news
            self.healthy = news is not None and self._clock.now() - news.stamp < self._timeout
