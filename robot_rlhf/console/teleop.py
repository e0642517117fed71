"""The sockets on which pages say what a person holds, and are told who has the seat; and the dead man's watch."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import reprlib
import time
from collections.abc import Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from robot_rlhf.console.controls import BUTTON_DOWN
from robot_rlhf.console.desk import Desk, Visitor
from robot_rlhf.console.freshness import MAX_AGE, Budget, PageClock
from robot_rlhf.console.keymap import DEAD_ZONE, PRESSES
from robot_rlhf.console.page_input import PageInput
from robot_rlhf.console.presence import Presence
from robot_rlhf.datatypes import Button
from robot_rlhf.errors import InvalidValueError, RobotRlhfError

log = logging.getLogger(__name__)

MAX_MESSAGE = 16 * 1024
"""Characters of one message of a page."""
RATE, BURST = 200.0, 40
"""Messages per second that a page is heard with in the long run, and at once after a hold-up of the network."""
SILENCE = 0.35
"""Seconds without a fresh message from the operator's page after which it is taken for gone."""
LOOK = 0.05
"""Seconds between two looks of the dead man's watch."""
ERROR_GAP = 1.0
"""Seconds between two errors told to one page, unless they differ."""

_FIELDS = {"seq", "t", "input"}


class Tab:
    """One page's socket: what it is to be told, and how it is heard."""

    def __init__(self, socket: WebSocket, visitor: Visitor) -> None:
        self.socket = socket
        self.visitor = visitor
        self.clock = PageClock()
        self.budget = Budget(RATE, BURST)
        self.heard = -math.inf
        """When its last fresh message came."""
        self.busy = False
        """Whether something was held in its last message, fresh or not."""
        self.stopping = False
        """Whether a STOP key was held in its last message, fresh or not."""
        self.seq = -1
        self.ready = False
        self._waiting: dict[str, Any] = {}
        self._dirty = asyncio.Event()
        self._told: tuple[str, float] = ("", -math.inf)

    def tell(self, **fields: Any) -> None:
        """Tell the page, soon; of each field only the newest value is told."""
        self._waiting |= fields
        self._dirty.set()

    def local(self, commands: list[str]) -> None:
        """What a key asks the page itself for."""
        self.tell(local=[*self._waiting.get("local", []), *commands][-16:])

    def error(self, text: str, now: float) -> None:
        """Tell the page what was wrong, at most once a second the same."""
        if text != self._told[0] or now - self._told[1] >= ERROR_GAP:
            self._told = (text, now)
            self.tell(error=text)

    async def speak(self) -> None:
        """Send what waits, until the socket is gone."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while True:
                await self._dirty.wait()
                self._dirty.clear()
                fields, self._waiting = self._waiting, {}
                await self.socket.send_text(json.dumps(fields, separators=(",", ":")))


class Teleop:
    """All pages' sockets. What the operator's tab holds goes to the desk; of several tabs the one in use counts."""

    def __init__(self, desk: Desk, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Args: clock: steady seconds."""
        self._desk = desk
        self._clock = clock
        self.presence = Presence(desk, clock=clock)
        self.tabs: list[Tab] = []
        self._speaker: Tab | None = None
        desk.on_change.append(self._announce)

    async def serve(self, socket: WebSocket, visitor: Visitor) -> None:
        """One page, until it is gone."""
        await socket.accept()
        tab = Tab(socket, visitor)
        self.tabs.append(tab)
        self.presence.came(tab, visitor)
        if self._desk.operator is None and not self.presence.waits_for_a_click:
            self._desk.take_seat(visitor)
        self._tell_seat(tab)
        speaking = asyncio.create_task(tab.speak())
        try:
            while (message := await socket.receive())["type"] == "websocket.receive":
                if not self._hear(tab, message):
                    await asyncio.sleep(0)  # a flood must not keep the others waiting
        finally:
            self.tabs.remove(tab)
            self.presence.went(tab)
            self._gone(tab)
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)

    async def watch(self) -> None:
        """The dead man's watch, and whether the operator is still there; runs as long as the console."""
        while True:
            await asyncio.sleep(LOOK)
            self.presence.look()
            speaker = self._speaker
            if speaker is not None and self._clock() - speaker.heard > SILENCE:
                self._gone(speaker)

    # -- hearing -----------------------------------------------------------------------------------------------------

    def _hear(self, tab: Tab, message: Any) -> bool:
        """Take one message; False when there are too many of them."""
        now = self._clock()
        if not tab.budget.take(now):
            tab.error(f"too many messages: at most {RATE:.0f} a second are heard, the others are dropped", now)
            return False
        try:
            self._take(tab, message, now)
        except RobotRlhfError as error:
            tab.error(str(error), now)
        return True

    def _take(self, tab: Tab, message: Any, now: float) -> None:
        text = message.get("text")
        if text is None:
            raise InvalidValueError("message", "bytes", "a JSON object as text")
        if len(text) > MAX_MESSAGE:
            raise InvalidValueError("message", f"{len(text)} characters", f"at most {MAX_MESSAGE}")
        seq, stamped, page = parse(text)
        if seq <= tab.seq:
            raise InvalidValueError("message.seq", seq, f"a number after {tab.seq}, the last one's")
        tab.seq = seq
        before, was_busy = tab.stopping, tab.busy
        stopping, busy = tab.stopping, tab.busy = stops(page), page_busy(page)
        fresh = tab.clock.fresh(stamped, now)
        if not tab.ready and now >= tab.clock.settled_at:
            tab.ready = True
            tab.tell(ready=True)
        operates = self._desk.sits(tab.visitor)
        if stopping and not before and not (operates and fresh):
            self._desk.press(tab.visitor, Button.STOP)  # everybody's, and never too late
        if not operates:
            if busy and not stopping:
                name = "nobody" if self._desk.operator is None else self._desk.operator.name
                raise InvalidValueError("your keys", "something held", f"nothing: {name} has the operator's seat")
        elif fresh:
            self._drive(tab, page, now, fresh_hands=not was_busy)
        elif self._speaker in (tab, None):
            # What is held now counts again after it has been released, and pressed anew.
            self._desk.hands.let_go()
            if busy and tab.ready:
                raise InvalidValueError(
                    "your input", f"older than {MAX_AGE * 1e3:.0f} ms", "fresh input: release, and press again"
                )

    def _drive(self, tab: Tab, page: PageInput, now: float, *, fresh_hands: bool) -> None:
        tab.heard = now
        speaker = self._speaker
        if speaker is not None and speaker is not tab:
            if not tab.busy:
                return
            if speaker.busy:
                raise InvalidValueError("your keys", "something held", "nothing: you drive in another window")
        if speaker is not tab:
            self._desk.hands.let_go()
            self._speaker = tab
            if fresh_hands:
                self._desk.hands.update(PageInput(), now)
        local = self._desk.page_input(tab.visitor, page, now)
        if local:
            tab.local([str(command) for command in local])

    def _gone(self, tab: Tab) -> None:
        """A tab is closed or silent: if it was the one in use, nobody drives."""
        if self._speaker is tab:
            self._speaker = None
            if self._desk.sits(tab.visitor):
                self._desk.vanish()

    # -- telling -----------------------------------------------------------------------------------------------------

    def _announce(self) -> None:
        if self._speaker is not None and not self._desk.sits(self._speaker.visitor):
            self._speaker = None
        for tab in self.tabs:
            self._tell_seat(tab)

    def _tell_seat(self, tab: Tab) -> None:
        hands, operator = self._desk.hands, self._desk.operator
        tab.tell(
            seat=self._desk.sits(tab.visitor),
            operator="" if operator is None else operator.name,
            you=tab.visitor.name,
            controls={"mode": hands.mode, "speed": hands.speed_level, "frame": hands.frame},
        )


def parse(text: str) -> tuple[int, float, PageInput]:
    """A page's message: its number, its stamp in seconds of the page's clock, and what is held.

    Raises:
        InvalidValueError: anything but {"seq": number, "t": ms, "input": {...}}; names the field.
    """
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidValueError("message", f"no JSON ({type(error).__name__})", "a JSON object") from error
    if not isinstance(fields, dict) or set(fields) != _FIELDS:
        raise InvalidValueError("message", type(fields).__name__ + _names(fields), f"an object of {sorted(_FIELDS)}")
    seq, t = fields["seq"], fields["t"]
    if isinstance(seq, bool) or not isinstance(seq, int) or not 0 <= seq < 2**53:
        raise InvalidValueError("message.seq", reprlib.repr(seq), "a whole number from 0 to 2^53")
    if isinstance(t, bool) or not isinstance(t, int | float) or not -1e15 < t < 1e15:
        raise InvalidValueError("message.t", reprlib.repr(t), "milliseconds of the page's clock, a finite number")
    return seq, t / 1e3, PageInput.from_json(fields["input"])


def _names(fields: object) -> str:
    return f" of {sorted(map(str, fields))[:8]}"[:200] if isinstance(fields, dict) else ""


def stops(page: PageInput) -> bool:
    """Whether a STOP key or button is held."""
    held = {*page.keys, *(f"Pad{i}" for pad in page.pads for i, v in enumerate(pad.buttons) if v > BUTTON_DOWN)}
    return any(PRESSES.get(code) is Button.STOP for code in held)


def page_busy(page: PageInput) -> bool:
    """Whether anything is held."""
    return (
        bool(page.keys)
        or any(page.sticks.values())
        or any(abs(v) > DEAD_ZONE for pad in page.pads for v in pad.axes)
        or any(v > BUTTON_DOWN for pad in page.pads for v in pad.buttons)
    )
