"""Tensors on disk: one safetensors file, written beside and renamed, with a checksum; no pickle."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from robot_rlhf.errors import CheckpointError

FORMAT = "robot_rlhf checkpoint 1"


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, object]) -> None:
    """Write tensors and JSON-able facts; a reader sees the old file or the whole new one, never half of it.

    Raises:
        CheckpointError: the disk is full or the folder read-only; an older file of that name stays as it was.
    """
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata = {"format": FORMAT, "facts": json.dumps(dict(facts), sort_keys=True), "digest": _digest(plain)}
    scratch = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch.open("wb") as file:
            file.write(save(plain, metadata))
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise CheckpointError(f"{path}: cannot be written ({error.strerror})") from error


def read_checkpoint(path: Path, device: str = "cpu") -> tuple[dict[str, Tensor], dict[str, object]]:
    """The inverse of write_checkpoint.

    Raises:
        CheckpointError: missing, truncated, altered, not a checkpoint of this format, or with numbers that are not
            finite.
    """
    try:
        # One read: safe_open opens the file twice, and a writer may have replaced it in between.
        data = path.read_bytes()
        tensors = {name: tensor.to(device) for name, tensor in load(data).items()}
        metadata = _metadata(data)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such checkpoint") from error
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: corrupt or not a checkpoint ({error})") from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path}: format is {metadata.get('format')!r}, this program reads {FORMAT!r}")
    if metadata.get("digest") != _digest(tensors):
        raise CheckpointError(f"{path}: contents do not match their checksum; the file was altered or cut")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{path}: {name!r} holds NaN or infinity; allowed: finite numbers")
    return tensors, _facts(path, metadata)


def _facts(path: Path, metadata: Mapping[str, str]) -> dict[str, object]:
    try:
        facts = json.loads(metadata["facts"])
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path}: does not say what it holds (facts: {error!r})") from error
    if not isinstance(facts, dict):
        raise CheckpointError(f"{path}: facts are {type(facts).__name__}, allowed: facts by name")
    return facts


def _metadata(data: bytes) -> dict[str, str]:
    """What a safetensors file, found whole, says of itself: 8 bytes of length, then a JSON header."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return header.get("__metadata__", {})


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
