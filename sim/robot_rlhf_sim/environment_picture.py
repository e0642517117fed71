"""Pictures of a Gymnasium environment that renders as arrays, at any size."""

from __future__ import annotations

from typing import Any

import cv2
import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.errors import RenderError, in_our_words


def can_render(env: gym.Env[Any, Any]) -> bool:
    """Whether it was made to give pictures; that what it draws with is installed is another matter."""
    return env.render_mode == "rgb_array"


def picture_of(env: gym.Env[Any, Any], height: int, width: int) -> NDArray[np.uint8]:
    """What the environment draws now, whole, with black beside it where it has another shape.

    Returns:
        RGB. Shape (height, width, 3).

    Raises:
        RenderError: it cannot be drawn on this machine, or what is drawn is no picture.
    """
    with in_our_words(lambda e: RenderError(f"{_name(env)}: cannot be rendered ({' '.join(str(e).split())})")):
        drawn = env.render()  # with whatever it likes, which may be missing
    if not (isinstance(drawn, np.ndarray) and drawn.dtype == np.uint8 and drawn.ndim == 3 and drawn.shape[2] == 3):
        what = f"{drawn.dtype} {drawn.shape}" if isinstance(drawn, np.ndarray) else type(drawn).__name__
        raise RenderError(f"{_name(env)}: rendered {what}, allowed: an array of uint8, shape (height, width, 3)")
    share = min(height / drawn.shape[0], width / drawn.shape[1])
    rows, columns = max(1, round(share * drawn.shape[0])), max(1, round(share * drawn.shape[1]))
    picture = np.zeros((height, width, 3), np.uint8)
    top, left = (height - rows) // 2, (width - columns) // 2
    fitted = cv2.resize(drawn, (columns, rows), interpolation=cv2.INTER_AREA)
    picture[top : top + rows, left : left + columns] = fitted
    return picture


def _name(env: gym.Env[Any, Any]) -> str:
    return type(env.unwrapped).__name__ if env.spec is None else env.spec.id
