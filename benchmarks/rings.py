"""Full replay buffers for measurements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from robot_rlhf.datatypes import Source
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.pictures import PictureConfig

EPISODE = 100
DIFFERENT = 256
"""Observations that differ; the rest repeats them, so that a large ring is filled fast."""


def fill(
    rows: int,
    state: int,
    action: int,
    pictures: Mapping[str, tuple[int, int]],
    *,
    shift: int = 0,
    dtype: Literal["uint8", "float32", "bfloat16"] = "uint8",
    device: str = "cpu",
) -> ReplayBuffer:
    """A ring of this many rows with 100-step episodes, a tenth of them demonstrations."""
    buffer = ReplayBuffer(
        rows,
        state_size=state,
        action_size=action,
        cameras=pictures,
        discount=0.97,
        pictures=PictureConfig(dtype, shift),
        device=device,
    )
    rng = np.random.default_rng(0)
    images = {name: rng.integers(0, 256, (DIFFERENT, *hw, 3), dtype=np.uint8) for name, hw in pictures.items()}
    states = rng.normal(size=(DIFFERENT, state)).astype(np.float32)
    seen = [{"state": states[t], **{name: stack[t] for name, stack in images.items()}} for t in range(DIFFERENT)]
    actions = rng.uniform(-1, 1, (EPISODE, action)).astype(np.float32)
    for episode in range(rows // (EPISODE + 1) + 1):
        buffer.begin(seen[episode % DIFFERENT], demonstration=episode % 10 == 0)
        for t in range(EPISODE):
            following = seen[(7 * episode + t) % DIFFERENT]
            buffer.add(actions[t], 0.0, t == EPISODE - 1, False, Source.POLICY, following)
    return buffer
