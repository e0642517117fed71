"""Recorded episodes as learning sees them: which steps count, with which rewards, and how dense ones are scaled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import (
    Batch,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Feedback,
    FeedbackKind,
    Outcome,
    Segment,
    Source,
)
from robot_rlhf.errors import ConfigError
from robot_rlhf.journal.labels import LabelWriter, read_labels
from robot_rlhf.journal.reader import replay_into
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.learner.cloning import CloningConfig, CloningLearner
from robot_rlhf.policy.features import FeatureConfig, Features
from robot_rlhf.policy.learned import shapes_of
from robot_rlhf.policy.networks import NetworkConfig
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.runtime.offline import JudgedFeed, learn_offline, relabelled, unit_rewards
from robot_rlhf.runtime.reward import SparseReward
from tests.journal.sessions import make_spec, make_steps

SPEC = make_spec()
STEPS = 4
EPISODES = {
    "demonstration-000000": (EpisodeKind.DEMONSTRATION, Outcome.SUCCESS),
    "demonstration-000001": (EpisodeKind.DEMONSTRATION, Outcome.TIME_LIMIT),
    "practice-000000": (EpisodeKind.PRACTICE, Outcome.SUCCESS),
    "practice-000001": (EpisodeKind.PRACTICE, Outcome.TIME_LIMIT),
    "practice-000002": (EpisodeKind.PRACTICE, Outcome.FAILURE),
    "practice-000003": (EpisodeKind.PRACTICE, Outcome.DISCARDED),
    "evaluation-000000": (EpisodeKind.EVALUATION, Outcome.SUCCESS),
}
SPARSE = SparseReward(gripper_cost=0.0)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    with JournalWriter(tmp_path / "journal", SPEC) as writer:
        for number, (name, (kind, outcome)) in enumerate(EPISODES.items()):
            steps = list(make_steps(SPEC, rng, STEPS, start=100.0 * number))
            writer.on_episode_start(
                EpisodeMeta(name, "pick_cube", kind, number, "nobody", SPARSE.source), steps[0].observation
            )
            for t, step in enumerate(steps):
                last = outcome if t == STEPS - 1 else None
                final = last in (Outcome.SUCCESS, Outcome.FAILURE)
                reward = SPARSE.value(last, step.observation, step.next_observation)
                cut = last is not None and not final
                gold = number + 0.1 * t
                writer.on_step(replace(step, reward=reward, terminated=final, truncated=cut, gold_reward=gold))
            writer.on_episode_end(EpisodeEnd(name, outcome, STEPS))
    return tmp_path / "journal"


def label(journal: Path, name: str, kind: FeedbackKind) -> None:
    with LabelWriter(journal) as writer:
        writer.give(Feedback(kind, "person", 0.0, Segment(name, 0, STEPS), value=1.0))


def played(journal: Path, takes: Literal["sparse", "gold"] = "sparse") -> tuple[ReplayBuffer, JudgedFeed]:
    features = Features(SPEC, FeatureConfig())
    buffer = ReplayBuffer(100, state_size=features.size, action_size=SPEC.action.size, discount=0.9)
    feed = JudgedFeed(ReplayFeed(buffer, features), read_labels(journal), SPARSE, takes)
    replay_into(journal, feed)
    return buffer, feed


def test_what_counts(journal: Path) -> None:
    buffer, feed = played(journal)
    assert feed.episodes == {
        "demonstration success": 1,
        "practice success": 1,
        "practice time_limit": 1,
        "practice failure": 1,
    }
    assert len(buffer) == 4 * STEPS
    batch = buffer.gather(buffer.indices())
    assert batch.reward.tolist() == [0, 0, 0, 1] * 2 + [0, 0, 0, 0] + [0, 0, 0, -0.5]
    assert (batch.discount == 0).nonzero().flatten().tolist() == [3, 7, 15]
    assert feed.successes == buffer.indices()[[3, 7]].tolist()


def test_labels_of_today_change_the_last_step(journal: Path) -> None:
    label(journal, "practice-000001", FeedbackKind.SUCCESS)
    label(journal, "practice-000000", FeedbackKind.FAILURE)
    label(journal, "demonstration-000001", FeedbackKind.SUCCESS)
    label(journal, "practice-000002", FeedbackKind.DISCARD)
    buffer, feed = played(journal)
    assert feed.episodes == {"demonstration success": 2, "practice success": 1, "practice failure": 1}
    batch = buffer.gather(buffer.indices())
    assert batch.reward.tolist() == [0, 0, 0, 1] * 2 + [0, 0, 0, -0.5] + [0, 0, 0, 1]
    assert (batch.discount == 0).nonzero().flatten().tolist() == [3, 7, 11, 15]
    assert feed.successes == buffer.indices()[[3, 7, 15]].tolist()


def test_gold_comes_only_when_asked_for(journal: Path) -> None:
    buffer, _ = played(journal, "gold")
    rewards = buffer.gather(buffer.indices()).reward.numpy()
    expected = [number + 0.1 * t for number in (0, 2, 3, 4) for t in range(STEPS)]
    np.testing.assert_allclose(rewards, expected, rtol=1e-6)


# -- scale -----------------------------------------------------------------------------------------------------------


def test_unit_rewards_by_hand() -> None:
    unit = unit_rewards(np.array([-1.0, 1.0, 3.0, 3.0]), np.array([False, False, False, True]), 0.9)
    np.testing.assert_allclose(unit, [0.0, 0.05, 0.1, 1.0], atol=1e-7)


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=20), st.floats(0.0, 0.99))
def test_values_are_means_and_being_done_is_worth_staying(rewards: list[float], gamma: float) -> None:
    first = np.array(rewards)
    if first.max() == first.min():
        return
    stay = unit_rewards(np.append(first, first[-1]), np.append(np.zeros(len(first), bool), True), gamma)
    for_ever = stay[-2] / (1.0 - gamma)
    assert stay[-1] == pytest.approx(for_ever, abs=1e-5)  # hovering earns what being done does
    assert 0.0 <= for_ever <= 1.0 + 1e-5


def test_nothing_to_learn_from_is_said() -> None:
    with pytest.raises(ConfigError, match="is 0 in all 3 steps"):
        unit_rewards(np.zeros(3), np.zeros(3, bool), 0.9)
    with pytest.raises(ConfigError, match="below 1"):
        unit_rewards(np.arange(3.0), np.zeros(3, bool), 1.0)


# -- updates ---------------------------------------------------------------------------------------------------------


def test_relabelling_tells_what_it_gave(journal: Path) -> None:
    buffer, _ = played(journal)
    rows, values = relabelled(buffer, lambda batch: batch.next_observation["state"][:, 0], 5, chunk=3)
    np.testing.assert_array_equal(rows, buffer.indices().numpy())
    np.testing.assert_array_equal(values, buffer.gather(buffer.indices()).reward.numpy())
    assert len(buffer.outdated(5)) == 0


class Remembering(CloningLearner):
    """Remembers whose steps it was shown."""

    sources: set[int]

    def update(self, batch: Batch) -> Mapping[str, torch.Tensor]:
        self.sources = getattr(self, "sources", set()) | set(batch.source.tolist())
        return super().update(batch)


@pytest.mark.parametrize("everything", [False, True])
def test_updates_are_counted_and_cloning_may_imitate_everything(journal: Path, everything: bool) -> None:
    buffer, _ = played(journal)
    shapes = shapes_of(SPEC, Features(SPEC, FeatureConfig()))
    learner = Remembering(shapes, NetworkConfig(hidden=(8,)), CloningConfig(), seed=0)
    reports: list[int] = []

    def note(step: int, metrics: Mapping[str, float]) -> None:
        assert set(metrics) == {"cloning_loss"}
        reports.append(step)

    done = learn_offline(learner, buffer, 6, 32, all_as_shown=everything, on_metrics=note, log_every=4)
    assert list(done) == [1, 2, 3, 4, 5, 6]
    assert reports == [4, 6]
    held = {int(source) for source, count in buffer.counts.items() if count}
    assert len(held) > 1
    assert learner.sources == ({int(Source.DEMO)} if everything else held)


def test_equal_seeds_learn_equally(journal: Path) -> None:
    checksums: set[str] = set()
    for _ in range(2):
        torch.manual_seed(1)
        buffer, _ = played(journal)
        shapes = shapes_of(SPEC, Features(SPEC, FeatureConfig()))
        learner = CloningLearner(shapes, NetworkConfig(hidden=(8,)), CloningConfig(), seed=0)
        for _ in learn_offline(learner, buffer, 5, 8):
            pass
        checksums.add(learner.snapshot().checksum)
    assert len(checksums) == 1
