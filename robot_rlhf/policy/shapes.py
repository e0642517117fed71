"""Whether tensors read from somewhere are those of an architecture."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from robot_rlhf.errors import CheckpointError

Sizes = Mapping[str, tuple[int, ...]]


def shapes_in(tensors: Mapping[str, Any]) -> Sizes:
    """Shape by name, of tensors or arrays."""
    return {name: tuple(value.shape) for name, value in tensors.items()}


def check_same_shapes(what: str, given: Sizes, own: Sizes, *, plural: bool = False) -> None:
    """Check that what is given belongs to this architecture.

    Args:
        what: is given; the subject of the message.
        plural: of its grammar.

    Raises:
        CheckpointError: naming the first tensor that is missing, unknown, or of another shape.
    """
    lacks, has = ("lack", "have") if plural else ("lacks", "has")
    for name in sorted(own.keys() | given.keys()):
        if name not in given:
            raise CheckpointError(f"{what} {lacks} {name!r} {own[name]}: made by another architecture")
        if name not in own:
            raise CheckpointError(f"{what} {has} {name!r} {given[name]}, which this architecture lacks")
        if given[name] != own[name]:
            raise CheckpointError(f"{what}: {name!r} has shape {given[name]}, this architecture needs {own[name]}")


@contextmanager
def weights_of(path: Path) -> Generator[None]:
    """Take in the weights of a file: where they are those of another architecture, the CheckpointError names it."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(
            f"{path}: {error}; allowed: a policy that was trained with the same robot, features (features.context too) "
            "and network"
        ) from error
