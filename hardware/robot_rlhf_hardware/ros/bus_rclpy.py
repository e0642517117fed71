"""A bus over rclpy, ROS 2's own client library: as thin as it can be; imported only where ROS is sourced."""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

import array
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import rclpy
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.context import Context
from rclpy.exceptions import ParameterUninitializedException
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.signals import SignalHandlerOptions

from robot_rlhf.background import contained
from robot_rlhf.timing import MonotonicClock
from robot_rlhf_hardware.ros.bus import BusError, Failure, Fields
from robot_rlhf_hardware.ros.graph import Endpoint, mismatches
from robot_rlhf_hardware.ros.parameters import Parameter, read_parameters
from robot_rlhf_hardware.ros.rclpy_graph import Graph
from robot_rlhf_hardware.ros.rclpy_messages import filled, message_class, service_class
from robot_rlhf_hardware.ros.rclpy_spin import Spinner, in_callback
from robot_rlhf_hardware.ros.topics import Qos, Topic

_LOOK_EVERY = 0.5
_STEADY = Clock(clock_type=ClockType.STEADY_TIME)
"""Of all timers: a watchdog must tick when ROS time stands still or is set back."""


class RclpyBus:
    """One node in a context of its own; its callbacks come from a single-threaded executor in a thread of its own."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str] = (),
        given: Mapping[str, Any] | None = None,
        node_class: Any = Node,
    ) -> None:
        """
        Args:
            arguments: ROS's own, from --ros-args on.
            given: the parameters that they give, by name: rclpy itself passes over names that nobody declares.
        """
        self._name = name
        self._arguments = list(arguments)
        self._given = dict(given or {})
        self._node_class = node_class
        self._clock = MonotonicClock()
        self._troubles: tuple[str, ...] = ()
        self._made: list[Callable[[], Any]] = []
        """What takes back each thing that was made."""
        self.failure = Failure()

    def __enter__(self) -> Self:
        self._context = Context()
        rclpy.init(args=self._arguments, context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        with ExitStack() as unless_made:
            unless_made.callback(self._context.try_shutdown)
            self._node: Any = self._node_class(self._name, context=self._context)
            unless_made.pop_all()
        self._graph = Graph(self._node)
        self._spinner = Spinner(self._node, self._context, self.log, self._fail)
        self._look_timer: Any = self._node.create_timer(_LOOK_EVERY, self._look_around, clock=_STEADY)
        self._spinner.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._spinner.end()
        self._node.destroy_node()
        self._context.try_shutdown()

    def _fail(self, why: str) -> None:
        self.log(logging.ERROR, f"no callback comes any more: {why}")
        self.failure.happen(f"{self.node}: {why}")

    def clear(self) -> None:
        """Take back every endpoint, service and timer that was made: whoever made them could not be configured."""
        for destroy in self._made:
            destroy()
        self._made.clear()
        self._graph.forget()
        self._troubles = ()

    @property
    def clock(self) -> MonotonicClock:
        return self._clock

    @property
    def node(self) -> str:
        return str(self._node.get_fully_qualified_name())

    def now(self) -> float:
        return self._node.get_clock().now().nanoseconds * 1e-9

    def parameters(self, declared: Sequence[Parameter]) -> dict[str, Any]:
        read_parameters(declared, self._given, self.node)  # names that nobody declares, and what is wrong in our words
        given: dict[str, Any] = {}
        for parameter in declared:
            kind = RosParameter.Type[parameter.type.upper()]
            default = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
            start = kind if default is None or default == [] else default
            if not self._node.has_parameter(parameter.name):  # a configuration that failed declared it before
                self._node.declare_parameter(parameter.name, start, _descriptor(parameter))
            try:
                value = self._node.get_parameter(parameter.name).value
            except ParameterUninitializedException:
                continue
            if value is not None:
                given[parameter.name] = list(value) if isinstance(value, (array.array, tuple)) else value
        return read_parameters(declared, given, self.node)

    def publisher(self, topic: Topic, name: str | None = None) -> RclpyPublisher:
        kind, full = message_class(topic.type), self.resolved(name or topic.name)
        mine = Endpoint(full, topic.type, True, topic.qos, self.node)
        made = self._graph.made(mine, lambda: self._node.create_publisher(kind, name or topic.name, _qos(topic.qos)))
        self._made.append(lambda: self._node.destroy_publisher(made))
        return RclpyPublisher(self._graph, made, full, kind)

    def subscription(
        self, topic: Topic, callback: Callable[[Any], None], name: str | None = None, *, raw: bool = False
    ) -> RclpySubscription:
        name = name or topic.name
        kind, full = message_class(topic.type), self.resolved(name)
        guarded = self._guarded(callback, name)
        mine = Endpoint(full, topic.type, False, topic.qos, self.node)
        made = self._graph.made(
            mine, lambda: self._node.create_subscription(kind, name, guarded, _qos(topic.qos), raw=raw)
        )
        self._made.append(lambda: self._node.destroy_subscription(made))
        return RclpySubscription(self._node, full)

    def service(self, topic: Topic, handler: Callable[[Any], Fields]) -> None:
        def answer(request: Any, response: Any) -> Any:
            return filled(response, handler(request))

        def answer_or_not(request: Any, response: Any) -> Any:
            return self._guarded(answer, topic.name)(request, response) or response

        made = self._node.create_service(service_class(topic.type), topic.name, answer_or_not)
        self._made.append(lambda: self._node.destroy_service(made))

    def client(self, topic: Topic) -> RclpyClient:
        kind = service_class(topic.type)
        made = self._node.create_client(kind, topic.name)
        self._made.append(lambda: self._node.destroy_client(made))
        return RclpyClient(made, kind, self.resolved(topic.name), self._guarded)

    def timer(self, period: float, callback: Callable[[], None]) -> RclpyTimer:
        return self._timer(period, self._guarded(callback, "timer"))

    def once(self, delay: float, callback: Callable[[], None]) -> RclpyTimer:
        def call() -> None:
            timer.cancel()
            callback()

        timer = self._timer(max(delay, 1e-6), self._guarded(call, "timer"))
        return timer

    def _timer(self, period: float, callback: Callable[[], None]) -> RclpyTimer:
        made = self._node.create_timer(period, callback, clock=_STEADY)
        self._made.append(lambda: self._node.destroy_timer(made))
        return RclpyTimer(made)

    def _guarded(self, callback: Callable[..., Any], what: str) -> Callable[..., Any]:
        """One callback that fails must not silence all the others: rclpy's executor would end."""

        def call(*arguments: Any) -> Any:
            with contained(failed):
                return callback(*arguments)
            return None

        def failed(error: Exception) -> None:
            self.log(logging.ERROR, f"{what}: a callback failed: {type(error).__name__}: {error}")

        return call

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Of the whole graph: looks at each topic, which takes a while."""
        return tuple(self._graph.all_others())

    def twins(self) -> int:
        return self._graph.twins()

    def resolved(self, name: str) -> str:
        return str(self._node.resolve_topic_name(name))

    def troubles(self) -> tuple[str, ...]:
        return self._troubles

    def log(self, level: int, text: str) -> None:
        logger = self._node.get_logger()
        if level >= logging.ERROR:
            logger.error(text)
        elif level >= logging.WARNING:
            logger.warning(text)
        else:
            logger.info(text)

    def _look_around(self) -> None:
        topics = {end.topic for end in self._graph.own}
        found = mismatches(self._graph.own, [end for topic in topics for end in self._graph.others(topic)])
        for words in found:
            if words not in self._troubles:
                self.log(logging.WARNING, words)
        self._troubles = found


class RclpyPublisher:
    """A publisher that takes fields."""

    def __init__(self, graph: Graph, publisher: Any, topic: str, kind: Any) -> None:
        self._graph = graph
        self._publisher = publisher
        self._topic = topic
        self._kind = kind

    @property
    def topic(self) -> str:
        return self._topic

    def publish(self, fields: Fields) -> None:
        self._publisher.publish(filled(self._kind(), fields))

    def subscribers(self) -> int:
        return int(self._publisher.get_subscription_count())

    def rivals(self) -> int:
        return sum(end.writer for end in self._graph.others(self._topic))


class RclpySubscription:
    """A subscription."""

    def __init__(self, node: Any, topic: str) -> None:
        self._node = node
        self._topic = topic

    def publishers(self) -> int:
        return int(self._node.count_publishers(self._topic))


class RclpyTimer:
    """A timer."""

    def __init__(self, timer: Any) -> None:
        self._timer = timer

    def cancel(self) -> None:
        self._timer.cancel()


class RclpyClient:
    """Calls one service."""

    def __init__(
        self, client: Any, kind: Any, name: str, guarded: Callable[[Callable[..., Any], str], Callable[..., Any]]
    ) -> None:
        self._client = client
        self._kind = kind
        self._name = name
        self._guarded = guarded

    def call(self, fields: Fields, timeout: float) -> Any:
        if in_callback():
            raise BusError(f"service {self._name}: called from a callback of the bus, which would wait for itself")
        if not self._client.wait_for_service(timeout_sec=timeout):
            raise BusError(f"service {self._name}: no server within {timeout:g} s")
        future, done = self._client.call_async(filled(self._kind.Request(), fields)), threading.Event()
        future.add_done_callback(lambda _: done.set())
        if not done.wait(timeout):
            self._client.remove_pending_request(future)
            raise BusError(f"service {self._name}: no reply within {timeout:g} s")
        return future.result()

    def send(self, fields: Fields, heard: Callable[[Any], None] | None = None) -> None:
        future = self._client.call_async(filled(self._kind.Request(), fields))
        if heard is not None:
            future.add_done_callback(self._guarded(lambda done: heard(done.result()), self._name))


def _qos(qos: Qos) -> QoSProfile:
    return QoSProfile(
        depth=qos.depth,
        reliability=QoSReliabilityPolicy.RELIABLE if qos.reliable else QoSReliabilityPolicy.BEST_EFFORT,
        durability=QoSDurabilityPolicy.TRANSIENT_LOCAL if qos.latched else QoSDurabilityPolicy.VOLATILE,
    )


def _descriptor(parameter: Parameter) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        description=parameter.what, read_only=True, additional_constraints=parameter.allowed
    )
    low, high = parameter.low, parameter.high
    if low is not None and parameter.type == "double":
        top = 1e308 if high is None else float(high)
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=top, step=0.0)]
    elif low is not None and parameter.type == "integer":
        top = 2**63 - 1 if high is None else int(high)
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=top, step=1)]
    return descriptor
