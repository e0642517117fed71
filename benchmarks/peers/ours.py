"""Ours: one update of the off-policy learner, sampling included; or one decision.

python benchmarks/peers/ours.py {update,act} STATE ACTION BATCH HIDDEN [CAMERAS SIZE] [--set NAME=VALUE ...]
"""

from __future__ import annotations

import argparse
import json

import numpy as np
import torch
from serve import serve

import robot_rlhf
from robot_rlhf.datatypes import Source
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.policy.networks import Actor, NetworkConfig, Shapes
from robot_rlhf.replay.buffer import ReplayBuffer

EPISODE = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("update", "act"))
    parser.add_argument("numbers", type=int, nargs="+")
    parser.add_argument("--sac", type=json.loads, default={}, help="settings of SacConfig, as JSON")
    parser.add_argument("--network", type=json.loads, default={}, help="settings of NetworkConfig, as JSON")
    parser.add_argument(
        "--frozen", type=int, default=0, help="length of frozen features per camera, instead of pictures"
    )
    options = parser.parse_args()
    state, action, batch, hidden, *rest = options.numbers
    cameras, size = rest or (0, 0)
    torch.set_num_threads(1)
    names = [f"camera{i}" for i in range(cameras)]
    pictures = {} if options.frozen else dict.fromkeys(names, (size, size))
    frozen = dict.fromkeys(names, options.frozen) if options.frozen else {}
    shapes = Shapes(state, action, None, pictures, frozen)
    network = NetworkConfig(hidden=(hidden, hidden), **options.network)
    if options.what == "act":
        actor = Actor(shapes, network, torch.Generator().manual_seed(0)).requires_grad_(False)
        width = state + sum(frozen.values())
        seen = {name: torch.zeros(1, *hw, 3, dtype=torch.uint8) for name, hw in pictures.items()}
        with torch.inference_mode():
            serve(lambda: torch.tanh(actor({"state": torch.zeros(1, width), **seen}).mean), robot_rlhf.__version__)
        return
    learner = SacLearner(shapes, network, SacConfig(**options.sac), seed=0)
    buffer = fill(3_000 if not pictures else 600, state + sum(frozen.values()), action, pictures)
    serve(lambda: [learner.update(b) for b in buffer.sample_many(4, batch)], robot_rlhf.__version__, per_call=4)


def fill(rows: int, state: int, action: int, pictures: dict[str, tuple[int, int]]) -> ReplayBuffer:
    """A full ring of 100-step episodes, a tenth of them demonstrations."""
    buffer = ReplayBuffer(rows, state_size=state, action_size=action, cameras=pictures, discount=0.97)
    rng = np.random.default_rng(0)

    def observe() -> dict[str, np.ndarray]:
        images = {name: rng.integers(0, 256, (*hw, 3), dtype=np.uint8) for name, hw in pictures.items()}
        return {"state": rng.normal(size=state).astype(np.float32), **images}

    for episode in range(rows // EPISODE + 1):
        buffer.begin(observe(), demonstration=episode % 10 == 0)
        for t in range(EPISODE):
            values = rng.uniform(-1, 1, action).astype(np.float32)
            buffer.add(values, 0.0, t == EPISODE - 1, False, Source.POLICY, observe())
    return buffer


if __name__ == "__main__":
    main()
