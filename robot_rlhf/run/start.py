"""The policy that a run begins with."""

from __future__ import annotations

from pathlib import Path

from robot_rlhf.errors import ConfigError

POLICIES = ("checkpoints/best_policy.safetensors", "checkpoints/policy.safetensors")
"""Of a run's folder, the better first."""


def policy_of(path: Path) -> Path:
    """A policy's file, or that of the best policy of a run.

    Raises:
        ConfigError: neither.
    """
    if path.is_file():
        return path
    found = next((path / name for name in POLICIES if (path / name).is_file()), None)
    if found is None:
        raise ConfigError(f"start {path}: no policy there; allowed: the file of a policy, or the folder of a run")
    return found
