"""The network of a learned reward: one trunk per ensemble member, with heads for progress, preference and success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from robot_rlhf.errors import ConfigError, ShapeError
from robot_rlhf.policy.encoders import ImageEncoder
from robot_rlhf.policy.mlp import mlp
from robot_rlhf.policy.networks import EnsembleLinear, EnsembleNorm, layers_of
from robot_rlhf.ranges import MEMBERS, WIDTH, Range, check_hidden, check_ranges
from robot_rlhf.rewards.text import TextEncoder, WordBag

Head = Literal["progress", "preference", "success"]
HEADS: tuple[Head, ...] = ("progress", "preference", "success")


@dataclass(frozen=True)
class RewardInputs:
    """What a reward is told of one moment."""

    state: int
    """Length D of the state vector; 0 leaves it out."""
    cameras: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    """Name to (height, width) of the pictures it looks at."""
    action: int | None = None
    """Length m of the action that led there; None: the reward is about observations alone."""
    embedding: int | None = None
    """Length of a picture's embedding made elsewhere, under the name 'embedding'; None for none."""

    def __post_init__(self) -> None:
        if not (self.state or self.cameras or self.embedding):
            raise ConfigError("reward inputs: none; a reward needs a state, pictures or embeddings")

    @property
    def names(self) -> list[str]:
        """Of the entries of an observation that are read."""
        vectors = (["state"] if self.state else []) + (["embedding"] if self.embedding else [])
        return [*vectors, *sorted(self.cameras)]


@dataclass(frozen=True)
class RewardConfig:
    """Shape of the network."""

    members: int = 3
    """Size of the ensemble; members differ by their first weights and by the order of the data."""
    hidden: tuple[int, ...] = (128, 128)
    """Units per hidden layer of each member."""
    bins: int = 10
    """Places between 0 and 1 whose likelihoods make up progress; 1: one sigmoid."""
    encoder: Literal["conv", "resnet10", "resnet18"] = "conv"
    """What sees pictures; members share it."""
    image_latent: int = 50
    """Size of the vector each camera's picture becomes."""
    text: int = 0
    """Size of an instruction's vector; 0: instructions are not read."""
    text_rows: int = 1024
    """Rows of the table into which words are hashed."""

    def __post_init__(self) -> None:
        check_hidden(self.hidden, "reward")
        check_ranges(self, "reward", members=MEMBERS, bins=WIDTH, image_latent=WIDTH)
        check_ranges(self, "reward", text=Range(0, WIDTH.most), text_rows=Range(1, 1_000_000))


class Heads(NamedTuple):
    """What E members say of B moments."""

    progress: Tensor
    """How much of the task is done, in [0, 1]. Shape (E, B)."""
    preference: Tensor
    """Reward whose sum over a segment's steps says which segment is preferred; unbounded. Shape (E, B)."""
    success: Tensor
    """Log odds that the task has succeeded, not calibrated. Shape (E, B)."""
    bins: Tensor
    """What progress is read from. Shape (E, B, bins)."""


class RewardNetwork(nn.Module):
    """E members side by side; the picture encoder and the sentences' vectors are shared, the state enters directly."""

    def __init__(
        self, inputs: RewardInputs, config: RewardConfig, generator: torch.Generator, texts: TextEncoder | None = None
    ) -> None:
        """Args: texts: what reads instructions instead of an own table of words; it does not learn."""
        super().__init__()
        self.inputs = inputs
        self.config = config
        self.images = nn.ModuleDict(
            {
                name: ImageEncoder(config.encoder, inputs.cameras[name], config.image_latent, generator)
                for name in sorted(inputs.cameras)
            }
        )
        self.words = WordBag(config.text, config.text_rows, generator) if config.text and texts is None else None
        self._given: tuple[TextEncoder, ...] = () if texts is None else (texts,)
        """In a tuple, so that it is no part of this module, whatever it is."""
        size = inputs.state + (inputs.action or 0) + (inputs.embedding or 0)
        size += config.image_latent * len(self.images) + config.text
        layers: list[nn.Module] = []
        for width in config.hidden:
            layers.append(EnsembleLinear(config.members, size, width, generator))
            layers.append(EnsembleNorm(config.members, width))
            layers.append(nn.ReLU())
            size = width
        layers.append(EnsembleLinear(config.members, size, config.bins + 2, generator))
        self.layers = nn.Sequential(*layers)

    def forward(
        self,
        observation: Mapping[str, Tensor],
        action: Tensor | None = None,
        instructions: Sequence[str] | None = None,
        *,
        own_rows: bool = False,
    ) -> Heads:
        """What the members say of moments.

        Args:
            observation: 'state' (B, D), 'embedding' (B, F) and pictures (B, H, W, 3), as the inputs say.
            action: that led there, where the inputs ask for it. Shape (B, m).
            instructions: B sentences, where the configuration reads them.
            own_rows: the rows are E blocks, one for each member alone; B is the length of a block.
        """
        x = self._features(observation, action, instructions)
        members = self.config.members
        out = self.layers(x.view(members, -1, x.shape[1])) if own_rows else mlp(x, layers_of(self.layers))
        bins, preference, success = out[..., :-2], out[..., -2], out[..., -1]
        return Heads(read_progress(bins), preference, success, bins)

    def _features(
        self, observation: Mapping[str, Tensor], action: Tensor | None, instructions: Sequence[str] | None
    ) -> Tensor:
        parts = [observation[name].float() for name in self.inputs.names if name not in self.images]
        parts += [encoder(observation[name]) for name, encoder in self.images.items()]
        if self.inputs.action is not None:
            assert action is not None
            parts.append(action)
        if self.config.text:
            assert instructions is not None
            different = sorted(set(instructions))
            place = {sentence: i for i, sentence in enumerate(different)}
            vectors = self._vectors(different)
            parts.append(vectors[torch.tensor([place[sentence] for sentence in instructions], device=vectors.device)])
        return torch.cat(parts, dim=1)

    def _vectors(self, sentences: Sequence[str]) -> Tensor:
        """Shape (number of sentences, text)."""
        if self.words is not None:
            return self.words(sentences)
        with torch.no_grad():
            vectors = self._given[0](sentences)
        if vectors.shape[1] != self.config.text:
            raise ShapeError("reward: vectors of sentences", tuple(vectors.shape), ("B", self.config.text))
        return vectors.float()


def read_progress(bins: Tensor) -> Tensor:
    """Progress from its bins: the expectation of their centres, spread evenly over [0, 1]; of one bin, its sigmoid.

    Args:
        bins: Log likelihoods up to a constant. Shape (..., K).

    Returns:
        Shape (...).
    """
    count = bins.shape[-1]
    if count == 1:
        return torch.sigmoid(bins[..., 0])
    centres = torch.linspace(0.0, 1.0, count, device=bins.device)
    return torch.softmax(bins, dim=-1) @ centres
