"""Learner, replay and tutors, put together from a run's settings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from robot_rlhf.datatypes import Array, RobotSpec, Step
from robot_rlhf.errors import ConfigError
from robot_rlhf.language.goals import CONTEXT_SIZES, context_of
from robot_rlhf.learner.checkpoint import read_snapshot
from robot_rlhf.learner.classroom import Classroom, open_tutors
from robot_rlhf.learner.goals_meant import GoalsMeant
from robot_rlhf.learner.words import Words
from robot_rlhf.policy.features import Features
from robot_rlhf.policy.learned import shapes_of
from robot_rlhf.policy.shapes import weights_of
from robot_rlhf.ports import StartableLearner, Subscriber, Tutor, ValueLearner
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.run.learning import LearningConfig, build_features, feed_of, picture_config, possible_returns
from robot_rlhf.run.rewarded import reward_tutors
from robot_rlhf.run.start import policy_of
from robot_rlhf.runtime.episode_scores import EpisodeScores
from robot_rlhf.runtime.gate_feed import GateFeed
from robot_rlhf.runtime.grounding import SpokenOf
from robot_rlhf.runtime.preference_learning import PreferenceLearner
from robot_rlhf.runtime.trainer import Trainer
from robot_rlhf.runtime.value_check import ValueCheck

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Learning:
    """What learns in a run, and what can be asked of it."""

    trainer: Trainer
    value_check: ValueCheck | None
    """Compares the learner's values with real returns; None without values of recorded rewards."""
    feed: ReplayFeed | GateFeed | EpisodeScores
    """Fills replay."""
    lessons: PreferenceLearner | None
    """Teaches a reward from comparisons; None where none is taught."""
    words: Words | None
    """Learns from sentences; None where they are not to teach."""
    hears: tuple[Subscriber, ...] = ()
    """Are told of recordings after replay was: what people said in them."""


def build_learning(
    config: LearningConfig,
    spec: RobotSpec,
    on_metrics: Callable[[int, Mapping[str, float]], None] = lambda step, metrics: None,
    *,
    heartbeat: Callable[[], None] = lambda: None,
) -> Learning:
    """The learner with its replay and tutors.

    Args:
        on_metrics, heartbeat: as of Trainer.

    Raises:
        CheckpointError: no learned reward, or one of another robot, camera or picture size; no weights of a CLIP.
        ConfigError: settings that do not go together, or not with the robot.
        UnknownNameError: no such pretrained CLIP.
    """
    features = build_features(config, spec)
    shapes = shapes_of(spec, features)
    buffer = ReplayBuffer(
        config.replay.rows,
        state_size=features.size,
        action_size=shapes.action,
        cameras=shapes.cameras,
        n_step=config.replay.n_step,
        discount=config.replay.discount,
        pre_intervention=config.replay.pre_intervention,
        pictures=picture_config(config),
        device=config.device,
        seed=config.seed,
        context=features.context,
        past=shapes.past,
    )
    feed = feed_of(config.replay, spec, buffer, features)
    recipe = replace(config.learner, shift_pixels=0)  # replay shifts the pictures
    recipe = recipe.within(lambda recorded: possible_returns(config, recorded))
    learner = recipe.make(shapes, config.network, buffer=buffer, seed=config.seed, device=config.device)
    if config.start is not None:
        if not isinstance(learner, StartableLearner):
            raise ConfigError(f"start {config.start}: learner {config.learner.kind} cannot go on from a policy")
        path = policy_of(config.start)
        snapshot = read_snapshot(path)[0]
        with weights_of(path):
            learner.begin_with(snapshot)
    classroom = Classroom(learner, buffer, spec, features, config.seed, config.device)
    tutors = reward_tutors(config, feed, classroom)
    filling = tutors[0]
    assert isinstance(filling, ReplayFeed | GateFeed | EpisodeScores)
    lessons = next((tutor for tutor in tutors if isinstance(tutor, PreferenceLearner)), None)
    words, hears = None, list[Tutor]()
    if config.words.teaches:
        if (meant := _goals_meant(config, buffer)) is not None:
            hears.append(meant)
        grounding = SpokenOf(spec, lambda: config.place.facts(config.task, spec))
        words = Words(learner, buffer, grounding, spec.action, config.words, seed=config.seed)
        hears.append(words)
    tutors += hears
    tutors += [*recipe.tutors(learner, seed=config.seed), *open_tutors(config.tutors, classroom)]
    mix = recipe.mix(config.trainer.prior_share)
    started = config.start is not None
    trainer = Trainer(
        learner,
        buffer,
        tutors,
        config.trainer,
        on_metrics=on_metrics,
        mix=mix,
        heartbeat=heartbeat,
        started=started,
    )
    check = None
    if isinstance(learner, ValueLearner) and not (config.reward_model.is_used or config.reward.gold):
        # Real returns are those of recorded rewards: they say nothing of values by another one.
        check = ValueCheck(_q_values(learner, features, config.device), config.replay.discount)
    return Learning(trainer, check, filling, lessons, words, tuple(hears))


def _goals_meant(config: LearningConfig, buffer: ReplayBuffer) -> GoalsMeant | None:
    """What relabels rows of goals that were not understood; None where nobody sees the goal, or nobody may."""
    sizes = dict(buffer.context.sizes)
    if not sizes or not sizes.items() <= CONTEXT_SIZES.items():
        return None
    if config.reward.gold:
        log.warning("reward.gold: goals that were meant all along count from now on, the true reward was of another")
        return None
    return GoalsMeant(buffer, context_of)


def _q_values(
    learner: ValueLearner, features: Features, device: str
) -> Callable[[list[Step], Array], NDArray[np.float32]]:
    def q_values(steps: list[Step], actions: Array) -> NDArray[np.float32]:
        seen = {name: torch.as_tensor(value, device=device) for name, value in features.in_order(steps).items()}
        return learner.q_values(seen, torch.as_tensor(actions, device=device)).cpu().numpy()

    return q_values
