"""Random shifts (DrQ) and turned colours of pictures, drawn for each picture by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.datatypes import Batch
from robot_rlhf.errors import InvalidValueError

PAD = 4
"""Pixels by which a picture is shifted at most, in each direction."""
HOST_TYPES = {torch.uint8: np.uint8, torch.float32: np.float32}
"""Types of pictures that have a faster way on the CPU."""


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
    if images.device.type == "cpu" and images.dtype in HOST_TYPES and not images.requires_grad:
        moved = np.empty(images.shape, HOST_TYPES[images.dtype])  # fresh pages are cheaper from numpy: large ones
        shift_on_host(list(images.flatten(1).numpy()), down.numpy(), right.numpy(), moved)
        return torch.as_tensor(moved)
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


def shift_on_host(
    pictures: Sequence[NDArray[Any]], down: NDArray[np.integer], right: NDArray[np.integer], out: NDArray[Any]
) -> None:
    """As shift, from pictures anywhere in memory, each in little more than one copy.

    Seen as one row of pixels, a shifted picture is the same row from another start on; what is wrong then are the
    columns and lines at the edges, and they are put right afterwards.

    Args:
        pictures: B contiguous arrays. Shape (H * W * C,).
        down: pixels. Shape (B,).
        right: pixels. Shape (B,).
        out: contiguous. Shape (B, H, W, C).
    """
    _, height, width, channels = out.shape
    for source, y, x, picture in zip(pictures, down.tolist(), right.tolist(), out, strict=True):
        # Further than the picture is large makes no difference.
        y, x = max(1 - height, min(y, height - 1)), max(1 - width, min(x, width - 1))
        start = (y * width + x) * channels
        target = picture.reshape(-1)
        if start >= 0:
            target[: len(target) - start] = source[start:]
        else:
            target[-start:] = source[:start]
        if x > 0:
            picture[:, width - x :] = picture[:, width - x - 1 : width - x]
        elif x < 0:
            picture[:, :-x] = picture[:, -x : 1 - x]
        if y > 0:
            picture[height - y :] = picture[height - y - 1]
        elif y < 0:
            picture[:-y] = picture[-y]


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


def turn_colours(images: Tensor, generator: torch.Generator, share: float) -> Tensor:
    """Turn the colours of some pictures about the grey axis, each by its own angle: what is red may have any colour.

    Greys stay, and so does the mean of the three channels. Against a policy that knows things by the colour they had
    in the few episodes it saw.

    Args:
        images: uint8, or already x / 255 - 0.5. Shape (B, H, W, 3).
        generator: draws two numbers per picture.
        share: of the pictures whose colours are turned, 0 to 1.

    Returns:
        x / 255 - 0.5, in the dtype of the pictures, float32 for uint8; turned colours may leave [-0.5, 0.5].
    """
    if images.ndim != 4 or images.shape[-1] != 3 or not 0.0 <= share <= 1.0:
        wrong = f"shape {tuple(images.shape)}, share {share}"
        raise InvalidValueError("turn_colours", wrong, "(B, H, W, 3) and a share from 0 to 1")
    if images.dtype == torch.uint8:
        images = images.float().div_(255.0).sub_(0.5)
    chance, turn = torch.rand(2, len(images), generator=generator, device=images.device)
    angle = torch.where(chance < share, 2.0 * math.pi * turn, 0.0)
    matrices = colour_rotations(angle).to(images.dtype)
    return torch.bmm(images.flatten(1, 2), matrices.transpose(1, 2)).view(images.shape)


def colour_rotations(angle: Tensor) -> Tensor:
    """Rotations of (red, green, blue) about (1, 1, 1), rad. Shape (B,) -> (B, 3, 3)."""
    around = (1.0 - angle.cos()) / 3.0
    own, before, after = angle.cos() + around, around - angle.sin() / 3**0.5, around + angle.sin() / 3**0.5
    rows = (own, before, after), (after, own, before), (before, after, own)
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def augmented(
    observation: Mapping[str, Tensor], generator: torch.Generator, *, shift_pixels: int, turned: float
) -> dict[str, Tensor]:
    """The observation with its pictures (B, H, W, 3) shifted and their colours turned; 0 does and draws nothing."""
    shifted = shift_pictures(observation, generator, shift_pixels)
    if not turned:
        return shifted
    return {n: turn_colours(value, generator, turned) if value.ndim == 4 else value for n, value in shifted.items()}
