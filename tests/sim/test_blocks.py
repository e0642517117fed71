"""Blocks and bowls: what is asked for counts, whoever asked; what lies in the wrong bowl has failed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import Action, Assignment, Observation, Outcome
from robot_rlhf.errors import ConfigError, InvalidValueError, UnknownNameError
from robot_rlhf.run.setting_values import changed, plain
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.captions import RIGHT
from robot_rlhf_sim.place import SimConfig
from robot_rlhf_sim.tasks import Blocks
from robot_rlhf_sim.tasks.blocks import BOWLS, COLOURS, PAIRS
from tests.draws import draws


def begun(seed: int = 0, **options: Any) -> Blocks:
    task = Blocks(FakeClock(), **options)
    task.reset(np.random.default_rng(seed))
    return task


def lying(task: Blocks, colour: str, bowl: str, *, height: float = 0.02) -> Observation:
    """What is seen with a block in the middle of a bowl, or above it."""
    address = task._addresses[tuple(COLOURS).index(colour)]
    task.arm.data.qpos[address : address + 2] = task.arm.data.mocap_pos[tuple(BOWLS).index(bowl), :2]
    task.arm.data.qpos[address + 2] = height
    task.arm.settle()
    return task.arm.observe()


def driven(task: Blocks, seed: int, steps: int, ask_at: int = -1, ask: tuple[str, str] = PAIRS[0]) -> list[Observation]:
    """What the expert's episode shows; from a step on something else is asked for."""
    guard, rng, expert = GuardedRobot(task.arm, task.limits, task.arm.clock), np.random.default_rng(seed), task.expert()
    task.reset(rng)
    guard.anchor()
    seen = [guard.observe()]
    for step in range(steps):
        if step == ask_at:
            task.ask(*ask)
        guard.act(expert.act(guard.observe(), Assignment(), rng))
        seen.append(guard.observe())
        if task.success(seen[-1]) or task.ended(seen[-1]):
            break
    return seen


@pytest.mark.parametrize("asked", PAIRS)
def test_what_counts_is_what_was_asked_for(asked: tuple[str, str]) -> None:
    task = begun(goals=">".join(asked))
    assert task.goal == asked
    for pair in PAIRS:
        task.reset(np.random.default_rng(1))
        seen = lying(task, *pair)
        assert task.success(seen) is (pair == asked)
        assert task.ended(seen) is (None if pair == asked else Outcome.FAILURE)
        assert task.ended(lying(task, *pair, height=0.08)) is None
        assert not task.success(lying(task, *pair, height=0.08))


def test_the_sentence_names_the_goal() -> None:
    task = begun()
    task.ask("red", "bowl_left")
    assert task.instruction == "put the red block in the left bowl" == Blocks.example
    assert len({(task.ask(*pair), task.instruction)[1] for pair in PAIRS}) == len(PAIRS)
    for pair in (("pink", "bowl_left"), ("red", "cup")):
        with pytest.raises(UnknownNameError, match=r"pink|cup"):
            task.ask(*pair)


def test_another_goal_counts_at_once_and_until_the_next_reset() -> None:
    task = begun(goals="red>bowl_left")
    seen = task.arm.observe()
    task.ask("blue", "bowl_right")
    again = task.arm.observe()
    assert seen.stamp == again.stamp
    np.testing.assert_array_equal([seen.privileged["goal"], again.privileged["goal"]], [[0, 0], [2, 1]])
    assert task.success(lying(task, "blue", "bowl_right"))
    task.reset(np.random.default_rng(5))
    assert task.goal == ("red", "bowl_left")


def test_a_snapshot_remembers_the_goal() -> None:
    task = begun()
    task.ask("green", "bowl_left")
    state = task.arm.snapshot()
    task.ask("yellow", "bowl_right")
    task.arm.restore(state)
    assert task.goal == ("green", "bowl_left")


@pytest.mark.parametrize("when", [3, 10, 18, 25])
def test_the_expert_follows_who_changes_their_mind(when: int) -> None:
    """On the way there, while it grasps, and while it carries: what is held is laid down first."""
    task = Blocks(FakeClock(), goals="red>bowl_left")
    for seed, other in enumerate((("blue", "bowl_left"), ("red", "bowl_right"), ("green", "bowl_right"))):
        seen = driven(task, seed, task.time_limit, when, other)
        assert task.success(seen[-1])
        assert task.goal == other


def test_which_block_is_held_is_known() -> None:
    task = Blocks(FakeClock(), goals="blue>bowl_right")
    seen = driven(task, 2, task.time_limit)
    held = [int(o.privileged["held"][0]) for o in seen]
    assert set(held) == {0, 3}
    assert held[-1] == 0
    np.testing.assert_array_equal([o.privileged["grasped"][0] for o in seen], np.array(held) == 3)
    book = Blocks.facts
    carried = seen[held.index(3) + 3]
    assert book.of(carried, gold=True)["gold:holds(blue)"]
    assert not book.of(carried, gold=True)["gold:holds(red)"]
    assert book.of(seen[-1])["in(blue, bowl_right)"]
    assert book.of(seen[-1], gold=True)["gold:asked(bowl_right)"]


@draws(25)
@given(st.integers(0, 100_000))
def test_blocks_lie_apart_and_bowls_where_they_are_called(seed: int) -> None:
    task = begun(seed)
    seen = task.arm.observe().scene
    places = np.stack([seen[name][:2] for name in COLOURS])
    for i in range(4):
        for j in range(i):
            assert np.abs(places[i] - places[j])[0] > 0.044 or np.abs(places[i] - places[j])[1] > 0.084
    left, right = (float(np.dot(RIGHT, seen[name][:2] - np.array([0.5, 0.0]))) for name in BOWLS)
    assert left < -0.1 < 0.1 < right
    assert task.ended(task.arm.observe()) is None
    assert task.arm.data.ncon == 0 or task.arm.data.contact.dist.min() > -0.002


def test_every_pair_is_asked_for_alike_but_those_held_out() -> None:
    held_out = {("red", "bowl_right"), ("blue", "bowl_left")}
    task = Blocks(FakeClock(), held_out="red>bowl_right, blue>bowl_left")
    drawn: Counter[tuple[str, str]] = Counter()
    for seed in range(240):
        task.reset(np.random.default_rng(seed))
        drawn[task.goal] += 1
    assert set(drawn) == set(PAIRS) - held_out
    assert min(drawn.values()) > 20
    task.ask("red", "bowl_right")
    assert task.goal == ("red", "bowl_right")


def test_the_bowls_stand_still_where_it_is_asked_for() -> None:
    places = [begun(seed, bowl_spread=0.0).arm.data.mocap_pos.copy() for seed in range(3)]
    np.testing.assert_array_equal(places, [places[0]] * 3)


@pytest.mark.parametrize(
    "option", [{"bowl_spread": 9.0}, {"goals": "pink>bowl_left"}, {"goals": "red"}, {"held_out": "red>cup"}]
)
def test_impossible_worlds_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises((InvalidValueError, ConfigError), match=next(iter(option))):
        Blocks(FakeClock(), **option)


def test_somebody_has_to_ask_for_something() -> None:
    with pytest.raises(ConfigError, match="leaves no goal"):
        Blocks(FakeClock(), goals="red>bowl_left", held_out="red>bowl_left")


def test_a_block_out_of_reach_has_failed_if_it_is_wanted() -> None:
    task = begun(goals="red>bowl_left")
    for colour, outcome in (("blue", None), ("red", Outcome.FAILURE)):
        address = task._addresses[tuple(COLOURS).index(colour)]
        task.arm.data.qpos[address] = 0.75
        task.arm.settle()
        assert task.ended(task.arm.observe()) is outcome


def test_options_in_words_are_settings_as_numbers_are() -> None:
    options = {"held_out": "red>bowl_right", "bowl_spread": 0.5}
    config = SimConfig(task_options=dict(options))
    assert changed(SimConfig(), {"task_options": plain(config)["task_options"]}, "test") == config
    with pytest.raises(ConfigError, match="task_options"):
        changed(SimConfig(), {"task_options": {"clearance": ["0.001"]}}, "test")
    place = config.open("blocks", clock=FakeClock(), cameras={})
    assert isinstance(place.task, Blocks)
    assert len(place.task.goals) == 7
    place.close()


def test_moving_at_random_puts_nothing_anywhere() -> None:
    task = Blocks(FakeClock())
    guard = GuardedRobot(task.arm, task.limits, task.arm.clock)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        task.reset(rng)
        guard.anchor()
        for _ in range(task.time_limit):
            guard.act(Action(np.clip(rng.normal(size=4), -1.0, 1.0).astype(np.float32)))
            assert not task.success(guard.observe())
            if guard.faults:
                guard.release()
                break
