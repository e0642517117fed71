"""How the networks that only imitate learn, beside a learner that improves on them."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from robot_rlhf.datatypes import Batch, Source
from robot_rlhf.learner import losses
from robot_rlhf.learner.advising import AdviceStep, advice_loss
from robot_rlhf.learner.state import AdamState, averaging_rate, follow
from robot_rlhf.learner.weighting import imitation_mask
from robot_rlhf.policy.imitators import Imitators, value_of_mode
from robot_rlhf.policy.networks import Critic, split_action

PUBLISHED = 10_000
"""Versions of which it is known who led them; the weights of a robot are never that old."""
LEARNING_RATE = 1e-3
"""As cloning's: what imitates keeps up with corrections, whatever the critics' rate is."""


class Imitation:
    """The imitators and their running average; they imitate people, and the policy where it succeeded unaided."""

    def __init__(self, imitators: Imitators, *, proven_weight: float, average_rate: float) -> None:
        """
        Args:
            proven_weight: of a step of the policy's that led to success unaided, beside a person's step.
            average_rate: share of the newest weights that flows into the average per update.
        """
        self.imitators = imitators
        self.average = copy.deepcopy(imitators).requires_grad_(False)
        self.optimiser = AdamState(list(imitators.parameters()), LEARNING_RATE)
        self.advice = AdviceStep(list(imitators.parameters()))
        self._proven_weight = proven_weight
        self._average_rate = average_rate
        self._alone: dict[int, bool] = {}

    @property
    def modules(self) -> dict[str, nn.Module]:
        """By the names that a checkpoint has for them."""
        return {"imitators": self.imitators, "imitators_average": self.average}

    @property
    def optimisers(self) -> dict[str, AdamState]:
        """As `modules`."""
        return {"imitators": self.optimiser}

    def learn(
        self, features: Tensor, batch: Batch, action: Tensor, is_open: Tensor | None, shares: losses.Shares | None
    ) -> Tensor:
        """One step; each member learns from all rows. Features (B, F), continuous action (B, c) -> the loss, 0-d."""
        person = imitation_mask(batch.source)
        mask = person
        if self._proven_weight:
            mask = person + self._proven_weight * (batch.source == Source.PROVEN).to(mask.dtype)
        actions, logits = self.imitators.members(features)
        loss = losses.cloning_loss((actions - action).square(), logits, is_open, mask, shares)
        self.optimiser.step(loss)
        taught = self.imitators.taught
        taught.add_((person.sum() > 0).to(taught.dtype))
        self.average.taught.copy_(taught)
        follow(self.average, self.imitators, averaging_rate(self._average_rate, taught))
        return loss.detach()

    def advise(self, features: Tensor, target: Tensor, mask: Tensor, weight: Tensor, gripper: int | None) -> None:
        """One step of each towards what was advised; arguments as `advice_loss` has them."""
        self.advice.step(self._advised(features, target, mask, weight, gripper), weight, LEARNING_RATE)

    def keep(self, features: Tensor, target: Tensor, mask: Tensor, weight: Tensor, gripper: int | None) -> None:
        """The same for standing rules, with the moments of imitation (see ports.RuledLearner)."""
        self.optimiser.step(self._advised(features, target, mask, weight, gripper) * weight.mean())

    def _advised(self, features: Tensor, target: Tensor, mask: Tensor, weight: Tensor, gripper: int | None) -> Tensor:
        actions, logits = self.imitators.members(features)
        errors = (actions - split_action(target, gripper)[0]).square()
        return advice_loss(errors, logits, target, mask, weight, gripper)

    def value(self, critic: Critic, features: Tensor, subset: Tensor | None) -> Tensor:
        """The least that critics think of the proposal; minus infinity until they know enough. Shape (B,).

        Args:
            subset: of the critics' numbers; None for all.
        """
        q = value_of_mode(critic, features, self.imitators(features))  # (E, B)
        least = (q if subset is None else q[subset]).amin(dim=0)
        return torch.where(self.imitators.know, least, torch.full_like(least, -torch.inf))

    def published(self, version: int) -> None:
        """The newest weights are given away under this version, with who leads in them; what is given away again after
        the next draw does not practise."""
        self._alone.setdefault(version, bool(self.imitators.alone))
        if len(self._alone) > PUBLISHED:
            del self._alone[next(iter(self._alone))]

    def led_alone(self, version: int) -> bool | None:
        """Whether the imitators acted alone in weights of this version; None where this learner did not give them."""
        return self._alone.get(version)

    def lead(self, *, alone: bool, deployed_alone: bool) -> None:
        """Whether they act alone, in the newest weights from now on, and in the average."""
        self.imitators.alone.fill_(float(alone))
        self.average.alone.fill_(float(deployed_alone))

    def settle(self) -> None:
        """The average becomes the newest weights."""
        follow(self.average, self.imitators, 1.0)
