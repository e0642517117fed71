"""GuardedRobot: the only way to a Robot."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np

from robot_rlhf.datatypes import Action, Command, GuardEvent, Observation, RobotSpec
from robot_rlhf.errors import ConfigError, FaultLatchedError, InvalidValueError, RobotError, ShapeError, StaleError
from robot_rlhf.ports import Restorable, Robot
from robot_rlhf.safety import rotation
from robot_rlhf.safety.checks import Finding, ObservationChecks
from robot_rlhf.safety.limits import RULES, Limits
from robot_rlhf.safety.motion import length
from robot_rlhf.safety.movers import ToolMover, mover_for
from robot_rlhf.safety.tool_target import pose_of
from robot_rlhf.timing import Clock

STOP_RULE = "stop"
"""Name of the fault that a pressed STOP latches."""
QUIET_PERIODS = 10
"""A rule that binds again within so many commands is still the same event: it is reported when it starts to bind."""


@dataclass(frozen=True, eq=False)
class Guarded:
    """What became of a wish."""

    executed: Action
    """What was really commanded, in the action's own coordinates; gripper -1 or 1."""
    sent: Command | None
    """What the robot accepted; None when nothing was sent and the robot stands still: it was stopped meanwhile, or has
    not been observed since it was."""
    events: tuple[GuardEvent, ...]
    """What the guard reported while doing so."""
    rules: frozenset[str] = frozenset[str]()
    """Every rule that changed the wish in this period, also those reported before."""

    @property
    def command(self) -> Command:
        """What the robot accepted. Raises RobotError when nothing was sent."""
        if self.sent is None:
            raise RobotError("nothing was sent: the robot stands still since it was stopped")
        return self.sent


@dataclass(frozen=True, eq=False)
class GuardState:
    """One moment of a guarded robot whose world can be put back."""

    robot: object
    """The robot's own snapshot."""
    mover: object
    moving: bool
    """A motion had begun, which goes on from its last command."""
    seen: Observation | None
    time: float
    """Clock time, seconds; what follows is relative to it when it is put back."""
    still_since: float
    expires: float
    bound: Mapping[str, int]
    """Rule to commands since it last bound."""
    faults: tuple[Finding, ...]
    """The latched ones: rule and detail."""


class GuardedRobot:
    """A robot that obeys limits, whoever drives.

    Each command goes on from the one before, in place and velocity, whoever asked for either. Only a robot that stands
    still begins anew, at rest, where it was observed since it does: after `stop`, a fault or `anchor`, and after a
    command that ran out.

    Faults are latched: the robot is stopped at once, and nothing is sent until `release`. `stop`, `fault` and
    `faults` may be used from any thread, everything else from the thread of the control loop. A stop reaches the robot
    whatever is on its way to it, and no command begins any more once it has returned. Where the robot's `send` blocks,
    a stop waits for it no longer than a command is valid; what is on its way has then run out, and when `send` returns
    at last, the robot is stopped again.
    """

    def __init__(
        self, robot: Robot, limits: Limits, clock: Clock, on_event: Callable[[GuardEvent], None] | None = None
    ) -> None:
        """Tie limits to a robot.

        Args:
            robot: nobody else may send to it.
            limits: ToolLimits for 'tool_pose' commands, DirectLimits for 'direct' ones.
            clock: the clock that also stamps the robot's observations.
            on_event: called with each event at once, in the thread that caused it; `take_events` gives them too.

        Raises:
            ConfigError: the limits do not fit the robot.
        """
        self._robot = robot
        self._spec = robot.spec
        self._clock = clock
        self._on_event = on_event
        self._validity = limits.command_validity
        if not self._validity > self._spec.control_period:
            raise ConfigError(
                f"command_validity {self._validity:g} s must be above the control period, "
                f"{self._spec.control_period:g} s: the robot would stop between two commands"
            )
        self._mover = mover_for(self._spec, limits)
        self._checks = ObservationChecks(self._spec, limits)
        self._lock = threading.Lock()
        """Held for a moment only: never while the robot or a listener is called."""
        self._sending = threading.RLock()
        """Held from the decision to send until the robot has answered."""
        self._faults: list[GuardEvent] = []
        # An application that only uses on_event never takes the events: they must not pile up.
        self._events: deque[GuardEvent] = deque(maxlen=4096)
        self._news: list[GuardEvent] = []
        self._seen: Observation | None = None
        self._stops = 0
        self._stopping = 0
        """Stops that have not reached the robot yet."""
        self._still_since = -math.inf
        """When the robot last came to stand still."""
        self._begun: int | None = None
        """Number of stops after which the present motion began; None when a new one has to begin."""
        self._expires = math.inf
        self._commands = 0
        self._bound: dict[str, int] = {}

    def __enter__(self) -> GuardedRobot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def spec(self) -> RobotSpec:
        return self._spec

    @property
    def faults(self) -> tuple[GuardEvent, ...]:
        """The latched faults, oldest first; empty when the robot may move."""
        with self._lock:
            return tuple(self._faults)

    def take_events(self) -> tuple[GuardEvent, ...]:
        """The events since the last call, oldest first."""
        taken: list[GuardEvent] = []
        while self._events:
            taken.append(self._events.popleft())
        return tuple(taken)

    def observe(self) -> Observation:
        """The newest observation; what is wrong with it latches a fault, and it is returned all the same.

        Raises:
            FaultLatchedError: nothing can be observed: the robot is gone, or what it says is no observation (NaN).
        """
        try:
            observation = self._robot.observe()
        except (InvalidValueError, ShapeError) as error:
            raise self._latched("nan", f"unusable observation, {error}") from error
        except (RobotError, StaleError) as error:
            raise self._latched("robot", str(error)) from error
        now = self._clock.now()
        self._notice_expiry(now)
        self._latch(self._checks.findings(observation, self._seen, now))
        self._seen = observation
        return observation

    def act(self, action: Action) -> Guarded:
        """Do what is wished for one control period, as far as the limits allow.

        Raises:
            FaultLatchedError: a fault is latched, or is found now; the robot has been stopped.
            ShapeError: the action has another length than spec.action.
        """
        self._refuse_when_faulted()
        size = self._spec.action.size
        if action.values.shape != (size,):
            raise ShapeError("Action.values", action.values.shape, (size,))
        values: list[float] = action.values.tolist()
        if not all(-1.001 <= value <= 1.001 for value in values):
            raise self._latched("nan", f"action {values}, allowed are numbers in [-1, 1]")
        observation = self._seen if self._seen is not None else self.observe()
        return self._command(lambda seen: self._mover.advance(values, seen), observation)

    def hold(self) -> Guarded:
        """Come to rest within the limits, and stay there. Raises FaultLatchedError as `act` does."""
        return self._command(self._mover.halt, self.observe())

    def move_to(
        self,
        pose: Sequence[float],
        opening: float,
        *,
        timeout: float,
        tolerance: float = 0.005,
        tolerance_angle: float = 0.05,
        may_move: Callable[[], bool] = lambda: True,
    ) -> bool:
        """Move the tool to a pose, within the same limits as everything else; for resets.

        Args:
            pose: x, y, z m, and quaternion w, x, y, z, in the base frame. Shape (7,).
            opening: commanded opening of the gripper, 0 to 1; not waited for.
            timeout: seconds of the session's clock.
            tolerance: largest distance of the measured tool on arrival, m.
            tolerance_angle: largest angle of the measured tool on arrival, rad.
            may_move: asked before each control period; the robot holds still as long as it says no.

        Returns:
            True on arrival, False when the time ran out; the robot has then been brought to rest.

        Raises:
            InvalidValueError: the goal is outside the workspace or tilted too far.
            FaultLatchedError: a fault came up on the way.
        """
        mover = self._tool_mover()
        if not 0.0 <= opening <= 1.0:
            raise InvalidValueError("opening", opening, "0 (closed) to 1 (open)")
        self.check_goal(pose)
        goal, goal_orientation = pose_of(pose)
        tick = self._clock.now()
        deadline = tick + timeout
        while tick < deadline:
            if may_move():
                self.approach(pose, opening)
            else:
                self.hold()
            tick = self._next_period(tick)
            position, orientation = pose_of(self.observe().tool_pose_in_base.tolist())
            self._refuse_when_faulted()
            if (
                math.dist(mover.tool.position, goal) < 1e-6
                and math.dist(position, goal) <= tolerance
                and length(rotation.difference(orientation, goal_orientation)) <= tolerance_angle
            ):
                return True
        self.hold()
        for _ in range(mover.braking_periods):
            if mover.tool.at_rest:
                break
            tick = self._next_period(tick)
            self.hold()
        return False

    def _next_period(self, tick: float) -> float:
        tick = max(tick + self._spec.control_period, self._clock.now())
        self._clock.sleep_until(tick)
        return tick

    def check_goal(self, pose: Sequence[float]) -> None:
        """Whether `move_to` may be asked for a pose of shape (7,).

        Raises:
            InvalidValueError: it is outside the workspace or tilted too far.
            ConfigError: the robot does not take 'tool_pose' commands.
        """
        self._tool_mover().check_goal(pose)

    def approach(self, pose: Sequence[float], opening: float) -> Guarded:
        """Move the tool towards a pose for one control period, as fast as the limits and a stop at the pose allow.

        Args:
            pose: x, y, z m, and quaternion w, x, y, z, in the base frame; what lies outside the workspace is not
                reached. Shape (7,).
            opening: commanded opening of the gripper, 0 to 1.

        Raises:
            ConfigError: the robot does not take 'tool_pose' commands.
            FaultLatchedError: as `act` does.
        """
        mover = self._tool_mover()
        observation = self.observe()
        return self._command(lambda seen: mover.approach(pose, opening, seen), observation)

    def _tool_mover(self) -> ToolMover:
        if not isinstance(self._mover, ToolMover):
            raise ConfigError("only a robot with 'tool_pose' commands can be moved to a pose")
        return self._mover

    def begin(self, reset: Callable[[], object]) -> Observation:
        """Let a task be reset, and see where that left the robot.

        A reset that commands the robot, as `move_to` does, is a motion like any other, and goes on from its last
        command. Any other may have put the robot elsewhere, as a simulator does, and is followed by `anchor`.

        Args:
            reset: of the task.

        Raises:
            FaultLatchedError: a fault is latched, before anything moves; or nothing can be observed.
        """
        self._refuse_when_faulted()
        commands, stops = self._commands, self._stops
        reset()
        if self._commands == commands:
            if self._stops == stops:
                self.anchor()
            else:
                self._forget()
        return self.observe()

    def anchor(self) -> None:
        """Stop a robot that was put where it is by another way than commands; the next one begins at rest there.

        For a simulator's reset, a restored snapshot, or a person who moved the arm; after a stop nothing is assumed of
        where the robot was before.
        """
        self.stop()
        self._forget()

    def snapshot(self) -> GuardState:
        """This moment of robot and guard, for `restore`; raises ConfigError as that does."""
        world = self._world()
        now = self._clock.now()
        with self._lock:
            faults = tuple((fault.rule, fault.detail) for fault in self._faults)
        return GuardState(
            robot=world.snapshot(),
            mover=self._mover.state(),
            moving=self._begun == self._stops,
            seen=None if self._seen is None else replace(self._seen, images={}),  # kept by the thousand: without them
            time=now,
            still_since=self._still_since,
            expires=self._expires,
            bound={rule: self._commands - last for rule, last in self._bound.items()},
            faults=faults,
        )

    def restore(self, state: GuardState) -> None:
        """Go on from a snapshot exactly as it went on then, or would have: with the same motion, limits and events.

        Times move with the clock, which never goes back. Faults are never undone: those latched now stay latched, those
        of the snapshot are latched again, and under either the robot is stopped. So it is by a stop that comes
        meanwhile.

        Raises:
            ConfigError: the world of this robot cannot be put back.
        """
        world = self._world()
        with self._sending:
            stops = self._stops
            world.restore(state.robot)
        later = self._clock.now() - state.time
        self._mover.load(state.mover)
        self._seen = None if state.seen is None else state.seen.later(later)
        self._commands += 1  # what was put back is a motion like any other: see `begin`
        self._bound = {rule: self._commands - ago for rule, ago in state.bound.items()}
        self._expires = state.expires + later
        self._begun = stops if state.moving else None
        with self._lock:
            undisturbed = self._stops == stops and not self._faults
            if undisturbed:
                self._still_since = state.still_since + later
        if not undisturbed:
            self.anchor()  # what was put back may be on its way: the robot that was held or stopped is so again
        self._latch(state.faults)

    def _world(self) -> Restorable:
        if not isinstance(self._robot, Restorable):
            raise ConfigError(f"{type(self._robot).__name__}: the world of this robot cannot be put back")
        return self._robot

    def _forget(self) -> None:
        self._seen = None
        self._bound.clear()

    def fault(self, rule: str, detail: str) -> None:
        """Latch a fault and stop the robot; for whoever finds something wrong outside the guard."""
        self._latch([(rule, detail)])

    def release(self, which: Callable[[GuardEvent], bool] = lambda _: True) -> None:
        """Clear the latched faults, or some. Whatever still holds latches again with the next observation."""
        with self._lock:
            left = [fault for fault in self._faults if not which(fault)]
            released = len(left) < len(self._faults)
            self._faults[:] = left
        if released and not left:
            self._forget()

    def stop(self) -> None:
        """Hold still now. A later `act` starts again, at rest, from where the robot is then."""
        self._stop(())

    def _stop(self, findings: Sequence[Finding]) -> list[GuardEvent]:
        """Stop the robot; returns the faults that were not latched before."""
        with self._lock:
            held = {event.rule for event in self._faults}
            new = [GuardEvent(self._clock.now(), *found, latched=True) for found in findings if found[0] not in held]
            self._faults.extend(new)
            self._stops += 1
            self._stopping += 1  # at once: who sees the stop counted must not take the robot for still yet
        self._tell_to_stop()
        # Whoever decided to send before that has done so when this can be had, or what it sends has run out.
        if self._sending.acquire(timeout=self._validity):
            self._sending.release()
        return new

    def _halt(self) -> None:
        with self._lock:
            self._stopping += 1
        self._tell_to_stop()

    def _tell_to_stop(self) -> None:
        """One of the stops that are counted as on their way reaches the robot."""
        try:
            self._robot.stop()
        finally:
            with self._lock:
                self._stopping -= 1
                self._still_since = self._clock.now()

    def _command(self, change: Callable[[Observation], list[str]], observation: Observation) -> Guarded:
        """Change the target, send it, and tell what became of it."""
        stops = self._stops
        now = self._clock.now()
        self._news = []
        self._notice_expiry(now)
        self._latch(self._checks.age(observation.stamp, now))
        self._refuse_when_faulted()
        if self._begun != stops:
            if not self._shows_rest(observation):
                observation = self.observe()
                self._refuse_when_faulted()
                now = self._clock.now()
            self._mover.anchor(observation)
            if not self._shows_rest(observation):
                return self._stood_still()
            self._begun = stops
        rules = change(observation)
        command = Command(np.array(self._mover.target()), now + self._validity)
        sent = self._send(command, stops)
        if sent is None:
            self._mover.anchor(observation)
            return self._stood_still()
        self._expires = command.valid_until
        if sent is not command and np.abs(sent.target - command.target).max() > 1e-9:
            self._mover.adopt(sent.target.tolist())
            rules.append("robot_limit")
        self._commands += 1
        if rules:
            self._report(rules, now)
        executed = Action(np.array(self._mover.executed(), np.float32))
        return Guarded(executed, sent, tuple(self._news), frozenset(rules))

    def _shows_rest(self, observation: Observation) -> bool:
        """Whether an observation was made since the robot came to stand still."""
        with self._lock:
            return self._stopping == 0 and observation.stamp >= self._still_since

    def _stood_still(self) -> Guarded:
        """Nothing was sent."""
        return Guarded(Action(np.array(self._mover.executed(), np.float32)), None, tuple(self._news))

    def _send(self, command: Command, stops: int) -> Command | None:
        """Send, unless the robot was stopped since it had been stopped so often: then nothing is sent."""
        sent, trouble = None, None
        with self._sending:
            if self._stops == stops:
                try:
                    sent = self._robot.send(command)
                except (RobotError, StaleError) as error:
                    trouble = error
                if self._stops != stops:
                    # A stop from another thread came while the command was on its way: it must win.
                    self._halt()
        if trouble is not None:
            raise self._latched("robot", str(trouble)) from trouble
        if sent is None:
            self._refuse_when_faulted()
        return sent

    def _refuse_when_faulted(self) -> None:
        for first in self._faults[:1]:  # a copy: another thread may add to it
            raise _refusal(first.rule, first.detail)

    def _latched(self, rule: str, detail: str) -> FaultLatchedError:
        """Latch a fault; returns the error to raise."""
        self._latch([(rule, detail)])
        return _refusal(rule, detail)

    def _latch(self, findings: Sequence[Finding]) -> None:
        if not findings:
            return
        for event in self._stop(findings):
            self._emit(event)

    def _notice_expiry(self, now: float) -> None:
        if self._begun == self._stops and now > self._expires:
            late = now - self._expires
            # The robot stopped by itself: what it was told is no longer where it is.
            self._begun = None
            with self._lock:
                self._still_since = max(self._still_since, self._expires)
            self._emit(GuardEvent(now, "stale_command", f"no command for {late:.3f} s after the last one expired"))

    def _report(self, rules: Sequence[str], now: float) -> None:
        for rule in rules:
            if self._commands - self._bound.get(rule, -QUIET_PERIODS - 1) > QUIET_PERIODS:
                self._emit(GuardEvent(now, rule, RULES[rule]))
            self._bound[rule] = self._commands

    def _emit(self, event: GuardEvent) -> None:
        self._events.append(event)
        self._news.append(event)
        if self._on_event is not None:
            self._on_event(event)


def _refusal(rule: str, detail: str) -> FaultLatchedError:
    return FaultLatchedError(f"robot held by fault {rule!r} ({detail}): call release() to go on")
