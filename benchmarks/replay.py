"""How fast batches are drawn from replay: ours, Stable-Baselines3's DictReplayBuffer, and a bare copy of the bytes.

    OMP_NUM_THREADS=1 python -m benchmarks.replay

Contestants take turns within each round, on one thread; the figure is the median of the rounds' medians, the spread
their smallest and largest. The copy moves what a batch holds and nothing else: a ceiling, not a contestant.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import stable_baselines3
import torch
from gymnasium import spaces
from rich.console import Console
from rich.table import Table
from stable_baselines3.common.buffers import DictReplayBuffer

from robot_rlhf.datatypes import Source
from robot_rlhf.replay.augment import augment
from robot_rlhf.replay.buffer import ReplayBuffer

STATE, ACTION, EPISODE = 40, 7, 100
CAMERAS = {"front": (128, 128), "wrist": (128, 128)}
Observation = dict[str, np.ndarray[Any, Any]]


def observe(rng: np.random.Generator, cameras: dict[str, tuple[int, int]]) -> Observation:
    images = {name: rng.integers(0, 256, (*size, 3), dtype=np.uint8) for name, size in cameras.items()}
    return {"state": rng.normal(size=STATE).astype(np.float32), **images}


def fill_ours(rows: int, cameras: dict[str, tuple[int, int]], n_step: int, device: str) -> ReplayBuffer:
    """Full ring of 100-step episodes: a tenth demonstrations, a person drives 10 % of the rest."""
    buffer = ReplayBuffer(
        rows, state_size=STATE, action_size=ACTION, cameras=cameras, discount=0.97, n_step=n_step, device=device
    )
    rng = np.random.default_rng(0)
    for episode in range(rows // EPISODE + 1):
        buffer.begin(observe(rng, cameras), demonstration=episode % 10 == 0)
        for t in range(EPISODE):
            source = Source.HUMAN if t < 10 else Source.POLICY
            action = rng.uniform(-1, 1, ACTION).astype(np.float32)
            buffer.add(action, 0.0, t == EPISODE - 1, False, source, observe(rng, cameras))
    return buffer


def fill_peer(rows: int, cameras: dict[str, tuple[int, int]], device: str) -> DictReplayBuffer:
    entries: dict[str, spaces.Space[Any]] = {"state": spaces.Box(-np.inf, np.inf, (STATE,), np.float32)}
    for name, size in cameras.items():
        entries[name] = spaces.Box(0, 255, (*size, 3), np.uint8)
    buffer = DictReplayBuffer(rows, spaces.Dict(entries), spaces.Box(-1, 1, (ACTION,), np.float32), device=device)
    rng = np.random.default_rng(0)
    seen = observe(rng, cameras)
    for t in range(rows):
        following = observe(rng, cameras)
        action, reward, done = rng.uniform(-1, 1, (1, ACTION)), np.zeros(1), np.array([t % EPISODE == EPISODE - 1])
        buffer.add(
            {k: v[None] for k, v in seen.items()},
            {k: v[None] for k, v in following.items()},
            action,
            reward,
            done,
            [{}],
        )
        seen = following
    return buffer


def bare_copy(batch_size: int, cameras: dict[str, tuple[int, int]], device: str) -> Callable[[], object]:
    size = batch_size * (2 * (4 * STATE + sum(3 * h * w for h, w in cameras.values())) + 4 * (ACTION + 2))
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return lambda: target.copy_(source)


def measure(work: Callable[[], object], seconds: float, device: str) -> float:
    """Median milliseconds of one call."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def contestants(cameras: dict[str, tuple[int, int]], rows: int, batch: int, device: str) -> dict[str, Any]:
    ours, three = fill_ours(rows, cameras, 1, device), fill_ours(rows, cameras, 3, device)
    peer = fill_peer(rows, cameras, device)
    generator = torch.Generator(device).manual_seed(0)
    work: dict[str, Callable[[], object]] = {
        "copy of the same bytes": bare_copy(batch, cameras, device),
        "ours": lambda: ours.sample(batch),
        "ours, 3-step": lambda: three.sample(batch),
        "stable-baselines3": lambda: peer.sample(batch),
    }
    if cameras:
        work["ours with random shift"] = lambda: augment(ours.sample(batch), generator)
    else:
        work["ours, 4 batches at once, per batch"] = lambda: ours.sample_many(4, batch)
    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="per contestant and round")
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    where = torch.cuda.get_device_name() if options.device == "cuda" else f"{platform.machine()}, 1 thread"
    console = Console(width=110)
    console.print(
        f"batch {options.batch}, {options.rows} rows, state {STATE}, action {ACTION}, {where}; "
        f"torch {torch.__version__}, stable-baselines3 {stable_baselines3.__version__}, numpy {np.__version__}"
    )
    for title, cameras in (("two cameras 128 x 128", CAMERAS), ("state only", {})):
        work = contestants(cameras, options.rows, options.batch, options.device)
        figures: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(options.rounds):
            for name, call in work.items():
                parts = 4 if "4 batches" in name else 1
                figures[name].append(measure(call, options.seconds, options.device) / parts)
        table = Table("", "ms per batch", "smallest to largest", "transitions/s", title=title)
        for name, times in figures.items():
            middle = statistics.median(times)
            spread = f"{min(times):.3f} to {max(times):.3f}"
            table.add_row(name, f"{middle:.3f}", spread, f"{1e3 * options.batch / middle:,.0f}")
        console.print(table)
    needed = ReplayBuffer.bytes_needed(100_000, state_size=STATE, action_size=ACTION, cameras=CAMERAS)
    console.print(f"memory of 100,000 rows with two cameras: {needed / 1e9:.2f} GB ({needed / 1e5 / 1e3:.1f} kB each)")


if __name__ == "__main__":
    main()
