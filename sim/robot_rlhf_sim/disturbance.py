"""Late commands, late senses and noisy motion around any simulated robot."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Command, Observation, RobotSpec
from robot_rlhf.errors import RobotError, ShapeError, StaleError
from robot_rlhf.ports import Restorable, Robot
from robot_rlhf.ranges import SHARE, Range, check_ranges
from robot_rlhf.timing import Clock
from robot_rlhf_sim.rotation import canonical, exp, multiply

T = TypeVar("T")
LineState = tuple[tuple[tuple[int, T], ...], T | None]
"""What is under way, each with the period of its arrival, and what arrived last."""
PERIODS = Range(0, 3)
NOISE = Range(0.0, 10.0)
_IDLE = 0.75
"""Control periods without a command after which time counts all the same."""


@dataclass(frozen=True)
class DisturbanceConfig:
    """How far a simulated robot is from one that obeys at once and exactly."""

    command_delay: int = 0
    """Control periods, 0 to 3, by which the robot follows a command late."""
    sensing_delay: int = 0
    """Control periods, 0 to 3, by which an observation is old when it is seen."""
    jitter: float = 0.0
    """Share of the commands, and of the observations, that come one period later still; none overtakes another."""
    action_noise: float = 0.0
    """Standard deviation of the error of what is followed, new in each period, in actions: 0.25 is 5 mm where an action
    of 1 is 2 cm. The gripper has none."""

    def __post_init__(self) -> None:
        check_ranges(self, "disturbance", command_delay=PERIODS, sensing_delay=PERIODS, jitter=SHARE)
        check_ranges(self, "disturbance", action_noise=NOISE)

    @property
    def is_none(self) -> bool:
        """Nothing is disturbed."""
        return self == DisturbanceConfig()


class Line(Generic[T]):
    """What was put in comes out some periods later, in order; of what has come out the newest counts."""

    def __init__(self, delay: int, jitter: float) -> None:
        self.delay = delay
        self.jitter = jitter
        self._waiting: deque[tuple[int, T]] = deque()
        self._newest: T | None = None

    def put(self, value: T, now: int, rng: np.random.Generator) -> None:
        """Args: now: number of the period."""
        arrival = now + self.delay
        if self.jitter and rng.random() < self.jitter:
            arrival += 1
        if self._waiting:
            arrival = max(arrival, self._waiting[-1][0])
        self._waiting.append((arrival, value))

    def take(self, now: int) -> T | None:
        """The newest that has arrived; None before the first."""
        while self._waiting and self._waiting[0][0] <= now:
            self._newest = self._waiting.popleft()[1]
        return self._newest

    def clear(self) -> None:
        """Nothing is under way, nothing has arrived."""
        self._waiting.clear()
        self._newest = None

    def state(self) -> LineState[T]:
        return tuple(self._waiting), self._newest

    def load(self, state: LineState[T]) -> None:
        """The inverse of state."""
        self._waiting = deque(state[0])
        self._newest = state[1]

    def change(self, how: Callable[[T], T]) -> None:
        """Change all that is under way, and what arrived last."""
        self._waiting = deque((arrival, how(value)) for arrival, value in self._waiting)
        self._newest = None if self._newest is None else how(self._newest)


@dataclass(frozen=True, eq=False)
class DisturbedState:
    """One instant of a disturbed robot, with what is under way to and from it."""

    inner: object
    """Snapshot of the robot itself."""
    time: float
    """Of the clock."""
    tick: int
    looked: int | None
    commands: LineState[Command]
    views: LineState[Observation]
    accepted: Command | None
    draws: Mapping[str, Any]
    """State of the generator."""
    config: DisturbanceConfig
    """What was in force."""


class DisturbedRobot:
    """A simulated robot that obeys late, is seen late, and follows inexactly.

    A command is accepted, or refused, at once, and followed `command_delay` periods later; before the first arrives the
    robot holds still. An observation is shown `sensing_delay` periods after it was sensed, with the stamp of then.
    What it says of the commanded target was accepted last, on its way or not, as whoever commands a robot knows it.
    A stop works at once and empties both lines, as a robot that is waited for has them empty: what is seen next is the
    present. A command that runs out without a successor stops the robot likewise.

    A period is counted by each command and, while none comes, by the clock.
    """

    def __init__(self, robot: Robot, config: DisturbanceConfig, clock: Clock, *, seed: int = 0) -> None:
        """
        Args:
            robot: its `send` advances the simulation by one control period.
            clock: the robot's.
            seed: of jitter and noise until `begin` gives a generator.
        """
        self._robot = robot
        self._clock = clock
        self._spec = robot.spec
        self._lock = threading.RLock()
        self._rng = np.random.default_rng(seed)
        self._commands: Line[Command] = Line(0, 0.0)
        self._views: Line[Observation] = Line(0, 0.0)
        self._tick = 0
        """Number of the period."""
        self._looked: int | None = None
        """The period in which the robot was last sensed."""
        self._sensed_at = clock.now()
        self._accepted: Command | None = None
        """The newest command since the last stop."""
        self.config = config

    @property
    def spec(self) -> RobotSpec:
        return self._spec

    @property
    def config(self) -> DisturbanceConfig:
        """What is in force; set it between episodes."""
        return self._config

    @config.setter
    def config(self, config: DisturbanceConfig) -> None:
        with self._lock:
            self._config = config
            for line, delay in ((self._commands, config.command_delay), (self._views, config.sensing_delay)):
                line.delay, line.jitter = delay, config.jitter

    def begin(self, rng: np.random.Generator) -> None:
        """An episode begins: nothing is under way, and all that is random comes from rng."""
        with self._lock:
            self._rng = rng
            self._forget()

    def observe(self) -> Observation:
        with self._lock:
            if self._config.is_none:
                return self._robot.observe()
            shown = self._look()
            accepted = self._accepted
            if accepted is None or self._spec.command.kind != "tool_pose":
                return shown
            target = accepted.target
            return replace(shown, tool_target_in_base=target[:7].astype(np.float32), gripper_target=float(target[7]))

    def send(self, command: Command) -> Command:
        with self._lock:
            if self._config.is_none:
                return self._robot.send(command)
            self._look()
            now = self._clock.now()
            accepted = self._checked(command, now)
            if self._accepted is not None and self._accepted.valid_until < now:
                self.stop()
                self._look()
            self._accepted = accepted
            self._commands.put(accepted, self._tick, self._rng)
            arrived = self._commands.take(self._tick)
            target = self._rest() if arrived is None else self._followed(arrived.target)
            self._robot.send(Command(target, accepted.valid_until))
            self._tick += 1
            return accepted

    def stop(self) -> None:
        with self._lock:
            self._robot.stop()
            self._forget()

    def snapshot(self) -> DisturbedState:
        """This moment, with what is under way. Raises RobotError when the robot itself has no snapshots."""
        with self._lock:
            return DisturbedState(
                self._restorable().snapshot(),
                self._clock.now(),
                self._tick,
                self._looked,
                self._commands.state(),
                self._views.state(),
                self._accepted,
                self._rng.bit_generator.state,
                self._config,
            )

    def restore(self, state: DisturbedState) -> None:
        """Go on from a snapshot of this robot exactly as it went on then; stamps and deadlines move with the clock."""
        with self._lock:
            self._restorable().restore(state.inner)
            self.config = state.config
            self._tick, self._looked, self._accepted = state.tick, state.looked, state.accepted
            self._rng.bit_generator.state = state.draws
            self._commands.load(state.commands)
            self._views.load(state.views)
            self._sensed_at = self._clock.now()
            later = self._sensed_at - state.time
            self._commands.change(lambda command: replace(command, valid_until=command.valid_until + later))
            self._views.change(lambda seen: replace(seen, stamp=seen.stamp + later))
            if self._accepted is not None:
                self._accepted = replace(self._accepted, valid_until=self._accepted.valid_until + later)

    def _restorable(self) -> Restorable:
        if not isinstance(self._robot, Restorable):
            raise RobotError(f"{type(self._robot).__name__} has no snapshots: its world cannot be put back")
        return self._robot

    def _forget(self) -> None:
        self._commands.clear()
        self._views.clear()
        self._accepted = self._looked = None

    def _look(self) -> Observation:
        """Sense once per period; returns what has arrived, and of an empty line the present."""
        now = self._clock.now()
        if self._looked == self._tick and now - self._sensed_at > _IDLE * self._spec.control_period:
            self._tick += 1
        if self._looked != self._tick:
            newest = self._robot.observe()
            if self._views.take(self._tick) is None:
                self._views.load(((), newest))
            else:
                self._views.put(newest, self._tick, self._rng)
            self._looked, self._sensed_at = self._tick, now
        shown = self._views.take(self._tick)
        assert shown is not None
        return shown

    def _checked(self, command: Command, now: float) -> Command:
        """The command within the robot's bounds."""
        layout = self._spec.command
        if command.target.shape != layout.lower.shape:
            raise ShapeError("Command.target", command.target.shape, layout.lower.shape)
        if command.valid_until < now:
            raise StaleError(f"Command.valid_until: {command.valid_until:.3f} s has passed, now is {now:.3f} s")
        target = np.clip(command.target, layout.lower, layout.upper)
        if layout.kind == "tool_pose":
            target[3:7] = canonical(command.target[3:7].tolist())
        return Command(target, command.valid_until)

    def _rest(self) -> NDArray[np.float64]:
        """What keeps the robot still: its own target, or no effort where commands are native."""
        layout = self._spec.command
        if layout.kind != "tool_pose":
            return np.clip(np.zeros(len(layout.names)), layout.lower, layout.upper)
        seen = self._robot.observe()
        return np.array([*seen.tool_target_in_base.tolist(), seen.gripper_target])

    def _followed(self, target: NDArray[np.float64]) -> NDArray[np.float64]:
        """The target with the error of this period."""
        noise = self._config.action_noise
        if not noise:
            return target
        layout, action = self._spec.command, self._spec.action
        if layout.kind != "tool_pose":
            half = 0.5 * (layout.upper - layout.lower)
            return np.clip(target + noise * half * self._rng.standard_normal(len(half)), layout.lower, layout.upper)
        scale = dict(zip(action.names, action.scale.tolist(), strict=True))
        errors = noise * self._rng.standard_normal(6)
        moved, turned = (
            np.array([scale.get(axis, 0.0) for axis in axes]) * error
            for axes, error in ((("x", "y", "z"), errors[:3]), (("rx", "ry", "rz"), errors[3:]))
        )
        result = target.copy()
        result[:3] += moved
        if turned.any():
            x, y, z = turned.tolist()
            w, i, j, k = target[3:7].tolist()
            result[3:7] = canonical(multiply(exp((x, y, z)), (w, i, j, k)))
        return np.clip(result, layout.lower, layout.upper)
