"""Hosts the policy's core on a bus: at once active without ROS, as a lifecycle node with rclpy; ends in order."""

from __future__ import annotations

import importlib
import logging
import signal
from collections.abc import Sequence
from types import FrameType
from typing import Protocol

from robot_rlhf.apps.ros_host import (
    HostOptions,
    alone,
    backend_of,
    joined,
    log_to_stderr,
    open_bus,
    parameters_given,
    read_options,
    ros_arguments,
    warn_of_strangers,
)
from robot_rlhf.apps.ros_policy import PolicyCore, summary_line
from robot_rlhf_hardware.ros.bus import BusError
from robot_rlhf_hardware.ros.nodes import POLICY

INTERRUPTED = 130


class Endable(Protocol):
    """What can be asked to end."""

    def end(self) -> None: ...


def run(argv: Sequence[str]) -> int:
    """Run the policy node until its run is done, or SIGINT or SIGTERM comes; returns the exit code."""
    options = read_options(POLICY.executable, argv)
    log_to_stderr(options.log_level)
    if backend_of(options) == "rclpy":
        return _with_rclpy(options)
    with joined(options) as bus:
        core = PolicyCore(bus)
        core.configure()
        bus.failure.listeners.append(lambda _: _hold_and_end(core))
        end_in_order(core)
        core.activate()
        summary = core.run()
        core.deactivate()
        bus.log(logging.INFO, summary_line(summary))
        if bus.failure.reason:
            raise BusError(bus.failure.reason)
    return INTERRUPTED if summary["interrupted"] else 0


def _hold_and_end(core: PolicyCore) -> None:
    """The bus is deaf: hold still while something can still be sent, and end the run."""
    try:
        core.deactivate()
    finally:
        core.end()


def _with_rclpy(options: HostOptions) -> int:
    open_bus(options)  # says what is missing
    module = importlib.import_module("robot_rlhf_hardware.ros.rclpy_host")
    given = parameters_given(options)
    with module.LifecycleHost(options.name, ros_arguments(options), given, PolicyCore) as host:
        end_in_order(host)
        alone(host.bus)
        warn_of_strangers(host.bus, options)
        summary = host.run()
        if summary is None:
            return 0
        host.log(logging.INFO, summary_line(summary))
    return INTERRUPTED if summary["interrupted"] else 0


def end_in_order(core: Endable) -> None:
    """Make SIGINT and SIGTERM hold the robot still at once and end the run after its step; more of them change nothing.

    Launch sends SIGINT too when a terminal has sent it already.
    """

    def end(number: int, frame: FrameType | None) -> None:
        core.end()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
