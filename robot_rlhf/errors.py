"""The error tree: each message says what is wrong, where, and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager


class RobotRlhfError(Exception):
    """Any error this package raises on purpose; the command line prints it as one line."""


class ShapeError(RobotRlhfError, ValueError):
    """An array has another shape than its field allows."""

    def __init__(self, field: str, got: tuple[int, ...], expected: tuple[int | str, ...]) -> None:
        wanted = "(" + ", ".join(str(n) for n in expected) + ("," if len(expected) == 1 else "") + ")"
        super().__init__(f"{field}: shape is {got}, expected {wanted}")


class InvalidValueError(RobotRlhfError, ValueError):
    """A value is outside what its field allows (NaN, out of range, wrong type)."""

    def __init__(self, field: str, got: object, allowed: str) -> None:
        super().__init__(f"{field}: got {got}, allowed: {allowed}")


class UnknownNameError(RobotRlhfError, KeyError):
    """A name that is not one of the known ones; names the nearest known one."""

    def __init__(self, what: str, got: str, known: Iterable[str]) -> None:
        known = sorted(known)
        near = difflib.get_close_matches(got, known, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        self.message = f"unknown {what} {got!r}.{hint} Known: {', '.join(known)}"
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


class ConfigError(RobotRlhfError, ValueError):
    """Settings that cannot hold together, or that a run cannot honour."""


class RobotError(RobotRlhfError):
    """A robot cannot do what was asked (disconnected, faulted, refused a command)."""


class FaultLatchedError(RobotError):
    """The guard holds a latched fault: nothing moves until it is released explicitly."""


class StaleError(RobotRlhfError):
    """A command or an observation is older than its deadline."""


class JournalError(RobotRlhfError):
    """A journal cannot be written or read (full disk, foreign file, other schema version)."""


class CheckpointError(RobotRlhfError, RuntimeError):
    """A checkpoint is corrupt, incomplete, or belongs to another architecture."""


class NoWeightsError(RobotRlhfError):
    """A policy was asked to act, or to be measured, before it was given weights: it would move by chance."""


class ReplayError(RobotRlhfError):
    """The replay buffer was asked for what it does not hold."""


class RenderError(RobotRlhfError):
    """No picture can be rendered on this machine."""


class LinkError(RobotRlhfError):
    """The learner process, or the link to it, is gone."""


class DiskFullError(LinkError):
    """A process of the run has ended because the disk takes no more."""


class LabelerError(RobotRlhfError):
    """A labeler cannot answer: its endpoint is gone or refuses, a limit is reached, an answer cannot be replayed."""


@contextmanager
def in_our_words(said: Callable[[Exception], RobotRlhfError]) -> Generator[None]:
    """Call what others wrote: whatever it raises becomes an error of ours; one that is ours goes through as it is."""
    try:
        yield
    except RobotRlhfError:
        raise
    except Exception as error:  # what others wrote may raise anything: pickle, OpenGL, a user's own part
        raise said(error) from error
