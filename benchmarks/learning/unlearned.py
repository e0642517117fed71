"""What nobody taught, measured like any policy: the most that a task allows, and what chance alone does."""

from __future__ import annotations

import numpy as np

from robot_rlhf.datatypes import Action, Assignment, Observation
from robot_rlhf.errors import ConfigError
from robot_rlhf.ports import Policy
from robot_rlhf.run.build import open_place
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.timing import FakeClock


class RandomPolicy:
    """Every entry of every action is drawn anew, uniformly from [-1, 1]."""

    version = -1

    def __init__(self, size: int) -> None:
        """Args: size: entries of an action."""
        self._size = size

    def reset(self) -> None:
        """Nothing is carried."""

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        return Action(rng.uniform(-1.0, 1.0, self._size).astype(np.float32))


def unlearned_policy(name: str, config: TrainConfig) -> Policy:
    """The policy of a method that learns nothing.

    Args:
        name: 'scripted', which looks at the privileged truth with a steady hand, or 'random'.

    Raises:
        ConfigError: another name, or a task that no script does.
    """
    place = open_place(config, FakeClock())
    if name == "random":
        return RandomPolicy(place.spec.action.size)
    expert = place.expert() if name == "scripted" else None
    if expert is None:
        raise ConfigError(
            f"method {name} of task {config.task}: allowed are random, and scripted where a script does it"
        )
    return expert
