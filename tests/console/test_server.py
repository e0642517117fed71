"""The console's process with real sockets: who is heard, what a flood does, and that a lost page stops the robot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("nicegui", reason="the console needs the extra 'console'")
import contextlib

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from robot_rlhf.console.process import listen
from robot_rlhf.console.video import FRAME_HEAD
from robot_rlhf.console.wire import Press
from robot_rlhf.datatypes import Button, HumanInput
from tests.console.fake_session import PERIOD, FakeSession
from tests.waits import CEILING

BEAT = 0.05


def until(true: Callable[[], bool], seconds: float = CEILING) -> bool:
    """Wait for something; whether it came true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.005)
    return true()


def come_in(session: FakeSession) -> str:
    """A new visitor's cookie."""
    deadline = time.monotonic() + CEILING
    while True:
        try:
            answer = httpx.get(session.open_address, timeout=CEILING)
            assert answer.status_code == 303
            return answer.headers["set-cookie"].partition(";")[0]
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the console does not come up"
            time.sleep(0.05)


def open_socket(session: FakeSession, path: str, cookie: str, **headers: str) -> ClientConnection:
    given = {"cookie": cookie, **headers} if cookie else headers
    return connect(f"ws://127.0.0.1:{session.port}/ws/{path}", additional_headers=given, max_size=None)


class Page:
    """A tab's teleop socket, driven by the test: what the page's script does."""

    def __init__(self, session: FakeSession, cookie: str, *, settle: bool = True) -> None:
        self.session = session
        self.socket = open_socket(session, "teleop", cookie)
        self.seq = 0
        self.offset = 0.0
        self.told: dict[str, Any] = {}
        self.errors: list[str] = []
        self.local: list[str] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        deadline = time.monotonic() + CEILING
        while settle and "ready" not in self.told:  # with beats: it is told in answer to one
            assert time.monotonic() < deadline, "the page is never ready"
            self.hold(seconds=0.4)

    def _read(self) -> None:
        try:
            for message in self.socket:
                said = json.loads(message)
                self.errors += [said["error"]] if "error" in said else []
                self.local += said.get("local", [])
                self.told |= said
        except ConnectionClosed:
            pass

    def say(self, *keys: str, age: float = 0.0) -> None:
        stamp = 1e3 * (time.monotonic() - age + self.offset)
        self.socket.send(json.dumps({"seq": self.seq, "t": stamp, "input": {"keys": list(keys)}}))
        self.seq += 1

    def hold(self, *keys: str, seconds: float) -> None:
        """At once, and at each heartbeat."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.say(*keys)
            time.sleep(BEAT)

    def drive(self, *keys: str) -> None:
        """Hold keys until a person drives; pressed anew where a busy machine's silence let go of them."""
        deadline = time.monotonic() + CEILING
        while True:
            self.hold(seconds=2 * BEAT)
            self.hold(*keys, seconds=0.2)
            if drives(self.session):
                return
            assert time.monotonic() < deadline, f"{keys} never drove: {self.errors}"

    def close(self) -> None:
        self.socket.close()


def drives(session: FakeSession) -> bool:
    """Whether a person drove when the loop last looked."""
    human = session.inputs[-1][1] if session.inputs else None
    return human is not None and human.action is not None


def seconds_to_drive(session: FakeSession, page: Page) -> float:
    """From a key to the robot that acts on it."""
    page.hold(seconds=0.1)
    began = time.monotonic()
    page.say("KeyW")
    assert until(lambda: drives(session))
    return time.monotonic() - began


def since(session: FakeSession, when: float) -> list[tuple[float, HumanInput | None]]:
    return [(at, human) for at, human in session.inputs if at >= when]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSession]:
    with FakeSession(tmp_path_factory.mktemp("server") / "journal", size=64, time_limit=100_000) as session:
        yield session


@pytest.fixture(scope="module")
def operator(session: FakeSession) -> str:
    """Cookie of the first visitor, who has the seat."""
    cookie = come_in(session)
    Page(session, cookie, settle=False).close()
    return cookie


def opened(session: FakeSession, operator: str) -> Page:
    """The operator's page, with the robot going on."""
    session.link._take(Press(Button.RELEASE))
    session.link._take(Press(Button.RESUME))
    return Page(session, operator)


@pytest.fixture
def page(session: FakeSession, operator: str) -> Iterator[Page]:
    page = opened(session, operator)
    yield page
    page.close()


def test_the_real_application_is_behind_the_gate(session: FakeSession, operator: str) -> None:
    paths = ("/", "/label", "/review", "/clips/episodes.json", "/static/transport.js", "/_nicegui_ws/socket.io/?EIO=4")
    with httpx.Client(base_url=session.address, timeout=CEILING) as client:
        script = client.get("/", headers={"cookie": operator}).text.partition("/_nicegui/")[2].partition('"')[0]
        for path in (*paths, f"/_nicegui/{script}"):
            assert client.get(path).status_code == 403, path
            assert client.get(path, headers={"cookie": operator, "host": "evil.example"}).status_code == 403, path
            assert client.get(path, headers={"cookie": operator, "origin": "http://evil.example"}).status_code == 403
        for path in (*paths[:-1], f"/_nicegui/{script}"):
            assert client.get(path, headers={"cookie": operator}).status_code == 200, path
        for path in ("/docs", "/redoc", "/openapi.json", "/nothing"):
            assert client.get(path, headers={"cookie": operator}).status_code == 404, path
        assert client.get("/?token=wrong").status_code == 403


@pytest.mark.parametrize("path", ["video", "teleop"])
def test_sockets_are_behind_the_gate(session: FakeSession, operator: str, path: str) -> None:
    for cookie, headers in (("", {}), (operator + "0", {}), (operator, {"origin": "http://evil.example"})):
        with pytest.raises(InvalidStatus) as refused:
            open_socket(session, path, cookie, **headers)
        assert refused.value.response.status_code == 403


def test_keys_drive_within_a_period_or_two(session: FakeSession, page: Page) -> None:
    assert page.told["seat"] is True
    assert page.told["controls"] == {"mode": "hold", "speed": 2, "frame": "camera"}
    assert not drives(session)
    assert until(lambda: seconds_to_drive(session, page) < 0.4)
    page.hold("KeyW", seconds=0.3)
    human = session.inputs[-1][1]
    assert human is not None
    assert human.action is not None
    assert human.action.values[0] < 0, "away from the camera, which faces the robot"
    page.hold(seconds=0.2)
    assert not drives(session)
    assert page.errors == []


def test_what_a_key_changed_of_the_hands_comes_back(session: FakeSession, page: Page) -> None:
    page.say("KeyM")
    page.hold(seconds=0.1)
    page.say("Digit1")
    page.hold(seconds=0.1)
    assert until(lambda: page.local == ["mode", "speed"])
    assert page.told["controls"]["speed"] == 1
    page.say("KeyM", "Digit2")
    page.hold(seconds=0.1)


MALFORMED: list[tuple[str | bytes, str]] = [
    ("no json", "message"),
    ("[]", "message"),
    ("null", "message"),
    ("{}", "message"),
    ('{"seq": 1, "t": 1}', "input"),
    ('{"seq": 1, "t": 1, "input": {}, "more": 1}', "more"),
    ('{"seq": -1, "t": 1, "input": {}}', "message.seq"),
    ('{"seq": true, "t": 1, "input": {}}', "message.seq"),
    ('{"seq": 900000, "t": NaN, "input": {}}', "message.t"),
    ('{"seq": 900000, "t": Infinity, "input": {}}', "message.t"),
    ('{"seq": 900000, "t": "1", "input": {}}', "message.t"),
    ('{"seq": 900000, "t": 1, "input": []}', "page input"),
    ('{"seq": 900000, "t": 1, "input": {"keys": "KeyW"}}', "PageInput.keys"),
    ('{"seq": 900000, "t": 1, "input": {"keys": [1]}}', "PageInput.keys"),
    ('{"seq": 900000, "t": 1, "input": {"sticks": {"x": NaN}}}', "PageInput.sticks"),
    ('{"seq": 900000, "t": 1, "input": {"sticks": {"q": 1}}}', "PageInput.sticks"),
    ('{"seq": 900000, "t": 1, "input": {"pads": [{"axes": [9]}]}}', "PageInput.pads|Pad.axes"),
    ("[" * 16_000, "message"),
    (b"\x00\x01", "message"),
    ('{"seq": 1, "t": 1, "input": {"keys": ["' + "x" * 100_000 + '"]}}', "16384"),
]


def test_malformed_messages_are_answered_and_the_page_stays(session: FakeSession, page: Page) -> None:
    for message, field in MALFORMED:
        page.errors.clear()
        page.socket.send(message)
        if not until(lambda: bool(page.errors), 0.5):
            time.sleep(0.6)  # the same text is told once a second
            page.socket.send(message)
        assert until(lambda: bool(page.errors)), f"no answer to {message[:60]!r}"
        assert any(name in page.errors[0] for name in field.split("|")), f"{page.errors[0]} does not name {field}"
        assert len(page.errors[0]) < 500
        time.sleep(0.02)
    page.say("KeyW")
    assert until(lambda: drives(session)), page.errors
    page.hold(seconds=0.15)


def test_a_message_beyond_all_measure_ends_the_socket_and_leaves_nobody_driving(
    session: FakeSession, operator: str
) -> None:
    def seconds_to_stop() -> float:
        page = opened(session, operator)
        page.drive("KeyW")
        with contextlib.suppress(ConnectionClosed):
            page.socket.send("x" * (3 << 20))
        sent = time.monotonic()
        assert until(lambda: not drives(session))
        took = time.monotonic() - sent
        page.close()
        return took

    assert until(lambda: seconds_to_stop() < 0.5)


def test_a_second_person_watches_may_stop_and_may_take_over(session: FakeSession, operator: str, page: Page) -> None:
    other = Page(session, come_in(session))
    assert other.told["seat"] is False
    assert other.told["operator"] == page.told["you"]
    page.hold("KeyW", seconds=0.2)
    other.say("KeyS")
    assert until(lambda: bool(other.errors))
    assert page.told["you"] in other.errors[0]
    page.drive("KeyW")
    human = session.inputs[-1][1]
    assert human is not None
    assert human.action is not None
    assert human.action.values[0] < 0, "the other's key counts for nothing"
    stops = len(session.stops)
    other.say("KeyX")
    assert until(lambda: len(session.stops) == stops + 1)
    other.say("KeyX")
    other.say()
    time.sleep(0.1)
    assert len(session.stops) == stops + 1, "once per press"
    other.close()


def test_stop_counts_even_when_it_comes_late(session: FakeSession, page: Page) -> None:
    stops = len(session.stops)
    page.say("KeyX", age=3.0)
    assert until(lambda: len(session.stops) == stops + 1)


@pytest.mark.parametrize("how", ["silent", "closed", "aborted"])
def test_a_page_that_vanishes_while_driving_stops_the_robot(session: FakeSession, operator: str, how: str) -> None:
    def seconds_to_stop() -> float:
        page = opened(session, operator)
        page.drive("KeyW")
        lost = session.link.lost
        gone = time.monotonic()
        if how == "closed":
            page.close()
        elif how == "aborted":
            page.socket.socket.close()
        assert until(lambda: not drives(session))
        at, human = next((at, h) for at, h in since(session, gone) if h is None or h.action is None)
        assert human is not None
        assert Button.PAUSE in human.buttons
        assert session.link.lost == lost + 1
        time.sleep(0.3)
        assert not any(h is not None and h.action is not None for _, h in since(session, at)), "nothing is handed back"
        assert session.phase.value == "paused"
        page.close()
        return at - gone

    assert until(lambda: seconds_to_stop() < 0.5)


def test_the_seat_of_a_page_closed_while_driving_becomes_free_and_the_robot_stays_paused(
    session: FakeSession, page: Page
) -> None:
    watcher = Page(session, come_in(session))
    assert watcher.told["seat"] is False
    assert watcher.told["operator"]
    page.drive("KeyW")
    page.close()
    assert until(lambda: watcher.told["operator"] == ""), "it is free"
    assert watcher.told["seat"] is False, "and waits for a click"
    assert session.link.operator == ""
    assert session.phase.value == "paused"
    assert not drives(session)
    watcher.close()


def test_after_silence_a_new_press_is_needed(session: FakeSession, page: Page) -> None:
    page.hold("KeyW", seconds=0.2)
    time.sleep(0.4)
    page.hold("KeyW", seconds=0.5)
    assert not drives(session)
    page.hold(seconds=0.1)
    page.drive("KeyW")
    page.hold(seconds=0.1)


def test_a_burst_of_old_messages_drives_nothing(session: FakeSession, page: Page) -> None:
    """A network that holds everything up for 2 s: also the press in it is too old."""
    page.hold(seconds=0.2)
    time.sleep(0.3)
    began = time.monotonic()
    for i in range(30):
        page.say(*(["KeyW"] if i > 10 else []), age=2.0 - i * BEAT)
    time.sleep(0.2)
    page.hold("KeyW", seconds=0.3)
    assert not any(h is not None and h.action is not None for _, h in since(session, began))
    page.hold(seconds=0.4)
    page.drive("KeyW")
    page.hold(seconds=0.1)


@pytest.mark.parametrize("jump", [-100.0, 100.0])
def test_a_jump_of_the_page_s_clock_locks_nobody_out(session: FakeSession, page: Page, jump: float) -> None:
    page.hold(seconds=0.3)
    page.offset = jump
    page.hold(seconds=0.7)
    page.say("KeyW")
    assert until(lambda: drives(session)), page.errors
    page.hold(seconds=0.1)


def test_of_two_tabs_the_one_in_use_counts(session: FakeSession, operator: str, page: Page) -> None:
    second = Page(session, operator)
    beating = threading.Event()

    def idle() -> None:
        while not beating.is_set():
            second.say()
            time.sleep(BEAT)

    thread = threading.Thread(target=idle)
    thread.start()
    began = time.monotonic()
    try:
        page.hold("KeyW", seconds=0.6)
    finally:
        beating.set()
        thread.join()
    drove = [h is not None and h.action is not None for at, h in since(session, began + 0.15) if at < began + 0.6]
    assert all(drove), "the idle tab's empty hands change nothing"
    page.hold(seconds=0.1)
    page.close()
    second.hold(seconds=0.1)
    second.drive("KeyS")
    second.hold(seconds=0.1)
    assert session.phase.value == "running"
    second.close()


class Watcher:
    """A page's video socket that acknowledges at once unless told to wait."""

    def __init__(self, session: FakeSession, cookie: str) -> None:
        self.socket = open_socket(session, "video", cookie)
        self.number = 0

    def situation(self) -> tuple[dict[str, Any], list[tuple[int, float, int, bytes]]]:
        said = json.loads(self.socket.recv(timeout=CEILING))
        pictures: list[tuple[int, float, int, bytes]] = []
        for _ in range(said.get("pictures", 0)):
            data = self.socket.recv(timeout=CEILING)
            assert isinstance(data, bytes)
            camera, age, number = FRAME_HEAD.unpack_from(data)
            pictures.append((camera, age, number, data[FRAME_HEAD.size :]))
        self.number = said.get("number", self.number)
        return said, pictures

    def ack(self) -> None:
        self.socket.send(b"\x01")

    def rate(self, seconds: float) -> float:
        """Situations per second."""
        count, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            self.situation()
            self.ack()
            count += 1
        return count / seconds


def test_pictures_come_with_their_situation(session: FakeSession, operator: str) -> None:
    watcher = Watcher(session, operator)
    last = 0
    ages: list[float] = []
    while len(ages) < 10 or max(ages[-10:]) >= 200:  # ms; a busy machine may take its time to five in a row
        assert len(ages) < 1000
        said, pictures = watcher.situation()
        assert said["cameras"] == ["front", "wrist"]
        assert said["present"]["instruction"] == "lift the cube"
        assert [camera for camera, _, _, _ in pictures] == [0, 1]
        assert {number for _, _, number, _ in pictures} == {said["number"]}
        assert said["number"] > last
        assert all(jpeg[:3] == b"\xff\xd8\xff" and age >= 0 for _, age, _, jpeg in pictures)
        ages += [age for _, age, _, _ in pictures]
        last = said["number"]
        watcher.ack()
    watcher.socket.close()


def test_a_slow_page_gets_the_newest_and_slows_nobody(session: FakeSession, operator: str) -> None:
    slow, quick = Watcher(session, operator), Watcher(session, operator)
    slow.situation()
    first = slow.number
    assert until(lambda: quick.rate(1.5) > 0.8 / PERIOD)
    with pytest.raises(TimeoutError):
        slow.socket.recv(timeout=0.01)
    slow.ack()
    slow.situation()
    assert slow.number >= quick.number > first + 25, "the newest, not the next"

    def age() -> float:
        """Of the picture that comes when the one before is painted, ms."""
        slow.ack()
        return slow.situation()[1][0][1]

    assert until(lambda: age() < 150)
    slow.socket.close()
    quick.socket.close()


def test_a_flood_delays_nobody(session: FakeSession, operator: str, page: Page) -> None:
    flooder = Page(session, come_in(session))
    watcher = Watcher(session, operator)
    stop = threading.Event()
    sent = [0]

    def flood() -> None:
        began = time.monotonic()
        while not stop.is_set():
            flooder.say()
            sent[0] += 1
            time.sleep(max(0.0, began + sent[0] / 1000.0 - time.monotonic()))

    thread = threading.Thread(target=flood)
    flooded = time.monotonic()
    thread.start()
    try:
        assert until(lambda: sorted(seconds_to_drive(session, page) for _ in range(5))[2] < 0.15)
        page.hold(seconds=0.1)
        assert until(lambda: watcher.rate(1.0) > 0.7 / PERIOD)
        assert until(lambda: sent[0] > 800)
    finally:
        stop.set()
        thread.join()
    lasted = time.monotonic() - flooded
    assert until(lambda: bool(flooder.errors))
    assert len(flooder.errors) <= 2 + lasted, "it is told once a second"
    assert "200 a second" in flooder.errors[0]
    time.sleep(0.3)
    stops = len(session.stops)
    flooder.say("KeyX")
    assert until(lambda: len(session.stops) > stops), "it is still heard"
    flooder.close()
    watcher.socket.close()


def start_again(session: FakeSession, cookie: str) -> httpx.Response:
    """Start the console anew; what it answers as soon as it does."""
    session.start_console()
    deadline = time.monotonic() + CEILING
    while True:
        try:
            return httpx.get(session.address + "/review", headers={"cookie": cookie}, timeout=CEILING)
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the console does not come up again"
            time.sleep(0.05)


def test_a_console_that_is_killed_pauses_and_its_cookies_open_the_next(tmp_path: Path) -> None:
    with FakeSession(tmp_path / "journal", size=32) as session:
        cookie = come_in(session)

        def seconds_to_pause() -> float:
            assert session.console is not None
            if session.console.poll() is not None:  # too late once, on a busy machine
                start_again(session, cookie)
            opened(session, cookie).drive("KeyW")
            killed = time.monotonic()
            session.console.send_signal(signal.SIGKILL)
            session.console.wait(timeout=CEILING)
            assert until(lambda: not drives(session))
            at, human = next((at, h) for at, h in since(session, killed) if h is None or h.action is None)
            assert human is not None
            assert Button.PAUSE in human.buttons
            return at - killed

        assert until(lambda: seconds_to_pause() < 0.5)
        assert until(lambda: session.inputs[-1][1] is None)
        assert session.phase.value == "paused"
        assert start_again(session, cookie).status_code == 200
        again = Page(session, cookie)
        assert again.told["seat"] is True
        again.drive("KeyW")

        # The robot's process goes: pages are told, and the console ends by itself, not by the terminal's Ctrl-C.
        watcher = Watcher(session, cookie)
        watcher.situation()
        watcher.ack()
        assert session.console is not None
        session.console.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert session.console.poll() is None
        session.link.disconnect()
        told = False
        for _ in range(5):
            said, _ = watcher.situation()
            if told := bool(said.get("ended")):
                break
            watcher.ack()
        assert told
        assert session.console.wait(timeout=CEILING) == 0


def test_a_recorded_session_is_reviewed_and_labelled_without_a_robot(tmp_path: Path) -> None:
    with FakeSession(tmp_path / "journal", size=32, time_limit=10) as session:
        assert until(lambda: len(session._outcomes) >= 1)
        settings = session.settings()
    listening = listen("127.0.0.1", 0)
    session.port = listening.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "robot_rlhf.console"],
        stdin=subprocess.PIPE,
        text=True,
        pass_fds=(listening.fileno(),),
        cwd=Path(__file__).parents[2],
    )
    try:
        assert process.stdin is not None
        process.stdin.write(replace(settings, listen=listening.fileno()).to_json() + "\n")
        process.stdin.close()
        cookie = come_in(session)
        answer = httpx.get(session.address + "/", headers={"cookie": cookie}, timeout=CEILING)
        assert answer.status_code in (303, 307)
        assert answer.headers["location"] == "/review"
        assert httpx.get(session.address + "/review", headers={"cookie": cookie}, timeout=CEILING).status_code == 200
        found = httpx.get(session.address + "/clips/episodes.json", headers={"cookie": cookie}, timeout=CEILING).json()
        assert len(found["episodes"]) >= 1
        with pytest.raises((InvalidStatus, ConnectionClosed)):
            open_socket(session, "teleop", cookie).recv(timeout=CEILING)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=CEILING) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        listening.close()


def test_settings_that_cannot_hold_end_the_process_with_a_message(tmp_path: Path) -> None:
    for text in ("no json", json.dumps({"journal": str(tmp_path), "token": "x", "unknown": 1})):
        done = subprocess.run(
            [sys.executable, "-m", "robot_rlhf.console"],
            input=text + "\n",
            capture_output=True,
            text=True,
            timeout=CEILING,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            check=False,
        )
        assert done.returncode == 2
        assert "console settings" in done.stderr
        assert "Traceback" not in done.stderr
