"""Sequences of everything that can change what a robot is told, played on a guard in front of an oracle.

A sequence is data: names with numbers in [-1, 1], which mean something only here. So hypothesis can draw and shrink it,
and a fuzz can draw it from a seed.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_rlhf.datatypes import Action, ActionLayout, Command, CommandLayout, Observation, RobotSpec
from robot_rlhf.errors import FaultLatchedError, RobotError
from robot_rlhf.ports import Robot
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.safety.limits import DirectLimits, ToolLimits
from robot_rlhf.timing import FakeClock
from robot_rlhf_hardware.fake import FakeRobot
from tests.safety.oracle import Oracle, turned

Operation = tuple[str, tuple[float, ...]]

OPERATIONS: dict[str, tuple[int, int]] = {
    # name: how many numbers it takes, and how often it is drawn
    "act": (8, 10),
    "act_again": (7, 2),
    "approach": (7, 4),
    "hold": (1, 4),
    "move_to": (8, 3),
    "put_elsewhere": (1, 2),
    "reset_by_motion": (8, 1),
    "stop": (0, 2),
    "stop_while_sending": (7, 2),
    "fault": (0, 1),
    "fault_while_sending": (7, 1),
    "release": (0, 2),
    "late": (1, 3),
    "silent": (1, 2),
    "lost": (1, 1),
    "delay": (1, 1),
    "freeze": (0, 1),
    "push": (4, 2),
    "shove": (1, 1),
    "nan": (0, 1),
    "broken": (0, 1),
    "clear": (0, 4),
}
SETUP_SIZE = 14
START = (0.4, 0.0, 0.3)


@dataclass(frozen=True)
class Setup:
    """A robot, and its limits."""

    limits: ToolLimits | DirectLimits
    period: float
    lag: float


def setup_of(numbers: Sequence[float], *, direct: bool = False) -> Setup:
    """A setup for SETUP_SIZE numbers in [-1, 1]."""

    def between(low: float, high: float, number: float) -> float:
        return float(low * (high / low) ** (0.5 * (number + 1.0)))

    period = (0.02, 0.05, 0.1)[min(2, int(1.5 * (numbers[0] + 1.0)))]
    lag = between(0.01, 0.5, numbers[1])
    validity = period * between(1.2, 5.0, numbers[2])
    age = period * between(1.1, 5.0, numbers[3])
    if direct:
        rate = np.array(
            [between(0.05, 5.0, numbers[4]), np.inf if numbers[5] > 0.5 else between(0.05, 5.0, numbers[5])]
        )
        return Setup(DirectLimits(rate, validity, age), period, lag)
    return Setup(
        ToolLimits(
            workspace_lower=np.array(START) - [between(0.02, 0.3, n) for n in numbers[4:7]],
            workspace_upper=np.array(START) + [between(0.02, 0.3, n) for n in numbers[6:3:-1]],
            tool_speed=between(0.05, 1.0, numbers[7]),
            turn_rate=between(0.3, 3.0, numbers[8]),
            tool_acceleration=between(0.5, 8.0, numbers[9]),
            turn_acceleration=between(2.0, 40.0, numbers[10]),
            leash=between(0.02, 0.2, numbers[11]),
            leash_angle=between(0.1, 0.6, numbers[12]),
            joint_margin=0.05,
            force_soft=10.0,
            force_hard=40.0,
            torque_hard=5.0,
            tilt_max=between(0.1, 0.8, numbers[13]),
            command_validity=validity,
            observation_age_max=age,
            jump_max=0.15,
        ),
        period,
        lag,
    )


class Motors:
    """A direct robot of two native commands; a third of its observations is of the last period."""

    def __init__(self, clock: FakeClock, period: float) -> None:
        names, nothing = ("left", "right"), np.zeros(0, np.float32)
        layout = ActionLayout(names, np.ones(2, np.float32), "none")
        bounds = CommandLayout("direct", names, np.array([-2.0, 1.0]), np.array([2.0, 5.0]))
        self.spec = RobotSpec((), nothing, nothing, nothing, period, layout, bounds)
        self._clock = clock

    def observe(self) -> Observation:
        still, identity = np.zeros(6, np.float32), np.array([0, 0, 0, 1, 0, 0, 0], np.float32)
        nothing = np.zeros(0, np.float32)
        return Observation(self._clock.now(), nothing, nothing, identity, identity, still, still, 1.0, 1.0)

    def send(self, command: Command) -> Command:
        self._clock.advance(self.spec.control_period)
        return command

    def stop(self) -> None:
        """It has no motion of its own."""


class Interrupted:
    """A Robot during whose `send` something else happens in another thread."""

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self.meanwhile: Callable[[], object] | None = None
        self.stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._robot, name)

    @property
    def spec(self) -> RobotSpec:
        return self._robot.spec

    def observe(self) -> Observation:
        return self._robot.observe()

    def send(self, command: Command) -> Command:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            self.stopped.clear()
            thread = threading.Thread(target=meanwhile)
            self._threads.append(thread)
            thread.start()
            assert self.stopped.wait(30.0), "a stop reaches the robot although a command is on its way"
        return self._robot.send(command)

    def stop(self) -> None:
        self._robot.stop()
        self.stopped.set()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30.0)
            assert not thread.is_alive()
        self._threads.clear()


class Player:
    """Plays operations; `oracle.violations` tells what came of them."""

    def __init__(self, setup: Setup) -> None:
        self.clock = FakeClock()
        self.setup = setup
        self.period = setup.period
        if isinstance(setup.limits, ToolLimits):
            scale = np.array([1.3 * setup.limits.tool_speed * setup.period] * 3 + [0.1] * 3 + [1.0])
            layout = ActionLayout(("x", "y", "z", "rx", "ry", "rz", "gripper"), scale)
            self.robot: Any = FakeRobot(self.clock, action=layout, control_period=setup.period, lag=setup.lag)
        else:
            self.robot = Motors(self.clock, setup.period)
        self.between = Interrupted(self.robot)
        self.oracle = Oracle(self.between, setup.limits, self.clock)
        self.guard = GuardedRobot(self.oracle, setup.limits, self.clock)
        self.refused = 0

    def play(self, operations: Iterable[Operation]) -> list[str]:
        """Returns the broken laws."""
        for name, numbers in operations:
            self.oracle.context = f"({name})"
            if isinstance(self.robot, Motors) and name not in DIRECT:
                continue
            before = bool(self.guard.faults)
            try:
                getattr(self, f"_{name}")(*numbers)
            except FaultLatchedError:
                assert self.guard.faults
            self.between.join()
            self._follow_faults(before)
        return self.oracle.violations

    def _follow_faults(self, before: bool) -> None:
        if not self.guard.faults:
            return
        self.oracle.latch()
        self.refused += before
        if self.refused > 3:  # somebody comes, mends what is wrong, and releases
            self.refused = 0
            self._clear()
            self.clock.advance(self.period)
            self._release()

    def _wish(self, numbers: Sequence[float]) -> Action:
        edges = [float(np.clip(1.4 * n, -1.0, 1.0)) for n in numbers]
        return Action(np.array(edges[: self.guard.spec.action.size], np.float32))

    def _pose(self, numbers: Sequence[float], spread: float) -> tuple[float, ...]:
        limits = self.setup.limits
        assert isinstance(limits, ToolLimits)
        middle, half = (
            (limits.workspace_lower + limits.workspace_upper) / 2,
            limits.workspace_upper - limits.workspace_lower,
        )
        position = middle + 0.5 * spread * half * numbers[:3]
        lean = limits.tilt_max * 0.6 * np.array([numbers[3], numbers[4], 0.0])
        facing = turned(turned(np.array([0.0, 1.0, 0.0, 0.0]), np.array([0.0, 0.0, numbers[5]])), spread * lean)
        return (*position.tolist(), *facing.tolist())

    # -- who moves ---------------------------------------------------------------------------------------------------

    def _act(self, *numbers: float) -> None:
        for _ in range(1 + int(4.0 * (numbers[7] + 1.0))):
            self.guard.observe()
            self.guard.act(self._wish(numbers))

    def _act_again(self, *numbers: float) -> None:
        self.guard.act(self._wish(numbers))

    def _approach(self, *numbers: float) -> None:
        pose = self._pose(numbers, 1.3)
        for _ in range(1 + int(3.0 * (numbers[6] + 1.0))):
            self.guard.approach(pose, 1.0)

    def _hold(self, times: float) -> None:
        for _ in range(1 + int(2.0 * (times + 1.0))):
            self.guard.hold()

    def _move_to(self, *numbers: float) -> None:
        periods, asked = 1 + int(20.0 * (numbers[6] + 1.0)), 0

        def may_move() -> bool:
            nonlocal asked
            asked += 1
            return asked % 9 > 4.0 * (numbers[7] + 0.5)

        self.guard.move_to(self._pose(numbers, 0.9), 1.0, timeout=periods * self.period, may_move=may_move)

    # -- other beginnings, and ends ------------------------------------------------------------------------------------

    def _put_elsewhere(self, metres: float) -> None:
        """A simulator's reset, or a rewind by its snapshot."""
        if isinstance(self.robot, FakeRobot):
            self.robot.jump(0.1 * metres)
        self.guard.anchor()

    def _reset_by_motion(self, *numbers: float) -> None:
        self.guard.begin(lambda: self._move_to(*numbers))

    def _stop(self) -> None:
        self.guard.stop()

    def _fault(self) -> None:
        self.guard.fault("policy", "as told")

    def _stop_while_sending(self, *numbers: float) -> None:
        self.between.meanwhile = self.guard.stop
        self._once(numbers)

    def _fault_while_sending(self, *numbers: float) -> None:
        self.between.meanwhile = lambda: self.guard.fault("stop", "STOP was pressed")
        self._once(numbers)

    def _once(self, numbers: Sequence[float]) -> None:
        try:
            self.guard.observe()
            self.guard.act(self._wish(numbers))
        finally:
            self.between.meanwhile = None

    def _release(self) -> None:
        self.oracle.release()
        self.guard.release()

    # -- what happens to the robot -------------------------------------------------------------------------------------

    def _late(self, share: float) -> None:
        self.clock.advance(0.5 * self.period * (share + 1.0))

    def _silent(self, share: float) -> None:
        self.clock.advance(self.setup.limits.command_validity * (share + 1.0))

    def _lost(self, share: float) -> None:
        self.robot.drop(0.5 * (share + 1.0), np.random.default_rng(0))

    def _delay(self, share: float) -> None:
        self.robot.delay(0.5 * (share + 1.0) * self.setup.limits.observation_age_max)

    def _freeze(self) -> None:
        with contextlib.suppress(RobotError, ValueError):  # a robot that senses nothing cannot be frozen
            self.robot.freeze()

    def _push(self, *numbers: float) -> None:
        self.robot.force(np.array(numbers[:3]) * 25.0 * (1.0 if numbers[3] > -0.6 else 2.0))

    def _shove(self, metres: float) -> None:
        self.robot.jump(0.2 * metres)

    def _nan(self) -> None:
        self.robot.nan()

    def _broken(self) -> None:
        self.robot.fault("motor too warm")

    def _clear(self) -> None:
        if isinstance(self.robot, FakeRobot):
            self.robot.clear()


DIRECT = frozenset(
    {
        *("act", "act_again", "hold", "put_elsewhere", "stop", "stop_while_sending", "fault", "fault_while_sending"),
        *("release", "late", "silent"),
    }
)
"""Operations that a direct robot has, too."""


def drawn(rng: np.random.Generator, length: int) -> list[Operation]:
    """A sequence of a seed."""
    names = list(OPERATIONS)
    weights = np.array([weight for _, weight in OPERATIONS.values()], np.float64)
    chosen = rng.choice(len(names), length, p=weights / weights.sum())
    return [(names[i], tuple(rng.uniform(-1.0, 1.0, OPERATIONS[names[i]][0]).tolist())) for i in chosen]


def drawn_setup(rng: np.random.Generator, *, direct: bool) -> Setup:
    return setup_of(rng.uniform(-1.0, 1.0, SETUP_SIZE).tolist(), direct=direct)
