"""Stock Stable-Baselines3 SAC on pictures, with its own replay buffer or with ours.

python benchmarks/peers/sb3_pictures.py {theirs,ours} {sample,update} BATCH SIZE ROWS

Prints, with its version, the bytes the buffer's arrays take.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import stable_baselines3
import torch
from gymnasium import spaces
from serve import serve

from robot_rlhf.bridges.buffer import DeviceReplayBuffer


class Pictures(gym.Env):
    """One camera, and a vector."""

    def __init__(self, size: int) -> None:
        self.observation_space = spaces.Dict(
            {"camera": spaces.Box(0, 255, (size, size, 3), np.uint8), "state": spaces.Box(-1, 1, (18,), np.float32)}
        )
        self.action_space = spaces.Box(-1, 1, (4,), np.float32)
        self.steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        self.steps += 1
        return self.observation_space.sample(), 0.0, self.steps == 100, False, {}


def resident() -> int:
    """Bytes of memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def main() -> None:
    whose, what = sys.argv[1:3]
    batch, size, rows = map(int, sys.argv[3:6])
    torch.set_num_threads(1)
    options = {"replay_buffer_class": DeviceReplayBuffer} if whose == "ours" else {}
    env = Pictures(size)
    model = stable_baselines3.SAC(
        "MultiInputPolicy", env, buffer_size=rows, batch_size=batch, learning_starts=10**9, device="cpu", **options
    )
    gc.collect()
    before = resident()
    model.learn(rows, log_interval=None)
    held = resident() - before
    buffer = model.replay_buffer
    work = (lambda: buffer.sample(batch)) if what == "sample" else (lambda: model.train(1, batch))
    serve(work, f"{stable_baselines3.__version__}, {held / 1e6:.0f} MB grown")


if __name__ == "__main__":
    main()
