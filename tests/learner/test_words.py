"""What sentences teach, told as the loop and the journal tell it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from robot_rlhf.datatypes import (
    Action,
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Event,
    Feedback,
    FeedbackKind,
    Observation,
    Outcome,
    Segment,
    Source,
    Step,
)
from robot_rlhf.errors import CheckpointError, ConfigError
from robot_rlhf.facts import View
from robot_rlhf.learner.cloning import CloningLearner, DaggerConfig
from robot_rlhf.learner.heard_steps import LOOK_BACK
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.learner.words import Words, WordsConfig
from robot_rlhf.meaning import Meaning
from robot_rlhf.policy.networks import NetworkConfig, Shapes
from robot_rlhf.ports import Learner, Subscriber
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.skills.nudges import grounded
from tests.journal.sessions import ACTIONS, make_observation, make_spec

SPEC = make_spec()
ENTRIES = len(ACTIONS)
PERIOD = 0.05
SHAPES = Shapes(state=7, action=ENTRIES, gripper=ACTIONS.index("gripper"))
SMALL = NetworkConfig(hidden=(16,))
WHOLE = np.array([0.1, 0.2, 0.3, 0.4, 1.0], np.float32)
"""What the only skill here does."""


class Hands:
    """Grounding by the nudges that sentences set going, and one skill that always does the same."""

    def nudge(self, meaning: Meaning, observation: Observation) -> Any:
        return grounded(meaning, SPEC.action, View())

    def skill(self, meaning: Meaning, observation: Observation) -> Any:
        return None if meaning.thing == "moon" else WHOLE

    def rules(self, meanings: Any, seen: Any, actions: Any) -> Any:
        return None


@dataclass
class Room:
    """Replay, learner and words, told one after the other as a trainer tells its tutors."""

    config: WordsConfig = field(default_factory=WordsConfig)
    rows: int = 400
    learner: Learner = field(default_factory=lambda: SacLearner(SHAPES, SMALL, SacConfig(), seed=0))

    def __post_init__(self) -> None:
        self.buffer = ReplayBuffer(self.rows, state_size=7, action_size=ENTRIES, discount=0.9)
        self.feed = ReplayFeed(self.buffer, lambda seen: {"state": seen.joint_position})
        self.words = Words(self.learner, self.buffer, Hands(), SPEC.action, self.config)
        self.tutors: Sequence[Subscriber] = (self.feed, self.words)

    def tell(self, told: Sequence[Any]) -> None:
        for record in told:
            for tutor in self.tutors:
                match record:
                    case (EpisodeMeta() as meta, Observation() as observation):
                        tutor.on_episode_start(meta, observation)
                    case Step():
                        tutor.on_step(record)
                    case EpisodeEnd():
                        tutor.on_episode_end(record)
                    case Feedback():
                        tutor.on_event(record)
                    case _:
                        raise AssertionError(record)

    def sources(self) -> list[Source]:
        index = self.buffer.indices()
        return [Source(s) for s in self.buffer.gather(index).source.tolist()]

    def learn(self, updates: int) -> None:
        for _ in range(updates):
            self.words.work()
            self.learner.update(self.buffer.sample(16))
        self.words.work()


def episode(
    steps: int = 60,
    name: str = "practice-000000",
    *,
    seed: int = 0,
    drivers: Mapping[int, dict[str, Any]] | None = None,
) -> list[Any]:
    """Start and steps, of which some are as `drivers` says."""
    rng = np.random.default_rng(seed)
    seen = [make_observation(SPEC, rng, 100.0 * seed + PERIOD * i) for i in range(steps + 1)]
    told: list[Any] = [(EpisodeMeta(name, "task", EpisodeKind.PRACTICE, seed, "someone", "task_success@1"), seen[0])]
    for i in range(steps):
        action = Action(rng.uniform(-0.5, 0.5, ENTRIES).astype(np.float32))
        step = Step(i, seen[i], action, action, Driver.POLICY, 0.0, False, False, 1, "", seen[i + 1])
        told.append(replace(step, **(drivers or {}).get(i, {})))
    return told


def means(
    sentence: str, doing: str, *meanings: Meaning, start: int = 20, length: int = 40, name: str = "practice-000000"
) -> Feedback:
    payload = {"sentence": sentence, "by": "grammar", "meanings": [m.to_json() for m in meanings], "doing": doing}
    span = Segment(name, start, length)
    return Feedback(FeedbackKind.MEANING, "someone", 5.0, span, text="so", payload=payload)


def undone(sentence: str, start: int = 20, length: int = 40) -> Feedback:
    return means(sentence, "undone", start=start, length=length)


LEFT, CLOSE, SLOWER = Meaning("left"), Meaning("close"), Meaning("slower")
ABOVE = Meaning("goal", skill="above", thing="cube")
BY_SKILL: dict[str, Any] = {"driver": Driver.HUMAN, "spoken": "s/0", "proposed": None}
BY_NUDGE = BY_SKILL | {"authority": np.eye(ENTRIES, dtype=np.float32)[0]}


# -- the steps that it is about --------------------------------------------------------------------------------------


def test_the_span_begins_where_the_loop_lets_it() -> None:
    from robot_rlhf.runtime import recent

    assert LOOK_BACK == recent.LOOK_BACK


def test_advice_is_about_what_the_policy_did_shortly_before() -> None:
    """The span begins 2 s before the sentence: of 40 steps of 50 ms, those from 1.5 to 0.3 s before are advised."""
    room = Room(WordsConfig(since=1.52, until=0.32))
    told = episode(drivers={40: BY_NUDGE | {"spoken": ""}, 41: {"executed": None, "proposed": None}})
    room.tell([*told, means("s/0", "label", LEFT)])
    rows = room.words.advice.of("s/0")
    assert rows is not None
    began = told[1 + 20].next_observation.stamp + 2.0
    wanted = [i for i in range(60) if 0.32 <= began - told[1 + i].next_observation.stamp <= 1.52 and i not in (40, 41)]
    assert rows.numbers.tolist() == wanted
    assert len(wanted) == 22


def test_of_a_young_episode_it_is_about_its_end() -> None:
    room = Room(WordsConfig(since=1.52, until=0.32))
    told = episode(20)
    room.tell([*told, means("s/0", "label", LEFT, start=0, length=20)])
    rows = room.words.advice.of("s/0")
    assert rows is not None
    assert rows.numbers.tolist() == [i for i in range(20) if 0.32 <= 1.0 - PERIOD * (i + 1) <= 1.52]


def test_it_may_be_about_an_episode_that_is_over() -> None:
    room = Room()
    end = EpisodeEnd("practice-000000", Outcome.TIME_LIMIT, 60)
    room.tell([*episode(), end, *episode(10, "practice-000001", seed=1), means("s/0", "label", LEFT)])
    rows = room.words.advice.of("s/0")
    assert rows is not None
    assert rows.numbers.max() < 60


# -- what is advised -------------------------------------------------------------------------------------------------


def advised(*meanings: Meaning, doing: str = "nudge", config: WordsConfig | None = None) -> tuple[Any, Any, Any]:
    """Target and mask (n, m), and what was executed."""
    room = Room(config or WordsConfig())
    room.tell([*episode(), means("s/0", doing, *meanings)])
    rows = room.words.advice.of("s/0")
    if rows is None:
        return None, None, None
    return rows.target, rows.mask, room.buffer.gather(torch.as_tensor(rows.numbers.copy())).action.numpy()


def test_it_is_still_known_after_episodes_of_many_arms() -> None:
    room = Room(rows=1_000)
    for number in range(16):
        room.tell([*episode(name=f"practice-{number:06d}", seed=number), EpisodeEnd("", Outcome.TIME_LIMIT, 60)])
    room.tell([means("s/0", "label", LEFT, start=20)])
    assert room.words.advice.of("s/0") is not None


def test_a_motion_is_added_to_what_was_done() -> None:
    target, mask, done = advised(LEFT)
    found = grounded(LEFT, SPEC.action, View())
    assert found is not None
    direction, named = found
    assert (mask == named).all()
    np.testing.assert_allclose(target[:, named], np.clip(done + direction, -1, 1)[:, named], atol=1e-6)
    np.testing.assert_allclose(target[:, ~named], done[:, ~named], atol=1e-6)
    half, _, _ = advised(LEFT, config=WordsConfig(reach=0.5))
    np.testing.assert_allclose(half[:, named], np.clip(done + 0.5 * direction, -1, 1)[:, named], atol=1e-6)


@pytest.mark.parametrize(
    ("meaning", "factor"), [(SLOWER, 0.5), (Meaning("faster"), 1.5), (Meaning("slower", 0.2), 0.2)]
)
def test_a_speed_is_a_factor_of_the_motion(meaning: Meaning, factor: float) -> None:
    target, mask, done = advised(meaning)
    assert mask[0].tolist() == [True, True, True, True, False]
    np.testing.assert_allclose(target[:, :4], np.clip(factor * done[:, :4], -1, 1), atol=1e-6)


def test_fingers_are_a_bit_and_several_meanings_hold_together() -> None:
    target, mask, _ = advised(CLOSE, LEFT)
    assert (target[:, 4] == -1.0).all()
    assert mask[0, 4]
    assert mask[0, :3].any()


def test_a_skill_says_all_that_it_would_do_or_nothing() -> None:
    target, mask, _ = advised(ABOVE, doing="skill")
    assert mask.all()
    assert (target == WHOLE).all()
    assert advised(replace(ABOVE, thing="moon"), doing="skill")[0] is None


@pytest.mark.parametrize("doing", ["ask", "nothing", "button", "undo", "goal", "undone", "rule"])
def test_what_is_not_advice_advises_nothing(doing: str) -> None:
    assert advised(LEFT, doing=doing)[0] is None


def test_how_sure_it_was_understood_weighs() -> None:
    room = Room()
    room.tell([*episode(), means("s/0", "nudge", replace(LEFT, confidence=0.6), CLOSE)])
    assert room.words.advice.weights(0) == pytest.approx(0.6)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"sentence": "s/0"},
        {"sentence": "s/0", "doing": "nudge", "meanings": 7},
        {"sentence": "s/0", "doing": "nudge", "meanings": [{"reading": "sideways"}]},
        {"sentence": "s/0", "doing": "nudge", "meanings": [{"reading": "left", "amount": 99}]},
        {"sentence": "s/0", "doing": "praise", "meanings": [None]},
    ],
)
def test_nonsense_teaches_nothing_and_ends_nothing(payload: dict[str, Any]) -> None:
    room = Room()
    feedback = Feedback(FeedbackKind.MEANING, "someone", 5.0, Segment("never", 3, 4), payload=payload)
    room.tell([*episode(), feedback, Feedback(FeedbackKind.CORRECTION, "someone", 5.0, Segment("never", 3, 4))])
    assert not len(room.words.advice)
    assert set(room.sources()) == {Source.POLICY}
    assert room.words.work() is None or room.words.uptake == {}


# -- classes ---------------------------------------------------------------------------------------------------------


def test_praise_and_blame_name_the_steps_of_their_span() -> None:
    room = Room()
    drivers = {25: {"driver": Driver.HUMAN}, 26: {"driver": Driver.REFLEX}}
    room.tell([*episode(drivers=drivers), means("s/0", "praise"), means("s/1", "blame", start=50, length=10)])
    sources = room.sources()
    assert sources[:20] == [Source.POLICY] * 20
    assert sources[20:50] == [Source.PRAISED] * 5 + [Source.HUMAN, Source.OTHER] + [Source.PRAISED] * 23
    assert sources[50:] == [Source.BLAMED] * 10
    room.tell([EpisodeEnd("practice-000000", Outcome.SUCCESS, 60)])
    assert room.sources()[26:] == sources[26:]  # a success proves none of it
    room.tell([undone("s/1")])
    assert room.sources()[50:] == [Source.PRAISED] * 10  # praised it was, too
    room.tell([undone("s/0")])
    assert room.sources()[27:] == [Source.PROVEN] * 33


def test_steps_of_a_skill_are_a_persons_as_long_as_the_sentence_stands_so() -> None:
    room = Room()
    drivers = dict.fromkeys(range(50, 60), BY_SKILL) | {i: BY_NUDGE | {"spoken": "s/1"} for i in (48, 49)}
    told = episode(drivers=drivers)
    meant = means("s/0", "skill", ABOVE, start=8, length=41)
    room.tell([*told[:50], meant, *told[50:]])  # its steps come after it
    assert room.sources()[48:] == [Source.OTHER] * 2 + [Source.HUMAN] * 10
    room.tell([meant])
    assert room.sources()[50:] == [Source.HUMAN] * 10
    room.tell([means("s/0", "label", LEFT, start=8, length=41)])  # corrected: that was not meant
    assert room.sources()[50:] == [Source.OTHER] * 10
    room.tell([meant])
    assert room.sources()[50:] == [Source.HUMAN] * 10
    room.tell([undone("s/0", 8, 41)])
    assert room.sources()[50:] == [Source.OTHER] * 10
    assert room.buffer.indices(frozenset({Source.HUMAN})).tolist() == []


def test_steps_that_are_told_before_what_they_mean() -> None:
    room = Room()
    told = episode(drivers=dict.fromkeys(range(50, 60), BY_SKILL))
    room.tell([*told[:52], means("s/0", "skill", ABOVE, start=8, length=41), *told[52:]])
    assert room.sources()[50:] == [Source.HUMAN] * 10
    room.tell([undone("s/0", 8, 41)])
    assert room.sources()[50:] == [Source.OTHER] * 10


# -- taking back -----------------------------------------------------------------------------------------------------

DOINGS = st.sampled_from([("label", (LEFT,)), ("nudge", (CLOSE,)), ("praise", ()), ("blame", ()), ("skill", (ABOVE,))])
SAYINGS = st.lists(
    st.tuples(st.sampled_from(["s/0", "s/1", "s/2"]), DOINGS, st.integers(0, 50), st.integers(1, 40)), max_size=8
)


@settings(max_examples=15, deadline=None)
@given(sayings=SAYINGS, success=st.booleans(), cut=st.integers(1, 60))
def test_taken_back_sentences_leave_a_learner_equal_to_the_bit(
    sayings: list[tuple[str, Any, int, int]], success: bool, cut: int
) -> None:
    """Of the same steps, with and without what was said, and the success that came in between."""
    outcome = Outcome.SUCCESS if success else Outcome.TIME_LIMIT
    end = EpisodeEnd("practice-000000", outcome, 60)
    told = episode(drivers={i: {"driver": Driver.HUMAN} for i in range(10, 14)})
    events = [means(name, doing, *m, start=start, length=n) for name, (doing, m), start, n in sayings]
    back = [undone(name) for name in dict.fromkeys(name for name, *_ in sayings)]
    spoken, silent = Room(), Room()
    spoken.tell([*told[:cut], *events, *told[cut:], end, *back])
    silent.tell([*told, end])
    assert not len(spoken.words.advice)
    for room in (spoken, silent):
        room.learn(4)
    ours, theirs = spoken.learner.state(), silent.learner.state()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert torch.equal(spoken.buffer.sample(64).index, silent.buffer.sample(64).index)


def test_a_run_that_nobody_speaks_to_is_the_same_with_and_without_words() -> None:
    spoken, silent = Room(), Room()
    for room in (spoken, silent):
        room.tell(episode())
    for _ in range(5):
        assert spoken.words.work() is None
        for room in (spoken, silent):
            room.learner.update(room.buffer.sample(16))
    assert all(
        torch.equal(a, b) for a, b in zip(spoken.learner.state().values(), silent.learner.state().values(), strict=True)
    )
    assert spoken.words.save(Path()) == {}


def test_a_corrected_sentence_teaches_as_if_it_had_been_said_so() -> None:
    corrected, plain = Room(), Room()
    corrected.tell([*episode(), means("s/0", "nudge", LEFT), means("s/0", "nudge", CLOSE)])
    plain.tell([*episode(), means("s/0", "nudge", CLOSE)])
    for name in ("numbers", "target", "mask", "weight"):
        ours, theirs = (getattr(room.words.advice.of("s/0"), name) for room in (corrected, plain))
        assert np.array_equal(ours, theirs)


def test_a_discarded_episode_takes_its_advice_along() -> None:
    room = Room()
    room.tell([*episode(), means("s/0", "nudge", LEFT)])
    room.learn(3)
    assert room.words.uptake == {}
    assert len(room.words.advice)
    room.tell([EpisodeEnd("practice-000000", Outcome.DISCARDED, 60), *episode(30, "practice-000001", seed=1)])
    room.learn(3)
    assert not len(room.words.advice)


# -- learning --------------------------------------------------------------------------------------------------------


def test_the_policy_takes_it_up_and_the_speaker_is_told() -> None:
    room = Room(learner=CloningLearner(SHAPES, NetworkConfig(hidden=(64, 64)), DaggerConfig(), seed=0))
    drivers = {i: {"driver": Driver.HUMAN} for i in range(5)}
    room.tell([*episode(drivers=drivers), means("s/0", "nudge", LEFT), means("s/1", "praise", start=0, length=2)])
    assert room.words.uptake == {}
    room.learn(1_001)
    assert list(room.words.uptake) == ["s/0"]
    assert room.words.uptake["s/0"] > 0.6


def test_figures_are_told_now_and_then() -> None:
    room = Room()
    room.tell([*episode(), means("s/0", "nudge", LEFT)])
    told = []
    for _ in range(401):
        figures = room.words.work()
        told += [] if figures is None else [figures]
        room.learner.update(room.buffer.sample(16))
    assert len(told) == 2
    assert set(told[0]) == {"advice_rows", "advice_loss", "uptake", "uptake_200"}
    assert told[0]["advice_rows"] == 24.0


class Knowing:
    """A learner whose critic knows the best action, and whose policy does nothing."""

    def __init__(self, best: Tensor, updates: int) -> None:
        self.best, self.updates, self.policy_updates = best, updates, updates
        self.weights: list[Tensor] = []
        self.targets: list[Tensor] = []

    def advise(
        self, observation: Mapping[str, Tensor], target: Tensor, mask: Tensor, weight: Tensor
    ) -> Mapping[str, Tensor]:
        self.weights.append(weight)
        self.targets.append(target)
        return {"advice_loss": torch.zeros(())}

    def mode(self, observation: Mapping[str, Tensor]) -> Tensor:
        return torch.zeros(len(observation["state"]), ENTRIES)

    def q_values(self, observation: Mapping[str, Tensor], action: Tensor) -> Tensor:
        return -0.1 * (action - self.best).square().sum(dim=1)

    def warm_start(self, batches: Any) -> float: ...
    def warm_critic(self, batches: Any) -> None: ...
    def update(self, batch: Any) -> Any: ...
    def snapshot(self) -> Any: ...
    def averaged(self) -> Any: ...
    def state(self) -> Any: ...
    def load_state(self, state: Any) -> None: ...


@pytest.mark.parametrize(("updates", "dropped"), [(1_999, False), (2_000, True), (5_000, True)])
def test_critics_that_know_drop_wrong_advice_and_keep_what_is_right(updates: int, dropped: bool) -> None:
    """Right: to the left, where the best action lies; wrong: to the right. Entries that nobody meant do not count."""
    found = grounded(LEFT, SPEC.action, View())
    assert found is not None
    direction, _named = found
    best = torch.as_tensor(direction * 0.8)
    learner = Knowing(best, updates)
    room = Room(learner=learner)  # pyright: ignore[reportArgumentType]
    told = [*episode(), means("s/0", "label", LEFT), means("s/1", "label", LEFT.mirrored)]
    room.tell(told)
    learner.policy_updates += 20
    figures = room.words.work()
    weight, target = torch.cat(learner.weights), torch.cat(learner.targets)
    entry = int(np.abs(direction).argmax())
    right = (target[:, entry] * float(np.sign(direction[entry]))) > 0.5
    wrong = (target[:, entry] * float(np.sign(direction[entry]))) < -0.5
    assert bool(right.any())
    assert bool(wrong.any())
    assert bool((weight[right] > 0.0).all())
    assert bool((weight[wrong] == 0.0).all()) == dropped
    if dropped:
        assert figures is not None
        assert 0.2 < figures["advice_kept"] < 0.8


def test_a_learner_that_takes_no_advice_says_so_and_learns_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    class Plain:
        def update(self, batch: Any) -> Any: ...

    room = Room(learner=Plain())  # pyright: ignore[reportArgumentType]
    with caplog.at_level(logging.WARNING):
        room.tell([*episode(), means("s/0", "nudge", LEFT), means("s/1", "praise")])
    assert "Plain takes no advice" in caplog.text
    assert room.buffer.counts[Source.PRAISED] == 40
    assert room.words.work() is None


# -- keeping ---------------------------------------------------------------------------------------------------------


def test_a_run_that_goes_on_learns_on_as_if_it_had_not_ended(tmp_path: Path) -> None:
    """Rows come back by the journal, and what it does not tell by the checkpoint."""
    first = [*episode(), means("s/0", "nudge", LEFT), means("s/1", "blame", start=30, length=5)]
    more = [
        *episode(30, "practice-000001", seed=1),
        means("s/2", "nudge", CLOSE, start=0, length=30, name="practice-000001"),
    ]
    live, resumed = Room(), Room()
    live.tell(first)
    live.learn(210)
    live.tell(more)
    live.learn(30)
    kept = dict(live.words.save(tmp_path))
    resumed.tell([*first, *more])
    resumed.learner.load_state(live.learner.state())
    resumed.buffer.load_state(live.buffer.state())
    resumed.words.load(kept)
    assert resumed.words.uptake == live.words.uptake != {}
    for room in (live, resumed):
        room.learn(220)
    assert resumed.words.uptake == live.words.uptake
    assert set(live.words.uptake) == {"s/0", "s/2"}
    ours, theirs = live.learner.state(), resumed.learner.state()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_was_said_after_the_checkpoint_counts_as_said_now(tmp_path: Path) -> None:
    live, resumed = Room(), Room()
    told = [*episode(), means("s/0", "nudge", LEFT)]
    live.tell(told)
    live.learn(50)
    kept = live.words.save(tmp_path)
    resumed.tell([*told, means("s/0", "nudge", CLOSE), means("s/1", "nudge", LEFT)])
    resumed.learner.load_state(live.learner.state())
    resumed.words.load(kept)
    assert [rows.born for s in ("s/0", "s/1") if (rows := resumed.words.advice.of(s))] == [50, 50]


def test_nothing_is_made_up_for_of_what_was_learned_before_anybody_spoke() -> None:
    learner = Knowing(torch.zeros(ENTRIES), 2_400)
    room = Room(learner=learner)  # pyright: ignore[reportArgumentType]
    room.words.load({})
    room.tell([*episode(), means("s/0", "label", LEFT)])
    assert room.words.work() is None
    assert not learner.weights
    learner.policy_updates += 3
    room.words.work()
    assert len(learner.weights) == 3


def test_damaged_parts_of_a_checkpoint_are_refused(tmp_path: Path) -> None:
    room = Room()
    room.tell([*episode(), means("s/0", "nudge", LEFT)])
    kept = dict(room.words.save(tmp_path))
    with pytest.raises(CheckpointError, match="words"):
        room.words.load(kept | {"words.said": kept["words.said"][:-3]})
    with pytest.raises(CheckpointError, match="words"):
        room.words.load({"words.said": kept["words.said"]})


@pytest.mark.parametrize("wrong", [{"weight": 1.5}, {"lasts": 0}, {"since": 0.2}, {"reach": -1.0}, {"batch_size": 0}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="words"):
        WordsConfig(**wrong)


def test_events_of_other_kinds_are_not_its_own() -> None:
    room = Room()
    events: list[Event] = [Feedback(FeedbackKind.SUCCESS, "someone", 1.0, Segment("practice-000000", 0, 5))]
    room.tell([*episode(), *events])
    assert room.words.save(Path()) == {}
