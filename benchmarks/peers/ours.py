"""Ours: one update of the off-policy learner, sampling included; or one decision; or sampling alone.

python benchmarks/peers/ours.py {update,act,sample} STATE ACTION BATCH HIDDEN [CAMERAS SIZE] [--set NAME=VALUE ...]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

import torch
from serve import serve

import robot_rlhf
from benchmarks.rings import fill
from robot_rlhf.learner.graphs import UpdateGraphs
from robot_rlhf.learner.precision import precision_on
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.policy.networks import Actor, NetworkConfig, Shapes
from robot_rlhf.replay.mixing import DEFAULT_MIX

AT_ONCE = 4
"""Updates between two looks at the clock."""


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
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--graph", action="store_true", help="each update is one CUDA graph, its sampling included")
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
            serve(lambda: actor({"state": torch.zeros(1, width), **seen}).continuous.mode(), robot_rlhf.__version__)
        return
    rows, size_of_state = 3_000 if not pictures else 600, state + sum(frozen.values())
    on_gpu = options.device == "cuda"
    sac = SacConfig(**options.sac)
    fused = on_gpu and bool(pictures)  # as a training run has it: shifted and normalised when drawn
    buffer = fill(
        rows,
        size_of_state,
        action,
        pictures,
        shift=sac.shift_pixels if fused else options.shift,
        dtype=precision_on(torch.device("cuda"), sac.precision) if fused else "uint8",
        device=options.device,
    )
    if options.what == "sample":
        serve(lambda: buffer.sample(batch), robot_rlhf.__version__)
        return
    if fused:
        sac = replace(sac, shift_pixels=0)
    learner = SacLearner(shapes, network, sac, seed=0, device=options.device)
    graphs = UpdateGraphs(learner, buffer, batch, DEFAULT_MIX) if options.graph else None

    def updates() -> None:
        if graphs is not None:
            for _ in range(AT_ONCE):
                graphs.update()
        else:
            for drawn in buffer.sample_many(AT_ONCE, batch):
                learner.update(drawn)
        if on_gpu:
            torch.cuda.synchronize()

    serve(updates, robot_rlhf.__version__, per_call=AT_ONCE)


if __name__ == "__main__":
    main()
