"""A robot in memory that follows like a first-order lag, and misbehaves on command."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robot_rlhf.datatypes import ActionLayout, Command, CommandLayout, Observation, RobotSpec, frozen_array
from robot_rlhf.errors import InvalidValueError, RobotError, ShapeError, StaleError, UnknownNameError
from robot_rlhf.safety import rotation
from robot_rlhf.safety.rotation import Quaternion, Vector
from robot_rlhf.timing import Clock, FakeClock

HOME: tuple[float, ...] = (0.4, 0.0, 0.3, *rotation.POINTING_DOWN)
"""Where the tool begins: x, y, z, qw, qx, qy, qz."""

DEFAULT_ACTION = ActionLayout(("x", "y", "z", "rz", "gripper"), np.array([0.02, 0.02, 0.02, 0.1, 1.0]))


@dataclass(frozen=True, eq=False)
class FakeState:
    """One moment of a FakeRobot."""

    time: float
    """Clock time, seconds."""
    position: NDArray[np.float64]
    """m. Shape (3,)."""
    orientation: Quaternion
    opening: float
    velocity: NDArray[np.float64]
    """m/s, then rad/s. Shape (6,)."""
    target: NDArray[np.float64]
    active: Command | None
    waiting: tuple[tuple[float, Command], ...]
    """Commands on their way, with the clock time of their arrival."""
    past: tuple[Observation, ...]
    things: Mapping[str, NDArray[np.float32]]


class FakeRobot:
    """A gantry with a wrist and a gripper: six joints (x, y, z in m; rotation vector from home in rad).

    Its state follows the clock: after each command the tool approaches the target with a time constant, until the
    next command, the deadline, or `stop`. On a FakeClock a command takes one control period, as in a simulator.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        action: ActionLayout = DEFAULT_ACTION,
        control_period: float = 0.05,
        lag: float = 0.03,
        things: Sequence[str] = (),
    ) -> None:
        """Begin at home with an open gripper.

        Args:
            clock: drives the state and stamps observations.
            action: what a policy may move.
            control_period: seconds between two commands.
            lag: time constant of the approach, seconds.
            things: names of what its perception reports the poses of; each is at home until `set_thing`.
        """
        if not lag > 0:
            raise InvalidValueError("FakeRobot.lag", lag, "seconds > 0")
        wide = math.pi
        self._spec = RobotSpec(
            joint_names=("x", "y", "z", "turn_x", "turn_y", "turn_z"),
            position_lower=np.array([-1.5, -1.5, -0.5, -wide, -wide, -wide]),
            position_upper=np.array([1.5, 1.5, 1.5, wide, wide, wide]),
            speed_max=np.array([5.0, 5.0, 5.0, 20.0, 20.0, 20.0]),
            control_period=control_period,
            action=action,
            command=CommandLayout(
                "tool_pose",
                ("x", "y", "z", "qw", "qx", "qy", "qz", "gripper"),
                np.array([-1.5, -1.5, -0.5, -1, -1, -1, -1, 0]),
                np.array([1.5, 1.5, 1.5, 1, 1, 1, 1, 1]),
            ),
            scene=dict.fromkeys(things, 7),
        )
        self._clock = clock
        self._lag = lag
        self._lock = threading.RLock()
        self._time = clock.now()
        self._position = np.array(HOME[:3])
        self._orientation: Quaternion = rotation.POINTING_DOWN
        self._opening = 1.0
        self._velocity = np.zeros(6)
        self._target: NDArray[np.float64] = np.array([*HOME, 1.0])
        self._active: Command | None = None
        self._waiting: deque[tuple[float, Command]] = deque()
        self._past: deque[Observation] = deque(maxlen=256)
        self._things = {name: frozen_array(name, HOME, (7,), np.float32) for name in things}
        self.received: list[Command] = []
        """Every command that reached the robot, dropped ones too; for whoever checks what was sent."""
        self._reset_troubles()

    @property
    def spec(self) -> RobotSpec:
        return self._spec

    def observe(self) -> Observation:
        with self._lock:
            self._raise_fault()
            self._advance()
            self._past.append(self._sense())
            if self._frozen is not None:
                return self._frozen
            latest = self._clock.now() - self._delay
            old_enough = [seen for seen in self._past if seen.stamp <= latest + 1e-9]
            return old_enough[-1] if old_enough else self._past[0]

    def send(self, command: Command) -> Command:
        with self._lock:
            self._raise_fault()
            if command.target.shape != (8,):
                raise ShapeError("Command.target", command.target.shape, (8,))
            now = self._clock.now()
            if now > command.valid_until:
                raise StaleError(f"command expired {now - command.valid_until:.3f} s ago")
            self._advance()
            self.received.append(command)
            if self._drop_rng is None or self._drop_rng.random() >= self._drop_fraction:
                self._waiting.append((now + self._delay, command))
            if isinstance(self._clock, FakeClock):
                self._clock.advance(self._spec.control_period)
            self._advance()
            return command

    def stop(self) -> None:
        with self._lock:
            self._advance()
            self._active = None
            self._waiting.clear()
            self._velocity = np.zeros(6)

    def snapshot(self) -> FakeState:
        """This moment, with what is under way; troubles are no part of it, and stay as they are."""
        with self._lock:
            self._advance()
            return FakeState(
                self._time,
                self._position,
                self._orientation,
                self._opening,
                self._velocity,
                self._target,
                self._active,
                tuple(self._waiting),
                tuple(self._past),
                self._things,
            )

    def restore(self, state: FakeState) -> None:
        """Go on from a snapshot; stamps and deadlines move with the clock."""
        with self._lock:
            self._time = self._clock.now()
            later = self._time - state.time

            def moved(command: Command) -> Command:
                return replace(command, valid_until=command.valid_until + later)

            self._position, self._orientation, self._opening = state.position, state.orientation, state.opening
            self._velocity, self._target = state.velocity, state.target
            self._active = None if state.active is None else moved(state.active)
            self._waiting = deque((arrival + later, moved(command)) for arrival, command in state.waiting)
            self._past = deque((seen.later(later) for seen in state.past), maxlen=self._past.maxlen)
            self._things = dict(state.things)

    def put(self, position: ArrayLike) -> None:
        """The tool is there at once, at rest, pointing down with an open gripper, as only a simulation can be reset.

        Args:
            position: m, base frame. Shape (3,).
        """
        with self._lock:
            self._advance()
            self._position = np.array(frozen_array("position", position, (3,), np.float64))
            self._orientation, self._opening, self._velocity = rotation.POINTING_DOWN, 1.0, np.zeros(6)
            self._target = np.array([*self._position, *self._orientation, 1.0])
            self._active = None
            self._waiting.clear()
            self._past.clear()

    def set_thing(self, name: str, position: ArrayLike) -> None:
        """A thing lies there from now on, m, base frame; it points as the tool does at home. Shape (3,)."""
        if name not in self._things:
            raise UnknownNameError("thing", name, self._things)
        with self._lock:
            there = frozen_array("position", position, (3,), np.float64)
            pose = frozen_array(name, [*there, *HOME[3:]], (7,), np.float32)
            self._things = {**self._things, name: pose}

    def delay(self, seconds: float) -> None:
        """From now on observations are that old, and commands act that late (or never, past their deadline)."""
        if not seconds >= 0:
            raise InvalidValueError("FakeRobot.delay", seconds, "seconds >= 0")
        self._delay = seconds

    def drop(self, fraction: float, rng: np.random.Generator) -> None:
        """From now on that share of the commands is lost without a word."""
        if not 0.0 <= fraction <= 1.0:
            raise InvalidValueError("FakeRobot.drop", fraction, "a share in [0, 1]")
        self._drop_fraction, self._drop_rng = fraction, rng

    def freeze(self) -> None:
        """From now on `observe` gives the same old observation."""
        self._frozen = self.observe()

    def thaw(self) -> None:
        """The inverse of freeze."""
        self._frozen = None

    def jump(self, metres: float) -> None:
        """The tool is elsewhere at once, along x."""
        with self._lock:
            self._advance()
            self._position = self._position + np.array([metres, 0.0, 0.0])

    def fault(self, reason: str) -> None:
        """From now on the robot refuses everything with this reason."""
        self._fault = reason

    def nan(self) -> None:
        """From now on the measured force is no number."""
        self._wrench = np.full(6, np.nan)

    def force(self, newton: ArrayLike) -> None:
        """From now on the world exerts this force on the tool, N, base frame. Shape (3,)."""
        self._wrench = np.concatenate([frozen_array("force", newton, (3,), np.float64), np.zeros(3)])

    def clear(self) -> None:
        """End all troubles; the tool stays where it is."""
        with self._lock:
            self._reset_troubles()

    def _reset_troubles(self) -> None:
        self._delay = 0.0
        self._drop_fraction, self._drop_rng = 0.0, None
        self._frozen: Observation | None = None
        self._fault = ""
        self._wrench = np.zeros(6)

    def _raise_fault(self) -> None:
        if self._fault:
            raise RobotError(f"fake robot: {self._fault}")

    def _advance(self) -> None:
        """Bring the state up to now: each command from its arrival to the next one, or to its deadline."""
        now = self._clock.now()
        while self._waiting and self._waiting[0][0] <= now:
            arrival, command = self._waiting.popleft()
            self._follow(arrival)
            if arrival <= command.valid_until:
                self._active = command
                self._target = command.target
        self._follow(now)

    def _follow(self, until: float) -> None:
        """Approach the active target, exactly, until a time."""
        active = self._active
        if active is not None:
            seconds = min(until, active.valid_until) - self._time
            if seconds > 0:
                self._approach(active.target, seconds)
            if until > active.valid_until:
                self._active = None
        if self._active is None:
            self._velocity = np.zeros(6)
        self._time = max(self._time, until)

    def _approach(self, target: NDArray[np.float64], seconds: float) -> None:
        share = 1.0 - math.exp(-seconds / self._lag)
        w, x, y, z = target[3:7].tolist()
        turn = np.array(rotation.difference(rotation.normalise((w, x, y, z)), self._orientation))
        path = target[:3] - self._position
        # The speed at the end of a first-order approach is what is left of the way over the time constant.
        self._velocity = np.concatenate([path, turn]) * ((1.0 - share) / self._lag)
        self._position = self._position + share * path
        self._orientation = rotation.normalise(
            rotation.multiply(rotation.exp(_vector(share * turn)), self._orientation)
        )
        self._opening += share * (float(target[7]) - self._opening)

    def _sense(self) -> Observation:
        turned = rotation.difference(self._orientation, rotation.POINTING_DOWN)
        return Observation(
            stamp=self._clock.now(),
            joint_position=np.array([*self._position, *turned]),
            joint_velocity=self._velocity.astype(np.float32),
            tool_pose_in_base=np.array([*self._position, *self._orientation]),
            tool_target_in_base=self._target[:7].astype(np.float32),
            tool_velocity=self._velocity.astype(np.float32),
            tool_wrench=self._wrench.astype(np.float32),
            gripper=min(max(self._opening, 0.0), 1.0),
            gripper_target=float(self._target[7]),
            scene=self._things,
        )


def _vector(values: NDArray[np.float64]) -> Vector:
    x, y, z = values.tolist()
    return (x, y, z)
