"""A stop from another thread wins, returns soon, and is never followed by a command that was on its way."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from robot_rlhf.datatypes import Action, Command, GuardEvent
from robot_rlhf.errors import FaultLatchedError
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import FakeClock
from robot_rlhf_hardware.fake import FakeRobot
from tests.safety.laws import LIMITS, PERIOD

GO = Action(np.array([0.5, 0.0, 0.0, 0.0, 1.0], np.float32))
PATIENT = replace(LIMITS, command_validity=30.0)
"""A stop that waits wrongly waits longer than these tests do."""
SOON = 10.0
PAUSES = np.random.default_rng(0).uniform(0.0, 5e-4, 400)
"""Seconds from the beginning of a round to its stop."""


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads take turns at every instruction where they may."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Looked(FakeClock):
    """Notes which act looks at it: that act has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.act = 0
        self.begun = 0
        self.actor = threading.get_ident()

    def now(self) -> float:
        if threading.get_ident() == self.actor:
            self.begun = self.act
        return super().now()


class Watched(FakeRobot):
    """Counts the commands of acts in which a stop had returned."""

    def __init__(self, clock: Looked) -> None:
        super().__init__(clock)
        self.looked = clock
        self.stopped_in = 0
        self.late = 0
        self.sent = 0

    def send(self, command: Command) -> Command:
        self.late += self.stopped_in == self.looked.act
        self.sent += 1
        return super().send(command)


def spin(seconds: float) -> None:
    """A sleep would hand the turn over."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def interrupted(stop: Callable[[GuardedRobot], None]) -> Watched:
    """Acts of one thread, with a stop of another at some moment of each few."""
    clock = Looked()
    robot = Watched(clock)
    guard = GuardedRobot(robot, PATIENT, clock)
    together = threading.Barrier(2)

    def interrupt() -> None:
        for pause in PAUSES.tolist():
            together.wait(SOON)
            spin(pause)
            begun = clock.begun
            stop(guard)
            robot.stopped_in = begun  # an act that had begun before the stop, and is none of ours if it has ended
            together.wait(SOON)

    thread = threading.Thread(target=interrupt)
    thread.start()
    for _ in PAUSES:
        guard.release()
        together.wait(SOON)
        for _ in range(4):
            with contextlib.suppress(FaultLatchedError):
                guard.observe()
                clock.act += 1
                guard.act(GO)
        together.wait(SOON)
    thread.join(SOON)
    return robot


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    "stop", [lambda guard: guard.fault("stop", "pressed"), GuardedRobot.stop], ids=["fault", "stop"]
)
def test_no_command_that_was_asked_for_begins_after_a_stop_has_returned(stop: Callable[[GuardedRobot], None]) -> None:
    robot = interrupted(stop)
    assert robot.sent > 0, "some acts came first"
    assert robot.late == 0


@pytest.mark.usefixtures("hasty")
def test_nothing_begins_between_a_fault_and_its_release() -> None:
    robot = FakeRobot(FakeClock())
    guard = GuardedRobot(robot, PATIENT, robot._clock)
    together, latched, broken = threading.Barrier(2), threading.Event(), 0
    send = robot.send

    def watched(command: Command) -> Command:
        nonlocal broken
        broken += latched.is_set()
        return send(command)

    def press() -> None:
        for pause in PAUSES.tolist():
            together.wait(SOON)
            spin(pause)
            guard.fault("stop", "STOP was pressed")
            latched.set()
            together.wait(SOON)

    robot.send = watched
    thread = threading.Thread(target=press)
    thread.start()
    for _ in PAUSES:
        latched.clear()
        guard.release()
        together.wait(SOON)
        with contextlib.suppress(FaultLatchedError):
            for _ in range(50):
                guard.act(GO)
                guard.observe()
        together.wait(SOON)
    thread.join(SOON)
    assert robot.received
    assert broken == 0


class Yielding:
    """A lock that lets another thread run as soon as it is free, once."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self._lock = threading.Lock()
        self._meanwhile: Callable[[], object] | None = meanwhile

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        deed, self._meanwhile = self._meanwhile, None
        if deed is not None:
            thread = threading.Thread(target=deed)
            thread.start()
            thread.join(SOON)


def test_nobody_moves_a_robot_between_the_decision_to_stop_it_and_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    robot = FakeRobot(clock)
    guard = GuardedRobot(robot, LIMITS, clock)
    for _ in range(5):  # it is moving
        guard.observe()
        guard.act(GO)
        clock.advance(PERIOD)
    guard.observe()
    sent, told = len(robot.received), list[object]()
    monkeypatch.setattr(guard, "_lock", Yielding(lambda: told.append(guard.act(GO).sent)))
    guard.stop()
    assert told == [None]
    assert len(robot.received) == sent
    guard.observe()
    assert guard.act(GO).sent is not None, "it stands still now, and begins anew"


class Blocking(FakeRobot):
    """Its `send` does not return before it is let."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.sending, self.go_on, self.stopped = threading.Event(), threading.Event(), threading.Event()
        self.stops = 0

    def send(self, command: Command) -> Command:
        self.sending.set()
        assert self.go_on.wait(SOON)
        return super().send(command)

    def stop(self) -> None:
        self.stops += 1
        self.stopped.set()
        super().stop()


def test_a_stop_reaches_a_robot_whose_send_blocks_and_returns_once_the_command_has_run_out() -> None:
    clock = FakeClock()
    robot = Blocking(clock)
    guard = GuardedRobot(robot, LIMITS, clock)
    guard.observe()
    acting = threading.Thread(target=guard.act, args=(GO,))
    acting.start()
    assert robot.sending.wait(SOON)
    stopping = threading.Thread(target=guard.fault, args=("stop", "STOP was pressed"))
    stopping.start()
    assert robot.stopped.wait(SOON), "told at once, although a command is on its way"
    stopping.join(SOON)
    assert not stopping.is_alive(), "it does not wait for ever"
    assert robot.stops == 1
    robot.go_on.set()
    acting.join(SOON)
    assert robot.stops == 2, "what comes late is stopped again"
    held = robot.observe().tool_pose_in_base
    clock.advance(0.1)
    np.testing.assert_array_equal(robot.observe().tool_pose_in_base, held)
    with pytest.raises(FaultLatchedError, match="STOP was pressed"):
        guard.act(GO)


def test_a_stop_waits_for_a_command_that_is_on_its_way() -> None:
    clock = FakeClock()
    robot = Blocking(clock)
    guard = GuardedRobot(robot, PATIENT, clock)
    guard.observe()
    acting = threading.Thread(target=guard.act, args=(GO,))
    acting.start()
    assert robot.sending.wait(SOON)
    stopping = threading.Thread(target=guard.stop)
    stopping.start()
    assert robot.stopped.wait(SOON)
    assert stopping.is_alive()
    robot.go_on.set()
    stopping.join(SOON)
    assert not stopping.is_alive()
    assert robot.stops == 2
    acting.join(SOON)


def test_a_listener_may_call_the_guard_from_any_thread() -> None:
    heard: list[GuardEvent] = []

    def listen(event: GuardEvent) -> None:
        heard.append(event)
        guard.stop()
        guard.fault("listener", "heard something")
        thread = threading.Thread(target=lambda: (guard.stop(), guard.fault("elsewhere", "too"), guard.faults))
        thread.start()
        thread.join(SOON)
        assert not thread.is_alive()

    robot = FakeRobot(FakeClock())
    guard = GuardedRobot(robot, PATIENT, robot._clock, listen)
    guard.observe()
    guard.act(Action(np.ones(5, np.float32)))  # a limit binds: an event
    assert heard[0].rule == "tool_speed"
    assert {fault.rule for fault in guard.faults} == {"listener", "elsewhere"}
    guard.release()
    robot.fault("motor too warm")
    with pytest.raises(FaultLatchedError, match="motor too warm"):
        guard.observe()


def test_a_robot_may_stop_itself_within_send() -> None:
    clock = FakeClock()
    robot = FakeRobot(clock)
    guard = GuardedRobot(robot, PATIENT, clock)
    send = robot.send
    robot.send = lambda command: (guard.fault("estop", "pressed"), send(command))[1]
    began = time.monotonic()
    guard.act(GO)
    assert time.monotonic() - began < PATIENT.command_validity / 2
    assert [fault.rule for fault in guard.faults] == ["estop"]
    held = robot.observe().tool_pose_in_base
    clock.advance(PERIOD)
    np.testing.assert_array_equal(robot.observe().tool_pose_in_base, held)
