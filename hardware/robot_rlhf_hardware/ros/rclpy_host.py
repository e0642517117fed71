"""A managed node around a core: transitions come from the graph, `run` waits for the first activation."""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Protocol, Self

from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

from robot_rlhf.background import contained
from robot_rlhf_hardware.ros.bus import BusError
from robot_rlhf_hardware.ros.bus_rclpy import RclpyBus


class Core(Protocol):
    """What a lifecycle node hosts."""

    def configure(self) -> None: ...

    def activate(self) -> None: ...

    def deactivate(self) -> None: ...

    def end(self) -> None: ...

    def run(self) -> dict[str, Any]: ...


class LifecycleHost:
    """Hosts a core. A node that was deactivated stays inactive until somebody activates it: nothing here does.

    When the bus's thread can go on no longer, or a transition fails halfway, the robot is held still and `run` ends
    with an error: a node whose e-stop is deaf must not stay.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        given: Mapping[str, Any],
        make_core: Callable[[RclpyBus], Core],
    ) -> None:
        self.bus = RclpyBus(name, arguments, given, _managed(self))
        self._make_core = make_core
        self._activated = threading.Event()
        self._ended = threading.Event()
        self._failed = ""
        self._core: Core | None = None
        self.bus.failure.listeners.append(self.fail)

    def __enter__(self) -> Self:
        self.bus.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._core is not None and self._activated.is_set():
            self._core.deactivate()
        self.bus.__exit__(kind, error, traceback)

    def run(self) -> dict[str, Any] | None:
        """The core's run, once the node was activated; None when it was ended before.

        Raises:
            BusError: the bus failed, or a transition.
        """
        summary: dict[str, Any] | None = None
        while not self._activated.wait(0.1) and not self._ended.is_set():
            pass
        if self._activated.is_set() and self._core is not None:
            summary = self._core.run()
        if self._failed:
            raise BusError(self._failed)
        return summary

    def end(self) -> None:
        """Ask `run` to end; only sets flags, as a signal's handler must."""
        self._ended.set()
        if self._core is not None:
            self._core.end()

    def fail(self, why: str) -> None:
        """Hold still now, and have `run` end with an error."""
        self._failed = self._failed or why
        try:
            if self._core is not None:
                self._core.deactivate()
        finally:
            self.end()

    def log(self, level: int, text: str) -> None:
        self.bus.log(level, text)

    def configure(self) -> None:
        """The transition of that name; after one that failed nothing is left, so that it can be asked for again."""
        with ExitStack() as unless_configured:
            unless_configured.callback(self.bus.clear)
            if self.bus.twins():
                raise BusError(f"another node {self.bus.node} is on the graph: end it, then configure again")
            core = self._make_core(self.bus)
            core.configure()
            unless_configured.pop_all()
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
        def __init__(self, name: str, **options: Any) -> None:
            super().__init__(name, **options)
            (service,) = [service for service in self.services if service.srv_type is ChangeState]
            change = service.callback

            def change_or_refuse(request: Any, response: Any) -> Any:
                """rclpy raises for a transition that the state does not allow, and would leave the caller waiting."""
                try:
                    return change(request, response)
                except RuntimeError as error:
                    host.log(logging.WARNING, f"transition {_name(request)} refused: {error}")
                    response.success = False
                    return response

            service.callback = change_or_refuse

        def on_configure(self, state: Any) -> Any:
            with contained(lambda error: host.log(logging.ERROR, f"cannot be configured: {error}")):
                host.configure()
                return done.SUCCESS
            return done.FAILURE

        def on_activate(self, state: Any) -> Any:
            if host.bus.twins():
                host.log(logging.ERROR, f"not activated: another node {host.bus.node} is on the graph")
                return done.FAILURE
            host.activate()
            return super().on_activate(state)

        def on_deactivate(self, state: Any) -> Any:
            host.deactivate()
            return super().on_deactivate(state)

        def on_cleanup(self, state: Any) -> Any:
            host.log(logging.ERROR, "cleanup: end the node and start it again instead")
            return done.FAILURE

        def on_shutdown(self, state: Any) -> Any:
            host.end()
            return done.SUCCESS

        def on_error(self, state: Any) -> Any:
            host.fail(f"a transition failed (from {state.label})")
            return done.FAILURE

    return Managed


def _name(request: Any) -> str:
    return str(request.transition.label or request.transition.id)
