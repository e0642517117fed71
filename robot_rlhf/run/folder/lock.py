"""A kernel lock on a part of a run's folder: it ends with the process that holds it, however that ends."""

from __future__ import annotations

import fcntl
import logging
import math
import os
import shlex
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from robot_rlhf.disk import writing
from robot_rlhf.errors import ConfigError

log = logging.getLogger(__name__)

LOOK_EVERY = 0.05
SAID_AFTER = 2.0
"""Seconds of waiting after which it is said for whom."""


@contextmanager
def locked(path: Path, what: str, *, patience: float = 0.0) -> Generator[None]:
    """Hold a file's lock within the block.

    Args:
        path: the lock's file; made where there is none, and left behind.
        what: is locked, for the message.
        patience: seconds to wait for another process that is ending; a longer wait is said once.

    Raises:
        ConfigError: another process, which is named, holds it; or the file system knows no locks.
        OSError: the disk does not take who holds it.
    """
    began = time.monotonic()
    say_after = SAID_AFTER
    try:
        path.parent.mkdir(exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be made ({error.strerror})") from error
    with file:
        while not _taken(file.fileno(), path):
            waited = time.monotonic() - began
            if waited >= min(patience, say_after):
                file.seek(0)
                holder = file.read().strip() or "another process"
                if waited >= patience:
                    raise ConfigError(f"{what}: in use by {holder}; allowed: one process at a time")
                log.warning("%s: waiting, up to %.0f s, for the end of %s", what, patience, holder)
                say_after = math.inf
            time.sleep(LOOK_EVERY)
        holder = f"process {os.getpid()} ({shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])})\n"
        with writing(path):
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), holder.encode())
        yield


def _taken(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise ConfigError(f"{path}: cannot be locked on this file system ({error.strerror})") from error
    return True
