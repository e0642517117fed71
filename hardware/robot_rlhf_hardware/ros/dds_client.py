"""A client of services over DDS: requests and replies with the header of rmw_cyclonedds."""

from __future__ import annotations

import contextlib
import itertools
import random
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cyclonedds.core import DDSException
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader

from robot_rlhf_hardware.ros import wire
from robot_rlhf_hardware.ros.bus import BusError, Fields
from robot_rlhf_hardware.ros.dds_types import sample

_LOOK_FOR_SERVERS = 0.05
"""Seconds between two looks for a server that came while a reply is awaited."""
_UNANSWERED = 100
"""Requests whose reply may still come and be told."""
_REQUEST = struct.Struct("<Qq")
"""client_guid and sequence, before the body of a request and of a reply."""


class DdsClient:
    """Calls one service."""

    def __init__(
        self, name: str, request_type: str, reply_type: str, writer: DataWriter[Any], thread: threading.Thread
    ) -> None:
        self.reader: DataReader[Any] | None = None
        self._name = name
        self._request_type = request_type
        self._reply_type = reply_type
        self._writer = writer
        self._thread = thread
        self._guid = random.SystemRandom().getrandbits(64)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, _Pending] = {}
        self._heard: dict[int, Callable[[Any], None]] = {}

    def call(self, fields: Fields, timeout: float) -> Any:
        if threading.current_thread() is self._thread:
            raise BusError(f"service {self._name}: called from a callback of the bus, which would wait for itself")
        deadline = time.monotonic() + timeout
        while not self._has_server():
            if time.monotonic() > deadline:
                raise BusError(f"service {self._name}: no server within {timeout:g} s")
            time.sleep(0.005)
        number, pending = next(self._numbers), _Pending(threading.Event())
        self._waiting[number] = pending
        asked: set[int] = set()
        try:
            while not pending.event.is_set():
                servers = self._servers()
                if servers and not servers & asked:  # a server that was killed is found out after seconds
                    asked = servers
                    self._write(number, fields)
                left = deadline - time.monotonic()
                if not pending.event.wait(max(0.0, min(_LOOK_FOR_SERVERS, left))) and left <= 0:
                    raise BusError(f"service {self._name}: no reply within {timeout:g} s")
        finally:
            del self._waiting[number]
        return wire.decode(pending.body, self._reply_type)

    def send(self, fields: Fields, heard: Callable[[Any], None] | None = None) -> None:
        number = next(self._numbers)
        if heard is not None:
            self._heard[number] = heard
            while len(self._heard) > _UNANSWERED:
                del self._heard[next(iter(self._heard))]
        self._write(number, fields)

    def take(self, data: bytes) -> None:
        """A reply came, perhaps to another client."""
        head, body = split(data)
        guid, number = _REQUEST.unpack(head)
        if guid != self._guid:
            return
        pending = self._waiting.get(number)
        if pending is not None:
            pending.body = body
            pending.event.set()
        heard = self._heard.pop(number, None)
        if heard is not None:
            heard(wire.decode(body, self._reply_type))

    def _has_server(self) -> bool:
        assert self.reader is not None
        return bool(self._servers() and self.reader.get_matched_publications())

    def _servers(self) -> set[int]:
        """Handles of those who take requests, as far as is known."""
        try:
            return set(self._writer.get_matched_subscriptions())
        except DDSException as error:
            raise BusError(f"service {self._name}: cannot be called, the node has left: {error}") from error

    def _write(self, number: int, fields: Fields) -> None:
        body = wire.encode(self._request_type, fields)
        raw = joined(_REQUEST.pack(self._guid, number), body)
        with contextlib.suppress(DDSException):  # seen by whoever waits for the reply
            self._writer.write(sample(self._writer.data_type, raw))


@dataclass(eq=False)
class _Pending:
    event: threading.Event
    body: bytes = b""


def split(data: bytes) -> tuple[bytes, bytes]:
    """The header of rmw_cyclonedds and the CDR of the body; 16 bytes more or less leave its alignment as it is."""
    start = wire.ENCAPSULATION
    return bytes(data[start : start + _REQUEST.size]), bytes(data[:start]) + bytes(data[start + _REQUEST.size :])


def joined(head: bytes, body: bytes) -> bytes:
    """The inverse of split."""
    return body[: wire.ENCAPSULATION] + head + body[wire.ENCAPSULATION :]
