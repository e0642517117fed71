"""Keeps the learner's process alive, and knows whether it is."""

from __future__ import annotations

import contextlib
import logging
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from robot_rlhf.errors import LinkError
from robot_rlhf.runtime.exchange import LearnerNews, read_news
from robot_rlhf.timing import Clock

log = logging.getLogger(__name__)


HUNG = 24.0
"""Heartbeat timeouts of silence after which a learner that lives is taken for hung: on a busy machine loading its
libraries alone takes a minute."""


class LearnerProcess:
    """A child process that learns; started again when it dies, ended with the `with` block.

    A thread looks after it, so that the control loop only reads a flag.
    """

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
        self._command = list(command)
        self._folder = folder
        self._clock = clock
        self._timeout = heartbeat_timeout
        self._restarts_left = restarts
        self._log_file = log_file
        self._look_every = look_every
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_after, name="learner-keeper", daemon=True)
        self.news: LearnerNews | None = None
        """What the learner last said."""
        self.healthy = False
        """True while the learner lives and speaks."""
        self.starts = 0
        """Times it was started."""
        self.failure = ""
        """Why there will be no learner any more; empty while there is hope."""

    def __enter__(self) -> LearnerProcess:
        self._start()
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5.0)
        self._end()
        with contextlib.suppress(LinkError):
            self.news = read_news(self._folder) or self.news  # its last words

    @property
    def pid(self) -> int:
        """Process id of the present learner."""
        if self._process is None:
            raise LinkError("the learner was not started")
        return self._process.pid

    def check(self) -> None:
        """Raises LinkError when the learner died more often than allowed."""
        if self.failure:
            raise LinkError(self.failure)

    def _start(self) -> None:
        try:
            self._output = self._log_file.open("ab")
            self._process = subprocess.Popen(self._command, stdout=self._output, stderr=subprocess.STDOUT)
        except OSError as error:
            raise LinkError(f"the learner cannot be started: {error}") from error
        self._started_at = self._clock.now()
        self.starts += 1

    def _look_after(self) -> None:
        while not self._stop.wait(self._look_every):
            assert self._process is not None
            code = self._process.poll()
            if code is not None:
                self.healthy = False
                if not self._restart(f"it ended with code {code}"):
                    return
                continue
            try:
                news = read_news(self._folder)
            except LinkError as error:
                log.warning("%s", error)
                continue
            if news is not None and news.pid == self._process.pid:
                self.news = news
                silent = self._clock.now() - news.stamp
            else:
                silent = self._clock.now() - self._started_at - 60.0  # importing and recovering take their time
            self.healthy = self.news is news and news is not None and silent < self._timeout
            if silent > HUNG * self._timeout:
                self._process.kill()
                self._process.wait()

    def _restart(self, why: str) -> bool:
        if self._restarts_left <= 0:
            self.failure = f"the learner died too often (last: {why}); see {self._log_file}"
            return False
        self._restarts_left -= 1
        log.warning("learner is gone (%s): starting it again", why)
        if self._output is not None:
            self._output.close()
        try:
            self._start()
        except LinkError as error:
            self.failure = str(error)
        return not self.failure

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._output is not None:
            self._output.close()
