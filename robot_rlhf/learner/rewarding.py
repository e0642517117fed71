"""Puts a reward model's scores where the learner finds its rewards: in replay, beside the control loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from robot_rlhf.datatypes import Batch, EpisodeEnd, EpisodeMeta, Event, Observation, Step
from robot_rlhf.errors import ConfigError
from robot_rlhf.ports import Scores
from robot_rlhf.ranges import WEIGHT, Range, check_ranges
from robot_rlhf.replay.blocks import POLICY
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.mixing import EVERYTHING, UNAIDED
from robot_rlhf.replay.relabel import Relabelling
from robot_rlhf.rewards import transforms
from robot_rlhf.rewards.clip_reward import ClipConfig
from robot_rlhf.rewards.gates import GateConfig

CHUNK = 1024
"""Rows scored at once, between two updates."""
REFERENCES = 512
"""Practice rows whose scores stand for those of the starting policy."""
PAR_REFERENCES = 10
"""Of these, rows against which a score is squashed (Fu et al. 2025 take up to ten)."""


Gate = Callable[[Tensor, Tensor], Tensor]
"""Row numbers (B,) and their rewards (B,) to the rewards that remain of them (B,)."""


@dataclass(frozen=True)
class RewardModelConfig:
    """A learned reward, and how it enters what is learned from."""

    file: Path | None = None
    """The model, as `robot-rlhf reward train` writes it; None learns from the recorded rewards alone."""
    clip: ClipConfig = field(default_factory=ClipConfig)
    """Or sentences, whose fit to the recorded pictures is the reward; scored when an episode is over."""
    learns: bool = False
    """Learn it from comparisons during practice, or with a file go on learning it."""
    scores: str | None = None
    """Or a reward of your own: module:class or file.py:class of ports.Scores, made with a Classroom."""
    use: Literal["shape", "replace"] = "shape"
    """shape: as a potential beside the recorded reward, which leaves unchanged what is best however wrong the model is;
    replace: instead of it, nothing recorded counts but how an episode ended."""
    scale: float = 1.0
    """Factor of a potential."""
    members: Literal["mean", "minimum", "cautious"] = "mean"
    """What the ensemble says together; cautious: mean minus `penalty` times the variance (UWO). With sentences the
    members are the goals, each taken alone."""
    penalty: float = 1.0
    bounded: bool = True
    """Squash what has no bounds, preferences and sentences, into 0 to 1 around what the starting policy got (PAR)."""
    gates: GateConfig = field(default_factory=GateConfig)

    @property
    def is_used(self) -> bool:
        """There is a reward beside the recorded one."""
        return self.file is not None or self.learns or self.clip.is_used or self.scores is not None

    def __post_init__(self) -> None:
        if self.clip.is_used and (self.file is not None or self.learns):
            raise ConfigError("reward_model.clip: allowed without reward_model.file and reward_model.learns")
        if self.scores is not None and (self.file is not None or self.learns or self.clip.is_used):
            raise ConfigError("reward_model.scores: allowed without reward_model.file, .learns and .clip")
        if self.clip.is_used and self.members != "mean" and len(self.clip.goal) < 2:
            raise ConfigError(f"reward_model.members: {self.members} needs two goal sentences; allowed with one: mean")
        if self.gates.rules and not self.is_used:
            raise ConfigError(
                "reward_model.gates: allowed with a learned reward: reward_model.file, .learns, .clip or .scores"
            )
        check_ranges(self, "reward_model", scale=Range(0.0, 1e6, above=True), penalty=WEIGHT)


class Rewarding:
    """One-step transitions, with their recorded rewards, to the rewards to learn from."""

    def __init__(self, model: Scores | None, config: RewardModelConfig, discount: float) -> None:
        """
        Args:
            model: None where the recorded reward itself says how good what was reached is, in [0, 1].
            discount: gamma per step.
        """
        self.model = model
        self.config = config
        self._discount = discount
        self._references: Tensor | None = None

    @property
    def is_ready(self) -> bool:
        """The head that is read has learned something."""
        return self.model is None or self.model.is_ready

    @property
    def version(self) -> int:
        """Of the rewards that are given now; recorded ones have 0."""
        return 1 if self.model is None else self.model.version + 1

    def __call__(self, batch: Batch) -> Tensor:
        """Shape (B,).

        Instead of the recorded reward, a step gets (1 - gamma) of what the model says of where it led, and the last
        step of an episode that ended by itself all of it, as if what was reached would stay for ever (an absorbing
        state, Kostrikov et al. 2019). So values are means of what the model says, and ending early is no loss.
        """
        after = self.value(batch)
        discount = batch.discount.to(after.device)
        if self.config.use == "replace" or self.model is None:
            return torch.where(discount == 0.0, after, (1.0 - self._discount) * after)
        before = self.value(replace(batch, next_observation=batch.observation))
        recorded = batch.reward.to(after.device)
        return transforms.shaped(recorded, before * self.config.scale, after * self.config.scale, discount)

    def value(self, batch: Batch) -> Tensor:
        """What the model says of the observations that were reached; progress and success in [0, 1]. Shape (B,).

        Preferences and cosines have no unit: their scores are taken against those of the starting policy, squashed
        (PAR), or in fourths of their standard deviation.
        """
        if self.model is None:
            return batch.reward
        value = self._together(self.model, batch)
        if self.model.has_bounds or self._references is None:
            return value
        spread = self._references.std(correction=0).clamp_min(transforms.SMALLEST_SPREAD)
        if self.config.bounded:
            places = torch.linspace(0, len(self._references) - 1, PAR_REFERENCES).round().long().unique()
            references = self._references[places.to(value.device)]  # all along what the starting policy did
            return transforms.centred_sigmoid(value / spread, references / spread)
        return (value - self._references.mean()) / (4.0 * spread)

    def refer_to(self, batch: Batch) -> None:
        """Take these transitions for what the starting policy does."""
        self._references = None if self.model is None else self._together(self.model, batch)

    def _together(self, model: Scores, batch: Batch) -> Tensor:
        """The members' common score. Shape (B,)."""
        scores = model.members_of(batch)
        if self.config.members == "minimum":
            return transforms.minimum(scores)
        if self.config.members == "cautious":
            return transforms.mean_minus_variance(scores, self.config.penalty)
        return transforms.mean_reward(scores)


class RewardKeeper:
    """A Tutor that keeps the rewards in replay those of the newest reward model, a chunk at a time between updates.

    Rows that arrive are scored before the next update, as long as they are no more than a chunk; after the model has
    learned, rows carry the reward of its former version until their turn comes. Until it has learned at all, and for
    rows that it has not been shown yet, nothing is rewarded where it replaces the recorded reward.
    """

    def __init__(
        self, buffer: ReplayBuffer, rewarding: Rewarding, block: str = POLICY, gate: Gate | None = None
    ) -> None:
        """
        Args:
            block: of the buffer, with what the model sees, shown later than the rows perhaps.
            gate: has the last word on every reward.
        """
        self._buffer = buffer
        self._rewarding = rewarding
        self._block = block
        self._gate = gate
        self._pass: Relabelling | None = None
        self._done = -1
        self._referred = False
        self.scored = 0
        """Rows scored so far, again ones included."""

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        """What happened is in replay."""

    def on_step(self, step: Step) -> None:
        """What happened is in replay."""

    def on_event(self, event: Event) -> None:
        """What happened is in replay."""

    def on_episode_end(self, end: EpisodeEnd) -> None:
        """What happened is in replay."""

    def work(self, heartbeat: Callable[[], None] = lambda: None) -> None:
        """Score the next chunk of rows."""
        self.advance()

    def advance(self) -> bool:
        """Score the next chunk of rows with another version; returns whether there are more."""
        self._keep_waiting()
        if self._pass is None or self._pass.version != self._rewarding.version:
            self._referred = False
            self._pass = Relabelling(self._buffer, self._score, self._rewarding.version, chunk=CHUNK, block=self._block)
            self._done = -1
        shown = self._buffer.filled_to(self._block)
        if self._done == shown:
            return False
        if not self._referred:
            self._referred = self._refer()
        before = self._pass.changed
        more = self._pass.advance()
        self.scored += self._pass.changed - before
        if not more:
            self._done = shown
        return more

    def finish(self) -> int:
        """Score all rows; returns how many have been scored so far."""
        while self.advance():
            pass
        return self.scored

    def _score(self, batch: Batch) -> Tensor:
        if self._rewarding.is_ready:
            reward = self._rewarding(batch)
        else:
            reward = batch.reward if self._rewarding.config.use == "shape" else torch.zeros_like(batch.reward)
        if self._gate is not None:
            reward = self._gate(batch.index, reward)
        return reward

    def _keep_waiting(self) -> None:
        """Rows that the model has not been shown yet must not count by a reward that it is to replace."""
        shown, written = self._buffer.filled_to(self._block), self._buffer.written
        if self._rewarding.config.use == "shape" or shown >= written:
            return
        waiting = torch.arange(max(shown - 1, self._buffer.oldest), written)
        waiting = waiting[torch.from_numpy(self._buffer.can_be_drawn(waiting))]
        self._buffer.update_rewards(waiting, torch.zeros(len(waiting)))

    def _refer(self) -> bool:
        """Score the first practice anew: each version's scores are taken against its own. False while there is none."""
        index = self._buffer.indices(UNAIDED, self._block)[:REFERENCES]
        if not len(index):
            index = self._buffer.indices(EVERYTHING, self._block)[:REFERENCES]
        if not len(index) or not self._rewarding.is_ready:
            return False
        self._rewarding.refer_to(self._buffer.gather(index, one_step=True, block=self._block))
        return True
