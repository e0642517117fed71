"""A thread of the console that dies says so: what it left would look like good news that is old."""

from __future__ import annotations

import logging
import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from robot_rlhf.console.process import ConsoleProcess
from robot_rlhf.run.live.live_console import LiveConsole


class Errors(logging.Handler):
    """Waits for an error to be logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []
        self.came = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
        self.came.set()


@pytest.fixture
def errors() -> Any:
    handler = Errors()
    log = logging.getLogger("robot_rlhf.background")
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)


def test_the_one_that_tells_how_the_run_is_doing(errors: Errors) -> None:
    def status(*_: object) -> None:
        raise ValueError("no such number")

    half = cast("Any", SimpleNamespace(link=SimpleNamespace(tell=lambda values: None), _status=status))
    with LiveConsole.feed(half, None, cast("Any", None), cast("Any", None)):
        assert errors.came.wait(60.0)
    assert errors.said == ["thread console-status died: ValueError: no such number"]


def test_the_one_that_keeps_the_console_alive(errors: Errors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path) -> None:
        raise ValueError(f"{path.name} is odd")

    monkeypatch.setattr("robot_rlhf.console.process.put_aside", broken)
    monkeypatch.setattr(ConsoleProcess, "_start", lambda self: None)
    with ConsoleProcess(cast("Any", None), socket.socket(), None, tmp_path / "console.log"):
        assert errors.came.wait(60.0)
    assert errors.said == ["thread console-keeper died: ValueError: console.log is odd"]
