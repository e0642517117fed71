"""Hosts the policy's core on a bus: at once active without ROS, as a lifecycle node with rclpy; ends in order."""

from __future__ import annotations

import importlib
import logging
import signal
from collections.abc import Sequence
from types import FrameType
from typing import Protocol

from hardware.ros.nodes import POLICY
from robot_rlhf.apps.ros_host import HostOptions, log_to_stderr, open_bus, read_options, ros_arguments
from robot_rlhf.apps.ros_policy import PolicyCore, summary_line

INTERRUPTED = 130


class Endable(Protocol):
    """What can be asked to end."""

    def end(self) -> None: ...


def run(argv: Sequence[str]) -> int:
    """Run the policy node until its run is done, or SIGINT or SIGTERM comes; returns the exit code."""
    log_to_stderr()
    options = read_options(POLICY.executable, argv)
    bus = open_bus(options)
    if type(bus).__module__.endswith("bus_rclpy"):
        return _with_rclpy(options)
    with bus:
        core = PolicyCore(bus)
        core.configure()
        end_in_order(core)
        core.activate()
        summary = core.run()
        core.deactivate()
        bus.log(logging.INFO, summary_line(summary))
    return INTERRUPTED if summary["interrupted"] else 0


def _with_rclpy(options: HostOptions) -> int:
    module = importlib.import_module("hardware.ros.bus_rclpy")
    with module.LifecycleHost(options.name, ros_arguments(options), PolicyCore) as host:
        end_in_order(host)
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
