"""A chat-completions endpoint on this machine that plays a script, over real HTTP."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]


@dataclass
class Play:
    """One answer."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    delay: float = 0.0
    """Seconds before the first byte."""
    drip: float = 0.0
    """Seconds between two bytes of the body."""
    hang_up: bool = False
    """Close without an answer."""


def said(text: Any, usage: Json | None = None) -> Play:
    """A good answer."""
    answer: Json = {"choices": [{"message": {"role": "assistant", "content": text}}]}
    return Play(json.dumps(answer | ({} if usage is None else {"usage": usage})).encode())


def refused(status: int, message: str = "no", **headers: str) -> Play:
    return Play(json.dumps({"error": {"message": message}}).encode(), status, headers)


@dataclass
class ChatServer:
    """Answers with `script` of the request's number, from 0, and its JSON; keeps what it was asked."""

    script: Callable[[int, Json], Play]
    url: str = ""
    requests: list[Json] = field(default_factory=list[Json])
    headers: list[Mapping[str, str]] = field(default_factory=list[Mapping[str, str]])
    paths: list[str] = field(default_factory=list[str])
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving(*plays: Play, script: Callable[[int, Json], Play] | None = None) -> Iterator[ChatServer]:
    """Serve; a list of plays is gone through once, its last one repeated."""
    server = ChatServer(script or (lambda number, _: plays[min(number, len(plays) - 1)]))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.requests.append(asked)
            server.headers.append(dict(self.headers))
            server.paths.append(self.path)
            play = server.script(len(server.requests) - 1, asked)
            server.over.wait(play.delay)
            if play.hang_up:
                self.close_connection = True
                return
            self.send_response(play.status)
            for name, value in play.headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(play.body)))
            self.end_headers()
            try:
                for i in range(0, len(play.body), 1 if play.drip else len(play.body) or 1):
                    self.wfile.write(play.body[i : i + (1 if play.drip else len(play.body))])
                    if play.drip and not server.over.is_set():
                        time.sleep(play.drip)
            except OSError:
                pass  # whoever asked has gone

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the tests' output is not its place."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        http.shutdown()
        thread.join(timeout=10)
        http.server_close()
