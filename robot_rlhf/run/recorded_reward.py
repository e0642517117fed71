"""The reward by which recordings are learned from: which it is, how it sees the steps, and what it gives each row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.learner.classroom import Classroom, open_scores
from robot_rlhf.policy.features import Features
from robot_rlhf.ports import Learner, Scores
from robot_rlhf.replay.blocks import POLICY
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.rewards.clip_reward import ClipScores, open_reward
from robot_rlhf.rewards.gates import FactBook
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.run.learning import ReplayConfig, feed_of
from robot_rlhf.run.offline_settings import OfflineOptions
from robot_rlhf.run.reward_features import features_of, warn_of_words
from robot_rlhf.run.rewarded import REWARD, SCORES, build_gates, score_episodes, show_to_reward
from robot_rlhf.runtime.episode_scores import EpisodeScores
from robot_rlhf.runtime.gate_feed import GateFeed
from robot_rlhf.runtime.offline import relabelled, unit_rewards

SPARSE, GOLD = "sparse", "gold"


class RecordedReward:
    """Opened before anything of the run is there, so that what cannot be used leaves nothing behind."""

    def __init__(
        self, options: OfflineOptions, replay: ReplayConfig, spec: RobotSpec, features: Features, facts: FactBook | None
    ) -> None:
        """
        Args:
            spec: of the recorded robot.
            features: what the policy sees.
            facts: what rules may be about; None without rules.

        Raises:
            ConfigError: no such camera, or rules that this robot cannot keep.
            CheckpointError: a reward that needs another robot or other features.
        """
        self._options = options
        self._replay = replay
        self._spec = spec
        self._features = self._seen = features
        self._model: LearnedReward | None = None
        self._sentences: ClipScores | None = None
        self._own: Scores | None = None
        self._gates = None if facts is None else build_gates(options.gates, spec, facts)
        self._gated: GateFeed | None = None
        self._late: EpisodeScores | None = None
        self._block = POLICY
        first = str(options.runs[0])
        if options.clip.is_used:
            options.clip.check_camera(spec.cameras, first)
            self._sentences = ClipScores(open_reward(options.clip, options.device), apart=False)
        elif options.reward not in (SPARSE, GOLD) and not options.own_reward:
            self._model = LearnedReward.load(Path(options.reward), options.device, reads=options.head)
            seen = features_of(self._model, spec, first)
            if not seen.same_as(features):
                self._seen = seen

    @property
    def pictures(self) -> bool:
        """Recorded pictures are needed: by the policy, or to score."""
        looking = (self._features, self._seen)
        return self._sentences is not None or any(bool(each.cameras or each.frozen) for each in looking)

    def feed(self, learner: Learner, buffer: ReplayBuffer) -> ReplayFeed | GateFeed | EpisodeScores:
        """What fills replay, so that the steps can be scored.

        Raises:
            ConfigError: a reward of one's own that cannot be made.
        """
        options = self._options
        if options.own_reward:
            room = Classroom(learner, buffer, self._spec, self._features, options.seed, options.device)
            self._own = open_scores(options.reward, room, "--reward")
        first = feed_of(self._replay, self._spec, buffer, self._features)
        self._gated = None if self._gates is None else GateFeed(first, self._gates)
        if self._sentences is not None:
            self._late = score_episodes(self._gated or first, self._sentences, options.clip.camera)
            self._block = SCORES
            return self._late
        if self._seen is not self._features:  # it sees other things than the policy
            show_to_reward(first, self._seen)
            self._block = REWARD
        return self._gated or first

    def end_journal(self, instruction: str) -> None:
        """A journal has been told to the feed. Args: instruction: what the robot was asked for last; empty if never."""
        if self._late is not None:
            self._late.finish()
        if self._model is not None:  # one task: what was asked for last is what all of it is scored for
            self._model.instruction = instruction or self._model.instruction

    def give(self, buffer: ReplayBuffer, successes: Sequence[int], discount: float) -> dict[str, Any]:
        """Give the rows dense rewards, scaled to values in [0, 1]; less where a rule is broken.

        Args:
            successes: rows in which an episode ended by its success.

        Returns:
            What summary.json says of it.

        Raises:
            ConfigError: all rewards are the same.
        """
        version, index, values = self._scored(buffer)
        rewards = torch.as_tensor(unit_rewards(values, np.isin(index, successes), discount))
        facts: dict[str, Any] = {"reward_version": version, "reward_range": [float(values.min()), float(values.max())]}
        if self._gated is not None:
            rewards = self._gated.gate(torch.as_tensor(index), rewards)
            facts["gated_rows"] = int((rewards < 0.0).sum())
        buffer.update_rewards(torch.as_tensor(index), rewards, version=version)
        return facts

    def _scored(self, buffer: ReplayBuffer) -> tuple[int, NDArray[np.int64], NDArray[np.float32]]:
        """Version of the reward, rows, and their values. Shapes (N,)."""
        sentences, own, model, block = self._sentences, self._own, self._model, self._block
        if sentences is not None:
            version = max(1, sentences.version)
            return version, *relabelled(buffer, lambda batch: sentences.members_of(batch)[0], version, block=block)
        if own is not None:
            version = max(1, own.version)
            return version, *relabelled(buffer, lambda batch: own.members_of(batch).mean(dim=0), version)
        if model is not None:
            warn_of_words(model, model.instruction)
            version = max(1, model.version)
            return version, *relabelled(buffer, model.scores, version, block=block)
        rows = buffer.indices().cpu()
        parts = [buffer.gather(chunk, one_step=True).reward.cpu() for chunk in rows.split(1024)]
        return 1, rows.numpy(), torch.cat(parts).numpy()

    def facts(self) -> dict[str, Any]:
        """Which reward it is, in the words of summary.json."""
        facts: dict[str, Any] = {}
        if self._model is not None:
            facts["reward_head"] = self._model.reads
        if self._sentences is not None:
            facts["reward_sentences"] = self._sentences.reward.name
        return facts
