"""Stable-Baselines3's SAC, or sbx's: one update, its own sampling included; or one decision, or sampling alone.

python benchmarks/peers/sb3.py {sb3,sbx} {update,act,sample} STATE ACTION BATCH HIDDEN [CAMERAS SIZE]
"""

from __future__ import annotations

import sys

import gymnasium as gym
import numpy as np
import stable_baselines3
import torch
from gymnasium import spaces
from serve import serve

ROWS = 3_000


class Numbers(gym.Env):
    """An environment of the right shapes, and nothing in it."""

    def __init__(self, state: int, action: int, cameras: int, size: int) -> None:
        vector = spaces.Box(-1, 1, (state,), np.float32)
        pictures = {f"camera{i}": spaces.Box(0, 255, (size, size, 3), np.uint8) for i in range(cameras)}
        self.observation_space = spaces.Dict({"state": vector, **pictures}) if cameras else vector
        self.action_space = spaces.Box(-1, 1, (action,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}


def main() -> None:
    package, what, *numbers = sys.argv[1:]
    state, action, batch, hidden, cameras, size = (*map(int, numbers), *([0, 0] if len(numbers) == 4 else []))
    torch.set_num_threads(1)
    env = Numbers(state, action, cameras, size)
    options = {"buffer_size": ROWS, "batch_size": batch, "learning_starts": 1, "seed": 0, "device": "cpu"}
    options["policy_kwargs"] = {"net_arch": [hidden, hidden]}
    kind = "MultiInputPolicy" if cameras else "MlpPolicy"
    if package == "sbx":
        import sbx

        model, version = sbx.SAC(kind, env, **options), sbx.__version__
    else:
        model, version = stable_baselines3.SAC(kind, env, **options), stable_baselines3.__version__
    model.learn(2, log_interval=None)
    buffer = model.replay_buffer
    rng = np.random.default_rng(0)
    for _ in range(ROWS if not cameras else 600):
        seen, following = env.observation_space.sample(), env.observation_space.sample()
        if isinstance(seen, dict):
            seen, following = ({k: v[None] for k, v in o.items()} for o in (seen, following))
            seen = {k: v.transpose(0, 3, 1, 2) if v.ndim == 4 else v for k, v in seen.items()}
            following = {k: v.transpose(0, 3, 1, 2) if v.ndim == 4 else v for k, v in following.items()}
        buffer.add(seen, following, rng.uniform(-1, 1, (1, action)), np.zeros(1), np.zeros(1), [{}])
    if what == "act":
        seen = env.observation_space.sample()
        serve(lambda: model.predict(seen, deterministic=True), version)
    elif what == "sample":
        serve(lambda: buffer.sample(batch), version)
    else:
        serve(lambda: model.train(1, batch), version)


if __name__ == "__main__":
    main()
