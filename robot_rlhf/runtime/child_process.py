"""Keeps a process of a run alive."""

from __future__ import annotations

import logging
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from robot_rlhf.background import Background
from robot_rlhf.errors import DiskFullError, LinkError
from robot_rlhf.runtime.last_words import OPTION, LastWords, Listener

log = logging.getLogger(__name__)

DONE = 0
"""Exit code of a process that has done its work."""
TIME_TO_END = 20.0
"""Seconds from SIGTERM to SIGKILL."""


class ChildProcess:
    """A child process; started again when it dies, ended with the `with` block.

    A thread looks after it, so that others only read a flag.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        name: str,
        restarts: int,
        log_file: Path,
        may_finish: bool = True,
        look_every: float = 0.1,
    ) -> None:
        """Args:
        command: how to start it; it gets `--words` and a descriptor, see last_words.
        name: what it is, for messages.
        restarts: times it may be started again.
        log_file: where its output goes.
        may_finish: exit code 0 says that it is done; False: it is never done.
        look_every: seconds between two looks at it.
        """
        self._command = list(command)
        self._name = name
        self._restarts_left = restarts
        self._log_file = log_file
        self._may_finish = may_finish
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._listener: Listener | None = None
        self._keeper = Background(f"{name}-keeper", self._look_after, look_every, died=self._give_up)
        self.starts = 0
        """Times it was started."""
        self.finished = False
        """It has done its work."""
        self.failure = ""
        """Why there will be no such process any more; empty while there is hope."""
        self.disk_full = False
        """That is why."""

    def __enter__(self) -> ChildProcess:
        self._start()
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.ask_to_end()
        process = self._process
        if process is not None:
            try:
                process.wait(timeout=TIME_TO_END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        words = self._hear()
        if words is not None and error is None:  # else that is what matters
            log.warning("%s: %s", self._name, words.why)
        if self._output is not None:
            self._output.close()

    @property
    def pid(self) -> int:
        """Process id of the present child."""
        if self._process is None:
            raise LinkError(f"{self._name} was not started")
        return self._process.pid

    def check(self) -> None:
        """Raises LinkError when it died more often than allowed, or says that it cannot work; DiskFullError is one."""
        if self.failure:
            raise DiskFullError(self.failure) if self.disk_full else LinkError(self.failure)

    def ask_to_end(self) -> None:
        """Send SIGTERM and start it no more; does not wait for its end. Idempotent."""
        self._keeper.close()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def _is_hung(self) -> bool:
        """Whether the living child must be killed to be started again; asked at every look."""
        return False

    def _has_died(self) -> None:
        """Told when it is gone."""

    def _start(self) -> None:
        try:
            self._output = self._log_file.open("ab")
            with Listener() as (listener, descriptor):
                self._process = subprocess.Popen(
                    [*self._command, OPTION, str(descriptor)],
                    stdout=self._output,
                    stderr=subprocess.STDOUT,
                    pass_fds=[descriptor],
                )
                self._listener = listener
        except OSError as error:
            raise LinkError(f"{self._name} cannot be started: {error}") from error
        self.starts += 1

    def _hear(self) -> LastWords | None:
        """What the child that has ended said of its end."""
        listener, self._listener = self._listener, None
        return None if listener is None else listener.hear()

    def _look_after(self) -> bool:
        """Returns whether there is a process to look after again."""
        assert self._process is not None
        code = self._process.poll()
        if code is None:
            if self._is_hung():
                self._process.kill()
                self._process.wait()
            return True
        self._has_died()
        words = self._hear()
        if words is not None:
            self.disk_full = words.disk_full
            self.failure = f"{self._name}: {words.why}"
            return False
        if self._may_finish and code == DONE:
            self.finished = True
            return False
        return self._restart(f"it ended with code {code}")

    def _give_up(self, why: str) -> None:
        """The keeper itself is gone."""
        self.failure = why
        self._has_died()

    def _restart(self, why: str) -> bool:
        if self._restarts_left <= 0:
            self.failure = f"{self._name} died too often (last: {why}); see {self._log_file}"
            return False
        self._restarts_left -= 1
        log.warning("%s is gone (%s): starting it again", self._name, why)
        if self._output is not None:
            self._output.close()
        try:
            self._start()
        except LinkError as error:
            self.failure = str(error)
        return not self.failure
