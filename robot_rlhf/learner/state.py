"""Optimisers and modules as flat dictionaries of tensors, which a checkpoint can hold without pickle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from robot_rlhf.datatypes import WeightSnapshot
from robot_rlhf.errors import CheckpointError


class AdamState:
    """Adam over a list of parameters, whose moments can be taken out and put back."""

    def __init__(self, parameters: Sequence[nn.Parameter | Tensor], learning_rate: float) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        graphs = any(p.device.type == "cuda" for p in self.parameters)
        self._adam = torch.optim.Adam(self.parameters, lr=learning_rate, fused=True, capturable=graphs)
        for parameter in self.parameters:
            self._adam.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }

    def step(self, loss: Tensor) -> None:
        """Minimise: gradients flow to these parameters only."""
        gradients = torch.autograd.grad(loss, self.parameters)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        self._adam.step()

    def state(self) -> dict[str, Tensor]:
        return {
            f"{index}.{key}": value.detach().clone()
            for index, parameter in enumerate(self.parameters)
            for key, value in self._adam.state[parameter].items()
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for index, parameter in enumerate(self.parameters):
                for key, value in self._adam.state[parameter].items():
                    value.copy_(state[f"{index}.{key}"])


def snapshot_of(module: nn.Module, version: int) -> WeightSnapshot:
    """The module's weights as NumPy arrays."""
    return WeightSnapshot(version, {k: v.detach().cpu().numpy().copy() for k, v in module.state_dict().items()})


def check_same_tensors(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Check that a state belongs to this architecture.

    Raises:
        CheckpointError: naming the first tensor that is missing, unknown, or of another shape.
    """
    for name in sorted(own.keys() | given.keys()):
        if name not in given:
            raise CheckpointError(f"state lacks {name!r} {tuple(own[name].shape)}: made by another architecture")
        if name not in own:
            raise CheckpointError(f"state has {name!r} {tuple(given[name].shape)}, which this architecture lacks")
        if given[name].shape != own[name].shape:
            got, wanted = tuple(given[name].shape), tuple(own[name].shape)
            raise CheckpointError(f"state {name!r} has shape {got}, this architecture needs {wanted}")
