"""The socket of a page's microphone: sound in while a key is held, words out, and a sentence to the robot.

A page sends {"say": "begin", "rate": samples per second, "ago": seconds since the key went down}, then sound as binary
messages (one channel, little-endian int16), then {"say": "end"} or {"say": "cancel"}. It is told {"state": ...}:
'listening', 'understanding', 'heard' and 'unsure' with `text`, 'nothing' or 'refused' with `why`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import reprlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from robot_rlhf.console.desk import Desk, NotTheOperatorError, Visitor
from robot_rlhf.console.freshness import Budget
from robot_rlhf.console.listener import Listener
from robot_rlhf.errors import InvalidValueError, RobotRlhfError
from robot_rlhf.language.ears import HIGHEST_RATE, LOWEST_RATE, MAX_SECONDS

MAX_TEXT = 1_000
"""Characters of one text message."""
MAX_SOUND = 64 * 1024
"""Bytes of one message of sound."""
RATE, BURST = 100.0, 60
"""Messages per second that a page is heard with in the long run, and at once."""
WAITING = 2
"""Sentences of one page that may be waiting to be understood; the next is refused."""
MAX_AGO = 60.0
NO_WORDS = "no words were heard: hold the key while you speak"


@dataclass
class Utterance:
    """What is being said."""

    rate: int
    began: float
    """Clock time, seconds, when the key went down."""
    sound: bytearray = field(default_factory=bytearray)

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.sound) / 2 / self.rate


class Microphone:
    """One page's microphone."""

    def __init__(
        self, socket: WebSocket, visitor: Visitor, desk: Desk, listener: Listener, sure: float, now: Callable[[], float]
    ) -> None:
        self._socket = socket
        self._visitor = visitor
        self._desk = desk
        self._listener = listener
        self._sure = sure
        self._now = now
        self._budget = Budget(RATE, BURST)
        self._saying: Utterance | None = None
        self._refused = False
        """What follows, up to the next beginning, belongs to something that was refused already."""
        self._understanding: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Until the page is gone; what was not understood by then is dropped."""
        try:
            while (message := await self._socket.receive())["type"] == "websocket.receive":
                if not self._budget.take(self._now()):
                    if not self._refused:
                        await self._refuse(f"more than {RATE:.0f} messages a second: the sentence was dropped")
                    await asyncio.sleep(0)  # a flood must not keep the others waiting
                    continue
                try:
                    await self._take(message)
                except RobotRlhfError as error:
                    await self._refuse(str(error))
        finally:
            for task in self._understanding:
                task.cancel()
            await asyncio.gather(*self._understanding, return_exceptions=True)

    async def _take(self, message: Any) -> None:
        sound = message.get("bytes")
        if sound is not None:
            self._listen(sound)
            return
        said = parse(message.get("text") or "")
        if said["say"] == "begin":
            await self._begin(said)
        elif said["say"] == "cancel":
            self._saying = None
            await self._tell("cancelled")
        else:
            await self._finish()

    async def _begin(self, said: dict[str, Any]) -> None:
        self._saying, self._refused = None, False
        if not self._desk.sits(self._visitor):
            raise NotTheOperatorError("only who has the operator's seat speaks to the robot: take it first")
        if len(self._understanding) >= WAITING:
            raise InvalidValueError("sentence", "one more", f"at most {WAITING} that wait to be understood: wait a bit")
        self._saying = Utterance(said["rate"], self._now() - said["ago"])
        await self._tell("listening")

    def _listen(self, sound: bytes) -> None:
        if self._saying is None:
            if self._refused:
                return
            raise InvalidValueError("sound", "some", "none before a message 'begin'")
        if len(sound) % 2 or len(sound) > MAX_SOUND:
            raise InvalidValueError(
                "sound", f"{len(sound)} bytes", f"whole samples of 16 bits, at most {MAX_SOUND} bytes in a message"
            )
        self._saying.sound += sound
        if self._saying.seconds > MAX_SECONDS:
            raise InvalidValueError("sound", "a longer one", f"sentences of at most {MAX_SECONDS:g} s: say it shorter")

    async def _finish(self) -> None:
        saying, self._saying = self._saying, None
        if saying is None:
            if self._refused:
                return
            raise InvalidValueError("say", "end", "only behind 'begin'")
        await self._tell("understanding")
        task = asyncio.create_task(self._understand(saying))
        self._understanding.add(task)
        task.add_done_callback(self._understanding.discard)

    async def _understand(self, saying: Utterance) -> None:
        try:
            heard = await self._listener.hear(bytes(saying.sound), saying.rate)
            ago = self._now() - saying.began
            if not heard.text:
                await self._tell("nothing", why=NO_WORDS)
            elif heard.confidence < self._sure:
                await self._tell("unsure", text=heard.text, confidence=round(heard.confidence, 3), ago=round(ago, 3))
            else:
                await self._tell("heard", text=heard.text, confidence=round(heard.confidence, 3))
                self._desk.speak(self._visitor, heard.text, ago)
        except RobotRlhfError as error:
            await self._tell("refused", why=str(error))

    async def _refuse(self, why: str) -> None:
        self._saying, self._refused = None, True
        await self._tell("refused", why=why)

    async def _tell(self, state: str, **fields: Any) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.send_text(json.dumps({"state": state, **fields}, separators=(",", ":")))


class Microphones:
    """All pages' microphones, and the recogniser behind them."""

    def __init__(
        self, desk: Desk, listener: Listener, *, sure: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Args: sure: confidence from which words are sent at once; clock: steady seconds."""
        self.listener = listener
        self._desk = desk
        self._sure = sure
        self._clock = clock

    async def serve(self, socket: WebSocket, visitor: Visitor) -> None:
        """One page's microphone, until it is gone."""
        await socket.accept()
        await Microphone(socket, visitor, self._desk, self.listener, self._sure, self._clock).serve()


def parse(text: str) -> dict[str, Any]:
    """A page's text message: {"say": "begin", "rate", "ago"}, {"say": "end"} or {"say": "cancel"}.

    Raises:
        InvalidValueError: anything else; names the field.
    """
    if len(text) > MAX_TEXT:
        raise InvalidValueError("message", f"{len(text)} characters", f"at most {MAX_TEXT}")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidValueError("message", f"no JSON ({type(error).__name__})", "a JSON object") from error
    if not isinstance(said, dict) or said.get("say") not in ("begin", "end", "cancel"):
        raise InvalidValueError("message", reprlib.repr(said), "an object with say: begin, end or cancel")
    if said["say"] != "begin":
        return {"say": said["say"]}
    rate, ago = said.get("rate"), said.get("ago", 0.0)
    if isinstance(rate, bool) or not isinstance(rate, int) or not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise InvalidValueError("rate", reprlib.repr(rate), f"a whole number, {LOWEST_RATE} to {HIGHEST_RATE}")
    if isinstance(ago, bool) or not isinstance(ago, int | float) or not 0.0 <= ago <= MAX_AGO:
        raise InvalidValueError("ago", reprlib.repr(ago), f"seconds, 0 to {MAX_AGO:g}")
    return {"say": "begin", "rate": rate, "ago": float(ago)}
