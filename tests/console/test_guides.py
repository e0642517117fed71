"""What is drawn over the pictures, as points: only what is known, where it is, and the keys that do something."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from robot_rlhf.console.frames import FRAMES, Frame, View, directions
from robot_rlhf.console.guides import guides
from robot_rlhf.console.keymap import GUIDE_KEYS, MOTION_KEYS
from robot_rlhf.console.settings import ConsoleSettings
from robot_rlhf.console.touch import Touch
from robot_rlhf.console.wire import Present
from robot_rlhf.errors import ConfigError, InvalidValueError
from robot_rlhf.sight import CameraMount, Sight

FACING = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
"""Looks along -x, level: right is +y, down is -z."""
MOUNT = CameraMount("base", FACING, (1.5, 0.0, 0.2), 1.0)
SIGHT = Sight({"front": MOUNT}, surface=0.0, grip_width=0.08)
SIZES = {"front": (100, 200)}
AXES = ("x", "y", "z", "rz", "gripper")
NOW = Present(
    stamp=1.0,
    phase="running",
    driver="human",
    action=None,
    episode="demonstration-000000",
    kind="demonstration",
    step=3,
    time_limit=0,
    instruction="",
    policy_version=-1,
    faults=(),
    detail="",
    tool_pose=(0.5, 0.1, 0.2, 0.0, 1.0, 0.0, 0.0),
    tool_wrench=(0.0,) * 6,
    gripper=1.0,
    gripper_target=1.0,
    observed=1.0,
)


def drawn(present: Present = NOW, sight: Sight = SIGHT, frame: Frame = "base", axes: tuple[str, ...] = AXES) -> dict:
    assert present.tool_pose is not None
    turn = np.reshape(FACING, (3, 3))
    return guides(sight, SIZES, present, directions(frame, View(present.tool_pose, turn)), axes)


def test_marks_are_where_a_hand_calculation_puts_them() -> None:
    marks = drawn()["front"]
    # One metre away; the picture is twice as wide as high, so a metre is half of its width.
    assert marks["tip"] == pytest.approx([0.5 + 0.1 / 2, 0.5])
    assert marks["foot"] == pytest.approx([0.5 + 0.1 / 2, 0.5 + 0.2])
    # The fingers are 8 cm apart along the tool's y, at 1 m -+ 11 mm.
    across = sorted(p[0] for p in marks["fingers"])
    assert across[0] == pytest.approx(0.5 + (0.1 - 0.04) / 2, abs=1e-3)
    assert across[-1] == pytest.approx(0.5 + (0.1 + 0.04) / 2, abs=1e-3)
    assert all(p[1] == pytest.approx(0.7, abs=5e-3) for p in marks["print"])
    half = drawn(replace(NOW, gripper=0.5))["front"]["fingers"]
    assert max(p[0] for p in half) - min(p[0] for p in half) == pytest.approx(0.02, abs=2e-3)


@pytest.mark.parametrize(
    "sight",
    [
        Sight(),
        Sight({"front": replace(MOUNT, position=None)}, 0.0, 0.08),
        Sight({"front": replace(MOUNT, focal=None)}, 0.0, 0.08),
        Sight({"elsewhere": MOUNT}, 0.0, 0.08),
    ],
)
def test_nothing_is_drawn_of_what_is_not_known(sight: Sight) -> None:
    assert drawn(sight=sight) == {}


def test_without_a_surface_there_is_no_plumb_line_and_behind_the_camera_nothing() -> None:
    marks = drawn(sight=replace(SIGHT, surface=None))["front"]
    assert marks["foot"] is None
    assert marks["print"] == []
    assert drawn(sight=replace(SIGHT, surface=0.3))["front"]["foot"] is None, "the tool is below it"
    behind = drawn(sight=replace(SIGHT, mounts={"front": replace(MOUNT, position=(0.0, 0.0, 0.2))}))["front"]
    assert behind["tip"] is None
    assert set(behind["fingers"]) == {None}
    assert guides(SIGHT, SIZES, replace(NOW, tool_pose=None), directions("base", View(NOW.tool_pose or ())), AXES) == {}


@pytest.mark.parametrize("frame", FRAMES)
def test_each_arrow_leads_where_its_key_moves(frame: Frame) -> None:
    """By another way: as far as the picture changes when the tool itself is moved so."""
    assert NOW.tool_pose is not None
    view = View(NOW.tool_pose, np.reshape(FACING, (3, 3)))
    moving = directions(frame, view).moving
    for arrow in drawn(frame=frame)["front"]["arrows"]:
        axis, sign = MOTION_KEYS[arrow["code"]]
        if axis == "rz":
            continue
        moved = np.array(NOW.tool_pose)
        moved[:3] += 1e-2 * sign * moving[:, "xyz".index(axis)]
        before, after = drawn()["front"]["tip"], drawn(replace(NOW, tool_pose=tuple(moved)))["front"]["tip"]
        shift, line = np.subtract(after, before), np.subtract(arrow["line"][-1], arrow["line"][0])
        if np.linalg.norm(shift) > 1e-3:  # along the line of sight there is nothing to compare
            assert np.dot(shift, line) > 0.98 * np.linalg.norm(shift) * np.linalg.norm(line), arrow


def test_only_keys_that_do_something_are_drawn() -> None:
    assert [a["code"] for a in drawn()["front"]["arrows"]] == list(GUIDE_KEYS)
    assert [a["code"] for a in drawn(axes=("x", "y", "z"))["front"]["arrows"]] == list(GUIDE_KEYS[:6])
    assert drawn(axes=("joint1",))["front"]["arrows"] == []


def test_a_camera_on_the_tool_sees_the_tool_in_one_place() -> None:
    down = CameraMount("tool", (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), (0.0, 0.05, -0.1), 1.0)
    sight = replace(SIGHT, mounts={"front": down})
    turned = replace(NOW, tool_pose=(0.3, -0.2, 0.4, math.cos(0.3), math.sin(0.3), 0.0, 0.0))
    assert drawn(sight=sight)["front"]["tip"] == drawn(turned, sight)["front"]["tip"]
    assert drawn(sight=sight)["front"]["tip"] == pytest.approx([0.5 - 0.0, 0.5 - 0.5])


def test_settings_carry_the_sight() -> None:
    settings = ConsoleSettings("j", "t", sight=replace(SIGHT, mounts={"a": MOUNT, "b": CameraMount("tool", FACING)}))
    assert ConsoleSettings.from_json(settings.to_json()) == settings
    assert ConsoleSettings.from_json(ConsoleSettings("j", "t").to_json()).sight == Sight()
    broken = json.loads(settings.to_json())
    broken["sight"]["mounts"]["a"]["rotation"] = [1.0]
    with pytest.raises(ConfigError, match=r"rotation.*9 finite numbers"):
        ConsoleSettings.from_json(json.dumps(broken))


@pytest.mark.parametrize(
    "wrong", [{"rotation": (1.0,) * 8}, {"position": (0.0, math.nan, 0.0)}, {"focal": 0.0}, {"parent": "flange"}]
)
def test_a_mount_that_no_camera_has_is_refused(wrong: dict) -> None:
    with pytest.raises(InvalidValueError, match=next(iter(wrong))):
        replace(MOUNT, **wrong)


# -- what the hand feels -------------------------------------------------------------------------------------------


def hand(at: float, gripper: float = 1.0, target: float = 1.0, force: float = 0.0, episode: str = "e") -> Present:
    wrench = (0.0, 0.0, force, 0.0, 0.0, 0.0)
    return replace(NOW, observed=at, gripper=gripper, gripper_target=target, tool_wrench=wrench, episode=episode)


def test_fingers_that_stop_before_they_are_closed_hold_something() -> None:
    touch = Touch()
    closing = [1.0, 0.8, 0.6, 0.5, 0.5, 0.5, 0.5, 0.5]
    felt = [touch.feel(hand(0.05 * i, g, target=0.0)) for i, g in enumerate(closing)]
    assert felt[:6] == [""] * 6
    assert felt[-1] == "holding"
    assert touch.feel(hand(0.5, 0.5, target=1.0)) == "", "told to open: it lets go"


def test_closed_on_nothing_and_opened_is_not_holding() -> None:
    touch = Touch()
    for i, opening in enumerate([1.0, 0.5, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0]):
        assert touch.feel(hand(0.05 * i, opening, target=0.0)) == ""
    for i in range(10):
        assert touch.feel(hand(1.0 + 0.05 * i, 0.5, target=1.0)) == "", "half open, and told to open"


def test_a_force_beyond_that_of_the_beginning_is_a_touch() -> None:
    touch = Touch()
    assert touch.feel(hand(0.0, force=9.0)) == "", "a sensor that is not zeroed"
    assert touch.feel(hand(0.1, force=9.8)) == ""
    assert touch.feel(hand(0.2, force=12.0)) == "touching"
    assert touch.feel(hand(0.3, force=9.0)) == ""
    assert touch.feel(hand(0.4, force=12.0, episode="e+01")) == "touching", "a part of the same episode"
    assert touch.feel(hand(0.5, force=12.0, episode="f")) == ""
    assert touch.feel(replace(hand(0.6), tool_wrench=None)) == ""
