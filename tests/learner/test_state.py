"""The optimiser whose moments can be taken out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from robot_rlhf.learner.state import AdamState


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
