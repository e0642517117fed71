"""A file for HDF5 that never fails under it: the library crashes the process when a disk is full as it closes."""

from __future__ import annotations

import io
from pathlib import Path
from types import TracebackType
from typing import Any


class Hdf5Disk(io.RawIOBase):
    """The file's bytes; once a write has failed, what comes is kept in memory, and the failure told by `check`."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("w+b", buffering=0)
        self._failure: OSError | None = None
        self._place = 0
        self._kept: list[tuple[int, bytes]] = []
        """Where in the file, and what, since it has failed."""

    def check(self) -> None:
        """Raises OSError when a write has failed."""
        if self._failure is not None:
            raise self._failure

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        block = bytes(data)
        if self._failure is None:
            try:
                self._file.seek(self._place)
                rest = memoryview(block)
                while rest:
                    rest = rest[self._file.write(rest) :]
            except OSError as error:
                self._failure = error
        if self._failure is not None:
            self._kept.append((self._place, block))
        self._place += len(block)
        return len(block)

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        self._file.seek(self._place)
        found = self._file.read(len(view))
        view[:] = found.ljust(len(view), b"\0")
        for start, block in self._kept:
            low, high = max(start, self._place), min(start + len(block), self._place + len(view))
            if low < high:
                view[low - self._place : high - self._place] = block[low - start : high - start]
        self._place += len(view)
        return len(view)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size()}[whence]
        self._place = start + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def truncate(self, size: int | None = None, /) -> int:
        size = self._place if size is None else size
        if self._failure is None:
            try:
                self._file.truncate(size)
            except OSError as error:
                self._failure = error
        return size

    def close(self) -> None:
        self._file.close()
        super().close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _size(self) -> int:
        self._file.seek(0, io.SEEK_END)
        return max([self._file.tell(), *(start + len(block) for start, block in self._kept)])
