"""The console's end of the link: the newest situation and pictures, and the way to the robot. For asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.console.link import NEWER
from robot_rlhf.console.live import LiveBlock
from robot_rlhf.console.touch import Feeling, Touch
from robot_rlhf.console.wire import MAX_PACKET, Answer, Message, Present, Status, decode, encode
from robot_rlhf.errors import LinkError

log = logging.getLogger(__name__)

JPEG_QUALITY = 85


class RobotSide:
    """Follows the robot's loop. All methods are for the thread of the event loop."""

    def __init__(self, link: socket.socket, block: LiveBlock) -> None:
        self._link = link
        self._block = block
        self._newer = asyncio.Event()
        self._number = 0
        self._pictures: dict[str, NDArray[np.uint8]] = {}
        self._jpegs: dict[str, bytes] = {}
        self._touch = Touch()
        self.feels: Feeling = ""
        """What the hand feels, by its own senses."""
        self.present: Present | None = None
        """The newest situation; None before the first."""
        self.status: Mapping[str, Any] = {}
        """What the session last said of itself."""
        self.connected = True
        """False once the robot's process is gone."""
        self.refused = 0
        """Messages that could not be sent."""
        self.on_status: list[Callable[[Mapping[str, Any]], None]] = []
        """Called with each new status."""
        self.on_answer: list[Callable[[str], None]] = []
        """Called with what became of something that the operator pressed."""
        self.on_end: list[Callable[[], None]] = []
        """Called once when the robot's process is gone."""

    def start(self) -> None:
        """Begin to listen; called from within the running event loop."""
        self._link.setblocking(False)
        asyncio.get_running_loop().add_reader(self._link, self._receive)

    def stop(self) -> None:
        """Listen no more."""
        with contextlib.suppress(RuntimeError, ValueError):
            asyncio.get_running_loop().remove_reader(self._link)

    def send(self, message: Message) -> None:
        """Tell the robot, without waiting.

        Raises:
            LinkError: the robot's process is gone or does not read.
        """
        try:
            self._link.send(encode(message), socket.MSG_DONTWAIT)
        except OSError as error:
            self.refused += 1
            raise LinkError(f"the robot's process does not answer ({error.strerror})") from error

    async def newer_than(self, number: int) -> int:
        """Wait for a situation after the one with this number; returns the newest one's number."""
        while self._number <= number and self.connected:
            await self._newer.wait()
        return self._number

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(self._block.cameras)

    def jpeg(self, camera: str) -> bytes | None:
        """The newest picture; encoded once for all who ask; None while the robot sends none."""
        if camera not in self._jpegs and camera in self._pictures:
            bgr = self._pictures[camera][:, :, ::-1]
            done, data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
            if done:
                self._jpegs[camera] = data.tobytes()
        return self._jpegs.get(camera)

    def _receive(self) -> None:
        newer = False
        for _ in range(100):
            try:
                packet = self._link.recv(2 * MAX_PACKET)
            except BlockingIOError:
                break
            except OSError:
                packet = b""
            if not packet:
                self._end()
                return
            if packet == NEWER:
                newer = True
                continue
            try:
                message = decode(packet)
            except LinkError as error:
                log.warning("%s", error)
                continue
            if isinstance(message, Status):
                self.status = message.values
                for call in self.on_status:
                    call(message.values)
            elif isinstance(message, Answer):
                for tell in self.on_answer:
                    tell(message.text)
        if newer:
            self._look()

    def _look(self) -> None:
        try:
            seen = self._block.read()
        except LinkError as error:
            log.warning("%s", error)
            return
        if seen is None or seen[0] == self._number:
            return
        self._number, self.present, self._pictures = seen
        self._jpegs = {}
        self.feels = self._touch.feel(self.present)
        self._newer.set()
        self._newer = asyncio.Event()

    def _end(self) -> None:
        self.connected = False
        self.stop()
        self._newer.set()
        for call in self.on_end:
            call()
