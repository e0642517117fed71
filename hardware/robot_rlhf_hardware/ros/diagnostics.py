"""Health on /diagnostics: every second, and at once when something changes."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from robot_rlhf_hardware.ros.bus import Bus, Fields
from robot_rlhf_hardware.ros.messages import header_fields
from robot_rlhf_hardware.ros.topics import POLICY_TOPICS, named

EVERY = 1.0
LOOK = 0.1
"""Seconds between two looks at whether something has changed."""


class Level(enum.IntEnum):
    """As diagnostic_msgs/DiagnosticStatus has them."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True)
class Status:
    """The health of one thing."""

    name: str
    level: Level
    message: str
    values: Mapping[str, str] = field(default_factory=dict[str, str])


def status_fields(status: Status, node: str) -> Fields:
    """diagnostic_msgs/DiagnosticStatus."""
    return {
        "level": int(status.level),
        "name": f"{node.strip('/')}: {status.name}",
        "message": status.message,
        "hardware_id": node.strip("/"),
        "values": [{"key": key, "value": value} for key, value in status.values.items()],
    }


class Diagnostics:
    """Publishes what its sources say."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._sources: list[Callable[[], Iterable[Status]]] = [self._troubles]
        self._publisher = bus.publisher(named(POLICY_TOPICS, "/diagnostics"))
        self._last: dict[str, Level] = {}
        self._due = 0.0
        bus.timer(LOOK, self.look)

    def add(self, source: Callable[[], Iterable[Status]]) -> None:
        """Ask this one too, in the bus's thread."""
        self._sources.append(source)

    def look(self) -> None:
        """Publish when it is time, or when a level has changed."""
        statuses = [status for source in self._sources for status in source()]
        levels = {status.name: status.level for status in statuses}
        now = self._bus.clock.now()
        if now < self._due and levels == self._last:
            return
        self._due, self._last = now + EVERY, levels
        told = [status_fields(status, self._bus.node) for status in statuses]
        self._publisher.publish({"header": header_fields(self._bus.now(), ""), "status": told})

    def _troubles(self) -> Iterable[Status]:
        found = self._bus.troubles()
        if not found:
            return [Status("graph", Level.OK, "all endpoints meet")]
        return [Status("graph", Level.ERROR, found[0], {str(i): words for i, words in enumerate(found)})]
