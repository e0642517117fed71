"""The networks: an actor whose outputs a head reads, with an optional gripper, and an ensemble of critics."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from robot_rlhf.errors import ConfigError
from robot_rlhf.policy import products
from robot_rlhf.policy.encoders import ImageEncoder, Projection, uniform_
from robot_rlhf.policy.heads import PolicyOutput, head_named
from robot_rlhf.policy.mlp import ACTIVATIONS, ActivationName, Layer, mlp
from robot_rlhf.policy.vectors import Difference, VectorView
from robot_rlhf.ranges import MEMBERS, WIDTH, check_hidden, check_ranges

USUAL_BATCH = 256
LARGEST_CONTEXT = 32
"""Entries of a context that is put beside what is seen, unless the settings say otherwise."""


@dataclass(frozen=True)
class NetworkConfig:
    """Shapes of actor and critics."""

    hidden: tuple[int, ...] = (128, 128)
    """Units per hidden layer."""
    critic_hidden: tuple[int, ...] | None = None
    """Those of the critics, where they are others; None for the same."""
    activation: ActivationName = "relu"
    """After each hidden layer."""
    critics: int = 2
    """Size of the critic ensemble."""
    critic_layer_norm: bool = True
    """LayerNorm after each hidden layer of the critics; without it the prototype learned slowly and chattered."""
    actor_layer_norm: bool = True
    head: str = "gaussian"
    """Distribution of the continuous action entries: gaussian, squashed by tanh, or your own: module:class or
    file.py:class of policy.heads.Head."""
    gripper: Literal["discrete", "continuous"] = "discrete"
    """'discrete': a Bernoulli head and one critic output per gripper state; 'continuous': one more continuous entry."""
    encoder: Literal["conv", "resnet10", "resnet18"] = "conv"
    """What sees: three small convolutions, or a residual network."""
    encoder_weights: Path | None = None
    """Pretrained weights of a residual encoder, by torchvision's or timm's names; None begins at random."""
    encoder_frozen: bool = False
    """The encoder does not learn: each picture is seen once, and replay keeps its features instead of it."""
    image_latent: int = 50
    """Size of the vector each camera's picture becomes."""
    context: Literal["auto", "concat", "film"] = "auto"
    """How what is wanted enters. concat: beside what is seen; film: it scales and shifts what is seen, entry by entry;
    auto: concat up to 32 entries, film beyond."""

    def __post_init__(self) -> None:
        check_hidden(self.hidden, "network")
        if self.critic_hidden is not None:
            check_hidden(self.critic_hidden, "network", "critic_hidden")
        if self.activation not in ACTIVATIONS:
            raise ConfigError(f"network.activation: got {self.activation!r}, allowed {', '.join(ACTIVATIONS)}")
        check_ranges(self, "network", critics=MEMBERS, image_latent=WIDTH)
        head_named(self.head)
        if self.encoder_frozen and self.encoder_weights is None:
            raise ConfigError("network.encoder_frozen: needs network.encoder_weights; a random encoder must learn")


@dataclass(frozen=True)
class Shapes:
    """What goes in and out of the networks of one robot."""

    state: int
    """Length D of the state vector."""
    action: int
    """Length m of an action, gripper included."""
    gripper: int | None
    """Index of the gripper in the action, or None."""
    cameras: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Name to (height, width) of the pictures that a learning encoder sees."""
    channels: Mapping[str, int] = field(default_factory=dict)
    """Of the pictures that have not three."""
    frozen: Mapping[str, int] = field(default_factory=dict)
    """Name to length of the features that a frozen encoder makes; they follow the D entries of the state vector."""
    relative: tuple[Difference, ...] = ()
    """Differences between parts of the state vector that the networks see beside it."""
    normalised: bool = False
    """The state vector is in units of its own: networks see it by the mean and spread of what was learned from."""
    past: int = 0
    """States before the present one that the networks see, 'past' (B, past, D)."""
    context: int = 0
    """Length C of the vector of what is wanted, 'context' (B, C)."""


class EnsembleLinear(nn.Module):
    """E linear layers side by side: (E, B, in) -> (E, B, out)."""

    def __init__(self, members: int, size_in: int, size_out: int, generator: torch.Generator) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(size_in)
        weight = torch.empty(members, size_in, size_out).uniform_(-bound, bound, generator=generator)
        bias = torch.empty(members, 1, size_out).uniform_(-bound, bound, generator=generator)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class EnsembleNorm(nn.Module):
    """LayerNorm whose gain and offset each member has for itself."""

    def __init__(self, members: int, size: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(members, 1, size))
        self.offset = nn.Parameter(torch.zeros(members, 1, size))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.offset, functional.layer_norm(x, x.shape[-1:]), self.gain)


def ensemble(
    members: int, sizes: Sequence[int], generator: torch.Generator, *, norm: bool, activation: ActivationName
) -> nn.Sequential:
    """E networks of equal shape side by side.

    Args:
        sizes: of the input, of each hidden layer, and of the output.
        norm: LayerNorm after each hidden layer.
    """
    layers: list[nn.Module] = []
    for size_in, size_out in pairwise(sizes[:-1]):
        layers.append(EnsembleLinear(members, size_in, size_out, generator))
        if norm:
            layers.append(EnsembleNorm(members, size_out))
        layers.append(ACTIVATIONS[activation]())
    layers.append(EnsembleLinear(members, sizes[-2], sizes[-1], generator))
    return nn.Sequential(*layers)


def layers_of(modules: nn.Sequential, *, detached: bool = False) -> list[Layer]:
    """The layers of an ensemble's, or of a single network's, modules, as `mlp` takes them."""
    layers: list[Layer] = []
    for module in modules:
        if isinstance(module, EnsembleLinear):
            layers.append(Layer(module.weight, module.bias))
        elif isinstance(module, nn.Linear):
            layers.append(Layer(module.weight.t().unsqueeze(0), module.bias.view(1, 1, -1)))
        elif isinstance(module, EnsembleNorm):
            layers[-1] = replace(layers[-1], gain=module.gain, offset=module.offset)
        elif isinstance(module, nn.LayerNorm):
            layers[-1] = replace(layers[-1], gain=module.weight.view(1, 1, -1), offset=module.bias.view(1, 1, -1))
    return [layer.detach() for layer in layers] if detached else layers


class Film(nn.Module):
    """What is seen, mixed, and then scaled and shifted by what is wanted: relu((1 + g(c)) h + b(c)), h = norm(W x).

    Source: Perez et al., FiLM: Visual Reasoning with a General Conditioning Layer, 2018, equation 2.
    """

    def __init__(self, features: int, context: int, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.mix = nn.Linear(features, size)
        self.norm = nn.LayerNorm(size)
        self.wanted = nn.Linear(context, 2 * size)
        uniform_(self.mix, generator)
        uniform_(self.wanted, generator, gain=0.1)  # at first it hardly changes what is seen

    def forward(self, features: Tensor, context: Tensor) -> Tensor:
        """(B, F), (B, C) to (B, size)."""
        gain, offset = self.wanted(context).chunk(2, dim=1)
        return functional.relu(torch.addcmul(offset, 1.0 + gain, self.norm(self.mix(features))))


class ObservationEncoder(nn.Module):
    """{'state', cameras, 'past', 'context'} to one vector (B, F); pictures are encoded, states seen as Shapes says.

    The vector is [state | past states, newest first | latents | context], or what Film makes of that. A past state of
    zeros is none, and stays zeros. Frozen features come as the end of 'state', in the order of their cameras' names,
    and are projected to latents.
    """

    def __init__(self, shapes: Shapes, config: NetworkConfig, generator: torch.Generator) -> None:
        super().__init__()
        latent = config.image_latent
        self.names = sorted(shapes.cameras)
        self.images = nn.ModuleDict(
            {
                name: ImageEncoder(
                    config.encoder,
                    shapes.cameras[name],
                    latent,
                    generator,
                    config.encoder_weights,
                    channels=shapes.channels.get(name, 3),
                )
                for name in self.names
            }
        )
        self._parts = [shapes.state, *(shapes.frozen[name] for name in sorted(shapes.frozen))]
        self.frozen = nn.ModuleList(Projection(size, latent, generator) for size in self._parts[1:])
        self.vector = VectorView(shapes.state, shapes.relative, normalised=shapes.normalised)
        self._past, self._context = shapes.past, shapes.context
        size = self.vector.size * (1 + shapes.past) + latent * (len(self.names) + len(self.frozen))
        self.film: Film | None = None
        if config.context == "film" or (config.context == "auto" and shapes.context > LARGEST_CONTEXT):
            self.film = Film(size, shapes.context, config.hidden[0], generator) if shapes.context else None
        self.size = size + shapes.context if self.film is None else config.hidden[0]

    @property
    def learns(self) -> bool:
        """It has parameters."""
        return any(True for _ in self.parameters())

    def forward(self, observation: Mapping[str, Tensor]) -> Tensor:
        state = observation["state"]
        if not (self.names or self.frozen or self._past or self._context):
            return self.vector(state)
        known, *parts = state.split(self._parts, dim=1)
        known = self.vector(known)
        seen = [self._before(observation["past"])] if self._past else []
        seen += [self.images[name](observation[name]) for name in self.names]
        seen += [project(part) for project, part in zip(self.frozen, parts, strict=True)]
        if self._context and self.film is None:
            seen.append(observation["context"])
        whole = torch.cat([known, *(latent.to(known.dtype) for latent in seen)], dim=1)
        return whole if self.film is None else self.film(whole, observation["context"])

    def _before(self, past: Tensor) -> Tensor:
        """Past states (B, H, D) as one vector (B, H * V)."""
        states = past[..., : self._parts[0]]
        viewed = self.vector(states.flatten(0, 1)).view(*states.shape[:2], self.vector.size)
        return (viewed * (states != 0.0).any(dim=2, keepdim=True)).flatten(1)

    def note(self, observation: Mapping[str, Tensor]) -> None:
        """Let the state vectors of a batch that is learned from enter what they are normalised by."""
        self.vector.note(observation["state"][:, : self._parts[0]])


class Critic(nn.Module):
    """E independent Q functions of one encoded observation and action.

    With a discrete gripper the continuous part of the action goes in, and two values come out: Q of closing and of
    opening.
    """

    def __init__(self, shapes: Shapes, config: NetworkConfig, features: int, generator: torch.Generator) -> None:
        super().__init__()
        self.members = config.critics
        self.discrete = has_discrete_gripper(shapes, config)
        size = features + shapes.action - (1 if self.discrete else 0)
        sizes = (size, *(config.critic_hidden or config.hidden), 2 if self.discrete else 1)
        self.layers = ensemble(
            self.members, sizes, generator, norm=config.critic_layer_norm, activation=config.activation
        )
        self.activation: ActivationName = config.activation
        self.half_precision = False
        """Multiply in bfloat16; weights stay float32, and Q is rounded to bfloat16 (about 0.004 near 1)."""

    def forward(self, features: Tensor, action: Tensor, *, detached: bool = False) -> Tensor:
        """Features (B, F), action (B, c) -> Q (E, B, 2), entries closing and opening, or (E, B, 1).

        Args:
            detached: gradients flow to the inputs alone, not to the critics.
        """
        x = torch.cat([features, action], dim=1)
        layers = layers_of(self.layers, detached=detached)
        return mlp(x, layers, half=self.half_precision, activation=self.activation)


class ActorHead(nn.Module):
    """Encoded observation to the policy's distribution, as the configured head reads what the layers give."""

    def __init__(self, shapes: Shapes, config: NetworkConfig, features: int, generator: torch.Generator) -> None:
        super().__init__()
        self.discrete = has_discrete_gripper(shapes, config)
        self.continuous = shapes.action - (1 if self.discrete else 0)
        self.kind = head_named(config.head)
        self.noises = self.kind.noises(self.continuous)
        """Standard normal numbers that a sample is made of."""
        self._outputs = self.kind.outputs(self.continuous)
        size = features
        layers: list[nn.Module] = []
        for width in config.hidden:
            linear = nn.Linear(size, width)
            uniform_(linear, generator)
            layers.append(linear)
            if config.actor_layer_norm:
                layers.append(nn.LayerNorm(width))
            layers.append(ACTIVATIONS[config.activation]())
            size = width
        last = nn.Linear(size, self._outputs + (1 if self.discrete else 0))
        uniform_(last, generator, gain=0.1)  # near-zero wishes at the start
        layers.append(last)
        self.layers = nn.Sequential(*layers)
        self.activation: ActivationName = config.activation
        self.half_precision = False
        """Multiply in bfloat16; weights stay float32, outputs are rounded to bfloat16."""
        self._gains_by_onednn = any(products.by_onednn(USUAL_BATCH, *sides) for sides in pairwise(config.hidden))

    def forward(self, features: Tensor) -> PolicyOutput:
        if self.half_precision or self._gains_by_onednn:
            layers = layers_of(self.layers)
            out = mlp(features, layers, half=self.half_precision, activation=self.activation)[0]
        else:
            out = self.layers(features)
        if not self.discrete:
            return PolicyOutput(self.kind.of(out, self.continuous), None)
        raw, logit = out.split([self._outputs, 1], dim=1)
        return PolicyOutput(self.kind.of(raw, self.continuous), logit.squeeze(1))


class Actor(nn.Module):
    """The whole policy network: encoder and head. Its weights are what a WeightSnapshot carries."""

    def __init__(self, shapes: Shapes, config: NetworkConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.shapes = shapes
        self.encoder = ObservationEncoder(shapes, config, generator)
        self.head = ActorHead(shapes, config, self.encoder.size, generator)

    def forward(self, observation: Mapping[str, Tensor]) -> PolicyOutput:
        return self.head(self.encoder(observation))

    def follower(self) -> Actor:
        """A copy whose weights do not learn, and which normalises by the statistics of this one, now and later."""
        twin = copy.deepcopy(self).requires_grad_(False)
        twin.encoder.vector = self.encoder.vector
        return twin


def has_discrete_gripper(shapes: Shapes, config: NetworkConfig) -> bool:
    """Whether the gripper is a choice of two, with a head of its own."""
    return shapes.gripper is not None and config.gripper == "discrete"


def split_action(action: Tensor, gripper: int | None) -> tuple[Tensor, Tensor | None]:
    """Split (B, m) into its continuous part (B, m - 1) and whether the gripper is open, (B,) 0 or 1."""
    if gripper is None:
        return action, None
    rest = torch.cat([action[:, :gripper], action[:, gripper + 1 :]], dim=1)
    return rest, (action[:, gripper] >= 0).to(action.dtype)


def join_action(continuous: Tensor, is_open: Tensor | None, gripper: int | None) -> Tensor:
    """The inverse of split_action, with the gripper as -1 or 1."""
    if gripper is None or is_open is None:
        return continuous
    grip = (is_open * 2.0 - 1.0).unsqueeze(1)
    return torch.cat([continuous[:, :gripper], grip, continuous[:, gripper:]], dim=1)
