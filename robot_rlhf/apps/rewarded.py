"""Gives a trainer the reward model that a run's settings name."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from robot_rlhf.apps.build import build_features, picture_config
from robot_rlhf.apps.config import TrainConfig
from robot_rlhf.apps.reward_data import features_facts, features_of, inputs_of
from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.errors import ConfigError
from robot_rlhf.learner.rewarding import Rewarding, RewardKeeper
from robot_rlhf.policy.features import Features
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.runtime.preference_learning import PreferenceLearner
from robot_rlhf.runtime.success_watch import SuccessWatch, SuccessWatchBeside
from robot_rlhf.runtime.trainer import Trainer


def reward_by_model(config: TrainConfig, spec: RobotSpec, trainer: Trainer) -> None:
    """Let a trainer learn from the reward model of the settings; nothing where they name none.

    Raises:
        CheckpointError: no learned reward, or one of another robot, camera or picture size.
        ConfigError: it is to learn from comparisons, but reads another head.
    """
    settings = config.reward_model
    if not settings.is_used:
        if config.reward.gold:
            trainer.rewards = RewardKeeper(trainer.buffer, Rewarding(None, settings, config.replay.discount))
        return
    features = build_features(config, spec)
    if settings.file is None:
        inputs = inputs_of(features, spec, state=True, action=False)
        model = LearnedReward(inputs, config.reward_network, seed=config.seed, device=config.device, reads="preference")
        model.facts = features_facts(config, spec)
        seen = features
    else:
        model = LearnedReward.load(settings.file, config.device)
        seen = features_of(model, spec, f"the robot of {config.task}")
    if settings.learns:
        if model.reads != "preference":
            raise ConfigError(f"reward_model.learns: {settings.file} reads {model.reads}, allowed preference")
        trainer.lessons = PreferenceLearner(model, seen, config.preferences, seed=config.seed)
    rewarding = Rewarding(model, settings, config.replay.discount)
    other = None
    if (seen.config, seen.frozen) != (features.config, features.frozen):
        other = reward_buffer(config, seen)
        trainer.feeds.append(ReplayFeed(other, seen))
    trainer.rewards = RewardKeeper(trainer.buffer, rewarding, other)


def success_watch(config: TrainConfig, spec: RobotSpec, stack: ExitStack) -> SuccessWatch | None:
    """What ends episodes where a model judges: at once in simulated time, beside the loop in real time.

    Raises:
        CheckpointError, ConfigError: no learned reward, of another robot, or without a success head.
    """
    if config.success_model is None:
        return None
    model = LearnedReward.load(config.success_model, reads="success")
    features = features_of(model, spec, f"the robot of {config.task}")
    watch = (SuccessWatch if config.mode == "synchronous" else SuccessWatchBeside)(model, features)
    stack.callback(watch.close)
    return watch


def reward_buffer(config: TrainConfig, features: Features) -> ReplayBuffer:
    """Replay of the same rows as the policy's, seen with a reward model's eyes."""
    return ReplayBuffer(
        config.replay.rows,
        state_size=features.size,
        action_size=features.spec.action.size,
        cameras=features.cameras,
        discount=config.replay.discount,
        pre_intervention=config.replay.pre_intervention,
        pictures=replace(picture_config(config), shift=0),
        device=config.device,
        seed=config.seed,
    )
