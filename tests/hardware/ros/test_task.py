"""Resets over topics, by service and by motion, and success as a topic tells it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from robot_rlhf.errors import ConfigError, FaultLatchedError
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf_hardware.ros.task import RosTask, TaskSettings
from tests.hardware.ros.graphs import HOME, LIMITS, Pair, pair

AWAY = (0.6, 0.2, 0.3, *HOME[3:])
BY_MOTION = TaskSettings(
    task="pick",
    instruction="pick it up",
    time_limit=100,
    reset="motion",
    reset_timeout=4.0,
    home=(0.5, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0),  # x, y, z, qx, qy, qz, qw
    home_spread=(0.0, 0.0, 0.0),
    success="topic",
)


class Bench:
    """A robot away from home, its guard, and the task."""

    def __init__(self, settings: TaskSettings = BY_MOTION, may_move: Callable[[], bool] = lambda: True) -> None:
        self.pair: Pair = pair(pose=AWAY)
        self.guard = GuardedRobot(self.pair.robot, LIMITS, self.pair.graph.clock)
        self.task = RosTask(self.pair.bus, settings, self.pair.robot, self.guard, may_move=may_move)

    def reset(self, seed: int = 0) -> None:
        self.task.reset(np.random.default_rng(seed))

    @property
    def place(self) -> np.ndarray:
        return np.array(self.pair.arm.pose[:3])


def test_a_reset_by_motion_brings_the_tool_home_within_the_speed_limit() -> None:
    bench = Bench()
    bench.reset()
    np.testing.assert_allclose(bench.place, HOME[:3], atol=5e-3)
    way = np.array([AWAY[:3], *(target[:3] for target in bench.pair.arm.targets)])
    steps = np.linalg.norm(np.diff(way, axis=0), axis=1)
    assert steps.max() <= LIMITS.tool_speed * 0.05 + 1e-6


def test_homes_are_spread_as_asked() -> None:
    bench = Bench(replace(BY_MOTION, home_spread=(0.05, 0.02, 0.0)))
    places: list[np.ndarray] = []
    for seed in range(8):
        bench.reset(seed)
        places.append(bench.place - HOME[:3])
    spread = np.abs(places).max(axis=0)
    assert 0.02 < spread[0] < 0.055
    assert 0.005 < spread[1] < 0.025
    assert spread[2] < 0.005


def test_during_a_reset_the_robot_waits_as_long_as_it_may_not_move() -> None:
    allowed = SimpleNamespace(now=True)
    bench = Bench(may_move=lambda: allowed.now)
    marks: list[np.ndarray] = []

    def forbid() -> None:
        allowed.now = False
        bench.pair.bus.once(0.3, lambda: marks.append(bench.place))
        bench.pair.bus.once(1.0, lambda: marks.append(bench.place))
        bench.pair.bus.once(1.0, lambda: setattr(allowed, "now", True))

    bench.pair.bus.once(0.2, forbid)
    bench.reset()
    first, last = marks
    np.testing.assert_allclose(first, last, atol=1e-4)
    assert np.linalg.norm(first - HOME[:3]) > 0.05, "it was on its way"
    np.testing.assert_allclose(bench.place, HOME[:3], atol=5e-3)


def test_a_reset_that_may_never_move_latches_a_fault() -> None:
    bench = Bench(may_move=lambda: False)
    with pytest.raises(FaultLatchedError, match=r"home was not reached within 4 s"):
        bench.reset()
    np.testing.assert_allclose(bench.place, AWAY[:3], atol=5e-3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"home": (0.9, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0)}, "inside the workspace"),
        ({"home_spread": (0.31, 0.0, 0.0)}, "inside the workspace"),
        ({"home": (0.5, 0.0, 0.2, 0.0, 0.0, 0.0, 1.0)}, "tilt"),
        ({"home": (0.5, 0.0, 0.2)}, "got 3 numbers, allowed: 7"),
    ],
)
def test_a_home_that_the_guard_refuses_is_said_at_the_start(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=f"home.*{words}"):
        Bench(replace(BY_MOTION, **changes))
