"""Pictures to the pages: one frame on its way per page, always the newest, never a queue."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from robot_rlhf.console.desk import Visitor
from robot_rlhf.console.robotside import RobotSide
from robot_rlhf.console.wire import Present

FRAME_HEAD = struct.Struct("<BdI")
"""Of each binary message: index of the camera, age of the picture when it was sent in ms, number of the situation."""
AGES = 20_000
"""Frame ages kept for measurements."""


@dataclass
class Viewer:
    """One page that watches."""

    visitor: Visitor
    sent: int = 0
    """Situations sent to it, each with all its pictures."""
    dropped: int = 0
    """Situations that it was too slow for."""


class Video:
    """Sends situations and their pictures to the pages.

    A page gets the situation as text, {"present": {...}, "number": n, "pictures": p, "cameras": [names], "guides": {},
    "feels": word}: what to draw over the pictures, and what the hand feels, come with it. Then come p pictures, each
    after FRAME_HEAD as a JPEG. The page answers with any short message once it has painted them; only then
    comes the newest next. At the end of the session it is told {"ended": true}.
    """

    def __init__(
        self,
        robot: RobotSide,
        *,
        guides: Callable[[Present], Mapping[str, Any]] = lambda _: {},
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            guides: what to draw over the pictures of a situation, by camera.
            clock: the one that situations are stamped with, in seconds.
        """
        self._robot = robot
        self._guides = guides
        self._clock = clock
        self._text = ""
        self._text_number = -1
        self.sent = self.dropped = 0
        self.viewers: list[Viewer] = []
        """The pages that watch now."""
        self.frame_ages: deque[float] = deque(maxlen=AGES)
        """Seconds from sensing until a page said that the picture is painted; the newest last."""

    def summary(self) -> dict[str, float]:
        """What all pages were shown: situations sent and left out, and the age of pictures when they were painted."""
        ages = sorted(self.frame_ages)
        facts: dict[str, float] = {"sent": self.sent, "dropped": self.dropped}
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
            if ages:
                facts[f"age_{name}_ms"] = round(1e3 * ages[int(share * (len(ages) - 1))], 1)
        return facts

    async def serve(self, socket: WebSocket, visitor: Visitor) -> None:
        """One page, until it is gone."""
        await socket.accept()
        viewer, credit = Viewer(visitor), asyncio.Event()
        credit.set()
        self.viewers.append(viewer)
        sending = asyncio.create_task(self._send(socket, viewer, credit))
        try:
            while (await socket.receive())["type"] == "websocket.receive":
                credit.set()
        finally:
            self.viewers.remove(viewer)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send(self, socket: WebSocket, viewer: Viewer, credit: asyncio.Event) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            number = sensed = 0.0
            while True:
                await credit.wait()
                credit.clear()
                if sensed:
                    self.frame_ages.append(self._clock() - sensed)
                newest = await self._robot.newer_than(int(number))
                present = self._robot.present
                if not self._robot.connected or present is None:
                    break
                # All of one moment, before anything is awaited: the robot may move on meanwhile.
                pictures = [(i, jpeg) for i, name in enumerate(self._robot.cameras) if (jpeg := self._robot.jpeg(name))]
                left_out = max(0, newest - int(number) - 1) if number else 0
                viewer.sent, self.sent = viewer.sent + 1, self.sent + 1
                viewer.dropped, self.dropped = viewer.dropped + left_out, self.dropped + left_out
                number, sensed = newest, present.observed if pictures else 0.0
                await socket.send_text(self._situation(newest, len(pictures)))
                for i, jpeg in pictures:
                    age = 1e3 * (self._clock() - present.observed)
                    await socket.send_bytes(FRAME_HEAD.pack(i, age, newest & 0xFFFFFFFF) + jpeg)
            await socket.send_text('{"ended": true}')

    def _situation(self, number: int, pictures: int) -> str:
        """The present as JSON; made once for all pages."""
        present = self._robot.present
        if number != self._text_number and present is not None:
            fields = {
                "present": asdict(present),
                "number": number,
                "pictures": pictures,
                "cameras": self._robot.cameras,
                "guides": self._guides(present),
                "feels": self._robot.feels,
            }
            self._text, self._text_number = json.dumps(fields, separators=(",", ":")), number
        return self._text
