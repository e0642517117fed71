"""Learning from pictures: what the policy sees, shifts made by replay, frozen encoders, and whole small runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from robot_rlhf.apps.cli import main
from robot_rlhf.errors import CheckpointError
from robot_rlhf.journal.reader import episodes
from robot_rlhf.learner.cloning import CloningConfig
from robot_rlhf.policy.encoders import make_trunk
from robot_rlhf.run.build import open_place
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.learning import build_features, picture_config
from robot_rlhf.run.settings import TrainConfig, pixel_defaults_for
from robot_rlhf.run.trainer import build_learning
from robot_rlhf.timing import FakeClock

SMALL = [
    *("--task", "reach", "--pixels", "--quiet", "--name", "seeing", "--image-size", "32", "--demonstrations", "1"),
    *("--steps", "40", "--trainer.start-after", "10", "--trainer.updates-per-step", "0.5", "--trainer.batch-size", "8"),
    *("--trainer.warm-start-updates", "4", "--trainer.warm-critic-updates", "2", "--network.hidden", "16", "16"),
    *("--evaluation.every", "0", "--evaluation.final-episodes", "1", "--video-episodes", "0"),
    *("--replay.rows", "2000"),
]


def summary_of(out: Path) -> dict[str, object]:
    return json.loads(RunFolder.existing(out / "seeing").summary.read_text())


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "resnet10.safetensors"
    trunk = make_trunk("resnet10", torch.Generator().manual_seed(0))
    save_file(dict(trunk.state_dict()), path)
    return path


def test_the_policy_sees_no_poses_of_things() -> None:
    config = pixel_defaults_for("pick_cube")
    spec = open_place(config, FakeClock(), cameras=False).spec
    spec = replace(spec, cameras=dict.fromkeys(config.cameras, (64, 64)))
    features = build_features(config, spec)
    with_poses = build_features(replace(config, features=replace(config.features, scene=True)), spec)
    assert set(features.cameras) == {"front", "wrist"}
    assert features.size < with_poses.size


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_small_run_learns_from_pictures(precision: str, tmp_path: Path) -> None:
    assert main(["train", *SMALL, "--learner.precision", precision, "--out", str(tmp_path)]) == 0
    summary = summary_of(tmp_path)
    steps = summary["env_steps"]
    assert isinstance(steps, int)
    assert summary["updates"] == (steps - 10) // 2 > 0
    first = next(iter(episodes(RunFolder.existing(tmp_path / "seeing").journal)))
    seen = [column.shape[1:] for name, column in first.observations.items() if "wrist" in name]
    assert seen == [(32, 32, 3)]
    assert main(["eval", str(tmp_path / "seeing"), "--episodes", "1"]) == 0


def test_a_frozen_encoder_sees_each_picture_once(weights: Path, tmp_path: Path) -> None:
    options = ["--network.encoder", "resnet10", "--network.encoder-weights", str(weights), "--network.encoder-frozen"]
    assert main(["train", *SMALL, *options, "--out", str(tmp_path)]) == 0
    assert summary_of(tmp_path)["updates"] != 0
    assert main(["eval", str(tmp_path / "seeing"), "--episodes", "1"]) == 0


def test_replay_of_frozen_features_holds_no_pictures(weights: Path) -> None:
    base = pixel_defaults_for("reach")
    network = replace(base.network, encoder="resnet10", encoder_weights=weights, encoder_frozen=True)
    config = replace(base, network=network, replay=replace(base.replay, rows=100))
    spec = replace(open_place(config, FakeClock(), cameras=False).spec, cameras={"front": (64, 64), "wrist": (64, 64)})
    trainer = build_learning(config, spec).trainer
    features = build_features(config, spec)
    assert features.cameras == {}
    assert features.frozen == {"front": 4 * 512, "wrist": 4 * 512}
    assert trainer.buffer.capacity_rows == 100


def test_weights_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    base = pixel_defaults_for("reach")
    network = replace(
        base.network, encoder="resnet10", encoder_weights=tmp_path / "none.safetensors", encoder_frozen=True
    )
    config: TrainConfig = replace(base, network=network)
    spec = replace(open_place(config, FakeClock(), cameras=False).spec, cameras={"front": (64, 64), "wrist": (64, 64)})
    with pytest.raises(CheckpointError, match=r"none\.safetensors: no such file"):
        build_features(config, spec)


def test_replay_shifts_as_the_learner_asks() -> None:
    config = pixel_defaults_for("reach")
    assert picture_config(config).shift == config.learner.shift_pixels
    assert picture_config(config).dtype == "uint8"
    cloning = replace(config, learner=CloningConfig(shift_pixels=2))
    assert picture_config(cloning).shift == 2
