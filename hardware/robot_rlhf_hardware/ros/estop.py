"""The software e-stop: latched until it is released explicitly, and told to everybody who asks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from robot_rlhf.datatypes import Button, HumanInput
from robot_rlhf_hardware.ros.bus import Bus, Fields
from robot_rlhf_hardware.ros.diagnostics import Level, Status
from robot_rlhf_hardware.ros.topics import POLICY_TOPICS, named


class EStop:
    """A Teleop of two buttons and no hands: STOP is down while the e-stop is latched, RELEASE once after its release;
    otherwise it says nothing.

    It is latched by the service ~/stop, by True on the topic estop, and by `latch`; it is released by the service
    ~/release and by `release`, but not while the topic's last word is True. The state is on ~/estop, transient-local.
    The hardware's own chain must work without this.
    """

    def __init__(self, bus: Bus, on_latch: Callable[[str], None]) -> None:
        """Args: on_latch: called at once, in the thread that latches, with the reason; to be the guard's fault."""
        self._bus = bus
        self._on_latch = on_latch
        self._lock = threading.RLock()
        """Held while the state is told as well: what was told last is how it is."""
        self._reason = ""
        self._asked_for = False
        """The last word of the topic."""
        self._released = False
        self._state = bus.publisher(named(POLICY_TOPICS, "~/estop"))
        self._state.publish({"data": False})
        bus.subscription(named(POLICY_TOPICS, "estop"), self._told)
        bus.service(named(POLICY_TOPICS, "~/stop"), self._serve_stop)
        bus.service(named(POLICY_TOPICS, "~/release"), self._serve_release)

    @property
    def reason(self) -> str:
        """Why it is latched; empty while it is not."""
        return self._reason

    def latch(self, reason: str) -> None:
        """Stop now, until released. Idempotent; the first reason stays."""
        try:
            self._on_latch(reason)  # first; and each time: whoever released a fault by another way is mistaken
        finally:
            with self._lock:
                new = not self._reason
                self._reason = self._reason or reason
                self._released = False
                if new:
                    self._state.publish({"data": True})
        if new:
            self._bus.log(logging.ERROR, f"e-stop latched: {reason}")

    def release(self) -> tuple[bool, str]:
        """Let go, if nothing still asks for a stop; returns whether it is released now, and words."""
        with self._lock:
            if self._asked_for:
                return False, f"{self._bus.resolved('estop')} still says True"
            was, self._reason = self._reason, ""
            self._released = True
            if was:
                self._state.publish({"data": False})
        if was:
            self._bus.log(logging.WARNING, f"e-stop released (it was: {was})")
        return True, f"{'released' if was else 'was not latched'}; a fault that is not shown yet needs another release"

    def read(self) -> HumanInput | None:
        with self._lock:
            if self._reason:
                return HumanInput(None, frozenset({Button.STOP}))
            released, self._released = self._released, False
        return HumanInput(None, frozenset({Button.RELEASE})) if released else None

    def status(self) -> Status:
        """For the diagnostics."""
        reason = self._reason
        return Status("e-stop", Level.ERROR if reason else Level.OK, f"latched: {reason}" if reason else "not latched")

    def _told(self, message: Any) -> None:
        with self._lock:
            self._asked_for = bool(message.data)
        if self._asked_for:
            self.latch(f"{self._bus.resolved('estop')} said True")

    def _serve_stop(self, _: Any) -> Fields:
        self.latch("service stop was called")
        return {"success": True, "message": "stopped"}

    def _serve_release(self, _: Any) -> Fields:
        success, words = self.release()
        return {"success": success, "message": words}
