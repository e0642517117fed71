"""Whatever is wished, the commands keep the laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import Action, ActionLayout
from robot_rlhf.errors import FaultLatchedError
from robot_rlhf.safety import rotation
from tests.draws import draws
from tests.safety.laws import EPS, FULL_LAYOUT, LIMITS, LOOSE, PERIOD, Laws, Rig

SHORT_LAYOUT = ActionLayout(("x", "y", "z", "rz"), np.array([0.05, 0.05, 0.05, 0.3]))
extremes = st.one_of(st.sampled_from([-1.0, 0.0, 1.0]), st.floats(-1.0, 1.0, width=32))


def wishes(layout: ActionLayout) -> st.SearchStrategy[list[list[float]]]:
    """Wishes that stay for a while, as drivers' do: only so are walls and leashes reached."""
    one = st.tuples(st.lists(extremes, min_size=layout.size, max_size=layout.size), st.integers(1, 12))
    return st.lists(one, min_size=1, max_size=8).map(lambda runs: [wish for wish, n in runs for _ in range(n)])


def drive(rig: Rig, wished: list[list[float]]) -> Laws:
    laws = Laws(rig.limits, rig.layout)
    for wish in wished:
        measured = rig.guard.observe()
        laws.check(rig.guard.act(Action(np.array(wish, np.float32))), measured)
    return laws


@draws(60)
@given(wishes(FULL_LAYOUT), st.sampled_from([0.01, 0.05, 0.3]))
def test_commands_keep_the_limits(wished: list[list[float]], lag: float) -> None:
    drive(Rig(lag=lag), wished)


@draws(30)
@given(wishes(SHORT_LAYOUT))
def test_commands_keep_the_limits_at_wishes_far_above_them(wished: list[list[float]]) -> None:
    drive(Rig(layout=SHORT_LAYOUT), wished)


disturbances = st.one_of(
    st.tuples(st.just("force"), st.tuples(*[st.floats(-20, 20)] * 3)),
    st.tuples(st.just("jump"), st.floats(-0.09, 0.09)),
    st.tuples(st.just("freeze"), st.none()),
    st.tuples(st.just("thaw"), st.none()),
    st.tuples(st.just("clear"), st.none()),
    st.tuples(st.just("nan"), st.none()),
    st.tuples(st.just("fault"), st.just("broken")),
    st.tuples(st.just("delay"), st.sampled_from([0.0, 0.1, 0.3])),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 0.5])),
    st.tuples(st.just("stop"), st.none()),
    st.tuples(st.just("release"), st.none()),
    st.tuples(st.just("nothing"), st.none()),
)


@draws(80)
@given(wishes(FULL_LAYOUT), st.lists(disturbances, min_size=8, max_size=8))
def test_commands_keep_the_limits_whatever_the_robot_does(
    wished: list[list[float]], troubles: list[tuple[str, Any]]
) -> None:
    rig = Rig()
    laws = Laws(LIMITS, FULL_LAYOUT)
    for i, wish in enumerate(wished):
        if i % 4 == 1:
            _disturb(rig, laws, *troubles[(i // 4) % len(troubles)])
        sent, faulted, reported = len(rig.robot.received), bool(rig.guard.faults), len(rig.events)
        try:
            measured = rig.guard.observe()
            guarded = rig.guard.act(Action(np.array(wish, np.float32)))
        except FaultLatchedError:
            assert rig.guard.faults
            assert len(rig.robot.received) == sent, "nothing is sent once a fault is latched"
            laws.restart(None)
            continue
        assert not faulted
        assert len(rig.robot.received) == sent + (guarded.sent is not None)
        if guarded.sent is None:  # it was not seen yet where it stopped
            laws.restart(None)
            continue
        if "stale_command" in [event.rule for event in rig.events[reported:]]:
            laws.restart(None)
        laws.check(guarded, measured)
    for command in rig.robot.received:
        assert np.isfinite(command.target).all()


def _disturb(rig: Rig, laws: Laws, trouble: str, value: Any) -> None:
    if trouble == "wait":
        rig.clock.advance(value)
    elif trouble == "release":
        if rig.guard.faults:
            laws.restart(None)
        rig.guard.release()
    elif trouble == "stop":
        rig.guard.stop()
        laws.restart(None)
    elif trouble != "nothing":
        if trouble == "freeze" and rig.robot._fault:
            return
        try:
            getattr(rig.robot, trouble)(*(() if value is None else (value,)))
        except ValueError:
            assert trouble == "freeze", "only a robot that senses NaN cannot be frozen"


@draws(40)
@given(wishes(FULL_LAYOUT))
def test_without_a_clip_executed_is_wished(wished: list[list[float]]) -> None:
    rig = Rig(limits=LOOSE)
    for wish in wished[:20]:  # some thirty full steps one way reach the end of even the loose workspace: a clip
        guarded = rig.act(*wish)
        np.testing.assert_allclose(guarded.executed.values[:6], wish[:6], atol=1e-5)
        assert guarded.executed.values[6] == (1.0 if wish[6] >= 0 else -1.0)
        assert not guarded.rules
    assert not rig.events


@draws(30)
@given(st.floats(0.31, 0.49), st.floats(-0.09, 0.09), st.floats(0.21, 0.34), st.floats(-0.3, 0.3), st.floats(-1.0, 1.0))
def test_move_to_arrives_within_the_limits(x: float, y: float, z: float, tilt: float, yaw: float) -> None:
    rig = Rig()
    turned = rotation.multiply(rotation.exp((0.0, 0.0, yaw)), rotation.exp((tilt, 0.0, 0.0)))
    goal = (x, y, z, *rotation.multiply(turned, rotation.POINTING_DOWN))
    assert rig.guard.move_to(goal, 0.0, timeout=10.0)
    np.testing.assert_allclose(rig.guard.observe().tool_pose_in_base[:3], goal[:3], atol=5e-3)
    poses = np.array([command.target for command in rig.robot.received])
    speeds = np.linalg.norm(np.diff(poses[:, :3], axis=0), axis=1) / PERIOD
    assert speeds.max(initial=0.0) <= LIMITS.tool_speed + EPS
    assert not poses[:, 7].any()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_reaches_the_wall_and_not_beyond(axis: int, sign: float) -> None:
    rig = Rig()
    wish = [0.0] * 7
    wish[axis] = sign
    guarded = [rig.act(*wish) for _ in range(60)][-1]
    wall = (LIMITS.workspace_upper if sign > 0 else LIMITS.workspace_lower)[axis]
    assert guarded.command.target[axis] == pytest.approx(wall, abs=1e-6)
    assert guarded.executed.values[axis] == pytest.approx(0.0, abs=1e-4)
    assert guarded.rules == {"workspace"}
