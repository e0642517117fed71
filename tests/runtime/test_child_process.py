"""A process of a run is started again when it dies, not when it is done, and ends with its block."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from robot_rlhf.errors import LinkError
from robot_rlhf.runtime.child_process import ChildProcess
from tests.waits import until as eventually

STAYS = "import time; time.sleep(60)"
FINISHES = "pass"
SAYS_WHY = "import sys; print('first'); print('no such camera'); sys.exit(2)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); time.sleep(60)"


def child(folder: Path, script: str, restarts: int = 1) -> ChildProcess:
    command = [sys.executable, "-S", "-c", script]
    return ChildProcess(command, name="arm 3", restarts=restarts, log_file=folder / "arm-3.log", look_every=0.01)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_is_done_is_not_started_again(tmp_path: Path) -> None:
    with child(tmp_path, FINISHES) as process:
        eventually(lambda: process.finished)
        time.sleep(0.05)
        assert process.starts == 1
        process.check()


def test_an_error_in_one_line_is_passed_on_and_not_tried_again(tmp_path: Path) -> None:
    with child(tmp_path, SAYS_WHY) as process:
        eventually(lambda: bool(process.failure))
        assert process.starts == 1
        assert not process.finished
        with pytest.raises(LinkError, match=r"^arm 3: no such camera$"):
            process.check()


def test_the_dead_is_started_again_until_it_dies_too_often(tmp_path: Path) -> None:
    with child(tmp_path, STAYS) as process:
        first = process.pid
        os.kill(first, signal.SIGKILL)
        eventually(lambda: process.starts == 2)
        process.check()
        os.kill(process.pid, signal.SIGKILL)
        eventually(lambda: bool(process.failure))
        with pytest.raises(LinkError, match=r"arm 3 died too often .*-9.*arm-3\.log"):
            process.check()


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robot_rlhf.runtime.child_process.TIME_TO_END", 0.2)
    with child(tmp_path, STAYS) as obedient, child(tmp_path, DEAF) as deaf:
        eventually(lambda: (tmp_path / "arm-3.log").stat().st_size > 0)
        pids = obedient.pid, deaf.pid
        obedient.ask_to_end()
        obedient.ask_to_end()
    assert not any(map(alive, pids))
    assert obedient.starts == 1
