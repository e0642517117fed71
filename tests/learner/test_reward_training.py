"""Rewards learn what is there to learn, measure themselves on what they did not see, and say what is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from robot_rlhf.datatypes import Feedback, FeedbackKind, Segment
from robot_rlhf.errors import ConfigError, ShapeError
from robot_rlhf.learner.reward_calibration import LEAST, calibrate, choose_threshold
from robot_rlhf.learner.reward_data import Moments, Pairs, part_preferences, segment_returns, split_episodes
from robot_rlhf.learner.reward_lessons import (
    PreferenceLesson,
    ProgressConfig,
    ProgressLesson,
    Show,
    SuccessConfig,
    SuccessLesson,
    progress_targets,
    success_rows,
)
from robot_rlhf.learner.reward_training import RewardTraining, first_held, train_reward
from robot_rlhf.policy.networks import EnsembleLinear
from robot_rlhf.rewards.model import Calibration, LearnedReward
from robot_rlhf.rewards.network import RewardConfig, RewardInputs
from robot_rlhf.rewards.trajectory import Trajectory
from tests.learner.reward_walks import SIZE, labels, walk, walks

SMALL = RewardConfig(members=2, hidden=(32,))
QUICK = RewardTraining(updates=300, batch_size=64, review_every=50)
STATE = RewardInputs(3)


def model(inputs: RewardInputs = STATE, config: RewardConfig = SMALL, seed: int = 0) -> LearnedReward:
    return LearnedReward(inputs, config, seed=seed)


# -- rows --------------------------------------------------------------------------------------------------------------


def test_a_row_is_an_observation_with_the_action_that_led_there() -> None:
    trajectories = walks(2, 1)
    moments = Moments(trajectories, RewardInputs(3, action=1))
    assert len(moments) == sum(len(t) + 1 for t in trajectories)
    second = trajectories[1]
    observation, action, sentences = moments.take(moments.rows(second))
    np.testing.assert_array_equal(observation["state"].numpy(), second.observations["state"])
    assert action is not None
    np.testing.assert_array_equal(action.numpy()[1:], second.actions)
    assert action[0].item() == 0.0
    assert sentences == ["go right"] * (len(second) + 1)


def test_a_segment_is_about_where_its_steps_led() -> None:
    trajectories = walks(3, 0)
    moments = Moments(trajectories, STATE)
    rows = moments.segment(Segment("walk-1", 2, 4))
    assert rows is not None
    state = moments.take(rows)[0]["state"].numpy()
    np.testing.assert_array_equal(state, trajectories[1].observations["state"][3:7])
    assert moments.segment(Segment("walk-1", 0, len(trajectories[1]))) is not None
    assert moments.segment(Segment("walk-1", 1, len(trajectories[1]))) is None
    assert moments.segment(Segment("deleted", 0, 1)) is None


def test_pictures_are_taken_where_they_lie() -> None:
    trajectories = walks(2, 0, pictures=True)
    moments = Moments(trajectories, RewardInputs(3, {"front": (SIZE, SIZE)}))
    rows = np.concatenate([moments.rows(trajectories[1])[:2], moments.rows(trajectories[0])[-1:]])
    pictures = moments.take(rows)[0]["front"].numpy()
    expected = [*trajectories[1].observations["front"][:2], trajectories[0].observations["front"][-1]]
    np.testing.assert_array_equal(pictures, np.stack(expected))


def test_what_a_reward_cannot_look_at_is_named() -> None:
    with pytest.raises(ShapeError, match=r"walk-0.*state.*\(T \+ 1, 4\)"):
        Moments(walks(1, 0), RewardInputs(4))
    with pytest.raises(ConfigError, match=r"front.*missing"):
        Moments(walks(1, 0), RewardInputs(3, {"front": (SIZE, SIZE)}))
    twice = walks(1, 0)
    with pytest.raises(ConfigError, match="same id"):
        Moments([*twice, *twice], STATE)


def test_splits_keep_episodes_whole_and_outcomes_alike() -> None:
    rng = np.random.default_rng(0)
    parts = [replace(t, id=f"{t.id}+01") for t in walks(10, 10)]
    trajectories = [*walks(10, 10), *parts]
    learn, adjust, held_out = split_episodes(trajectories, (0.2, 0.3), rng)
    assert sorted(t.id for t in [*learn, *adjust, *held_out]) == sorted(t.id for t in trajectories)
    names = [{t.id.partition("+")[0] for t in part} for part in (learn, adjust, held_out)]
    assert [len(x) for x in names] == [10, 4, 6]
    assert not names[0] & names[1]
    assert not names[1] & names[2]
    assert sum(t.success is True for t in held_out) == sum(t.success is False for t in held_out) == 6


def test_success_rows_leave_a_gap_out_and_unjudged_episodes() -> None:
    rng = np.random.default_rng(0)
    trajectories = [walk("a", rng, steps=10), walk("b", rng, success=False, steps=5), walk("c", rng, success=None)]
    moments = Moments(trajectories, STATE)
    positive, negative = success_rows(moments, trajectories, SuccessConfig(frames=2, gap=3))
    assert positive.tolist() == [9, 10]
    assert negative.tolist() == [*range(6), *range(11, 17)]


def test_pairs_of_different_lengths_are_summed_over_their_own_steps() -> None:
    trajectories = walks(2, 0)
    moments = Moments(trajectories, STATE)
    long, short = Segment("walk-0", 0, 7), Segment("walk-1", 3, 2)
    told = [
        Feedback(FeedbackKind.PREFERENCE, "x", 0.0, long, 1.0, other=short),
        Feedback(FeedbackKind.PREFERENCE, "x", 1.0, long, None, other=Segment("walk-1", 4, 2)),
        Feedback(FeedbackKind.PREFERENCE, "x", 2.0, long, 0.0, other=Segment("gone", 4, 2)),
    ]
    pairs = Pairs.of(told, moments)
    assert len(pairs) == 1
    assert pairs.unusable == 1
    net = model()
    returns = segment_returns(net, moments, pairs.right)
    state = torch.tensor(trajectories[1].observations["state"][4:6])
    by_hand = net.forward({"state": state}).preference.sum(dim=1, keepdim=True).detach().numpy()
    np.testing.assert_allclose(returns, by_hand, rtol=1e-5, atol=1e-6)
    lesson = PreferenceLesson(Show(moments, 0, 0), pairs, QUICK.preference, pictures=False)
    steps = lesson._returns(net, np.stack([pairs.right] * 2), np.random.default_rng(0))
    torch.testing.assert_close(steps.sum(dim=-1).detach(), torch.from_numpy(returns), rtol=1e-5, atol=1e-6)


# -- learning ----------------------------------------------------------------------------------------------------------


def test_progress_orders_time_and_tells_failures() -> None:
    net = model()
    report = train_reward(net, walks(20, 10), ["progress"], QUICK, seed=0)
    assert report.progress is not None
    assert report.progress.voc > 0.95
    assert report.progress.auc > 0.95
    assert (report.progress.successes, report.progress.failures) == (4, 2)
    assert net.version == 1
    assert net.trained == ("progress",)
    assert net.instruction == "go right"


def test_progress_reads_the_sentence() -> None:
    right = walks(12, 0)
    left = [
        replace(
            t,
            id=f"left-{t.id}",
            instruction="go left",
            observations={"state": t.observations["state"] * np.array([-1.0, 1.0, 1.0], np.float32)},
        )
        for t in walks(12, 0, seed=1)
    ]
    net = model(config=replace(SMALL, text=8))
    report = train_reward(net, [*right, *left], ["progress"], replace(QUICK, updates=600), seed=0)
    assert report.progress is not None
    assert report.progress.other_text_lower.rate >= 0.9
    assert report.progress.other_text_lower.total > 0
    assert net.unknown_words("go left now") == ["now"]


@pytest.mark.parametrize(("mistakes", "least"), [(0.0, 0.9), (0.1, 0.8)])
def test_preferences_are_learned_from_noisy_labels(mistakes: float, least: float) -> None:
    trajectories = walks(10, 10)
    told = labels(trajectories, 200, 1, mistakes=mistakes)
    config = replace(QUICK, updates=100)  # more of them learn the mistakes by heart
    net = model()
    report = train_reward(net, trajectories, ["preference"], config, seed=0, preferences=told)
    assert report.preference is not None
    assert (report.preference.pairs, report.preference.ties, report.preference.unusable) == (200, 0, 0)
    assert 25 <= report.preference.held_out.total <= 55, "about a fifth"
    truth = labels(trajectories, 200, 2)
    pairs = Pairs.of(truth, Moments(trajectories, STATE))
    moments = Moments(trajectories, STATE)
    left, right = (segment_returns(net, moments, x).mean(axis=0) for x in (pairs.left, pairs.right))
    assert ((left > right) == (pairs.target > 0.5)).mean() > least


def test_preferences_stop_when_they_are_learned() -> None:
    trajectories = walks(10, 10)
    report = train_reward(
        model(), trajectories, ["preference"], QUICK, seed=0, preferences=labels(trajectories, 100, 2)
    )
    assert report.updates < QUICK.updates
    assert report.preference is not None
    assert report.preference.accuracy.rate > 0.97


def test_contradicting_preferences_are_named() -> None:
    trajectories = walks(3, 0)
    a, b, c = (Segment(t.id, 0, 5) for t in trajectories)
    told = [
        Feedback(FeedbackKind.PREFERENCE, "x", 0.0, better, 1.0, other=worse)
        for better, worse in [(a, b), (b, c), (c, a)]
    ]
    config = replace(QUICK, updates=2, held_out_share=0.0)
    report = train_reward(model(), trajectories, ["preference"], config, seed=0, preferences=told)
    assert report.preference is not None
    (rounds,) = report.preference.contradictions
    assert {f"walk-{i}[0:5]" for i in range(3)} <= set(rounds.split(" > "))


def test_success_is_told_apart_with_a_threshold_from_other_episodes() -> None:
    net = model()
    report = train_reward(net, walks(30, 30), ["success"], QUICK, seed=0).success
    assert report is not None
    assert report.auc > 0.99
    assert report.frames.false_positive_rate.rate <= 0.02
    assert report.frames.recall.rate >= 0.8
    assert report.episodes.false_positive_rate.hits == 0
    assert report.positives == 18
    assert net.calibration == report.calibration
    assert net.reads == "success"


def test_a_pair_that_measures_never_teaches_however_many_come_later() -> None:
    """A model that goes on learning, with labels that are added, is measured by none that it has learned from."""
    told = labels(walks(10, 10), 200, 1)
    (teach, measure), (teach_later, measure_later) = part_preferences(told[:80], 0.2), part_preferences(told, 0.2)
    assert [f for f in teach_later if f in teach] == teach
    assert [f for f in measure_later if f in measure] == measure
    assert len(teach_later) + len(measure_later) == len(told)
    assert 8 <= len(measure) <= 24


def test_nothing_is_learned_from_pairs_about_an_episode_that_measures() -> None:
    trajectories = walks(10, 10)
    told = labels(trajectories, 200, 1)
    apart = {trajectories[0].id, trajectories[13].id}
    teach, measure = part_preferences(told, 0.0, apart)
    for feedback in teach + measure:
        assert feedback.other is not None
        about = {feedback.span.episode_id, feedback.other.episode_id}
        assert (feedback in measure) == bool(about & apart)
    assert measure
    report = train_reward(
        model(), trajectories, ["preference", "success"], RewardTraining(updates=2), seed=0, preferences=told
    )
    alone = train_reward(model(), trajectories, ["preference"], RewardTraining(updates=2), seed=0, preferences=told)
    assert report.preference is not None
    assert alone.preference is not None
    assert report.preference.pairs == alone.preference.pairs == 200
    assert report.preference.held_out.total > alone.preference.held_out.total


def part(name: str, begins_at: int, steps: int, *, success: bool | None = None) -> Trajectory:
    return replace(walk(name, np.random.default_rng(0), steps=steps, success=success), begins_at=begins_at)


def targets_of(*parts: Trajectory) -> dict[str, list[float]]:
    """In steps of the whole, which is 12 steps long."""
    return {t.id: np.round(12 * target, 4).tolist() for t, target in progress_targets(parts)}


def test_progress_goes_on_where_a_paused_episode_was_left() -> None:
    parts = [part("a", 0, 4), part("a+01", 4, 8, success=True)]
    others = [part("b", 0, 5), part("c", 0, 5, success=False)]
    assert targets_of(*parts, *others) == {"a": [0, 1, 2, 3, 4], "a+01": [4, 5, 6, 7, 8, 9, 10, 11, 12]}
    assert targets_of(part("d", 0, 12, success=True)) == {"d": list(range(13))}


def test_what_a_rewind_has_undone_is_no_progress() -> None:
    once = [part("a", 0, 10), part("a+01", 4, 8, success=True)]
    assert targets_of(*once) == {"a": [0, 1, 2, 3, 4], "a+01": [4, 5, 6, 7, 8, 9, 10, 11, 12]}
    twice = [part("a", 0, 10), part("a+01", 4, 3), part("a+02", 2, 10, success=True)]
    assert targets_of(*twice) == {"a": [0, 1, 2], "a+02": [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]}
    lesson = ProgressLesson(Show(Moments(once, STATE), 0, 0), once, ProgressConfig(), 4, reads_text=False)
    assert float(lesson.loss(model(), np.random.default_rng(0)).detach()) > 0.0


def test_heads_are_learned_together() -> None:
    trajectories = walks(20, 10)
    net = model()
    told = labels(trajectories, 50, 1)
    report = train_reward(net, trajectories, ["progress", "preference", "success"], QUICK, seed=0, preferences=told)
    assert report.progress is not None
    assert report.preference is not None
    assert report.success is not None
    assert report.progress.voc > 0.9
    assert report.preference.held_out.rate > 0.8
    assert report.success.auc > 0.95
    assert net.trained == ("progress", "preference", "success")
    train_reward(net, trajectories, ["progress"], replace(QUICK, updates=2), seed=0)
    assert net.trained == ("progress",)  # the trunk moved: the others are forgotten
    assert net.version == 2


def test_pictures_are_learned_from() -> None:
    inputs = RewardInputs(0, {"front": (SIZE, SIZE)})
    net = model(inputs, replace(SMALL, image_latent=16))
    trajectories = [replace(t, observations={"front": t.observations["front"]}) for t in walks(10, 5, pictures=True)]
    config = replace(QUICK, updates=120, batch_size=24, shift_pixels=1)
    report = train_reward(net, trajectories, ["progress"], config, seed=0)
    assert report.progress is not None
    assert report.progress.voc > 0.9
    told = labels(walks(10, 5, pictures=True), 60, 1)
    quick = replace(config, updates=20, preference=replace(config.preference, pairs=4, picture_steps=2))
    report = train_reward(net, trajectories, ["preference"], quick, seed=0, preferences=told)
    assert report.preference is not None
    assert report.preference.accuracy.rate > 0.8


@pytest.mark.parametrize("head", ["progress", "preference", "success"])
def test_the_same_seed_gives_the_same_weights(head: str) -> None:
    trajectories = walks(10, 10)
    told = labels(trajectories, 30, 1)
    weights = []
    for seed in (3, 3, 4):
        net = model()
        train_reward(net, trajectories, [head], replace(QUICK, updates=20), seed=seed, preferences=told)  # pyright: ignore[reportArgumentType]: one of three names
        weights.append(torch.cat([p.detach().flatten() for p in net.network.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_members_learn_from_rows_of_their_own() -> None:
    seen: list[np.ndarray] = []
    trajectories = walks(5, 5)
    moments = Moments(trajectories, STATE)
    show = Show(moments, 0, 0)

    class Spy(Show):
        def __call__(self, model, rows, instructions=None):  # pyright: ignore[reportMissingParameterType]
            seen.append(rows)
            return show(model, rows, instructions)

    lesson = SuccessLesson(Spy(moments, 0, 0), trajectories, SuccessConfig(), 16, 0)
    lesson.loss(model(), np.random.default_rng(0))
    assert seen[0].shape == (2, 16)
    assert not np.array_equal(seen[0][0], seen[0][1])


def test_hard_examples_are_those_that_look_most_like_success() -> None:
    trajectories = walks(30, 0)
    moments = Moments(trajectories, STATE)
    config = SuccessConfig(gap=0)
    lesson = SuccessLesson(Show(moments, 0, 0), trajectories, config, 8, 0)
    net = model()
    train_reward(net, trajectories, ["progress"], QUICK, seed=0)
    last = net.network.layers[-1]
    assert isinstance(last, EnsembleLinear)
    last.weight.data[..., -1] = last.weight.data[..., -3]  # success as the last bin: full progress
    lesson.review(net)
    places = moments.take(lesson._hard)[0]["state"][:, 0]
    everywhere = moments.take(lesson.negative)[0]["state"][:, 0]
    assert float(places.mean()) > float(everywhere.quantile(0.85))


# -- what is missing ---------------------------------------------------------------------------------------------------


def test_one_class_only_is_refused_with_counts() -> None:
    with pytest.raises(ConfigError, match=r"one class only, 0 moments of success and .* 0 successful, 6 failed"):
        train_reward(model(), walks(0, 10), ["success"], QUICK, seed=0)
    short = [walk(f"s{i}", np.random.default_rng(i), steps=2) for i in range(10)]
    with pytest.raises(ConfigError, match="6 moments of success and 0 others, from 6 successful, 0 failed"):
        train_reward(model(), short, ["success"], QUICK, seed=0)


def test_too_few_to_calibrate_is_refused() -> None:
    with pytest.raises(ConfigError, match="calibration needs moments of both classes"):
        train_reward(model(), walks(1, 5), ["success"], QUICK, seed=0)


def test_progress_without_a_success_is_refused() -> None:
    with pytest.raises(ConfigError, match="got 0 of them, 8 failed"):
        train_reward(model(), walks(0, 10), ["progress"], QUICK, seed=0)


def test_preferences_without_labels_are_refused() -> None:
    with pytest.raises(ConfigError, match="no usable label"):
        train_reward(model(), walks(3, 0), ["preference"], QUICK, seed=0)
    with pytest.raises(ConfigError, match="no head"):
        train_reward(model(), walks(3, 0), [], QUICK, seed=0)


# -- calibration -------------------------------------------------------------------------------------------------------


def test_calibration_finds_the_temperature_of_the_world() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(0.0, 2.0, 20_000)
    label = rng.random(20_000) < 1.0 / (1.0 + np.exp(-truth))
    given = (3.0 * (truth + 1.0)).astype(np.float32)[None]  # too sure, and biased
    found = calibrate(given, label, false_positive_rate=0.01, hold=2)
    assert abs(found.temperature - 3.0) < 0.15
    assert abs(found.offset + 1.0) < 0.06
    assert found.hold == 2
    chance = found.probability(given)
    assert (chance[~label] >= found.threshold).mean() <= 0.01


def test_separated_classes_stay_away_from_certainty() -> None:
    logits = np.array([[-9.0, -8.0, 8.0, 9.0]], np.float32)
    found = calibrate(logits, np.array([False, False, True, True]), false_positive_rate=0.0, hold=1)
    chance = found.probability(logits)
    np.testing.assert_allclose(chance[[1, 2]], [0.25, 0.75], atol=0.06)  # 1 / (2 + 2) and (2 + 1) / (2 + 2)
    assert 0.5 <= found.threshold < chance[2]


def test_threshold_by_hand() -> None:
    chances = np.array([0.1, 0.6, 0.7, 0.65, 0.8, 0.9])
    label = np.array([False, False, False, True, True, True])
    assert choose_threshold(chances, label, 0.0) == pytest.approx(0.75)  # none of 0.7 may pass; 0.65 is given up
    assert choose_threshold(chances, label, 0.34) == pytest.approx(0.625)  # one of three may
    assert choose_threshold(chances, label, 0.99) == pytest.approx(0.625)  # more gains nothing
    assert choose_threshold(np.array([0.1, 0.3]), np.array([False, True]), 0.5) == LEAST
    assert choose_threshold(np.array([0.9, 0.6]), np.array([False, True]), 0.0) > 0.9


def test_success_must_be_held() -> None:
    calibration = Calibration(threshold=0.5, hold=3)
    assert first_held(np.array([0.9, 0.9, 0.1, 0.6, 0.5, 0.7, 0.9]), calibration) == 5
    assert first_held(np.array([0.9, 0.9, 0.1, 0.6, 0.5, 0.4]), calibration) is None


def test_trajectories_check_themselves() -> None:
    state = np.zeros((4, 2), np.float32)
    with pytest.raises(ShapeError, match="observations"):
        Trajectory("a", "t", "i", {"state": state}, np.zeros((4, 1), np.float32), True)
