"""Keeps the learner's process alive, and knows whether it is."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from robot_rlhf.errors import LinkError
from robot_rlhf.runtime.child_process import ChildProcess
from robot_rlhf.runtime.exchange import LearnerNews, read_news, said_once
from robot_rlhf.timing import Clock

HUNG = 24.0
"""Heartbeat timeouts of silence after which a learner that lives is taken for hung: on a busy machine loading its
libraries alone takes a minute."""
TIME_TO_BEGIN = 60.0
"""Seconds for importing and recovering, during which silence does not count."""


class LearnerProcess(ChildProcess):
    """A child process that learns; its news show that it lives."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        clock: Clock,
        *,
        heartbeat_timeout: float,
        restarts: int,
        log_file: Path,
        look_every: float = 0.1,
    ) -> None:
        super().__init__(
            command, name="the learner", restarts=restarts, log_file=log_file, may_finish=False, look_every=look_every
        )
        self._folder = folder
        self._clock = clock
        self._timeout = heartbeat_timeout
        self._started_at = 0.0
        self._trouble = ""
        self.news: LearnerNews | None = None
        """What the learner last said."""
        self.healthy = False
        """True while the learner lives and speaks."""

    def __enter__(self) -> LearnerProcess:
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        with contextlib.suppress(LinkError):
            self.news = read_news(self._folder) or self.news  # its last words

    def _start(self) -> None:
        super()._start()
        self._started_at = self._clock.now()

    def _has_died(self) -> None:
        self.healthy = False

    def _is_hung(self) -> bool:
        try:
            news = read_news(self._folder)
        except LinkError as error:
            self._trouble = said_once(str(error), self._trouble)
            self.healthy = self.news is not None and self._clock.now() - self.news.stamp < self._timeout
            return False
        self._trouble = ""
        if news is not None and news.pid == self.pid:
            self.news = news
            silent = self._clock.now() - news.stamp
        else:
            silent = self._clock.now() - self._started_at - TIME_TO_BEGIN
        self.healthy = self.news is news and news is not None and silent < self._timeout
        return silent > HUNG * self._timeout
