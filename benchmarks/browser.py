"""A session in a process of its own, and a real browser on its console."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
START_TIMEOUT = 120.0
WITHIN = 120_000.0
"""Milliseconds that anything on a page may take."""
WATCH = """() => {
    window.seen = {};
    window.console_rlhf.onControls((c) => { window.seen.controls = c; });
    window.console_rlhf.onPresent((p) => { window.seen.present = p; });
}"""
"""Keeps what the page was last told, for a script to look at."""


class LiveSession:
    """`robot-rlhf session` as a child process; ended in order when the block is left, if it has not ended before."""

    def __init__(self, out: Path, options: Sequence[str], name: str = "session", command: str = "session") -> None:
        self.folder = out / name
        self.log = out / f"{name}.log"
        self._options = options
        self._command = command

    def __enter__(self) -> LiveSession:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        arguments = [self._command, *self._options]
        if self._command == "session":
            arguments += ["--out", str(self.folder.parent), "--name", self.folder.name, "--console.no-open-browser"]
        self._output = self.log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "robot_rlhf.apps.cli", *arguments],
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        )
        self.address = self._wait_for_address()
        return self

    def __exit__(self, *exc: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=60.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._output.close()

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    @property
    def port(self) -> int:
        match = re.search(r":(\d+)/", self.address)
        assert match is not None
        return int(match[1])

    def summary(self) -> dict[str, Any]:
        """What the run wrote at its end."""
        return json.loads((self.folder / "summary.json").read_text())

    def _wait_for_address(self) -> str:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            found = re.search(r"http://\S+token=\S+", self.log.read_text(errors="replace"))
            if found:
                return found[0]
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        self.process.kill()
        raise RuntimeError(f"no console: {self.log.read_text(errors='replace')[-2000:]}")


@contextmanager
def browser(*arguments: str) -> Iterator[Any]:
    """Debian's Chromium with further arguments, driven by Playwright; yields the browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *arguments])
        try:
            yield chromium
        finally:
            chromium.close()


def open_console(chromium: Any, address: str, *, width: int = 1366, height: int = 768, **options: Any) -> Any:
    """A page on the console, ready to be driven."""
    context = chromium.new_context(viewport={"width": width, "height": height}, **options)
    context.set_default_timeout(WITHIN)
    page = context.new_page()
    page.goto(address)
    page.wait_for_function("() => window.console_rlhf && window.console_rlhf.stats.situations !== 0")
    page.evaluate(WATCH)
    page.wait_for_function("() => window.seen.present")
    return page
