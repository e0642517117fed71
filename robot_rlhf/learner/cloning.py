"""Behaviour cloning: the honest baseline, and with growing corrections HG-DAgger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from robot_rlhf.datatypes import Batch, Source, WeightSnapshot
from robot_rlhf.errors import CheckpointError, ConfigError
from robot_rlhf.learner import losses
from robot_rlhf.learner.advising import HeadAdvice, likeliest
from robot_rlhf.learner.imitation import Imitation
from robot_rlhf.learner.recipe import LearnerConfig
from robot_rlhf.learner.state import AdamState, begin_with, load_state_of, snapshot_of, state_of
from robot_rlhf.learner.weighting import Weighting, class_masses, imitated_shares, imitation_mask, weights_of
from robot_rlhf.policy.imitators import Imitators
from robot_rlhf.policy.networks import Actor, NetworkConfig, Shapes, has_discrete_gripper, split_action
from robot_rlhf.policy.shapes import check_same_shapes, shapes_in
from robot_rlhf.ranges import MEMBERS_OR_NONE, RATE, SHARE, SHIFT, WEIGHT, check_ranges
from robot_rlhf.replay.augment import augmented
from robot_rlhf.replay.buffer import ReplayBuffer


@dataclass(frozen=True)
class CloningConfig(LearnerConfig):
    """How a policy imitates what was shown before practice."""

    kind: ClassVar[str] = "cloning"
    rewards: ClassVar = "none"
    practice: ClassVar = "none"

    learning_rate: float = 1e-3
    spread_weight: float = 0.05
    """Weight of fitting the spread."""
    turned_colours: float = 0.0
    """Share of the pictures whose colours are turned at random, as in sac."""
    weighting: Weighting = "person"
    """person: imitate what a person did, all alike. iwr and sirius imitate the policy's own steps too, and give the
    corrections half of the loss; sirius wants replay.pre_intervention 15 and gives those steps almost nothing."""
    imitators: int = 0
    """Networks that imitate beside the actor; their mean acts, and their running average is deployed. Each alone
    succeeds by chance (policy/imitators.py). 0: the actor alone, as HG-DAgger has it."""
    imitators_average_rate: float = 0.01
    """Share of the imitators that flows into their running average per update."""

    def __post_init__(self) -> None:
        check_ranges(self, "learner", learning_rate=RATE, spread_weight=WEIGHT)
        check_ranges(self, "learner", shift_pixels=SHIFT, turned_colours=SHARE)
        check_ranges(self, "learner", imitators=MEMBERS_OR_NONE, imitators_average_rate=RATE)
        if self.imitators and self.weighting != "person":
            raise ConfigError(
                f"learner.imitators {self.imitators} with learner.weighting {self.weighting}: imitators weigh all that "
                "a person did alike; allowed: imitators 0, or weighting person"
            )

    def make(
        self, shapes: Shapes, network: NetworkConfig, *, buffer: ReplayBuffer, seed: int, device: str
    ) -> CloningLearner:
        return CloningLearner(shapes, network, self, seed=seed, device=device, counts=lambda: buffer.counts)


@dataclass(frozen=True)
class DaggerConfig(CloningConfig):
    """How a policy goes on imitating while it practises and is corrected (HG-DAgger, Kelly et al. 2019)."""

    kind: ClassVar[str] = "dagger"
    practice: ClassVar = "needed"


class CloningLearner:
    """Imitates demonstrations and corrections, weighted by class as Sirius does if asked; never looks at a reward."""

    def __init__(
        self,
        shapes: Shapes,
        network: NetworkConfig,
        config: CloningConfig,
        *,
        seed: int,
        device: str = "cpu",
        counts: Callable[[], Mapping[Source, int]] | None = None,
    ) -> None:
        """
        Args:
            counts: steps that replay holds, by source: what the weights of iwr and sirius are made from.

        Raises:
            ConfigError: such a weighting without counts.
        """
        if config.weighting != "person" and counts is None:
            raise ConfigError(f"learner.weighting {config.weighting}: needs the counts of a replay buffer")
        self.shapes = shapes
        self.config = config
        self.device = torch.device(device)
        self.actor = Actor(shapes, network, torch.Generator().manual_seed(seed)).to(self.device)
        self.updates = 0
        self._counts = counts
        self._gripper = shapes.gripper if has_discrete_gripper(shapes, network) else None
        self._generator = torch.Generator(device=self.device).manual_seed(seed + 1)
        self._adam = AdamState(list(self.actor.parameters()), config.learning_rate)
        self._advice = HeadAdvice(self.actor.head, self._gripper)
        self._imitation: Imitation | None = None
        if config.imitators:
            if self.actor.encoder.learns:
                raise ConfigError(
                    f"learner.imitators {config.imitators} with cameras {sorted(shapes.cameras)}: several networks "
                    "clone from states alone; allowed: imitators 0, or no cameras"
                )
            generator = torch.Generator().manual_seed(seed + 2)
            imitators = Imitators(shapes, network, config.imitators, self.actor.encoder.size, generator)
            self._imitation = Imitation(
                imitators.to(self.device), proven_weight=0.0, average_rate=config.imitators_average_rate
            )
            self._imitation.lead(alone=True, deployed_alone=True)

    def update(self, batch: Batch) -> Mapping[str, Tensor]:
        """One step on the rows of the batch that are imitated."""
        action, is_open = split_action(batch.action, self._gripper)
        c = self.config
        observation = augmented(
            batch.observation, self._generator, shift_pixels=c.shift_pixels, turned=c.turned_colours
        )
        self.actor.encoder.note(observation)
        features = self.actor.encoder(observation)
        out = self.actor.head(features)
        mask = self._weights(batch.source)
        shares = imitated_shares(batch, self._gripper)
        errors = out.continuous.imitation_error(action)
        loss = losses.cloning_loss(errors, out.gripper_logit, is_open, mask, shares)
        spread = losses.spread_loss(out.continuous.spread_error(action), mask, shares)
        self._adam.step(loss + self.config.spread_weight * spread)
        self.updates += 1
        told = {"cloning_loss": loss.detach()}
        if self._imitation is not None:
            told["imitators_loss"] = self._imitation.learn(features.detach(), batch, action, is_open, shares)
        return told

    def _weights(self, source: Tensor) -> Tensor:
        """How much each row is imitated. Shape (B,)."""
        if self._counts is None or self.config.weighting == "person":
            return imitation_mask(source)
        return weights_of(source, class_masses(self.config.weighting, self._counts()))

    def warm_start(self, batches: Iterable[Batch]) -> float:
        """Imitate before any practice; returns the last loss."""
        last = torch.zeros(())
        for batch in batches:
            last = self.update(batch)["cloning_loss"]
        self.updates = 0
        if self._imitation is not None:
            self._imitation.settle()
        return float(last.detach())

    @property
    def policy_updates(self) -> int:
        """All updates are the policy's."""
        return self.updates

    def advise(
        self, observation: Mapping[str, Tensor], target: Tensor, mask: Tensor, weight: Tensor
    ) -> Mapping[str, Tensor]:
        """One step of the actor's head, and of the imitators."""
        with torch.no_grad():
            features = self.actor.encoder(observation)
        if self._imitation is not None:
            self._imitation.advise(features, target, mask, weight, self._gripper)
        return self._advice.learn(features, target, mask, weight, self.config.learning_rate)

    def keep(
        self, observation: Mapping[str, Tensor], target: Tensor, mask: Tensor, weight: Tensor
    ) -> Mapping[str, Tensor]:
        """One step of the actor, with what it sees with, and of the imitators."""
        features = self.actor.encoder(observation)
        loss = self._advice.loss(features, target, mask, weight)
        self._adam.step(loss * weight.mean())
        if self._imitation is not None:
            self._imitation.keep(features.detach(), target, mask, weight, self._gripper)
        return {"advice_loss": loss.detach()}

    @torch.no_grad()
    def mode(self, observation: Mapping[str, Tensor]) -> Tensor:
        """What the imitators would do as soon as they know, else the actor. Shape (B, m)."""
        features = self.actor.encoder(observation)
        if self._imitation is not None and bool(self._imitation.imitators.know):
            return likeliest(self._imitation.imitators(features), self._gripper)
        return likeliest(self.actor.head(features), self._gripper)

    def snapshot(self) -> WeightSnapshot:
        beside = {} if self._imitation is None else {"imitators": self._imitation.imitators}
        return snapshot_of(self.actor, self.updates, **beside)

    def averaged(self) -> WeightSnapshot:
        """What is evaluated and deployed: the imitators' average, or the newest weights of the actor alone."""
        beside = {} if self._imitation is None else {"imitators": self._imitation.average}
        return snapshot_of(self.actor, self.updates, **beside)

    def begin_with(self, snapshot: WeightSnapshot) -> None:
        """Go on from a policy's weights; values are learned anew. Raises CheckpointError for another architecture, and
        where those that act in it would be left behind: imitators that act alone, or an actor without any."""
        alone = bool(snapshot.arrays.get("imitators.alone", 0.0))
        if self._imitation is None and alone:
            raise CheckpointError(
                "start acts by imitators alone, and learner.imitators is 0; allowed: as many as it has"
            )
        if self._imitation is not None and "imitators.alone" not in snapshot.arrays:
            raise CheckpointError(
                f"start has no imitators, and learner.imitators is {self.config.imitators}; allowed: 0, which goes on "
                "from its actor"
            )
        begin_with(snapshot, self.actor)
        if self._imitation is not None:
            begin_with(snapshot, self._imitation.imitators, self._imitation.average, beside="imitators")
            self._imitation.lead(alone=True, deployed_alone=True)

    def state(self) -> Mapping[str, Tensor]:
        tensors = {"updates": torch.tensor(self.updates), "generator": self._generator.get_state()}
        tensors |= {f"actor.{key}": value.detach().clone() for key, value in self.actor.state_dict().items()}
        tensors |= {f"adam.{key}": value for key, value in self._adam.state().items()}
        if self._imitation is not None:
            tensors |= state_of(self._imitation.modules, self._imitation.optimisers)
            tensors |= self._imitation.advice.state("imitators")
        return tensors | self._advice.state()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self._advice.load(state)
        if self._imitation is not None:
            self._imitation.advice.load("imitators", state)
        check_same_shapes("state", shapes_in(state), shapes_in(self.state()))
        self.actor.load_state_dict({k[6:]: v for k, v in state.items() if k.startswith("actor.")})
        self._adam.load({k[5:]: v for k, v in state.items() if k.startswith("adam.")})
        if self._imitation is not None:
            load_state_of(state, self._imitation.modules, self._imitation.optimisers)
        self._generator.set_state(state["generator"].cpu())
        self.updates = int(state["updates"])
