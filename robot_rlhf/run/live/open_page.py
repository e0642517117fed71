"""Opens a page of the console in this machine's browser, and keeps its token out of the list of processes."""

from __future__ import annotations

import atexit
import html
import os
import sys
import tempfile
import threading
import webbrowser
from pathlib import Path

LIFE = 60.0
"""Seconds that the browser has to read the file that leads it on."""

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Opening the console</title>
<meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0; url={address}">
<p>Opening <a href="{address}">the console</a>.</p></html>
"""


def open_page(address: str, folder: Path | None = None) -> Path | None:
    """Show an address in this machine's browser, where it has a screen; returns at once.

    Everybody on a machine can see what a browser was started with. So it is started with a file that only its owner
    may read, and that leads on to the address; the file is gone after LIFE seconds, or with this process.

    Args:
        address: http or https, its token included.
        folder: where the file is put; a browser in a sandbox of its own sees no temporary files, but those below the
            home folder. None, or one that cannot be written: the folder for temporary files.

    Returns:
        The file; None without a screen.
    """
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return None
    file = leading_to(address, folder)
    atexit.register(file.unlink, missing_ok=True)
    gone = threading.Timer(LIFE, file.unlink, kwargs={"missing_ok": True})
    gone.daemon = True
    gone.start()
    threading.Thread(target=webbrowser.open, args=(file.as_uri(),), name="open-browser", daemon=True).start()
    return file


def leading_to(address: str, folder: Path | None = None) -> Path:
    """Write a page that leads on to an address; only its owner may read it."""
    if folder is None or not os.access(folder, os.W_OK):
        folder = Path(tempfile.gettempdir())
    descriptor, name = tempfile.mkstemp(prefix="console-", suffix=".html", dir=folder.resolve())  # mode 0600
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(_PAGE.format(address=html.escape(address, quote=True)))
    return Path(name)
