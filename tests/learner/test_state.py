"""The optimiser whose moments can be taken out."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from robot_rlhf.learner.state import POWER, AdamState, averaging_rate, follow


class Given(torch.autograd.Function):
    """A loss with the gradient that is given, laid out in memory as it is given."""

    @staticmethod
    def forward(ctx: Any, parameter: Tensor, gradient: Tensor) -> Tensor:
        ctx.gradient = gradient
        return parameter.sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.gradient, None


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (8, 3, 5, 5), (2, 1, 3)])
@pytest.mark.parametrize("written_out", [False, True])
def test_a_step_depends_on_numbers_and_not_on_their_place_in_memory(shape: tuple[int, ...], written_out: bool) -> None:
    """Convolutions give gradients of channels-last layout, written-out layers transposed ones."""
    gradient = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    reversed_axes = tuple(reversed(range(len(shape))))
    layouts = [gradient, gradient.permute(reversed_axes).contiguous().permute(reversed_axes)]
    if len(shape) == 4:
        layouts.append(gradient.contiguous(memory_format=torch.channels_last))
    results: list[Tensor] = []
    for layout in layouts:
        assert torch.equal(layout, gradient)
        parameter = nn.Parameter(torch.zeros(shape))
        adam = AdamState([parameter], 1e-2)
        adam.written_out = written_out
        for _ in range(3):
            adam.step(Given.apply(parameter, layout))  # pyright: ignore[reportArgumentType]
        results.append(parameter.detach())
    assert torch.equal(torch.sign(results[0]), -torch.sign(gradient))
    assert all(torch.equal(result, results[0]) for result in results)


class Numbers(nn.Module):
    """A module of one parameter."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor([value], dtype=torch.float64), requires_grad=False)


def average_of(values: list[float], rate: float, first: float = 0.0) -> float:
    average, actor = Numbers(first), Numbers(first)
    for n, value in enumerate(values, start=1):
        actor.value.fill_(value)
        follow(average, actor, averaging_rate(rate, n))
    return float(average.value)


def test_a_young_average_by_hand() -> None:
    """Of a rate of 0 after 1, 2 and 3 updates 1/4, 2/5 and 3/6 stay: 3/4, then 0.3 + 1.2, then 0.75 + 1.5."""
    assert [average_of([1.0, 2.0, 3.0][:n], rate=0.0) for n in (1, 2, 3)] == pytest.approx([0.75, 1.5, 2.25])
    assert average_of([1.0, 2.0], rate=0.5) == pytest.approx((0.875 * 1.0) * 0.2 + 0.8 * 2.0)


@given(st.integers(4, 3_000), st.floats(0.0, 0.1))
def test_what_is_left_of_the_first_weights(updates: int, rate: float) -> None:
    """(1 - rate)^n, as of a plain average, times n! POWER! / (n + POWER)!: under 1e-5 after 100 updates."""
    left = average_of([0.0] * updates, rate, first=1.0)
    powers = math.lgamma(updates + 1) + math.lgamma(POWER + 1) - math.lgamma(updates + POWER + 1)
    assert left == pytest.approx(math.exp(powers) * (1.0 - rate) ** updates, rel=1e-6, abs=1e-300)
    assert left < (POWER / updates) ** POWER


def test_an_old_average_is_a_plain_one_and_a_rate_of_one_the_newest() -> None:
    assert averaging_rate(0.001, 10_000_000) == pytest.approx(0.001, rel=1e-3)
    assert [averaging_rate(1.0, n) for n in (1, 5, 1_000)] == [1.0, 1.0, 1.0]


def test_a_rate_in_a_tensor_is_the_same_rate() -> None:
    plain, tensor, actor = Numbers(0.25), Numbers(0.25), Numbers(2.0)
    follow(plain, actor, 0.3)
    follow(tensor, actor, torch.tensor(0.3, dtype=torch.float64))
    assert float(plain.value) == pytest.approx(float(tensor.value), rel=1e-12)
