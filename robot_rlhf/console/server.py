"""The console's application: what is served where, and its life and death."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import httpx
import numpy as np
import uvicorn
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles
from nicegui import Client, ui
from starlette.types import Receive, Scope, Send

from robot_rlhf.console.desk import Desk, Visitor
from robot_rlhf.console.gate import PAGES, Gate
from robot_rlhf.console.guides import guides
from robot_rlhf.console.history import History
from robot_rlhf.console.listener import Listener
from robot_rlhf.console.live import LiveBlock
from robot_rlhf.console.microphone import Microphones
from robot_rlhf.console.pages import theme
from robot_rlhf.console.pages.clips import register_clip_routes
from robot_rlhf.console.pages.drive import build_drive_page
from robot_rlhf.console.pages.label import build_label_page
from robot_rlhf.console.pages.review import build_review_page
from robot_rlhf.console.recording import Recording
from robot_rlhf.console.robotside import RobotSide
from robot_rlhf.console.settings import ConsoleSettings
from robot_rlhf.console.shared import Console
from robot_rlhf.console.teleop import Teleop
from robot_rlhf.console.video import Video
from robot_rlhf.datatypes import ActionLayout, Button
from robot_rlhf.errors import ConfigError, RobotRlhfError
from robot_rlhf.journal.labels import LabelWriter

log = logging.getLogger(__name__)

LINGER = 3.0
"""Seconds that the console outlives the robot's process, so that every page can be told."""
MAX_SOCKET_MESSAGE = 1 << 20
"""Bytes of one message on any socket; the pages' own limits are smaller."""


def make_console(settings: ConsoleSettings) -> Console:
    """Put the parts together. Called from within the running event loop.

    Raises:
        ConfigError: file descriptors are missing.
        LinkError: the live block is of other cameras.
    """
    console = Console(
        settings,
        Gate(settings.token, settings.hosts, first=settings.operator, secure=bool(settings.certificate)),
        History(settings.journal),
        Recording(settings.journal, values=settings.values),
    )
    if settings.link is None:
        console.sink = LabelWriter(settings.journal)
        return console
    if settings.block is None:
        raise ConfigError("console.block: missing, although there is a link to a robot")
    link = socket.socket(fileno=settings.link)
    console.robot = RobotSide(link, LiveBlock(settings.cameras, settings.block))
    layout = ActionLayout(
        settings.action_names,
        np.array(settings.action_scale, np.float32),
        settings.action_frame,  # pyright: ignore[reportArgumentType]  checked by the robot's process
    )
    console.desk = console.sink = desk = Desk(settings, console.robot, layout)
    console.video = Video(
        console.robot,
        guides=lambda seen: guides(settings.sight, settings.cameras, seen, desk.means, settings.action_names),
    )
    console.teleop = Teleop(console.desk)
    if settings.speech.is_local:
        console.microphones = Microphones(desk, Listener(settings.speech), sure=settings.speech.sure)
    return console


def make_app(console: Console) -> FastAPI:
    """The application: pages, sockets, clips and files, all behind the gate. One per process: NiceGUI has but one."""
    background: list[Callable[[], Coroutine[Any, Any, None]]] = []

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(run()) for run in background]
        console.history.start()
        if console.robot is not None:
            console.robot.start()
            await _warm_up(app)
        try:
            yield
        finally:
            if console.robot is not None:
                console.robot.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if console.microphones is not None:
                await console.microphones.listener.close()
            await asyncio.to_thread(console.history.stop)
            if isinstance(console.sink, LabelWriter):
                await asyncio.to_thread(console.sink.close)

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=life)
    if console.video is not None and console.teleop is not None:
        video, teleop = console.video, console.teleop
        background.append(teleop.watch)

        @app.websocket("/ws/video")
        async def watch(socket: WebSocket) -> None:
            await video.serve(socket, socket.state.visitor)

        @app.websocket("/ws/teleop")
        async def drive(socket: WebSocket) -> None:
            await teleop.serve(socket, socket.state.visitor)

    if console.microphones is not None:
        microphones = console.microphones
        background.append(microphones.listener.load)

        @app.websocket("/ws/speech")
        async def listen(socket: WebSocket) -> None:
            await microphones.serve(socket, socket.state.visitor)

    register_clip_routes(app, console.recording)
    app.mount("/static", StaticFiles(directory=theme.STATIC))
    _add_pages(app, console)
    ui.run_with(
        app,
        title=console.settings.title,
        favicon=_ICON,
        dark=None,
        gzip_middleware_factory=None,
        show_welcome_message=False,
        reconnect_timeout=5.0,
    )
    app.add_middleware(console.gate.guard)  # pyright: ignore[reportArgumentType]  a function that wraps an ASGI app
    return app


async def _warm_up(app: FastAPI) -> None:
    """Build each page once, before anybody drives: the first build of each takes several times as long."""

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {"visitor": Visitor("", "nobody")}
        await app.router(scope, receive, send)

    transport = httpx.ASGITransport(app=inside)  # pyright: ignore[reportArgumentType]  its own, narrower types
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for page in sorted(PAGES):
            await client.get(page)
    for built in list(Client.instances.values()):
        built.delete()


def _add_pages(app: FastAPI, console: Console) -> None:
    title, task, live = console.settings.title, console.settings.task, console.desk is not None

    def arrive(visitor: Visitor) -> None:
        if console.teleop is not None:
            console.teleop.presence.accompany(ui.context.client, visitor)

    def head(here: theme.Page, visitor: Visitor) -> None:
        arrive(visitor)
        theme.header(title, here, task=task, live=live, stop=_stopper(console.desk, visitor))

    if live:

        @ui.page("/", title=title)
        def drive(request: Request) -> None:
            arrive(request.state.visitor)
            build_drive_page(console, request.state.visitor)

    else:

        @app.get("/")
        def to_review() -> RedirectResponse:
            return RedirectResponse("/review", 303)

    @ui.page("/label", title=f"Label · {title}")
    def label(request: Request) -> None:
        visitor: Visitor = request.state.visitor
        head("label", visitor)
        build_label_page(console.recording, console.sink_for(visitor), author=lambda: visitor.name)

    @ui.page("/review", title=f"Review · {title}")
    def review(request: Request) -> None:
        visitor: Visitor = request.state.visitor
        head("review", visitor)
        build_review_page(console.recording, console.sink_for(visitor), author=lambda: visitor.name)


def _stopper(desk: Desk | None, visitor: Visitor) -> Callable[[], None] | None:
    """What STOP in the header does, and says; None where there is no robot."""
    if desk is None:
        return None

    def stop() -> None:
        try:
            desk.press(visitor, Button.STOP)
        except RobotRlhfError as error:
            ui.notify(str(error), type="negative", position="top", close_button="OK")
        else:
            ui.notify("STOP was sent: the Drive page shows the robot, and releases it", type="warning", position="top")

    return stop


class _Server(uvicorn.Server):
    """Ends on SIGTERM; on SIGINT only where there is no robot's process that would end it."""

    def __init__(self, config: uvicorn.Config, *, interruptible: bool) -> None:
        super().__init__(config)
        self._interruptible = interruptible

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        def end(number: int, frame: object) -> None:
            self.end()

        before = {
            signal.SIGTERM: signal.signal(signal.SIGTERM, end),
            signal.SIGINT: signal.signal(signal.SIGINT, end if self._interruptible else signal.SIG_IGN),
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def end(self) -> None:
        """Begin to shut down."""
        self.should_exit = True


async def serve(settings: ConsoleSettings) -> None:
    """Serve until the robot's process is gone, or until told to end by a signal.

    Raises:
        ConfigError: no listening socket was given.
        LinkError: the live block is of other cameras.
    """
    if settings.listen < 0:
        raise ConfigError("console.listen: no listening socket was given")
    listening = socket.socket(fileno=settings.listen)
    console = make_console(settings)
    config = uvicorn.Config(
        make_app(console),
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=MAX_SOCKET_MESSAGE,
        ws_ping_interval=5.0,
        ws_ping_timeout=5.0,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=2,
        timeout_keep_alive=30,
        ssl_certfile=settings.certificate or None,
        ssl_keyfile=settings.key or None,
    )
    server = _Server(config, interruptible=console.robot is None)
    if console.robot is not None:
        loop = asyncio.get_running_loop()

        def over() -> None:
            loop.call_later(LINGER, server.end)

        console.robot.on_end.append(over)
    await server.serve(sockets=[listening])
    if console.video is not None:
        log.info("video: %s", json.dumps(console.video.summary()))


_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#1f6feb"/>'
    '<path d="M8 25h9M12.5 25v-6l7-8" fill="none" stroke="#fff" stroke-width="2.6" stroke-linecap="round"/>'
    '<circle cx="12.5" cy="18.5" r="2.4" fill="#fff"/>'
    '<path d="M19.5 11l-1-4M19.5 11l4.5 0M18.5 7h4" '
    'fill="none" stroke="#fff" stroke-width="2.6" stroke-linecap="round"/></svg>'
)
