"""Mere motions: which entries of an action they mean, by hand and by laws, and when they have gone far enough."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import Action, ActionLayout
from robot_rlhf.facts import View
from robot_rlhf.meaning import GRIPS, MOVES, TURNS, Meaning
from robot_rlhf.safety.rotation import POINTING_DOWN, Quaternion, exp, multiply, rotate
from robot_rlhf.skills.nudges import Nudge, grounded, nudge_of, way
from tests.skills.place import Obedient

FULL = ActionLayout(("x", "y", "z", "rx", "ry", "rz", "gripper"), np.array([0.02] * 3 + [0.1] * 3 + [1], np.float32))
TABLE = ActionLayout(("x", "y"), np.array([0.01, 0.01], np.float32))
BEHIND_ROBOT = View()
"""Somebody who looks along x: right is -y."""


def found(meaning: Meaning, layout: ActionLayout = FULL, view: View = BEHIND_ROBOT) -> dict[str, float]:
    both = grounded(meaning, layout, view)
    assert both is not None
    direction, mask = both
    assert direction.dtype == np.float32
    assert mask.dtype == np.bool_
    assert not direction[~mask].any()
    return {name: round(float(v), 4) for name, v, m in zip(layout.names, direction, mask, strict=True) if m}


@pytest.mark.parametrize(
    ("reading", "entries"),
    [
        ("left", {"y": 1.0}),
        ("right", {"y": -1.0}),
        ("forward", {"x": 1.0}),
        ("back", {"x": -1.0}),
        ("up", {"z": 1.0}),
        ("down", {"z": -1.0}),
        ("turn_left", {"rz": 1.0}),
        ("turn_right", {"rz": -1.0}),
        ("open", {"gripper": 1.0}),
        ("close", {"gripper": -1.0}),
    ],
)
def test_by_hand(reading: str, entries: dict[str, float]) -> None:
    for frame in ("view", "base", "tool"):
        assert found(Meaning(reading, frame=frame)) == entries, frame


def test_left_is_that_of_whoever_looks() -> None:
    facing = View(right=(0.0, 1.0), back=(-1.0, 0.0))
    assert found(Meaning("left"), view=facing) == {"y": -1.0}
    assert found(Meaning("forward"), view=facing) == {"x": -1.0}, "forward is away from the speaker"
    assert found(Meaning("left", frame="base"), view=facing) == {"y": 1.0}
    assert found(Meaning("up"), view=facing) == {"z": 1.0}


def test_a_way_between_axes_is_straight_in_metres() -> None:
    view = View(right=(-0.6, 0.8), back=(-0.8, -0.6))
    uneven = ActionLayout(("x", "y", "z"), np.array([0.01, 0.04, 0.02], np.float32))
    both = grounded(Meaning("right"), uneven, view)
    assert both is not None
    moved = both[0] * uneven.scale
    assert moved[:2] / np.linalg.norm(moved) == pytest.approx((-0.6, 0.8), abs=1e-6)
    assert np.abs(both[0]).max() == 1.0, "as fast as the robot can"
    assert both[1].tolist() == [True, True, False]


@pytest.mark.parametrize("reading", ["up", "turn_left", "open"])
def test_what_a_robot_cannot_move_is_none(reading: str) -> None:
    assert grounded(Meaning(reading), TABLE, BEHIND_ROBOT) is None


def test_without_a_tool_there_is_no_left() -> None:
    layout = ActionLayout(("x", "y"), np.ones(2, np.float32), frame="none")
    assert grounded(Meaning("left"), layout, BEHIND_ROBOT) is None
    assert grounded(Meaning("goal", skill="above", thing="cube"), FULL, BEHIND_ROBOT) is None


angles = st.floats(-math.pi, math.pi)


@st.composite
def views(draw: st.DrawFn) -> View:
    angle = draw(angles)
    return View(right=(math.cos(angle), math.sin(angle)), back=(-math.sin(angle), math.cos(angle)))


@st.composite
def rotations(draw: st.DrawFn) -> Quaternion:
    x, y, z = (draw(st.floats(-0.5, 0.5)) for _ in range(3))
    return multiply(exp((x, y, z)), POINTING_DOWN)


@given(
    st.sampled_from((*MOVES, *TURNS, *GRIPS)),
    st.sampled_from(("view", "base", "tool")),
    views(),
    rotations(),
    st.sampled_from((FULL, TABLE, ActionLayout(FULL.names, FULL.scale, frame="tool"))),
)
def test_the_opposite_is_the_mirror(
    reading: str, frame: str, view: View, rotation: Quaternion, layout: ActionLayout
) -> None:
    meaning = Meaning(reading, frame=frame)  # pyright: ignore[reportArgumentType] - one of its values
    one, other = (grounded(m, layout, view, rotation) for m in (meaning, meaning.mirrored))
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        np.testing.assert_allclose(one[0], -other[0], atol=1e-6)
        assert (one[1] == other[1]).all()


@given(st.sampled_from(MOVES), views(), rotations())
def test_it_does_not_matter_in_which_frame_actions_are(reading: str, view: View, rotation: Quaternion) -> None:
    """The same way in the base, from actions in the base's frame and in the tool's."""
    meaning = Meaning(reading)
    layout = ActionLayout(("x", "y", "z"), np.full(3, 0.02, np.float32), frame="tool")
    in_tool = grounded(meaning, layout, view, rotation)
    assert in_tool is not None
    x, y, z = in_tool[0].tolist()
    moved = np.array(rotate(rotation, (x, y, z)))
    expected = np.array(way(meaning.reading, "view", view))
    assert moved @ expected / np.linalg.norm(moved) > 0.999


# -- how far -----------------------------------------------------------------------------------------------------------


@cache
def place(task: str) -> Obedient:
    return Obedient(task)


def nudge(robot: Obedient, meaning: Meaning) -> int:
    """Do it; returns for how many periods."""
    does = nudge_of(meaning, robot.perceived(), robot.place.spec, robot.facts.view)
    assert isinstance(does, Nudge), does
    periods = 0
    while (values := does.act(robot.perceived())) is not None:
        robot.place.guard.act(Action(values))
        robot.observation = robot.place.guard.observe()
        periods += 1
        assert periods < 200
    return periods


@pytest.mark.parametrize("task", ["reach", "pick_cube", "push", "drawer_store", "peg_insert"])
@pytest.mark.parametrize("amount", [None, 0.01, 0.02, 0.06])
def test_the_tool_goes_as_far_as_was_said(task: str, amount: float | None) -> None:
    robot = place(task)
    view = robot.facts.view
    for reading, direction in (("left", np.negative(view.right)), ("forward", np.array(view.back))):
        before = robot.reset(4).tool_pose_in_base[:3].copy()
        nudge(robot, Meaning(reading, amount=amount))
        for _ in range(10):  # until it has come to rest
            robot.place.guard.act(Action(np.zeros(robot.place.spec.action.size, np.float32)))
            robot.observation = robot.place.guard.observe()
        moved = robot.observation.tool_pose_in_base[:3] - before
        assert moved[:2] @ direction == pytest.approx(0.04 if amount is None else amount, abs=0.004)
        assert abs(moved[0] * direction[1] - moved[1] * direction[0]) < 0.004, "straight"


def test_a_turn_is_as_wide_as_was_said() -> None:
    robot = place("pick_cube")
    for reading, sign in (("turn_left", 1.0), ("turn_right", -1.0)):
        before = robot.reset(4).tool_pose_in_base
        nudge(robot, Meaning(reading, amount=math.radians(30.0)))
        w, x, y, z = robot.observation.tool_pose_in_base[3:].tolist()
        bw, bx, by, bz = before[3:].tolist()
        turned = multiply((w, x, y, z), (bw, -bx, -by, -bz))
        assert sign * 2.0 * math.degrees(math.atan2(turned[3], turned[0])) == pytest.approx(30.0, abs=3.0)


def test_what_is_in_the_way_ends_it() -> None:
    robot = place("pick_cube")
    robot.reset(4)
    periods = nudge(robot, Meaning("down", amount=0.5))
    assert periods * robot.place.spec.control_period < 0.5 / 0.4 * 3.0 + 0.6
    assert robot.observation.tool_pose_in_base[2] < 0.03


def test_fingers_are_opened_or_closed_for_a_moment() -> None:
    robot = place("pick_cube")
    robot.reset(4)
    nudge(robot, Meaning("close"))
    assert robot.observation.gripper < 0.1
    nudge(robot, Meaning("open"))
    assert robot.observation.gripper > 0.9


def test_a_motion_leaves_the_fingers_as_they_are() -> None:
    robot = place("pick_cube")
    robot.reset(4)
    nudge(robot, Meaning("close"))
    does = nudge_of(Meaning("left"), robot.perceived(), robot.place.spec, robot.facts.view)
    assert isinstance(does, Nudge)
    values = does.act(robot.perceived())
    assert values is not None
    assert values[-1] == -1.0
    assert not does.mask[-1]


def test_why_there_is_no_motion_is_said_in_words() -> None:
    robot = place("push")
    for meaning in (Meaning("up"), Meaning("open"), Meaning("good")):
        why = nudge_of(meaning, robot.perceived(), robot.place.spec, robot.facts.view)
        assert isinstance(why, str)
        assert meaning.words in why
