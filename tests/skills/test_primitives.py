"""Every skill, in every simulated task where it can be done, does what it is for, from what is perceived alone."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest

from robot_rlhf.datatypes import ActionLayout, Observation
from robot_rlhf.facts import FactBook, Thing
from robot_rlhf.meaning import SKILLS, Meaning
from robot_rlhf.skills.closed_loop import TOO_LONG
from robot_rlhf.skills.primitives import NEEDS, make_skill
from tests.skills.place import Obedient, Truth, say

STARTS = 20
"""Random starts of each skill."""
FAILS = 1
"""How many of them may fail."""
LONGEST = 12.5
"""Seconds that any of them may last."""


@dataclass(frozen=True)
class Case:
    task: str
    meaning: Meaning
    truth: Truth
    before: tuple[Meaning, ...] = ()

    def __str__(self) -> str:
        return f"{self.task}: {', '.join(m.words for m in (*self.before, self.meaning))}"


def at(o: Observation, name: str) -> np.ndarray:
    return o.tool_pose_in_base[:3] if name == "tool" else o.privileged[name][:3]


def apart(a: str, b: str, within: float, dims: int = 3) -> Truth:
    return lambda o: float(np.linalg.norm((at(o, a) - at(o, b))[:dims])) < within


def above(thing: str) -> Truth:
    return lambda o: apart("tool", thing, 0.03, 2)(o) and float(at(o, "tool")[2] - at(o, thing)[2]) > 0.03


def true(name: str) -> Truth:
    return lambda o: bool(o.privileged[name][0] > 0.5)


def behind(thing: str, place: str) -> Truth:
    def holds(o: Observation) -> bool:
        to_place, from_tool = (at(o, place) - at(o, thing))[:2], (at(o, thing) - at(o, "tool"))[:2]
        cosine = to_place @ from_tool / (np.linalg.norm(to_place) * np.linalg.norm(from_tool))
        return bool(cosine > math.cos(math.radians(50.0)))  # the glass may bar the straight way

    return holds


PICKED: Truth = lambda o: bool(o.privileged["cube"][2] > 0.1 and o.privileged["grasped"][0] > 0.5)  # noqa: E731
STORED: Truth = lambda o: bool(true("inside")(o) and true("shut")(o))  # noqa: E731
IN_RING: Truth = lambda o: apart("puck", "goal", 0.025, 2)(o) and o.privileged["clear"][0] > 0.0  # noqa: E731

CASES = (
    Case("reach", say("above", "target"), above("target")),
    Case("reach", say("down_on", "target"), apart("tool", "target", 0.01)),
    Case("reach", say("to", "target"), apart("tool", "target", 0.01)),
    Case("reach", say("away_from", "target"), lambda o: not apart("tool", "target", 0.06)(o)),
    Case("reach", say("lift", amount=0.05), lambda o: bool(at(o, "tool")[2] > 0.15)),
    Case("reach", say("wait"), lambda o: bool(np.abs(o.tool_velocity).max() < 0.02)),
    Case("pick_cube", say("above", "cube"), above("cube")),
    Case("pick_cube", say("down_on", "cube"), apart("tool", "cube", 0.012)),
    Case("pick_cube", say("to", "cube"), apart("tool", "cube", 0.012)),
    Case("pick_cube", say("away_from", "cube"), lambda o: not apart("tool", "cube", 0.05)(o), (say("to", "cube"),)),
    Case("pick_cube", say("grasp", "cube"), true("grasped")),
    Case("pick_cube", say("lift"), PICKED, (say("grasp"),)),
    Case("pick_cube", say("lift"), PICKED, (say("above", "cube"), say("down_on"), say("close"))),
    Case("pick_cube", say("open"), lambda o: o.gripper > 0.9, (say("grasp"),)),
    Case("pick_cube", say("close"), lambda o: o.gripper < 0.1),
    Case(
        "pick_cube", say("behind", "cube"), lambda o: apart("tool", "cube", 0.08)(o) and bool(at(o, "tool")[2] < 0.05)
    ),
    Case("peg_insert", say("above", "hole"), above("hole")),
    Case("peg_insert", say("down_on", "hole"), apart("tool", "hole", 0.012)),
    Case("peg_insert", say("put_in", "", "hole"), lambda o: bool(o.privileged["depth"][0] >= 0.025)),
    Case("push", say("to", "puck"), apart("tool", "puck", 0.06, 2)),
    Case("push", say("away_from", "puck"), lambda o: not apart("tool", "puck", 0.08, 2)(o)),
    Case("push", say("behind", "puck", "goal"), behind("puck", "goal")),
    Case("push", say("push_to", "puck", "goal"), IN_RING),
    Case("push", say("push_to", place="goal"), IN_RING, (say("behind", "puck", "goal"),)),
    Case("drawer_store", say("pull", "handle"), true("open")),
    Case("drawer_store", say("shut", "handle"), true("shut"), (say("pull"),)),
    Case("drawer_store", say("grasp", "block"), true("grasped")),
    Case("drawer_store", say("put_in", "block", "drawer"), true("inside"), (say("pull"),)),
    Case(
        "drawer_store", say("put_in", "", "cabinet"), true("inside"), (say("pull"), say("grasp", "block"), say("lift"))
    ),
    Case("blocks", say("grasp", "red"), lambda o: bool(o.privileged["held"][0] == 1.0)),
    Case("blocks", say("lift"), lambda o: bool(at(o, "blue")[2] > 0.08), (say("grasp", "blue"),)),
    Case("blocks", say("put_in", "green", "bowl_left"), apart("green", "bowl_left", 0.05)),
    Case("blocks", say("put_in", "", "bowl_right"), apart("blue", "bowl_right", 0.05), (say("grasp", "blue"),)),
    Case("drawer_store", say("shut"), STORED, (say("pull"), say("put_in", "block"))),
)


@cache
def place(task: str) -> Obedient:
    return Obedient(task)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_skill_does_what_it_is_for_and_ends(case: Case) -> None:
    robot = place(case.task)
    failed: list[str] = []
    for seed in range(STARTS):
        robot.reset(5_000 + seed)
        for meaning in case.before:
            robot.does(meaning)
        robot.periods = 0
        skill = robot.does(case.meaning)
        assert robot.periods * robot.place.spec.control_period <= LONGEST
        assert skill.act(robot.perceived()) is None, "what has ended does not begin again"
        assert skill.done != bool(skill.why)
        if not (skill.done and case.truth(robot.observation)):
            failed.append(f"start {seed}: {skill.why or 'thought that it was done'}")
    assert len(failed) <= FAILS, failed


def test_all_skills_are_tried() -> None:
    assert {case.meaning.skill for case in CASES} == {*SKILLS} == {*NEEDS}


def test_what_is_not_moved_on_purpose_rests() -> None:
    robot = place("pick_cube")
    robot.reset(1)
    robot.does(say("close"))
    for meaning in (say("above", "cube"), say("lift"), say("wait"), say("away_from", "cube")):
        skill = robot.make(meaning)
        assert not isinstance(skill, str)
        action = skill.act(robot.perceived())
        assert action is not None
        assert action.values[-1] == -1.0, "fingers that were closed stay closed"
    resting = robot.make(say("wait"))
    assert not isinstance(resting, str)
    action = resting.act(robot.perceived())
    assert action is not None
    assert not action.values[:-1].any()


def test_a_skill_that_gets_nowhere_gives_up_and_says_so() -> None:
    robot = place("pick_cube")
    observation = robot.reset(2)
    for name, (thing, other) in {"above": ("cube", ""), "grasp": ("cube", ""), "lift": ("", "")}.items():
        skill = robot.make(say(name, thing, other))
        assert not isinstance(skill, str)
        acted = 0
        while skill.act(observation) is not None:  # a robot that does not move
            acted += 1
            assert acted < 300
        assert (skill.done, skill.why) == (False, TOO_LONG)


# -- what cannot be done ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "meaning", "part"),
    [
        ("push", say("lift"), "cannot move up and down"),
        ("push", say("above", "puck"), "cannot move up and down"),
        ("push", say("open"), "cannot open and close"),
        ("reach", say("grasp", "target"), "cannot open and close"),
        ("pick_cube", say("above", "glass"), "glass is not seen here; seen: cube"),
        ("pick_cube", say("put_in", "cube", "bowl_left"), "bowl left is not seen here"),
        ("pick_cube", say("put_in", "cube"), "not said where"),
        ("push", say("push_to", "puck"), "not said where"),
        ("push", say("push_to", "puck", "puck"), "are the same"),
        ("reach", Meaning("left"), "says nothing to do"),
    ],
)
def test_what_cannot_be_done_is_said_in_words(task: str, meaning: Meaning, part: str) -> None:
    robot = place(task)
    robot.reset(0)
    why = robot.make(meaning)
    assert isinstance(why, str)
    assert part in why


def test_a_robot_that_is_told_nothing_of_things_says_so() -> None:
    robot = place("pick_cube")
    blind = replace(robot.reset(0), scene={}, privileged={})
    why = make_skill(say("grasp"), blind, robot.place.spec, robot.facts)
    assert isinstance(why, str)
    assert "seen: nothing" in why


@pytest.mark.parametrize("task", ["reach", "pick_cube", "peg_insert", "push", "drawer_store", "blocks"])
def test_whatever_is_said_is_done_or_refused_in_words(task: str) -> None:
    """Also what makes no sense; nothing raises, and every action is one."""
    robot = place(task)
    robot.reset(3)
    observation = robot.perceived()
    odd = replace(observation, scene={**observation.scene, "light": np.ones(2, np.float32)})
    names = ["", *list(observation.scene)[:2], "light", "nothing"]
    begun = refused = 0
    for name, thing, other, last in itertools.product(SKILLS, names, names, ("", names[1], "nothing")):
        made = make_skill(say(name, thing, other), odd, robot.place.spec, robot.facts, last, last)
        if isinstance(made, str):
            refused += 1
            assert made
            continue
        begun += 1
        for _ in range(2):
            action = made.act(odd)
            assert action is None or action.values.shape == (robot.place.spec.action.size,)
    assert begun > 50
    assert refused > 50


def test_a_robot_whose_actions_are_no_motion_of_a_tool_can_only_wait() -> None:
    robot = place("reach")
    layout = ActionLayout(("x", "y", "z"), np.ones(3, np.float32), frame="none")
    spec = replace(robot.place.spec, action=layout)
    observation = robot.reset(0)
    can = {name for name in SKILLS if not isinstance(make_skill(say(name), observation, spec, robot.facts), str)}
    assert can == {"wait"}


# -- which thing is 'it' ---------------------------------------------------------------------------------------------


def several(observation: Observation, **places: tuple[float, float, float]) -> Observation:
    upright = (1.0, 0.0, 0.0, 0.0)
    return replace(
        observation, scene={n: np.array([*p, *upright], np.float32) for n, p in places.items()}, privileged={}
    )


def test_it_is_what_is_held_or_was_named_last_or_is_nearest() -> None:
    robot = place("drawer_store")
    start = replace(robot.reset(0), gripper=1.0, gripper_target=1.0)
    x, y, z = start.tool_pose_in_base[:3].tolist()
    seen = several(start, red=(x, y, z - 0.01), blue=(x + 0.2, y, z), bowl=(x, y + 0.2, z))
    things = [Thing("red", graspable=True), Thing("blue", graspable=True), Thing("bowl")]
    book = FactBook.of_scene(seen.scene, things=things)

    def it(skill: str, observation: Observation, last: str = "") -> str:
        made = make_skill(say(skill, place="bowl" * (skill == "put_in")), observation, robot.place.spec, book, last)
        return made if isinstance(made, str) else made.words

    closed = replace(seen, gripper=0.5, gripper_target=0.0)
    assert it("grasp", seen) == "grasp red"
    assert it("grasp", seen, "blue") == "grasp blue"
    assert it("grasp", seen, "bowl") == "grasp red", "a bowl is not grasped"
    assert it("above", seen, "bowl") == "above bowl"
    assert it("above", seen, "gone") == "above red"
    assert it("put_in", closed, "blue") == "put red in bowl", "what is in the fingers comes before what was said"


def test_a_place_that_is_not_said_is_the_only_other_one() -> None:
    robot = place("push")
    observation = robot.reset(0)
    only = replace(observation, scene={n: observation.scene[n] for n in ("puck", "goal")}, privileged={})
    made = make_skill(say("push_to", "puck"), only, robot.place.spec, robot.facts)
    assert not isinstance(made, str)
    assert made.words == "push puck to goal"
    named = make_skill(say("push_to", "puck"), observation, robot.place.spec, robot.facts, last_place="goal")
    assert not isinstance(named, str)
