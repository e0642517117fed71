"""A learner of a user's own that looks at no action: it values states by TD(0), and leaves the policy as it began."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from robot_rlhf.datatypes import Batch
from robot_rlhf.learner import losses
from robot_rlhf.learner.iql import IqlConfig, IqlLearner
from robot_rlhf.learner.state import AdamState
from robot_rlhf.policy.networks import NetworkConfig, Shapes
from robot_rlhf.replay.buffer import ReplayBuffer


@dataclass(frozen=True)
class StateValueConfig(IqlConfig):
    actions: ClassVar = "unused"

    def make(
        self, shapes: Shapes, network: NetworkConfig, *, buffer: ReplayBuffer, seed: int, device: str
    ) -> IqlLearner:
        return StateValues(shapes, network, self, seed=seed, device=device)


class StateValues(IqlLearner):
    def __init__(
        self, shapes: Shapes, network: NetworkConfig, config: IqlConfig, *, seed: int, device: str = "cpu"
    ) -> None:
        super().__init__(shapes, network, config, seed=seed, device=device)
        own = [*self.value.parameters(), *self.actor.encoder.parameters()]
        self._optimisers["value"] = AdamState(own, config.learning_rate)

    def update(self, batch: Batch) -> Mapping[str, Tensor]:
        assert not batch.action.any(), "drawn without actions"
        self.updates += 1
        self.actor.encoder.note(batch.observation)
        with torch.no_grad():
            after = self._value(self._encode(batch.next_observation))
            target = losses.td_target(batch.reward, batch.discount, after)
        error = (self._value(self._encode(batch.observation)) - target).square().mean()
        self._optimisers["value"].step(error)
        return {"error": error.detach()}
