"""Trajectories come from a journal with today's labels and without any reward."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from robot_rlhf.datatypes import EpisodeKind, Feedback, FeedbackKind, Segment
from robot_rlhf.journal.labels import LabelWriter
from robot_rlhf.journal.reader import episodes, journal_spec
from robot_rlhf.policy.features import FeatureConfig, Features
from robot_rlhf.rewards.trajectory import Trajectory
from robot_rlhf.runtime.trajectories import read_gold, read_trajectories

DATASETS = Path(__file__).parents[2] / "datasets"


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATASETS / "sample_session", tmp_path / "journal"))


def features(path: Path, *cameras: str) -> Features:
    return Features(journal_spec(path), FeatureConfig(cameras=cameras))


def test_a_trajectory_is_the_encoded_episode(journal: Path) -> None:
    encode = features(journal)
    found = read_trajectories(journal, encode, pictures=False)
    recorded = list(episodes(journal))
    assert [t.id for t in found] == [e.meta.id for e in recorded]
    for trajectory, episode in zip(found, recorded, strict=True):
        assert len(trajectory) == len(episode)
        np.testing.assert_array_equal(trajectory.actions, episode.executed)
        naive = np.stack([encode.state(episode.observation(t)) for t in range(len(episode) + 1)])
        np.testing.assert_array_equal(trajectory.observations["state"], naive)
        assert trajectory.success is True
        assert (trajectory.task, trajectory.instruction) == ("pick_cube", "pick up the cube")


def test_a_trajectory_carries_no_reward(journal: Path) -> None:
    names = {field.name for field in dataclasses.fields(Trajectory)}
    assert names == {"id", "task", "instruction", "observations", "actions", "success", "begins_at"}
    for trajectory in read_trajectories(journal, features(journal)):
        assert not any("gold" in name or "privileged" in name for name in trajectory.observations)


def test_gold_is_read_by_name(journal: Path) -> None:
    gold = read_gold(journal)
    for episode in episodes(journal):
        np.testing.assert_array_equal(gold[episode.meta.id], episode.gold_reward)


def test_labels_of_today_count(journal: Path) -> None:
    before = read_trajectories(journal, features(journal))
    first, second, third = before
    with LabelWriter(journal) as labels:
        for kind, trajectory in ((FeedbackKind.FAILURE, first), (FeedbackKind.DISCARD, second)):
            labels.give(Feedback(kind, "ann", 0.0, Segment(trajectory.id, 0, len(trajectory)), 1.0))
    after = read_trajectories(journal, features(journal))
    assert [(t.id, t.success) for t in after] == [(first.id, False), (third.id, True)]
    assert set(read_gold(journal)) == {first.id, third.id}


def test_only_the_kinds_asked_for(journal: Path) -> None:
    found = read_trajectories(journal, features(journal), kinds=[EpisodeKind.PRACTICE])
    assert [t.id for t in found] == ["practice-000000"]


def test_pictures_come_as_they_were_recorded() -> None:
    journal = DATASETS / "sample_session_with_camera"
    camera = next(iter(journal_spec(journal).cameras))
    (found,) = read_trajectories(journal, features(journal, camera))
    (episode,) = episodes(journal)
    np.testing.assert_array_equal(found.observations[camera], episode.observations[f"images/{camera}"])
    (without,) = episodes(journal, pictures=False)
    assert f"images/{camera}" not in without.observations
