"""Which reward models a run takes, and what they see of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.errors import CheckpointError, ConfigError
from robot_rlhf.learner.rewarding import RewardKeeper, RewardModelConfig
from robot_rlhf.policy.encoders import make_trunk
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.rewards.network import RewardConfig
from robot_rlhf.run.build import open_place
from robot_rlhf.run.learning import build_features
from robot_rlhf.run.reward_features import features_facts, features_of, inputs_of
from robot_rlhf.run.settings import TrainConfig, defaults_for, pixel_defaults_for
from robot_rlhf.run.trainer import build_learning
from robot_rlhf.timing import FakeClock


def saved(path: Path, config: TrainConfig, spec: RobotSpec, *, action: bool = False) -> Path:
    inputs = inputs_of(build_features(config, spec), spec, state=True, action=action)
    model = LearnedReward(inputs, RewardConfig(members=1, hidden=(4,)), seed=0, reads="preference")
    model.trained = ("preference",)
    model.facts = features_facts(config, spec)
    model.save(path)
    return path


def frozen(tmp_path: Path, seed: int) -> tuple[TrainConfig, RobotSpec]:
    weights = tmp_path / f"resnet10-{seed}.safetensors"
    save_file(dict(make_trunk("resnet10", torch.Generator().manual_seed(seed)).state_dict()), weights)
    base = pixel_defaults_for("reach")
    network = replace(base.network, encoder="resnet10", encoder_weights=weights, encoder_frozen=True)
    config = replace(base, network=network, replay=replace(base.replay, rows=100))
    spec = open_place(config, FakeClock(), cameras=False).spec
    return config, replace(spec, cameras={"front": (64, 64), "wrist": (64, 64)})


@pytest.mark.parametrize("use", ["shape", "replace"])
def test_a_reward_of_actions_shapes_nothing(use: str, tmp_path: Path) -> None:
    base = defaults_for("reach")
    spec = open_place(base, FakeClock(), cameras=False).spec
    file = saved(tmp_path / "reward.safetensors", base, spec, action=True)
    config = replace(base, reward_model=RewardModelConfig(file, use=use))  # type: ignore[arg-type]
    if use == "shape":
        with pytest.raises(ConfigError, match=r"reward\.safetensors looks at the action: allowed replace"):
            build_learning(config, spec)
    else:
        assert any(isinstance(tutor, RewardKeeper) for tutor in build_learning(config, spec).trainer.tutors)


def test_a_reward_sees_by_its_own_encoder_though_the_policy_has_one_as_large(tmp_path: Path) -> None:
    config, spec = frozen(tmp_path, 0)
    other, _ = frozen(tmp_path, 1)
    own, theirs = build_features(config, spec), build_features(other, spec)
    assert (own.config, own.frozen) == (theirs.config, theirs.frozen)
    assert own.same_as(build_features(config, spec))
    assert not own.same_as(theirs)
    for built, kept in ((config, 0), (other, 1)):
        file = saved(tmp_path / "reward.safetensors", built, spec)
        run = replace(config, reward_model=RewardModelConfig(file, use="replace"))
        trainer = build_learning(run, spec).trainer
        assert len(trainer.buffer.memory) == 1 + kept, "columns of the reward's own, where it sees otherwise"


def test_weights_that_were_changed_are_noticed(tmp_path: Path) -> None:
    config, spec = frozen(tmp_path, 0)
    model = LearnedReward.load(saved(tmp_path / "reward.safetensors", config, spec), "cpu")
    features_of(model, spec, "the robot")
    weights = config.network.encoder_weights
    assert weights is not None
    save_file(dict(make_trunk("resnet10", torch.Generator().manual_seed(7)).state_dict()), weights)
    with pytest.raises(CheckpointError, match="not the weights that the reward model was trained with"):
        features_of(model, spec, "the robot")
