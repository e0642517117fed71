"""What is wanted where, seen from the tool: as named by the task, and from the next period on as named by a person."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.apps.environments import make_environment
from robot_rlhf.apps.record import RecordOptions, record
from robot_rlhf.conformance import DirectorConformance
from robot_rlhf.datatypes import EpisodeEnd, EpisodeKind, EpisodeMeta, Event, Observation, Outcome, Step
from robot_rlhf.errors import ConfigError, InvalidValueError, UnknownNameError
from robot_rlhf.facts import Thing
from robot_rlhf.journal.reader import episodes
from robot_rlhf.language.goals import FINE, NEAR, SIZE, GoalDirector, for_place, from_tool
from robot_rlhf.place import Place
from robot_rlhf.ports import Director
from robot_rlhf.run.build import build_station
from robot_rlhf.run.learning import build_features
from robot_rlhf.run.settings import TrainConfig, defaults_for
from robot_rlhf.runtime.loop import run_episode
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.disturbance import DisturbanceConfig
from robot_rlhf_sim.place import SimConfig, SimPlace
from robot_rlhf_sim.tasks.blocks import PAIRS, Blocks
from tests.draws import draws

WORLDS = (SimConfig(), SimConfig(disturbance=DisturbanceConfig(command_delay=1)))


def opened(settings: SimConfig = WORLDS[0], seed: int = 0, task: str = "blocks") -> SimPlace:
    place = settings.open(task, clock=FakeClock(), cameras={})
    place.task.reset(np.random.default_rng(seed))
    return place


class TestGoalDirector(DirectorConformance):
    def make_director(self) -> Director:
        return for_place(opened())

    def make_observation(self) -> Observation:
        return opened().arm.observe()


def test_by_hand() -> None:
    seen = opened().arm.observe()
    tool = np.array([0.5, 0.1, 0.2, 0, 1, 0, 0], np.float32)
    cup = np.array([0.51, 0.1 - 0.125, 0.2, 1, 0, 0, 0], np.float32)
    seen = replace(seen, tool_pose_in_base=tool, scene={**seen.scene, "cup": cup})
    np.testing.assert_allclose(from_tool(seen, "cup"), [0.01 / NEAR, -1.0, 0.0, 0.01 / FINE, -1.0, 0.0], atol=1e-5)
    with pytest.raises(InvalidValueError, match="pot"):
        from_tool(seen, "pot")


@pytest.mark.parametrize("settings", WORLDS)
@pytest.mark.parametrize("pair", PAIRS)
def test_it_says_where_what_is_asked_for_is(settings: SimConfig, pair: tuple[str, str]) -> None:
    place = opened(settings)
    director, seen = for_place(place), place.arm.observe()
    said = director.name_goal(*pair)
    asked = director.asked(seen)
    assert asked.instruction == said == place.task.instruction
    assert director.goal == pair
    for name, thing in zip(("thing", "place"), pair, strict=True):
        np.testing.assert_array_equal(asked.context[name], from_tool(seen, thing))


@draws(30)
@given(st.lists(st.tuples(*(st.sampled_from([None, *names]) for names in zip(*PAIRS, strict=True))), max_size=6))
def test_what_is_not_named_stays(named: list[tuple[str | None, str | None]]) -> None:
    class Wish:
        instruction = "put it there"

        def __init__(self) -> None:
            self.goal = PAIRS[0]

        def ask(self, thing: str, place: str) -> None:
            self.goal = thing, place

    wish = Wish()
    director = GoalDirector(wish, {name: Thing(name) for pair in PAIRS for name in pair})
    expected = list(PAIRS[0])
    for thing, place in named:
        director.name_goal(thing, place)
        expected = [thing or expected[0], place or expected[1]]
        assert list(director.goal) == expected


@pytest.mark.parametrize(("thing", "place"), [("pink", None), ("red", "blue"), ("bowl_left", None), (None, "cup")])
def test_what_cannot_be_wanted_is_refused_and_the_goal_stays(thing: str | None, place: str | None) -> None:
    director = for_place(opened())
    before = director.goal
    with pytest.raises(UnknownNameError):
        director.name_goal(thing, place)
    assert director.goal == before


def test_a_task_without_goals_is_refused() -> None:
    for settings in WORLDS:
        with pytest.raises(ConfigError, match="no goal to name"):
            for_place(opened(settings, task="reach"))


def test_recorded_demonstrations_say_what_was_wanted(tmp_path: Path) -> None:
    record(RecordOptions(tmp_path / "shown", task="blocks", demonstrations=1))
    steps = [step for episode in episodes(tmp_path / "shown") for step in episode.steps()]
    assert steps
    for step in steps:
        assert {name: len(vector) for name, vector in step.context.items()} == {"thing": SIZE, "place": SIZE}
        assert step.instruction.startswith("put the ")


def test_an_environment_without_a_director_shows_the_whole_scene() -> None:
    shown = make_environment("blocks", task_options={"goals": "red>bowl_left"})
    state, info = shown.reset(seed=0)
    assert info["instruction"] == Blocks.example
    assert isinstance(state, np.ndarray)
    assert len(state) > build_features(usual(), shown.guard.spec).size
    shown.close()


class Speaker:
    """Wants something else after so many steps."""

    def __init__(self, director: GoalDirector, after: int, *goal: str) -> None:
        self.steps: list[Step] = []
        self._director, self._after, self._goal = director, after, goal

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        """Nothing to say."""

    def on_step(self, step: Step) -> None:
        self.steps.append(step)
        if len(self.steps) == self._after:
            self._director.name_goal(*self._goal)

    def on_event(self, event: Event) -> None:
        """Nothing to say."""

    def on_episode_end(self, end: EpisodeEnd) -> None:
        """Nothing to say."""


def usual(**options: Any) -> TrainConfig:
    return replace(defaults_for("blocks"), place=SimConfig(options))


@pytest.mark.parametrize(("after", "other"), [(4, ("blue", "bowl_left")), (20, ("red", "bowl_right"))])
def test_a_spoken_goal_counts_from_the_next_period_on(after: int, other: tuple[str, str]) -> None:
    """In what the policy is asked, in what the step tells, and in what is a success."""
    config = usual(goals="red>bowl_left")
    with closing(config.place.open("blocks", clock=FakeClock(), cameras={})) as place:
        assert isinstance(place, Place)
        station = build_station(config, place, place.expert())
        assert isinstance(station.director, GoalDirector)
        speaker = Speaker(station.director, after, *other)
        station = replace(station, subscribers=(speaker,))
        meta = EpisodeMeta("e", "blocks", EpisodeKind.EVALUATION, 3, "none", station.reward.source)
        end = run_episode(station, meta, np.random.default_rng(0), np.random.default_rng(1))
        assert end.outcome is Outcome.SUCCESS
        assert isinstance(place.task, Blocks)
        asked = [("red", "bowl_left") if k < after else other for k in range(len(speaker.steps))]
        for step, (thing, bowl) in zip(speaker.steps, asked, strict=True):
            np.testing.assert_array_equal(step.context["thing"], from_tool(step.observation, thing))
            np.testing.assert_array_equal(step.context["place"], from_tool(step.observation, bowl))
        assert [s.instruction for s in speaker.steps].index(place.task.instruction) == after


def test_the_usual_policy_cannot_tell_one_block_from_another() -> None:
    """Two scenes in which other blocks are asked for, that are alike as seen from what is asked for, look alike."""
    config = usual()
    place = opened()
    features = build_features(config, place.spec)
    assert features.context.size == 2 * SIZE
    director, seen = for_place(place), place.arm.observe()
    swapped = replace(seen, scene={**seen.scene, "red": seen.scene["blue"], "blue": seen.scene["red"]})
    red, blue = (
        (director.name_goal(name), director.asked(o).context) for name, o in (("red", seen), ("blue", swapped))
    )
    np.testing.assert_array_equal(features.context.joined(red[1]), features.context.joined(blue[1]))
    np.testing.assert_array_equal(features.state(seen), features.state(swapped))
