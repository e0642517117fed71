"""From log odds of success to a probability that holds, and to the threshold from which it counts."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from robot_rlhf.rewards.model import Calibration

LEAST = 0.5
"""Lowest threshold: what is less likely than not is no success, even where no other was seen up there."""
STEPS = 200
"""Most iterations of the fit; it needs about twenty."""


def calibrate(
    logits: NDArray[np.float32], label: NDArray[np.bool_], *, false_positive_rate: float, hold: int
) -> Calibration:
    """Fit temperature and offset, then choose the threshold.

    The probability is the members' mean of sigmoid(logit / temperature + offset), fitted by maximum likelihood with
    Platt's targets (N + 1) / (N + 2) and 1 / (M + 2), which keep it away from 0 and 1 where few examples are separated
    (Platt 1999, section 2.2; temperature: Guo et al. 2017).

    Args:
        logits: of moments that were not learned from. Shape (E, B).
        label: whether it is one of success; both classes present. Shape (B,).
        false_positive_rate: share of the others that may reach the threshold.
        hold: copied.
    """
    given = torch.from_numpy(np.asarray(logits, np.float64))
    good, bad = int(label.sum()), int((~label).sum())
    target = torch.from_numpy(np.where(label, (good + 1) / (good + 2), 1 / (bad + 2)))
    parameters = torch.tensor([0.0, 0.0], dtype=torch.float64, requires_grad=True)  # log temperature, offset
    solver = torch.optim.LBFGS([parameters], max_iter=STEPS, line_search_fn="strong_wolfe", tolerance_grad=1e-9)

    def error() -> torch.Tensor:
        solver.zero_grad()
        chance = torch.sigmoid(given * torch.exp(-parameters[0]) + parameters[1]).mean(dim=0).clamp(1e-12, 1 - 1e-12)
        loss = -(target * chance.log() + (1.0 - target) * (1.0 - chance).log()).mean()
        loss.backward()
        return loss

    solver.step(error)  # pyright: ignore[reportArgumentType]: returns a tensor, as LBFGS reads it
    fitted = Calibration(math.exp(float(parameters[0].detach())), float(parameters[1].detach()), 0.5, hold)
    chances = fitted.probability(logits)
    threshold = choose_threshold(chances, label, false_positive_rate)
    return Calibration(fitted.temperature, fitted.offset, threshold, hold)


def choose_threshold(chances: NDArray[np.float64], label: NDArray[np.bool_], false_positive_rate: float) -> float:
    """The threshold that finds the most successes while at most this share of the others pass, and none less likely
    than not; in the middle of the gap below the last success that it finds.

    Args:
        chances: Shape (B,).
        label: Both classes present. Shape (B,).
    """
    others = np.sort(chances[~label])[::-1]
    refused = others[min(math.floor(false_positive_rate * len(others)), len(others) - 1)]
    found = chances[label & (chances > refused)]
    lowest = float(found.min()) if len(found) else float(np.nextafter(refused, 2.0))
    below = max(float(others[others < lowest].max(initial=0.0)), float(refused))
    middle = 0.5 * (below + lowest)
    return max(middle if middle > refused else lowest, LEAST)
