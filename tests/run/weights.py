"""Models of a run's shapes that no learner made: a policy drawn at random, a success model that is always sure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from robot_rlhf.datatypes import RobotSpec, WeightSnapshot
from robot_rlhf.rewards.model import Calibration, LearnedReward
from robot_rlhf.rewards.network import RewardConfig
from robot_rlhf.run.build import build_policy
from robot_rlhf.run.learning import build_features
from robot_rlhf.run.reward_features import features_facts, inputs_of
from robot_rlhf.run.settings import TrainConfig


def random_weights(config: TrainConfig, spec: RobotSpec, version: int) -> WeightSnapshot:
    """The version is the seed, too."""
    policy = build_policy(config, spec, practises=False)
    rng = np.random.default_rng(version)
    shapes = {name: tuple(value.shape) for name, value in policy._actor.state_dict().items()}
    return WeightSnapshot(version, {n: rng.normal(0.0, 0.1, s).astype(np.float32) for n, s in shapes.items()})


def always_succeeds(config: TrainConfig, spec: RobotSpec, path: Path, *, hold: int = 3) -> Path:
    """A learned success that sees one in every observation, and so ends an episode after `hold` of them."""
    features = build_features(config, spec)
    model = LearnedReward(inputs_of(features, spec, state=True, action=False), RewardConfig(members=1), seed=0)
    with torch.no_grad():
        model.network.layers[-1].get_parameter("bias")[..., -1] = 100.0  # the success head's log odds
    model.trained = ("success",)
    model.read("success")
    model.calibration = Calibration(hold=hold)
    model.facts = features_facts(config, spec)
    model.save(path)
    return path
