"""What a person who watches sees, and when: how far a task still is from done. Never given to a learner."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robot_rlhf.datatypes import Observation

Remaining = Callable[[Observation], float]
"""Metres still to go; 0 when done."""

LIFT = 0.10
"""How far a grasped cube is lifted, m."""
DEPTH = 0.025
"""How deep the peg goes, m."""


def remaining_to_reach(observation: Observation) -> float:
    """Distance from the tool to the target."""
    return _distance(observation, "target")


def remaining_to_lift(observation: Observation) -> float:
    """Distance to the cube, then what is left of the lift."""
    if observation.privileged["grasped"][0] > 0.5:
        return max(0.0, LIFT - float(observation.privileged["cube"][2]))
    return LIFT + _distance(observation, "cube")


def remaining_to_insert(observation: Observation) -> float:
    """Distance from the peg's tip to where it has to go, inside the hole."""
    goal = observation.privileged["hole"][:3] - (0.0, 0.0, DEPTH)
    return float(np.linalg.norm(goal - observation.tool_pose_in_base[:3]))


REMAINING: dict[str, Remaining] = {
    "reach": remaining_to_reach,
    "pick_cube": remaining_to_lift,
    "peg_insert": remaining_to_insert,
}


def _distance(observation: Observation, name: str) -> float:
    return float(np.linalg.norm(observation.privileged[name][:3] - observation.tool_pose_in_base[:3]))


class Spells:
    """Looks and looks away in turn, for random times: a share of all time, in the long run."""

    def __init__(self, share: float, mean: float, period: float) -> None:
        """
        Args:
            share: of the time in which the person looks.
            mean: seconds that a look and the look away behind it take together.
            period: seconds between two answers.
        """
        self._share = share
        rarer = min(share, 1.0 - share)
        # Ending a spell has a chance per period; of a spell shorter than a period there is none.
        changes = period / max(mean, period / rarer) if rarer else 0.0
        self._ends = {True: changes / share, False: changes / (1.0 - share)} if rarer else {True: 0.0, False: 0.0}
        self._looks = share > 0.0

    def begin(self, rng: np.random.Generator) -> bool:
        """Whether the person looks, at a moment that has nothing to do with the last one."""
        self._looks = self._share == 1.0 or bool(rng.random() < self._share)
        return self._looks

    def go_on(self, rng: np.random.Generator) -> bool:
        """Whether the person looks one period later."""
        chance = self._ends[self._looks]
        if chance and rng.random() < chance:
            self._looks = not self._looks
        return self._looks
