"""Random shift against padding and cropping one picture at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import Batch
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.replay.augment import augment, augmented, colour_rotations, random_shift, shift, turn_colours
from tests.draws import draws


def naive(image: np.ndarray[Any, Any], down: int, right: int, pad: int) -> np.ndarray[Any, Any]:
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    height, width, _ = image.shape
    return padded[pad + down : pad + down + height, pad + right : pad + right + width]


@draws(60)
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


def test_a_third_of_a_turn_exchanges_the_channels() -> None:
    colours = torch.rand(5, 3, dtype=torch.float64)
    third = torch.full((1,), 2.0 * math.pi / 3.0, dtype=torch.float64)
    turned = colours @ colour_rotations(third)[0].T
    torch.testing.assert_close(turned, colours[:, [2, 0, 1]])


@given(st.floats(-10.0, 10.0))
def test_turns_are_rotations_about_grey(angle: float) -> None:
    matrix = colour_rotations(torch.tensor([angle], dtype=torch.float64))[0]
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(matrix.sum(dim=1), torch.ones(3, dtype=torch.float64))
    assert torch.linalg.det(matrix) > 0


def test_each_picture_is_turned_by_itself() -> None:
    images = torch.randint(0, 256, (64, 4, 5, 3), dtype=torch.uint8)
    turned = turn_colours(images, torch.Generator().manual_seed(3), 0.5)
    plain = images.float() / 255 - 0.5
    same = [torch.allclose(a, b, atol=1e-6) for a, b in zip(turned, plain, strict=True)]
    assert 16 <= sum(same) <= 48
    draws = torch.rand(2, 64, generator=torch.Generator().manual_seed(3))
    for k, (chance, turn) in enumerate(draws.T):
        angle = 2 * math.pi * turn if chance < 0.5 else torch.zeros(())
        expected = plain[k] @ colour_rotations(angle[None])[0].T
        torch.testing.assert_close(turned[k], expected, atol=1e-6, rtol=0.0)


def test_no_share_turns_nothing_and_normalised_pictures_keep_their_type() -> None:
    images = torch.rand(3, 4, 4, 3) - 0.5
    torch.testing.assert_close(turn_colours(images, torch.Generator(), 0.0), images)
    assert turn_colours(images.bfloat16(), torch.Generator(), 1.0).dtype == torch.bfloat16
    untouched = {"state": torch.zeros(2, 3), "front": images}
    assert augmented(untouched, torch.Generator(), shift_pixels=0, turned=0.0)["front"] is images
    turned = augmented(untouched, torch.Generator(), shift_pixels=0, turned=1.0)
    assert turned["state"] is untouched["state"]
    assert not torch.allclose(turned["front"], images)


@pytest.mark.parametrize(("shape", "share"), [((2, 4, 4, 4), 0.5), ((4, 4, 3), 0.5), ((1, 4, 4, 3), 1.5)])
def test_only_colour_pictures_and_shares(shape: tuple[int, ...], share: float) -> None:
    with pytest.raises(InvalidValueError, match="turn_colours"):
        turn_colours(torch.zeros(shape), torch.Generator(), share)
