"""Implicit Q-learning: learns from recorded transitions alone, and never asks what an unseen action is worth."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from robot_rlhf.datatypes import Batch, WeightSnapshot
from robot_rlhf.errors import ConfigError
from robot_rlhf.learner import losses
from robot_rlhf.learner.advising import HeadAdvice, likeliest
from robot_rlhf.learner.recipe import LearnerConfig
from robot_rlhf.learner.state import AdamState, averaging_rate, begin_with, follow, load_state_of, snapshot_of, state_of
from robot_rlhf.policy.networks import (
    Actor,
    Critic,
    NetworkConfig,
    Shapes,
    has_discrete_gripper,
    split_action,
)
from robot_rlhf.policy.shapes import check_same_shapes, shapes_in
from robot_rlhf.ranges import RATE, SHIFT, WEIGHT, Range, check_ranges
from robot_rlhf.replay.augment import shift_pictures
from robot_rlhf.replay.buffer import ReplayBuffer


@dataclass(frozen=True)
class IqlConfig(LearnerConfig):
    """How IQL learns (Kostrikov et al. 2021)."""

    kind: ClassVar[str] = "iql"
    rewards: ClassVar = "recorded"

    learning_rate: float = 3e-4
    """Of actor, critics and value."""
    target_rate: float = 0.005
    """Share of the online critic that flows into its target per update."""
    expectile: float = 0.9
    """Of the action values that the state's value stands for: 0.5 is their mean, 1 their maximum among those seen."""
    inverse_temperature: float = 30.0
    """How strongly better actions are preferred (beta); 0 clones everything. For values in about [-1, 1]."""
    largest_weight: float = 100.0
    """Of a transition in the policy's loss."""
    average_rate: float = 0.005
    """Share of the actor that flows into its running average per update, a larger one in the first updates; the average
    is evaluated and deployed."""

    def __post_init__(self) -> None:
        if not 0.0 < self.expectile < 1.0:
            raise ConfigError(f"learner.expectile: got {self.expectile}, allowed: between 0 and 1")
        check_ranges(self, "learner", learning_rate=RATE, target_rate=RATE, average_rate=RATE, shift_pixels=SHIFT)
        check_ranges(self, "learner", inverse_temperature=WEIGHT, largest_weight=Range(0.0, 1e6, above=True))

    def make(
        self, shapes: Shapes, network: NetworkConfig, *, buffer: ReplayBuffer, seed: int, device: str
    ) -> IqlLearner:
        return IqlLearner(shapes, network, self, seed=seed, device=device)


# -- losses ------------------------------------------------------------------------------------------------------------


def expectile_loss(difference: Tensor, expectile: float, weight: Tensor) -> Tensor:
    """Weighted mean of |expectile - 1(u < 0)| u^2, with u = Q - V (Kostrikov et al. 2021, eq. 5).

    Args:
        difference: u. Shape (B,).
        expectile: tau, in (0, 1).
        weight: Shape (B,).
    """
    side = torch.where(difference < 0.0, 1.0 - expectile, expectile)
    return (side * difference.square() * weight).mean()


def advantage_weight(advantage: Tensor, inverse_temperature: float, largest: float) -> Tensor:
    """exp(beta * A), no larger than `largest` (Kostrikov et al. 2021, eq. 7, and their code). Shape (B,) -> (B,)."""
    return (inverse_temperature * advantage).exp().clamp(max=largest)


def weighted_cloning_loss(log_prob: Tensor, weight: Tensor) -> Tensor:
    """Minus the weighted mean log density (Kostrikov et al. 2021, eq. 7). Shapes (B,)."""
    return -(weight.detach() * log_prob).mean()


# -- learner -----------------------------------------------------------------------------------------------------------


class IqlLearner:
    """Actor, twin critics with their target, and a value of states. One `update` is one step of all of them.

    Unlike the authors' code, the three losses of an update are taken from the same parameters, not one after the
    other; the critics and the value train the encoder, the actor sees its features as they are.
    """

    def __init__(
        self, shapes: Shapes, network: NetworkConfig, config: IqlConfig, *, seed: int, device: str = "cpu"
    ) -> None:
        self.shapes = shapes
        self.config = config
        self.device = torch.device(device)
        init = torch.Generator().manual_seed(seed)
        self.actor = Actor(shapes, network, init).to(self.device)
        features = self.actor.encoder.size
        self.critic = Critic(shapes, network, features, init).to(self.device)
        stateful, single = replace(shapes, action=0, gripper=None), replace(network, critics=1)
        self.value = Critic(stateful, single, features, init).to(self.device)  # of no action: V(s)
        self.average = self.actor.follower()
        self.target = copy.deepcopy(self.critic).requires_grad_(False)
        self.updates = 0
        self.generator = torch.Generator(device=self.device).manual_seed(seed + 1)
        self._gripper = shapes.gripper if has_discrete_gripper(shapes, network) else None
        values = [*self.critic.parameters(), *self.value.parameters(), *self.actor.encoder.parameters()]
        self._optimisers = {
            "value": AdamState(values, config.learning_rate),
            "policy": AdamState(list(self.actor.head.parameters()), config.learning_rate),
        }
        self._advice = HeadAdvice(self.actor.head, self._gripper)

    # -- learning ----------------------------------------------------------------------------------------------------

    def update(self, batch: Batch) -> Mapping[str, Tensor]:
        """One step of value, critics and actor."""
        self.updates += 1
        action, is_open = split_action(batch.action, self._gripper)
        metrics, features, advantage = self._update_values(batch, action, is_open)
        weight = advantage_weight(advantage, self.config.inverse_temperature, self.config.largest_weight)
        log_prob = self.actor.head(features).log_prob(action, is_open)
        loss = weighted_cloning_loss(log_prob, weight * batch.weight)
        self._optimisers["policy"].step(loss)
        follow(self.average, self.actor, averaging_rate(self.config.average_rate, self.updates))
        return metrics | {
            "actor_loss": loss.detach(),
            "advantage_weight": weight.mean(),
            "weights_at_limit": (weight >= self.config.largest_weight).float().mean(),
        }

    def _update_values(
        self, batch: Batch, action: Tensor, is_open: Tensor | None
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """One step of value, critics and encoder; returns metrics, features (B, F) and advantages (B,), detached."""
        self.actor.encoder.note(batch.observation)
        features = self._encode(batch.observation)
        with torch.no_grad():
            executed = losses.of_executed_gripper(self.target(features, action), is_open).amin(dim=0)  # (B,)
            next_value = self._value(self._encode(batch.next_observation))
            target = losses.td_target(batch.reward, batch.discount, next_value)
        advantage = executed - self._value(features)
        value_loss = expectile_loss(advantage, self.config.expectile, batch.weight)
        q = losses.of_executed_gripper(self.critic(features, action), is_open)  # (E, B)
        critic_loss = losses.critic_loss(q, target, batch.weight)
        self._optimisers["value"].step(value_loss + critic_loss)
        follow(self.target, self.critic, self.config.target_rate)
        metrics = {
            "value_loss": value_loss.detach(),
            "critic_loss": critic_loss.detach(),
            "q_mean": q.detach().mean(),
            "advantage": advantage.detach().mean(),
        }
        return metrics, features.detach(), advantage.detach()

    def warm_start(self, batches: Iterable[Batch]) -> float:
        """Learn from the batches before any practice; returns the last loss of the policy."""
        last = torch.zeros(())
        for batch in batches:
            last = self.update(batch)["actor_loss"]
        self.updates = 0
        follow(self.average, self.actor, 1.0)
        return float(last.detach())

    def warm_critic(self, batches: Iterable[Batch]) -> None:
        """Update value and critics alone."""
        for batch in batches:
            self._update_values(batch, *split_action(batch.action, self._gripper))

    def advise(
        self, observation: Mapping[str, Tensor], target: Tensor, mask: Tensor, weight: Tensor
    ) -> Mapping[str, Tensor]:
        """One step of the actor's head."""
        with torch.no_grad():
            features = self.actor.encoder(observation)
        return self._advice.learn(features, target, mask, weight, self.config.learning_rate)

    # -- asking ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def q_values(self, observation: Mapping[str, Tensor], action: Tensor) -> Tensor:
        """Mean over the critics of Q of the given actions (B, m). Shape (B,)."""
        continuous, is_open = split_action(action, self._gripper)
        return losses.of_executed_gripper(self.critic(self.actor.encoder(observation), continuous), is_open).mean(dim=0)

    @property
    def policy_updates(self) -> int:
        """All updates are the policy's, too."""
        return self.updates

    @torch.no_grad()
    def mode(self, observation: Mapping[str, Tensor]) -> Tensor:
        """The actor's likeliest action. Shape (B, m)."""
        return likeliest(self.actor(observation), self._gripper)

    @torch.no_grad()
    def state_values(self, observation: Mapping[str, Tensor]) -> Tensor:
        """V of the given observations. Shape (B,)."""
        return self._value(self.actor.encoder(observation))

    def snapshot(self) -> WeightSnapshot:
        """The newest actor."""
        return snapshot_of(self.actor, self.updates)

    def averaged(self) -> WeightSnapshot:
        """The running average of the actor: what is evaluated and deployed."""
        return snapshot_of(self.average, self.updates)

    def begin_with(self, snapshot: WeightSnapshot) -> None:
        """Go on from a policy's weights; values are learned anew. Raises CheckpointError for another architecture."""
        begin_with(snapshot, self.actor, self.average)

    def state(self) -> Mapping[str, Tensor]:
        own = {"updates": torch.tensor(self.updates), "generator": self.generator.get_state()}
        return own | state_of(self._modules(), self._optimisers) | self._advice.state()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self._advice.load(state)
        check_same_shapes("state", shapes_in(state), shapes_in(self.state()))
        load_state_of(state, self._modules(), self._optimisers)
        self.generator.set_state(state["generator"].cpu())
        self.updates = int(state["updates"])

    # -- parts -------------------------------------------------------------------------------------------------------

    def _modules(self) -> dict[str, nn.Module]:
        return {
            "actor": self.actor,
            "average": self.average,
            "critic": self.critic,
            "target": self.target,
            "state_value": self.value,
        }

    def _encode(self, observation: Mapping[str, Tensor]) -> Tensor:
        return self.actor.encoder(shift_pictures(observation, self.generator, self.config.shift_pixels))

    def _value(self, features: Tensor) -> Tensor:
        """V. Shape (B, F) -> (B,)."""
        return self.value(features, features[:, :0])[0, :, 0]
