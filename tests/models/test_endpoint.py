"""The chat endpoint against a real server that is good, slow, broken, and dishonest."""

from __future__ import annotations

import base64
import json
import logging
import socket
import time
import urllib.parse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from robot_rlhf.errors import ConfigError, InvalidValueError, LabelerError
from robot_rlhf.models.chat import ReplayedChat, Transcript
from robot_rlhf.models.endpoint import MAX_BYTES, ChatEndpoint, EndpointConfig, RefusedError, data_url
from robot_rlhf.timing import FakeClock
from tests.models.chat_server import Json, Play, refused, said, serving

KEY = "sk-very-secret-123"
PICTURE = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def endpoint(url: str, clock: FakeClock | None = None, **settings: Any) -> ChatEndpoint:
    config = EndpointConfig(**{"url": url, "model": "small", "key_variable": "TEST_KEY", "tries": 3} | settings)
    return ChatEndpoint(config, clock or FakeClock())


def test_asks_what_the_protocol_says() -> None:
    with serving(said("fine", {"prompt_tokens": 70, "completion_tokens": 5})) as server:
        chat = endpoint(server.url + "/", answer_tokens=9)
        reply = chat.ask(["look:", PICTURE, "what is it?"])
    assert (reply.text, reply.prompt_tokens, reply.answer_tokens) == ("fine", 70, 5)
    assert (chat.requests, chat.tokens) == (1, 75)
    assert server.paths == ["/v1/chat/completions"]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    asked = server.requests[0]
    (message,) = asked.pop("messages")
    assert asked == {"model": "small", "max_tokens": 9, "temperature": 0.0}
    assert message["role"] == "user"
    first, picture, last = message["content"]
    assert (first, last) == ({"type": "text", "text": "look:"}, {"type": "text", "text": "what is it?"})
    head, _, data = picture["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    bgr = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    np.testing.assert_array_equal(bgr[:, :, ::-1], PICTURE)


def test_other_dialects() -> None:
    settings = {"answer_tokens_field": "max_completion_tokens", "temperature": None, "picture_format": "jpeg"}
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "LE"}, {"type": "text", "text": "FT"}]
    with serving(said(parts)) as server:
        assert endpoint(server.url, key_variable="NO_SUCH_KEY", **settings).ask([PICTURE]).text == "LEFT"
    asked = server.requests[0]
    assert asked["max_completion_tokens"] == 1024
    assert not {"temperature", "max_tokens"} & set(asked)
    assert asked["messages"][0]["content"][0]["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert "Authorization" not in server.headers[0]


@pytest.mark.parametrize(
    "bad",
    [
        refused(500),
        refused(429, "slow down"),
        refused(503),
        Play(b"<html>starting</html>"),
        Play(b'{"choices": []}'),
        Play(b'{"choices": [{"message": {"content": null}}]}'),
        Play(b"[" * 100_000),
        Play(b'{"choi'),
        Play(hang_up=True),
        Play(b"x" * (MAX_BYTES + 1)),
    ],
)
def test_tries_again_and_then_knows(bad: Play, caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    with serving(bad, bad, said("at last")) as server, caplog.at_level(logging.WARNING):
        assert endpoint(server.url, clock).ask(["?"]).text == "at last"
    assert len(server.requests) == 3
    assert clock.now() == 3.0, "waits of 1 and 2 s"
    assert "try 2 in 1 s" in caplog.text


def test_waits_as_long_as_it_is_asked_to() -> None:
    clock = FakeClock()
    with serving(refused(429, Retry_After="7"), refused(429, Retry_After="1e9"), said("ok")) as server:
        assert endpoint(server.url, clock).ask(["?"]).text == "ok"
    assert clock.now() == 7 + 60, "but not for 30 years"


def test_gives_up_with_the_last_reason() -> None:
    told = r"HTTP 500: 'out of memory'; given up after 3 tries"
    with serving(refused(500, "out of\nmemory")) as server, pytest.raises(LabelerError, match=told):
        endpoint(server.url).ask(["?"])
    assert len(server.requests) == 3


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listening
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(LabelerError, match=r"cannot be reached \(.*refused.*\); given up after 3 tries"):
            endpoint(url).ask(["?"])


@pytest.mark.parametrize("slow", [Play(delay=30), Play(b"{" + b" " * 500, drip=0.05)], ids=["silent", "dripping"])
def test_a_slow_answer_is_not_waited_for(slow: Play) -> None:
    began = time.monotonic()
    with serving(slow) as server:
        with pytest.raises(LabelerError, match=r"no answer within 0\.2 s; given up after 2 tries"):
            endpoint(server.url, request_seconds=0.2, tries=2).ask(["?"])
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("play", "said_to_people"),
    [
        (
            refused(401, f"Incorrect API key: {KEY}"),
            r"refuses the key in \$TEST_KEY \(HTTP 401: 'Incorrect API key: \*\*\*'",
        ),
        (refused(404, "no model small"), "no model 'small', or no /chat/completions here"),
        (refused(302, Location="http://elsewhere/v1"), "redirects to http://elsewhere/v1; give that address"),
        (refused(402, "no money left"), "HTTP 402: 'no money left'"),
    ],
)
def test_what_will_not_pass_is_said_at_once(play: Play, said_to_people: str) -> None:
    with serving(play) as server, pytest.raises(LabelerError, match=said_to_people):
        endpoint(server.url).ask(["?"])
    assert len(server.requests) == 1


def test_without_a_key_it_is_said_where_to_put_it() -> None:
    with serving(refused(401)) as server, pytest.raises(LabelerError, match=r"without a key; set \$NO_SUCH_KEY"):
        endpoint(server.url, key_variable="NO_SUCH_KEY").ask(["?"])


def test_one_question_may_be_refused() -> None:
    with serving(refused(400, "picture too small"), said("ok")) as server:
        chat = endpoint(server.url)
        with pytest.raises(RefusedError, match="picture too small"):
            chat.ask(["?"])
        assert chat.ask(["?"]).text == "ok"


def test_limits_of_cost() -> None:
    with serving(said("ok", {"prompt_tokens": 60, "completion_tokens": 0})) as server:
        chat = endpoint(server.url, max_requests=2)
        chat.ask(["?"])
        chat.ask(["?"])
        with pytest.raises(LabelerError, match="cost limit of 2 requests"):
            chat.ask(["?"])
        chat = endpoint(server.url, max_tokens=100)
        chat.ask(["?"])
        chat.ask(["?"])
        with pytest.raises(LabelerError, match=r"cost limit of 100 tokens is reached \(120 used\)"):
            chat.ask(["?"])
    assert len(server.requests) == 4
    with serving(refused(500)) as server, pytest.raises(LabelerError, match="cost limit of 2 requests"):
        endpoint(server.url, max_requests=2, tries=9).ask(["?"])
    assert len(server.requests) == 2, "failed tries cost as well"


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": -3, "completion_tokens": "many"}, {"prompt_tokens": True}]
)
def test_tokens_are_estimated_where_they_are_not_told(usage: Json | None) -> None:
    with serving(said("12345678", usage)) as server:
        chat = endpoint(server.url)
        chat.ask(["1234", PICTURE])
    assert chat.tokens == 1 + 1000 + 2


def test_limit_of_time() -> None:
    clock = FakeClock()
    with serving(said("ok"), refused(500)) as server:
        chat = endpoint(server.url, clock, total_seconds=10, tries=100)
        clock.advance(1000)
        chat.ask(["?"])  # the time begins with the first question
        with pytest.raises(LabelerError, match="time limit of 10 s for all questions"):
            chat.ask(["?"])
    assert clock.now() == 1010


@pytest.mark.parametrize(
    ("settings", "said_to_people"),
    [
        ({"url": "localhost:8000"}, "allowed: http://"),
        ({"url": "file:///etc/passwd"}, "allowed: http://"),
        ({"url": "http://me:secret@host/v1"}, "url: holds a password"),
        ({"url": "ftp://me:secret@host/v1"}, "url: holds a password"),
        ({"url": "me:secret@host/v1"}, "url: holds a password"),
        ({"url": "https://host/v1?key=secret"}, "url: holds a query"),
        ({"key_variable": "sk-secret"}, "key_variable: allowed is the name"),
        ({"model": ""}, "model: got none"),
        ({"tries": 0}, "tries: got 0"),
        ({"request_seconds": float("nan")}, "request_seconds: got nan"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], said_to_people: str) -> None:
    with pytest.raises(ConfigError, match=said_to_people) as caught:
        endpoint(settings.pop("url", "http://localhost/v1"), None, **settings)
    assert "secret" not in str(caught.value)


def test_a_key_with_a_line_break_is_refused_unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "one\ntwo")
    with pytest.raises(ConfigError, match=r"\$TEST_KEY: an API key") as caught:
        endpoint("http://localhost/v1")
    assert "two" not in str(caught.value)


def test_a_key_in_the_open_is_warned_of(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("http://localhost:8000/v1", "https://models.example/v1"):
        endpoint(url)
    assert not caplog.text
    endpoint("http://models.example/v1")
    assert "the key in $TEST_KEY is sent unencrypted" in caplog.text
    assert KEY not in caplog.text
    caplog.clear()
    monkeypatch.delenv("TEST_KEY")
    endpoint("http://models.example/v1")
    assert not caplog.text


def test_only_pictures_are_pictures() -> None:
    wrongs: list[Any] = [PICTURE.astype(np.float32), PICTURE[0], PICTURE[:, :, :2], PICTURE[:0]]
    for wrong in wrongs:
        with pytest.raises(InvalidValueError, match="allowed: uint8"):
            data_url(wrong)


# -- transcripts ------------------------------------------------------------------------------------------------------


def test_a_transcript_answers_for_the_model(tmp_path: Path) -> None:
    path = tmp_path / "transcript.jsonl"
    with serving(said("one «ü»", {"prompt_tokens": 3, "completion_tokens": 2}), said("two"), said("three")) as server:
        chat = Transcript(endpoint(server.url), path)
        replies = [chat.ask(["a", PICTURE]), chat.ask(["a", PICTURE]), chat.ask(["b"])]
    text = path.read_text(encoding="utf-8")
    assert KEY not in text
    assert "base64" not in text
    first = json.loads(text.splitlines()[0])
    assert set(first) == {"model", "request", "answer", "prompt_tokens", "answer_tokens", "seconds"}
    assert first["request"][0] == "a"
    assert len(first["request"][1]["picture"]) == 64
    again = ReplayedChat(path)
    assert again.model == "small"
    assert [again.ask(["a", PICTURE]).text, again.ask(["b"]).text] == [replies[0].text, "three"]
    assert [again.ask(["a", PICTURE.copy()]).text for _ in range(2)] == ["two", "two"]
    assert ReplayedChat(path).ask(["a", PICTURE]).prompt_tokens == 3
    other = PICTURE.copy()
    other[0, 0, 0] ^= 1
    with pytest.raises(LabelerError, match="not in the transcript"):
        again.ask(["a", other])


def test_an_endpoint_that_tells_the_key_finds_it_masked_wherever_its_words_go(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    header = f"Bearer {KEY}"
    told = f"{header}; {urllib.parse.quote(header, safe='')}; {base64.b64encode(header.encode()).decode()}; left"
    broken = f"{KEY[:7]}\n{KEY[7:]}"
    cut = "x" * 990 + KEY  # the quotation must not end within the key before it is masked
    path = tmp_path / "transcript.jsonl"
    with serving(said(told), said(broken), Play(cut.encode()), said("ok"), refused(401, told)) as server:
        chat = Transcript(endpoint(server.url), path)
        replies = [chat.ask(["a"]).text, chat.ask(["b"]).text, chat.ask(["c"]).text]
        with pytest.raises(LabelerError) as caught:
            chat.ask(["d"])
    assert replies[0].startswith("Bearer ***; Bearer%20***; ")
    assert replies[0].endswith("; left")
    assert replies[1:] == ["***", "ok"]
    everything = path.read_text() + str(caught.value) + caplog.text + "".join(capsys.readouterr()) + "".join(replies)
    for part in (KEY, KEY[:9], KEY[9:], urllib.parse.quote(KEY), base64.b64encode(KEY.encode()[:9]).decode()):
        assert part not in everything
    for shift in range(3):
        assert base64.b64encode(KEY.encode()[shift : shift + 9]).decode() not in everything


def test_only_its_owner_reads_a_transcript(tmp_path: Path) -> None:
    path = tmp_path / "transcript.jsonl"
    with serving(said("one"), said("two")) as server:
        chat = Transcript(endpoint(server.url), path)
        chat.ask(["a"])
        assert path.stat().st_mode & 0o777 == 0o600
        path.chmod(0o644)  # one of an older version
        chat.ask(["b"])
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_text().splitlines()) == 2


def test_a_transcript_survives_a_crash_but_not_nonsense(tmp_path: Path) -> None:
    path = tmp_path / "transcript.jsonl"
    with serving(said("one")) as server:
        Transcript(endpoint(server.url), path).ask(["a"])
    whole = path.read_text()
    path.write_text(whole + whole[:30])
    assert ReplayedChat(path).ask(["a"]).text == "one"
    path.write_text(whole[:30] + "\n" + whole)
    with pytest.raises(ConfigError, match="line 1: not a line of a transcript"):
        ReplayedChat(path)
    path.write_text(whole + whole.replace('"small"', '"large"'))
    with pytest.raises(ConfigError, match="a transcript of 2 models"):
        ReplayedChat(path)
    with pytest.raises(ConfigError, match="no transcript that can be read"):
        ReplayedChat(tmp_path / "none")
