"""A double of rclpy (Jazzy) as strict as it: what the real one refuses, raises or forgets, this does too.

What it stands for was looked up in rclpy 7.1 and rcl 9.2, and the laws of test_bus_rclpy.py hold for both.
"""

from __future__ import annotations

import copy
import enum
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from robot_rlhf_hardware.ros.bus import qualified
from robot_rlhf_hardware.ros.rcl_yaml import Section as YamlSection
from robot_rlhf_hardware.ros.rcl_yaml import for_node, merged, sections_of, value_of
from tests.hardware.ros import message_doubles


class ParameterAlreadyDeclaredError(Exception): ...


class ParameterUninitializedError(Exception): ...


class InvalidParameterTypeError(Exception): ...


class InvalidParameterValueError(Exception): ...


class ExternalShutdownError(Exception): ...


class ShutdownError(Exception): ...


class RCLError(RuntimeError): ...


class Type(enum.Enum):
    BOOL = 1
    INTEGER = 2
    DOUBLE = 3
    STRING = 4
    INTEGER_ARRAY = 7
    DOUBLE_ARRAY = 8
    STRING_ARRAY = 9

    @classmethod
    def of(cls, value: Any) -> Type:
        inner = value[0] if isinstance(value, list) else value
        name = {bool: "BOOL", int: "INTEGER", float: "DOUBLE", str: "STRING"}[type(inner)]
        return cls[f"{name}_ARRAY" if isinstance(value, list) else name]


class Reliability(enum.Enum):
    RELIABLE = 1
    BEST_EFFORT = 2


class Durability(enum.Enum):
    TRANSIENT_LOCAL = 1
    VOLATILE = 2


@dataclass
class QoSProfile:
    depth: int
    reliability: Reliability
    durability: Durability


class Transition(enum.Enum):
    SUCCESS = "transition_success"
    FAILURE = "transition_failure"
    ERROR = "transition_error"


class Context:
    """rclpy.context.Context."""

    def __init__(self) -> None:
        self.arguments: list[str] = []
        self._ok = False

    def ok(self) -> bool:
        return self._ok

    def start(self, arguments: Sequence[str] | None) -> None:
        self.arguments, self._ok = list(arguments or ()), True

    def try_shutdown(self) -> None:
        self._ok = False


@dataclass(eq=False)
class Endpoint:
    """A publisher or subscription, as the graph tells of it and as its owner holds it."""

    node: Node
    topic: str
    kind: Any
    qos: QoSProfile
    writer: bool
    callback: Callable[[Any], Any] = lambda _: None
    gid: bytes = field(default_factory=lambda: next(_GIDS))
    queue: deque[Any] = field(default_factory=deque)
    """A subscription's history, of its depth."""
    kept: deque[Any] = field(default_factory=deque)
    """What a transient-local publisher keeps for who comes later."""
    told: list[Node] = field(default_factory=list["Node"])
    """Who has heard of it."""

    def publish(self, message: Any) -> None:
        assert type(message) is self.kind, "another type"
        if self.qos.durability is Durability.TRANSIENT_LOCAL:
            self.kept = deque([*self.kept, copy.deepcopy(message)], maxlen=self.qos.depth)
        for other in self.node.world.endpoints:
            if meet(self, other):
                other.take(message)

    def take(self, message: Any) -> None:
        self.queue = deque([*self.queue, copy.deepcopy(message)], maxlen=self.qos.depth)

    def get_subscription_count(self) -> int:
        return sum(meet(self, other) for other in self.node.world.endpoints)


_GIDS: Iterator[bytes] = (number.to_bytes(16, "big") for number in itertools.count(1))


def meet(writer: Endpoint, reader: Endpoint) -> bool:
    if not writer.writer or reader.writer or (writer.topic, writer.kind) != (reader.topic, reader.kind):
        return False
    reliable = writer.qos.reliability is Reliability.RELIABLE or reader.qos.reliability is Reliability.BEST_EFFORT
    kept = writer.qos.durability is Durability.TRANSIENT_LOCAL or reader.qos.durability is Durability.VOLATILE
    return reliable and kept


@dataclass(eq=False)
class Timer:
    period: float
    callback: Callable[[], Any]
    due: float
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class Future:
    def __init__(self) -> None:
        self._done: list[Callable[[Any], Any]] = []
        self._result: Any = None
        self._has = False

    def add_done_callback(self, callback: Callable[[Any], Any]) -> None:
        self._done.append(callback)
        if self._has:
            callback(self)

    def set_result(self, result: Any) -> None:
        self._result, self._has = result, True
        for callback in self._done:
            callback(self)

    def result(self) -> Any:
        return self._result


@dataclass(eq=False)
class Service:
    srv_type: Any
    name: str
    callback: Callable[[Any, Any], Any]
    requests: deque[tuple[Any, Future]] = field(default_factory=deque)


@dataclass(eq=False)
class Client:
    node: Node
    kind: Any
    name: str

    def _servers(self) -> list[Service]:
        return [s for node in self.node.world.nodes for s in node.services if s.name == self.name]

    def wait_for_service(self, timeout_sec: float) -> bool:
        deadline = time.monotonic() + timeout_sec
        while not self._servers() and time.monotonic() < deadline:
            time.sleep(0.005)
        return bool(self._servers())

    def call_async(self, request: Any) -> Future:
        future = Future()
        for server in self._servers():
            server.requests.append((copy.deepcopy(request), future))
        return future

    def remove_pending_request(self, future: Future) -> None: ...


@dataclass
class World:
    """The graph of one test."""

    nodes: list[Node] = field(default_factory=list["Node"])
    endpoints: list[Endpoint] = field(default_factory=list[Endpoint])


class Node:
    """rclpy.node.Node. Its class attribute `world` is set for each test."""

    world: World

    def __init__(self, name: str, *, context: Context) -> None:
        assert context.ok(), "rclpy.init() has not been called"
        self._names, self._remaps, sections = {"__node": name, "__ns": "/"}, {}, []
        words = list(context.arguments)
        while words:
            word = words.pop(0)
            if word == "--ros-args":
                continue
            value = words.pop(0)
            before, _, after = value.partition(":=")
            if word == "-r" and before in self._names:
                self._names[before] = after
            elif word == "-r":
                self._remaps[before] = after
            elif word == "--params-file":
                sections += sections_of(Path(value).read_text(), value)
            elif word == "-p":
                sections.append(YamlSection("/**", {before: value_of(after, value)}))
            else:
                assert word in ("--log-level", "--log-config-file", "--enclave"), f"rcl knows no {word}"
        self._overrides = for_node(merged(sections), self.get_fully_qualified_name())
        self._declared: dict[str, Any] = {}
        self.services: list[Service] = []
        self.timers: list[Timer] = []
        self.logged: list[str] = []
        self.world.nodes.append(self)
        self.create_publisher(message_doubles.message_class("std_msgs/msg/String"), "/rosout", _of(10))

    def get_name(self) -> str:
        return self._names["__node"]

    def get_namespace(self) -> str:
        return self._names["__ns"]

    def get_fully_qualified_name(self) -> str:
        return f"{self.get_namespace().rstrip('/')}/{self.get_name()}"

    def get_logger(self) -> Any:
        return SimpleNamespace(error=self.logged.append, warning=self.logged.append, info=self.logged.append)

    def get_clock(self) -> Any:
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=time.time_ns()))

    def resolve_topic_name(self, name: str) -> str:
        return qualified(name, self.get_namespace(), self.get_name(), self._remaps)

    # -- parameters: an override that nobody declares is passed over in silence

    def has_parameter(self, name: str) -> bool:
        return name in self._declared

    def declare_parameter(self, name: str, start: Any, descriptor: Any) -> None:
        if name in self._declared:
            raise ParameterAlreadyDeclaredError(name)
        kind = start if isinstance(start, Type) else Type.of(start)
        value = self._overrides.get(name, None if isinstance(start, Type) else start)
        if value is not None and Type.of(value) is not kind:
            raise InvalidParameterTypeError(f"{name}: {value!r} is no {kind}")
        for bounds in (*descriptor.floating_point_range, *descriptor.integer_range):
            if value is not None and not bounds.from_value <= value <= bounds.to_value:
                raise InvalidParameterValueError(f"{name}: {value!r}")
        self._declared[name] = value

    def get_parameter(self, name: str) -> Any:
        if self._declared[name] is None:
            raise ParameterUninitializedError(name)
        return SimpleNamespace(value=self._declared[name])

    # -- endpoints

    def create_publisher(self, kind: Any, name: str, qos: QoSProfile) -> Endpoint:
        return self._made(Endpoint(self, self.resolve_topic_name(name), kind, qos, True))

    def create_subscription(
        self, kind: Any, name: str, callback: Callable[[Any], Any], qos: QoSProfile, *, raw: bool = False
    ) -> Endpoint:
        assert not raw, "not needed here"
        made = self._made(Endpoint(self, self.resolve_topic_name(name), kind, qos, False, callback))
        if qos.durability is Durability.TRANSIENT_LOCAL:
            for writer in self.world.endpoints:
                for message in writer.kept if meet(writer, made) else ():
                    made.take(message)
        return made

    def _made(self, endpoint: Endpoint) -> Endpoint:
        self.world.endpoints.append(endpoint)
        return endpoint

    def create_service(self, kind: Any, name: str, callback: Callable[[Any, Any], Any]) -> Service:
        self.services.append(Service(kind, self.resolve_topic_name(name), callback))
        return self.services[-1]

    def create_client(self, kind: Any, name: str) -> Client:
        return Client(self, kind, self.resolve_topic_name(name))

    def create_timer(self, period: float, callback: Callable[[], Any], clock: Any = None) -> Timer:
        assert clock is not None, "ROS time may stand still"
        self.timers.append(Timer(period, callback, time.monotonic() + period))
        return self.timers[-1]

    def destroy_publisher(self, endpoint: Endpoint) -> None:
        self.world.endpoints.remove(endpoint)

    destroy_subscription = destroy_publisher

    def destroy_service(self, service: Service) -> None:
        self.services.remove(service)

    def destroy_client(self, client: Client) -> None: ...

    def destroy_timer(self, timer: Timer) -> None:
        timer.cancel()
        self.timers.remove(timer)

    def destroy_node(self) -> None:
        self.world.nodes.remove(self)
        self.world.endpoints[:] = [end for end in self.world.endpoints if end.node is not self]

    # -- the graph: it tells of our own endpoints too, and of each node as often as its name is there

    def get_node_names_and_namespaces(self) -> list[tuple[str, str]]:
        return [(node.get_name(), node.get_namespace()) for node in self.world.nodes]

    def get_topic_names_and_types(self) -> list[tuple[str, list[str]]]:
        return [(topic, []) for topic in sorted({end.topic for end in self.world.endpoints})]

    def get_publishers_info_by_topic(self, topic: str) -> list[Any]:
        return [_info(end, self) for end in self.world.endpoints if end.writer and end.topic == topic]

    def get_subscriptions_info_by_topic(self, topic: str) -> list[Any]:
        return [_info(end, self) for end in self.world.endpoints if not end.writer and end.topic == topic]

    def count_publishers(self, topic: str) -> int:
        return len(self.get_publishers_info_by_topic(topic))


def _of(depth: int) -> QoSProfile:
    return QoSProfile(depth, Reliability.RELIABLE, Durability.VOLATILE)


def _info(end: Endpoint, asker: Node) -> Any:
    """At first the endpoint of another is known, and not yet whose it is."""
    known = end.node is asker or asker in end.told
    end.told.append(asker)
    return SimpleNamespace(
        node_name=end.node.get_name() if known else "_NODE_NAME_UNKNOWN_",
        node_namespace=end.node.get_namespace() if known else "_NODE_NAMESPACE_UNKNOWN_",
        topic_type=end.kind.__name__.replace(".", "/"),
        qos_profile=_without_depth(end.qos),
        endpoint_gid=list(end.gid),
    )


def _without_depth(qos: QoSProfile) -> QoSProfile:
    """Over the wire no depth is told."""
    return QoSProfile(0, qos.reliability, qos.durability)


_STATES = {
    ("unconfigured", 1): ("on_configure", "inactive"),
    ("inactive", 2): ("on_cleanup", "unconfigured"),
    ("inactive", 3): ("on_activate", "active"),
    ("active", 4): ("on_deactivate", "inactive"),
    ("unconfigured", 5): ("on_shutdown", "finalized"),
    ("inactive", 6): ("on_shutdown", "finalized"),
    ("active", 7): ("on_shutdown", "finalized"),
}


class LifecycleNode(Node):
    """rclpy.lifecycle.LifecycleNode: a transition that the state does not allow raises, in its service too."""

    def __init__(self, name: str, *, context: Context) -> None:
        super().__init__(name, context=context)
        self.state = "unconfigured"
        self.create_service(message_doubles.change_state(), "~/change_state", self._on_change_state)

    def on_activate(self, state: Any) -> Transition:
        return Transition.SUCCESS

    def on_deactivate(self, state: Any) -> Transition:
        return Transition.SUCCESS

    def _on_change_state(self, request: Any, response: Any) -> Any:
        number = request.transition.id
        if (self.state, number) not in _STATES:
            raise RCLError("Failed to trigger lifecycle state machine transition: Transition is not registered.")
        deed, after = _STATES[self.state, number]
        before = SimpleNamespace(label=self.state)
        result = self._called(deed, before)
        if result is Transition.ERROR:
            after = "unconfigured" if self._called("on_error", before) is Transition.SUCCESS else "finalized"
            self.state = after
        elif result is Transition.SUCCESS:
            self.state = after
        response.success = result is Transition.SUCCESS
        return response

    def _called(self, deed: str, before: Any) -> Transition:
        try:
            return getattr(self, deed)(before)
        except Exception:
            return Transition.ERROR


class SingleThreadedExecutor:
    """rclpy.executors.SingleThreadedExecutor: what a callback raises comes out of spin_once; shutdown takes away what a
    round still waits for, whatever thread that is in.
    """

    def __init__(self, *, context: Context) -> None:
        self._context = context
        self._nodes: list[Node] = []
        self._guard: Any = SimpleNamespace(handle=object())
        self._tasks: deque[Callable[[], Any]] = deque()

    def add_node(self, node: Node) -> None:
        self._nodes.append(node)

    def create_task(self, callback: Callable[[], Any]) -> None:
        self._tasks.append(callback)

    def shutdown(self) -> None:
        self._nodes, self._guard = [], None

    def spin_once(self, timeout_sec: float | None = None) -> None:
        while True:
            assert self._guard.handle is not None
            if not self._context.ok():
                raise ExternalShutdownError
            work = self._next()
            if work is not None:
                work()
                return
            time.sleep(0.001)

    def _next(self) -> Callable[[], Any] | None:
        if self._tasks:
            return self._tasks.popleft()
        for node in self._nodes:
            for timer in list(node.timers):
                if not timer.cancelled and timer.due <= time.monotonic():
                    timer.due = max(timer.due + timer.period, time.monotonic())
                    return timer.callback
            for end in list(node.world.endpoints):
                if end.node is node and end.queue:
                    message = end.queue.popleft()
                    return lambda end=end, message=message: end.callback(message)
            for service in list(node.services):
                if service.requests:
                    request, future = service.requests.popleft()
                    return lambda s=service, r=request, f=future: f.set_result(s.callback(r, s.srv_type.Response()))
        return None


def install(monkeypatch: pytest.MonkeyPatch) -> World:
    """Put the double where `import rclpy` finds it, until the test is over."""
    import sys

    world = World()
    monkeypatch.setattr(Node, "world", world, raising=False)
    descriptor = lambda **told: SimpleNamespace(**{"floating_point_range": [], "integer_range": [], **told})  # noqa: E731

    def init(args: Any, context: Context, signal_handler_options: Any) -> None:
        assert threading.current_thread() is threading.main_thread()
        context.start(args)

    members: dict[str, dict[str, Any]] = {
        "rclpy": {"init": init},
        "rclpy.clock": {"Clock": lambda clock_type: clock_type, "ClockType": SimpleNamespace(STEADY_TIME="steady")},
        "rclpy.context": {"Context": Context},
        "rclpy.exceptions": {"ParameterUninitializedException": ParameterUninitializedError},
        "rclpy.executors": {
            "ExternalShutdownException": ExternalShutdownError,
            "ShutdownException": ShutdownError,
            "SingleThreadedExecutor": SingleThreadedExecutor,
        },
        "rclpy.lifecycle": {"LifecycleNode": LifecycleNode, "TransitionCallbackReturn": Transition},
        "rclpy.node": {"Node": Node},
        "rclpy.parameter": {"Parameter": SimpleNamespace(Type=Type)},
        "rclpy.qos": {
            "QoSDurabilityPolicy": Durability,
            "QoSProfile": QoSProfile,
            "QoSReliabilityPolicy": Reliability,
        },
        "rclpy.signals": {"SignalHandlerOptions": SimpleNamespace(NO=0)},
        "rcl_interfaces": {},
        "rcl_interfaces.msg": {
            "FloatingPointRange": lambda **told: SimpleNamespace(**told),
            "IntegerRange": lambda **told: SimpleNamespace(**told),
            "ParameterDescriptor": descriptor,
        },
        "lifecycle_msgs": {},
        "lifecycle_msgs.srv": {"ChangeState": message_doubles.change_state()},
        "rosidl_runtime_py": {},
        "rosidl_runtime_py.utilities": {
            "get_message": message_doubles.message_class,
            "get_service": message_doubles.service_class,
            "get_action": lambda kind: SimpleNamespace(
                Impl=SimpleNamespace(SendGoalService=message_doubles.service_class(f"{kind}_SendGoal"))
            ),
        },
    }
    for name, values in members.items():
        module = ModuleType(name)
        module.__dict__.update(values)
        monkeypatch.setitem(sys.modules, name, module)
    for name in ("bus_rclpy", "rclpy_graph", "rclpy_host", "rclpy_messages", "rclpy_spin"):
        monkeypatch.delitem(sys.modules, f"robot_rlhf_hardware.ros.{name}", raising=False)
    return world
