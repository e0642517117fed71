"""Facts of states: by hand, in words, over rows as one by one, and the simulator's only by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_rlhf.datatypes import Assignment, Observation
from robot_rlhf.errors import ConfigError, InvalidValueError, UnknownNameError
from robot_rlhf.facts import (
    GOLD,
    TRUTH,
    Attribute,
    Fact,
    FactBook,
    Factual,
    Thing,
    View,
    book_of,
    by_row,
    canonical,
    columns_of,
)
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.tasks import Blocks, DrawerStore, PegInsert, PickCube, Push, Reach
from tests.journal.sessions import make_observation, make_spec

TASKS = (Reach, PickCube, PegInsert, Push, DrawerStore, Blocks)
THINGS = [Thing("cup", ("the red cup", "the mug"), graspable=True), Thing("tea_pot")]
BOOK = FactBook.of_scene(["cup", "tea_pot"], ["cup"], things=THINGS)


def pose(x: float, y: float, z: float) -> np.ndarray:
    return np.array([x, y, z, 1, 0, 0, 0], np.float32)


def state(**changes: Any) -> Observation:
    """The tool at (0.5, 0, 0.2), a cup 10 cm below it, a tea pot 6 cm left of that, the true cup beside the tool."""
    scene = {"cup": pose(0.5, 0.0, 0.1), "tea_pot": pose(0.5, 0.06, 0.1)}
    made = make_observation(make_spec(), np.random.default_rng(0), 0.0)
    usual: dict[str, Any] = {
        "stamp": 2.5,
        "tool_pose_in_base": pose(0.5, 0.0, 0.2),
        "tool_velocity": np.array([0.3, 0, 0.4, 0, 2, 0], np.float32),
        "tool_wrench": np.array([2, 3, 6, 0, 0, 1.5], np.float32),
        "gripper": 0.4,
        "gripper_target": 0.0,
        "scene": scene,
        "privileged": {"cup": pose(0.52, 0.0, 0.2)},
    }
    return replace(made, **(usual | changes))


def test_by_hand() -> None:
    seen = BOOK.of(state(), gold=True)
    numbers = {
        "time": 2.5,
        "speed": 0.5,
        "turning": 2.0,
        "force": 7.0,
        "torque": 1.5,
        "opening": 0.4,
        "height(tool)": 0.2,
        "height(cup)": 0.1,
        "distance(tool, cup)": 0.1,
        "distance(cup, tea_pot)": 0.06,
        "gold:distance(tool, cup)": 0.02,
        "gold:height(cup)": 0.2,
    }
    for name, value in numbers.items():
        assert seen[name] == pytest.approx(value, abs=1e-6), name
    truths = {name for name, value in seen.items() if value is True}
    assert truths == {
        "closing",
        "above(tool, cup)",
        "left_of(tea_pot, cup)",
        "left_of(tea_pot, tool)",
        "right_of(cup, tea_pot)",
        "right_of(tool, tea_pot)",
        "gold:near(tool, cup)",
    }


def test_left_and_right_are_the_speakers() -> None:
    opposite = FactBook.of_scene(["cup", "tea_pot"], view=View(right=(0.0, 1.0), back=(-1.0, 0.0)))
    seen = opposite.of(state(scene={"cup": pose(0.4, 0.0, 0.1), "tea_pot": pose(0.5, 0.06, 0.1)}))
    assert seen["right_of(tea_pot, cup)"]
    assert seen["in_front_of(tea_pot, cup)"]
    assert not seen["behind(tea_pot, cup)"]
    assert seen["behind(cup, tea_pot)"]


def test_what_is_held_has_stopped_the_fingers_and_is_between_them() -> None:
    there = {"cup": pose(0.5, 0.0, 0.18), "tea_pot": pose(0, 0, 0)}
    now, before = state(scene=there), state(scene=there, gripper=0.42)
    assert BOOK.of(now, before)["holds"] is True
    assert BOOK.of(now, before)["holds(cup)"] is True
    assert BOOK.of(now)["holds"] is False, "nobody knows whether it moved"
    assert BOOK.of(now, state(gripper=0.6))["holds"] is False, "it moves"
    assert BOOK.of(state(scene=there, gripper_target=1.0), before)["holds"] is False
    assert BOOK.of(state(), state())["holds"] is True
    assert BOOK.of(state(), state())["holds(cup)"] is False, "too far away"


@pytest.mark.parametrize("task_type", TASKS)
def test_a_tasks_facts_over_rows_are_those_of_each_row(task_type: Any) -> None:
    task = task_type(FakeClock())
    seen: list[Observation] = []
    expert, rng = task.expert(), np.random.default_rng(0)
    guard = GuardedRobot(task.arm, task.limits, task.arm.clock)
    task.reset(rng)
    guard.anchor()
    for _ in range(25):
        seen.append(guard.observe())
        guard.act(expert.act(seen[-1], Assignment(), rng))
    book: FactBook = task.facts
    columns = columns_of(seen)
    for name, fact in book.items():
        column = fact.read(columns)
        assert column.shape == (len(seen),), name
        for t in range(1, len(seen), 6):
            assert column[t] == book.of(seen[t], seen[t - 1], gold=True)[name], name
    remaining = [task.remaining(o) for o in seen]
    np.testing.assert_array_equal(book["gold:remaining"].read(columns), remaining)


@pytest.mark.parametrize("book", [BOOK, *(task.facts for task in TASKS)])
def test_every_fact_has_a_unit_and_phrases_of_its_own(book: FactBook) -> None:
    said: dict[str, str] = {}
    for name, fact in book.items():
        assert fact.unit in {"s", "m", "m/s", "rad/s", "N", "N m", "1", TRUTH}, name
        assert fact.phrases
        assert fact.privileged == name.startswith(GOLD)
        assert canonical(name) == name or " is " in name
        if not fact.privileged and " is " not in name:
            for phrase in fact.phrases:
                assert said.setdefault(phrase, name) == name, phrase


def test_the_simulators_truth_is_had_by_its_name_alone() -> None:
    book = FactBook.of_scene(["cup"], ["cup", "egg"])
    assert not [name for name in book.of(state()) if name.startswith(GOLD)]
    with pytest.raises(
        ConfigError, match=r"'near\(tool, egg\)': only the simulator knows it.*'gold:near\(tool, egg\)'"
    ):
        book["near(tool, egg)"]
    assert book["gold:near(tool, egg)"].privileged
    with pytest.raises(ConfigError, match="only the simulator knows it"):
        book.of(state())["gold:near(tool, cup)"]
    assert book.of(state(), gold=True)["gold:near(tool, cup)"] is True
    assert not FactBook.of_columns(columns_of([state()])).keys() & {n for n in BOOK if n.startswith(GOLD)}


def test_positions_are_places_too_and_other_vectors_are_not() -> None:
    scene = {"ball": np.array([0.5, 0.0, 0.17], np.float32), "weather": np.zeros(4, np.float32)}
    book = FactBook.of_columns(columns_of([state(scene=scene)]))
    assert list(book.things) == ["ball"]
    assert book.of(state(scene=scene))["distance(tool, ball)"] == pytest.approx(0.03)


def test_names_are_found_however_they_are_spaced() -> None:
    for name in ("near(tool,cup)", " near( tool , cup )", "near(cup, tool)"):
        assert name in BOOK
        assert BOOK[name].name == "near(tool, cup)"
    assert "left_of(cup, tool)" in BOOK
    assert BOOK["left_of(cup,tool)"].name != BOOK["left_of(tool,cup)"].name
    with pytest.raises(UnknownNameError, match=r"Did you mean 'near\(tool, cup\)'"):
        BOOK["near(tool, cap)"]
    with pytest.raises(ConfigError, match="is a number of N; allowed: what holds or does not: closing"):
        BOOK.truth("force")


def test_an_attribute_is_one_truth_for_each_value() -> None:
    tall = Attribute(
        "size", {"low": ("it is low",), "high": ("it is high",)}, lambda c: np.array(c["stamp"] > 1.0, int)
    )
    book = BOOK.and_also(attributes=[tall, Attribute("colour", {"red": ("it is red",)})])
    assert book["gold:size is high"].phrases == ("it is high",)
    seen = book.of(state(), gold=True)
    assert (seen["gold:size is low"], seen["gold:size is high"]) == (False, True)
    assert book.described(state(), gold=True) == {"size": "high"}
    assert book.described(state()) == {}
    assert len(book.and_also()) == len(book) == len(BOOK) + 2


def test_a_robots_own_facts_stand_in_for_a_tasks() -> None:
    spec = Reach(FakeClock()).arm.spec
    assert book_of(object(), spec).names == FactBook.of_robot(spec).names
    assert isinstance(Reach, Factual)
    assert book_of(Reach, spec) is Reach.facts
    high = Fact("high", "1", ("it is high",), by_row(lambda o: float(o.tool_pose_in_base[2])))
    assert BOOK.and_also([high]).of(state())["high"] == pytest.approx(0.2)


def test_two_facts_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="two facts 'force'"):
        BOOK.and_also([Fact("force", "N", ("force",), lambda c: c["stamp"])])
    with pytest.raises(InvalidValueError, match="a name, a unit and phrases"):
        Fact("new", "m", (), lambda c: c["stamp"])


def test_how_far_a_drawer_is_open_is_perceived_by_its_handle() -> None:
    task = DrawerStore(FakeClock())
    task.reset(np.random.default_rng(0))
    for opening in (0.0, 0.05, 0.09):
        task.arm.data.qpos[task._slide] = opening
        task.arm.settle()
        seen = task.facts.of(task.arm.observe(), gold=True)
        assert seen["opening(drawer)"] == pytest.approx(opening, abs=1e-6)
        assert seen["gold:opening(drawer)"] == pytest.approx(opening, abs=1e-6)
        assert seen["open(drawer)"] is seen["gold:open(drawer)"] is (opening > 0.085)
        assert seen["shut(drawer)"] is seen["gold:shut(drawer)"] is (opening < 0.01)
