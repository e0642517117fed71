"""A reward that learns from comparisons while the policy learns from it; and a simulated teacher who compares."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.datatypes import (
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Event,
    Feedback,
    FeedbackKind,
    Observation,
    Outcome,
    Segment,
    Step,
)
from robot_rlhf.feedback.comparisons import Budget, preference
from robot_rlhf.feedback.queries import Candidate, Pair, choose, segments_of
from robot_rlhf.learner.reward_data import Moments, Pairs, part_preferences, preference_probabilities
from robot_rlhf.learner.reward_training import RewardReport, RewardTraining, train_reward
from robot_rlhf.ranges import AT_LEAST_ONE, check_ranges
from robot_rlhf.rewards.labelers.oracle import Oracle, Teacher, gold_by_episode, usual_reward
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.rewards.trajectory import Trajectory
from robot_rlhf.runtime.trajectories import SUCCEEDED

log = logging.getLogger(__name__)

LEARNED_REWARD = "reward.safetensors"
"""File beside a checkpoint with the reward that was learned from comparisons."""
Encode = Callable[[Observation], Mapping[str, NDArray[Any]]]


@dataclass(frozen=True)
class PreferenceLearning:
    """How a reward is learned from comparisons during practice."""

    every: int = 20
    """New labels after which it learns anew, from all of them."""
    episodes: int = 1_000
    """Newest episodes whose steps are kept for it."""
    megabytes: int = 1_000
    """Memory that they may take. Where pictures need more, the oldest that no comparison is about go first, then the
    oldest others, whose labels teach no more."""
    training: RewardTraining = field(default_factory=lambda: RewardTraining(updates=400, review_every=50))

    def __post_init__(self) -> None:
        check_ranges(self, "preferences", every=AT_LEAST_ONE, episodes=AT_LEAST_ONE, megabytes=AT_LEAST_ONE)


class PreferenceLearner:
    """A Tutor: keeps what was done and how it was compared, and teaches the reward when enough is new.

    Comparisons are heard as the events that they are in the journal, whoever gave them. No true reward is looked at.
    """

    def __init__(self, model: LearnedReward, encode: Encode, config: PreferenceLearning, *, seed: int) -> None:
        self.model = model
        self.config = config
        self.labels: dict[frozenset[Segment], Feedback] = {}
        """The comparisons that stand, the last one of each pair."""
        self.trajectories: deque[Trajectory] = deque(maxlen=config.episodes)
        self.let_go = 0
        """Episodes that comparisons are about, and that were given up for want of memory."""
        self.reports: list[RewardReport] = []
        self._encode = encode
        self._seed = seed
        self._learned_from = 0
        self._heard = 0
        self._meta: EpisodeMeta | None = None
        self._rows: list[Mapping[str, NDArray[Any]]] = []
        self._actions: list[NDArray[np.float32]] = []
        self._instruction = ""

    # -- what happens --------------------------------------------------------------------------------------------

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._meta = None if meta.kind is EpisodeKind.EVALUATION else meta
        if self._meta is not None:
            self._rows, self._actions = [self._encode(observation)], []

    def on_step(self, step: Step) -> None:
        if step.executed is None:
            self._meta = None  # a reward is of what was done
        elif self._meta is not None:
            self._rows.append(self._encode(step.next_observation))
            self._actions.append(step.executed.values)
            self._instruction = step.instruction

    def on_event(self, event: Event) -> None:
        if isinstance(event, Feedback) and event.kind is FeedbackKind.PREFERENCE and event.other is not None:
            self.labels[frozenset((event.span, event.other))] = event
            self._heard += 1

    def on_episode_end(self, end: EpisodeEnd) -> None:
        if self._meta is not None and self._actions and end.outcome is not Outcome.DISCARDED:
            self.trajectories.append(
                Trajectory(
                    id=self._meta.id,
                    task=self._meta.task,
                    instruction=self._instruction,
                    observations={name: np.stack([row[name] for row in self._rows]) for name in self._rows[0]},
                    actions=np.stack(self._actions),
                    success=SUCCEEDED.get(end.outcome),
                )
            )
            self._keep_bounded()
        self._meta = None

    def _keep_bounded(self) -> None:
        """Give up episodes that the memory has no place for; the newest stays whatever it takes."""
        limit = self.config.megabytes * 1_000_000
        size = sum(map(_bytes, self.trajectories))
        if size <= limit:
            return
        compared = {name for feedback in self.labels.values() for name in _about(feedback)}
        *older, _newest = self.trajectories
        for trajectory in sorted(older, key=lambda t: t.id in compared):  # stable: the oldest of each first
            self.trajectories.remove(trajectory)
            size -= _bytes(trajectory)
            if trajectory.id in compared:
                if not self.let_go:
                    log.warning("preferences.megabytes %d: compared episodes are given up", self.config.megabytes)
                self.let_go += 1
            if size <= limit:
                return

    # -- learning ------------------------------------------------------------------------------------------------

    def work(self, heartbeat: Callable[[], None] = lambda: None) -> dict[str, float] | None:
        """Learn when enough is new; returns how the lesson went.

        Labels that cannot teach yet, all of them ties, for measuring, or about episodes that are gone, wait for further
        ones.

        Args:
            heartbeat: called now and then while it learns.
        """
        if self._heard - self._learned_from < self.config.every:
            return None
        self._learned_from = self._heard
        known = {trajectory.id for trajectory in self.trajectories}
        usable = [f for f in self.labels.values() if f.value is not None and _about(f) <= known]
        teaching, _ = part_preferences(usable, self.config.training.held_out_share)
        if not any(f.value != 0.5 for f in teaching):
            return None
        report = train_reward(
            self.model,
            list(self.trajectories),
            ["preference"],
            self.config.training,
            seed=self._seed + self.model.version,
            preferences=usable,
            on_update=lambda _done, _loss: heartbeat(),
        )
        self.reports.append(report)
        return self.figures()

    def figures(self) -> dict[str, float]:
        """How the last lesson went, as metrics; NaN where no pair was kept to measure."""
        report = self.reports[-1]
        assert report.preference is not None
        return {
            "reward_version": float(report.version),
            "reward_labels": float(report.preference.pairs),
            "reward_accuracy": report.preference.accuracy.rate,
            "reward_held_out_accuracy": report.preference.held_out.rate,
            "reward_seconds": report.seconds,
        }

    def save(self, folder: Path) -> Mapping[str, Tensor]:
        """Write the reward for an audit; what it learned from is in the journal, and teaches it again."""
        if self.reports:
            self.model.save(folder / LEARNED_REWARD)
        return {}

    def load(self, kept: Mapping[str, Tensor]) -> None:
        """The journal has told everything again."""

    def probabilities(self, pairs: Sequence[Pair]) -> NDArray[np.float32]:
        """Of each member that the left one is preferred. Shape (E, P)."""
        moments = Moments(list(self.trajectories), self.model.inputs)
        asked = [Feedback(FeedbackKind.PREFERENCE, "", 0.0, a, value=0.5, other=b) for a, b in pairs]
        return preference_probabilities(self.model, moments, Pairs.of(asked, moments))


def _bytes(trajectory: Trajectory) -> int:
    return trajectory.actions.nbytes + sum(column.nbytes for column in trajectory.observations.values())


def _about(feedback: Feedback) -> set[str]:
    assert feedback.other is not None
    return {feedback.span.episode_id, feedback.other.episode_id}


@dataclass(frozen=True)
class TeacherConfig:
    """A simulated teacher who compares segments of practice by the simulator's true reward: for studies alone."""

    labeler: Literal["none", "oracle"] = "none"
    """oracle: knows the true reward. A person compares on the console's label page instead."""
    budget: int = 400
    """Labels in all."""
    pairs: int = 20
    """Labels per round. Few, so that the budget lasts: what the policy learns to do late must be compared, too."""
    every: int = 200
    """Practice steps between rounds."""
    length: int = 10
    """Steps of a segment; the last one of an episode ends where the episode ended."""
    newest: int = 20
    """Episodes to choose from: what the policy does now, which is what it is to do better."""
    strategy: Literal["uniform", "disagreement", "entropy"] = "uniform"
    """How pairs are chosen; the first round is always uniform."""
    teacher: Teacher = field(default_factory=Teacher)
    """The teacher's irregularities."""

    def __post_init__(self) -> None:
        names = ("budget", "pairs", "every", "length", "newest")
        check_ranges(self, "teacher", **dict.fromkeys(names, AT_LEAST_ONE))


class SimulatedTeacher:
    """A Subscriber that remembers the true reward, and compares segments when a round is due."""

    def __init__(
        self, config: TeacherConfig, learner: PreferenceLearner, clock: Callable[[], float], *, seed: int
    ) -> None:
        self.config = config
        self._learner = learner
        self._clock = clock
        self._rng = np.random.default_rng([seed, 77])
        self._gold: dict[str, list[float]] = {}
        self._open: str | None = None
        self._given: list[Feedback] = []
        self._practising = False
        self._steps = 0
        self._asked_at = -config.every

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._open = None if meta.kind is EpisodeKind.EVALUATION else meta.id
        self._practising = meta.kind is EpisodeKind.PRACTICE
        if self._open is not None:
            self._gold[self._open] = []

    def on_step(self, step: Step) -> None:
        if self._open is not None:
            self._gold[self._open].append(step.gold_reward)
        self._steps += self._practising

    def on_event(self, event: Event) -> None:
        if isinstance(event, Feedback) and event.kind is FeedbackKind.PREFERENCE:
            self._given.append(event)

    def on_episode_end(self, end: EpisodeEnd) -> None:
        self._open = None

    def round(self) -> list[Feedback]:
        """The answers of a round, to be told to all; none while no round is due, or nothing is left to ask."""
        config, author = self.config, self.config.teacher.author
        left = Budget(config.budget).left(self._given, author)
        if self._steps - self._asked_at < config.every or not left:
            return []
        self._asked_at = self._steps
        known = list(self._learner.trajectories)[-config.newest :]
        lengths = {trajectory.id: len(trajectory) for trajectory in known}
        candidates = [Candidate(segment) for segment in segments_of(lengths, config.length)]
        taught = "preference" in self._learner.model.trained
        chosen = choose(
            config.strategy if taught else "uniform",
            candidates,
            min(config.pairs, left),
            self._rng,
            [(f.span, f.other) for f in self._learner.labels.values() if f.other is not None],
            self._learner.probabilities,
        )
        gold = {name: np.array(values, np.float32) for name, values in self._gold.items() if values}
        oracle = Oracle(gold_by_episode(gold), self._rng, config.teacher, usual=usual_reward(list(gold.values())))
        now = self._clock()
        return [preference(pair, oracle.compare(*pair), author, now) for pair in chosen]
