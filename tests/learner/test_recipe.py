"""Recipes of learners: each kind makes its learner, says what it needs, and a user's own is one of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from robot_rlhf.apps.cli import main
from robot_rlhf.conformance import LearnerConformance
from robot_rlhf.datatypes import Batch, WeightSnapshot
from robot_rlhf.learner.recipe import LearnerConfig
from robot_rlhf.learner.sac import SacConfig
from robot_rlhf.learner.state import AdamState, snapshot_of
from robot_rlhf.learner.weighting import imitation_mask
from robot_rlhf.policy.networks import Actor, NetworkConfig, Shapes, split_action
from robot_rlhf.policy.shapes import check_same_shapes, shapes_in
from robot_rlhf.ports import Learner, ValueLearner
from robot_rlhf.ranges import RATE, check_ranges
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.run.learning import picture_config
from robot_rlhf.run.settings import defaults_for, read_yaml
from robot_rlhf.run.trainer import build_learning
from tests.journal.sessions import make_spec
from tests.learner.test_sac import SHAPES, SMALL, batch_of


@dataclass(frozen=True)
class MyConfig(LearnerConfig):
    """A learner of a user's own: least squares on what people did."""

    rewards: ClassVar = "none"
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        check_ranges(self, "learner", learning_rate=RATE)

    def make(self, shapes: Shapes, network: NetworkConfig, *, buffer: ReplayBuffer, seed: int, device: str) -> Learner:
        return MyLearner(Actor(shapes, network, torch.Generator().manual_seed(seed)).to(device), self, shapes.gripper)


class MyLearner:
    def __init__(self, actor: Actor, config: MyConfig, gripper: int | None) -> None:
        self.actor, self.updates, self.gripper = actor, 0, gripper
        self.adam = AdamState(list(actor.parameters()), config.learning_rate)

    def warm_start(self, batches: Iterable[Batch]) -> float:
        return [float(self.update(batch)["loss"]) for batch in batches][-1]

    def update(self, batch: Batch) -> Mapping[str, Tensor]:
        action, _ = split_action(batch.action, self.gripper)
        error = (self.actor(batch.observation).continuous.mode() - action).square().mean(dim=-1)
        loss = (imitation_mask(batch.source) * error).mean()
        self.adam.step(loss)
        self.updates += 1
        return {"loss": loss.detach()}

    def snapshot(self) -> WeightSnapshot:
        return snapshot_of(self.actor, self.updates)

    averaged = snapshot

    def state(self) -> Mapping[str, Tensor]:
        own = {f"actor.{name}": value.clone() for name, value in self.actor.state_dict().items()}
        return own | {"updates": torch.tensor(self.updates)} | {f"adam.{k}": v for k, v in self.adam.state().items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        check_same_shapes("state", shapes_in(state), shapes_in(self.state()))
        self.actor.load_state_dict({k[6:]: v for k, v in state.items() if k.startswith("actor.")})
        self.adam.load({k[5:]: v for k, v in state.items() if k.startswith("adam.")})
        self.updates = int(state["updates"])


class TestMyLearner(LearnerConformance):
    def make_learner(self) -> Learner:
        buffer = ReplayBuffer(9, state_size=3, action_size=3, discount=0.9)
        return MyConfig().make(SHAPES, SMALL, buffer=buffer, seed=0, device="cpu")

    def make_batch(self, seed: int) -> Batch:
        return batch_of(32, seed)


OWN = f"{__file__}:MyConfig"
TINY = ("--task", "reach", "--steps", "130", "--demonstrations", "1", "--video-episodes", "0", "--quiet")
TINY += ("--trainer.warm-start-updates", "20", "--trainer.updates-per-step", "0.5", "--evaluation.every", "0")
TINY += ("--evaluation.final-episodes", "2")


def test_a_learner_of_ones_own_trains_and_is_there_again(tmp_path: Path) -> None:
    """Chosen by file and class, with options of its own; the run is measured, read, and gone on with."""
    out = ("--out", str(tmp_path))
    assert main(["train", "--learner", OWN, "--learner.learning-rate", "0.01", *TINY, *out]) == 0
    run = tmp_path / "reach-MyConfig-attentive-seed0"
    config = read_yaml(run / "config.yaml")
    assert config.learner.kind == config.algorithm == OWN
    assert "learning_rate=0.01" in repr(config.learner)
    before = json.loads((run / "summary.json").read_text())
    assert before["algorithm"] == OWN
    assert before["updates"] > 0
    assert main(["eval", str(run), "--episodes", "1"]) == 0
    assert main(["train", "--resume", str(run), "--steps", "150", "--quiet"]) == 0
    after = json.loads((run / "summary.json").read_text())
    assert after["updates"] > before["updates"]


def test_its_bad_values_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--learner", OWN, "--learner.learning-rate", "7", *TINY, "--out", str(tmp_path)]) == 2
    assert "learner.learning_rate: got 7.0, allowed: above 0, up to 1" in capsys.readouterr().err
    assert main(["train", "--learner", OWN, "--reward-model.learns", *TINY, "--out", str(tmp_path)]) == 2
    assert "looks at no reward; allowed with learner sac" in capsys.readouterr().err


@pytest.mark.parametrize("kind", LearnerConfig.KINDS)
def test_help_shows_the_settings_of_the_chosen_learner_alone(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--learner", kind, "--help"]) == 0
    shown = capsys.readouterr().out
    own = {"sac": "--learner.target-subset", "cloning": "--learner.weighting", "iql": "--learner.expectile"}
    own["dagger"] = own["cloning"]
    for name, option in own.items():
        assert (option in shown) == (own[name] == own[kind]), (name, option)


@pytest.mark.parametrize("kind", LearnerConfig.KINDS)
def test_a_kind_is_called_what_it_is_chosen_by(kind: str) -> None:
    assert LearnerConfig.of_kind(kind).kind == kind


@pytest.mark.parametrize("kind", [*LearnerConfig.KINDS, OWN])
def test_values_are_checked_where_there_are_values(kind: str) -> None:
    config = replace(defaults_for("reach"), learner=LearnerConfig.of_kind(kind)())
    learning = build_learning(config, make_spec())
    assert (
        (learning.value_check is not None)
        == isinstance(learning.trainer.learner, ValueLearner)
        == (kind in ("sac", "iql"))
    )


def test_replay_shifts_pictures_in_the_place_of_the_learner() -> None:
    config = replace(defaults_for("reach"), learner=SacConfig(shift_pixels=2))
    assert picture_config(config).shift == 2
    learner = build_learning(config, make_spec()).trainer.learner
    assert getattr(learner, "config").shift_pixels == 0  # noqa: B009  of any learner
