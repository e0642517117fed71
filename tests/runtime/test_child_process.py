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
SAYS_WHY = """
import sys
from robot_rlhf.errors import RenderError
from robot_rlhf.runtime.last_words import last_words
with last_words(int(sys.argv[sys.argv.index("--words") + 1]), RenderError):
    {}
"""
NO_CAMERA = SAYS_WHY.format("raise RenderError('no such\\ncamera')")
FULL = SAYS_WHY.format("open('/dev/full', 'wb', buffering=0).write(b'x')")
OTHER = SAYS_WHY.format("raise ConnectionError('try again')")
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); time.sleep(60)"


def child(folder: Path, script: str, restarts: int = 1, log: str = "arm-3.log") -> ChildProcess:
    command = [sys.executable, "-S", "-c", script]
    return ChildProcess(command, name="arm 3", restarts=restarts, log_file=folder / log, look_every=0.01)


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


@pytest.mark.parametrize("log", ["arm-3.log", "/dev/full"])
@pytest.mark.parametrize(
    ("script", "said"),
    [(NO_CAMERA, "no such camera"), (FULL, "system: No space left on device")],
    ids=("camera", "disk"),
)
def test_an_error_in_one_line_is_passed_on_and_not_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, script: str, said: str, log: str
) -> None:
    """Also by one whose log takes no line any more."""
    with child(tmp_path, script, log=log) as process:
        eventually(lambda: bool(process.failure))
        assert process.starts == 1
        assert not process.finished
        assert process.disk_full == (script == FULL)
        with pytest.raises(LinkError, match=f"^arm 3: {said}$"):
            process.check()
    assert caplog.text == ""


def test_words_however_long_and_odd_fit_through_the_pipe(tmp_path: Path) -> None:
    with child(tmp_path, SAYS_WHY.format("raise RenderError('a\\udcff' + 2000 * chr(0x1F916))")) as process:
        eventually(lambda: bool(process.failure))
        assert process.failure.startswith("arm 3: a?\N{ROBOT FACE}\N{ROBOT FACE}")
        assert process.starts == 1


def test_other_errors_are_tried_again(tmp_path: Path) -> None:
    with child(tmp_path, OTHER, restarts=1) as process:
        eventually(lambda: bool(process.failure))
        assert process.starts == 2
        assert not process.disk_full
        assert "ConnectionError: try again" in (tmp_path / "arm-3.log").read_text()


def test_what_is_said_when_it_is_asked_to_end_is_not_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    waits = SAYS_WHY.format(
        "import signal; signal.signal(signal.SIGTERM, lambda *_: None); print('up', flush=True); signal.pause();"
        " raise RenderError('not saved')"
    )
    with child(tmp_path, waits):
        eventually(lambda: "up" in (tmp_path / "arm-3.log").read_text())
    assert "arm 3: not saved" in caplog.text


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
