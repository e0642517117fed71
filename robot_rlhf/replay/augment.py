"""Random shifts of pictures (DrQ), drawn for each picture by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from robot_rlhf.datatypes import Batch
from robot_rlhf.errors import InvalidValueError

PAD = 4
"""Pixels by which a picture is shifted at most, in each direction."""


def random_shift(images: Tensor, generator: torch.Generator, pad: int = PAD) -> Tensor:
    """Shift each picture by up to `pad` pixels; what enters at an edge repeats the edge.

    Equal to padding with the edge's pixels and cropping at random. Source: Yarats et al., Image Augmentation Is All
    You Need (DrQ), 2020, section 4.1.

    Args:
        images: any dtype, on the generator's device. Shape (B, H, W, C).
        generator: draws two integers per picture.
        pad: 0 returns the pictures as they are.

    Returns:
        A new tensor of the same shape and dtype.
    """
    if images.ndim != 4 or pad < 0:
        raise InvalidValueError("random_shift", f"shape {tuple(images.shape)}, pad {pad}", "(B, H, W, C) and pad >= 0")
    offsets = torch.randint(-pad, pad + 1, (2, len(images)), generator=generator, device=images.device)
    return shift(images, offsets[0], offsets[1])


def shift(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Pixel (y, x) of picture b becomes the one at (y + down[b], x + right[b]), or the nearest edge's.

    Args:
        images: Shape (B, H, W, C).
        down: int64. Shape (B,).
        right: int64. Shape (B,).
    """
    batch, height, width, channels = images.shape
    device = images.device
    lines = (torch.arange(height, device=device) + down[:, None]).clamp_(0, height - 1)  # (B, H)
    lines = lines + torch.arange(batch, device=device)[:, None] * height
    rows = images.reshape(batch * height, width * channels).index_select(0, lines.view(-1))
    places = (torch.arange(width, device=device) + right[:, None]).clamp_(0, width - 1)  # (B, W)
    entries = places[:, :, None] * channels + torch.arange(channels, device=device)  # (B, W, C)
    # Expanding instead of copying the index over the lines keeps it a hundred times smaller than the pictures.
    entries = entries.view(batch, 1, width * channels).expand(batch, height, width * channels)
    return torch.gather(rows.view(batch, height, width * channels), 2, entries).view(images.shape)


def augment(batch: Batch, generator: torch.Generator, pad: int = PAD) -> Batch:
    """The batch with every picture shifted, those of observation and next_observation independently."""
    return replace(
        batch,
        observation=shift_pictures(batch.observation, generator, pad),
        next_observation=shift_pictures(batch.next_observation, generator, pad),
    )


def shift_pictures(observation: Mapping[str, Tensor], generator: torch.Generator, pad: int) -> dict[str, Tensor]:
    """The observation with its pictures (B, H, W, 3) shifted, each on its own; 0 shifts none and draws nothing."""
    return {
        name: random_shift(value, generator, pad) if pad and value.ndim == 4 else value
        for name, value in observation.items()
    }
