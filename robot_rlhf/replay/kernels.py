"""Pictures from the ring to a batch in one pass on a GPU: gathered, shifted and normalised (Triton)."""

# Triton's language has no types that a checker could follow.
# pyright: basic, reportPrivateImportUsage=false, reportCallIssue=false, reportArgumentType=false, reportIndexIssue=false

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BYTES_AT_ONCE = 4096
"""Bytes of a picture that one program moves, at most; a line is never cut."""
EDGE = 16
"""Columns (of bytes) at an edge that are made at once: those of a shift by up to 4 pixels."""


def take(ring: Tensor, slots: Tensor, down: Tensor, right: Tensor, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """Pictures of the ring by slot, shifted as by `augment.shift`, and normalised unless they stay uint8.

    Every byte that a batch needs comes from memory once and every output element goes there once. Four neighbouring
    bytes are moved together: as the shift leaves them unaligned, they are cut out of two aligned words.

    Args:
        ring: contiguous uint8. Shape (capacity, H * W * 3).
        slots: int64. Shape (N,).
        down: pixels, at most H and W in magnitude, int32. Shape (N,).
        right: as down.
        size: (H, W).
        dtype: uint8, or a float type for x / 255 - 0.5.

    Returns:
        Contiguous. Shape (N, H, W, 3).
    """
    height, width = size
    line = 3 * width
    result = torch.empty((len(slots), height, width, 3), dtype=dtype, device=ring.device)
    words = triton.next_power_of_2(triton.cdiv(line, 4))
    lines = max(1, min(triton.next_power_of_2(height), BYTES_AT_ONCE // (4 * words)))
    grid = (len(slots), triton.cdiv(height, lines))
    arguments = (ring, slots, down, right, result, height, line, dtype != torch.uint8, lines, words, EDGE)
    _take[grid](*arguments, enable_fp_fusion=True)
    return result


@triton.jit
def _take(
    ring,
    slots,
    down,
    right,
    result,
    height: tl.constexpr,
    line: tl.constexpr,
    normal: tl.constexpr,
    lines: tl.constexpr,
    words: tl.constexpr,
    edge: tl.constexpr,
):
    """Program (n, j) makes lines j * lines to (j + 1) * lines of picture n."""
    picture = tl.program_id(0).to(tl.int64)  # offsets in a large ring exceed 32 bits
    slot = tl.load(slots + picture)
    lower = tl.load(down + picture)
    by = 3 * tl.load(right + picture)
    y = tl.program_id(1) * lines + tl.arange(0, lines)
    inside = y < height
    source = (slot * height + tl.minimum(tl.maximum(y + lower, 0), height - 1)) * line  # (lines,)
    target = (picture * height + y) * line

    # Four bytes at a time, where none of them comes from beyond an edge.
    first = 4 * tl.arange(0, words)
    last = tl.minimum(first + 3, line - 1)
    whole = (first < line) & (first + by >= 0) & (last + by < line)  # (words,)
    place = (source & 3).to(tl.int32)[:, None] + (first + by)[None, :]
    end = place + (last - first)[None, :]
    mask = inside[:, None] & whole[None, :]
    aligned = ring.to(tl.pointer_type(tl.uint32)) + (source >> 2)[:, None] + (place >> 2)
    low = tl.load(aligned, mask=mask, other=0).to(tl.uint64)
    high = tl.load(aligned + 1, mask=mask & ((end >> 2) > (place >> 2)), other=0).to(tl.uint64)
    four = (((high << 32) | low) >> ((place & 3) * 8).to(tl.uint64)).to(tl.uint32)  # (lines, words)
    lane = tl.arange(0, 4)
    value = (four[:, :, None] >> (8 * lane).to(tl.uint32)[None, None, :]) & 255
    column = first[:, None] + lane[None, :]  # (words, 4)
    kept = mask[:, :, None] & (column < line)[None, :, :]
    _put(result + target[:, None, None] + column[None, :, :], value, kept, normal)

    # The few columns at the edge that the shift moves away from, byte by byte: they repeat the edge's pixel.
    if by != 0:
        start = tl.where(by > 0, tl.maximum((line - by) // 4, 0) * 4, 0)
        stop = tl.where(by > 0, line, tl.minimum((3 - by) // 4 * 4, line))
        for left in range(start, stop, edge):
            at = left + tl.arange(0, edge)
            channel = at % 3
            x = tl.minimum(tl.maximum(at - channel + by, 0), line - 3) + channel
            near = inside[:, None] & (at < stop)[None, :]
            single = tl.load(ring + source[:, None] + x[None, :], mask=near, other=0)
            _put(result + target[:, None] + at[None, :], single, near, normal)


@triton.jit
def _put(where, value, mask, normal: tl.constexpr):
    if normal:
        tl.store(where, (value.to(tl.float32) * (1 / 255) - 0.5).to(where.dtype.element_ty), mask=mask)
    else:
        tl.store(where, value.to(tl.uint8), mask=mask)
