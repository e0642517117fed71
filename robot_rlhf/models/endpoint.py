"""A vision-language model behind an OpenAI-compatible chat-completions endpoint, within limits of time and cost."""

from __future__ import annotations

import base64
import http.client
import json
import logging
import math
import os
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal

import cv2

from robot_rlhf.errors import ConfigError, InvalidValueError, LabelerError
from robot_rlhf.models.chat import Part, Picture, Reply
from robot_rlhf.models.secret import Secret
from robot_rlhf.timing import Clock, MonotonicClock

log = logging.getLogger(__name__)

BUSY = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
"""States of HTTP that pass: worth another try."""
REFUSED = frozenset({400, 413, 415, 422})
"""States of HTTP that are about this one question."""
LONGEST_WAIT = 60.0
"""Seconds between two tries, whatever the endpoint asks for."""
MAX_BYTES = 4 << 20
"""Of an answer."""
CHARACTERS_PER_TOKEN = 4
TOKENS_PER_PICTURE = 1_000
"""What a question is taken to cost where the endpoint does not say."""


class RefusedError(LabelerError):
    """The endpoint will not answer this one question; it may answer others."""


@dataclass(frozen=True)
class EndpointConfig:
    """Where the model is, and how much of it may be used."""

    url: str = "http://localhost:8000/v1"
    """Address up to /chat/completions."""
    model: str = ""
    """Name of the model, as the endpoint knows it."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the API key; it is sent, and never written."""
    request_seconds: float = 60.0
    """Time limit of one try."""
    total_seconds: float = 3600.0
    """Time limit of all questions together, from the first one on."""
    tries: int = 5
    """Of one question, before the endpoint counts as down."""
    backoff: float = 1.0
    """Seconds before the second try; doubled before each further one."""
    max_requests: int = 2_000
    """Cost limit: no request begins after so many."""
    max_tokens: int = 2_000_000
    """Cost limit: no request begins once so many tokens were read and written."""
    answer_tokens: int = 1_024
    """Longest answer."""
    answer_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the endpoint calls the longest answer; OpenAI's newer models want the second."""
    temperature: float | None = 0.0
    """None leaves it out, for models that do not take one."""
    picture_format: Literal["png", "jpeg"] = "png"

    def __post_init__(self) -> None:
        parts = urllib.parse.urlsplit(self.url)
        if "@" in parts.netloc + self.url.partition("/")[0]:
            raise ConfigError("url: holds a password; give it in the environment variable of key_variable")
        if parts.query or parts.fragment:
            raise ConfigError("url: holds a query; allowed: an address up to /chat/completions, the key is sent apart")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"url: got {self.url!r}, allowed: http://... or https://...")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.key_variable):
            raise ConfigError("key_variable: allowed is the name of an environment variable, not the key itself")
        for name in ("request_seconds", "total_seconds", "backoff"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise ConfigError(f"{name}: got {value}, allowed: seconds > 0")
        for name in ("tries", "max_requests", "max_tokens", "answer_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: got {getattr(self, name)}, allowed >= 1")


@dataclass(frozen=True)
class _Response:
    status: int
    headers: Mapping[str, str]
    body: bytes


class _PassingError(Exception):
    """A try failed in a way that may pass."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


class ChatEndpoint:
    """Asks over HTTP. One question at a time; every wait has a deadline."""

    def __init__(self, config: EndpointConfig, clock: Clock | None = None) -> None:
        """Args: clock: by which limits and waits are measured; None for the machine's."""
        if not config.model:
            raise ConfigError("model: got none, allowed: a model's name, as the endpoint knows it")
        self._config = config
        self._clock = clock or MonotonicClock()
        key = os.environ.get(config.key_variable, "").strip()
        if not key.isascii() or not key.isprintable():
            raise ConfigError(f"${config.key_variable}: an API key is made of printable ASCII characters")
        self._key = Secret(key)
        parts = urllib.parse.urlsplit(config.url)
        if self._key and parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            log.warning("%s: the key in $%s is sent unencrypted; use https", config.url, config.key_variable)
        self._began: float | None = None
        self.requests = 0
        """Sent so far, failed tries included."""
        self.tokens = 0
        """Read and written so far; estimated where the endpoint does not say."""

    @property
    def model(self) -> str:
        return self._config.model

    def ask(self, parts: Sequence[Part]) -> Reply:
        """Ask, and ask again while the endpoint is busy, gone, or answers no JSON.

        Raises:
            RefusedError: it will not answer this question.
            LabelerError: it is down, refuses the key, does not know the model, or a limit is reached.
        """
        body = json.dumps(self._request(parts)).encode()
        wait = self._config.backoff
        for number in range(1, self._config.tries + 1):
            try:
                return self._try(parts, body)
            except _PassingError as error:
                if number == self._config.tries:
                    raise LabelerError(f"{self._config.url}: {error}; given up after {number} tries") from error
                pause = min(max(wait, error.wait), LONGEST_WAIT)
                log.warning("%s: %s; try %d in %.0f s", self._config.url, error, number + 1, pause)
                self._clock.sleep_until(self._clock.now() + min(pause, self._time_left()))
                wait *= 2
        raise AssertionError("the last try returns or raises")

    def _request(self, parts: Sequence[Part]) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        for part in parts:
            if isinstance(part, str):
                content.append({"type": "text", "text": part})
            else:
                url = data_url(part, self._config.picture_format)
                content.append({"type": "image_url", "image_url": {"url": url}})
        request: dict[str, Any] = {"model": self._config.model, "messages": [{"role": "user", "content": content}]}
        request[self._config.answer_tokens_field] = self._config.answer_tokens
        if self._config.temperature is not None:
            request["temperature"] = self._config.temperature
        return request

    def _time_left(self) -> float:
        if self._began is None:
            self._began = self._clock.now()
        return max(self._began + self._config.total_seconds - self._clock.now(), 0.0)

    def _check_limits(self) -> None:
        config = self._config
        if self._time_left() <= 0:
            raise LabelerError(f"the time limit of {config.total_seconds:g} s for all questions is reached")
        if self.requests >= config.max_requests:
            raise LabelerError(f"the cost limit of {config.max_requests} requests is reached")
        if self.tokens >= config.max_tokens:
            raise LabelerError(f"the cost limit of {config.max_tokens} tokens is reached ({self.tokens} used)")

    def _try(self, parts: Sequence[Part], body: bytes) -> Reply:
        self._check_limits()
        self.requests += 1
        began = self._clock.now()
        response = self._post(body, min(self._config.request_seconds, self._time_left()))
        self._check_status(response)
        try:
            answer = json.loads(response.body)
            text = self._key.masked(_text(answer["choices"][0]["message"]["content"]))
        except (ValueError, KeyError, IndexError, TypeError, RecursionError):
            raise _PassingError(
                f"answers something else than a chat completion: {self._quote(response.body)}"
            ) from None
        usage = answer.get("usage")
        asked = _count(usage, "prompt_tokens", _estimated(parts))
        answered = _count(usage, "completion_tokens", _estimated([text]))
        self.tokens += asked + answered
        return Reply(text, asked, answered, self._clock.now() - began)

    def _check_status(self, response: _Response) -> None:
        status = response.status
        if status == 200:
            return
        said = f"HTTP {status}: {self._quote(response.body)}"
        if status in BUSY:
            raise _PassingError(said, _seconds(response.headers.get("retry-after", "")))
        if status in REFUSED:
            raise RefusedError(f"{self._config.url}: {said}")
        if status in (401, 403):
            variable = self._config.key_variable
            key = f"the key in ${variable}" if self._key else f"without a key; set ${variable}"
            raise LabelerError(f"{self._config.url}: refuses {key} ({said})")
        if status == 404:
            raise LabelerError(f"{self._config.url}: no model {self.model!r}, or no /chat/completions here ({said})")
        if 300 <= status < 400:
            where = response.headers.get("location", "elsewhere")
            raise LabelerError(f"{self._config.url}: redirects to {self._key.masked(where)}; give that address instead")
        raise LabelerError(f"{self._config.url}: {said}")

    def _post(self, body: bytes, seconds: float) -> _Response:
        """One request, in a thread of its own, so that name lookup and dripping bytes have a deadline too."""
        headers = {"Content-Type": "application/json", "User-Agent": "robot-rlhf"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key.value}"
        request = urllib.request.Request(self._config.url.rstrip("/") + "/chat/completions", body, headers)
        future: Future[_Response] = Future()
        threading.Thread(target=_fetch, args=(request, seconds, future), name="chat", daemon=True).start()
        try:
            return future.result(timeout=seconds)
        except TimeoutError:
            raise _PassingError(f"no answer within {seconds:.3g} s") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            if isinstance(reason, TimeoutError):
                raise _PassingError(f"no answer within {seconds:.3g} s") from None
            raise _PassingError(self._key.masked(f"cannot be reached ({reason})")) from None

    def _quote(self, body: bytes) -> str:
        """What the endpoint said, short, on one line, and without the key."""
        try:
            said = json.loads(body)
            error = said["error"] if isinstance(said, dict) and "error" in said else said
            text = str(error["message"] if isinstance(error, dict) and "message" in error else error)
        except (ValueError, RecursionError):
            text = body.decode("utf-8", "replace")
        text = " ".join(self._key.masked(text).split())
        return repr(text[:200] + ("..." if len(text) > 200 else ""))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another host."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> None:
        return None


def _fetch(request: urllib.request.Request, seconds: float, future: Future[_Response]) -> None:
    opener = urllib.request.build_opener(_NoRedirect())
    try:
        try:
            response = opener.open(request, timeout=seconds)
        except urllib.error.HTTPError as error:  # an answer with another state than 2xx
            response = error
        with response:
            body = response.read(MAX_BYTES + 1)
            if len(body) > MAX_BYTES:
                raise ValueError(f"answers more than {MAX_BYTES >> 20} MB")
            headers = {name.lower(): value for name, value in response.headers.items()}
            future.set_result(_Response(int(response.status or 0), headers, body))
    except (OSError, http.client.HTTPException, ValueError) as error:
        future.set_exception(error)


def data_url(picture: Picture, kind: Literal["png", "jpeg"] = "png") -> str:
    """A picture as base64 in a data: URL.

    Raises:
        InvalidValueError: not uint8 (H, W, 3).
    """
    if picture.dtype != "uint8" or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise InvalidValueError("picture", f"{picture.dtype} {picture.shape}", "uint8 (H, W, 3)")
    ok, data = cv2.imencode(f".{kind}", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not ok:
        raise InvalidValueError("picture", f"shape {picture.shape}", f"a picture that {kind} can hold")
    return f"data:image/{kind};base64,{base64.b64encode(data.tobytes()).decode()}"


def _text(content: Any) -> str:
    """An answer's text: a string, or a list of parts of which some are text. Raises TypeError for anything else."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part["text"]) for part in content if part.get("type") == "text")
    raise TypeError("no text")


def _count(usage: Any, name: str, otherwise: int) -> int:
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else otherwise


def _estimated(parts: Sequence[Part]) -> int:
    return sum(
        math.ceil(len(part) / CHARACTERS_PER_TOKEN) if isinstance(part, str) else TOKENS_PER_PICTURE for part in parts
    )


def _seconds(text: str) -> float:
    """Of a Retry-After header; 0 for a date, or nonsense."""
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0
