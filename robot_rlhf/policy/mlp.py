"""Multilayer perceptrons of an ensemble in one autograd step: forward and backward written out.

The networks of robot policies are so small that autograd's bookkeeping, and copies between number formats, cost as
much as the arithmetic. Written out, each layer is four operations forward and six backward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from robot_rlhf.policy.products import multiply

EPSILON = 1e-5
"""Added to the variance by LayerNorm, as torch's own."""
ActivationName = Literal["relu", "tanh", "elu", "gelu", "silu", "leaky_relu"]
ACTIVATIONS: Mapping[ActivationName, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
}
"""What may stand between the layers. The backward of ReLU alone is written out."""


@dataclass(frozen=True)
class Layer:
    """One layer of E networks: linear, then LayerNorm where it has a gain, then the activation, except the last."""

    weight: Tensor
    """Shape (E, in, out)."""
    bias: Tensor
    """Shape (E, 1, out)."""
    gain: Tensor | None = None
    """Shape (E, 1, out)."""
    offset: Tensor | None = None
    """Shape (E, 1, out)."""

    def detach(self) -> Layer:
        """The same numbers, which do not learn."""
        gain, offset = (None if t is None else t.detach() for t in (self.gain, self.offset))
        return Layer(self.weight.detach(), self.bias.detach(), gain, offset)


def mlp(x: Tensor, layers: Sequence[Layer], *, half: bool = False, activation: ActivationName = "relu") -> Tensor:
    """The ensemble's outputs.

    In float32 it is what torch's own modules and autograd compute, bit for bit unless `products` chooses another
    library than torch. With `half`, matrices are multiplied in bfloat16, while weights and sums over the batch are
    float32; what comes out is rounded to bfloat16.

    Args:
        x: inputs, the same for all networks. Shape (B, in).
        layers: of equal E; those with tensors that are not to learn, detached.
        activation: another than ReLU is left to autograd.

    Returns:
        Shape (E, B, out).
    """
    if activation != "relu":
        return _by_autograd(x, layers, half, ACTIVATIONS[activation]())
    tensors = [t for layer in layers for t in (layer.weight, layer.bias, layer.gain, layer.offset)]
    return _Mlp.apply(x, half, *tensors)  # pyright: ignore[reportReturnType]


def _by_autograd(x: Tensor, layers: Sequence[Layer], half: bool, activation: nn.Module) -> Tensor:
    kind = torch.bfloat16 if half else torch.float32
    a = x.to(kind).expand(len(layers[0].weight), *x.shape)
    for i, layer in enumerate(layers):
        a = torch.baddbmm(layer.bias.to(kind), a, layer.weight.to(kind))
        if layer.gain is not None:
            assert layer.offset is not None
            a = torch.addcmul(layer.offset.to(kind), nn.functional.layer_norm(a, a.shape[-1:]), layer.gain.to(kind))
        if i < len(layers) - 1:
            a = activation(a)
    return a.float()


class _Mlp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, half: bool, *tensors: Tensor | None) -> Tensor:
        members = tensors[0].shape[0]  # pyright: ignore[reportOptionalMemberAccess]
        a = (x.bfloat16() if half else x).expand(members, *x.shape)
        kept: list[Tensor | None] = []
        count = len(tensors) // 4
        for i in range(count):
            weight, bias, gain, offset = tensors[4 * i : 4 * i + 4]
            assert weight is not None
            assert bias is not None
            w = weight.bfloat16() if half else weight
            z = multiply(a, w, bias.bfloat16() if half else bias)
            norm: list[Tensor | None] = [None] * 4
            if gain is not None:
                assert offset is not None
                y, mean, rstd = torch.native_layer_norm(z, z.shape[-1:], None, None, EPSILON)
                norm = [z, mean, rstd, y]
                gain, offset = (gain.bfloat16(), offset.bfloat16()) if half else (gain, offset)
                z = torch.addcmul(offset, y, gain)
            kept += [a, w, gain, *norm]
            a = z if i == count - 1 else z.relu_()
        ctx.count, ctx.half = count, half
        ctx.save_for_backward(*kept, a)
        return a.float() if half else a

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        kept, needed = ctx.saved_tensors, ctx.needs_input_grad
        g = gradients[0].bfloat16() if ctx.half else gradients[0]
        found: list[Tensor | None] = [None] * (4 * ctx.count)
        x_gradient: Tensor | None = None
        for i in reversed(range(ctx.count)):
            a, w, gain, z, mean, rstd, y = kept[7 * i : 7 * i + 7]
            learns = needed[2 + 4 * i]
            if i < ctx.count - 1:
                g = torch.ops.aten.threshold_backward(g, kept[7 * (i + 1)], 0)
            if gain is not None:
                if learns:
                    found[4 * i + 2] = _over_batch(g * y)
                    found[4 * i + 3] = _over_batch(g)
                g = torch.ops.aten.native_layer_norm_backward(
                    g * gain, z, z.shape[-1:], mean, rstd, None, None, [True, False, False]
                )[0]
            if learns:
                found[4 * i] = multiply(a.transpose(1, 2), g).float()
                found[4 * i + 1] = _over_batch(g)
            if i > 0:
                g = multiply(g, w.transpose(1, 2))
            elif needed[0]:
                x_gradient = multiply(g, w.transpose(1, 2)).float().sum(dim=0)
        return x_gradient, None, *found


def _over_batch(g: Tensor) -> Tensor:
    """Sum over the batch in float32. Shape (E, B, out) -> (E, 1, out)."""
    return g.sum(dim=1, keepdim=True, dtype=torch.float32)
