"""A page is opened by way of a file that only its owner may read: no token among a browser's arguments."""

from __future__ import annotations

import stat
import threading
import webbrowser
from pathlib import Path

import pytest

from robot_rlhf.run.live import open_page as module
from robot_rlhf.run.live.open_page import leading_to, open_page
from tests.waits import CEILING

ADDRESS = 'http://127.0.0.1:8765/?token=secret&next="x"'


def test_the_file_is_its_owner_s_and_leads_on(tmp_path: Path) -> None:
    file = leading_to(ADDRESS, tmp_path)
    assert file.parent == tmp_path
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert 'content="0; url=http://127.0.0.1:8765/?token=secret&amp;next=&quot;x&quot;"' in file.read_text()
    assert leading_to(ADDRESS, tmp_path) != file
    elsewhere = leading_to(ADDRESS, tmp_path / "missing")
    assert elsewhere.parent != tmp_path / "missing"
    elsewhere.unlink()


def test_the_browser_is_told_of_the_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    seen = threading.Event()

    def browse(address: str) -> bool:
        opened.append(address)
        seen.set()
        return True

    monkeypatch.setattr(webbrowser, "open", browse)
    monkeypatch.setattr(module, "LIFE", 0.2)
    monkeypatch.setenv("DISPLAY", ":0")
    file = open_page(ADDRESS, tmp_path)
    assert file is not None
    assert seen.wait(CEILING)
    assert opened == [file.as_uri()]
    assert "secret" not in opened[0]
    for timer in [t for t in threading.enumerate() if isinstance(t, threading.Timer)]:
        timer.join(5.0)
    assert not file.exists()


def test_without_a_screen_nothing_is_opened_or_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert open_page(ADDRESS, tmp_path) is None
    assert list(tmp_path.iterdir()) == []
