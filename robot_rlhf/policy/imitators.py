"""Acting by the better of two proposals: what reinforcement learning found, and what people would do.

Imitation bootstrapped reinforcement learning (Hu et al. 2023, arXiv 2311.02198), with three differences. What imitates
goes on learning while people correct it. It is the mean of several networks: of those that learn from the few minutes
that a person gives, each alone succeeds by chance. And what was found acts only where every critic finds it better, so
that a policy begins as what imitates, and becomes more as the evidence grows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robot_rlhf.datatypes import WeightSnapshot
from robot_rlhf.policy.heads import PolicyOutput, TanhGaussian
from robot_rlhf.policy.mlp import ActivationName, mlp
from robot_rlhf.policy.networks import Critic, NetworkConfig, Shapes, ensemble, has_discrete_gripper, layers_of

TAUGHT = 100
"""Updates with something of a person's to imitate, before which nobody should act by what imitates."""


class Imitators(nn.Module):
    """K networks that only imitate; together they propose their mean action. Whatever head the actor has, each gives
    one action, squashed by tanh."""

    taught: Tensor
    """Updates in which a person gave something to imitate. 0-d."""
    alone: Tensor
    """1 where they act whatever the critics think. 0-d."""

    def __init__(
        self, shapes: Shapes, config: NetworkConfig, members: int, features: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.discrete = has_discrete_gripper(shapes, config)
        self.continuous = shapes.action - (1 if self.discrete else 0)
        sizes = (features, *config.hidden, self.continuous + (1 if self.discrete else 0))
        self.layers = ensemble(members, sizes, generator, norm=config.actor_layer_norm, activation=config.activation)
        self.activation: ActivationName = config.activation
        self.half_precision = False
        self.register_buffer("taught", torch.zeros(()))
        self.register_buffer("alone", torch.zeros(()))

    @property
    def know(self) -> Tensor:
        """Whether they were taught enough to act. 0-d, bool."""
        return self.taught >= TAUGHT

    def members(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features (B, F) to each one's continuous action (K, B, c), and log odds of opening (K, B) or None."""
        out = mlp(features, layers_of(self.layers), half=self.half_precision, activation=self.activation)
        c = self.continuous
        return torch.tanh(out[..., :c]), out[..., c] if self.discrete else None

    def forward(self, features: Tensor) -> PolicyOutput:
        """Their proposal, without spread."""
        actions, logits = self.members(features)
        return PolicyOutput(TanhGaussian.at(actions.mean(dim=0)), None if logits is None else logits.mean(dim=0))


def value_of_mode(critic: Critic, features: Tensor, out: PolicyOutput) -> Tensor:
    """What each critic thinks of a proposal's likeliest action. Features (B, F) -> (E, B)."""
    return _value(critic, features, out.continuous.mode(), out.gripper_logit)


def values_of_both(critic: Critic, features: Tensor, one: PolicyOutput, other: PolicyOutput) -> tuple[Tensor, Tensor]:
    """What each critic thinks of two proposals; asked once, which is faster. Shapes (E, B)."""
    logits = None
    if one.gripper_logit is not None and other.gripper_logit is not None:
        logits = torch.cat([one.gripper_logit, other.gripper_logit])
    actions = torch.cat([one.continuous.mode(), other.continuous.mode()])
    ours, theirs = _value(critic, torch.cat([features, features]), actions, logits).chunk(2, dim=1)
    return ours, theirs


def _value(critic: Critic, features: Tensor, action: Tensor, gripper_logit: Tensor | None) -> Tensor:
    q = critic(features, action)
    if gripper_logit is None:
        return q[..., 0]
    return torch.where(gripper_logit > 0.0, q[..., 1], q[..., 0])


def led_as(snapshot: WeightSnapshot, other: WeightSnapshot) -> WeightSnapshot:
    """The same weights, with who leads in the other ones: newest weights are led by whom practice tries, which need not
    be who does better."""
    name = "imitators.alone"
    if name not in snapshot.arrays or name not in other.arrays:
        return snapshot
    return WeightSnapshot(snapshot.version, {**snapshot.arrays, name: other.arrays[name]}, head=snapshot.head)
