"""A bus over DDS without ROS: the bytes, names and announcements of rmw_cyclonedds, by Cyclone DDS and rosbags."""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from cyclonedds.core import DDSException, GuardCondition, InstanceState, ReadCondition, SampleState, ViewState, WaitSet
from cyclonedds.domain import DomainParticipant
from cyclonedds.pub import DataWriter
from cyclonedds.qos import Policy
from cyclonedds.qos import Qos as DdsQos
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic as DdsTopic
from cyclonedds.util import duration

from robot_rlhf.background import contained
from robot_rlhf.timing import MonotonicClock
from robot_rlhf_hardware.ros import wire
from robot_rlhf_hardware.ros.bus import BusError, Failure, Fields, qualified, told
from robot_rlhf_hardware.ros.dds_client import DdsClient, joined, split
from robot_rlhf_hardware.ros.dds_graph import DdsGraph
from robot_rlhf_hardware.ros.dds_types import sample, sample_type
from robot_rlhf_hardware.ros.graph import Endpoint, mismatches
from robot_rlhf_hardware.ros.parameters import Parameter, read_parameters
from robot_rlhf_hardware.ros.topics import DEFAULT, Qos, Topic

URI = "CYCLONEDDS_URI"
_TAKE = 64
_LOOK_EVERY = 0.5
"""Seconds between two looks at the graph."""
_FAILURES = 20
"""Rounds of the thread in a row that may fail before it gives up."""

log = logging.getLogger(__name__)


def loopback(tag: str = "") -> str:
    """Configuration that stays on this machine and needs no multicast; it finds real ROS nodes of this machine too.

    Args:
        tag: only who has the same one is found, even in the same domain; empty finds those without.
    """
    only = f"<Tag>{tag}</Tag>" if tag else ""
    return (
        '<CycloneDDS><Domain><General><Interfaces><NetworkInterface name="lo" multicast="false"/></Interfaces>'
        "<AllowMulticast>false</AllowMulticast><MaxMessageSize>65500B</MaxMessageSize></General>"
        "<Discovery><ParticipantIndex>auto</ParticipantIndex><MaxAutoParticipantIndex>60</MaxAutoParticipantIndex>"
        f'{only}<Peers><Peer Address="127.0.0.1"/></Peers></Discovery></Domain></CycloneDDS>'
    )


def stay_on_this_machine() -> None:
    """Use `loopback` for every domain that this process joins from now on, unless CYCLONEDDS_URI says otherwise."""
    os.environ.setdefault(URI, loopback())


def _dds_qos(qos: Qos, user_data: bytes) -> DdsQos:
    return DdsQos(
        Policy.Reliability.Reliable(duration(milliseconds=100)) if qos.reliable else Policy.Reliability.BestEffort,
        Policy.History.KeepLast(qos.depth),
        Policy.Durability.TransientLocal if qos.latched else Policy.Durability.Volatile,
        Policy.DataRepresentation(use_cdrv0_representation=True, use_xcdrv2_representation=False),
        Policy.Userdata(user_data),
    )


class DdsBus:
    """One node, with a participant of its own.

    All callbacks come from one thread: messages first in the order of the subscriptions, then what timers are due.
    """

    def __init__(
        self,
        name: str,
        *,
        domain: int = 0,
        namespace: str = "",
        given: Mapping[str, Any] | None = None,
        remaps: Mapping[str, str] | None = None,
    ) -> None:
        """Remember the settings; `with` joins the graph.

        Args:
            name: of the node.
            domain: ROS domain id, 0 to 101.
            given: parameters by name.
            remaps: topic names to topic names.
        """
        if not 0 <= domain <= 101:
            raise BusError(f"domain id {domain}: allowed are 0 to 101")
        self.name = name
        self._domain = domain
        self._namespace = namespace
        self._given = dict(given or {})
        self._remaps = dict(remaps or {})
        self._clock = MonotonicClock()
        self._participant: DomainParticipant | None = None
        self._inputs: list[_Input] = []
        self._writers: list[DataWriter[Any]] = []
        """Kept: a writer that nobody holds leaves the graph."""
        self._own: list[Endpoint] = []
        self._timers: list[tuple[float, int, DdsTimer]] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._closing = False
        self.failure = Failure()
        self._troubles: tuple[str, ...] = ()
        self._say = told(log, self.node)
        self._thread = threading.Thread(target=self._spin, name=f"dds-{name}", daemon=True)

    # -- life --------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            self._participant = DomainParticipant(self._domain, qos=DdsQos(Policy.Userdata(b"enclave=/;")))
        except DDSException as error:
            raise BusError(f"domain {self._domain} cannot be joined: {error}") from error
        self._waitset = WaitSet(self._participant)
        self._wake = GuardCondition(self._participant)
        self._waitset.attach(self._wake)
        self._graph = DdsGraph(self._participant, self.name, self._namespace)
        self._graph.announce()
        self.timer(_LOOK_EVERY, self._look_around)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing = True
        self._wake.set(True)
        self._thread.join(timeout=5.0)
        self._inputs.clear()
        self._writers.clear()
        participant, self._participant = self._participant, None
        if participant is not None:
            # Deletes all that it holds, now: whoever still has a publisher or a client of ours must not keep us in the
            # graph. The binding has no other call for it; its own collection finds nothing left to do.
            participant.__del__()

    @property
    def clock(self) -> MonotonicClock:
        return self._clock

    @property
    def node(self) -> str:
        return qualified(self.name, self._namespace, self.name)

    def now(self) -> float:
        return time.time()

    def parameters(self, declared: Sequence[Parameter]) -> dict[str, Any]:
        return read_parameters(declared, self._given, self.node)

    def log(self, level: int, text: str) -> None:
        self._say(level, text)

    def troubles(self) -> tuple[str, ...]:
        return self._troubles

    def endpoints(self) -> tuple[Endpoint, ...]:
        """All publishers and subscriptions of other nodes on the graph, now."""
        return self._graph.others()

    def twins(self) -> int:
        return self._graph.twins(self.node)

    def resolved(self, name: str) -> str:
        """The full name of a topic of this node, after remapping."""
        return qualified(name, self._namespace, self.name, self._remaps)

    # -- endpoints ---------------------------------------------------------------------------------------------------

    def publisher(self, topic: Topic, name: str | None = None) -> DdsPublisher:
        full = self.resolved(name or topic.name)
        writer = self._writer(f"rt{full}", topic.type, topic.qos, _typehash(topic.type))
        mine = Endpoint(full, topic.type, True, topic.qos, self.node)
        self._own.append(mine)
        return DdsPublisher(writer, mine, self._graph)

    def subscription(
        self, topic: Topic, callback: Callable[[Any], None], name: str | None = None, *, raw: bool = False
    ) -> DdsSubscription:
        full = self.resolved(name or topic.name)
        take = callback if raw else lambda data: callback(wire.decode(data, topic.type))
        reader = self._reader(f"rt{full}", topic.type, topic.qos, _typehash(topic.type), take)
        self._own.append(Endpoint(full, topic.type, False, topic.qos, self.node))
        return DdsSubscription(reader)

    def service(self, topic: Topic, handler: Callable[[Any], Fields]) -> None:
        full = self.resolved(topic.name)
        request_type, reply_type = (wire.part_of(topic.type, suffix) for suffix in ("Request", "Response"))
        user = _service_id("serviceid")
        writer = self._writer(f"rr{full}Reply", reply_type, DEFAULT, user, service=True)

        def answer(data: bytes) -> None:
            head, body = split(data)
            reply = wire.encode(reply_type, handler(wire.decode(body, request_type)))
            writer.write(sample(writer.data_type, joined(head, reply)))

        self._reader(f"rq{full}Request", request_type, DEFAULT, user, answer, service=True)

    def client(self, topic: Topic) -> DdsClient:
        full = self.resolved(topic.name)
        request_type, reply_type = (wire.part_of(topic.type, suffix) for suffix in ("Request", "Response"))
        user = _service_id("clientid")
        writer = self._writer(f"rq{full}Request", request_type, DEFAULT, user, service=True)
        client = DdsClient(full, request_type, reply_type, writer, self._thread)
        client.reader = self._reader(f"rr{full}Reply", reply_type, DEFAULT, user, client.take, service=True)
        return client

    def _writer(self, name: str, msgtype: str, qos: Qos, user: bytes, *, service: bool = False) -> DataWriter[Any]:
        topic = DdsTopic(self._joined(), name, sample_type(msgtype, service=service))
        writer = DataWriter(self._joined(), topic, qos=_dds_qos(qos, user))
        self._writers.append(writer)
        self._graph.add_writer(writer)
        return writer

    def _reader(
        self,
        name: str,
        msgtype: str,
        qos: Qos,
        user: bytes,
        take: Callable[[bytes], None],
        *,
        service: bool = False,
    ) -> DataReader[Any]:
        topic = DdsTopic(self._joined(), name, sample_type(msgtype, service=service))
        reader = DataReader(self._joined(), topic, qos=_dds_qos(qos, user))
        condition = ReadCondition(reader, ViewState.Any | InstanceState.Any | SampleState.NotRead)
        self._inputs.append(_Input(name, reader, condition, take))
        self._waitset.attach(condition)
        self._graph.add_reader(reader)
        return reader

    def _joined(self) -> DomainParticipant:
        if self._participant is None:
            raise BusError(f"{self.node}: the bus is not open")
        return self._participant

    # -- the thread --------------------------------------------------------------------------------------------------

    def timer(self, period: float, callback: Callable[[], None]) -> DdsTimer:
        return self._schedule(DdsTimer(callback, period), period)

    def once(self, delay: float, callback: Callable[[], None]) -> DdsTimer:
        return self._schedule(DdsTimer(callback, None), delay)

    def _schedule(self, timer: DdsTimer, delay: float) -> DdsTimer:
        with self._lock:
            heapq.heappush(self._timers, (self._clock.now() + delay, next(self._numbers), timer))
        if threading.current_thread() is not self._thread:
            self._wake.set(True)
        return timer

    def _spin(self) -> None:
        """Round after round; one in which Cyclone DDS fails is followed by another, many of them end the thread."""
        failures, why = 0, ""
        while not self._closing and failures < _FAILURES:
            try:
                self._round()
                failures = 0
            except DDSException as error:
                failures += 1
                log.error("%s: Cyclone DDS: %s", self.node, error)
                why = f"{self.node}: no callback comes any more: Cyclone DDS failed {failures} times: {error}"
        if failures and not self._closing:
            self.failure.happen(why)

    def _round(self) -> None:
        with self._lock:
            due = self._timers[0][0] if self._timers else self._clock.now() + 1.0
        left = due - self._clock.now()
        if left > 0:
            self._waitset.wait(duration(nanoseconds=max(1, int(left * 1e9))))
            self._wake.set(False)
        for entry in list(self._inputs):
            self._take(entry)
        self._call_timers()

    def _take(self, entry: _Input) -> None:
        for got in entry.reader.take(_TAKE):
            raw = getattr(got, "raw", None)
            if raw is not None:  # None: an instance has gone, nothing was said
                self._guarded(lambda data=raw: entry.take(data), entry.name)

    def _call_timers(self) -> None:
        now = self._clock.now()
        while not self._closing:
            with self._lock:
                if not self._timers or self._timers[0][0] > now:
                    return
                due, _, timer = heapq.heappop(self._timers)
            if timer.cancelled:
                continue
            self._guarded(timer.callback, "timer")
            if timer.period is not None and not timer.cancelled:
                # Ticks that were missed are not made up for by hurrying.
                following = max(due + timer.period, self._clock.now())
                with self._lock:
                    heapq.heappush(self._timers, (following, next(self._numbers), timer))

    def _guarded(self, deed: Callable[[], None], what: str) -> None:
        """One callback that fails must not silence all the others."""
        with contained(lambda _: log.exception("%s: %s: a callback failed", self.node, what)):
            deed()

    def _look_around(self) -> None:
        found = mismatches(self._own, self._graph.others())
        for words in found:
            if words not in self._troubles:
                self.log(logging.WARNING, words)
        self._troubles = found


@dataclass(frozen=True, eq=False)
class _Input:
    name: str
    reader: DataReader[Any]
    condition: ReadCondition
    take: Callable[[bytes], None]


@dataclass(eq=False)
class DdsTimer:
    callback: Callable[[], None]
    period: float | None
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass(frozen=True, eq=False)
class DdsPublisher:
    _writer: DataWriter[Any]
    endpoint: Endpoint
    _graph: DdsGraph

    @property
    def topic(self) -> str:
        return self.endpoint.topic

    def publish(self, fields: Fields) -> None:
        data = wire.encode(self.endpoint.type, fields)
        try:
            self._writer.write(sample(self._writer.data_type, data))
        except DDSException as error:
            raise BusError(f"{self.endpoint.topic}: cannot be published: {error}") from error

    def subscribers(self) -> int:
        return len(self._writer.get_matched_subscriptions())

    def rivals(self) -> int:
        return sum(other.writer and other.topic == self.endpoint.topic for other in self._graph.others())


@dataclass(frozen=True, eq=False)
class DdsSubscription:
    _reader: DataReader[Any]

    def publishers(self) -> int:
        return len(self._reader.get_matched_publications())


def _typehash(msgtype: str) -> bytes:
    return f"typehash={wire.type_hash(msgtype)};".encode()


def _service_id(what: str) -> bytes:
    digits = random.SystemRandom().randbytes(16)
    return f"{what}={'.'.join(f'{byte:02x}' for byte in digits)};".encode()
