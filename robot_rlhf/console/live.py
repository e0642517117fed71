"""The present in shared memory: the robot's loop writes without ever waiting, the console reads the newest."""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.console.wire import Present, decode_present, encode_situation
from robot_rlhf.datatypes import Situation
from robot_rlhf.errors import LinkError

TEXT_SIZE = 32 * 1024
_COUNT = struct.Struct("<Q")
_SLOT = struct.Struct("<II")  # length of the text, 1 where pictures follow
_SLOTS = 3
"""A reader may take two periods to copy before what it copies is written over."""
_TRIES = 8


class LiveBlock:
    """A few slots in an unnamed file that two processes map; the newest whole one is what a reader gets.

    One writer, any number of readers. Each slot holds a Situation as JSON and one RGB picture per camera. The file
    has no name, so nothing is left behind whichever process dies first.
    """

    def __init__(self, cameras: Mapping[str, tuple[int, int]], descriptor: int | None = None) -> None:
        """Make a block, or map the one of another process.

        Args:
            cameras: name to (height, width), the same on both sides.
            descriptor: of the block that another process made; None makes a new one.

        Raises:
            LinkError: the descriptor is of a block of another size.
        """
        self.cameras = dict(cameras)
        self._places: dict[str, tuple[int, tuple[int, int, int]]] = {}
        offset = _SLOT.size + TEXT_SIZE
        for name, (height, width) in self.cameras.items():
            self._places[name] = (offset, (height, width, 3))
            offset += height * width * 3
        self._slot_size = offset
        size = _COUNT.size + _SLOTS * offset
        if descriptor is None:
            with tempfile.TemporaryFile() as file:
                file.truncate(size)
                self.descriptor = os.dup(file.fileno())
        else:
            self.descriptor = descriptor
            if os.fstat(descriptor).st_size != size:
                raise LinkError(f"live block: {os.fstat(descriptor).st_size} bytes, expected {size} for {self.cameras}")
        self._memory = mmap.mmap(self.descriptor, size)
        self._count = 0

    @property
    def count(self) -> int:
        """Situations written so far."""
        return int(_COUNT.unpack_from(self._memory, 0)[0])

    def write(self, situation: Situation) -> None:
        """Make this the newest; takes some 50 us per 256 x 256 picture.

        Raises:
            LinkError: the text is too long.
        """
        text = encode_situation(situation)
        if len(text) > TEXT_SIZE:
            raise LinkError(f"live block: {len(text)} bytes of text, allowed {TEXT_SIZE}")
        base = self._base(self._count)
        images = situation.observation.images if situation.observation is not None else {}
        pictured = all(
            name in images and images[name].shape == shape for name, (_, shape) in self._places.items()
        ) and bool(self._places)
        self._memory[base + _SLOT.size : base + _SLOT.size + len(text)] = text
        if pictured:
            for name in self._places:
                self._view(base, name)[:] = images[name]
        _SLOT.pack_into(self._memory, base, len(text), pictured)
        self._count += 1
        _COUNT.pack_into(self._memory, 0, self._count)

    def read(self, *, pictures: bool = True) -> tuple[int, Present, dict[str, NDArray[np.uint8]]] | None:
        """The newest: its number, the situation, and its pictures by camera; None before the first.

        Args:
            pictures: False leaves them out; they are also left out while the robot sends none.

        Raises:
            LinkError: the writer was faster than this reader again and again.
        """
        for _ in range(_TRIES):
            count = self.count
            if not count:
                return None
            base = self._base(count - 1)
            length, pictured = _SLOT.unpack_from(self._memory, base)
            text = bytes(self._memory[base + _SLOT.size : base + _SLOT.size + length])
            images = {name: self._view(base, name).copy() for name in self._places} if pictured and pictures else {}
            if self.count - count < _SLOTS - 1:
                return count, decode_present(text), images
        raise LinkError("live block: written over while it was read, again and again")

    def close(self) -> None:
        """Unmap. Idempotent."""
        if not self._memory.closed:
            self._memory.close()
            os.close(self.descriptor)

    def _base(self, number: int) -> int:
        return _COUNT.size + (number % _SLOTS) * self._slot_size

    def _view(self, base: int, camera: str) -> NDArray[np.uint8]:
        offset, shape = self._places[camera]
        return np.frombuffer(self._memory, np.uint8, shape[0] * shape[1] * 3, base + offset).reshape(shape)
