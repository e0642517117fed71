"""Checkpoints on disk: what a learner is, and the weights of a policy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from robot_rlhf.datatypes import WeightSnapshot
from robot_rlhf.errors import CheckpointError, InvalidValueError
from robot_rlhf.policy.tensor_file import read_checkpoint, write_checkpoint

__all__ = ["read_checkpoint", "read_snapshot", "write_checkpoint", "write_snapshot"]

ONLY_HEAD = "gaussian"
"""Of files that name none: there was no other when they were written."""


def write_snapshot(path: Path, snapshot: WeightSnapshot, facts: Mapping[str, object] | None = None) -> None:
    """Write policy weights with their version, checksum and head."""
    tensors = {name: torch.from_numpy(array.copy()) for name, array in snapshot.arrays.items()}
    own = {"version": snapshot.version, "checksum": snapshot.checksum, "head": snapshot.head}
    write_checkpoint(path, tensors, {**(facts or {}), **own})


def read_snapshot(path: Path) -> tuple[WeightSnapshot, dict[str, object]]:
    """The inverse of write_snapshot.

    Raises:
        CheckpointError: missing, corrupt, no policy weights, or not the weights of the checksum.
    """
    tensors, facts = read_checkpoint(path)
    version, checksum, head = facts.get("version"), facts.get("checksum"), facts.get("head", ONLY_HEAD)
    if not isinstance(version, int) or isinstance(version, bool) or version < 0:
        raise CheckpointError(f"{path}: holds no policy weights (facts {sorted(facts)})")
    if not isinstance(checksum, str) or not isinstance(head, str):
        raise CheckpointError(f"{path}: holds no policy weights (facts {sorted(facts)})")
    try:
        return WeightSnapshot(version, {k: v.numpy() for k, v in tensors.items()}, checksum, head), facts
    except (TypeError, InvalidValueError) as error:  # a type that NumPy lacks, or another checksum
        raise CheckpointError(f"{path}: {error}") from error
