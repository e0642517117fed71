"""What no implementation may touch: numpy's global generator."""

from __future__ import annotations

import numpy as np


def global_generator() -> bytes:
    """State of numpy's global generator, which nothing here may use."""
    state = np.random.get_state(legacy=False)["state"]  # noqa: NPY002  reading it is the point
    return state["key"].tobytes() + bytes(str(state["pos"]), "ascii")
