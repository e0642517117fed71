"""VLM-RM's formula against its definition with a matrix, and its limits."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from robot_rlhf.errors import ConfigError, InvalidValueError, ShapeError
from robot_rlhf.rewards.projection import mean_direction, projected_reward


def units(seed: int, count: int, size: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(count, size, generator=generator, dtype=torch.float64), dim=1)


def by_definition(x: Tensor, g: Tensor, b: Tensor, alpha: float) -> Tensor:
    """With P as a matrix."""
    d = g - b
    p = alpha * torch.outer(d, d) / (d @ d) + (1.0 - alpha) * torch.eye(len(d), dtype=d.dtype)
    return 1.0 - 0.5 * ((x - g) @ p).square().sum(dim=1)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_agrees_with_its_definition(seed: int, alpha: float) -> None:
    *x, g, b = units(seed, 7)
    pictures = torch.stack(x)
    torch.testing.assert_close(projected_reward(pictures, g, b, alpha), by_definition(pictures, g, b, alpha))


@given(st.integers(0, 10_000))
def test_alpha_0_is_the_cosine_with_and_without_a_baseline(seed: int) -> None:
    *x, g, b = units(seed, 7)
    pictures = torch.stack(x)
    torch.testing.assert_close(projected_reward(pictures, g), pictures @ g)
    torch.testing.assert_close(projected_reward(pictures, g, b, 0.0), pictures @ g)


@given(st.integers(0, 10_000), st.floats(-3, 3))
def test_alpha_1_sees_only_the_line_from_baseline_to_goal(seed: int, amount: float) -> None:
    x, g, b, aside = units(seed, 4)
    d = (g - b) / torch.linalg.vector_norm(g - b)
    aside = aside - (aside @ d) * d  # orthogonal to the direction
    before, after = projected_reward(torch.stack([x, x + amount * aside]), g, b, 1.0)
    torch.testing.assert_close(before, after)
    torch.testing.assert_close(before, 1.0 - 0.5 * ((x - g) @ d).square())
    torch.testing.assert_close(projected_reward(g.unsqueeze(0), g, b, 1.0), torch.ones(1, dtype=torch.float64))


def test_by_hand() -> None:
    g, b = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    x = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    # d = (1, -1) / sqrt 2. x - g = (-1, 1): along d -sqrt 2, nothing aside; (-2, 0): along d -sqrt 2, aside -sqrt 2
    torch.testing.assert_close(projected_reward(x, g, b, 0.0), torch.tensor([0.0, -1.0]))
    torch.testing.assert_close(projected_reward(x, g, b, 1.0), torch.tensor([0.0, 0.0]))
    # alpha 1/2: what is aside counts a quarter of its square
    torch.testing.assert_close(projected_reward(x, g, b, 0.5), torch.tensor([0.0, -0.25]))


def test_means_of_several_sentences_have_unit_length() -> None:
    each = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    half = 1.0 / math.sqrt(2.0)
    torch.testing.assert_close(mean_direction(each), torch.tensor([half, half]))
    torch.testing.assert_close(mean_direction(3.0 * each[:1]), each[0])
    with pytest.raises(ConfigError, match="cancel out"):
        mean_direction(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), "goal sentences")
    with pytest.raises(ShapeError, match="goal sentences"):
        mean_direction(torch.zeros(0, 4), "goal sentences")


def test_a_direction_is_needed_only_where_it_is_used() -> None:
    x, g = units(0, 2)
    pictures = x.unsqueeze(0)
    with pytest.raises(ConfigError, match="needs a baseline"):
        projected_reward(pictures, g, None, 0.3)
    with pytest.raises(ConfigError, match="mean the same"):
        projected_reward(pictures, g, g.clone(), 0.3)
    torch.testing.assert_close(projected_reward(pictures, g, g, 0.0), pictures @ g)


def test_what_cannot_be_is_refused() -> None:
    x, g = units(0, 2)
    for alpha in (-0.1, 1.1, math.nan):
        with pytest.raises(InvalidValueError, match="alpha"):
            projected_reward(x.unsqueeze(0), g, None, alpha)
    with pytest.raises(ShapeError, match="goal"):
        projected_reward(x.unsqueeze(0), g[:3])
