"""Random shift against padding and cropping one picture at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_rlhf.datatypes import Batch
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.replay.augment import augment, random_shift, shift


def naive(image: np.ndarray[Any, Any], down: int, right: int, pad: int) -> np.ndarray[Any, Any]:
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    height, width, _ = image.shape
    return padded[pad + down : pad + down + height, pad + right : pad + right + width]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9), st.integers(0, 5), st.booleans(), st.integers(0, 2**31))
def test_shift_equals_pad_and_crop(batch: int, height: int, width: int, pad: int, as_float: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (batch, height, width, 3), dtype=np.uint8)
    images = images.astype(np.float32) / 255 if as_float else images
    down, right = rng.integers(-pad, pad + 1, (2, batch))
    moved = shift(torch.as_tensor(images), torch.as_tensor(down), torch.as_tensor(right))
    expected = np.stack([naive(images[k], down[k], right[k], pad) for k in range(batch)])
    assert moved.dtype == torch.as_tensor(images).dtype
    np.testing.assert_array_equal(moved.numpy(), expected)


def test_random_shifts_cover_all_offsets_independently() -> None:
    """Each offset of 5 x 5 must appear for a picture whose pixels are their own coordinates."""
    grid = torch.stack(torch.meshgrid(torch.arange(9), torch.arange(9), indexing="ij"), dim=-1)
    images = torch.cat((grid, grid[..., :1]), dim=-1).to(torch.uint8).expand(2000, 9, 9, 3)
    moved = random_shift(images, torch.Generator().manual_seed(0), pad=2)
    offsets = moved[:, 4, 4, :2].int() - 4
    counts = torch.bincount((offsets[:, 0] + 2) * 5 + offsets[:, 1] + 2, minlength=25).double()
    assert len(counts) == 25
    assert float(((counts - 80) ** 2 / 80).sum()) < 51.2  # chi-square, 24 degrees of freedom, 99.9 %


def test_augment_shifts_pictures_only_and_next_ones_differently() -> None:
    picture = torch.arange(64 * 16 * 16 * 3).remainder(251).to(torch.uint8).view(64, 16, 16, 3)
    ones = torch.ones(64)
    seen = {"state": torch.randn(64, 3, generator=torch.Generator().manual_seed(0)), "front": picture}
    batch = Batch(seen, ones[:, None], ones, ones, seen, ones.long(), ones, ones.long())
    one = augment(batch, torch.Generator().manual_seed(3))
    two = augment(batch, torch.Generator().manual_seed(3))
    assert torch.equal(one.observation["front"], two.observation["front"])
    assert not torch.equal(one.observation["front"], one.next_observation["front"])
    assert torch.equal(one.observation["state"], seen["state"])
    assert torch.equal(batch.observation["front"], picture)
    assert torch.equal(random_shift(picture, torch.Generator(), pad=0), picture)


def test_a_picture_without_batch_is_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"\(B, H, W, C\)"):
        random_shift(torch.zeros(4, 4, 3), torch.Generator())
