"""What is written beside its place, and put there in one piece once it is whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from robot_rlhf.errors import JournalError


@contextmanager
def placed(
    target: str | os.PathLike[str],
    doing: Literal["exporting", "importing", "salvaging"],
    *,
    folder: bool,
    empty: bool = False,
) -> Generator[Path]:
    """A new file or folder to fill; it takes the target's name when the block ends, and vanishes when the block raises.

    That it can be put there is found out before the block begins. A target that is a link is what it points to.

    Args:
        target: where it shall be; folders above it are made.
        doing: in the name of what is not whole yet, `.NAME.exporting`.
        folder: make a folder, else a file.
        empty: the target may be there already as an empty folder.

    Raises:
        JournalError: the target is there, is the current folder or a mounted one, or cannot be written.
    """
    goal = Path(os.path.realpath(target))
    _check_free(goal, Path(target), doing, empty=empty and folder)
    temporary = goal.parent / f".{goal.name}.{doing}"
    try:
        goal.parent.mkdir(parents=True, exist_ok=True)
        _remove(temporary)  # what one that was killed has left
        if folder:
            temporary.mkdir()
        else:
            temporary.touch(exist_ok=False)
        yield temporary
        os.replace(temporary, goal)
    except OSError as error:
        words = error.strerror or str(error)
        raise JournalError(f"{target}: cannot write the {_NOUN[doing]}: {words}") from error
    finally:
        _remove(temporary)


_NOUN = {"exporting": "export", "importing": "journal", "salvaging": "journal"}


def _check_free(goal: Path, told: Path, doing: str, *, empty: bool) -> None:
    if not os.path.lexists(goal):
        return
    noun = {"exporting": "an export", "importing": "an import", "salvaging": "a salvage"}[doing]
    if not empty or not goal.is_dir() or any(goal.iterdir()):
        raise JournalError(f"{told}: exists already; {noun} writes only to a new place")
    if os.path.samefile(goal, os.curdir) or os.path.ismount(goal):
        what = "a mounted folder" if os.path.ismount(goal) else "the current folder"
        raise JournalError(f"{told}: is {what}, which cannot be replaced; allowed: a new name in it, {told}/NAME")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
