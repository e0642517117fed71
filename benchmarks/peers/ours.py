"""Ours: one update of the off-policy learner, sampling included; or one decision; or sampling alone.

python benchmarks/peers/ours.py {update,act,sample} STATE ACTION BATCH HIDDEN [CAMERAS SIZE] [--set NAME=VALUE ...]
"""

from __future__ import annotations

import argparse
import json

import torch
from serve import serve

import robot_rlhf
from benchmarks.rings import fill
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.policy.networks import Actor, NetworkConfig, Shapes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("update", "act", "sample"))
    parser.add_argument("numbers", type=int, nargs="+")
    parser.add_argument("--sac", type=json.loads, default={}, help="settings of SacConfig, as JSON")
    parser.add_argument("--network", type=json.loads, default={}, help="settings of NetworkConfig, as JSON")
    parser.add_argument(
        "--frozen", type=int, default=0, help="length of frozen features per camera, instead of pictures"
    )
    parser.add_argument("--shift", type=int, default=0, help="pixels by which sampled pictures are shifted")
    options = parser.parse_args()
    state, action, batch, hidden, *rest = options.numbers
    cameras, size = rest or (0, 0)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # as a training run does
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
    rows, size_of_state = 3_000 if not pictures else 600, state + sum(frozen.values())
    buffer = fill(rows, size_of_state, action, pictures, shift=options.shift)
    if options.what == "sample":
        serve(lambda: buffer.sample(batch), robot_rlhf.__version__)
        return
    learner = SacLearner(shapes, network, SacConfig(**options.sac), seed=0)
    serve(lambda: [learner.update(b) for b in buffer.sample_many(4, batch)], robot_rlhf.__version__, per_call=4)


if __name__ == "__main__":
    main()
