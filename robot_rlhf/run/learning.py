"""How a run learns: the settings that say it, and what follows from them for features, pictures and returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import torch

from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.learner.recipe import Bounds, LearnerConfig
from robot_rlhf.learner.rewarding import RewardModelConfig
from robot_rlhf.learner.words_config import WordsConfig
from robot_rlhf.place import PlaceConfig
from robot_rlhf.policy.encoders import FrozenEncoder
from robot_rlhf.policy.features import FeatureConfig, Features
from robot_rlhf.policy.networks import NetworkConfig
from robot_rlhf.ranges import COUNT, SHARE, Range, check_ranges
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.replay.pictures import PictureConfig
from robot_rlhf.replay.rest import StandsStill
from robot_rlhf.rewards.network import RewardConfig
from robot_rlhf.runtime.preference_learning import PreferenceLearning
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.runtime.trainer import TrainerConfig


@dataclass(frozen=True)
class ReplayConfig:
    """What is remembered."""

    rows: int = 100_000
    """Observations kept; the oldest go first."""
    discount: float = 0.97
    """Weight of the next step's value (gamma)."""
    n_step: int = 1
    """Rewards summed before the value is asked."""
    pre_intervention: int = 0
    """Policy steps before a takeover that are marked as having led to it (Sirius: 15); 0 marks none."""
    imitate_rest: bool = True
    """Imitate also the steps in which a person who drives stands still. From pictures that teaches to stand still: of
    a clumsy person's 60 demonstrations cloning made 69 % with such steps, and 90 % without."""
    pictures: Literal["device", "pinned"] = "device"
    """Where pictures lie with device cuda: there, or in pinned memory of the host when they are too many."""

    def __post_init__(self) -> None:
        check_ranges(self, "replay", rows=Range(2, COUNT.most), discount=SHARE)
        check_ranges(self, "replay", n_step=Range(1, 1_000), pre_intervention=COUNT)


class LearningConfig(Protocol):
    """Of a run's settings those that say how it learns."""

    @property
    def seed(self) -> int: ...
    @property
    def device(self) -> str: ...
    @property
    def learner(self) -> LearnerConfig: ...
    @property
    def start(self) -> Path | None: ...
    @property
    def network(self) -> NetworkConfig: ...
    @property
    def features(self) -> FeatureConfig: ...
    @property
    def replay(self) -> ReplayConfig: ...
    @property
    def trainer(self) -> TrainerConfig: ...
    @property
    def reward(self) -> SparseReward: ...
    @property
    def reward_model(self) -> RewardModelConfig: ...
    @property
    def reward_network(self) -> RewardConfig: ...
    @property
    def preferences(self) -> PreferenceLearning: ...
    @property
    def words(self) -> WordsConfig: ...
    @property
    def tutors(self) -> tuple[str, ...]: ...
    @property
    def task(self) -> str: ...
    @property
    def place(self) -> PlaceConfig: ...
    @property
    def mode(self) -> str: ...
    @property
    def success_model(self) -> Path | None: ...


def build_features(config: LearningConfig, spec: RobotSpec) -> Features:
    """What the networks see; with a frozen encoder its features instead of pictures.

    Raises:
        CheckpointError: the encoder's weights cannot be read.
    """
    network = config.network
    frozen = None
    if network.encoder_frozen and config.features.cameras and network.encoder_weights is not None:
        frozen = FrozenEncoder(network.encoder, network.encoder_weights)
    return Features(spec, config.features, frozen)


def feed_of(replay: ReplayConfig, spec: RobotSpec, buffer: ReplayBuffer, features: Features) -> ReplayFeed:
    """What fills replay with the steps of a robot."""
    return ReplayFeed(buffer, features, None if replay.imitate_rest else StandsStill(spec.action))


def possible_returns(config: LearningConfig, recorded: Bounds) -> Bounds | None:
    """Bounds of the returns to learn from: those of the recorded reward, unless another reward makes others possible.

    Args:
        recorded: bounds of the recorded reward's returns.
    """
    model = config.reward_model
    if not model.is_used:
        return (0.0, 1.0) if config.reward.gold else recorded
    if not model.bounded:
        return None
    if model.use == "replace" and model.gates.rules:  # what breaks a rule is worth less than nothing
        return recorded
    if model.use == "shape":  # values are those of the recorded reward minus the potential, in [0, 1] if it is bounded
        return recorded[0] - model.scale, recorded[1]
    return 0.0, 1.0


def picture_config(config: LearningConfig, device: torch.device | None = None) -> PictureConfig:
    """How replay gives pictures to the learner: shifted; on a GPU normalised too, which costs nothing more there.

    Args:
        device: where replay is; None: where the settings have it.
    """
    recipe = config.learner
    device = torch.device(config.device) if device is None else device
    if device.type == "cpu":
        return PictureConfig(shift=recipe.shift_pixels)
    return PictureConfig(recipe.picture_precision(device), recipe.shift_pixels, config.replay.pictures)
