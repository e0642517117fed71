"""The thread in which a node's callbacks run, whatever they raise; it says so when it can go on no longer."""

# pyright: reportMissingImports=false

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor

from robot_rlhf.background import contained

FAILURES = 20
"""Rounds in a row that may fail before the thread gives up."""
_SPINNING: WeakSet[threading.Thread] = WeakSet()


def in_callback() -> bool:
    """Whether the caller runs in the thread of some bus, which must not wait for itself."""
    return threading.current_thread() in _SPINNING


class Spinner:
    """Turns one node's executor. What rclpy raises in it (a transition out of place, a message that cannot be taken)
    ends the round, not the thread: e-stop, watchdog and diagnostics live there.
    """

    def __init__(
        self, node: Any, context: Any, log: Callable[[int, str], None], on_failure: Callable[[str], None]
    ) -> None:
        """Args: on_failure: called in the thread when it can go on no longer, with the reason."""
        self._executor: Any = SingleThreadedExecutor(context=context)
        self._executor.add_node(node)
        self._log = log
        self._on_failure = on_failure
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rclpy", daemon=True)
        _SPINNING.add(self._thread)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Let the round that runs come to its end, then give the executor up.

        In this order: a shutdown takes away what a running round still waits for, and a spinning daemon thread at the
        exit of the process would abort it.
        """
        self._ended.set()
        if self._thread.is_alive():
            self._executor.create_task(lambda: None)  # wakes it
            self._thread.join(timeout=5.0)
        self._executor.shutdown()

    def _run(self) -> None:
        failures, why = 0, ""

        def failed(error: Exception) -> None:
            nonlocal failures, why
            failures += 1
            self._log(logging.ERROR, f"a callback failed: {type(error).__name__}: {error}")
            if failures >= FAILURES:
                why = f"{failures} rounds failed in a row, the last with {type(error).__name__}: {error}"

        while not self._ended.is_set() and not why:
            with contained(failed):  # whichever callback it was: the others go on
                try:
                    self._executor.spin_once()
                    failures = 0
                except (ExternalShutdownException, ShutdownException):
                    why = "ROS was shut down"
        if why and not self._ended.is_set():
            self._on_failure(why)
