"""How many bytes are free where a replay buffer is to live."""

from __future__ import annotations

from pathlib import Path

import torch

from robot_rlhf.errors import ReplayError

GIGABYTE = 1e9


def bytes_free(device: torch.device) -> int | None:
    """Bytes that can still be allocated on the device; None where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    limits = [free for free in (_machine_free(), _container_free()) if free is not None]
    return min(limits, default=None)


def check_fits(what: str, needed: int, free: int | None, device: torch.device, advice: str) -> None:
    """Refuse a plan that does not fit, before anything is allocated.

    Raises:
        ReplayError: more is needed than free; the message holds both numbers.
    """
    if free is not None and needed > free:
        raise ReplayError(
            f"{what} needs {needed / GIGABYTE:.2f} GB on {device}, {free / GIGABYTE:.2f} GB are free; {advice}"
        )


def _machine_free() -> int | None:
    table = Path("/proc/meminfo")
    if not table.exists():
        return None
    for line in table.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _container_free() -> int | None:
    """What the control group of a container leaves, without the page cache that it can give back."""
    group = Path("/sys/fs/cgroup")
    limit, used, stat = group / "memory.max", group / "memory.current", group / "memory.stat"
    if not (limit.exists() and used.exists() and stat.exists()) or limit.read_text().strip() == "max":
        return None
    cache = sum(int(line.split()[1]) for line in stat.read_text().splitlines() if line.startswith("inactive_file "))
    return max(0, int(limit.read_text()) - int(used.read_text()) + cache)
