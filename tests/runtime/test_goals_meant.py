"""Goals that had been meant all along: from a spoken correction to the rows of replay, and back, by events alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import (
    Button,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Event,
    Feedback,
    FeedbackKind,
    HumanInput,
    Outcome,
    Segment,
    Sentence,
    Source,
    Step,
)
from robot_rlhf.journal.labels import LabelWriter, read_labels
from robot_rlhf.journal.reader import replay_into
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.language.goals import CONTEXT_SIZES, context_of
from robot_rlhf.learner.goals_meant import GoalsMeant, wanted_in
from robot_rlhf.meaning import Meaning
from robot_rlhf.ports import Subscriber
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.run.build import build_station
from robot_rlhf.run.learning import build_features
from robot_rlhf.run.settings import TrainConfig, defaults_for
from robot_rlhf.run.trainer import build_learning
from robot_rlhf.run.words import open_listening
from robot_rlhf.runtime.fan_out import FanOut
from robot_rlhf.runtime.loop import run_episode
from robot_rlhf.runtime.named_recording import NamedRecording
from robot_rlhf.runtime.offline import JudgedFeed
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.place import SimConfig
from robot_rlhf_sim.tasks.blocks import PAIRS
from tests.draws import draws
from tests.runtime.stations import Listener

CONFIG = replace(defaults_for("blocks"), place=SimConfig({"goals": "green>bowl_left"}))
GREEN, RED, BLUE = ("green", "bowl_left"), ("red", "bowl_left"), ("blue", "bowl_left")
NO_RED, NOW_RED, NO_BLUE, UNDO = "no, the red one", "now the red one", "I meant the blue one", "scratch that"

NO_RIGHT = "no, put it in the right bowl"


class Room:
    """Replay, filled from what is told, with the goals that were meant."""

    def __init__(self, config: TrainConfig, spec: Any, capacity: int = 400) -> None:
        features = build_features(config, spec)
        self.buffer = ReplayBuffer(
            capacity, state_size=features.size, action_size=4, discount=0.99, context=features.context
        )
        self.feed = ReplayFeed(self.buffer, features)
        self.meant = GoalsMeant(self.buffer, context_of)

    @property
    def listener(self) -> Subscriber:
        return FanOut([self.feed, self.meant])

    def rows(self) -> dict[str, Any]:
        """Everything that a row can be drawn as, to the bit."""
        index = self.buffer.indices()
        batch = self.buffer.gather(index)
        columns = self.buffer.columns(index)
        return {
            "context": batch.observation["context"].tolist(),
            "state": batch.observation["state"].tolist(),
            "action": batch.action.tolist(),
            "reward": batch.reward.tolist(),
            "discount": batch.discount.tolist(),
            "source": batch.source.tolist(),
            **{name: column.tolist() for name, column in columns.items()},
        }


@dataclass
class Mouth:
    """A Teleop: what is said or pressed, by number of the reading."""

    clock: FakeClock
    says: Mapping[int, str | Button]
    reads: int = 0

    def read(self) -> HumanInput:
        said = self.says.get(self.reads)
        self.reads += 1
        if isinstance(said, Button):
            return HumanInput(buttons=frozenset({said}))
        return HumanInput() if said is None else HumanInput(sentences=(Sentence(said, self.clock.now() - 0.2),))


@dataclass
class Told:
    """What an episode told, in which a script does what is asked for while somebody speaks."""

    steps: list[Step]
    meanings: list[Feedback]
    outcome: Outcome
    room: Room
    spec: Any
    journal: Path = field(default_factory=Path)


def episode(says: Mapping[int, str | Button], journal: Path) -> Told:
    clock = FakeClock()
    with closing(CONFIG.place.open("blocks", clock=clock, cameras={})) as place:
        station = build_station(CONFIG, place, place.expert())
        listening, listener, room = open_listening(CONFIG.language, place), Listener(), Room(CONFIG, place.spec)
        listening.steer(station.director)
        with JournalWriter(journal, place.spec) as writer:
            station = replace(
                station,
                teleop=Mouth(clock, says),
                listening=listening,
                attended=any(isinstance(said, Button) for said in says.values()),
                world=place.world,
                subscribers=(writer, room.listener, listening.standing, listener),
            )
            meta = EpisodeMeta("practice-000000", "blocks", EpisodeKind.PRACTICE, 3, "o", station.reward.source)
            end = run_episode(station, meta, np.random.default_rng(0), np.random.default_rng(1))
        meanings = [event for event in listener.feedback if event.kind is FeedbackKind.MEANING]
        return Told(listener.steps, meanings, end.outcome, room, place.spec, journal)


def contexts(told: Told, wanted: Sequence[tuple[str, str]]) -> list[list[float]]:
    """What replay ought to have, step by step."""
    joined = told.room.buffer.context.joined
    return [joined(context_of(s.observation, goal)).tolist() for s, goal in zip(told.steps, wanted, strict=True)]


def wanted(told: Told, *parts: tuple[tuple[str, str], int]) -> list[tuple[str, str]]:
    """The goals of an episode: each up to, not including, a step; the last to the end."""
    goals: list[tuple[str, str]] = []
    for goal, end in parts:
        goals += [goal] * (min(end, len(told.steps)) - len(goals))
    return goals


LONG = 999
CASES: Mapping[str, tuple[Mapping[int, str | Button], Sequence[tuple[tuple[str, str], int]]]] = {
    "nobody speaks": ({}, [(GREEN, LONG)]),
    "all along": ({9: NO_RED}, [(RED, LONG)]),
    "from now on": ({9: NOW_RED}, [(GREEN, 9), (RED, LONG)]),
    "taken back": ({9: NO_RED, 15: UNDO}, [(GREEN, 10), (RED, 16), (GREEN, LONG)]),
    "corrected twice": ({9: NO_RED, 15: NO_BLUE}, [(BLUE, LONG)]),
    "the second taken back": ({9: NO_RED, 15: NO_BLUE, 20: UNDO}, [(RED, 16), (BLUE, 21), (RED, LONG)]),
    "since it was named": ({6: NOW_RED, 15: NO_BLUE}, [(GREEN, 6), (BLUE, LONG)]),
    "over a pause": (
        {9: Button.PAUSE, 11: Button.RESUME, 18: NO_RED},
        [(RED, LONG)],
    ),
    "already so": ({9: "no, the green one"}, [(GREEN, LONG)]),
}


@pytest.mark.parametrize("case", CASES)
def test_rows_have_what_was_meant_and_the_journal_what_was_told(case: str, tmp_path: Path) -> None:
    says, parts = CASES[case]
    told = episode(says, tmp_path / "journal")
    assert told.outcome is Outcome.SUCCESS
    assert told.room.rows()["context"] == contexts(told, wanted(told, *parts))
    for step in told.steps:  # what was told to the policy stays what it is
        assert step.context["thing"].tolist() in [
            context_of(step.observation, goal)["thing"].tolist() for goal in (GREEN, RED, BLUE)
        ]


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_goes_on_and_a_recording_have_the_same_rows(case: str, tmp_path: Path) -> None:
    told = episode(CASES[case][0], tmp_path / "journal")
    again, offline = Room(CONFIG, told.spec), Room(CONFIG, told.spec)
    replay_into(told.journal, again.listener)
    named = NamedRecording("prior 0", offline.meant)
    replay_into(told.journal, JudgedFeed(offline.feed, read_labels(told.journal), SparseReward(), after=[named]))
    assert again.rows() == told.room.rows()
    assert offline.rows() == told.room.rows()


class Deaf:
    """A Subscriber that tells another all but what sentences mean."""

    def __init__(self, told: Subscriber) -> None:
        self.told = told
        self.on_episode_start, self.on_step, self.on_episode_end = (
            told.on_episode_start,
            told.on_step,
            told.on_episode_end,
        )

    def on_event(self, event: Event) -> None:
        if not (isinstance(event, Feedback) and event.kind is FeedbackKind.MEANING):
            self.told.on_event(event)


def test_a_correction_taken_back_long_after_leaves_no_trace(tmp_path: Path) -> None:
    """To the bit as if it had never been said, but for what the success proved: that was of another goal."""
    told = episode({9: NO_RED}, tmp_path / "journal")
    twin = Room(CONFIG, told.spec)
    replay_into(told.journal, Deaf(twin.listener))
    changed, unchanged = told.room.rows(), twin.rows()
    assert changed["context"] != unchanged["context"]
    assert changed["context_version"] == [1] * 10 + [0] * (len(told.steps) - 10)
    correction = told.meanings[0]
    assert correction.payload["goal"] == ["red", "bowl_left"]
    undone = replace(
        correction, payload={"sentence": correction.payload["sentence"], "doing": "undone", "meanings": []}
    )
    told.room.listener.on_event(undone)
    rows = told.room.rows()
    assert [rows.pop("source"), unchanged.pop("source")] == [
        [int(Source.POLICY)] * 9 + [int(Source.PROVEN)] * (len(told.steps) - 9),
        [int(Source.PROVEN)] * len(told.steps),
    ]
    assert rows == unchanged
    with LabelWriter(told.journal) as writer:
        writer.give(undone)
    again = Room(CONFIG, told.spec)
    replay_into(told.journal, again.listener)
    assert again.rows()["context"] == rows["context"]


CORRECTIONS: Mapping[str, tuple[list[Meaning], tuple[str, str]]] = {
    "the thing": ([Meaning("close", skill="grasp", thing="blue")], BLUE),
    "both": ([Meaning("goal", skill="put_in", thing="blue", place="bowl_right")], ("blue", "bowl_right")),
    "no goal": ([Meaning("left")], GREEN),
    "what is not there": ([Meaning("goal", thing="purple")], GREEN),
    "where, as a thing": ([Meaning("goal", skill="grasp", thing="bowl_left")], GREEN),
}


@pytest.mark.parametrize("case", CORRECTIONS)
def test_a_goal_that_is_corrected_later_counts_for_the_same_steps(case: str, tmp_path: Path) -> None:
    told = episode({9: NO_RED}, tmp_path / "journal")
    meanings, goal = CORRECTIONS[case]
    payload = {"sentence": told.meanings[0].payload["sentence"], "doing": "label", "by": "ada"}
    payload["meanings"] = [meaning.to_json() for meaning in meanings]
    event = replace(told.meanings[0], author="ada", payload=payload)
    told.room.listener.on_event(event)
    assert told.room.rows()["context"] == contexts(told, wanted(told, (goal, 10), (RED, LONG)))
    with LabelWriter(told.journal) as writer:
        writer.give(event)
    again = Room(CONFIG, told.spec)
    replay_into(told.journal, again.listener)
    assert again.rows()["context"] == told.room.rows()["context"]
    told.room.listener.on_event(replace(event, payload={**payload, "doing": "undone", "meanings": []}))
    assert told.room.rows()["context"] == contexts(told, wanted(told, (GREEN, 10), (RED, LONG)))


LEFT, IS_BLUE, IS_RED = (
    Meaning("left"),
    Meaning("close", skill="grasp", thing="blue"),
    Meaning("goal", thing="red"),
)
BOTH, TO_LEFT = (
    Meaning("goal", skill="put_in", thing="blue", place="bowl_right"),
    Meaning("goal", skill="put_in", place="bowl_left"),
)
NOTHING_THERE = Meaning("goal", thing="purple")
AGAIN: Mapping[str, tuple[str, list[Meaning | None], tuple[str, str]]] = {
    "the place was misheard": (NO_RIGHT, [IS_BLUE], BLUE),
    "the thing was misheard": (NO_RED, [TO_LEFT], GREEN),
    "twice": (NO_RIGHT, [BOTH, IS_RED], RED),
    "after a slip": (NO_RED, [LEFT, IS_BLUE], BLUE),
    "after what is not there": (NO_RED, [NOTHING_THERE, IS_BLUE], BLUE),
    "after it was taken back": (NO_RED, [None, IS_BLUE], BLUE),
    "after it was taken back twice": (NO_RIGHT, [None, None, IS_RED], RED),
}


@pytest.mark.parametrize("case", AGAIN)
def test_each_correction_is_of_what_was_wanted_before_the_sentence(case: str, tmp_path: Path) -> None:
    text, corrections, goal = AGAIN[case]
    told = episode({9: text}, tmp_path / "journal")
    heard = told.meanings[0]
    assert heard.payload["goal_before"] == [*GREEN]
    with LabelWriter(told.journal) as writer:
        for meaning in corrections:
            payload = {"sentence": heard.payload["sentence"], "by": "ada", "meanings": []}
            payload |= {"doing": "undone"} if meaning is None else {"doing": "label", "meanings": [meaning.to_json()]}
            event = replace(heard, author="ada", payload=payload)
            told.room.listener.on_event(event)
            writer.give(event)
    later = RED if text == NO_RED else ("green", "bowl_right")
    assert told.room.rows()["context"] == contexts(told, wanted(told, (goal, 10), (later, LONG)))
    again = Room(CONFIG, told.spec)
    replay_into(told.journal, again.listener)
    assert again.rows()["context"] == told.room.rows()["context"]


@pytest.mark.parametrize("text", [NO_RED, NOW_RED])
def test_a_success_proves_what_was_done_for_its_goal(text: str, tmp_path: Path) -> None:
    told = episode({9: text}, tmp_path / "journal")
    sources = told.room.rows()["source"]
    assert sources == [int(Source.POLICY)] * 9 + [int(Source.PROVEN)] * (len(sources) - 9)
    assert told.room.rows()["reward"][-1] == 1.0


def test_the_step_in_which_a_goal_is_named_is_judged_by_it(tmp_path: Path) -> None:
    """What would have been the success of the old goal is none any more."""
    told = episode({}, tmp_path / "one")
    last = len(told.steps) - 1
    late = episode({last: NOW_RED}, tmp_path / "other")
    assert late.outcome is Outcome.FAILURE
    assert len(late.steps) == last + 1
    assert late.room.rows()["context"] == contexts(late, wanted(late, (GREEN, last), (RED, LONG)))
    assert late.room.rows()["reward"][-1] < 0.0


# -- laws ------------------------------------------------------------------------------------------------------------


def naive(steps: int, said: Sequence[tuple[int, str, bool]]) -> list[str | None]:
    """As a person would say it: from each sentence on its goal is told; who corrects means also what went before."""
    goals: list[str | None] = [None] * steps
    for n, (at, goal, all_along) in enumerate(said):
        since = at
        if all_along:
            changes = [earlier for earlier, _, corrects in said[:n] if not corrects]
            since = changes[-1] if changes else 0
        for k in range(since, at + 1):
            goals[k] = goal
    return goals


names = st.sampled_from([thing for thing, _ in PAIRS])


@draws(200)
@given(st.lists(st.tuples(st.integers(0, 19), st.none() | names, st.booleans()), max_size=6))
def test_what_was_wanted_is_as_a_naive_twin_says(said: list[tuple[int, str | None, bool]]) -> None:
    """None: a sentence that names no goal any more is as if it had never been said."""
    from robot_rlhf.learner.goals_meant import _Named  # pyright: ignore[reportPrivateUsage]  what a sentence leaves

    said = sorted(said, key=lambda each: each[0])
    named = [_Named(at, (goal, "bowl_left") if goal else None, all_along, GREEN) for at, goal, all_along in said]
    stands = [(at, goal, all_along) for at, goal, all_along in said if goal is not None]
    assert [None if goal is None else goal[0] for goal in wanted_in(20, named)] == naive(20, stands)


@draws(30)
@given(
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 4), names, st.sampled_from([True, False, None])), max_size=10)
)
def test_rows_follow_events_in_any_order(events: list[tuple[int, int, str, bool | None]]) -> None:
    """Sentences named, named again and taken back (None): replay has what the standing ones say, or the record."""
    room, steps = synthetic(20)
    stands: dict[int, tuple[int, str, bool]] = {}
    for k, step in enumerate(steps):
        if k == 0:
            room.listener.on_episode_start(META, step.observation)
        room.listener.on_step(step)
        for at, sentence, goal, all_along in events:
            if at != k:
                continue
            room.listener.on_event(means(sentence, goal, all_along))
            if all_along is None:
                stands.pop(sentence, None)
            else:
                stands.setdefault(sentence, (at, goal, all_along))
    recorded = [step.context for step in steps]
    expected = [
        context if goal is None else context_of(step.observation, (goal, "bowl_left"))
        for step, context, goal in zip(steps, recorded, naive(20, [*stands.values()]), strict=True)
    ]
    index = room.buffer.indices()
    joined = np.stack([room.buffer.context.joined(context) for context in expected])
    np.testing.assert_array_equal(room.buffer.gather(index).observation["context"].numpy(), joined)


def test_goals_named_before_the_first_step_and_of_things_that_are_not_there() -> None:
    """Neither ends the learner, nor hides what is named later."""
    room, steps = synthetic(5)
    told = room.listener
    told.on_episode_start(META, steps[0].observation)
    told.on_event(means(0, "block_red", False))
    told.on_episode_end(EpisodeEnd(META.id, Outcome.FAULT, 0))
    told.on_episode_start(replace(META, id="practice-000001"), steps[0].observation)
    told.on_episode_start(META, steps[0].observation)
    told.on_event(means(1, "block_red", False))
    for step in steps:
        told.on_step(step)
    told.on_event(means(2, "moon", True))
    recorded = [room.buffer.context.joined(step.context) for step in steps]
    rows = room.buffer.gather(room.buffer.indices()).observation["context"].numpy()
    np.testing.assert_array_equal(rows, np.stack(recorded))
    goal = PAIRS[0][0]
    told.on_event(means(3, goal, True))
    expected = [room.buffer.context.joined(context_of(step.observation, (goal, "bowl_left"))) for step in steps]
    rows = room.buffer.gather(room.buffer.indices()).observation["context"].numpy()
    np.testing.assert_array_equal(rows, np.stack(expected))
    moon = means(2, "", None)
    told.on_event(replace(moon, payload={**moon.payload, "meanings": [{"reading": "goal", "thing": goal}]}))
    told.on_event(means(3, goal, None))
    rows = room.buffer.gather(room.buffer.indices()).observation["context"].numpy()
    np.testing.assert_array_equal(rows, np.stack(expected))


META = EpisodeMeta("practice-000000", "blocks", EpisodeKind.PRACTICE, 0, "o", "task@1")


def means(sentence: int, goal: str, all_along: bool | None) -> Feedback:
    payload: dict[str, Any] = {"sentence": f"practice-000000/{sentence}", "meanings": [], "doing": "undone"}
    if all_along is not None:
        payload |= {"doing": "goal", "goal": [goal, "bowl_left"], "all_along": all_along}
    return Feedback(FeedbackKind.MEANING, "o", 1.0, Segment("practice-000000", 0, 1), text="x", payload=payload)


SEEN: list[tuple[Room, list[Step]]] = []


def synthetic(count: int) -> tuple[Room, list[Step]]:
    """The first steps of an episode, and an empty room."""
    if not SEEN:
        with closing(CONFIG.place.open("blocks", clock=FakeClock(), cameras={})) as place:
            listener = Listener()
            station = replace(build_station(CONFIG, place, place.expert()), subscribers=(listener,))
            run_episode(station, META, np.random.default_rng(0), np.random.default_rng(1))
            SEEN.append((Room(CONFIG, place.spec), listener.steps))
            SPEC.append(place.spec)
    return Room(CONFIG, SPEC[0]), SEEN[0][1][:count]


SPEC: list[Any] = []


def test_what_was_done_on_a_sentence_keeps_its_goal_and_rows_that_are_gone_are_passed_over() -> None:
    _, steps = synthetic(20)
    room = Room(CONFIG, SPEC[0], capacity=8)
    room.listener.on_episode_start(META, steps[0].observation)
    for k, step in enumerate(steps):
        room.listener.on_step(replace(step, spoken="practice-000000/7") if k == 17 else step)
    room.listener.on_event(means(0, "red", all_along=True))
    index = room.buffer.indices()
    assert index.tolist() == [*range(13, 20)]
    assert room.buffer.columns(index)["context_version"].tolist() == [1, 1, 1, 1, 0, 1, 1]
    room.listener.on_episode_end(EpisodeEnd(META.id, Outcome.TIME_LIMIT, 20))
    room.listener.on_event(means(1, "blue", all_along=True))  # of no episode that runs
    assert room.buffer.columns(index)["context_version"].sum() == 6


@pytest.mark.parametrize(
    ("change", "has"),
    [
        (lambda c: c, True),
        (lambda c: replace(c, features=replace(c.features, context={"thing": 6})), True),
        (lambda c: replace(c, features=replace(c.features, context={})), False),
        (lambda c: replace(c, features=replace(c.features, context={"text": 6})), False),
        (lambda c: replace(c, reward=replace(c.reward, gold=True)), False),
        (lambda c: replace(c, words=replace(c.words, teaches=False)), False),
    ],
)
def test_a_run_has_it_where_goals_are_seen_and_may_be_told(
    change: Callable[[TrainConfig], TrainConfig], has: bool
) -> None:
    synthetic(1)
    learning = build_learning(change(CONFIG), SPEC[0])
    found = [tutor for tutor in learning.trainer.tutors if isinstance(tutor, GoalsMeant)]
    assert bool(found) == has == any(isinstance(told, GoalsMeant) for told in learning.hears)
    assert set(CONTEXT_SIZES) == {"thing", "place"}
    assert torch.is_tensor(learning.trainer.buffer.indices())
