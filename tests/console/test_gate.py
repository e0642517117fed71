"""Who may come in: paths, cookies, tokens, hosts and origins, for pages and for sockets."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import Message, Scope
from starlette.websockets import WebSocket

from robot_rlhf.console.gate import SLOW, SLOW_AFTER, Gate

TOKEN = "correct-horse"
HOST = "127.0.0.1:8801"


async def _page(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"hello {request.state.visitor.name}")


async def _socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(socket.state.visitor.name)
    await socket.close()


class House:
    """An application behind a gate."""

    def __init__(self, token: str = TOKEN, hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "::1")) -> None:
        self.gate = Gate(token, hosts)
        inside = Starlette(
            routes=[
                Route("/{path:path}", _page, methods=["GET", "POST", "DELETE"]),
                WebSocketRoute("/{path:path}", _socket),
            ]
        )
        self.app = self.gate.guard(inside)

    def ask(self, path: str, *, method: str = "GET", cookie: str = "", **headers: str) -> httpx.Response:
        given = {"host": HOST, **({"cookie": cookie} if cookie else {}), **headers}
        raw = [(name.encode(), value.encode()) for name, value in given.items()]

        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
                return await client.request(method, path, headers=raw)

        return asyncio.run(go())

    def cookie(self) -> str:
        return self.ask(f"/?token={TOKEN}").headers["set-cookie"].partition(";")[0]

    def socket(self, path: str, headers: list[tuple[bytes, bytes]]) -> list[dict[str, Any]]:
        """What a WebSocket's client is sent."""
        sent: list[dict[str, Any]] = []
        scope: Scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"token=" + TOKEN.encode(),
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8801),
            "subprotocols": [],
            "state": {},
            "extensions": {"websocket.http.response": {}},
        }

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            sent.append(dict(message))

        asyncio.run(self.app(scope, receive, send))  # pyright: ignore[reportArgumentType]
        return sent


@pytest.fixture
def house() -> House:
    return House()


OPEN = ["/", "/label", "/review", "/clips/x/front/3.jpg", "/static/console.css", "/_nicegui/3/a.js", "/_nicegui_ws/s"]
SHUT = ["/docs", "/openapi.json", "/redoc", "/admin", "/static", "/clip/x", "/labels", "/_nicegui", "/../etc"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", OPEN)
def test_nothing_is_open_without_the_cookie(house: House, path: str, method: str) -> None:
    answer = house.ask(path, method=method)
    assert answer.status_code == 403
    assert "address that the session printed" in answer.text
    assert "hello" not in answer.text


@pytest.mark.parametrize("path", OPEN)
def test_the_cookie_opens(house: House, path: str) -> None:
    cookie = house.cookie()
    assert house.ask(path, cookie=cookie).text == "hello Operator 1"
    assert house.ask(path, cookie=f"other=1; {cookie}").text == "hello Operator 1"
    assert house.ask(path, cookie=cookie, origin=f"http://{HOST}").status_code == 200


@pytest.mark.parametrize("path", SHUT)
def test_nothing_else_exists(house: House, path: str) -> None:
    assert house.ask(path).status_code == 404
    assert house.ask(path, cookie=house.cookie()).status_code == 404
    assert house.ask(f"{path}?token={TOKEN}").status_code == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8801", "127.0.0.1.evil.example", "", "127.0.0.2", "[::2]"]
)
def test_another_host_is_refused(house: House, host: str) -> None:
    for path in ("/", f"/?token={TOKEN}"):
        assert house.ask(path, cookie=house.cookie(), host=host).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:1", "localhost:8801", "LOCALHOST", "[::1]:8801"])
def test_our_hosts_with_any_port(house: House, host: str) -> None:
    assert house.ask("/", cookie=house.cookie(), host=host).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://127.0.0.1", "http://localhost:8801", ""]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_another_origin_is_refused(house: House, origin: str, method: str) -> None:
    assert house.ask("/", method=method, cookie=house.cookie(), origin=origin).status_code == 403


def test_the_token_is_exchanged_for_a_cookie(house: House) -> None:
    answer = house.ask(f"/review?episode=3&token={TOKEN}&name=a%20b")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/review?episode=3&name=a+b"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/;" in cookie + ";"
    assert TOKEN not in cookie
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"accept": "*/*"}, 303),
        ({"accept": "text/html,*/*", "sec-fetch-site": "none"}, 303),
        ({"accept": "text/html,*/*", "sec-fetch-site": "same-origin"}, 303),
        ({"accept": "text/html,*/*", "sec-fetch-site": "cross-site"}, 200),
        ({"accept": "text/html,*/*"}, 200),
    ],
)
def test_whom_a_link_led_here_our_own_page_leads_on(house: House, headers: dict[str, str], status: int) -> None:
    """Behind a redirect that another site began, a browser sends no strict cookie."""
    answer = house.ask(f'/review?token={TOKEN}&name="><b>', **headers)
    assert answer.status_code == status
    assert "samesite=strict" in answer.headers["set-cookie"].lower()
    assert TOKEN not in answer.text
    if status == 200:
        assert 'content="0; url=/review?name=%22%3E%3Cb%3E"' in answer.text
        assert answer.headers["cache-control"] == "no-store"
    assert house.ask("/review?token=wrong", **headers).status_code == 403


def test_the_cookie_outlives_the_process_and_stays_the_same_visitor(house: House) -> None:
    cookie = house.cookie()
    again = House()
    assert again.ask("/", cookie=cookie).status_code == 200
    renewed = again.ask(f"/?token={TOKEN}", cookie=cookie).headers["set-cookie"]
    assert renewed.startswith(cookie)
    assert House(token="another").ask("/", cookie=cookie).status_code == 403


def test_forged_cookies_open_nothing(house: House) -> None:
    name, _, value = house.cookie().partition("=")
    identity, _, signature = value.partition(".")
    for forged in (
        "",
        identity,
        f"{identity}.",
        f".{signature}",
        f"{'0' * 32}.{signature}",
        f"{identity}.{signature[:-1]}{'0' if signature[-1] != '0' else '1'}",
        f"{identity.upper()}.{signature}",
        f"{identity}.{signature}.{signature}",
        "é" * 40,
    ):
        assert house.ask("/", cookie=f"{name}={forged}").status_code == 403


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", TOKEN[:-1], "%00", "%ff", "é", TOKEN.upper()])
def test_a_wrong_token_opens_nothing_and_says_what_to_do(house: House, token: str) -> None:
    answer = house.ask(f"/?token={token}")
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "address that the session printed" in answer.text
    assert "<h1>" in answer.text
    assert "script" not in answer.text
    assert house.ask(f"/?token={TOKEN}&token={token}").status_code == 403


def test_a_wrong_token_with_the_cookie_opens_nothing_either(house: House) -> None:
    assert house.ask("/?token=wrong", cookie=house.cookie()).status_code == 403


def test_a_token_counts_only_where_a_page_is_asked_for(house: House) -> None:
    assert house.ask(f"/static/a.css?token={TOKEN}").status_code == 403
    assert house.ask(f"/?token={TOKEN}", method="POST").status_code == 403


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the gate let somebody wait, each time; nobody waits."""
    waits: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await real(0)

    monkeypatch.setattr("robot_rlhf.console.gate.asyncio", SimpleNamespace(sleep=sleep))
    return waits


def test_many_wrong_tokens_are_slowed_down(house: House, slept: list[float]) -> None:
    for _ in range(SLOW_AFTER):
        house.ask("/?token=wrong")
    assert slept == []
    house.ask("/?token=wrong")
    assert slept == [SLOW]
    assert house.ask(f"/?token={TOKEN}").status_code == 303
    assert slept == [SLOW], "the right one is not"


def test_after_a_minute_they_are_answered_at_once_again(slept: list[float]) -> None:
    now = [0.0]
    house = House()
    house.gate = Gate(TOKEN, ("127.0.0.1",), clock=lambda: now[0])
    house.app = house.gate.guard(Starlette())
    for _ in range(3 * SLOW_AFTER):
        now[0] += 7.0
        house.ask("/?token=wrong")
    assert slept == []


def test_every_answer_tells_the_browser_what_to_trust(house: House) -> None:
    for answer in (house.ask("/", cookie=house.cookie()), house.ask("/"), house.ask("/docs"), house.ask("/?token=x")):
        headers = answer.headers
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        policy = [part.strip() for part in headers["content-security-policy"].split(";")]
        assert {"default-src 'self'", "frame-ancestors 'none'", "object-src 'none'"} <= set(policy)
        assert "http" not in headers["content-security-policy"]
        assert "*" not in headers["content-security-policy"]


def test_visitors_have_names_of_their_own(house: House) -> None:
    first, second = house.cookie(), house.cookie()
    assert house.ask("/", cookie=first).text == "hello Operator 1"
    assert house.ask("/", cookie=second).text == "hello Operator 2"
    assert house.ask("/", cookie=first).text == "hello Operator 1"
    assert [visitor.name for visitor in house.gate.visitors] == ["Operator 1", "Operator 2"]


@pytest.mark.parametrize("path", ["/ws/video", "/ws/teleop", "/_nicegui_ws/socket.io/"])
def test_sockets_pass_the_same_gate(house: House, path: str) -> None:
    host, cookie = (b"host", HOST.encode()), (b"cookie", house.cookie().encode())

    def status(*headers: tuple[bytes, bytes]) -> int:
        first = house.socket(path, list(headers))[0]
        return 101 if first["type"] == "websocket.accept" else first["status"]

    assert status(host, cookie) == 101
    assert status(host, cookie, (b"origin", f"http://{HOST}".encode())) == 101
    assert status(host) == 403, "not even with the token in the address"
    assert status(host, cookie, (b"origin", b"http://evil.example")) == 403
    assert status((b"host", b"evil.example"), cookie) == 403
    assert status(cookie) == 403
    assert status(host, host, cookie) == 403
    assert house.socket("/elsewhere", [host, cookie])[0]["status"] == 404
