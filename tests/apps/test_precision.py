"""Pictures, algorithm, precision: what replay gives on a GPU is what each learner and each reward can take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
import torch

from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.learner import sac
from robot_rlhf.learner.recipe import LearnerConfig
from robot_rlhf.learner.rewarding import RewardModelConfig
from robot_rlhf.replay.mixing import ONLINE, PRIOR
from robot_rlhf.replay.pictures import PictureConfig
from robot_rlhf.run import trainer as composition
from robot_rlhf.run.learning import picture_config
from robot_rlhf.run.settings import TrainConfig, pixel_defaults_for
from robot_rlhf.run.trainer import build_learning
from robot_rlhf.runtime.trainer import Trainer
from tests.journal.sessions import make_episode, make_spec, tell
from tests.run.test_rewarded import saved

Precision = Literal["float32", "bfloat16", "auto"]
SIZE = (32, 32)
GPU = torch.device("cuda")


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replay normalises and rounds pictures as it does beside a GPU that multiplies bfloat16."""

    def pictures(config: TrainConfig) -> PictureConfig:
        return picture_config(config, GPU)

    monkeypatch.setattr(sac, "precision_on", lambda device, wanted: "bfloat16" if wanted == "auto" else wanted)
    monkeypatch.setattr(composition, "picture_config", pictures)


def robot() -> RobotSpec:
    return make_spec({"front": SIZE})


def settings(algorithm: Any, precision: Precision, **changes: Any) -> TrainConfig:
    base = pixel_defaults_for("reach")
    return replace(
        base,
        learner=replace(base.learner, precision=precision)
        if algorithm == "sac"
        else LearnerConfig.of_kind(algorithm)(),
        cameras=("front",),
        features=replace(base.features, cameras=("front",), scene=False),
        network=replace(base.network, hidden=(16,)),
        replay=replace(base.replay, rows=200, n_step=1),
        trainer=replace(
            base.trainer,
            batch_size=8,
            start_after=2,
            updates_per_step=0.25,
            warm_start_updates=2,
            warm_critic_updates=2,
        ),
        **changes,
    )


def learned(config: TrainConfig) -> Trainer:
    """What a demonstration and two episodes of practice teach."""
    spec = robot()
    trainer = build_learning(config, spec).trainer
    for seed in range(6):  # each kind of episode twice
        tell(trainer, make_episode(spec, seed, 12))
    assert trainer.work(1000) > 0
    return trainer


@pytest.mark.parametrize("precision", get_args(Precision))
@pytest.mark.parametrize("algorithm", LearnerConfig.KINDS)
@pytest.mark.usefixtures("as_on_a_gpu")
def test_every_algorithm_learns_from_the_pictures_it_is_given(algorithm: Any, precision: Precision) -> None:
    trainer = learned(settings(algorithm, precision))
    batch = next(iter(trainer.buffer.sample_many(1, 8, {PRIOR: 0.5, ONLINE: 0.5})))
    rounded = algorithm == "sac" and precision != "float32"
    assert batch.observation["front"].dtype == (torch.bfloat16 if rounded else torch.float32)
    learner: Any = trainer.learner
    weights = learner.averaged().arrays
    assert {value.dtype.name for value in weights.values()} == {"float32"}
    if hasattr(learner, "q_values"):
        assert learner.q_values(batch.observation, batch.action).isfinite().all()


@pytest.mark.parametrize("precision", get_args(Precision))
@pytest.mark.parametrize("use", ["replace", "shape"])
@pytest.mark.usefixtures("as_on_a_gpu")
def test_a_learned_reward_scores_the_pictures_of_the_policys_replay(
    use: Any, precision: Precision, tmp_path: Path
) -> None:
    config = settings("sac", precision)
    file = saved(tmp_path / "reward.safetensors", config, robot())
    trainer = learned(replace(config, reward_model=RewardModelConfig(file, use=use)))
    batch = next(iter(trainer.buffer.sample_many(1, 8, {PRIOR: 0.5, ONLINE: 0.5})))
    assert batch.reward.isfinite().all()
