"""Who may come in: the token in the address is exchanged for a cookie, and nothing is open without it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import html
import logging
import math
import re
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from robot_rlhf.console.desk import Visitor

log = logging.getLogger(__name__)

PAGES = frozenset({"/", "/label", "/review"})
OPEN_PATHS = PAGES | {"/favicon.ico"}
OPEN_FOLDERS = ("/clips/", "/ws/", "/static/", "/_nicegui/", "/_nicegui_ws/")
"""What exists, for those who have the cookie; anything else is 404."""
SLOW_AFTER = 10
"""Wrong tokens in a minute that are answered at once; more are answered late."""
SLOW = 0.5
"""Seconds by which they are late."""
MAX_VISITORS = 1_000
"""Visitors remembered by name; a cookie of one forgotten still opens, under a new name."""

_ID = re.compile(r"[0-9a-f]{32}")
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Console: not open</title>
<meta name="viewport" content="width=device-width"><style>
body{{font:1.1rem/1.6 system-ui,sans-serif;margin:12vh auto;max-width:34rem;padding:0 1.5rem;
background:#0d1117;color:#e6edf3}}a{{color:#58a6ff}}code{{background:#161b22;padding:.1em .35em;border-radius:4px}}
@media(prefers-color-scheme:light){{body{{background:#fff;color:#1f2328}}a{{color:#0969da}}code{{background:#eef1f4}}}}
</style><h1>{title}</h1><p>{text}</p></html>"""
_ON = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Console</title>
<meta http-equiv="refresh" content="0; url={address}"><a href="{address}">Go on</a></html>"""
_CLOSED = (
    "Use the address that the session printed when it started. It ends in <code>/?token=…</code> and belongs to that "
    'session alone. If you have just opened that address, <a href="/">go on here</a>.'
)


class Gate:
    """ASGI middleware in front of pages, files and sockets.

    Lets a request pass when its Host is one of ours, its Origin is absent or that same host, its path exists, and it
    carries the cookie. A page asked for with the right token sets the cookie and is asked for again without it. The
    cookie is an id and its HMAC under the token, so it outlives a restart of the process. The visitor is put into the
    scope's state: `request.state.visitor`.
    """

    def __init__(
        self,
        token: str,
        hosts: Sequence[str],
        *,
        first: str = "",
        secure: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember the secret.

        Args:
            token: that opens.
            hosts: names, without port, under which a browser may address us.
            first: name of the first visitor; empty for 'Operator 1'.
            secure: the console speaks https, and its cookie must never travel otherwise.
            clock: steady seconds.
        """
        self._token = token
        self._hosts = frozenset(host.lower().strip("[]") for host in hosts)
        self._first = first
        self._secure = secure
        self._clock = clock
        self._wrong: deque[float] = deque(maxlen=SLOW_AFTER + 1)
        self._warned = -math.inf
        self._visitors: dict[str, Visitor] = {}
        self._named = 0
        # Cookies do not know of ports: two sessions on one machine need two names.
        self.cookie = "console-" + self._sign("name of the cookie")[:12]

    def guard(self, app: ASGIApp) -> ASGIApp:
        """The application behind this gate."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] not in ("http", "websocket"):
                await app(scope, receive, send)
                return
            refusal = await self._judge(scope)
            if refusal is None:
                await app(scope, receive, _with_headers(send))
            elif scope["type"] == "websocket":
                await _refuse_socket(refusal, scope, receive, send)
            else:
                await refusal(scope, receive, _with_headers(send))

        return guarded

    @property
    def visitors(self) -> tuple[Visitor, ...]:
        """Those who came in since the process began."""
        return tuple(self._visitors.values())

    # -- judging -----------------------------------------------------------------------------------------------------

    async def _judge(self, scope: Scope) -> Response | None:
        """None lets the request pass; else the answer."""
        headers = Headers(scope=scope)
        hosts, origins, path = headers.getlist("host"), headers.getlist("origin"), str(scope["path"])
        if len(hosts) != 1 or _name(hosts[0]) not in self._hosts:
            known = ", ".join(sorted(self._hosts))
            return _page(403, "Not this address", f"The console answers under these names only: {html.escape(known)}.")
        if any(origin.partition("://")[2].lower() != hosts[0].lower() for origin in origins):
            return _page(403, "Not from there", "Another site asked for this; the console answers its own pages only.")
        if path not in OPEN_PATHS and not path.startswith(OPEN_FOLDERS):
            return PlainTextResponse("not found", 404)
        visitor = self._visitor(headers)
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        tokens = [value for name, value in query if name == "token"]
        if tokens and scope["type"] == "http" and scope["method"] == "GET" and path in PAGES:
            if len(tokens) != 1 or not secrets.compare_digest(tokens[0].encode(), self._token.encode()):
                await self._slow_down()
                return _page(403, "This token opens nothing here", _CLOSED)
            rest = urlencode([(name, value) for name, value in query if name != "token"])
            return self._open(path + ("?" + rest if rest else ""), visitor, led_here=_led_here(headers))
        if visitor is None:
            return _page(403, "The console is not open for you yet", _CLOSED)
        scope.setdefault("state", {})["visitor"] = visitor
        return None

    def _open(self, address: str, visitor: Visitor | None, *, led_here: bool) -> Response:
        identity = secrets.token_hex(16) if visitor is None else visitor.id
        answer = Response(status_code=303, headers={"location": address, "cache-control": "no-store"})
        if led_here:  # no browser would send a strict cookie behind such a redirect: our own page leads on
            page = _ON.format(address=html.escape(address, quote=True))
            answer = HTMLResponse(page, headers={"cache-control": "no-store"})
        answer.set_cookie(
            self.cookie,
            f"{identity}.{self._sign(identity)}",
            httponly=True,
            secure=self._secure,
            samesite="strict",
            path="/",
        )
        return answer

    async def _slow_down(self) -> None:
        now = self._clock()
        self._wrong.append(now)
        if len(self._wrong) > SLOW_AFTER and now - self._wrong[0] < 60.0:
            if now - self._warned > 60.0:
                self._warned = now
                log.warning("more than %d wrong tokens within a minute", SLOW_AFTER)
            await asyncio.sleep(SLOW)

    def _visitor(self, headers: Headers) -> Visitor | None:
        for line in headers.getlist("cookie"):
            identity, _, signature = cookie_parser(line).get(self.cookie, "").partition(".")
            if _ID.fullmatch(identity) and secrets.compare_digest(signature.encode(), self._sign(identity).encode()):
                return self._known(identity)
        return None

    def _known(self, identity: str) -> Visitor:
        if identity not in self._visitors:
            self._named += 1
            while len(self._visitors) >= MAX_VISITORS:
                del self._visitors[next(iter(self._visitors))]
            name = self._first if self._first and self._named == 1 else f"Operator {self._named}"
            self._visitors[identity] = Visitor(identity, name)
        return self._visitors[identity]

    def _sign(self, text: str) -> str:
        return hmac.new(self._token.encode(), b"console " + text.encode(), hashlib.sha256).hexdigest()


def _led_here(headers: Headers) -> bool:
    """A link on another site, or in a file, led the browser here; a browser that does not tell is taken to say so."""
    browser = "text/html" in headers.get("accept", "")
    return headers.get("sec-fetch-site", "cross-site" if browser else "none") == "cross-site"


def _name(host: str) -> str:
    """A Host header's name without port and brackets."""
    host = host.lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _page(status: int, title: str, text: str) -> Response:
    """Args: text is HTML already."""
    return HTMLResponse(_PAGE.format(title=html.escape(title), text=text), status, {"cache-control": "no-store"})


def _with_headers(send: Send) -> Send:
    """Tell the browser to trust nothing but ourselves. NiceGUI's page needs its inline scripts, and `eval` for Vue."""

    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY.items():
                headers[name] = value
        await send(message)

    return told


SECURITY = {
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
        "media-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


async def _refuse_socket(refusal: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a WebSocket's handshake like any request, so that its client learns the status."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await receive()
        await refusal(scope, receive, send)
    else:
        await WebSocketClose(1008)(scope, receive, send)
