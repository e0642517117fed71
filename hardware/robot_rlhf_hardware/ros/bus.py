"""What a node needs of its middleware: the bus. Backends: rclpy, DDS without ROS, and one in memory for tests.

A message is written as a nested mapping of its fields, with numpy arrays for sequences of numbers; what is left out is
zero or empty. A message that arrives is an object with the fields as attributes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from robot_rlhf.errors import RobotRlhfError
from robot_rlhf.timing import Clock
from robot_rlhf_hardware.ros.graph import Endpoint
from robot_rlhf_hardware.ros.parameters import Parameter
from robot_rlhf_hardware.ros.topics import Topic

Fields = Mapping[str, Any]


class BusError(RobotRlhfError):
    """The middleware cannot do what was asked: not installed, no answer in time, gone."""


class Failure:
    """Whether a bus can call nobody back any more; then its e-stop is deaf and its watchdog blind."""

    def __init__(self) -> None:
        self.reason = ""
        """Empty while callbacks come."""
        self.listeners: list[Callable[[str], None]] = []
        """Called once, in the bus's thread, with the reason."""

    def happen(self, why: str) -> None:
        """It is so; the first reason stays."""
        if not self.reason:
            self.reason = why
            for listener in self.listeners:
                listener(why)


class Publisher(Protocol):
    """Sends messages of one topic; callable from any thread."""

    @property
    def topic(self) -> str:
        """Its full name."""
        ...

    def publish(self, fields: Fields) -> None:
        """Send a message; never waits for a subscriber."""
        ...

    def subscribers(self) -> int:
        """Subscriptions that are matched now."""
        ...

    def rivals(self) -> int:
        """Other publishers of the same topic, as far as they are known."""
        ...


class Subscription(Protocol):
    """Receives messages of one topic."""

    def publishers(self) -> int:
        """Publishers that are matched now."""
        ...


class Client(Protocol):
    """Calls one service."""

    def call(self, fields: Fields, timeout: float) -> Any:
        """Call and wait for the reply; not from a callback of the bus.

        Raises:
            BusError: no server, or no reply within `timeout` seconds.
        """
        ...

    def send(self, fields: Fields, heard: Callable[[Any], None] | None = None) -> None:
        """Call without waiting for the reply; from any thread. `heard` gets it in a thread of the bus, if it comes."""
        ...


class Timer(Protocol):
    """Calls back again and again."""

    def cancel(self) -> None: ...


class Bus(Protocol):
    """One node on the graph.

    Callbacks come one after the other, in a thread of the bus, which runs while the bus is open (`with`). Names are
    ROS names; `~/` stands for the node's own.
    """

    @property
    def failure(self) -> Failure: ...

    @property
    def clock(self) -> Clock:
        """The monotonic clock of this machine."""
        ...

    @property
    def node(self) -> str:
        """Fully qualified name of the node."""
        ...

    def now(self) -> float:
        """ROS time, seconds since 1970: the clock of header stamps."""
        ...

    def parameters(self, declared: Sequence[Parameter]) -> dict[str, Any]:
        """Declare parameters and read them, once.

        Raises:
            ConfigError, UnknownNameError: as `read_parameters` does.
        """
        ...

    def publisher(self, topic: Topic, name: str | None = None) -> Publisher:
        """Args: name: instead of the table's, where that has a placeholder."""
        ...

    def subscription(
        self, topic: Topic, callback: Callable[[Any], None], name: str | None = None, *, raw: bool = False
    ) -> Subscription:
        """Args: raw: the callback gets the CDR bytes instead of a message."""
        ...

    def service(self, topic: Topic, handler: Callable[[Any], Fields]) -> None:
        """Answer requests: the handler gets the request and returns the fields of the reply."""
        ...

    def client(self, topic: Topic) -> Client: ...

    def timer(self, period: float, callback: Callable[[], None]) -> Timer:
        """Call back every `period` seconds."""
        ...

    def once(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call back once, `delay` seconds from now."""
        ...

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The publishers and subscriptions of other nodes, as far as they are known now."""
        ...

    def twins(self) -> int:
        """Other nodes of this node's full name, as far as they are known now: there must be none."""
        ...

    def resolved(self, name: str) -> str:
        """The full name of a topic of this node, after remapping."""
        ...

    def troubles(self) -> tuple[str, ...]:
        """What keeps endpoints of this node from meeting others, in words: incompatible QoS."""
        ...

    def log(self, level: int, text: str) -> None:
        """Say something in the node's log; levels are those of `logging`."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the callbacks, then leave the graph."""
        ...


def qualified(name: str, namespace: str, node: str, remaps: Mapping[str, str] | None = None) -> str:
    """The full name of a topic, service or node: /arm/joint_states for joint_states in namespace /arm.

    Args:
        remaps: names to names, both as they would be written in the node.
    """
    full = _full(name, namespace, node)
    for before, after in (remaps or {}).items():
        if _full(before, namespace, node) == full:
            return _full(after, namespace, node)
    return full


def _full(name: str, namespace: str, node: str) -> str:
    space = "/" + namespace.strip("/")
    if name.startswith("/"):
        return name
    if name.startswith("~/"):
        return f"{space.rstrip('/')}/{node}/{name[2:]}"
    return f"{space.rstrip('/')}/{name}"


def told(log: logging.Logger, node: str) -> Callable[[int, str], None]:
    """A `log` method that writes to Python's logging."""

    def write(level: int, text: str) -> None:
        log.log(level, "%s: %s", node, text)

    return write
