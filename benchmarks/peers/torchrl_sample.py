"""torchrl's replay buffer: a batch of pictures, kept as uint8 in a tensor storage.

python benchmarks/peers/torchrl_sample.py STATE ACTION BATCH CAMERAS SIZE
"""

from __future__ import annotations

import sys

import torch
import torchrl
from serve import serve
from tensordict import TensorDict
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer

ROWS = 600


def main() -> None:
    state, action, batch, cameras, size = map(int, sys.argv[1:])
    torch.set_num_threads(1)

    def observe() -> dict[str, torch.Tensor]:
        pictures = {
            f"camera{i}": torch.randint(0, 256, (ROWS, size, size, 3), dtype=torch.uint8) for i in range(cameras)
        }
        return {"state": torch.randn(ROWS, state), **pictures}

    numbers = {
        "action": torch.rand(ROWS, action),
        ("next", "reward"): torch.zeros(ROWS, 1),
        ("next", "done"): torch.zeros(ROWS, 1, dtype=torch.bool),
    }
    rows = TensorDict({**numbers, "observation": observe(), ("next", "observation"): observe()}, batch_size=[ROWS])
    buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(ROWS), batch_size=batch)
    buffer.extend(rows)
    serve(buffer.sample, torchrl.__version__)


if __name__ == "__main__":
    main()
