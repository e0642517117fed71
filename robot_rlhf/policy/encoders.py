"""What turns pictures into vectors: a small convolutional network, or a residual one whose weights may be frozen."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from robot_rlhf.errors import CheckpointError, ConfigError, in_our_words
from robot_rlhf.policy.shapes import check_same_shapes, shapes_in

RESIDUAL_BLOCKS: Mapping[str, tuple[int, int, int, int]] = {"resnet10": (1, 1, 1, 1), "resnet18": (2, 2, 2, 2)}
"""Basic blocks in each of the four stages."""
CHANNELS = (64, 128, 256, 512)
SMALLEST = 32
"""Height and width that a residual network needs at least: it halves them five times."""
GRID = 4
"""A residual network's features are pooled to this many places in either direction: enough to tell where a thing is."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""What pretrained residual networks expect their input to be normalised by (torchvision, timm)."""


def normalised(images: Tensor) -> Tensor:
    """Pictures (B, H, W, C), uint8 or already x / 255 - 0.5, to (B, C, H, W) in [-0.5, 0.5], stored channels last."""
    if images.dtype == torch.uint8:
        images = images.float().div_(255.0).sub_(0.5)
    return images.permute(0, 3, 1, 2)


class ConvTrunk(nn.Module):
    """Three convolutions, each of which halves. (B, C, H, W) -> (B, 32, H / 8, W / 8).

    The first ones see the most places, and are what costs: 8 and 16 channels there instead of 32 tell where a cube is
    as well (5 mm, 1.5 degrees, from 1,100 pictures 64 x 64), at a quarter of the price. Coarser first steps (8 pixels
    wide, 4 apart) do not.
    """

    def __init__(self, generator: torch.Generator, channels: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width, kernel, stride in ((8, 5, 2), (16, 3, 2), (32, 3, 2)):
            layer = nn.Conv2d(channels, width, kernel, stride=stride, padding=(kernel - 1) // 2)
            uniform_(layer, generator)
            layers += [layer, nn.ReLU(inplace=True)]
            channels = width
        self.convolutions = nn.Sequential(*layers)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.convolutions(pictures)


class FixedNorm(nn.Module):
    """Batch normalisation with fixed statistics: gain and offset learn, mean and variance come with the weights.

    Statistics of a batch would let transitions of one batch see each other, and differ between acting and learning.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, training=False)


class BasicBlock(nn.Module):
    """Two convolutions beside a shortcut (He et al. 2016, figure 2), named as torchvision and timm name them."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = FixedNorm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = FixedNorm(channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels_in != channels:
            shortcut = nn.Conv2d(channels_in, channels, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, FixedNorm(channels))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x)) + shortcut)


class ResidualTrunk(nn.Module):
    """A residual network (He et al. 2016) without its classifier. (B, 3, H, W) -> (B, 512, H / 32, W / 32).

    Takes the weights of torchvision's and timm's resnet18, whose tensors have the same names.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, blocks: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, CHANNELS[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = FixedNorm(CHANNELS[0])
        channels = CHANNELS[0]
        for stage, (width, count) in enumerate(zip(CHANNELS, blocks, strict=True), 1):
            row: list[nn.Module] = []
            for k in range(count):
                row.append(BasicBlock(channels, width, stride=2 if k == 0 and stage > 1 else 1))
                channels = width
            setattr(self, f"layer{stage}", nn.Sequential(*row))
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1) - 0.5, persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        with torch.no_grad():
            for name, module in self.named_modules():
                if isinstance(module, nn.Conv2d):
                    fan_out = module.weight[:, 0].numel()
                    module.weight.normal_(0.0, math.sqrt(2.0 / fan_out), generator=generator)
                elif name.endswith("bn2") and isinstance(module, FixedNorm):
                    module.weight.zero_()  # without batch statistics a block must begin as its shortcut

    def forward(self, pictures: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1((pictures - self.mean) / self.std)))
        x = functional.max_pool2d(x, 3, stride=2, padding=1)
        for stage in (1, 2, 3, 4):
            x = getattr(self, f"layer{stage}")(x)
        return x


def make_trunk(kind: str, generator: torch.Generator, channels: int = 3) -> nn.Module:
    """The convolutional part by name: 'conv', or, for three channels, 'resnet10' or 'resnet18'."""
    if kind == "conv":
        return ConvTrunk(generator, channels)
    if kind not in RESIDUAL_BLOCKS:
        raise ConfigError(f"network.encoder: got {kind!r}, allowed conv, {', '.join(RESIDUAL_BLOCKS)}")
    if channels != 3:
        raise ConfigError(f"network.encoder: got {kind!r} for {channels} channels, allowed conv; {kind} takes three")
    return ResidualTrunk(RESIDUAL_BLOCKS[kind], generator)


def load_trunk(trunk: nn.Module, path: Path) -> None:
    """Put pretrained weights into a trunk: a safetensors file, or a torch file of tensors alone.

    A classifier's weights in the file ('fc', 'head') and counters of batch normalisation are left out.

    Raises:
        CheckpointError: no such file, not a file of tensors, or made for another architecture; names the tensor.
    """
    with in_our_words(lambda error: CheckpointError(f"{path}: not a file of weights alone ({type(error).__name__})")):
        try:
            if path.suffix == ".safetensors":
                given = load_file(path)
            else:
                loaded = torch.load(path, map_location="cpu", weights_only=True)
                given = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else {}
        except FileNotFoundError as error:
            raise CheckpointError(f"{path}: no such file") from error
        except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, ImportError) as error:
            raise CheckpointError(f"{path}: not a file of weights ({str(error).splitlines()[0]})") from error
    if not all(isinstance(value, Tensor) for value in given.values()):
        raise CheckpointError(f"{path}: not a file of weights alone")
    kept = {k: v for k, v in given.items() if not k.startswith(("fc.", "head.")) and "num_batches" not in k}
    check_same_shapes(str(path), shapes_in(kept), shapes_in(trunk.state_dict()))
    trunk.load_state_dict(kept)


class ImageEncoder(nn.Module):
    """A picture (B, H, W, C) to a vector (B, latent): a trunk, a linear layer, LayerNorm, tanh (DrQ family)."""

    def __init__(
        self,
        kind: str,
        size: tuple[int, int],
        latent: int,
        generator: torch.Generator,
        weights: Path | None = None,
        *,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.trunk = make_trunk(kind, generator, channels)
        if weights is not None:
            load_trunk(self.trunk, weights)
        self.project = Projection(features_of(self.trunk, size, channels), latent, generator)

    def forward(self, images: Tensor) -> Tensor:
        pictures = normalised(images)
        if not torch.is_autocast_enabled(pictures.device.type):  # replay may hold them rounded, for who multiplies so
            pictures = pictures.to(self.project.linear.weight.dtype)
        return self.project(flat(self.trunk(pictures)))


class Projection(nn.Module):
    """Features (B, F) to a bounded vector (B, latent)."""

    def __init__(self, size: int, latent: int, generator: torch.Generator) -> None:
        super().__init__()
        self.linear = nn.Linear(size, latent)
        uniform_(self.linear, generator)
        self.norm = nn.LayerNorm(latent)

    def forward(self, features: Tensor) -> Tensor:
        return torch.tanh(self.norm(self.linear(features)))


class FrozenEncoder:
    """A trunk that never learns: a picture to its features, once."""

    def __init__(self, kind: str, weights: Path, device: str = "cpu") -> None:
        """Raises CheckpointError or ConfigError, as load_trunk and make_trunk do."""
        trunk = make_trunk(kind, torch.Generator().manual_seed(0))
        load_trunk(trunk, weights)
        self.digest = digest_of(weights)
        """Tells encoders apart whose features are of one length."""
        self._trunk = trunk.to(device).requires_grad_(False).eval()
        self._device = torch.device(device)

    def size(self, picture: tuple[int, int]) -> int:
        """Length of the features of a picture of this height and width."""
        return features_of(self._trunk, picture)

    @torch.no_grad()
    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Shape (H, W, 3) -> (F,)."""
        batch = torch.as_tensor(np.array(image), device=self._device).unsqueeze(0)
        return flat(self._trunk(normalised(batch)))[0].float().cpu().numpy()


def digest_of(weights: Path) -> str:
    """Of a file's bytes, SHA-256."""
    return hashlib.sha256(weights.read_bytes()).hexdigest()


def flat(maps: Tensor) -> Tensor:
    """Feature maps (B, C, h, w) as vectors, pooled to GRID places in either direction where there are more of them."""
    if maps.shape[1] == CHANNELS[-1] and max(maps.shape[2:]) > GRID:
        maps = functional.adaptive_avg_pool2d(maps, GRID)
    return maps.flatten(1)


def features_of(trunk: nn.Module, size: tuple[int, int], channels: int = 3) -> int:
    """Length of the vector that a trunk makes of a picture of height and width `size`.

    Raises:
        ConfigError: the picture is too small for a residual network.
    """
    if isinstance(trunk, ResidualTrunk) and min(size) < SMALLEST:
        raise ConfigError(f"image_size: a residual network needs {SMALLEST} pixels, got {size[0]} x {size[1]}")
    with torch.no_grad():
        return flat(trunk(torch.zeros(1, channels, *size, device=next(trunk.parameters()).device))).numel()


def uniform_(layer: nn.Linear | nn.Conv2d, generator: torch.Generator, gain: float = 1.0) -> None:
    """Draw weights and biases uniformly within gain / sqrt(fan in)."""
    bound = gain / math.sqrt(layer.weight[0].numel())
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        if layer.bias is not None:
            layer.bias.uniform_(-bound, bound, generator=generator)
