"""The policy that a run begins with."""

from __future__ import annotations

from pathlib import Path

from robot_rlhf.errors import ConfigError

BEST, NEWEST = Path("checkpoints/best_policy.safetensors"), Path("checkpoints/policy.safetensors")
"""In a run's folder."""


def chosen_policy(run: Path) -> Path | None:
    """The policy to measure and to deploy: the best one, else the newest; None while nothing was learned."""
    return next((run / name for name in (BEST, NEWEST) if (run / name).exists()), None)


def policy_of(path: Path) -> Path:
    """A policy's file, or that of the best policy of a run.

    Raises:
        ConfigError: neither.
    """
    if path.is_file():
        return path
    found = chosen_policy(path)
    if found is None:
        raise ConfigError(f"start {path}: no policy there; allowed: the file of a policy, or the folder of a run")
    return found
