"""Starts the console's process, and starts it again when it dies: the robot's loop never depends on it."""

from __future__ import annotations

import contextlib
import errno
import logging
import secrets
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import IO

from robot_rlhf.background import Background
from robot_rlhf.console.bounded_log import put_aside
from robot_rlhf.console.link import ConsoleLink
from robot_rlhf.console.settings import ConsoleSettings
from robot_rlhf.errors import ConfigError

log = logging.getLogger(__name__)

LOOK_EVERY = 0.2
RESTARTS = 20


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Port 0 takes any free one.

    Raises:
        ConfigError: the port is in use, or the host is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        end = socket.socket(family, socket.SOCK_STREAM)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        end.bind((host, port))
        end.listen(128)
    except (OSError, OverflowError) as error:
        code = getattr(error, "errno", None)
        if code == errno.EADDRINUSE:
            why = "another program uses it; choose another one, or 0 for any free one"
        elif code == errno.EACCES:
            why = "ports below 1024 are reserved; choose a higher one"
        else:
            why = str(error)
        raise ConfigError(f"console.host {host}, console.port {port}: cannot listen there: {why}") from error
    return end


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server at this address."""
    return host in ("localhost", "::1") or host.startswith("127.")


def new_token() -> str:
    """A secret that nobody guesses."""
    return secrets.token_urlsafe(18)


class ConsoleProcess:
    """A child process that serves the console. A context manager; ends it with the block."""

    def __init__(
        self, settings: ConsoleSettings, listening: socket.socket, link: ConsoleLink | None, log_file: Path
    ) -> None:
        """Args: settings: without file descriptors; link: None for a recorded session."""
        self._settings = settings
        self._listening = listening
        self._link = link
        self._log_file = log_file
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._stop = threading.Event()
        self._keeper = Background("console-keeper", self._look_after, LOOK_EVERY)
        self.starts = 0

    @property
    def address(self) -> str:
        """What the operator opens; the token is in it."""
        host, port = self._listening.getsockname()[:2]
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        scheme = "https" if self._settings.certificate else "http"
        return f"{scheme}://{shown}:{port}/?token={self._settings.token}"

    @property
    def pid(self) -> int:
        """Process id of the present child; -1 when there is none."""
        return -1 if self._process is None else self._process.pid

    def __enter__(self) -> ConsoleProcess:
        self._output = self._log_file.open("ab")
        self._start()
        self._keeper.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._keeper.close()
        if self._process is not None and self._process.poll() is None:
            if self._link is None:
                self._process.terminate()
            else:
                self._link.disconnect()  # it ends by itself, once its pages have been told
            try:
                self._process.wait(timeout=8.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._listening.close()
        if self._output is not None:
            self._output.close()

    def wait(self) -> None:
        """Until the child ends."""
        while not self._stop.is_set():
            if self._process is not None and self._process.poll() is not None:
                return
            self._stop.wait(LOOK_EVERY)

    def _start(self) -> None:
        settings = replace(self._settings, listen=self._listening.fileno())
        passed = [settings.listen]
        theirs = None
        if self._link is not None:
            theirs = self._link.connect()
            settings = replace(settings, link=theirs.fileno(), block=self._link.block.descriptor)
            passed += [theirs.fileno(), self._link.block.descriptor]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "robot_rlhf.console"],
                stdin=subprocess.PIPE,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                pass_fds=passed,
            )
        except OSError as error:
            raise ConfigError(f"console: its process cannot be started ({error})") from error
        finally:
            if theirs is not None:
                theirs.close()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(settings.to_json().encode() + b"\n")
            self._process.stdin.close()
        self.starts += 1

    def _look_after(self) -> bool:
        """Start it again when it has ended; returns False once nobody is to."""
        with contextlib.suppress(OSError):  # a full disk: the log stays as it is
            put_aside(self._log_file)
        if self._process is None or self._process.poll() is None:
            return True
        if self.starts > RESTARTS:
            log.warning("the console died too often; see %s. The robot goes on without it", self._log_file)
            return False
        log.warning("the console ended with code %s: starting it again", self._process.returncode)
        try:
            self._start()
        except ConfigError as error:
            log.warning("%s", error)
            return False
        return True
