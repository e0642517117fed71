"""What becomes of a learned reward before it trains a policy: pure functions. E ensemble members, B transitions."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from robot_rlhf.errors import CheckpointError, InvalidValueError, ShapeError

SMALLEST_SPREAD = 1e-6
"""A running standard deviation below this counts as none: rewards are then centred, not divided."""


def mean_reward(members: Tensor) -> Tensor:
    """Mean over the ensemble. Shape (E, B) -> (B,)."""
    return _members(members).mean(dim=0)


def minimum(members: Tensor) -> Tensor:
    """Worst-case optimisation, WCO: the smallest member (Coste et al. 2024). Shape (E, B) -> (B,)."""
    return _members(members).amin(dim=0)


def mean_minus_variance(members: Tensor, penalty: float) -> Tensor:
    """Uncertainty-weighted optimisation, UWO: mean - penalty * variance (Coste et al. 2024).

    Args:
        members: Shape (E, B).
        penalty: lambda >= 0; the paper takes 0.5 for best-of-n and 0.1 for PPO.

    Returns:
        Shape (B,). The variance is the unbiased one over members; that of a single member is 0.

    Raises:
        InvalidValueError: a negative penalty would reward disagreement.
    """
    if not penalty >= 0.0:
        raise InvalidValueError("mean_minus_variance.penalty", penalty, "a number >= 0")
    if len(_members(members)) == 1:
        return members[0].clone()
    return members.mean(dim=0) - penalty * members.var(dim=0, unbiased=True)


def centred_sigmoid(reward: Tensor, references: Tensor, steepness: float = 1.0) -> Tensor:
    """PAR, preference as reward: mean over references of sigmoid(k (R - R_ref)) (Fu et al. 2025).

    Bounded in [0, 1], grows fastest near the references, and depends on the centred reward alone.

    Args:
        reward: Shape (B,).
        references: What the starting policy gets: M references for all, shape (M,), or for each transition, (M, B).
        steepness: k > 0, per unit of reward.

    Returns:
        Shape (B,).

    Raises:
        ShapeError: no reference, or references of another number of transitions.
        InvalidValueError: a steepness that is not positive.
    """
    if not steepness > 0.0:
        raise InvalidValueError("centred_sigmoid.steepness", steepness, "a number > 0")
    if references.ndim == 1:
        references = references.unsqueeze(1)  # (M, 1)
    if references.ndim != 2 or len(references) == 0 or references.shape[1] not in (1, *reward.shape):
        raise ShapeError("centred_sigmoid.references", tuple(references.shape), ("M >= 1", "1 or B"))
    return torch.sigmoid(steepness * (reward - references)).mean(dim=0)


def gated(reward: Tensor, *gates: Tensor, value: float) -> Tensor:
    """Hard gates: `value` wherever a gate is true, whatever the reward says there (constraints of CGPO's judges).

    Args:
        reward: Shape (B,); may be NaN where a gate is true.
        gates: True where a rule is broken: see `dropped`, `out_of_workspace`. bool, shape (B,).
        value: At most what an ordinary step gets, else breaking the rule pays.

    Raises:
        ShapeError: a gate that is not one truth value per transition.
    """
    for gate in gates:
        if gate.shape != reward.shape or gate.dtype != torch.bool:
            raise ShapeError(f"gated: gate of {gate.dtype}", tuple(gate.shape), (*reward.shape, "of bool"))
        reward = torch.where(gate, torch.full_like(reward, value), reward)
    return reward


def dropped(held: Tensor, next_held: Tensor) -> Tensor:
    """A gate: what was held is held no more. bool, shapes (B,) -> (B,)."""
    return held & ~next_held


def out_of_workspace(position: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """A gate: the position, m, is outside the box. Shapes (B, 3), (3,), (3,) -> (B,)."""
    return ((position < lower) | (position > upper)).any(dim=1)


def shaped(reward: Tensor, potential: Tensor, next_potential: Tensor, discount: Tensor) -> Tensor:
    """Potential-based shaping: R + gamma Phi(s') - Phi(s), which leaves the optimal policy as it is (Ng et al. 1999).

    `discount` is the transition's own, gamma^n * (1 - terminated): a terminal state has no potential, a state at
    which the time ran out has its own, just as values are bootstrapped. Over n steps the terms telescope, so the
    formula holds for n-step returns too. All of shape (B,).
    """
    return reward + discount * next_potential - potential


class RunningNorm:
    """Mean and variance of all rewards seen, by Welford's method in batches (Chan et al. 1979), and rewards by them.

    Subtracting the mean adds the same to every step: where episodes may end early, that changes what is optimal.
    `centre=False` only divides.
    """

    def __init__(self, *, centre: bool = True) -> None:
        self._centre = centre
        self._count = 0
        self._mean = 0.0
        self._squares = 0.0

    @property
    def count(self) -> int:
        """Rewards seen."""
        return self._count

    @property
    def mean(self) -> float:
        return self._mean

    @property
    def variance(self) -> float:
        """Unbiased; 0 before there are two rewards."""
        return self._squares / (self._count - 1) if self._count > 1 else 0.0

    def update(self, reward: Tensor) -> None:
        """Take rewards into account. Shape (B,).

        Raises:
            InvalidValueError: a reward that is no finite number would stay in the statistics for ever.
        """
        if reward.numel() == 0:
            return
        values = reward.detach().double()
        if not bool(torch.isfinite(values).all()):
            raise InvalidValueError("RunningNorm.update", "NaN or infinity", "finite rewards")
        batch, mean = values.numel(), float(values.mean())
        squares = float((values - mean).square().sum())
        total, gap = self._count + batch, mean - self._mean
        self._squares += squares + gap * gap * self._count * batch / total
        self._mean += gap * batch / total
        self._count = total

    def __call__(self, reward: Tensor) -> Tensor:
        """(R - mean) / standard deviation; R as it is while nothing was seen. Shape (B,) -> (B,)."""
        centred = reward - self._mean if self._centre and self._count else reward
        spread = self.variance**0.5
        return centred / spread if spread > SMALLEST_SPREAD else centred

    def state(self) -> Mapping[str, Tensor]:
        """For a checkpoint."""
        return {"running_norm": torch.tensor([self._count, self._mean, self._squares], dtype=torch.float64)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`.

        Raises:
            CheckpointError: what is given is no such state.
        """
        given = state.get("running_norm")
        if given is None or given.shape != (3,) or not bool((given[[0, 2]] >= 0).all()):
            raise CheckpointError(f"running_norm: got {given}, expected count >= 0, mean, sum of squares >= 0")
        self._count, self._mean, self._squares = int(given[0]), float(given[1]), float(given[2])


def _members(members: Tensor) -> Tensor:
    if members.ndim != 2 or len(members) == 0:
        raise ShapeError("rewards of the members", tuple(members.shape), ("E >= 1", "B"))
    return members
