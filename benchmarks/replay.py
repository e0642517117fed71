"""How fast batches are drawn from replay: ours, Stable-Baselines3's DictReplayBuffer, and a bare copy of the bytes.

    OMP_NUM_THREADS=1 python -m benchmarks.replay
    python -m benchmarks.replay --device cuda

Contestants take turns within each round, on one thread; the figure is the median of the rounds' medians, the spread
their smallest and largest. The copy moves what a batch of uint8 pictures holds and nothing else: a ceiling, not a
contestant. Share: bytes that a contestant must at least read and write, per second, against those of a copy of its
size. On a GPU calls are timed in tens, batches from 256 to 4096, and draws held in a CUDA graph are measured, too.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import stable_baselines3
import torch
from gymnasium import spaces
from rich.console import Console
from rich.table import Table
from stable_baselines3.common.buffers import DictReplayBuffer

from robot_rlhf.datatypes import Source
from robot_rlhf.replay.augment import PAD, augment
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.pictures import DTYPES, PictureConfig
from robot_rlhf.replay.static import StaticSampler

STATE, ACTION, EPISODE = 40, 7, 100
CAMERAS = {"front": (128, 128), "wrist": (128, 128)}
STORED = PictureConfig()
BATCHES_ON_GPU = (256, 512, 1024, 2048, 4096)
AT_ONCE = 10
"""Calls between two waits for a GPU."""
Observation = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Contestant:
    """Something that makes batches, or moves as many bytes."""

    work: Callable[[], object]
    moved: int
    """Bytes read and written per batch."""
    batches: int = 1
    """Made by one call."""


def observe(rng: np.random.Generator, cameras: dict[str, tuple[int, int]]) -> Observation:
    images = {name: rng.integers(0, 256, (*size, 3), dtype=np.uint8) for name, size in cameras.items()}
    return {"state": rng.normal(size=STATE).astype(np.float32), **images}


def fill_ours(
    rows: int, cameras: dict[str, tuple[int, int]], device: str, n_step: int = 1, pictures: PictureConfig = STORED
) -> ReplayBuffer:
    """Full ring of 100-step episodes: a tenth demonstrations, a person drives 10 % of the rest."""
    buffer = ReplayBuffer(
        rows,
        state_size=STATE,
        action_size=ACTION,
        cameras=cameras,
        discount=0.97,
        n_step=n_step,
        device=device,
        pictures=pictures,
    )
    rng = np.random.default_rng(0)
    seen = [observe(rng, cameras) for _ in range(EPISODE)]
    for episode in range(rows // EPISODE + 1):
        buffer.begin(seen[-1], demonstration=episode % 10 == 0)
        for t in range(EPISODE):
            source = Source.HUMAN if t < 10 else Source.POLICY
            action = rng.uniform(-1, 1, ACTION).astype(np.float32)
            buffer.add(action, 0.0, t == EPISODE - 1, False, source, seen[t])
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


def bytes_moved(batch: int, cameras: dict[str, tuple[int, int]], dtype: str = "uint8") -> int:
    """What a batch must read from the ring and write, at least."""
    pictures = 2 * batch * sum(3 * height * width for height, width in cameras.values())
    numbers = batch * (2 * 4 * STATE + 4 * (ACTION + 2))
    return pictures * (1 + DTYPES[dtype].itemsize) + 2 * numbers


def bare_copy(moved: int, device: str) -> Contestant:
    """A copy that reads and writes this many bytes in all."""
    source = torch.ones(moved // 2, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return Contestant(lambda: target.copy_(source), moved)


def captured(sampler: StaticSampler) -> Callable[[], None]:
    """A CUDA graph of one draw."""
    sampler.sync()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        sampler.draw()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(sampler.generator)
    with torch.cuda.graph(graph):
        sampler.draw()
    return graph.replay


def measure(contestant: Contestant, seconds: float, device: str) -> float:
    """Median milliseconds per batch."""
    calls = AT_ONCE if device == "cuda" else 1
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        for _ in range(calls):
            contestant.work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - start) / calls / contestant.batches)
    return statistics.median(times)


def race(field: dict[str, Contestant], rounds: int, seconds: float, device: str) -> dict[str, list[float]]:
    """Milliseconds per batch, round by round."""
    figures: dict[str, list[float]] = {name: [] for name in field}
    for contestant in field.values():
        contestant.work()
    for _ in range(rounds):
        for name, contestant in field.items():
            figures[name].append(measure(contestant, seconds, device))
    return figures


def contestants(cameras: dict[str, tuple[int, int]], rows: int, batch: int, device: str) -> dict[str, Contestant]:
    plain = bytes_moved(batch, cameras)
    ours, three = fill_ours(rows, cameras, device), fill_ours(rows, cameras, device, 3)
    peer = fill_peer(rows, cameras, device)
    field = {
        "copy of the same bytes": bare_copy(plain, device),
        "ours": Contestant(lambda: ours.sample(batch), plain),
        "ours, 3-step": Contestant(lambda: three.sample(batch), plain),
        "stable-baselines3": Contestant(lambda: peer.sample(batch), plain),
    }
    if not cameras:
        field["ours, 4 batches at once, per batch"] = Contestant(lambda: ours.sample_many(4, batch), plain, 4)
        field["ours, drawn by weight"] = Contestant(lambda: ours.sample(batch, draw="weight"), plain)
        return field
    field |= fused(cameras, rows, batch, device)
    generator = torch.Generator(device).manual_seed(0)
    field["ours, shifted afterwards"] = Contestant(lambda: augment(ours.sample(batch), generator), plain)
    return field


def fused(cameras: dict[str, tuple[int, int]], rows: int, batch: int, device: str) -> dict[str, Contestant]:
    """Pictures shifted and normalised while they are gathered."""
    field: dict[str, Contestant] = {}
    configs = (PictureConfig(shift=PAD), PictureConfig("float32", PAD), PictureConfig("bfloat16", PAD))
    for config in configs:
        buffer = fill_ours(rows, cameras, device, pictures=config)
        name = f"ours, shifted {config.dtype}"
        moved = bytes_moved(batch, cameras, config.dtype)
        field[name] = Contestant(partial(buffer.sample, batch), moved)
        if device == "cuda":
            field[f"{name}, CUDA graph"] = Contestant(captured(buffer.static_sampler(batch)), moved)
    return field


def report(title: str, field: dict[str, Contestant], figures: dict[str, list[float]], batch: int) -> Table:
    table = Table("", "ms per batch", "smallest to largest", "transitions/s", "share of the copy", title=title)
    ceiling = bandwidth(field, figures, "copy of the same bytes")
    for name, times in figures.items():
        middle = statistics.median(times)
        spread = f"{min(times):.3f} to {max(times):.3f}"
        share = f"{bandwidth(field, figures, name) / ceiling:.0%}"
        table.add_row(name, f"{middle:.3f}", spread, f"{1e3 * batch / middle:,.0f}", share)
    return table


def bandwidth(field: dict[str, Contestant], figures: dict[str, list[float]], name: str) -> float:
    """Bytes per millisecond."""
    return field[name].moved / statistics.median(figures[name])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="per contestant and round")
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=256, help="for pictures on a GPU several are measured")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    where = torch.cuda.get_device_name() if options.device == "cuda" else f"{platform.machine()}, 1 thread"
    console = Console(width=110)
    console.print(
        f"{options.rows} rows, state {STATE}, action {ACTION}, {where}; "
        f"torch {torch.__version__}, stable-baselines3 {stable_baselines3.__version__}, numpy {np.__version__}"
    )
    gpu = options.device == "cuda"
    for title, cameras in (("two cameras 128 x 128", CAMERAS), ("state only", {})):
        for batch in BATCHES_ON_GPU if gpu and cameras else (options.batch,):
            field = contestants(cameras, options.rows, batch, options.device)
            figures = race(field, options.rounds, options.seconds, options.device)
            console.print(report(f"{title}, batch {batch}", field, figures, batch))
    console.print(str(ReplayBuffer.plan(100_000, state_size=STATE, action_size=ACTION, cameras=CAMERAS)))


if __name__ == "__main__":
    main()
