"""How much memory a replay buffer takes, and how much is free where it is to live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from robot_rlhf.errors import ReplayError
from robot_rlhf.replay.ledger import HOST_ROW_BYTES, MEMBER_BYTES
from robot_rlhf.replay.pictures import PictureConfig
from robot_rlhf.replay.rows import FLOAT_BYTES, float_width

GIGABYTE = 1e9


class Bytes(NamedTuple):
    """Memory of one part of the buffer. Where the device is the CPU, all of it is the host's."""

    device: int
    host: int


@dataclass(frozen=True)
class MemoryPlan:
    """What a replay buffer, or a further block of one, will take, part by part, known before anything is allocated;
    str() is a table."""

    rows: int
    device: str
    pictures: Bytes
    """The ring's pictures, each once."""
    numbers: Bytes
    """State, action, reward and the other numbers of the rows."""
    bookkeeping: Bytes
    """Columns of the host, and the members of the two groups of the default mix."""
    staging: Bytes
    """Blocks through which pictures in pinned memory come to the device; 0 where they are there already."""

    @property
    def parts(self) -> dict[str, Bytes]:
        return {name: getattr(self, name) for name in ("pictures", "numbers", "bookkeeping", "staging")}

    @property
    def total(self) -> Bytes:
        """Sums over the parts."""
        return Bytes(sum(part.device for part in self.parts.values()), sum(part.host for part in self.parts.values()))

    def __str__(self) -> str:
        total = self.total
        places = [(self.device, 0), ("host", 1)] if total.device else [("host", 1)]
        lines = [
            f"replay buffer of {self.rows} rows, {sum(total) / self.rows / 1e3:.1f} kB each",
            f"{'GB':<12}" + "".join(f"{place:>10}" for place, _ in places),
        ]
        for name, part in {**self.parts, "total": total}.items():
            lines.append(f"{name:<12}" + "".join(f"{part[side] / GIGABYTE:>10.3f}" for _, side in places))
        return "\n".join(lines)


def plan_memory(
    rows: int,
    state_size: int,
    action_size: int,
    cameras: Mapping[str, tuple[int, int]],
    pictures: PictureConfig,
    device: str,
    batch_size: int = 256,
    context_size: int = 0,
    past: int = 0,
) -> MemoryPlan:
    """What a ring of these rows takes, as ReplayBuffer.plan says."""
    members = 2 * MEMBER_BYTES * rows
    on_host = torch.device(device).type == "cpu"
    return _plan(
        rows,
        rows * FLOAT_BYTES * float_width(state_size, action_size, context_size, past),
        Bytes(0 if on_host else members, rows * (HOST_ROW_BYTES + (8 if context_size else 0)) + members),
        cameras,
        pictures,
        device,
        batch_size,
    )


def plan_block(
    rows: int,
    state_size: int,
    cameras: Mapping[str, tuple[int, int]],
    pictures: PictureConfig,
    device: str,
    batch_size: int = 256,
) -> MemoryPlan:
    """What a further block of such a ring takes: what somebody else than the policy sees of each observation."""
    return _plan(rows, rows * FLOAT_BYTES * state_size, Bytes(0, rows), cameras, pictures, device, batch_size)


def _plan(
    rows: int,
    numbers: int,
    bookkeeping: Bytes,
    cameras: Mapping[str, tuple[int, int]],
    pictures: PictureConfig,
    device: str,
    batch_size: int,
) -> MemoryPlan:
    on_host = torch.device(device).type == "cpu"
    pinned = pictures.where == "pinned"
    frame = sum(3 * height * width for height, width in cameras.values())
    staged = 2 * batch_size * frame if pinned else 0  # observation and next observation

    def place(on_device: int, on_the_host: int = 0) -> Bytes:
        return Bytes(0, on_device + on_the_host) if on_host else Bytes(on_device, on_the_host)

    return MemoryPlan(
        rows=rows,
        device=device,
        pictures=Bytes(0, rows * frame) if pinned else place(rows * frame),
        numbers=place(numbers),
        bookkeeping=place(*bookkeeping),
        staging=place(staged, 2 * staged),
    )


def bytes_free(device: torch.device) -> int | None:
    """Bytes that can still be allocated on the device; None where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    limits = [free for free in (_machine_free(), _container_free()) if free is not None]
    return min(limits, default=None)


def check_fits(plan: MemoryPlan, advice: str) -> None:
    """Refuse a plan that does not fit, before anything is allocated.

    Raises:
        ReplayError: more is needed than free, on the device or the host; the message holds the numbers.
    """
    total = plan.total
    for where, needed, side in ((torch.device("cpu"), total.host, 1), (torch.device(plan.device), total.device, 0)):
        if not needed:
            continue
        free = bytes_free(where)
        if free is not None and needed > free:
            parts = ", ".join(f"{name} {part[side] / GIGABYTE:.2f}" for name, part in plan.parts.items())
            raise ReplayError(
                f"a replay buffer of {plan.rows} rows needs {needed / GIGABYTE:.2f} GB on {where}, "
                f"{free / GIGABYTE:.2f} GB are free ({parts}); {advice}"
            )


def _machine_free() -> int | None:
    table = Path("/proc/meminfo")
    if not table.exists():
        return None
    for line in table.read_text(encoding="utf-8").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _container_free() -> int | None:
    """What the control group of a container leaves, without the page cache that it can give back."""
    group = Path("/sys/fs/cgroup")
    limit, used, stat = group / "memory.max", group / "memory.current", group / "memory.stat"
    if not (limit.exists() and used.exists() and stat.exists()) or limit.read_text(encoding="utf-8").strip() == "max":
        return None
    cache = sum(
        int(line.split()[1])
        for line in stat.read_text(encoding="utf-8").splitlines()
        if line.startswith("inactive_file ")
    )
    return max(0, int(limit.read_text(encoding="utf-8")) - int(used.read_text(encoding="utf-8")) + cache)
