"""Gives a trainer the reward model that a run's settings name."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np

from robot_rlhf.apps.config import TrainConfig
from robot_rlhf.apps.reward_data import features_facts, features_of, inputs_of
from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.errors import ConfigError
from robot_rlhf.facts import FactBook
from robot_rlhf.learner.rewarding import Rewarding, RewardKeeper
from robot_rlhf.policy.features import Features
from robot_rlhf.replay.blocks import POLICY
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.rewards.clip_reward import ClipScores, open_reward
from robot_rlhf.rewards.gates import GateConfig, Gates
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.run.learning import build_features
from robot_rlhf.runtime.episode_scores import EpisodeScores
from robot_rlhf.runtime.gate_feed import GateFeed
from robot_rlhf.runtime.preference_learning import PreferenceLearner
from robot_rlhf.runtime.success_watch import SuccessWatch, SuccessWatchBeside
from robot_rlhf.runtime.trainer import Trainer

REWARD = "reward"
"""Block of replay with what a reward model sees, where that is not what the policy does."""
SCORES = "scores"
"""Block of replay with what sentences score."""


def reward_by_model(config: TrainConfig, spec: RobotSpec, trainer: Trainer) -> None:
    """Let a trainer learn from the reward model of the settings; nothing where they name none.

    Raises:
        CheckpointError: no learned reward, or one of another robot, camera or picture size; no weights of a CLIP.
        ConfigError: it is to learn from comparisons, but reads another head; a CLIP's camera is not recorded.
        UnknownNameError: no such pretrained CLIP.
    """
    settings = config.reward_model
    if not settings.is_used:
        if config.reward.gold:
            trainer.rewards = RewardKeeper(trainer.buffer, Rewarding(None, settings, config.replay.discount))
        return
    gate = _gate(settings.gates, spec, trainer)
    if settings.clip.is_used:
        _by_sentences(config, spec, trainer, gate)
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
    if settings.use == "shape" and model.inputs.action is not None:
        raise ConfigError(
            f"reward_model.use: shape needs a reward of states alone; {settings.file} looks at the action: allowed "
            "replace, or a reward trained without actions"
        )
    if settings.learns:
        if model.reads != "preference":
            raise ConfigError(f"reward_model.learns: {settings.file} reads {model.reads}, allowed preference")
        trainer.lessons = PreferenceLearner(model, seen, config.preferences, seed=config.seed)
    rewarding = Rewarding(model, settings, config.replay.discount)
    block = POLICY
    if not seen.same_as(features):
        block = REWARD
        show_to_reward(trainer.feed, seen)
    trainer.rewards = RewardKeeper(trainer.buffer, rewarding, block, None if gate is None else gate.gate)


def _by_sentences(config: TrainConfig, spec: RobotSpec, trainer: Trainer, gate: GateFeed | None) -> None:
    settings = config.reward_model
    settings.clip.check_camera(spec.cameras, f"the robot of {config.task}")
    scores = ClipScores(open_reward(settings.clip, config.device), apart=settings.members != "mean")
    trainer.scores = score_episodes(trainer.feed if gate is None else gate, scores, settings.clip.camera)
    trainer.feeds[0] = trainer.scores
    rewarding = Rewarding(scores, settings, config.replay.discount)
    trainer.rewards = RewardKeeper(trainer.buffer, rewarding, SCORES, None if gate is None else gate.gate)


def show_to_reward(feed: ReplayFeed, features: Features) -> None:
    """Keep in replay, beside what the policy sees, what a reward model does; before the first row."""
    feed.buffer.add_block(REWARD, state_size=features.size, cameras=features.cameras)
    feed.beside[REWARD] = features


def score_episodes(feed: ReplayFeed | GateFeed, scores: ClipScores, camera: str) -> EpisodeScores:
    """Keep in replay, beside what the policy sees, the scores of its pictures; before the first row."""
    feed.buffer.add_block(SCORES, state_size=scores.size)
    return EpisodeScores(feed, SCORES, scores.of_pictures, camera)


def _gate(settings: GateConfig, spec: RobotSpec, trainer: Trainer) -> GateFeed | None:
    """Let what fills the policy's replay note broken rules."""
    if not settings.rules:
        return None
    feed = GateFeed(trainer.feed, build_gates(settings, spec))
    trainer.feeds[0] = feed
    return feed


def build_gates(settings: GateConfig, spec: RobotSpec) -> Gates:
    """The rules for a robot.

    Raises:
        ConfigError, UnknownNameError: a rule about the workspace or fingers of a robot that has none, or about a fact
            that is not known of it, or only to the simulator.
    """
    if settings.rules and spec.command.kind != "tool_pose":
        raise ConfigError(f"gates.rules {' '.join(settings.rules)}: need a robot whose tool is led by poses")
    lower, upper = np.array(spec.command.lower[:3]), np.array(spec.command.upper[:3])
    return Gates(settings, lower, upper, FactBook.of_robot(spec))


def success_watch(config: TrainConfig, spec: RobotSpec, stack: ExitStack) -> SuccessWatch | None:
    """What ends episodes where a model judges: at once in simulated time, beside the loop in real time.

    Raises:
        CheckpointError, ConfigError: no learned reward, of another robot, or without a success head.
    """
    if config.success_model is None:
        return None
    model = LearnedReward.load(config.success_model, reads="success")
    features = features_of(model, spec, f"the robot of {config.task}")
    watch = (SuccessWatchBeside if config.mode == "asynchronous" else SuccessWatch)(model, features)
    stack.callback(watch.close)
    return watch
