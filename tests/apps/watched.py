"""Whole sessions in front of the oracle: every guard that an app builds gets a robot that judges what it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from robot_rlhf.datatypes import GuardEvent
from robot_rlhf.ports import Robot
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.safety.limits import Limits
from robot_rlhf.timing import Clock
from tests.safety.oracle import Oracle


class WatchedGuard(GuardedRobot):
    """Tells its oracle which faults are latched; otherwise the guard itself."""

    def __init__(
        self, robot: Robot, limits: Limits, clock: Clock, on_event: Callable[[GuardEvent], None] | None = None
    ) -> None:
        self.oracle = Oracle(robot, limits, clock)

        def hear(event: GuardEvent) -> None:
            if event.latched:
                self.oracle.latch()
            if on_event is not None:
                on_event(event)

        super().__init__(self.oracle, limits, clock, on_event=hear)

    def release(self, which: Callable[[GuardEvent], bool] = lambda _: True) -> None:
        self.oracle.release()
        super().release(which)
        if self.faults:
            self.oracle.latch()


def watch(monkeypatch: pytest.MonkeyPatch, *modules: Any) -> list[Oracle]:
    """The oracles of the guards that these modules build from now on, in this process."""
    oracles: list[Oracle] = []

    def build(*args: Any, **options: Any) -> WatchedGuard:
        guard = WatchedGuard(*args, **options)
        oracles.append(guard.oracle)
        return guard

    for module in modules:
        monkeypatch.setattr(module, "GuardedRobot", build)
    return oracles


def judge(oracles: list[Oracle], at_least: int) -> None:
    """Nothing was broken, and enough was sent to say so."""
    assert sum(oracle.commands for oracle in oracles) >= at_least
    assert [violation for oracle in oracles for violation in oracle.violations] == []
