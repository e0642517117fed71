"""One camera's pictures: where the ring keeps them, and how a batch gets them, shifted and normalised if wished."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.errors import ConfigError
from robot_rlhf.replay.augment import shift, shift_on_host
from robot_rlhf.replay.pool import Pool

DTYPES = {"uint8": torch.uint8, "float32": torch.float32, "bfloat16": torch.bfloat16}
Fused = Callable[[Tensor, Tensor, Tensor, Tensor, tuple[int, int], torch.dtype], Tensor]
"""`kernels.take`, which only a GPU or Triton's interpreter can run."""
BLOCK = 2
"""Pictures that are normalised at once on the CPU, so few that they stay in its cache."""


@dataclass(frozen=True)
class PictureConfig:
    """How the pictures of a batch look, and where those of the ring lie."""

    dtype: Literal["uint8", "float32", "bfloat16"] = "uint8"
    """uint8: pixels as they were seen. A float type: x / 255 - 0.5."""
    shift: int = 0
    """Pixels by which each picture of a batch is shifted at most, as `augment.random_shift` does; 0 for none. Who
    shifts pictures on arrival, as the learner does with uint8 ones, needs none here."""
    where: Literal["device", "pinned"] = "device"
    """pinned: in page-locked memory of the host, for buffers larger than the device."""

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES or self.shift < 0 or self.where not in ("device", "pinned"):
            raise ConfigError(
                f"replay pictures: dtype {self.dtype!r} ({', '.join(DTYPES)}), shift {self.shift} (>= 0), "
                f"where {self.where!r} (device, pinned)"
            )

    @property
    def plain(self) -> bool:
        """Pictures come as they are stored."""
        return self.dtype == "uint8" and self.shift == 0


class Pictures(Protocol):
    """The pictures of one camera by slot."""

    def write(self, slot: int, image: NDArray[Any] | Tensor) -> None:
        """Replace one picture, uint8 (H, W, 3)."""
        ...

    def stored(self, slots: Tensor) -> Tensor:
        """Pictures as they were written. Shape (N,) to uint8 (N, H, W, 3) on the device."""
        ...

    def take(self, slots: Tensor, offsets: Tensor | None) -> Tensor:
        """Pictures for a batch, of the configured dtype, contiguous (N, H, W, 3).

        Args:
            slots: int64, on the device. Shape (N,).
            offsets: pixels down and right by which each is shifted, int32, on the device. Shape (2, N).
        """
        ...


def make_pictures(capacity: int, size: tuple[int, int], config: PictureConfig, device: torch.device) -> Pictures:
    """The store for a device. Raises ConfigError when pinned memory is asked for without a GPU."""
    check_place(config, device)
    if device.type == "cpu":
        return HostPictures(capacity, size, config)
    finish = Finish(size, DTYPES[config.dtype], fused_kernel(device))
    if config.where == "pinned":
        return PinnedPictures(capacity, size, finish, device, pinned)
    return DevicePictures(capacity, size, finish, device)


def check_place(config: PictureConfig, device: torch.device) -> None:
    """Raises ConfigError when pinned memory is asked for without a GPU."""
    if config.where == "pinned" and device.type != "cuda":
        raise ConfigError(
            f"replay pictures: where 'pinned' needs a CUDA device, this buffer is on {device}: use 'device'"
        )


def normalise(pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """x / 255 - 0.5 as a new tensor of a float type, computed in float32; uint8 gives the pixels as they are."""
    if dtype == torch.uint8:
        return pixels
    values = pixels.to(torch.float32)
    return torch.add(values.new_full((), -0.5), values, alpha=1 / 255).to(dtype)


class HostPictures:
    """For a buffer on the CPU. A batch's pictures are written in one pass, into memory that is used again."""

    def __init__(self, capacity: int, size: tuple[int, int], config: PictureConfig) -> None:
        self._size = size
        self._dtype = DTYPES[config.dtype]
        # numpy asks the system for large pages, so that pictures at random places are found as fast as in a row.
        self._ring = np.zeros((capacity, 3 * size[0] * size[1]), np.uint8)
        self._pool = Pool()

    def write(self, slot: int, image: NDArray[Any] | Tensor) -> None:
        pixels = image.detach().cpu().numpy() if isinstance(image, Tensor) else image
        self._ring[slot] = pixels.reshape(-1)

    def stored(self, slots: Tensor) -> Tensor:
        return torch.as_tensor(np.take(self._ring, slots.numpy(), axis=0, mode="clip")).view(-1, *self._size, 3)

    def take(self, slots: Tensor, offsets: Tensor | None) -> Tensor:
        width = self._ring.shape[1]
        result = self._pool.take(len(slots), width * self._dtype.itemsize).view(self._dtype)
        places = slots.numpy()
        if self._dtype == torch.uint8:
            self._pixels(places, offsets, result.numpy())
        else:
            self._normalised(places, offsets, result)
        return result.view(-1, *self._size, 3)

    def _pixels(self, slots: NDArray[np.int64], offsets: Tensor | None, out: NDArray[np.uint8]) -> None:
        if offsets is None:
            np.take(self._ring, slots, axis=0, out=out, mode="clip")  # "raise" would fill a copy of `out` first
        else:
            down, right = offsets.numpy()
            shift_on_host([self._ring[slot] for slot in slots], down, right, out.reshape(-1, *self._size, 3))

    def _normalised(self, slots: NDArray[np.int64], offsets: Tensor | None, out: Tensor) -> None:
        pixels = np.empty((BLOCK, self._ring.shape[1]), np.uint8)
        source, values = torch.as_tensor(pixels), torch.empty(pixels.shape)
        bias = torch.tensor(-0.5)
        for start in range(0, len(slots), BLOCK):
            target = out[start : start + BLOCK]
            size = len(target)
            span = slice(start, start + size)
            self._pixels(slots[span], None if offsets is None else offsets[:, span], pixels[:size])
            floats = target if out.dtype == torch.float32 else values[:size]
            floats.copy_(source[:size])
            torch.add(bias, floats, alpha=1 / 255, out=floats)
            if floats is not target:
                target.copy_(floats)


class DevicePictures:
    """For a buffer on a GPU: one kernel makes a batch's pictures; without Triton, several of torch's do."""

    def __init__(self, capacity: int, size: tuple[int, int], finish: Finish, device: torch.device) -> None:
        self._size = size
        self._ring = torch.zeros((capacity, 3 * size[0] * size[1]), dtype=torch.uint8, device=device)
        self._finish = finish

    def write(self, slot: int, image: NDArray[Any] | Tensor) -> None:
        self._ring[slot].copy_(_as_tensor(image))

    def stored(self, slots: Tensor) -> Tensor:
        return self._ring.index_select(0, slots).view(-1, *self._size, 3)

    def take(self, slots: Tensor, offsets: Tensor | None) -> Tensor:
        return self._finish(self._ring, slots, offsets)


class PinnedPictures:
    """For a ring larger than a GPU: pictures are gathered on the host, copied, then shifted and normalised there.

    Two staging blocks take turns, so that the host gathers one batch while the one before is still on its way. The
    host must know the rows that were drawn, hence waits for the GPU once per batch.
    """

    def __init__(
        self,
        capacity: int,
        size: tuple[int, int],
        finish: Finish,
        device: torch.device,
        allocate: Callable[[tuple[int, int]], Tensor],
    ) -> None:
        """`allocate` gives uint8 memory of a shape on the host, page-locked where the device is a GPU."""
        self._size = size
        self._device = device
        self._allocate = allocate
        self._ring = allocate((capacity, 3 * size[0] * size[1])).zero_()
        self._finish = finish
        self._stages: list[Tensor] = [self._ring[:0]] * 2
        self._copied: list[torch.cuda.Event | None] = [None, None]
        self._turn = 0

    def write(self, slot: int, image: NDArray[Any] | Tensor) -> None:
        self._ring[slot].copy_(_as_tensor(image))

    def stored(self, slots: Tensor) -> Tensor:
        return self._moved(slots).view(-1, *self._size, 3)

    def take(self, slots: Tensor, offsets: Tensor | None) -> Tensor:
        return self._finish(self._moved(slots), None, offsets)

    def _moved(self, slots: Tensor) -> Tensor:
        """A new tensor on the device. Shape (N, H * W * 3)."""
        self._turn = turn = 1 - self._turn
        copied = self._copied[turn]
        if copied is not None:
            copied.synchronize()
        if len(self._stages[turn]) < len(slots):
            self._stages[turn] = self._allocate((len(slots), self._ring.shape[1]))
        stage = self._stages[turn][: len(slots)]
        np.take(self._ring.numpy(), slots.cpu().numpy(), axis=0, out=stage.numpy(), mode="clip")
        moved = stage.to(self._device, non_blocking=True, copy=True)
        if self._device.type == "cuda":
            event = self._copied[turn] = torch.cuda.Event()
            event.record()
        return moved


class Finish:
    """Gathers, shifts and normalises what lies on the device: in one kernel where there is one, else with torch."""

    def __init__(self, size: tuple[int, int], dtype: torch.dtype, fused: Fused | None) -> None:
        self._size = size
        self._dtype = dtype
        self._fused = fused

    def __call__(self, pixels: Tensor, slots: Tensor | None, offsets: Tensor | None) -> Tensor:
        """Pictures by slot, or all when slots is None.

        Args:
            pixels: uint8. Shape (M, H * W * 3).
            slots: int64. Shape (N,).
            offsets: int32. Shape (2, N).
        """
        if self._fused is None or (self._dtype == torch.uint8 and offsets is None):
            return finish(pixels if slots is None else pixels.index_select(0, slots), offsets, self._size, self._dtype)
        if slots is None:
            slots = torch.arange(len(pixels), device=pixels.device)
        if offsets is None:
            offsets = torch.zeros((2, len(slots)), dtype=torch.int32, device=pixels.device)
        return self._fused(pixels, slots, offsets[0], offsets[1], self._size, self._dtype)


def fused_kernel(device: torch.device) -> Fused | None:
    """The kernel for a GPU; None on other devices, and where Triton is missing."""
    if device.type != "cuda":
        return None
    try:
        from robot_rlhf.replay import kernels
    except ImportError:
        return None
    return kernels.take


def pinned(shape: tuple[int, int]) -> Tensor:
    """Page-locked memory of the host, of undefined content."""
    return torch.empty(shape, dtype=torch.uint8, pin_memory=True)


def finish(pixels: Tensor, offsets: Tensor | None, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """What the kernel does, in torch's operations; pixels (N, H * W * 3) were gathered before."""
    images = pixels.view(-1, *size, 3)
    if offsets is not None:
        images = shift(images, offsets[0], offsets[1])
    return normalise(images, dtype)


def _as_tensor(image: NDArray[Any] | Tensor) -> Tensor:
    """As (H * W * 3,); an array is copied, as torch refuses those that are read-only."""
    return (image if isinstance(image, Tensor) else torch.as_tensor(np.array(image))).reshape(-1)
