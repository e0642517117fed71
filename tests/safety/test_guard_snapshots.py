"""A branch from a snapshot goes on as the first future did, bit for bit; no fault and no stop is ever undone by one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.conformance import sample_observation
from robot_rlhf.datatypes import Action, Observation
from robot_rlhf.episode import OBSERVATION_ARRAYS, OBSERVATION_MAPPINGS
from robot_rlhf.errors import ConfigError, FaultLatchedError
from robot_rlhf.ports import Restorable, Robot
from robot_rlhf.safety.guard import GuardedRobot, GuardState
from robot_rlhf.safety.limits import DirectLimits
from robot_rlhf.safety.movers import mover_for
from robot_rlhf.timing import FakeClock
from robot_rlhf_hardware.fake import FakeRobot, FakeState
from robot_rlhf_sim.gymnasium_robot import GymnasiumRobot
from robot_rlhf_sim.tasks import PickCube
from tests.draws import draws
from tests.safety.laws import LIMITS

EXACT = 1 / 16
"""A period, s, whose sums are exact: a clock that goes on elsewhere changes no rounding."""
DIRECT = DirectLimits(rate_max=np.array([0.4]), command_validity=1.0, observation_age_max=1.0)
QUICK = replace(LIMITS, command_validity=4 * EXACT)


@dataclass(frozen=True)
class Period:
    """What a test does in one control period."""

    wish: tuple[float, ...]
    look: bool
    """Observe before acting, as the loop does."""
    pause: bool
    """Send nothing, for so long that the last command runs out."""


def periods(size: int, count: int) -> st.SearchStrategy[list[Period]]:
    wishes = st.tuples(*[st.sampled_from((-1.0, -0.3, 0.0, 0.5, 1.0))] * size)
    rare = st.sampled_from((False, False, False, False, True))
    return st.lists(st.builds(Period, wishes, st.sampled_from((True, True, False)), rare), min_size=1, max_size=count)


def plain(seen: Observation) -> list[Any]:
    """Everything but the stamp."""
    arrays = [getattr(seen, name).tobytes() for name in OBSERVATION_ARRAYS]
    groups = [{k: v.tobytes() for k, v in getattr(seen, name).items()} for name in OBSERVATION_MAPPINGS]
    return [*arrays, *groups, seen.gripper, seen.gripper_target]


def go_on(guard: GuardedRobot, clock: FakeClock, plan: Sequence[Period]) -> list[Any]:
    """Everything that a future is, but for the clock."""
    told: list[Any] = []
    for period in plan:
        try:
            if period.pause:
                clock.advance(8 * EXACT)
            if period.look or period.pause:
                told.append(plain(guard.observe()))
            guarded = guard.act(Action(np.array(period.wish, np.float32)))
        except FaultLatchedError:
            told.append("held")
        else:
            sent = None if guarded.sent is None else guarded.sent.target.tobytes()
            told.append((guarded.executed.values.tobytes(), sent, guarded.rules))
        told.append([(event.rule, event.detail, event.latched) for event in guard.take_events()])
    return told


def check_branches(
    guard: GuardedRobot, clock: FakeClock, before: list[Period], after: list[Period], elsewhere: list[Period]
) -> None:
    go_on(guard, clock, before)
    state, faulted = guard.snapshot(), bool(guard.faults)
    first = go_on(guard, clock, after)
    go_on(guard, clock, elsewhere)
    guard.release()
    guard.restore(state)
    if faulted:
        assert guard.faults
        guard.take_events()  # that they are latched again
    assert go_on(guard, clock, after) == first


@given(before=periods(5, 12), after=periods(5, 8), elsewhere=periods(5, 4))
@draws(12)
def test_a_branch_of_pick_cube_is_the_first_future(
    before: list[Period], after: list[Period], elsewhere: list[Period]
) -> None:
    clock = FakeClock()
    task = PickCube(clock)
    guard = GuardedRobot(task.arm, task.limits, clock)
    guard.begin(lambda: task.reset(np.random.default_rng(1)))
    check_branches(guard, clock, before, after, elsewhere)


@given(
    before=periods(5, 20),
    after=periods(5, 12),
    elsewhere=periods(5, 6),
    force=st.sampled_from((0.0, 0.0, 12.0, 25.0)),
    delay=st.sampled_from((0.0, EXACT, 2 * EXACT)),
)
@draws(60)
def test_a_branch_of_a_fake_robot_is_the_first_future(
    before: list[Period], after: list[Period], elsewhere: list[Period], force: float, delay: float
) -> None:
    clock = FakeClock()
    robot = FakeRobot(clock, control_period=EXACT)
    guard = GuardedRobot(robot, QUICK, clock)
    robot.force([0.0, force, 0.0])
    robot.delay(delay)
    check_branches(guard, clock, before, after, elsewhere)


def moving() -> tuple[FakeRobot, GuardedRobot, FakeClock, GuardState]:
    """A robot on its way along x, and that moment."""
    clock = FakeClock()
    robot = FakeRobot(clock, control_period=EXACT)
    guard = GuardedRobot(robot, QUICK, clock)
    go_on(guard, clock, [GO] * 6)
    return robot, guard, clock, guard.snapshot()


GO = Period((1.0, 0.0, 0.0, 0.0, 1.0), True, False)


def stands(robot: FakeRobot, clock: FakeClock) -> bool:
    first = robot.observe().tool_pose_in_base
    clock.advance(EXACT)
    return bool((robot.observe().tool_pose_in_base == first).all())


@pytest.mark.parametrize("fault", ["stop", "force_hard"])
def test_a_latched_fault_is_not_released_by_going_back(fault: str) -> None:
    robot, guard, clock, state = moving()
    guard.fault(fault, "as a test")
    guard.restore(state)
    assert [one.rule for one in guard.faults] == [fault]
    assert stands(robot, clock), "what was put back was on its way"
    with pytest.raises(FaultLatchedError, match=fault):
        guard.act(Action(np.array(GO.wish, np.float32)))
    guard.release()
    target = robot.observe().tool_pose_in_base[0]
    (_, (_, sent, _), _) = go_on(guard, clock, [GO])
    step = float(np.frombuffer(sent)[0] - target)
    assert step <= QUICK.tool_acceleration * EXACT**2 + 1e-6, "it begins again at rest"


def test_a_fault_of_the_snapshot_is_latched_again() -> None:
    robot, guard, clock, _ = moving()
    guard.fault("force_hard", "as a test")
    state = guard.snapshot()
    guard.release()
    go_on(guard, clock, [GO] * 3)
    guard.restore(state)
    assert [(one.rule, one.detail) for one in guard.faults] == [("force_hard", "as a test")]
    assert stands(robot, clock)


class Interrupted(FakeRobot):
    """Something happens just before it goes back."""

    meanwhile: Callable[[], None] = staticmethod(lambda: None)
    stopped = threading.Event()

    def restore(self, state: FakeState) -> None:
        self.meanwhile()
        super().restore(state)

    def stop(self) -> None:
        super().stop()
        self.stopped.set()


@pytest.mark.parametrize("latched", [False, True])
def test_a_stop_that_comes_meanwhile_wins(latched: bool) -> None:
    clock = FakeClock()
    robot = Interrupted(clock, control_period=EXACT)
    guard = GuardedRobot(robot, QUICK, clock)
    go_on(guard, clock, [GO] * 6)
    state = guard.snapshot()
    presser = threading.Thread(target=(lambda: guard.fault("stop", "pressed")) if latched else guard.stop)

    def press() -> None:
        robot.stopped.clear()
        presser.start()
        assert robot.stopped.wait(5.0)

    robot.meanwhile = press
    guard.restore(state)
    presser.join(5.0)
    assert not presser.is_alive()
    assert stands(robot, clock), "what was put back, after the stop, was on its way"
    assert bool(guard.faults) is latched


def test_an_episode_may_begin_with_a_moment() -> None:
    _, guard, clock, state = moving()
    first = go_on(guard, clock, [GO] * 4)
    go_on(guard, clock, [Period((-1.0, 1.0, 0.0, 0.0, -1.0), True, False)] * 5)
    guard.begin(lambda: guard.restore(state))
    assert go_on(guard, clock, [GO] * 4) == first


def test_a_world_that_cannot_be_put_back_is_named() -> None:
    clock = FakeClock()
    robot: Robot = GymnasiumRobot(gymnasium.make("Pendulum-v1"), clock)
    guard = GuardedRobot(robot, DIRECT, clock)
    _, _, _, state = moving()
    for ask in (guard.snapshot, lambda: guard.restore(state)):
        with pytest.raises(ConfigError, match="GymnasiumRobot"):
            ask()


@given(before=st.lists(st.floats(-1, 1), max_size=5), after=st.lists(st.floats(-1, 1), min_size=1, max_size=5))
@draws(20)
def test_a_limited_rate_goes_on_from_where_it_was(before: list[float], after: list[float]) -> None:
    robot = GymnasiumRobot(gymnasium.make("Pendulum-v1"), FakeClock())
    mover, seen = mover_for(robot.spec, DIRECT), sample_observation(robot.spec, 0.0, np.random.default_rng(0))

    def future() -> list[tuple[list[str], list[float]]]:
        return [(mover.advance([wish], seen), mover.target()) for wish in after]

    for wish in before:
        mover.advance([wish], seen)
    state = mover.state()
    first = future()
    mover.load(state)
    assert future() == first


def test_pictures_are_no_part_of_a_moment() -> None:
    clock = FakeClock()
    task = PickCube(clock, cameras={"front": (16, 16)})
    guard = GuardedRobot(task.arm, task.limits, clock)
    assert isinstance(guard, Restorable)
    assert guard.observe().images
    state = guard.snapshot()
    assert state.seen is not None
    assert not state.seen.images
