"""A bus in memory, with a clock that moves only when told: for tests of whatever stands on a bus."""

from __future__ import annotations

import heapq
import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from robot_rlhf.timing import FakeClock
from robot_rlhf_hardware.ros import wire
from robot_rlhf_hardware.ros.bus import BusError, Failure, Fields, qualified
from robot_rlhf_hardware.ros.graph import Endpoint, mismatches, missing_policy
from robot_rlhf_hardware.ros.parameters import Parameter, read_parameters
from robot_rlhf_hardware.ros.topics import Qos, Topic

EPOCH = 1_700_000_000.0
"""ROS time when the clock is at 0."""


class GraphClock(FakeClock):
    """The clock of a FakeGraph: whoever sleeps by it lets everybody's timers run meanwhile."""

    def __init__(self, graph: FakeGraph) -> None:
        super().__init__()
        self._graph = graph

    def sleep_until(self, deadline: float) -> None:
        self._graph.advance(max(0.0, deadline - self.now()))

    def move_to(self, time: float) -> None:
        """Only the time."""
        super().sleep_until(time)


@dataclass(eq=False)
class FakeGraph:
    """All buses of one test: messages pass at once, through their CDR bytes; timers run when `advance` is called, or
    while somebody sleeps by the clock."""

    clock: GraphClock = field(init=False)
    epoch: float = EPOCH
    """What to add to the clock for ROS time; change it to make time jump."""
    subscriptions: list[FakeSubscription] = field(default_factory=list["FakeSubscription"])
    publishers: list[FakePublisher] = field(default_factory=list["FakePublisher"])
    services: dict[str, tuple[str, Callable[[Any], Fields]]] = field(default_factory=dict[str, Any])
    kept: list[tuple[FakePublisher, bytes]] = field(default_factory=list[Any])
    """Last messages of latched publishers, each as many as its depth, in the order in which they were sent."""
    buses: list[FakeBus] = field(default_factory=list["FakeBus"])
    _timers: list[tuple[float, int, FakeTimer]] = field(default_factory=list[Any])
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.clock = GraphClock(self)

    def advance(self, seconds: float) -> None:
        """Let time pass, and call the timers that are due, in order."""
        end = self.clock.now() + seconds
        while self._timers and self._timers[0][0] <= end + 1e-9:
            due, _, timer = heapq.heappop(self._timers)
            self.clock.move_to(due)
            if not timer.cancelled:
                if timer.period is not None:
                    self.schedule(due + timer.period, timer)
                timer.callback()
        self.clock.move_to(end)

    def schedule(self, due: float, timer: FakeTimer) -> None:
        heapq.heappush(self._timers, (due, next(self._numbers), timer))

    def pass_on(self, publisher: FakePublisher, data: bytes) -> None:
        if publisher.qos.latched:
            mine = [entry for entry in self.kept if entry[0] is publisher]
            for entry in mine[: max(0, len(mine) + 1 - publisher.qos.depth)]:
                self.kept.remove(entry)
            self.kept.append((publisher, data))
        for subscription in list(self.subscriptions):
            if meet(publisher, subscription):
                subscription.take(data)


@dataclass(eq=False)
class FakeTimer:
    callback: Callable[[], None]
    period: float | None
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass(eq=False)
class FakePublisher:
    graph: FakeGraph
    name: str
    type: str
    qos: Qos
    node: str
    sent: list[Any] = field(default_factory=list[Any])
    """Every message, for whoever checks what was sent."""

    def publish(self, fields: Fields) -> None:
        data = wire.encode(self.type, fields)
        self.sent.append(wire.decode(data, self.type))
        self.graph.pass_on(self, data)

    def subscribers(self) -> int:
        return sum(meet(self, subscription) for subscription in self.graph.subscriptions)

    def rivals(self) -> int:
        return sum(other.name == self.name for other in self.graph.publishers) - 1

    @property
    def topic(self) -> str:
        return self.name

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.name, self.type, True, self.qos, self.node)


@dataclass(eq=False)
class FakeSubscription:
    graph: FakeGraph
    name: str
    type: str
    qos: Qos
    callback: Callable[[Any], None]
    raw: bool
    node: str

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.name, self.type, False, self.qos, self.node)

    def publishers(self) -> int:
        return sum(meet(publisher, self) for publisher in self.graph.publishers)

    def take(self, data: bytes) -> None:
        self.callback(data if self.raw else wire.decode(data, self.type))


def meet(publisher: FakePublisher, subscription: FakeSubscription) -> bool:
    """Whether messages pass, as DDS matches: name, type, and at least as much offered as asked for."""
    same = publisher.name == subscription.name and publisher.type == subscription.type
    return same and not missing_policy(publisher.qos, subscription.qos)


class FakeBus:
    """One node on a FakeGraph."""

    def __init__(self, graph: FakeGraph, name: str, given: Mapping[str, Any] | None = None) -> None:
        """Args: given: parameters by name."""
        self.graph = graph
        self.name = name
        self.logged: list[tuple[int, str]] = []
        self.failure = Failure()
        graph.buses.append(self)
        self._given = dict(given or {})
        self._own: list[FakePublisher | FakeSubscription] = []
        self._timers: list[FakeTimer] = []
        self._services: list[str] = []

    @property
    def clock(self) -> GraphClock:
        return self.graph.clock

    @property
    def node(self) -> str:
        return f"/{self.name}"

    def now(self) -> float:
        return self.graph.clock.now() + self.graph.epoch

    def parameters(self, declared: Sequence[Parameter]) -> dict[str, Any]:
        return read_parameters(declared, self._given, self.node)

    def publisher(self, topic: Topic, name: str | None = None) -> FakePublisher:
        made = FakePublisher(self.graph, self.resolved(name or topic.name), topic.type, topic.qos, self.node)
        self.graph.publishers.append(made)
        self._own.append(made)
        return made

    def subscription(
        self, topic: Topic, callback: Callable[[Any], None], name: str | None = None, *, raw: bool = False
    ) -> FakeSubscription:
        full = self.resolved(name or topic.name)
        made = FakeSubscription(self.graph, full, topic.type, topic.qos, callback, raw, self.node)
        self.graph.subscriptions.append(made)
        self._own.append(made)
        kept = [data for publisher, data in self.graph.kept if publisher.name == full and meet(publisher, made)]
        if topic.qos.latched:  # all at once, of which the subscription's history holds the last
            for data in kept[-topic.qos.depth :]:
                made.take(data)
        return made

    def service(self, topic: Topic, handler: Callable[[Any], Fields]) -> None:
        self.graph.services[self.resolved(topic.name)] = topic.type, handler
        self._services.append(self.resolved(topic.name))

    def client(self, topic: Topic) -> FakeClient:
        return FakeClient(self.graph, self.resolved(topic.name), topic.type)

    def timer(self, period: float, callback: Callable[[], None]) -> FakeTimer:
        return self._schedule(FakeTimer(callback, period), period)

    def once(self, delay: float, callback: Callable[[], None]) -> FakeTimer:
        return self._schedule(FakeTimer(callback, None), delay)

    def _schedule(self, timer: FakeTimer, delay: float) -> FakeTimer:
        self._timers.append(timer)
        self.graph.schedule(self.clock.now() + delay, timer)
        return timer

    def endpoints(self) -> tuple[Endpoint, ...]:
        ends = (*self.graph.publishers, *self.graph.subscriptions)
        return tuple(end.endpoint for end in ends if end not in self._own)

    def twins(self) -> int:
        return sum(other is not self and other.node == self.node for other in self.graph.buses)

    def resolved(self, name: str) -> str:
        return qualified(name, "", self.name)

    def troubles(self) -> tuple[str, ...]:
        return mismatches((end.endpoint for end in self._own), self.endpoints())

    def log(self, level: int, text: str) -> None:
        self.logged.append((level, text))

    def close(self) -> None:
        """Leave the graph, as a process does that ends or is killed."""
        for mine in self._own:
            if isinstance(mine, FakePublisher):
                self.graph.publishers.remove(mine)
                self.graph.kept = [entry for entry in self.graph.kept if entry[0] is not mine]
            else:
                self.graph.subscriptions.remove(mine)
        for timer in self._timers:
            timer.cancel()
        for name in self._services:
            self.graph.services.pop(name, None)
        self._own, self._timers, self._services = [], [], []
        if self in self.graph.buses:
            self.graph.buses.remove(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def warnings(self) -> list[str]:
        """What was logged as a warning or worse."""
        return [text for level, text in self.logged if level >= logging.WARNING]


@dataclass(eq=False)
class FakeClient:
    graph: FakeGraph
    name: str
    type: str

    def call(self, fields: Fields, timeout: float) -> Any:
        if self.name not in self.graph.services:
            self.graph.clock.advance(timeout)
            raise BusError(f"service {self.name}: no server within {timeout:g} s")
        request_type, reply_type = (wire.part_of(self.type, suffix) for suffix in ("Request", "Response"))
        _, handler = self.graph.services[self.name]
        reply = handler(wire.decode(wire.encode(request_type, fields), request_type))
        return wire.decode(wire.encode(reply_type, reply), reply_type)

    def send(self, fields: Fields, heard: Callable[[Any], None] | None = None) -> None:
        if self.name in self.graph.services:
            reply = self.call(fields, 0.0)
            if heard is not None:
                heard(reply)
