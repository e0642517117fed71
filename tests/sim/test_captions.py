"""Captions say what is true, states drawn at random are what they claim, and every word is known beforehand."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim import captions
from robot_rlhf_sim.captions import Captions
from robot_rlhf_sim.situations import episode, place_tool
from robot_rlhf_sim.tasks import Blocks, DrawerStore, PegInsert, PickCube, Push, Reach
from tests.draws import draws

SAID = Captions([task.facts for task in (Reach, PickCube, PegInsert, Push, DrawerStore, Blocks)])
FACTS = st.fixed_dictionaries({a: st.sampled_from(sorted(values)) for a, values in SAID.phrases.items()})


def placed(task: Any, pose: tuple[float, float, float], opening: float = 1.0, target: Any = None) -> dict[str, str]:
    """Facts of a reach scene with the tool at a place."""
    task.reset(np.random.default_rng(0))
    task.arm.begin((*pose, 0.0, 1.0, 0.0, 0.0), opening)
    task.arm.data.mocap_pos[0] = pose if target is None else target
    task.arm.settle()
    return task.pictured(task.arm.observe())


def test_facts_of_a_place_are_those_of_the_front_cameras_picture() -> None:
    task = Reach(FakeClock())
    assert placed(task, (0.5, 0.0, 0.15)) == {
        "scene": "marker",
        "gripper side": "middle",
        "gripper depth": "midway",
        "gripper height": "medium",
        "fingers": "open",
        "marker distance": "at",
        "marker side": "middle",
    }
    assert placed(task, (0.5, 0.15, 0.05), 0.0, (0.5, -0.15, 0.05)) == {
        "scene": "marker",
        "gripper side": "right",
        "gripper depth": "midway",
        "gripper height": "low",
        "fingers": "closed",
        "marker distance": "far",
        "marker side": "left",
    }
    assert placed(task, (0.62, 0.03, 0.28), 0.5, (0.62, 0.03, 0.23))["gripper depth"] == "front"
    task.arm.close()


def test_what_is_right_in_the_picture_is_called_right() -> None:
    """The words agree with where the front camera projects the place."""
    task = Reach(FakeClock())
    camera = task.arm.model.camera("front").id
    task.reset(np.random.default_rng(0))
    turned = task.arm.data.cam_xmat[camera].reshape(3, 3)
    right, forward = turned[:, 0], -turned[:, 2]
    np.testing.assert_allclose(captions.RIGHT, right[:2] / np.linalg.norm(right[:2]), atol=1e-3)
    np.testing.assert_allclose(captions.BACK, forward[:2] / np.linalg.norm(forward[:2]), atol=2e-2)
    task.arm.close()


def test_an_experts_episode_goes_through_the_stages_of_a_grasp() -> None:
    clock = FakeClock()
    task = PickCube(clock)
    guard = GuardedRobot(task.arm, task.limits, clock)
    places: list[str] = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        task.reset(rng)
        for observation in episode(guard, task.expert(0.0), task.time_limit, rng):
            facts = task.pictured(observation)
            assert facts["cube colour"] == captions.colour_name(task.arm.memory)
            places.append(facts["cube place"])
    seen = Counter(places)
    assert places[0] == "table"
    assert min(seen["table"], seen["grasped"], seen["lifted"]) > 3
    guard.stop()


def test_a_peg_is_over_the_hole_before_it_is_in() -> None:
    clock = FakeClock()
    task = PegInsert(clock)
    guard = GuardedRobot(task.arm, task.limits, clock)
    rng = np.random.default_rng(1)
    task.reset(rng)
    places: list[str] = []
    for observation in episode(guard, task.expert(0.0), task.time_limit, rng):
        places.append(task.pictured(observation)["peg place"])
        if task.success(observation):
            break
    assert places[-1] == "in"
    assert "over" in places
    guard.stop()


def told(task: Any, seed: int) -> list[dict[str, str]]:
    """What is true of the states of an expert's episode, to its success."""
    guard = GuardedRobot(task.arm, task.limits, task.arm.clock)
    rng = np.random.default_rng(seed)
    task.reset(rng)
    found: list[dict[str, str]] = []
    for observation in episode(guard, task.expert(0.0), task.time_limit, rng, carries=False):
        found.append(task.pictured(observation))
        if task.success(observation):
            break
    guard.stop()
    return found


def test_a_puck_comes_nearer_until_it_is_in_the_ring() -> None:
    task = Push(FakeClock())
    for seed in range(3):
        found = told(task, seed)
        assert [value for value, _ in itertools.groupby(facts["puck place"] for facts in found)] == [
            "away",
            "near",
            "in",
        ]
        assert found[0]["hand at puck"] == "away"
        assert "at" in {facts["hand at puck"] for facts in found}
        assert {facts["glass"] for facts in found} == {"clear"}
        assert "fingers" not in found[0]
    task.arm.close()


def test_what_is_said_of_glass_and_lamp_is_what_is_sensed() -> None:
    task = Push(FakeClock(), lamp_truth=0.0)
    seen: set[tuple[str, str]] = set()
    for seed in range(25):
        rng = np.random.default_rng(seed)
        task.reset(rng)
        for _ in range(10):
            place_tool(task.arm, task.limits, rng, clearance=task.stays_above, keep_opening=True)
            observation = task.arm.observe()
            facts = task.pictured(observation)
            assert (facts["glass"] == "touched") == (task.ended(observation) is not None)
            assert (facts["lamp"] == "lit") == bool(observation.privileged["lit"][0])
            seen.add((facts["glass"], facts["lamp"]))
    assert len(seen) == 4
    task.arm.close()


def test_a_block_is_stored_stage_after_stage() -> None:
    task = DrawerStore(FakeClock())
    found = told(task, 0)
    stages = [value for value, _ in itertools.groupby((facts["drawer"], facts["block place"]) for facts in found)]
    assert stages[0] == ("shut", "outside")
    assert stages[-1] == ("shut", "stored")
    for earlier, later in itertools.pairwise(
        (("shut", "outside"), ("open", "outside"), ("open", "held"), ("open", "inside"), ("shut", "stored"))
    ):
        assert stages.index(earlier) < stages.index(later)
    assert {"handle", "block"} <= {facts["hand place"] for facts in found}
    task.arm.close()


@pytest.mark.parametrize(
    ("task_type", "clearance"),
    [(Reach, None), (PickCube, 0.05), (PegInsert, 0.005), (Push, 0.045), (DrawerStore, 0.05), (Blocks, 0.05)],
)
def test_placing_the_tool_moves_nothing_else(task_type: Any, clearance: float | None) -> None:
    task = task_type(FakeClock())
    for seed in range(5):
        rng = np.random.default_rng(seed)
        task.reset(rng)
        before = task.arm.observe()
        place_tool(task.arm, task.limits, rng, clearance=clearance, keep_opening=task.keeps_opening)
        after = task.arm.observe()
        for name in ("cube", "hole", "target", "puck", "glass", "block", "handle", *Blocks.scene_sizes):
            if name in before.privileged:
                np.testing.assert_allclose(after.privileged[name], before.privileged[name], atol=1e-6)
        tool = after.tool_pose_in_base[:3]
        assert (tool >= task.limits.workspace_lower - 1e-3).all()
        assert (tool <= task.limits.workspace_upper + 1e-3).all()
        if task.keeps_opening:
            assert after.gripper == pytest.approx(before.gripper, abs=0.01)
    task.arm.close()


@draws(60)
@given(FACTS, FACTS, st.integers(0, 10_000))
def test_a_caption_is_true_of_its_own_facts_and_of_those_that_agree(
    facts: dict[str, str], other: dict[str, str], seed: int
) -> None:
    said = SAID.caption(facts, np.random.default_rng(seed))
    assert said.true_of(facts)
    assert said.true_of(other) == all(other[a] == value for a, value in said.asserts)
    for attribute, value in said.asserts:
        assert any(words in said.text for words in SAID.phrases[attribute][value])
    assert not said.true_of({})


@given(FACTS, st.integers(0, 10_000))
def test_every_word_of_a_caption_is_known_beforehand(facts: dict[str, str], seed: int) -> None:
    known = set(re.findall(r"\w+", " ".join(SAID.sentences())))
    rng = np.random.default_rng(seed)
    for said in (SAID.caption(facts, rng), SAID.describe(facts), *SAID.each_fact(rng)):
        assert set(re.findall(r"\w+", said.text)) <= known


@given(FACTS, FACTS)
def test_different_facts_are_described_differently(facts: dict[str, str], other: dict[str, str]) -> None:
    same = {a: v for a, v in facts.items() if a != "scene"} == {a: v for a, v in other.items() if a != "scene"}
    assert (SAID.describe(facts).text == SAID.describe(other).text) == same


def test_no_phrase_stands_for_two_values_of_an_attribute() -> None:
    for attribute, values in SAID.phrases.items():
        phrases = [words for of_value in values.values() for words in of_value]
        assert len(phrases) == len(set(phrases)), attribute


def test_colours_are_named_by_the_nearest_hue() -> None:
    assert captions.colour_name((0.9, 0.2, 0.2)) == "red"
    assert captions.colour_name((0.9, 0.2, 0.25)) == "red"  # hue just below 360 degrees
    assert captions.colour_name((0.2, 0.2, 0.9)) == "blue"
    assert captions.colour_name((0.8, 0.8, 0.2)) == "yellow"
