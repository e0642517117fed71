"""A bus over rclpy, ROS 2's own client library: as thin as it can be; imported only where ROS is sourced."""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

import array
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self
from weakref import WeakSet

import numpy as np
import rclpy
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterUninitializedException
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rosidl_runtime_py.utilities import get_action, get_message, get_service

from hardware.ros.bus import BusError, Fields
from hardware.ros.graph import Endpoint, mismatches
from hardware.ros.parameters import Parameter, read_parameters
from hardware.ros.topics import Qos, Topic
from robot_rlhf.timing import MonotonicClock

_LOOK_EVERY = 0.5
_FILE_SUFFIX = "_SendGoal"
_STEADY = Clock(clock_type=ClockType.STEADY_TIME)
"""Of all timers: a watchdog must tick when ROS time stands still or is set back."""
_SPINNING: WeakSet[threading.Thread] = WeakSet()
"""The threads from which callbacks come."""


class RclpyBus:
    """One node; its callbacks come from a single-threaded executor in a thread of its own."""

    def __init__(self, name: str, arguments: Sequence[str] = (), node: Node | None = None) -> None:
        """
        Args:
            arguments: ROS's own, from --ros-args on.
            node: an existing one, whose executor somebody else runs.
        """
        self._name = name
        self._arguments = list(arguments)
        self._node: Any = node
        self._owned = node is None
        self._clock = MonotonicClock()
        self._own: list[Endpoint] = []
        self._troubles: tuple[str, ...] = ()
        self._executor: Any = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._owned:
            rclpy.init(args=self._arguments, signal_handler_options=SignalHandlerOptions.NO)
            self._node = Node(self._name)
            self._executor, self._thread = _spinning(self._node)
        self.timer(_LOOK_EVERY, self._look_around)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._owned:
            _end(self._executor, self._thread, self._node)

    @property
    def clock(self) -> MonotonicClock:
        return self._clock

    @property
    def node(self) -> str:
        return str(self._node.get_fully_qualified_name())

    def now(self) -> float:
        return self._node.get_clock().now().nanoseconds * 1e-9

    def parameters(self, declared: Sequence[Parameter]) -> dict[str, Any]:
        given: dict[str, Any] = {}
        for parameter in declared:
            kind = RosParameter.Type[parameter.type.upper()]
            default = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
            start = kind if default is None or default == [] else default
            self._node.declare_parameter(parameter.name, start, _descriptor(parameter))
            try:
                value = self._node.get_parameter(parameter.name).value
            except ParameterUninitializedException:
                continue
            if value is not None:
                given[parameter.name] = list(value) if isinstance(value, (array.array, tuple)) else value
        return read_parameters(declared, given, self.node)

    def publisher(self, topic: Topic, name: str | None = None) -> RclpyPublisher:
        full = self.resolved(name or topic.name)
        publisher = self._node.create_publisher(get_message(topic.type), name or topic.name, _qos(topic.qos))
        self._own.append(Endpoint(full, topic.type, True, topic.qos, self.node))
        return RclpyPublisher(self._node, publisher, full, get_message(topic.type))

    def subscription(
        self, topic: Topic, callback: Callable[[Any], None], name: str | None = None, *, raw: bool = False
    ) -> RclpySubscription:
        name = name or topic.name
        guarded = self._guarded(callback, name)
        made = self._node.create_subscription(get_message(topic.type), name, guarded, _qos(topic.qos), raw=raw)
        full = self.resolved(name)
        self._own.append(Endpoint(full, topic.type, False, topic.qos, self.node))
        return RclpySubscription(self._node, made, full)

    def service(self, topic: Topic, handler: Callable[[Any], Fields]) -> None:
        def answer(request: Any, response: Any) -> Any:
            return filled(response, handler(request))

        def answer_or_not(request: Any, response: Any) -> Any:
            return self._guarded(answer, topic.name)(request, response) or response

        self._node.create_service(_service_type(topic.type), topic.name, answer_or_not)

    def client(self, topic: Topic) -> RclpyClient:
        kind = _service_type(topic.type)
        return RclpyClient(self._node.create_client(kind, topic.name), kind, self.resolved(topic.name))

    def timer(self, period: float, callback: Callable[[], None]) -> RclpyTimer:
        return RclpyTimer(self._node.create_timer(period, self._guarded(callback, "timer"), clock=_STEADY))

    def once(self, delay: float, callback: Callable[[], None]) -> RclpyTimer:
        def call() -> None:
            timer.cancel()
            callback()

        timer = RclpyTimer(self._node.create_timer(max(delay, 1e-6), self._guarded(call, "timer"), clock=_STEADY))
        return timer

    def _guarded(self, callback: Callable[..., Any], what: str) -> Callable[..., Any]:
        """One callback that fails must not silence all the others: rclpy's executor would end."""

        def call(*arguments: Any) -> Any:
            try:
                return callback(*arguments)
            except Exception as error:
                self.log(logging.ERROR, f"{what}: a callback failed: {type(error).__name__}: {error}")
                return None

        return call

    def endpoints(self) -> tuple[Endpoint, ...]:
        return tuple(end for topic in {end.topic for end in self._own} for end in _others(self._node, topic))

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
        found = mismatches(self._own, self.endpoints())
        for words in found:
            if words not in self._troubles:
                self.log(logging.WARNING, words)
        self._troubles = found


class RclpyPublisher:
    """A publisher that takes fields."""

    def __init__(self, node: Any, publisher: Any, topic: str, kind: Any) -> None:
        self._node = node
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
        return sum(end.writer for end in _others(self._node, self._topic))


class RclpySubscription:
    """A subscription."""

    def __init__(self, node: Any, subscription: Any, topic: str) -> None:
        self._node = node
        self._subscription = subscription
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

    def __init__(self, client: Any, kind: Any, name: str) -> None:
        self._client = client
        self._kind = kind
        self._name = name

    def call(self, fields: Fields, timeout: float) -> Any:
        if threading.current_thread() in _SPINNING:
            raise BusError(f"service {self._name}: called from a callback of the bus, which would wait for itself")
        if not self._client.wait_for_service(timeout_sec=timeout):
            raise BusError(f"service {self._name}: no server within {timeout:g} s")
        future, done = self._client.call_async(filled(self._kind.Request(), fields)), threading.Event()
        future.add_done_callback(lambda _: done.set())
        if not done.wait(timeout):
            raise BusError(f"service {self._name}: no reply within {timeout:g} s")
        return future.result()

    def send(self, fields: Fields, heard: Callable[[Any], None] | None = None) -> None:
        future = self._client.call_async(filled(self._kind.Request(), fields))
        if heard is not None:
            future.add_done_callback(lambda done: heard(done.result()))


class Core(Protocol):
    """What a lifecycle node hosts."""

    def configure(self) -> None: ...

    def activate(self) -> None: ...

    def deactivate(self) -> None: ...

    def end(self) -> None: ...

    def run(self) -> dict[str, Any]: ...


class LifecycleHost:
    """A managed node around a core: transitions come from the graph, `run` waits for the first activation.

    A node that was deactivated stays inactive until somebody activates it: nothing here does.
    """

    def __init__(self, name: str, arguments: Sequence[str], make_core: Callable[[RclpyBus], Core]) -> None:
        self._name = name
        self._arguments = list(arguments)
        self._make_core = make_core
        self._activated = threading.Event()
        self._ended = threading.Event()
        self._core: Core | None = None

    def __enter__(self) -> Self:
        rclpy.init(args=self._arguments, signal_handler_options=SignalHandlerOptions.NO)
        self._node: Any = _managed(self)(self._name)
        self._bus = RclpyBus(self._name, (), self._node).__enter__()
        self._executor, self._thread = _spinning(self._node)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._core is not None and self._activated.is_set():
            self._core.deactivate()
        _end(self._executor, self._thread, self._node)

    def run(self) -> dict[str, Any] | None:
        """The core's run, once the node was activated; None when it was ended before."""
        while not self._activated.wait(0.1):
            if self._ended.is_set():
                return None
        assert self._core is not None
        return self._core.run()

    def end(self) -> None:
        """Ask `run` to end; only sets flags, as a signal's handler must."""
        self._ended.set()
        if self._core is not None:
            self._core.end()

    def log(self, level: int, text: str) -> None:
        self._bus.log(level, text)

    def configure(self) -> None:
        """The transition of that name."""
        core = self._make_core(self._bus)
        core.configure()
        self._core = core

    def activate(self) -> None:
        """The transition of that name."""
        assert self._core is not None
        self._core.activate()
        self._activated.set()

    def deactivate(self) -> None:
        """The transition of that name; the zero command is sent before it succeeds."""
        assert self._core is not None
        self._core.deactivate()


def _managed(host: LifecycleHost) -> Any:
    """The class of the node: transitions are passed on."""
    done = TransitionCallbackReturn

    class Managed(LifecycleNode):
        def on_configure(self, state: Any) -> Any:
            try:
                host.configure()
            except Exception as error:
                self.get_logger().error(str(error))
                return done.FAILURE
            return done.SUCCESS

        def on_activate(self, state: Any) -> Any:
            host.activate()
            return super().on_activate(state)

        def on_deactivate(self, state: Any) -> Any:
            host.deactivate()
            return super().on_deactivate(state)

        def on_cleanup(self, state: Any) -> Any:
            self.get_logger().error("cleanup: end the node and start it again instead")
            return done.FAILURE

        def on_shutdown(self, state: Any) -> Any:
            host.end()
            return done.SUCCESS

    return Managed


def _spinning(node: Any) -> tuple[Any, threading.Thread]:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, name="rclpy", daemon=True)
    _SPINNING.add(thread)
    thread.start()
    return executor, thread


def _end(executor: Any, thread: threading.Thread | None, node: Any) -> None:
    """In this order: a spinning daemon thread at exit would abort the process."""
    executor.shutdown()
    if thread is not None:
        thread.join(timeout=5.0)
    node.destroy_node()
    rclpy.try_shutdown()


def _qos(qos: Qos) -> QoSProfile:
    return QoSProfile(
        depth=qos.depth,
        reliability=QoSReliabilityPolicy.RELIABLE if qos.reliable else QoSReliabilityPolicy.BEST_EFFORT,
        durability=QoSDurabilityPolicy.TRANSIENT_LOCAL if qos.latched else QoSDurabilityPolicy.VOLATILE,
    )


def _others(node: Any, topic: str) -> list[Endpoint]:
    found: list[Endpoint] = []
    own = (node.get_name(), node.get_namespace())
    told = (
        *((info, True) for info in node.get_publishers_info_by_topic(topic)),
        *((info, False) for info in node.get_subscriptions_info_by_topic(topic)),
    )
    for info, writer in told:
        if (info.node_name, info.node_namespace) == own:
            continue
        profile = info.qos_profile
        qos = Qos(
            reliable=profile.reliability == QoSReliabilityPolicy.RELIABLE,
            depth=profile.depth,
            latched=profile.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL,
        )
        name = f"{info.node_namespace.rstrip('/')}/{info.node_name}"
        found.append(Endpoint(topic, info.topic_type, writer, qos, name))
    return found


def _service_type(kind: str) -> Any:
    if "/action/" in kind:
        return get_action(kind.removesuffix(_FILE_SUFFIX)).Impl.SendGoalService
    return get_service(kind)


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


def filled(message: Any, fields: Mapping[str, Any]) -> Any:
    """Set the fields of a message of rclpy, nested ones too."""
    kinds = message.get_fields_and_field_types()
    for name, value in fields.items():
        present = getattr(message, name)
        if isinstance(value, Mapping):
            filled(present, value)
        elif kinds[name] == "octet":
            setattr(message, name, bytes([value]))
        elif isinstance(present, array.array):
            # From bytes: a list of numbers takes a thousand times as long.
            dtype = np.dtype(present.typecode)
            setattr(message, name, array.array(present.typecode, np.ascontiguousarray(value, dtype).tobytes()))
        elif isinstance(present, np.ndarray):
            setattr(message, name, np.asarray(value, present.dtype))
        elif isinstance(present, list) and len(value) and isinstance(value[0], Mapping):
            inner = get_message(kinds[name].removeprefix("sequence<").partition(">")[0].replace("/", "/msg/"))
            setattr(message, name, [filled(inner(), item) for item in value])
        else:
            setattr(message, name, value)
    return message
