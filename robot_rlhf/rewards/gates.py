"""Rules that no learned reward may outweigh: what was held is dropped, too much force, outside the workspace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf.facts import FactBook
from robot_rlhf.rewards import transforms

RULES = ("dropped", "over_force", "out_of_workspace")
"""Rules of every robot with a tool; any other rule is a fact that must not hold."""
KEPT = -1
"""Number that stands for: no rule is broken."""


@dataclass(frozen=True)
class GateConfig:
    """Rules that no learned reward outweighs, and what breaking one costs."""

    rules: tuple[str, ...] = ()
    """dropped, over_force, out_of_workspace, and facts that must not hold, such as "near(tool, glass)": the most
    important first. A step that breaks some gets at most what the first of them costs, whatever the reward says: of K
    rules the k-th costs (K - k + 1) / K of `cost`."""
    cost: float = 0.5
    """In units of the recorded reward, which is 1 at success."""
    force: float = 40.0
    """Largest contact force, N."""
    lower: tuple[float, ...] = ()
    """Corner of the box for the tool, m, base frame: x y z; the robot's own workspace when left out."""
    upper: tuple[float, ...] = ()
    """The opposite corner."""

    def __post_init__(self) -> None:
        if len(set(self.rules)) < len(self.rules):
            raise ConfigError(f"gates.rules: {' '.join(self.rules)}: allowed is each rule once")
        for rule in self.rules:
            if rule not in RULES and "(" not in rule and " is " not in rule and rule not in FactBook.of_scene(()):
                raise UnknownNameError("rule of gates.rules", rule, [*RULES, "a fact such as near(tool, cube)"])
        if not 0.0 < self.cost <= 1.0:
            raise ConfigError(f"gates.cost: got {self.cost}, allowed above 0, up to 1: a returns' bound")
        if not self.force > 0.0:
            raise ConfigError(f"gates.force: got {self.force}, allowed above 0 N")
        for name in ("lower", "upper"):
            if len(getattr(self, name)) not in (0, 3):
                raise ConfigError(f"gates.{name}: got {getattr(self, name)}, allowed x y z in m, or nothing")
        if self.lower and self.upper and not np.less(self.lower, self.upper).all():
            raise ConfigError(f"gates.lower {self.lower}, gates.upper {self.upper}: allowed is lower below upper")


class Gates:
    """Says of steps which is the first rule that they break, by the robot's own senses."""

    def __init__(
        self,
        config: GateConfig,
        lower: NDArray[np.float64],
        upper: NDArray[np.float64],
        facts: FactBook | None = None,
    ) -> None:
        """
        Args:
            config: the rules.
            lower, upper: the robot's workspace, m, where the settings name no other. Shape (3,).
            facts: what rules may be about, beside the robot itself.

        Raises:
            UnknownNameError, ConfigError: a rule is no fact that holds or does not, or one that only the simulator
                knows and that is not named as such.
        """
        self.config = config
        book = FactBook.of_scene(()) if facts is None else facts
        self._facts = {rule: book.truth(rule) for rule in config.rules if rule not in RULES}
        self._force, self._holds = book["force"], book["holds"]
        self._lower = torch.as_tensor(np.asarray(config.lower or lower, np.float64))
        self._upper = torch.as_tensor(np.asarray(config.upper or upper, np.float64))

    def broken(self, observations: Mapping[str, NDArray[Any]]) -> NDArray[np.int8]:
        """Number of the first broken rule of each step of an episode, KEPT of none.

        Args:
            observations: columns of T + 1 rows, named as Episode.observations is.

        Returns:
            Shape (T,).
        """
        first = np.full(len(observations["gripper"]) - 1, KEPT, np.int8)
        for number in reversed(range(len(self.config.rules))):
            first[self._gate(self.config.rules[number], observations).numpy()] = number
        return first

    def applied(self, reward: Tensor, broken: Tensor) -> Tensor:
        """At most the cost of the first broken rule, wherever one is broken. Shapes (B,), integers (B,) -> (B,)."""
        count = len(self.config.rules)
        for number in range(count):
            most = -self.config.cost * (count - number) / count
            gate = broken == number
            reward = torch.fmin(transforms.gated(reward, gate, value=most), reward)
        return reward

    def _gate(self, rule: str, observations: Mapping[str, NDArray[Any]]) -> Tensor:
        """True for each step that breaks it. Shape (T,)."""
        if rule == "dropped":
            held = torch.from_numpy(self._holds.read(observations))
            return transforms.dropped(held[:-1], held[1:])
        if rule == "over_force":
            return torch.from_numpy(self._force.read(observations)[1:] > self.config.force)
        if rule == "out_of_workspace":
            position = torch.tensor(observations["tool_pose_in_base"][1:, :3])
            return transforms.out_of_workspace(position, self._lower, self._upper)
        return torch.from_numpy(self._facts[rule].read(observations)[1:])
