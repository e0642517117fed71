"""How policies take advice: one step towards what should have been done, in the entries that were meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from robot_rlhf.learner.state import AdamState
from robot_rlhf.policy.heads import PolicyOutput
from robot_rlhf.policy.networks import ActorHead, join_action, split_action

LEAST = 1e-12
"""Sum of weights below which nothing is asked for."""


def advice_loss(
    errors: Tensor, gripper_logit: Tensor | None, target: Tensor, mask: Tensor, weight: Tensor, gripper: int | None
) -> Tensor:
    """Sum over the entries that are meant of squared errors, and cross entropy of the gripper; weighted mean of rows.

    Args:
        errors: of the continuous entries, as the head has them (Head.imitation_error). Shape (B, c); or (K, B, c) of K
            networks, whose losses are summed.
        gripper_logit: log odds of opening, or None. Shape (B,) or (K, B).
        target: what should have been done. Shape (B, m).
        mask: 1 for entries that are meant. Shape (B, m).
        weight: Shape (B,).
        gripper: entry of the action that is a choice of two, or None.
    """
    _, is_open = split_action(target, gripper)
    meant = mask if gripper is None else torch.cat([mask[:, :gripper], mask[:, gripper + 1 :]], dim=1)
    error = (errors * meant).sum(dim=-1)
    if gripper is not None and gripper_logit is not None and is_open is not None:
        wanted = is_open.expand_as(gripper_logit)
        error = error + mask[:, gripper] * functional.binary_cross_entropy_with_logits(
            gripper_logit, wanted, reduction="none"
        )
    return (error * weight).sum() / weight.sum().clamp(min=LEAST)


class AdviceStep:
    """Adam of its own for what is advised, which begins with the first advice: a run without any stays as it is.

    Adam forgets how large a loss is. So a step's rate is that of the policy times the mean weight of what is advised.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self._adam: AdamState | None = None

    def step(self, loss: Tensor, weight: Tensor, rate: float) -> None:
        """Args: loss: weighted mean; weight: of its rows, in [0, 1]. Shape (B,); rate: the policy's own."""
        self._begin().set_learning_rate(float(weight.mean()) * rate)
        self._begin().step(loss)

    def _begin(self) -> AdamState:
        if self._adam is None:
            self._adam = AdamState(self._parameters, 0.0)
        return self._adam

    def state(self, name: str) -> dict[str, Tensor]:
        """What a checkpoint holds, as 'advice.<name>.<tensor>'; nothing before the first advice."""
        if self._adam is None:
            return {}
        return {f"advice.{name}.{key}": value for key, value in self._adam.state().items()}

    def load(self, name: str, state: Mapping[str, Tensor]) -> None:
        """The inverse of state(), whatever else there is in it."""
        prefix = f"advice.{name}."
        own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        if own:
            self._begin().load(own)
        else:
            self._adam = None


class HeadAdvice:
    """Advice to an actor's head; what it sees with learns nothing from it."""

    def __init__(self, head: ActorHead, gripper: int | None) -> None:
        """Args: gripper: entry of the action that is a choice of two, or None."""
        self._head = head
        self._gripper = gripper
        self._step = AdviceStep(list(head.parameters()))

    def learn(
        self, features: Tensor, target: Tensor, mask: Tensor, weight: Tensor, rate: float
    ) -> Mapping[str, Tensor]:
        """One step. Args: features: (B, F), detached; rate: the policy's own; the others as of ports.AdvisedLearner."""
        loss = self.loss(features, target, mask, weight)
        self._step.step(loss, weight, rate)
        return {"advice_loss": loss.detach()}

    def loss(self, features: Tensor, target: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
        """What a step makes smaller, 0-d; arguments as of `learn`."""
        out = self._head(features)
        errors = out.continuous.imitation_error(split_action(target, self._gripper)[0])
        return advice_loss(errors, out.gripper_logit, target, mask, weight, self._gripper)

    def state(self) -> dict[str, Tensor]:
        """As AdviceStep.state."""
        return self._step.state("policy")

    def load(self, state: Mapping[str, Tensor]) -> None:
        """As AdviceStep.load."""
        self._step.load("policy", state)


def likeliest(out: PolicyOutput, gripper: int | None) -> Tensor:
    """What is done of it without exploring. Shape (B, m)."""
    return join_action(out.continuous.mode(), out.is_open(), gripper)
