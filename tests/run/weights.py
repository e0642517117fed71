"""Weights of a run's shapes, drawn at random: a policy that no learner made."""

from __future__ import annotations

import numpy as np

from robot_rlhf.datatypes import RobotSpec, WeightSnapshot
from robot_rlhf.run.build import build_policy
from robot_rlhf.run.settings import TrainConfig


def random_weights(config: TrainConfig, spec: RobotSpec, version: int) -> WeightSnapshot:
    """The version is the seed, too."""
    policy = build_policy(config, spec, practises=False)
    rng = np.random.default_rng(version)
    shapes = {name: tuple(value.shape) for name, value in policy._actor.state_dict().items()}
    return WeightSnapshot(version, {n: rng.normal(0.0, 0.1, s).astype(np.float32) for n, s in shapes.items()})
