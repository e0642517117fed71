"""Serves the label and review pages of one journal on a free port: `python -m tests.console.recorded_pages JOURNAL`."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from nicegui import ui

from robot_rlhf.console.pages import theme
from robot_rlhf.console.pages.clips import register_clip_routes
from robot_rlhf.console.pages.label import build_label_page
from robot_rlhf.console.pages.review import build_review_page
from robot_rlhf.console.recording import Recording
from robot_rlhf.journal.labels import LabelWriter


def main(journal: Path) -> None:
    recording = Recording(journal)
    sink = LabelWriter(journal)

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        sink.close()

    app = FastAPI(lifespan=life)
    register_clip_routes(app, recording)
    app.mount("/static", StaticFiles(directory=theme.STATIC))

    @ui.page("/label")
    def label() -> None:
        theme.header("Test session", "label", task="pick_cube", live=False)
        build_label_page(recording, sink, author=lambda: "tester", seed=0)

    @ui.page("/review")
    def review() -> None:
        theme.header("Test session", "review", task="pick_cube", live=False)
        build_review_page(recording, sink, author=lambda: "tester")

    ui.run_with(app, dark=None, gzip_middleware_factory=None, show_welcome_message=False)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(64)
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
