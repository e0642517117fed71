"""The `reward` command trains, scores, and says in one line what cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from robot_rlhf.apps import reward, reward_score
from robot_rlhf.apps.record import RecordOptions, record
from robot_rlhf.apps.reward_train import RewardTrainOptions, table_of, train
from robot_rlhf.datatypes import Feedback, FeedbackKind, Segment
from robot_rlhf.errors import CheckpointError, ConfigError, JournalError, UnknownNameError
from robot_rlhf.journal.labels import LabelWriter
from robot_rlhf.learner.reward_training import RewardTraining
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.rewards.network import RewardConfig
from robot_rlhf.run.recordings import Recording
from robot_rlhf.run.reward_features import features_of
from robot_rlhf.runtime.trajectories import read_trajectories

DATASETS = Path(__file__).parents[2] / "datasets"
SESSION, WITH_CAMERA = DATASETS / "sample_session", DATASETS / "sample_session_with_camera"
NETWORK = RewardConfig(members=2, hidden=(16,), image_latent=8)
TRAINING = RewardTraining(updates=20, batch_size=16, calibration_share=0.0, held_out_share=0.0, review_every=10)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reward") / "progress.safetensors"
    train(RewardTrainOptions((SESSION,), out, network=NETWORK, training=TRAINING, quiet=True))
    return out


def test_score_writes_what_the_model_says(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "scores.jsonl"
    assert reward.run(["score", str(SESSION), "--reward", str(trained), "--out", str(out)]) == 0
    assert "frames/s" in capsys.readouterr().out
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    model = LearnedReward.load(trained)
    features = features_of(model, Recording.open(SESSION).spec, "session")
    trajectories = read_trajectories(SESSION, features)
    assert [line["episode"] for line in lines] == [t.id for t in trajectories]
    for line, trajectory in zip(lines, trajectories, strict=True):
        members = model.members({"state": torch.tensor(trajectory.observations["state"][1:])}).numpy()
        np.testing.assert_allclose(line["reward"], members.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(line["uncertainty"], members.std(axis=0), atol=1e-5)
        assert line["success"] is True
    with pytest.raises(ConfigError, match="exists already"):
        reward.run(["score", str(SESSION), "--reward", str(trained), "--out", str(out)])


def test_training_says_what_it_came_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "reward.safetensors"
    words = ["train", str(SESSION), "--out", str(out), "--training.updates", "5", "--network.members", "2"]
    assert reward.run(words) == 0
    told = capsys.readouterr()
    assert "learned from" in told.out
    assert "5/5 updates" in told.err
    facts = LearnedReward.load(out).facts
    assert facts["tasks"] == ["pick_cube"]
    assert facts["instructions"] == ["pick up the cube"]
    assert facts["report"]["episodes"] == 3


def test_preferences_come_from_the_journal(tmp_path: Path) -> None:
    journal = Path(shutil.copytree(SESSION, tmp_path / "journal"))
    with LabelWriter(journal) as labels:
        for start in range(4):
            early, late = Segment("demonstration-000000", start, 5), Segment("demonstration-000000", 20, 5)
            labels.give(Feedback(FeedbackKind.PREFERENCE, "ann", 0.0, early, 0.0, other=late))
    options = RewardTrainOptions(
        (journal,), tmp_path / "r.safetensors", ("preference",), network=NETWORK, training=TRAINING, quiet=True
    )
    report = train(options)
    assert report.preference is not None
    assert (report.preference.pairs, report.preference.unusable) == (4, 0)
    assert "4 labels" in str([column._cells for column in table_of(report).columns])
    twice = RewardTrainOptions(
        (journal, SESSION), tmp_path / "r.safetensors", ("preference",), network=NETWORK, training=TRAINING, quiet=True
    )
    both = train(twice)  # episodes of two runs have the same ids
    assert both.preference is not None
    assert (both.episodes, both.preference.pairs) == (6, 4)


def test_pictures_are_seen(tmp_path: Path) -> None:
    out = tmp_path / "r.safetensors"
    options = RewardTrainOptions((WITH_CAMERA,), out, pixels=True, network=NETWORK, training=TRAINING, quiet=True)
    train(options)
    model = LearnedReward.load(out)
    assert model.inputs.cameras == dict(Recording.open(WITH_CAMERA).spec.cameras)
    assert model.facts["features"]["scene"] is False
    (scored,) = reward_score.score(reward_score.RewardScoreOptions((WITH_CAMERA,), out))
    assert len(scored.reward) == len(scored.trajectory)
    with pytest.raises(CheckpointError, match="cameras none; the reward model was trained with"):
        list(reward_score.score(reward_score.RewardScoreOptions((SESSION,), out)))
    with pytest.raises(ConfigError, match="recorded no pictures"):
        train(RewardTrainOptions((SESSION,), out, pixels=True))
    with pytest.raises(ConfigError, match="no camera side"):
        train(RewardTrainOptions((WITH_CAMERA,), out, cameras=("side",)))


def test_another_robot_is_refused(trained: Path, tmp_path: Path) -> None:
    other = tmp_path / "reach"
    record(RecordOptions(other, task="reach", demonstrations=1))
    with pytest.raises(CheckpointError, match=r"reach has action x, y, z; .* x, y, z, rz, gripper"):
        list(reward_score.score(reward_score.RewardScoreOptions((other,), trained)))
    with pytest.raises(ConfigError, match=r"one reward needs the same; --no-state"):
        train(RewardTrainOptions((SESSION, other), tmp_path / "r.safetensors", quiet=True))


def test_words_that_were_never_taught_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out = tmp_path / "r.safetensors"
    train(RewardTrainOptions((SESSION,), out, text=True, network=NETWORK, training=TRAINING, quiet=True))
    options = reward_score.RewardScoreOptions((SESSION,), out, instruction="hebe den cube auf")
    assert len(list(reward_score.score(options))) == 3
    assert "hebe, den, auf" in caplog.text


def test_what_cannot_be_is_said_in_one_line(trained: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "r.safetensors")
    with pytest.raises(UnknownNameError, match="train"):
        reward.run(["tarin"])
    with pytest.raises(ConfigError, match="no RUN"):
        reward.run(["train", "--out", out])
    with pytest.raises(ConfigError, match="no usable label"):
        reward.run(["train", str(SESSION), "--out", out, "--head", "preference", "--quiet"])
    with pytest.raises(ConfigError, match="calibration needs moments of both classes"):
        train(RewardTrainOptions((SESSION,), Path(out), ("success",), training=TRAINING, quiet=True))
    with pytest.raises(ConfigError, match="success head has not been trained"):
        reward.run(["score", str(SESSION), "--reward", str(trained), "--head", "success"])
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        reward.run(["score", str(SESSION), "--reward", out])
    with pytest.raises(JournalError):
        reward.run(["train", str(tmp_path / "nowhere"), "--out", out])
    assert reward.run([]) == 0
