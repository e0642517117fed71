"""What fills replay and keeps its rewards, by the reward that a run's settings name."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np

from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.errors import ConfigError
from robot_rlhf.facts import FactBook
from robot_rlhf.learner.classroom import Classroom, open_scores
from robot_rlhf.learner.rewarding import Rewarding, RewardKeeper
from robot_rlhf.policy.features import Features
from robot_rlhf.ports import Tutor
from robot_rlhf.replay.blocks import POLICY
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.rewards.clip_reward import ClipScores, open_reward
from robot_rlhf.rewards.gates import GateConfig, Gates
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.run.learning import LearningConfig, build_features
from robot_rlhf.run.reward_features import features_facts, features_of, inputs_of
from robot_rlhf.runtime.episode_scores import EpisodeScores
from robot_rlhf.runtime.gate_feed import GateFeed
from robot_rlhf.runtime.preference_learning import PreferenceLearner
from robot_rlhf.runtime.success_watch import SuccessWatch, SuccessWatchBeside

REWARD = "reward"
"""Block of replay with what a reward model sees, where that is not what the policy does."""
SCORES = "scores"
"""Block of replay with what sentences score."""


def reward_tutors(config: LearningConfig, feed: ReplayFeed, classroom: Classroom) -> list[Tutor]:
    """The feed, or what stands in its place, and whatever teaches by rewards, in the order in which they work.

    Raises:
        CheckpointError: no learned reward, or one of another robot, camera or picture size; no weights of a CLIP.
        ConfigError: it is to learn from comparisons, but reads another head; a CLIP's camera is not recorded; one of
            one's own that cannot be had.
        UnknownNameError: no such pretrained CLIP.
    """
    settings, discount, spec = config.reward_model, config.replay.discount, classroom.spec
    if not settings.is_used:
        return [feed, RewardKeeper(feed.buffer, Rewarding(None, settings, discount))] if config.reward.gold else [feed]
    gated = (
        GateFeed(feed, build_gates(settings.gates, spec, config.place.facts(config.task, spec)))
        if settings.gates.rules
        else None
    )
    gate = None if gated is None else gated.gate
    if settings.clip.is_used:
        settings.clip.check_camera(spec.cameras, f"the robot of {config.task}")
        scores = ClipScores(open_reward(settings.clip, config.device), apart=settings.members != "mean")
        scored = score_episodes(gated or feed, scores, settings.clip.camera)
        return [scored, RewardKeeper(feed.buffer, Rewarding(scores, settings, discount), SCORES, gate)]
    if settings.scores is not None:
        own = open_scores(settings.scores, classroom, "reward_model.scores")
        lessons = [own] if isinstance(own, Tutor) else []
        return [gated or feed, *lessons, RewardKeeper(feed.buffer, Rewarding(own, settings, discount), POLICY, gate)]
    model, seen, block = _learned_reward(config, spec, feed)
    lessons = list[Tutor]()
    if settings.learns:
        lessons.append(PreferenceLearner(model, seen, config.preferences, seed=config.seed))
    return [gated or feed, *lessons, RewardKeeper(feed.buffer, Rewarding(model, settings, discount), block, gate)]


def _learned_reward(config: LearningConfig, spec: RobotSpec, feed: ReplayFeed) -> tuple[LearnedReward, Features, str]:
    """The model, what it sees, and the block of replay that shows it."""
    settings = config.reward_model
    features = build_features(config, spec)
    if settings.file is None:
        inputs = inputs_of(features, spec, state=True, action=False)
        model = LearnedReward(inputs, config.reward_network, seed=config.seed, device=config.device, reads="preference")
        model.facts = features_facts(config, spec)
        return model, features, POLICY
    model = LearnedReward.load(settings.file, config.device)
    seen = features_of(model, spec, f"the robot of {config.task}")
    if settings.use == "shape" and model.inputs.action is not None:
        raise ConfigError(
            f"reward_model.use: shape needs a reward of states alone; {settings.file} looks at the action: allowed "
            "replace, or a reward trained without actions"
        )
    if settings.learns and model.reads != "preference":
        raise ConfigError(f"reward_model.learns: {settings.file} reads {model.reads}, allowed preference")
    if seen.same_as(features):
        return model, seen, POLICY
    show_to_reward(feed, seen)
    return model, seen, REWARD


def show_to_reward(feed: ReplayFeed, features: Features) -> None:
    """Keep in replay, beside what the policy sees, what a reward model does; before the first row."""
    feed.buffer.add_block(REWARD, state_size=features.size, cameras=features.cameras)
    feed.beside[REWARD] = features


def score_episodes(feed: ReplayFeed | GateFeed, scores: ClipScores, camera: str) -> EpisodeScores:
    """Keep in replay, beside what the policy sees, the scores of its pictures; before the first row."""
    feed.buffer.add_block(SCORES, state_size=scores.size)
    return EpisodeScores(feed, SCORES, scores.of_pictures, camera)


def build_gates(settings: GateConfig, spec: RobotSpec, facts: FactBook) -> Gates:
    """The rules for a robot.

    Args:
        facts: what rules may be about: those of its task.

    Raises:
        ConfigError, UnknownNameError: a rule about the workspace or fingers of a robot that has none, or about a fact
            that is not known of it, or only to the simulator.
    """
    if settings.rules and spec.command.kind != "tool_pose":
        raise ConfigError(f"gates.rules {' '.join(settings.rules)}: need a robot whose tool is led by poses")
    lower, upper = np.array(spec.command.lower[:3]), np.array(spec.command.upper[:3])
    return Gates(settings, lower, upper, facts)


def success_watch(config: LearningConfig, spec: RobotSpec, stack: ExitStack) -> SuccessWatch | None:
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
