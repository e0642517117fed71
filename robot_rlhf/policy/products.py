"""Products of matrices on the CPU, by the library that is faster there.

torch multiplies float32 by Intel's MKL, which on processors of AMD reaches half of what oneDNN does: measured on one
with AVX-512, 256 x 256 x 256 takes twice as long. bfloat16 goes to oneDNN anyway.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import get_proxy_mode

LEAST_SIDE = 64
LEAST_WORK = 8_000_000
"""Multiplications of a product that oneDNN is asked for: below, its preparations take longer than they save."""


def multiply(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """(E, B, in) times (E, in, out), plus bias (E, 1, out), as torch.bmm and torch.baddbmm. Shape (E, B, out)."""
    suits = a.device.type == "cpu" and a.dtype is torch.float32
    if not suits or not by_onednn(*a.shape[1:], b.shape[2]):
        return torch.bmm(a, b) if bias is None else torch.baddbmm(bias, a, b)
    if get_proxy_mode() is not None:  # traced for a compiler, which must not look inside
        return _opaque(a, b, bias)
    return _members(a, b, bias)


def by_onednn(*sides: int) -> bool:
    """Whether oneDNN multiplies (B, in) by (in, out), sides B, in, out, in float32 on this processor."""
    return FOR_ONEDNN and min(sides) >= LEAST_SIDE and math.prod(sides) >= LEAST_WORK


def _members(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    linear = torch.ops.mkldnn._linear_pointwise
    biases = [None] * a.shape[0] if bias is None else [row.contiguous() for row in bias[:, 0]]
    members = [linear(a[e], b[e].t(), biases[e], "none", [], None) for e in range(a.shape[0])]
    return members[0].unsqueeze(0) if len(members) == 1 else torch.stack(members)


@torch.library.custom_op("robot_rlhf::multiply", mutates_args=())
def _opaque(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    return _members(a, b, bias)


@_opaque.register_fake
def _(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    return a.new_empty(a.shape[0], a.shape[1], b.shape[2])


def _is_faster() -> bool:
    """Whether this machine's processor is one of AMD's, and torch has oneDNN."""
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        return False
    try:
        return "AuthenticAMD" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


FOR_ONEDNN = _is_faster()
"""Whether oneDNN multiplies float32 here."""
