"""`robot-rlhf ros operator`: a SpaceMouse at this machine, as ROS's own driver would publish it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from robot_rlhf.apps.ros_host import joined, log_to_stderr, read_options, until_ended
from robot_rlhf.datatypes import ActionLayout
from robot_rlhf.ports import Teleop
from robot_rlhf_hardware.ros.bus import Bus
from robot_rlhf_hardware.ros.messages import joy_fields, twist_fields
from robot_rlhf_hardware.ros.nodes import OPERATOR
from robot_rlhf_hardware.ros.topics import OPERATOR_TOPICS, named
from robot_rlhf_hardware.spacemouse import SpaceMouse

LAYOUT = ActionLayout(("x", "y", "z", "rx", "ry", "rz", "gripper"), np.ones(7, np.float32))
BUTTONS = 16


class Publisher:
    """Reads the mouse and publishes what it says; when it is gone nothing is published, so that silence tells."""

    def __init__(self, bus: Bus, mouse: Teleop, values: dict[str, Any]) -> None:
        self._bus = bus
        self._mouse = mouse
        self._open, self._close = values["button_open"], values["button_close"]
        self._twist = bus.publisher(named(OPERATOR_TOPICS, "spacenav/twist"))
        self._joy = bus.publisher(named(OPERATOR_TOPICS, "joy"))
        self._there = True
        bus.timer(1.0 / values["rate"], self.tick)

    def tick(self) -> None:
        """One message each."""
        human = self._mouse.read()
        if (human is not None) != self._there:
            self._there = human is not None
            self._bus.log(logging.WARNING, "the mouse is there again" if self._there else "the mouse is gone")
        if human is None:
            return
        motion, buttons = np.zeros(6), np.zeros(BUTTONS, np.int32)
        if human.action is not None:
            motion = human.action.values[:6]
            buttons[self._open if human.action.values[6] >= 0 else self._close] = 1
        self._twist.publish(twist_fields(motion))
        self._joy.publish(joy_fields(self._bus.now(), np.zeros(8), buttons))


def run(argv: Sequence[str]) -> int:
    """Publish until SIGINT or SIGTERM; returns the exit code."""
    options = read_options(OPERATOR.executable, argv)
    log_to_stderr(options.log_level)
    with ExitStack() as stack:
        bus = stack.enter_context(joined(options))
        values: dict[str, Any] = dict(bus.parameters(OPERATOR.parameters))
        mouse = stack.enter_context(SpaceMouse.open(LAYOUT))
        Publisher(bus, mouse, values)
        until_ended(bus, 0.5)
    return 0
