"""Writing files so that a disk which takes no more is named, and leaves what was there before."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from robot_rlhf.errors import DiskFullError, RobotRlhfError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""No space, no quota left, or a file as long as it may become: trying again would meet the same."""


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is that of a disk which takes no more."""
    while error is not None:
        if isinstance(error, DiskFullError) or (isinstance(error, OSError) and error.errno in FULL):
            return True
        error = error.__cause__
    return False


@contextmanager
def writing(path: Path) -> Generator[None]:
    """Name the file in errors of the block: of one that is open the system does not say which it is.

    Raises:
        OSError: as in the block, with a file's name.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def saving_last() -> Generator[None]:
    """In a `finally`: where a full disk is the reason why all ends, that it does not take this either is no news."""
    reason = sys.exc_info()[1]
    try:
        yield
    except (RobotRlhfError, OSError) as error:
        if not (is_full(reason) and is_full(error)):
            raise


def replace_text(path: Path, text: str) -> None:
    """Write a text file; a reader sees the old one or the whole new one, also after a crash.

    Raises:
        OSError: it cannot be written; an older file of that name stays as it was.
    """
    scratch = path.with_name(path.name + ".part")
    with writing(path):
        try:
            with scratch.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(path)
        except OSError:
            scratch.unlink(missing_ok=True)
            raise
