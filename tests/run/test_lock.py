"""One process at a time works on a run; a lock ends with whoever held it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from robot_rlhf.errors import ConfigError
from robot_rlhf.run.folder.lock import locked

HOLDS = """
import sys, time
from pathlib import Path
from robot_rlhf.run.folder.lock import locked
with locked(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    time.sleep(600)
"""


def holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLDS, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_one_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    path = tmp_path / "exchange" / "run.lock"
    second = locked(path, "runs/x")
    refused = pytest.raises(ConfigError, match=rf"runs/x: in use by process {os.getpid()} \(")
    with locked(path, "runs/x"), refused, second:
        pass
    with locked(path, "runs/x"):
        pass


def test_it_ends_with_the_process_that_held_it_however_that_ends(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    process = holder(path)
    with pytest.raises(ConfigError, match=f"process {process.pid} "), locked(path, "it"):
        pass
    process.kill()
    process.wait(timeout=30)
    with locked(path, "it"):
        pass


def test_who_has_patience_gets_it_when_the_other_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    process = holder(path)
    process.kill()
    with locked(path, "it", patience=60.0):
        assert process.wait(timeout=30) != 0


def test_a_longer_wait_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path, passed = tmp_path / "run.lock", [0.0]
    time = SimpleNamespace(monotonic=lambda: passed[-1], sleep=lambda seconds: passed.append(passed[-1] + seconds))
    monkeypatch.setattr("robot_rlhf.run.folder.lock.time", time)
    with locked(path, "it"):
        for patience, said in ((0.0, 0), (1.0, 0), (180.0, 1)):
            with pytest.raises(ConfigError, match="it: in use by process"), locked(path, "it", patience=patience):
                pass
            assert caplog.text.count(f"it: waiting, up to 180 s, for the end of process {os.getpid()} (") == said
    assert passed[-1] >= 181.0
