"""The reward of an embedded picture for a goal sentence, along the direction from a baseline sentence to the goal.

After Rocamonde et al. 2023, "Vision-language models are zero-shot reward models for reinforcement learning". All
embeddings have unit length. Means of several sentences are brought back to unit length, which the authors' code leaves
out: so the reward is in [-1, 1], alpha = 0 is the cosine for any number of sentences, and rewards of lists whose
sentences differ more or less from each other can be compared. With one goal and one baseline both agree.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from robot_rlhf.errors import ConfigError, InvalidValueError, ShapeError

SMALLEST_LENGTH = 1e-4
"""Vectors shorter than this point nowhere: float32 embeddings of the same sentence differ by less."""


def mean_direction(embeddings: Tensor, what: str = "embeddings") -> Tensor:
    """Mean of unit vectors, brought back to unit length. Shape (N, D) -> (D,).

    Raises:
        ShapeError: no embedding.
        ConfigError: they cancel out.
    """
    if embeddings.ndim != 2 or len(embeddings) == 0:
        raise ShapeError(what, tuple(embeddings.shape), ("N >= 1", "D"))
    mean = functional.normalize(embeddings, dim=1).mean(dim=0)
    if float(mean.norm()) < SMALLEST_LENGTH:
        raise ConfigError(f"{what}: the embeddings of these {len(embeddings)} sentences cancel out; use fewer of them")
    return mean / mean.norm()


def projected_reward(pictures: Tensor, goal: Tensor, baseline: Tensor | None = None, alpha: float = 0.0) -> Tensor:
    """r = 1 - 1/2 ||P (x - g)||^2 with d = g - b and P = alpha d d^T / ||d||^2 + (1 - alpha) I.

    alpha = 0 gives the cosine of x and g; alpha = 1 looks only along d, at how far x is on the way from b to g.
    P is never built: ||P y||^2 = (1 - alpha)^2 ||y||^2 + (1 - (1 - alpha)^2) (y . d / ||d||)^2.

    Args:
        pictures: x, of unit length. Shape (B, D).
        goal: g, of unit length. Shape (D,).
        baseline: b, of unit length, or None with alpha = 0. Shape (D,).
        alpha: Strength of goal-baseline regularisation, in [0, 1].

    Returns:
        Shape (B,).

    Raises:
        InvalidValueError: alpha outside [0, 1].
        ConfigError: alpha > 0, and no baseline, or one that is the goal.
    """
    if not 0.0 <= alpha <= 1.0:
        raise InvalidValueError("alpha", alpha, "0 (cosine) to 1 (projection on the line from baseline to goal)")
    if pictures.ndim != 2 or goal.shape != pictures.shape[1:]:
        raise ShapeError("projected_reward.goal", tuple(goal.shape), tuple(pictures.shape[1:]))
    away = pictures - goal  # (B, D)
    kept = (1.0 - alpha) ** 2
    squares = kept * away.square().sum(dim=1)
    if alpha > 0.0:
        squares = squares + (1.0 - kept) * (away @ baseline_to_goal(goal, baseline)).square()
    return 1.0 - 0.5 * squares


def baseline_to_goal(goal: Tensor, baseline: Tensor | None) -> Tensor:
    """Unit vector from baseline to goal. Shape (D,).

    Raises:
        ConfigError: there is no baseline, or goal and baseline are the same.
    """
    if baseline is None:
        raise ConfigError("alpha > 0 needs a baseline sentence; give one, or alpha 0")
    step = goal - baseline
    length = float(torch.linalg.vector_norm(step))
    if length < SMALLEST_LENGTH:
        raise ConfigError(
            "goal and baseline sentences mean the same to this model, so no direction leads from one to the other; "
            "choose a baseline that describes the scene without the goal, or alpha 0"
        )
    return step / length
