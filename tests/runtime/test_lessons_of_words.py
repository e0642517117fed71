"""Sentences on their way to the learner: from meanings to actions, and from a journal as from a live run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

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
    Step,
)
from robot_rlhf.errors import LinkError
from robot_rlhf.facts import FactBook
from robot_rlhf.journal.labels import LabelWriter, read_labels
from robot_rlhf.journal.reader import replay_into
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.learner.words import Words
from robot_rlhf.meaning import Meaning
from robot_rlhf.policy.networks import NetworkConfig, Shapes
from robot_rlhf.ports import Subscriber
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.run.settings import defaults_for
from robot_rlhf.run.trainer import build_learning
from robot_rlhf.runtime.exchange import NEWS, LearnerNews, read_news, write_news
from robot_rlhf.runtime.fan_out import FanOut
from robot_rlhf.runtime.grounding import SpokenOf
from robot_rlhf.runtime.named_recording import NamedRecording
from robot_rlhf.runtime.offline import JudgedFeed, learn_offline
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.skills.nudges import USUAL_TURN, USUAL_WAY
from tests.journal.sessions import ACTIONS, make_observation, make_spec

SPEC = make_spec()
HANDS = SpokenOf(SPEC, lambda: FactBook.of_robot(SPEC))
LEFT = Meaning("left")


def a_view(seed: int = 0, **more: Any) -> Observation:
    return replace(make_observation(SPEC, np.random.default_rng(seed), 1.0), **more)


# -- meanings as actions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("meaning", "share"),
    [
        (LEFT, 1.0),
        (replace(LEFT, amount=USUAL_WAY), 1.0),
        (replace(LEFT, amount=2 * USUAL_WAY), 1.0),
        (replace(LEFT, amount=USUAL_WAY / 4), 0.25),
        (Meaning("turn_left", amount=USUAL_TURN / 2), 0.5),
    ],
)
def test_a_short_way_asks_for_less(meaning: Meaning, share: float) -> None:
    found = HANDS.nudge(meaning, a_view())
    assert found is not None
    direction, mask = found
    assert np.abs(direction).max() == pytest.approx(share)
    assert not direction[~mask].any()


def test_fingers_are_a_bit_and_a_rule_is_no_motion() -> None:
    found = HANDS.nudge(Meaning("close"), a_view())
    assert found is not None
    assert found[0].tolist() == [0.0, 0.0, 0.0, 0.0, -1.0]
    assert HANDS.nudge(Meaning("good"), a_view()) is None


def test_a_skill_is_asked_what_it_would_do_there() -> None:
    pose = np.array([0.4, 0.0, 0.3, 0.0, 1.0, 0.0, 0.0], np.float32)
    cube = np.array([0.5, 0.1, 0.02, 1.0, 0.0, 0.0, 0.0], np.float32)
    seen = a_view(tool_pose_in_base=pose, tool_target_in_base=pose, scene={"cube": cube})
    action = HANDS.skill(Meaning("goal", skill="above", thing="cube"), seen)
    assert action is not None
    assert action[0] > 0.1
    assert action[1] > 0.1
    assert HANDS.skill(Meaning("goal", skill="above", thing="moon"), seen) is None


def test_a_rule_holds_where_the_thing_is_and_facts_are_asked_for_once() -> None:
    asked: list[int] = []

    def facts() -> FactBook:
        asked.append(1)
        return FactBook.of_robot(SPEC)

    hands = SpokenOf(SPEC, facts)
    assert not asked
    cube = np.array([0.5, 0.0, 0.1, 1.0, 0.0, 0.0, 0.0], np.float32)
    poses = [np.array([x, 0.0, 0.1, 0.0, 1.0, 0.0, 0.0], np.float32) for x in (0.42, 0.3, -0.5)]
    seen = [a_view(tool_pose_in_base=p, tool_target_in_base=p, scene={"cube": cube}) for p in poses]
    towards = np.tile(np.array([1.0, 0.0, 0.0, 0.0, 1.0], np.float32), (3, 1))
    ruled = hands.rules([Meaning("rule", rule="keep_away", thing="cube"), LEFT], seen, towards)
    assert ruled is not None
    assert ruled.in_scope.tolist() == [True, False, False]
    assert ruled.near.tolist() == [False, True, False]
    assert ruled.actions[0, 0] < 1.0
    assert (ruled.actions[1:] == towards[1:]).all()
    assert hands.rules([LEFT], seen, towards) is None
    for _ in range(2):
        hands.nudge(LEFT, seen[0])
    assert len(asked) == 1


# -- live and from a journal -----------------------------------------------------------------------------------------


def means(
    sentence: str, doing: str, *meanings: Meaning, episode: int = 0, start: int = 5, length: int = 40
) -> Feedback:
    told = {"sentence": sentence, "by": "grammar", "meanings": [m.to_json() for m in meanings], "doing": doing}
    span = Segment(f"practice-{episode:06d}", start, length)
    return Feedback(FeedbackKind.MEANING, "someone", 1.0, span, text="so", payload=told)


class Teaching:
    """Replay and words of a learner that nobody changes."""

    def __init__(self) -> None:
        self.buffer = ReplayBuffer(500, state_size=7, action_size=len(ACTIONS), discount=0.9)
        self.feed = ReplayFeed(self.buffer, lambda seen: {"state": seen.joint_position})
        shapes = Shapes(state=7, action=len(ACTIONS), gripper=4)
        self.learner = SacLearner(shapes, NetworkConfig(hidden=(8,)), SacConfig(), seed=0)
        self.words = Words(self.learner, self.buffer, HANDS, SPEC.action)

    def taught(self) -> dict[str, Any]:
        advice = {s: self.words.advice.of(s) for s in ("s/0", "s/1", "s/2", "s/3")}
        rows = {s: (r.numbers.tolist(), r.target.tolist(), r.mask.tolist()) for s, r in advice.items() if r is not None}
        index = self.buffer.indices()
        return {"advice": rows, "sources": self.buffer.gather(index).source.tolist(), "rows": index.tolist()}


def session(*listeners: Subscriber) -> None:
    """Two episodes: a sentence while steps go on, one right after the last step, praise, and one that is taken back."""
    told, rng = FanOut(listeners), np.random.default_rng(0)
    events: dict[tuple[int, int], list[Event]] = {
        (0, 45): [means("s/0", "nudge", LEFT), means("s/1", "praise", start=20, length=10)],
        (1, 49): [means("s/2", "label", Meaning("close"), episode=1, start=9, length=41)],
        (1, 30): [means("s/3", "nudge", LEFT, start=9, length=41)],  # about the episode before
    }
    for number in range(2):
        seen = [make_observation(SPEC, rng, 100.0 * number + 0.05 * i) for i in range(51)]
        meta = EpisodeMeta(f"practice-{number:06d}", "task", EpisodeKind.PRACTICE, 0, "someone", "task_success@1")
        told.on_episode_start(meta, seen[0])
        for i in range(50):
            action = Action(rng.uniform(-0.5, 0.5, len(ACTIONS)).astype(np.float32))
            spoken: dict[str, Any] = {}
            if number == 0 and i > 45:
                share = np.array([1, 1, 0, 0, 0], np.float32)
                spoken = {"driver": Driver.HUMAN, "spoken": "s/0", "authority": share}
            step = Step(i, seen[i], action, action, Driver.POLICY, 0.0, False, i == 49, 1, "", seen[i + 1])
            told.on_step(replace(step, **spoken))
            for event in events.get((number, i), []):
                told.on_event(event)
        told.on_episode_end(EpisodeEnd(meta.id, Outcome.TIME_LIMIT, 50))


def recorded(folder: Path) -> tuple[Path, Teaching]:
    """The session's journal, and what it taught as it happened."""
    live = Teaching()
    with JournalWriter(folder / "journal", SPEC) as writer:
        session(writer, live.feed, live.words)
    assert len(live.taught()["advice"]) == 3
    return folder / "journal", live


def resumed(journal: Path) -> Teaching:
    again = Teaching()
    replay_into(journal, FanOut([again.feed, again.words]))
    return again


def from_recording(journal: Path) -> Teaching:
    """As `offline` and prior recordings are read, whose last step waits for the judgement of its episode."""
    again = Teaching()
    replay_into(journal, JudgedFeed(again.feed, read_labels(journal), SparseReward(), after=[again.words]))
    return again


def test_a_journal_teaches_what_the_live_run_taught(tmp_path: Path) -> None:
    journal, live = recorded(tmp_path)
    for again in (resumed(journal), from_recording(journal)):
        ours, theirs = again.taught(), live.taught()
        assert ours["rows"] == theirs["rows"]
        assert ours["sources"] == theirs["sources"]
        assert ours["advice"].keys() == theirs["advice"].keys()
        for sentence, (numbers, target, mask) in theirs["advice"].items():
            assert ours["advice"][sentence][0] == numbers
            assert ours["advice"][sentence][2] == mask
            np.testing.assert_allclose(ours["advice"][sentence][1], target, atol=1e-6)


def test_what_is_said_of_a_recording_later_counts(tmp_path: Path) -> None:
    """A reading that was corrected, a sentence taken back, and an episode that was deleted."""
    journal, _ = recorded(tmp_path)
    with LabelWriter(journal) as writer:
        writer.give(means("s/0", "label", Meaning("close")))
        writer.give(means("s/1", "undone"))
        writer.give(Feedback(FeedbackKind.DISCARD, "someone", 1.0, Segment("practice-000001", 0, 50), value=1.0))
    for again in (resumed(journal), from_recording(journal)):
        again.words.advice.forget_gone(again.buffer)
        advice, sources = again.taught()["advice"], again.taught()["sources"]
        assert set(advice) == {"s/0", "s/3"}  # the last one is about the episode before
        assert all(target[4] == -1.0 for target in advice["s/0"][1])
        assert sources == [0] * 46 + [4] * 4  # nudges are nobody's


def test_sentences_of_two_recordings_are_two(tmp_path: Path) -> None:
    """Both have an episode practice-000000, and a sentence of the same name in it."""
    journal, live = recorded(tmp_path)
    again = Teaching()
    for name in ("prior 0", "prior 1"):
        told = NamedRecording(name, again.words)
        replay_into(journal, JudgedFeed(again.feed, read_labels(journal), SparseReward(), after=[told]))
    rows = {name: again.words.advice.of(name) for name in ("prior 0:s/0", "prior 1:s/0")}
    first, second = (given.numbers.tolist() for given in rows.values() if given is not None)
    assert first == live.taught()["advice"]["s/0"][0]
    assert [number - first[0] for number in first] == [number - second[0] for number in second]
    assert second[0] > first[-1]
    session(FanOut([again.feed, again.words]))
    again.words.on_event(means("s/0", "undone"))
    assert again.words.advice.of("s/0") is None
    assert [given.numbers.tolist() for name in rows if (given := again.words.advice.of(name))] == [first, second]


def test_offline_learns_from_sentences_between_updates(tmp_path: Path) -> None:
    journal, _ = recorded(tmp_path)
    spoken, silent = from_recording(journal), from_recording(journal)
    figures: list[Any] = []
    ours = learn_offline(
        spoken.learner, spoken.buffer, 204, 8, between=spoken.words.work, on_metrics=lambda _, m: figures.append(m)
    )
    for updates in (ours, learn_offline(silent.learner, silent.buffer, 204, 8)):
        assert list(updates)[-1] == 204
    assert any("advice_rows" in told for told in figures)
    assert spoken.words.uptake
    a, b = (room.learner.actor.state_dict() for room in (spoken, silent))
    assert not all(torch.equal(a[name], b[name]) for name in a)


# -- in a run --------------------------------------------------------------------------------------------------------


def test_a_run_has_it_unless_it_is_told_not_to() -> None:
    config = defaults_for("reach")
    learning = build_learning(config, SPEC)
    assert learning.words in learning.trainer.tutors
    assert learning.words is not None
    assert learning.words.config == config.words
    deaf = build_learning(replace(config, words=replace(config.words, teaches=False)), SPEC)
    assert deaf.words is None


def test_news_tell_what_was_taken_up(tmp_path: Path) -> None:
    said = LearnerNews(1, 2.0, 3, 4, 5, "learning", 6.0, 7.0, 0.5, alarm=False, uptake={"e/0": 0.7, "e/1": -0.1})
    write_news(tmp_path, said)
    assert read_news(tmp_path) == said
    text = (tmp_path / NEWS).read_text()
    for wrong in ('{"e/0": NaN}', '{"e/0": "much"}', "7"):
        (tmp_path / NEWS).write_text(text.replace('{"e/0": 0.7, "e/1": -0.1}', wrong))
        with pytest.raises(LinkError, match="not what a learner writes"):
            read_news(tmp_path)
