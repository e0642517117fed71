"""A reward that learns from comparisons as they are told, and the simulated teacher who gives them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from robot_rlhf.conformance import sample_meta, sample_steps
from robot_rlhf.datatypes import (
    EpisodeEnd,
    EpisodeKind,
    Feedback,
    FeedbackKind,
    Observation,
    Outcome,
    Segment,
)
from robot_rlhf.errors import ConfigError
from robot_rlhf.learner.reward_data import part_preferences
from robot_rlhf.learner.reward_training import RewardTraining
from robot_rlhf.rewards.labelers.oracle import Teacher
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.rewards.network import RewardConfig, RewardInputs
from robot_rlhf.runtime.preference_learning import (
    PreferenceLearner,
    PreferenceLearning,
    SimulatedTeacher,
    TeacherConfig,
)
from tests.journal.sessions import make_spec

SPEC = make_spec()


def place(observation: Observation) -> dict[str, np.ndarray]:
    return {"state": observation.tool_pose_in_base[:3].astype(np.float32)}


def a_learner(every: int = 5) -> PreferenceLearner:
    model = LearnedReward(RewardInputs(3), RewardConfig(members=2, hidden=(16,)), seed=0, reads="preference")
    training = RewardTraining(updates=60, review_every=20)
    return PreferenceLearner(model, place, PreferenceLearning(every=every, training=training), seed=0)


def live(listeners: list[PreferenceLearner | SimulatedTeacher], number: int, count: int = 24) -> str:
    """One practice episode whose true reward is how far the tool is along x."""
    meta = sample_meta(number)
    steps = sample_steps(SPEC, count, number)
    for listener in listeners:
        listener.on_episode_start(meta, steps[0].observation)
        for step in steps:
            listener.on_step(replace(step, gold_reward=float(step.next_observation.tool_pose_in_base[0])))
        listener.on_episode_end(EpisodeEnd(meta.id, Outcome.TIME_LIMIT, count))
    return meta.id


def said(left: Segment, right: Segment, value: float | None, author: str = "ada") -> Feedback:
    return Feedback(FeedbackKind.PREFERENCE, author, 0.0, left, value, other=right)


def test_it_learns_when_enough_comparisons_are_new() -> None:
    learner = a_learner(every=3)
    name = live([learner], 0)
    parts = [Segment(name, start, 4) for start in (0, 4, 8, 12)]
    for k, (left, right) in enumerate(itertools.pairwise(parts)):
        assert learner.work() is None
        learner.on_event(said(left, right, float(k % 2)))
    beats: list[int] = []
    assert learner.work(lambda: beats.append(1)) == learner.figures()
    assert beats
    assert (learner.model.version, learner.model.trained) == (1, ("preference",))
    assert learner.figures()["reward_labels"] == 3.0
    assert learner.work() is None


def test_ties_and_labels_of_episodes_that_are_gone_wait() -> None:
    learner = a_learner(every=1)
    name = live([learner], 0)
    learner.on_event(said(Segment(name, 0, 4), Segment(name, 4, 4), 0.5))
    assert learner.work() is None
    learner.on_event(said(Segment("long-gone", 0, 4), Segment(name, 4, 4), 1.0))
    assert learner.work() is None
    assert learner.model.version == 0


def test_labels_that_all_measure_wait_for_one_that_teaches() -> None:
    """Which pairs measure hangs on the pair alone: the first ones may all be among them."""
    waited = 0
    for shift in range(12):
        learner = a_learner(every=1)
        name = live([learner], 0)
        told = said(Segment(name, shift, 4), Segment(name, shift + 5, 4), 1.0)
        learner.on_event(told)
        _, measuring = part_preferences([told], learner.config.training.held_out_share)
        assert (learner.work() is None) is bool(measuring)
        waited += len(measuring)
    assert 0 < waited < 12


def test_the_last_answer_about_a_pair_stands_also_the_other_way_round() -> None:
    learner = a_learner()
    a, b = Segment("e", 0, 4), Segment("e", 4, 4)
    learner.on_event(said(a, b, 1.0))
    learner.on_event(said(b, a, None))
    assert [f.value for f in learner.labels.values()] == [None]


def test_evaluation_and_discarded_episodes_are_not_kept() -> None:
    learner = a_learner()
    steps = sample_steps(SPEC, 3, 0)
    for kind, outcome in ((EpisodeKind.EVALUATION, Outcome.SUCCESS), (EpisodeKind.PRACTICE, Outcome.DISCARDED)):
        meta = replace(sample_meta(1), kind=kind)
        learner.on_episode_start(meta, steps[0].observation)
        for step in steps:
            learner.on_step(step)
        learner.on_episode_end(EpisodeEnd(meta.id, outcome, 3))
    assert not learner.trajectories


def test_a_perfect_teacher_teaches_what_is_better() -> None:
    """After the labels the reward orders segments that were never compared."""
    learner = a_learner(every=40)
    config = TeacherConfig(labeler="oracle", budget=120, pairs=60, every=10, length=4, newest=100)
    teacher = SimulatedTeacher(config, learner, lambda: 0.0, seed=0)
    for number in range(30):
        live([learner, teacher], number)
    for _ in range(3):
        for answer in teacher.round():
            assert answer.author == "oracle"
            for listener in (learner, teacher):
                listener.on_event(answer)
        learner.work()
        live([learner, teacher], 30 + _)
    assert len(learner.labels) == 120, "the budget"
    assert learner.model.version == 2
    fresh = a_learner()
    names = [live([fresh], number) for number in range(100, 110)]
    gold = {
        n: [s.next_observation.tool_pose_in_base[0] for s in sample_steps(SPEC, 24, k)]
        for k, n in zip(range(100, 110), names, strict=True)
    }
    learner.trajectories.extend(fresh.trajectories)
    pairs = [(Segment(a, 0, 4), Segment(b, 8, 4)) for a in names for b in names if a != b]
    left_better = learner.probabilities(pairs).mean(axis=0) > 0.5
    truth = [sum(gold[a.episode_id][0:4]) > sum(gold[b.episode_id][8:12]) for a, b in pairs]
    assert np.mean(left_better == np.array(truth)) > 0.8


def test_rounds_keep_their_distance_and_ask_no_pair_twice() -> None:
    learner = a_learner()
    config = TeacherConfig(labeler="oracle", budget=30, pairs=4, every=50, length=4, teacher=Teacher(mistakes=1.0))
    teacher = SimulatedTeacher(config, learner, lambda: 0.0, seed=0)
    live([learner, teacher], 0)
    first = teacher.round()
    assert len(first) == 4
    assert first[0].author == "oracle mistakes=1"
    assert teacher.round() == [], "24 steps since the last one"
    for answer in first:
        learner.on_event(answer)
        teacher.on_event(answer)
    for number in range(1, 4):
        live([learner, teacher], number)
    second = teacher.round()
    asked = {frozenset((f.span, f.other)) for f in first}
    assert not asked & {frozenset((f.span, f.other)) for f in second}


@pytest.mark.parametrize("name", ["budget", "pairs", "every", "length", "newest"])
def test_a_teacher_needs_something_to_ask(name: str) -> None:
    with pytest.raises(ConfigError, match=f"teacher.{name}"):
        TeacherConfig(**{name: 0})  # type: ignore[arg-type]


def test_pictures_are_bounded_and_compared_episodes_stay_longest(caplog: pytest.LogCaptureFixture) -> None:
    def picture(observation: Observation) -> dict[str, np.ndarray]:
        return {**place(observation), "front": np.zeros((100, 100, 3), np.uint8)}  # 25 of them: 0.75 MB

    model = a_learner().model
    learner = PreferenceLearner(model, picture, PreferenceLearning(megabytes=4), seed=0)
    names = [live([learner], number) for number in range(3)]
    learner.on_event(said(Segment(names[0], 0, 4), Segment(names[2], 4, 4), 1.0))
    names += [live([learner], number) for number in range(3, 8)]
    kept = [trajectory.id for trajectory in learner.trajectories]
    assert kept == [names[0], names[2], *names[5:]]
    assert learner.let_go == 0
    for number in range(5, 8):
        learner.on_event(said(Segment(names[number], 0, 4), Segment(names[number], 4, 4), 0.0))
    names.append(live([learner], 8))
    kept = [trajectory.id for trajectory in learner.trajectories]
    assert kept == [names[2], *names[5:]], "all are compared: the oldest goes"
    assert learner.let_go == 1
    assert "compared episodes are given up" in caplog.text
