from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.console import keymap
from robot_rlhf.console.controls import GRIP_MEMORY, TAP, Hands, Mode
from robot_rlhf.console.frames import FRAMES, Frame, View, rotation_matrix
from robot_rlhf.console.keymap import KEY_HELP, KNOWN, MOTION_KEYS, PAD_HELP, PRESSES, KeyHelp, Local, key_label
from robot_rlhf.console.page_input import MAX_KEYS, STICKS, Pad, PageInput
from robot_rlhf.datatypes import Action, ActionLayout, Button
from robot_rlhf.errors import ConfigError, InvalidValueError, UnknownNameError
from tests.draws import draws

NAMES = ("x", "y", "z", "rx", "ry", "rz", "gripper")
SCALE = np.array([0.02] * 3 + [0.1] * 3 + [1.0], np.float32)
BASE = ActionLayout(NAMES, SCALE, "base")
TOOL = ActionLayout(NAMES, SCALE, "tool")
DOWN = (0.4, 0.0, 0.3, 0.0, 1.0, 0.0, 0.0)
OPEN = View(DOWN)
CLOSED = View(DOWN, gripper_target=0.0)
HALF = math.sqrt(0.5)
TOOL_TURNED_LEFT = (0.0, 0.0, 0.0, 0.0, HALF, HALF, 0.0)
"""Points down; its +x is the base's +y."""


class Operator:
    """Hands that are told one message per 50 ms."""

    def __init__(self, layout: ActionLayout = BASE, *, mode: Mode = "hold", frame: Frame = "base") -> None:
        self.hands = Hands(layout, mode=mode, frame=frame, speed_level=3)
        self.now = 10.0
        self.hold()

    def take(self, page: PageInput) -> list[Button | Local]:
        self.now += 0.05
        return self.hands.update(page, self.now)

    def hold(self, *keys: str) -> list[Button | Local]:
        return self.take(PageInput(frozenset(keys)))

    def wish(self, view: View = OPEN) -> dict[str, float] | None:
        values = self.hands.wish(view)
        if values is None:
            return None
        Action(np.array(values, np.float32))
        return dict(zip(self.hands._layout.names, values, strict=True))

    def does(self, *keys: str, view: View = OPEN) -> dict[str, float]:
        return self.answer(PageInput(frozenset(keys)), view)

    def answer(self, page: PageInput, view: View = OPEN) -> dict[str, float]:
        self.take(page)
        wish = self.wish(view)
        assert wish is not None
        return wish


def pad(*down: int, lx: float = 0.0, ly: float = 0.0, rx: float = 0.0, ry: float = 0.0) -> PageInput:
    """A page with a gamepad."""
    return PageInput(pads=(Pad((lx, ly, rx, ry), tuple(1.0 if i in down else 0.0 for i in range(17))),))


def sticks(*keys: str, **values: float) -> PageInput:
    """A page with on-screen controls."""
    return PageInput(frozenset(keys), sticks=values)


def keyed(*keys: str) -> PageInput:
    return PageInput(frozenset(keys))


def layout(names: tuple[str, ...], scale: list[float], frame: Any = "base") -> ActionLayout:
    return ActionLayout(names, np.array(scale, np.float32), frame)


def only(wish: dict[str, float] | None, **expected: float) -> bool:
    assert wish is not None
    return all(wish[name] == pytest.approx(expected.get(name, 0.0), abs=1e-6) for name in wish if name != "gripper")


# -- keys and sticks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "axis", "sign"),
    [
        (("ArrowUp", "KeyW"), "x", 1),
        (("ArrowDown", "KeyS"), "x", -1),
        (("ArrowLeft", "KeyA"), "y", 1),
        (("ArrowRight", "KeyD"), "y", -1),
        (("ShiftRight", "KeyE", "PageUp"), "z", 1),
        (("ShiftLeft", "KeyQ", "PageDown"), "z", -1),
        (("KeyJ",), "rz", 1),
        (("KeyL",), "rz", -1),
        (("KeyI",), "ry", 1),
        (("KeyK",), "ry", -1),
        (("KeyO",), "rx", 1),
        (("KeyU",), "rx", -1),
    ],
)
def test_each_key_moves_one_axis(keys: tuple[str, ...], axis: str, sign: int) -> None:
    for key in keys:
        assert only(Operator().does(key), **{axis: float(sign)}), key


def test_two_keys_for_the_same_direction_are_no_faster_and_opposites_hold_still() -> None:
    assert only(Operator().does("KeyW", "ArrowUp"), x=1.0)
    assert only(Operator().does("KeyW", "KeyS"))


def test_a_diagonal_is_as_fast_as_an_axis() -> None:
    assert only(Operator().does("KeyW", "KeyA"), x=HALF, y=HALF)
    assert only(Operator().does("KeyW", "KeyJ"), x=1.0, rz=1.0), "turning does not slow moving down"


def test_speed_levels_scale_motion_and_turning() -> None:
    operator = Operator()
    assert operator.hold("Digit1") == [Local.SPEED]
    assert only(operator.does("Digit1", "KeyW", "KeyJ"), x=0.25, rz=0.25)
    operator.hold("Digit2")
    assert only(operator.does("KeyW"), x=0.5)
    assert operator.take(pad(12)) == [Local.SPEED]
    assert operator.hands.speed_level == 3
    operator.hold()
    assert operator.take(pad(12)) == [], "there is nothing faster"
    operator.hold()
    operator.take(pad(13))
    assert operator.hands.speed == 0.5


def test_sticks_of_a_gamepad_have_a_dead_zone_and_count_from_its_edge() -> None:
    operator = Operator()
    operator.take(pad(lx=0.12, ly=-0.12, rx=0.11, ry=0.05))
    assert operator.wish() is None
    operator.take(pad(ly=-0.56))
    assert only(operator.wish(), x=0.5)
    operator.take(pad(ly=-1.0, rx=1.0))
    assert only(operator.wish(), x=1.0, rz=-1.0)
    operator.take(pad(lx=-1.0))
    assert only(operator.wish(), y=1.0)
    operator.take(pad(ry=-1.0))
    assert only(operator.wish(), z=1.0)


def test_sticks_on_the_screen_move_as_they_are_named() -> None:
    for axis in ("x", "y", "z", "rx", "ry", "rz"):
        assert only(Operator().answer(sticks(**{axis: -0.4})), **{axis: -0.4})


def test_a_pad_with_few_axes_and_buttons_is_a_pad() -> None:
    operator = Operator()
    operator.take(PageInput(pads=(Pad((0.0, -1.0), (0.0,)),)))
    assert only(operator.wish(), x=1.0)


# -- taking the lead -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", [keyed("Space"), pad(5), sticks(lead=1.0)], ids=["key", "pad", "screen"])
def test_in_hold_mode_the_lead_button_holds_the_robot_still(lead: PageInput) -> None:
    operator = Operator()
    operator.take(lead)
    assert only(operator.wish())
    operator.hold()
    assert operator.wish() is None
    assert not operator.hands.leads


def test_in_hold_mode_hands_off_is_at_once() -> None:
    operator = Operator()
    operator.does("KeyW")
    operator.hold()
    assert operator.wish() is None


def test_judging_takes_no_lead() -> None:
    operator = Operator()
    assert operator.hold("Enter") == [Button.SUCCESS]
    assert operator.wish() is None


@pytest.mark.parametrize("lead", [keyed("Space"), pad(5), sticks(lead=1.0)], ids=["key", "pad", "screen"])
def test_in_toggle_mode_the_lead_stays_until_it_is_given_back(lead: PageInput) -> None:
    operator = Operator(mode="toggle")
    for page in (lead, lead, PageInput(), PageInput()):
        assert only(operator.answer(page))
    for page in (lead, lead, PageInput(), PageInput()):
        operator.take(page)
        assert operator.wish() is None
    assert only(operator.answer(lead))


@pytest.mark.parametrize("motion", [keyed("KeyW"), pad(lx=1.0), sticks(x=0.3), keyed("KeyG")])
def test_in_toggle_mode_any_motion_takes_the_lead_and_keeps_it(motion: PageInput) -> None:
    operator = Operator(mode="toggle")
    operator.answer(motion)
    for _ in range(10):
        assert only(operator.does())


def test_motion_that_is_held_while_the_lead_is_given_back_does_not_take_it_again() -> None:
    operator = Operator(mode="toggle")
    operator.answer(sticks("KeyW", y=0.5))
    operator.take(sticks("KeyW", "Space", y=0.5))
    for _ in range(3):
        operator.take(sticks("KeyW", y=0.5))
        assert operator.wish() is None
    operator.hold()
    assert only(operator.does("KeyW"), x=1.0)


def test_changing_the_mode_takes_the_hands_off() -> None:
    operator = Operator(mode="toggle")
    operator.does("KeyW")
    assert operator.hold("KeyW", "KeyM") == [Local.MODE]
    assert operator.hands.mode == "hold"
    assert operator.wish() is None
    operator.hold("KeyW")
    assert operator.wish() is None
    operator.hold()
    operator.hold("KeyW")
    assert operator.wish() is not None


@pytest.mark.parametrize("held", [keyed("KeyB", "KeyW"), pad(1, ly=-1.0)], ids=["key", "pad"])
def test_rewinding_is_no_driving(held: PageInput) -> None:
    operator = Operator()
    assert operator.take(held) == [Button.REWIND]
    assert operator.hands.rewinding
    assert operator.wish() is None
    operator.hold("KeyW")
    assert not operator.hands.rewinding
    assert operator.wish() is not None


# -- letting go ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "held",
    [
        *(keyed(key) for key in ("KeyW", "Space", "KeyG", "KeyB", "Enter")),
        pad(5, ly=-1.0),
        sticks(lead=1.0),
        sticks(x=1.0),
    ],
)
@pytest.mark.parametrize("mode", ["hold", "toggle"])
@pytest.mark.parametrize("seated", [True, False])
def test_what_was_held_before_must_be_pressed_anew(held: PageInput, mode: Mode, seated: bool) -> None:
    operator = Operator(mode=mode)
    if seated:
        operator.take(held)
        operator.wish()
        operator.hands.let_go()
        assert operator.wish() is None
    else:
        operator.hands = Hands(BASE, mode=mode)
    for _ in range(4):
        assert operator.take(held) == []
        assert operator.wish() is None
        assert not operator.hands.rewinding
    operator.hold()
    assert operator.wish() is None
    pressed = operator.take(held)
    assert pressed or operator.wish() is not None


def test_one_key_still_held_does_not_silence_the_others() -> None:
    operator = Operator()
    operator.hands.let_go()
    operator.hold("KeyW")
    assert only(operator.does("KeyW", "KeyA"), y=1.0)


def test_stop_always_counts_and_takes_the_hands_off() -> None:
    hands = Hands(BASE)
    assert hands.update(PageInput(frozenset({"KeyX", "KeyW"})), 0.0) == [Button.STOP]
    operator = Operator(mode="toggle")
    operator.does("KeyW")
    assert operator.hold("KeyW", "KeyX", "Enter") == [Button.STOP]
    assert operator.wish() is None
    assert operator.hold("KeyW", "KeyX") == [], "one press, one stop"
    assert operator.wish() is None
    operator.hold()
    assert operator.take(pad(8)) == [Button.STOP]


def test_a_lost_connection_does_not_repeat_a_stop() -> None:
    operator = Operator()
    operator.hold("KeyX")
    operator.hands.let_go()
    assert operator.hold("KeyX") == []


# -- presses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "buttons", "expected"),
    [
        (("Enter", "NumpadEnter"), (3,), Button.SUCCESS),
        (("Escape",), (0,), Button.FAILURE),
        (("Backspace",), (2,), Button.DISCARD),
        (("KeyR",), (), Button.RESET),
        (("KeyP",), (9,), Button.PAUSE),
        (("KeyN",), (15,), Button.RESUME),
        (("KeyB",), (1,), Button.REWIND),
        (("KeyX",), (8,), Button.STOP),
        (("KeyF",), (), Local.FRAME),
        (("KeyM",), (), Local.MODE),
    ],
)
def test_a_press_is_told_once(keys: tuple[str, ...], buttons: tuple[int, ...], expected: Button | Local) -> None:
    for key in keys:
        operator = Operator()
        assert [operator.hold(key), operator.hold(key), operator.hold(), operator.hold(key)] == [
            [expected],
            [],
            [],
            [expected],
        ]
    for button in buttons:
        operator = Operator()
        assert [operator.take(pad(button)), operator.take(pad(button))] == [[expected], []]


def test_the_frame_goes_round() -> None:
    operator = Operator()
    seen = []
    for _ in range(3):
        operator.hold("KeyF")
        seen.append(operator.hands.frame)
        operator.hold()
    assert seen == ["tool", "camera", "base"]


# -- the gripper -----------------------------------------------------------------------------------------------------


def test_at_a_takeover_the_gripper_stays_as_it_is() -> None:
    assert Operator().does("KeyW", view=OPEN)["gripper"] == 1.0
    assert Operator().does("KeyW", view=CLOSED)["gripper"] == -1.0


@pytest.mark.parametrize(
    ("press", "before", "after"),
    [
        ("KeyG", OPEN, -1.0),
        ("KeyG", CLOSED, 1.0),
        ("KeyC", OPEN, -1.0),
        ("KeyC", CLOSED, -1.0),
        ("ControlLeft", OPEN, -1.0),
        ("KeyV", CLOSED, 1.0),
        ("ControlRight", CLOSED, 1.0),
        (6, OPEN, -1.0),
        (7, CLOSED, 1.0),
    ],
)
def test_keys_of_the_gripper_take_the_lead_and_set_it(press: str | int, before: View, after: float) -> None:
    operator = Operator()
    for _ in range(3):
        wish = operator.answer(pad(press) if isinstance(press, int) else keyed(press), before)
        assert wish["gripper"] == after, "held is one press"


def test_the_gripper_keeps_its_state_while_the_person_leads() -> None:
    operator = Operator()
    operator.does("Space")
    assert operator.does("Space", "KeyG")["gripper"] == -1.0
    assert operator.does("Space")["gripper"] == -1.0
    assert operator.does("KeyW")["gripper"] == -1.0
    assert operator.does("KeyW", "KeyG", view=CLOSED)["gripper"] == 1.0


def test_a_tap_leads_long_enough_to_be_seen() -> None:
    operator = Operator()
    hands = operator.hands
    hands.update(PageInput(frozenset({"KeyG"})), 20.0)
    assert operator.wish() is not None
    hands.update(PageInput(), 20.001)
    assert only(operator.wish())
    hands.update(PageInput(), 20.0 + TAP)
    assert operator.wish() is None
    hands.update(PageInput(frozenset({"KeyG"})), 20.2)
    hands.update(PageInput(), 3.0)
    assert operator.wish() is None, "a clock that jumps back does not prolong it"


def test_a_grip_just_commanded_is_not_undone_by_an_old_view() -> None:
    operator = Operator()
    operator.does("KeyC", view=OPEN)
    operator.now += TAP
    operator.hold()
    assert operator.wish(OPEN) is None
    assert operator.does("KeyW", view=OPEN)["gripper"] == -1.0, "the robot has had no time to show it"
    operator.hold()
    operator.wish(OPEN)
    operator.now += GRIP_MEMORY
    assert operator.does("KeyW", view=OPEN)["gripper"] == 1.0, "somebody else opened it meanwhile"


# -- layouts ---------------------------------------------------------------------------------------------------------


def test_a_layout_says_what_can_be_done() -> None:
    flat = layout(("y", "x", "z", "gripper"), [0.02, 0.02, 0.02, 1.0])
    operator = Operator(flat)
    operator.hold("KeyW")
    assert operator.hands.wish(OPEN) == pytest.approx((0.0, 1.0, 0.0, 1.0))
    operator.take(sticks("KeyJ", rz=1.0))
    assert operator.wish() is None, "it cannot turn: that is no driving"
    groups = {entry.group for entry in operator.hands.help()}
    assert groups == {"move", "gripper", "lead", "judge", "session", "settings"}
    assert not operator.hands.can(KeyHelp(("KeyJ",), "turn left", "turn", "rz"))
    assert "right stick ←→" not in {key for entry in operator.hands.pad_help() for key in entry.keys}


def test_a_layout_without_motion_can_be_held_still_only() -> None:
    operator = Operator(layout(("torque",), [1.0], "none"))
    operator.take(sticks("KeyW", "KeyG", x=1.0))
    assert operator.wish() is None
    operator.hold("Space")
    assert operator.hands.wish(OPEN) == (0.0,)


def test_different_scales_do_not_bend_the_direction() -> None:
    operator = Operator(layout(("x", "y"), [0.03, 0.01]))
    assert only(operator.does("KeyW"), x=1.0)
    wish = operator.does("KeyW", "KeyA")
    assert wish["x"] * 0.03 == pytest.approx(wish["y"] * 0.01)
    assert math.hypot(wish["x"], wish["y"]) == pytest.approx(1.0)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="'y'"):
        Hands(layout(("x", "y"), [0.02, 0.0]))
    for speeds in ((), (0.0, 1.0), (1.0, 0.5), (0.5, 2.0)):
        with pytest.raises(InvalidValueError, match="speeds"):
            Hands(BASE, speeds=speeds)
    hands = Hands(BASE)
    for level in (0, 4):
        with pytest.raises(InvalidValueError, match="1 to 3"):
            hands.speed_level = level
    with pytest.raises(UnknownNameError, match="hold"):
        hands.mode = "holt"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(UnknownNameError, match="tool"):
        hands.frame = "tol"  # pyright: ignore[reportAttributeAccessIssue]


# -- frames ----------------------------------------------------------------------------------------------------------


def camera(view: tuple[float, float, float], right: tuple[float, float, float]) -> np.ndarray:
    """Rotation of an optical frame that looks along `view` with `right` to the right. Shape (3, 3)."""
    z = np.array(view) / np.linalg.norm(view)
    x = np.array(right) / np.linalg.norm(right)
    return np.stack([x, np.cross(z, x), z], axis=1)


FACING_ROBOT = camera((-1, 0, -0.5), (0, 1, 0))
FROM_LEFT = camera((0, -1, -0.5), (-1, 0, 0))
OVERHEAD = camera((0, 0, -1), (0, -1, 0))
OVERHEAD_TURNED = camera((0, 0, -1), (HALF, -HALF, 0))
STEEP = camera((-0.2, 0, -1), (0, 1, 0))
UPSIDE_DOWN = camera((-1, 0, -0.5), (0, -1, 0))


def test_frame_tool_is_frame_base_for_a_tool_that_points_straight_down() -> None:
    for key in MOTION_KEYS:
        assert Operator(frame="tool").does(key) == pytest.approx(Operator().does(key))


def test_frame_tool_goes_along_the_tool() -> None:
    view = View(TOOL_TURNED_LEFT)
    operator = Operator(frame="tool")
    assert only(operator.does("KeyW", view=view), y=1.0)
    assert only(operator.does("KeyA", view=view), x=-1.0)
    assert only(operator.does("KeyE", view=view), z=1.0)
    assert only(operator.does("KeyO", view=view), ry=1.0)
    tilted = View((0.0, 0.0, 0.0, HALF, 0.0, HALF, 0.0))  # points along the base's +x
    assert only(operator.does("KeyQ", view=tilted), x=1.0)
    assert only(operator.does("KeyL", view=tilted), rx=1.0)


@pytest.mark.parametrize(
    ("rotation", "forward", "right"),
    [
        (FACING_ROBOT, (-1.0, 0.0), (0.0, 1.0)),
        (FROM_LEFT, (0.0, -1.0), (-1.0, 0.0)),
        (OVERHEAD, (1.0, 0.0), (0.0, -1.0)),
        (OVERHEAD_TURNED, (HALF, HALF), (HALF, -HALF)),
        (STEEP, (-1.0, 0.0), (0.0, 1.0)),
        (UPSIDE_DOWN, (-1.0, 0.0), (0.0, -1.0)),
        (camera((0, 0, 1), (0, -1, 0)), (1.0, 0.0), (0.0, -1.0)),
    ],
    ids=["facing", "from the left", "overhead", "overhead, turned", "steep", "upside down", "from below"],
)
def test_frame_camera_goes_as_the_picture_shows(
    rotation: np.ndarray, forward: tuple[float, float], right: tuple[float, float]
) -> None:
    view = View(DOWN, rotation)
    operator = Operator(frame="camera")
    assert only(operator.does("KeyW", view=view), x=forward[0], y=forward[1])
    assert only(operator.does("KeyD", view=view), x=right[0], y=right[1])
    assert only(operator.does("KeyE", view=view), z=1.0)
    assert only(operator.does("KeyJ", view=view), rz=1.0)
    # Tipping forward carries what is above the tool forward; rolling right carries it right.
    for key, (x, y) in (("KeyI", forward), ("KeyO", right)):
        wish = operator.does(key, view=view)
        carried = np.cross([wish["rx"], wish["ry"], wish["rz"]], [0.0, 0.0, 1.0])
        assert carried == pytest.approx([x, y, 0.0], abs=1e-6)


def test_frame_camera_has_no_jump_where_the_camera_becomes_steep() -> None:
    wishes = []
    for degrees in (59.0, 61.0):
        angle = math.radians(degrees)
        turned = camera((-math.cos(angle), 0.3 * math.cos(angle), -math.sin(angle)), (0.3, 1, 0))
        wishes.append(list(Operator(frame="camera").does("KeyW", "KeyD", view=View(DOWN, turned)).values()))
    assert wishes[0] == pytest.approx(wishes[1], abs=0.01)


def test_a_slightly_rolled_camera_keeps_forward_and_right_at_right_angles() -> None:
    roll = math.radians(15)
    turned = FACING_ROBOT @ np.array(
        [[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]]
    )
    view = View(DOWN, turned)
    assert only(Operator(frame="camera").does("KeyW", view=view), x=-1.0)
    assert only(Operator(frame="camera").does("KeyD", view=view), y=1.0)


def test_without_a_known_camera_its_frame_is_the_base() -> None:
    assert only(Operator(frame="camera").does("KeyW", "KeyO"), x=1.0, rx=1.0)


def test_a_layout_in_the_tool_frame_gets_the_motion_in_the_tool_frame() -> None:
    operator = Operator(TOOL)
    assert only(operator.does("KeyW", view=View(TOOL_TURNED_LEFT)), y=1.0)
    assert only(operator.does("KeyE", view=View(DOWN)), z=-1.0)
    assert only(operator.does("KeyJ", view=View(DOWN)), rz=-1.0)


@pytest.mark.parametrize(
    "bad",
    [
        {"tool_pose": (0.0,) * 7},
        {"tool_pose": (0.0,) * 6},
        {"tool_pose": (math.nan, 0, 0, 1, 0, 0, 0)},
        {"camera_rotation": np.diag([1.0, 1.0, -1.0])},
        {"camera_rotation": 2 * np.eye(3)},
        {"gripper_target": math.nan},
    ],
)
def test_a_view_that_cannot_be_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="View"):
        View(**{"tool_pose": DOWN, **bad})


# -- laws ------------------------------------------------------------------------------------------------------------

directions = st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: math.hypot(*q) > 0.1)
keys = st.frozensets(st.sampled_from(sorted(c for c in KNOWN if c[0:3] != "Pad")), max_size=6)
unit = st.floats(-1, 1)


@st.composite
def views(draw: st.DrawFn) -> View:
    q = np.array(draw(directions))
    turn = draw(st.none() | directions)
    pose = np.concatenate([[0.1, 0.2, 0.3], q / np.linalg.norm(q)])
    return View(pose, None if turn is None else rotation_matrix(turn), draw(st.sampled_from((0.0, 1.0))))


@st.composite
def pages(draw: st.DrawFn) -> PageInput:
    buttons = st.lists(st.floats(0, 1), max_size=17).map(tuple)
    pads = draw(st.lists(st.builds(Pad, st.lists(unit, max_size=5).map(tuple), buttons), max_size=2))
    moved = draw(st.dictionaries(st.sampled_from(STICKS[:6]), unit))
    return PageInput(draw(keys), tuple(pads), {**moved, "lead": float(draw(st.booleans()))})


@draws(150)
@given(
    st.lists(st.tuples(pages(), st.floats(-0.2, 0.3), st.booleans(), views()), max_size=8),
    st.sampled_from(["hold", "toggle"]),
    st.sampled_from(FRAMES),
    st.sampled_from(["base", "tool"]),
    st.sampled_from([NAMES, ("x", "y", "z"), ("z", "rz", "gripper"), ("torque",)]),
)
def test_a_wish_is_an_action_exactly_while_the_person_leads(
    script: list[Any], mode: Mode, frame: Frame, goal: Any, names: tuple[str, ...]
) -> None:
    hands = Hands(layout(names, np.linspace(0.01, 0.1, len(names)).tolist(), goal), mode=mode, frame=frame)
    now = 0.0
    for page, elapsed, lost, view in script:
        now += elapsed
        if lost:
            hands.let_go()
        hands.update(page, now)
        leads = hands.leads
        wish = hands.wish(view)
        assert (wish is not None) == leads
        if wish is not None:
            assert not lost
            assert len(wish) == len(names)
            assert all(math.isfinite(v) and -1.0 <= v <= 1.0 for v in wish)
            if "gripper" in names:
                assert wish[names.index("gripper")] in (-1.0, 1.0)


@draws(150)
@given(pages(), views(), st.sampled_from(FRAMES))
def test_the_motion_is_the_same_whatever_frame_the_layout_has(page: PageInput, view: View, frame: Frame) -> None:
    wishes = []
    for target in (BASE, TOOL):
        hands = Hands(target, frame=frame, speed_level=3)
        hands.update(PageInput(), 0.0)
        hands.update(page, 0.1)
        wishes.append(hands.wish(view))
    base, tool = wishes
    if base is None or tool is None:
        assert base == tool
        return
    to_base = rotation_matrix(np.asarray(view.tool_pose)[3:])
    for part in (slice(0, 3), slice(3, 6)):
        assert to_base @ np.array(tool[part]) == pytest.approx(np.array(base[part]), abs=1e-9)
        assert np.linalg.norm(base[part]) <= 1.0 + 1e-9
    assert base[6] == tool[6]


# -- malformed input -------------------------------------------------------------------------------------------------


def test_a_message_is_read() -> None:
    page = PageInput.from_json(
        {"keys": ["KeyW", "F13"], "pads": [{"axes": [0, -1.0000001], "buttons": [1]}], "sticks": {"x": 1, "lead": 0}}
    )
    assert page.keys == {"KeyW", "F13"}
    assert page.pads == (Pad((0.0, -1.0), (1.0,)),)
    assert dict(page.sticks) == {"x": 1.0, "lead": 0.0}
    assert PageInput.from_json({}) == PageInput()


@pytest.mark.parametrize(
    ("message", "names"),
    [
        (None, "page input"),
        ([], "page input"),
        ("KeyW", "page input"),
        ({"keyz": []}, "keyz"),
        ({1: []}, "field int"),
        ({"keys": "KeyW"}, "a list"),
        ({"keys": [1]}, "names of keys"),
        ({"keys": [["KeyW"]]}, "names of keys"),
        ({"keys": [f"K{i}" for i in range(MAX_KEYS + 1)]}, "33 entries"),
        ({"keys": ["K" * 33]}, "32 characters"),
        ({"pads": {}}, "a list"),
        ({"pads": [[]]}, "object"),
        ({"pads": [{}] * 5}, "5 entries"),
        ({"pads": [{"axes": [0] * 17}]}, "17 entries"),
        ({"pads": [{"buttons": [0] * 1000}]}, "1000 entries"),
        ({"pads": [{"axes": [math.nan]}]}, r"Pad.axes\[0\]"),
        ({"pads": [{"axes": [1.5]}]}, r"Pad.axes\[0\]"),
        ({"pads": [{"axes": [10**5000]}]}, r"Pad.axes\[0\]"),
        ({"pads": [{"axes": ["1"]}]}, r"Pad.axes\[0\]"),
        ({"pads": [{"buttons": [True]}]}, r"Pad.buttons\[0\]"),
        ({"pads": [{"buttons": [-0.5]}]}, r"Pad.buttons\[0\]"),
        ({"pads": [{"id": "x"}]}, "'id'"),
        ({"sticks": []}, "object"),
        ({"sticks": {"w": 1}}, "'w'"),
        ({"sticks": {"x": math.inf}}, r"sticks\[x\]"),
        ({"sticks": {"x": None}}, r"sticks\[x\]"),
        ({"sticks": {"lead": 0.5}}, "0 or 1"),
    ],
)
def test_a_malformed_message_is_refused_in_few_words(message: object, names: str) -> None:
    with pytest.raises(InvalidValueError, match=names) as caught:
        PageInput.from_json(message)
    assert len(str(caught.value)) < 300


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["keys", "pads", "sticks", "axes", "buttons", "x", "?"]), inner)
    ),
    max_leaves=12,
)


@draws(200)
@given(json_like)
def test_whatever_comes_is_read_or_refused(message: object) -> None:
    try:
        page = PageInput.from_json(message)
    except InvalidValueError:
        return
    hands = Hands(BASE)
    hands.update(page, 0.0)
    hands.wish(OPEN)


# -- help ------------------------------------------------------------------------------------------------------------


def test_the_help_names_every_key_once_and_no_other() -> None:
    listed = [key for entry in KEY_HELP for key in entry.keys]
    assert len(listed) == len(set(listed))
    assert set(listed) == {code for code in KNOWN if not code.startswith(("Pad", "Screen"))} | {
        "PageUp",
        "PageDown",
        *keymap.PAGE_KEYS,
    }


def test_no_key_does_two_things() -> None:
    tables = (MOTION_KEYS.keys(), keymap.GRIP_CONTROLS.keys(), keymap.LEAD_CONTROLS, PRESSES.keys())
    assert sum(len(table) for table in tables) == len(KNOWN)


def test_every_button_but_release_and_end_has_a_key() -> None:
    meant = {meaning for meaning in PRESSES.values() if isinstance(meaning, Button)}
    assert meant | {Button.RELEASE, Button.END} == set(Button)


def test_the_help_reads_as_keys_are_printed() -> None:
    labels = {code: key_label(code) for entry in KEY_HELP for code in entry.keys}
    assert labels["KeyW"] == "W"
    assert labels["Digit1"] == "1"
    assert labels["Numpad1"] == "1 (numbers)"
    assert labels["ShiftLeft"] == "left Shift"
    assert len(set(labels.values())) == len(labels)
    assert all(entry.does and entry.labels for entry in (*KEY_HELP, *PAD_HELP))
