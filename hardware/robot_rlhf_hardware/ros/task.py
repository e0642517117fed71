"""A task on a robot behind topics: reset by a service or by motion; success as a topic tells."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Observation
from robot_rlhf.errors import ConfigError, InvalidValueError, RobotError
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf_hardware.ros.bus import Bus, BusError, Client
from robot_rlhf_hardware.ros.robot import RosRobot
from robot_rlhf_hardware.ros.topics import POLICY_TOPICS, named

FRESH_TIMEOUT = 5.0
"""Seconds after a reset within which everything must be sensed again."""


@dataclass(frozen=True)
class TaskSettings:
    """The parameters of `hardware.ros.nodes.TASK`; what they mean stands there."""

    task: str
    instruction: str
    time_limit: int
    reset: str
    reset_timeout: float
    home: tuple[float, ...]
    home_spread: tuple[float, ...]
    success: str

    def __post_init__(self) -> None:
        if self.reset == "motion" and len(self.home) != 7:
            raise ConfigError(f"parameter home: got {len(self.home)} numbers, allowed: 7, for reset: motion")


class RosTask:
    """A Task. A reset that fails latches the guard's fault 'reset', so that a person sees to it."""

    def __init__(
        self,
        bus: Bus,
        settings: TaskSettings,
        robot: RosRobot,
        guard: GuardedRobot,
        *,
        may_move: Callable[[], bool] = lambda: True,
    ) -> None:
        """
        Args:
            may_move: asked all along a reset by motion, which holds still where it says no; that takes of its time.

        Raises:
            ConfigError: a home, or a corner of its spread, that the guard would not let the tool go to.
        """
        self._settings = settings
        self._may_move = may_move
        self._bus = bus
        self._robot = robot
        self._guard = guard
        self._lock = threading.Lock()
        self._armed = self._succeeded = False
        self._client: Client | None = None
        if settings.reset == "service":
            self._client = bus.client(named(POLICY_TOPICS, "reset"))
        if settings.success in ("topic", "both"):
            bus.subscription(named(POLICY_TOPICS, "success"), self._told)
        if settings.reset == "motion":
            self._check_home()

    def _check_home(self) -> None:
        for signs in itertools.product((-1.0, 1.0), repeat=3):
            try:
                self._guard.check_goal(self._home(np.array(signs)))
            except InvalidValueError as error:
                raise ConfigError(f"parameters home and home_spread: {error}") from error

    @property
    def name(self) -> str:
        return self._settings.task

    @property
    def instruction(self) -> str:
        return self._settings.instruction

    @property
    def time_limit(self) -> int:
        return self._settings.time_limit

    def reset(self, rng: np.random.Generator) -> None:
        """Raises FaultLatchedError when it does not succeed."""
        try:
            if self._client is not None:
                self._by_service(self._client)
            else:
                self._by_motion(rng)
        except (BusError, RobotError) as error:
            self._guard.fault("reset", str(error))
            self._guard.hold()  # raises, with all that is latched
        with self._lock:
            self._armed = self._succeeded = False

    def success(self, observation: Observation) -> bool:
        """What the topic said since the reset; a True counts only after a False, which the earlier episode's is not."""
        with self._lock:
            return self._succeeded

    def _by_service(self, client: Client) -> None:
        self._robot.wait_until_ready(FRESH_TIMEOUT)  # nobody resets a robot that is not there
        self._robot.stop()
        reply = client.call({}, self._settings.reset_timeout)
        if not reply.success:
            raise RobotError(f"{self._bus.resolved('reset')} refused: {reply.message}")
        self._robot.begin_anew()
        self._guard.anchor()
        self._robot.wait_until_ready(FRESH_TIMEOUT)

    def _by_motion(self, rng: np.random.Generator) -> None:
        home = self._home(rng.uniform(-1.0, 1.0, 3))
        timeout = self._settings.reset_timeout
        arrived = self._guard.move_to(home, 1.0, timeout=timeout, may_move=self._may_move)
        if not arrived:
            raise RobotError(f"home was not reached within {timeout:g} s, waiting for the operator included")

    def _home(self, aside: NDArray[np.float64]) -> tuple[float, ...]:
        """The pose (7,) that is `aside`, in [-1, 1] of the spread, from home; the quaternion is w, x, y, z."""
        home = np.array(self._settings.home)
        home[:3] += aside * self._settings.home_spread
        x, y, z, qx, qy, qz, qw = home.tolist()
        return x, y, z, qw, qx, qy, qz

    def _told(self, message: Any) -> None:
        with self._lock:
            if not message.data:
                self._armed = True
            elif self._armed:
                self._succeeded = True
