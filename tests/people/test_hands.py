"""A simulated person's hands: what a stick and what a keyboard make of a wish."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.console.controls import Hands as Page
from robot_rlhf.console.frames import View
from robot_rlhf.console.page_input import PageInput
from robot_rlhf.datatypes import ActionLayout
from robot_rlhf.people.hands import KEY_SPEEDS, KEYS_AT_ONCE, TOO_SMALL, Hands, anticipated
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.rotation import difference
from robot_rlhf_sim.tasks import PegInsert, PickCube

PERIOD = 0.05
NAMES = ("x", "y", "z", "rx", "ry", "rz", "gripper")
LAYOUT = ActionLayout(NAMES, np.ones(len(NAMES), np.float32))
PARTS = (slice(0, 3), slice(3, 6))
WISHES = st.builds(
    lambda seed, size: np.random.default_rng(seed).uniform(-size, size, (30, len(NAMES))).astype(np.float32),
    st.integers(0, 2**32 - 1),
    st.sampled_from((0.05, 0.3, 1.0)),
)
"""Of thirty periods. Shape (30, m)."""
SPEEDS = st.sampled_from((0.25, 0.5, 0.7, 1.0))
CHANGES = st.sampled_from((0.0, 0.05, 0.1, 0.2, 0.33))


def hands(*, keyboard: bool = True, speed: float = 1.0, change: float = 0.1) -> Hands:
    return Hands(LAYOUT, keyboard=keyboard, speed=speed, change=change, period=PERIOD)


def typed(wishes: np.ndarray, **settings: float) -> np.ndarray:
    driver = hands(**settings)  # pyright: ignore[reportArgumentType]
    return np.stack([driver(wish) for wish in wishes])


def held(motion: np.ndarray) -> dict[int, float]:
    """The keys that are down, by the motion of one period: entry to signed speed."""
    keys: dict[int, float] = {}
    for part in PARTS:
        entries = [i for i in range(part.start, part.stop) if motion[i]]
        keys |= {i: round(float(motion[i]) * len(entries) ** 0.5, 4) for i in entries}
    return keys


def wish_of(**values: float) -> np.ndarray:
    return np.array([values.get(name, 0.0) for name in NAMES], np.float32)


@given(WISHES, SPEEDS)
def test_a_stick_is_only_slower(wishes: np.ndarray, speed: float) -> None:
    moved = typed(wishes, keyboard=False, speed=speed)
    np.testing.assert_array_equal(moved[:, :6], np.clip(wishes[:, :6], -np.float32(speed), np.float32(speed)))


@given(WISHES, SPEEDS, CHANGES, st.booleans())
def test_the_gripper_passes(wishes: np.ndarray, speed: float, change: float, keyboard: bool) -> None:
    moved = typed(wishes, keyboard=keyboard, speed=speed, change=change)
    np.testing.assert_array_equal(moved[:, 6], wishes[:, 6])


@given(WISHES, SPEEDS, CHANGES)
def test_at_most_two_keys_at_one_of_three_speeds(wishes: np.ndarray, speed: float, change: float) -> None:
    levels = {round(speed * share, 4) for share in KEY_SPEEDS}
    for motion in typed(wishes, speed=speed, change=change):
        keys = held(motion)
        assert len(keys) <= KEYS_AT_ONCE
        speeds = {abs(value) for value in keys.values()}
        assert len(speeds) <= 1
        assert speeds <= levels


@given(WISHES, SPEEDS, CHANGES)
def test_fingers_need_their_time_to_find_keys(wishes: np.ndarray, speed: float, change: float) -> None:
    """At most one key, or else another speed, is found at a time, at least `change` after the last."""
    before: dict[int, float] = {}
    presses: list[float] = []
    for t, motion in enumerate(typed(wishes, speed=speed, change=change)):
        keys = held(motion)
        if not keys.items() <= before.items():
            presses.append(t * PERIOD)
            others = {(i, v > 0) for i, v in keys.items()} - {(i, v > 0) for i, v in before.items()}
            assert len(others) <= 1
            kept = [i for i, v in keys.items() if before.get(i, 0.0) * v > 0]
            assert not (others and any(keys[i] != before[i] for i in kept)), "another key and another speed at once"
        before = keys
    assert all(b - a > change - 1e-6 for a, b in itertools.pairwise(presses))


@given(WISHES, SPEEDS, CHANGES)
def test_no_key_moves_against_the_wish_when_it_goes_down(wishes: np.ndarray, speed: float, change: float) -> None:
    for wish, motion in zip(wishes, typed(wishes, speed=speed, change=change), strict=True):
        assert (wish[:6] * motion[:6] >= 0.0).all()


@given(st.floats(0.06, 0.25), SPEEDS, st.sampled_from((0.0, 0.05, 0.1)), st.integers(0, 5), st.sampled_from((-1, 1)))
def test_taps_add_up_to_a_small_wish(share: float, speed: float, change: float, entry: int, sign: int) -> None:
    wish = np.zeros(len(NAMES), np.float32)
    wish[entry] = sign * share * speed
    wishes = np.tile(wish, (100, 1))
    moved = typed(wishes, speed=speed, change=change)
    owed = np.cumsum(wishes, axis=0) - np.cumsum(moved, axis=0)
    assert np.abs(owed).max() <= 0.75 * speed + 1e-4, "what is owed does not grow"
    assert np.isclose(np.abs(moved[moved != 0.0]), 0.25 * speed).all()


def test_what_no_tap_would_mend_is_left_alone() -> None:
    driver = hands(speed=0.5)
    assert driver.tap == 0.125
    small = wish_of(x=0.99 * TOO_SMALL * driver.tap)
    assert not any(driver(small).any() for _ in range(100))
    larger = wish_of(x=1.01 * TOO_SMALL * driver.tap)
    assert any(driver(larger).any() for _ in range(100))


def test_a_wish_that_turns_round_is_not_owed_what_was_wanted_before() -> None:
    driver = hands(change=0.0)
    for _ in range(2):
        driver(wish_of(x=0.06))  # not yet a tap
    assert not driver(wish_of(x=-0.06)).any()
    assert not driver(wish_of(x=-0.06)).any()
    assert driver(wish_of(x=-0.06))[0] == -0.25


def test_keys_go_down_one_by_one_and_come_up_by_themselves() -> None:
    driver = hands(change=0.1)
    both = wish_of(x=1.0, y=1.0)
    assert [np.count_nonzero(driver(both)) for _ in range(4)] == [1, 1, 2, 2], "one finger after the other"
    np.testing.assert_allclose(driver(both)[:2], 0.7071, atol=1e-4)
    np.testing.assert_allclose(driver(wish_of(x=1.0, y=-0.1))[:2], [1.0, 0.0], atol=1e-4)
    assert driver(wish_of(x=-0.5))[0] == -0.5
    assert not driver(wish_of(x=0.5)).any(), "no other key is found so soon"
    assert driver(wish_of(x=0.5))[0] == 0.5


def test_reset_is_hands_off() -> None:
    driver = hands(change=10.0)
    first = driver(wish_of(x=1.0))
    driver.reset()
    assert (driver(wish_of(y=1.0)) != 0.0).tolist() == [False, True, False, False, False, False, False]
    driver.reset()
    np.testing.assert_array_equal(driver(wish_of(x=1.0)), first)


@pytest.mark.parametrize(
    ("codes", "wish"),
    [
        (("KeyW",), {"x": 1.0}),
        (("KeyW", "KeyA"), {"x": 1.0, "y": 1.0}),
        (("KeyD", "KeyE"), {"y": -1.0, "z": 1.0}),
        (("KeyW", "KeyJ"), {"x": 1.0, "rz": 1.0}),
    ],
)
@pytest.mark.parametrize("level", [1, 2, 3])
def test_keys_move_as_they_do_on_the_page(codes: tuple[str, ...], wish: dict[str, float], level: int) -> None:
    share = KEY_SPEEDS[level - 1]
    page = Page(LAYOUT, speed_level=level)
    page.update(PageInput(), 0.0)
    page.update(PageInput(frozenset(codes)), 0.1)
    expected = page.wish(View(np.array([0.5, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0])))
    assert expected is not None
    driver, wanted = hands(change=0.0), wish_of(**{name: share * value for name, value in wish.items()})
    moved = [driver(wanted) for _ in codes][-1]
    np.testing.assert_allclose(moved[:6], expected[:6], atol=1e-6)


# -- what is under way -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task_type", [PickCube, PegInsert])
def test_what_is_under_way_is_where_the_target_will_be(task_type: type[PickCube] | type[PegInsert]) -> None:
    """The naive twin is the robot itself, with no guard between."""
    task = task_type(FakeClock())
    task.reset(np.random.default_rng(3))
    layout = task.arm.spec.action
    motion = np.array([0.0 if name == "gripper" else 0.3 - 0.1 * i for i, name in enumerate(layout.names)], np.float32)
    seen = task.arm.observe()
    will = anticipated(seen, layout, motion, gripper=0.0)
    by_name = dict(zip(layout.names, (motion * layout.scale).tolist(), strict=True))
    shift = [by_name["x"], by_name["y"], by_name["z"]]
    np.testing.assert_allclose(will.tool_target_in_base[:3] - seen.tool_target_in_base[:3], shift, atol=1e-6)
    np.testing.assert_allclose(will.tool_pose_in_base[:3] - seen.tool_pose_in_base[:3], shift, atol=1e-6)
    turned = difference(tuple(will.tool_target_in_base[3:].tolist()), tuple(seen.tool_target_in_base[3:].tolist()))
    np.testing.assert_allclose(turned, [by_name.get(name, 0.0) for name in ("rx", "ry", "rz")], atol=1e-5)
    assert will.gripper_target == 0.0
    assert anticipated(seen, layout, motion).gripper_target == seen.gripper_target
