"""Optimisers and modules as flat dictionaries of tensors, which a checkpoint can hold without pickle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.swa_utils import get_ema_multi_avg_fn

from robot_rlhf.datatypes import WeightSnapshot
from robot_rlhf.naming import label_of
from robot_rlhf.policy.heads import check_head
from robot_rlhf.policy.networks import Actor
from robot_rlhf.policy.shapes import check_same_shapes, shapes_in

BETAS = (0.9, 0.999)
EPSILON = 1e-8
"""Adam's usual constants."""


Count = TypeVar("Count", float, Tensor)

BESIDE = ("imitators", "judge")
"""Modules that a snapshot may hold beside the actor."""
POWER = 3
"""Of a young average: about the last quarter of the updates so far is in it."""


class AdamState:
    """Adam (Kingma and Ba 2015) over a list of parameters, whose moments can be taken out and put back.

    Calls torch's function rather than its optimiser class, whose bookkeeping takes longer than the arithmetic of
    networks this small.
    """

    def __init__(self, parameters: Sequence[nn.Parameter | Tensor], learning_rate: float) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        device = self.parameters[0].device if self.parameters else torch.device("cpu")
        self._captured = device.type == "cuda"
        # A tensor, which recorded or compiled work reads anew each time; in double precision it is the number itself.
        precise = torch.float32 if self._captured else torch.float64
        self._learning_rate = torch.tensor(learning_rate, dtype=precise, device=device)
        self._counts = torch.zeros(len(self.parameters), device=device)
        self._steps = list(self._counts.unbind())
        self._means = [torch.zeros_like(p) for p in self.parameters]
        self._squares = [torch.zeros_like(p) for p in self.parameters]
        self.written_out = False
        """Compute operation by operation, for a compiler to fuse; otherwise in torch's own fused step."""

    def set_learning_rate(self, value: float) -> None:
        """From the next step on."""
        self._learning_rate.fill_(value)

    def held(self) -> list[Tensor]:
        """All tensors that a step reads or changes, parameters included."""
        return [*self.parameters, *self._means, *self._squares, self._counts, self._learning_rate]

    @torch.no_grad()
    def step(self, loss: Tensor) -> None:
        """Minimise: gradients flow to these parameters only."""
        with torch.enable_grad():
            found = torch.autograd.grad(loss, self.parameters)
        # torch's fused step goes through memory, whatever the strides say: a transposed gradient would be taken for
        # another one.
        gradients = [
            g if g.stride() == p.stride() else torch.empty_like(p).copy_(g)
            for g, p in zip(found, self.parameters, strict=True)
        ]
        if self.written_out:
            self._step_written_out(gradients)
            return
        adam(
            self.parameters,
            gradients,
            self._means,
            self._squares,
            [],
            self._steps,
            fused=True,
            capturable=self._captured,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=self._learning_rate,
            weight_decay=0.0,
            eps=EPSILON,
            maximize=False,
        )

    def _step_written_out(self, gradients: Sequence[Tensor]) -> None:
        """Algorithm 1 of Kingma and Ba; all parameters have made equally many steps."""
        self._counts.add_(1.0)
        count = self._counts[0].double()
        length = (self._learning_rate / (1.0 - BETAS[0] ** count)).float()
        scale = (1.0 - BETAS[1] ** count).sqrt().float()
        for parameter, gradient, mean, square in zip(
            self.parameters, gradients, self._means, self._squares, strict=True
        ):
            mean.lerp_(gradient, 1.0 - BETAS[0])
            square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1.0 - BETAS[1])
            parameter.sub_(length * mean / (square.sqrt() / scale + EPSILON))

    def _named(self) -> dict[str, Tensor]:
        columns = {"step": self._steps, "exp_avg": self._means, "exp_avg_sq": self._squares}
        return {f"{i}.{key}": column[i] for i in range(len(self.parameters)) for key, column in columns.items()}

    def state(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self._named().items()}

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        for name, value in self._named().items():
            value.copy_(state[name])


@torch.no_grad()
def follow(follower: nn.Module, leader: nn.Module, rate: float | Tensor) -> None:
    """Let a share of the leader's parameters flow into the follower's: an exponential moving average.

    Args:
        rate: the share; a 0-d tensor where recorded or compiled work reads it anew each time.
    """
    ours: list[Tensor] = list(follower.parameters())
    theirs: list[Tensor] = list(leader.parameters())
    if not ours:
        return
    if not isinstance(rate, Tensor):
        get_ema_multi_avg_fn(1.0 - rate)(ours, theirs, None)
        return
    for own, other in zip(ours, theirs, strict=True):
        own.lerp_(other, rate)


def averaging_rate(rate: float, updates: Count) -> Count:
    """Share of the newest weights that flows into a running average of a young run, so that it is of what was learned.

    What an update leaves of the average is (1 - rate) n / (n + POWER): an exponential average whose weights also fall
    with a power of time, as those of Karras et al. (2024, eq. 123). A plain one begins at the first weights and keeps
    e^(-rate n) of them: 45 % after 800 updates at 0.001. Of this one their share is under (POWER / n)^POWER.

    Args:
        rate: of a run so long that it has no beginning.
        updates: n, those of the averaged weights, this one included; a 0-d tensor where the device counts.
    """
    return 1.0 - (1.0 - rate) * updates / (updates + POWER)


def snapshot_of(module: nn.Module, version: int, **beside: nn.Module) -> WeightSnapshot:
    """The module's weights as NumPy arrays; those of modules beside it as '<name>.<tensor>'."""
    tensors = dict(module.state_dict())
    for name, other in beside.items():
        tensors |= {f"{name}.{key}": value for key, value in other.state_dict().items()}
    arrays = {key: value.detach().cpu().numpy().copy() for key, value in tensors.items()}
    return WeightSnapshot(version, arrays, head=label_of(module.head.kind.kind) if isinstance(module, Actor) else "")


@torch.no_grad()
def begin_with(snapshot: WeightSnapshot, *modules: nn.Module, beside: str = "") -> bool:
    """Put a policy's weights into modules, in place; False, and nothing is changed, where it has none of that name.

    Args:
        modules: of one architecture, for example an actor and its running average.
        beside: the name of a module beside the actor, as `snapshot_of` had it; empty for the actor.

    Raises:
        CheckpointError: the weights are those of another architecture.
    """
    prefix = f"{beside}." if beside else ""
    others = tuple(f"{name}." for name in BESIDE if not beside)
    arrays = {
        name.removeprefix(prefix): array
        for name, array in snapshot.arrays.items()
        if name.startswith(prefix) and not name.startswith(others)
    }
    if not arrays:
        return False
    for module in modules:
        own = module.state_dict()
        if isinstance(module, Actor):
            check_head("start", snapshot.head, module.head.kind)
        check_same_shapes("start", shapes_in(arrays), shapes_in(own), plural=True)
        for name, tensor in own.items():
            tensor.copy_(torch.from_numpy(np.array(arrays[name])))
    return True


def state_of(modules: Mapping[str, nn.Module], optimisers: Mapping[str, AdamState]) -> dict[str, Tensor]:
    """Copies of all weights and moments, as '<module>.<tensor>' and 'adam.<optimiser>.<tensor>'."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors |= {f"{name}.{key}": value.detach().clone() for key, value in module.state_dict().items()}
    for name, optimiser in optimisers.items():
        tensors |= {f"adam.{name}.{key}": value for key, value in optimiser.state().items()}
    return tensors


def load_state_of(
    state: Mapping[str, Tensor], modules: Mapping[str, nn.Module], optimisers: Mapping[str, AdamState]
) -> None:
    """The inverse of `state_of`; other entries are left alone."""

    def below(prefix: str) -> dict[str, Tensor]:
        return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}

    for name, module in modules.items():
        module.load_state_dict(below(f"{name}."))
    for name, optimiser in optimisers.items():
        optimiser.load(below(f"adam.{name}."))
