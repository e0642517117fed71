"""The reward of this loop: 1 at success, as the task or the person tells, minus costs of failing and of chatter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from robot_rlhf.datatypes import Button, Observation, Outcome
from robot_rlhf.ports import Task
from robot_rlhf.ranges import Range, check_ranges
from robot_rlhf.runtime.success_watch import SuccessWatch


@dataclass(frozen=True)
class SparseReward:
    """1 in the step that succeeds, minus `failure_cost` in one that fails, minus `gripper_cost` per gripper change."""

    judge: Literal["task", "person", "either", "model"] = "task"
    """Who says that it succeeded: the task's predicate, the person's success button, whichever of these comes first, or
    a learned success model alone."""
    gripper_cost: float = 0.02
    """HIL-SERL's grasp penalty: charged per change of the command, never for holding."""
    failure_cost: float = 0.5
    """Charged when an episode ends as a failure: the force limit tripped, or the person pressed failure. Without it
    a discount of 0.97 makes a hasty policy that hits the object once in thirty episodes better than a careful one."""

    gold: bool = False
    """Record the simulator's true reward instead, and learn from it: the yardstick of learned rewards, nothing else."""

    def __post_init__(self) -> None:
        check_ranges(self, "reward", gripper_cost=Range(0.0, 1e3), failure_cost=Range(0.0, 1e3))

    @property
    def source(self) -> str:
        """Name and version, kept with every episode."""
        if self.gold:
            return "gold@1"
        costs = f"{self.failure_cost:g}*failure-{self.gripper_cost:g}*gripper_changes"
        return f"{self.judge}_success-{costs}@1"

    @property
    def by_buttons(self) -> bool:
        """Whether the person's buttons can say that it succeeded."""
        return self.judge in ("person", "either")

    def succeeded(
        self, task: Task, observation: Observation, buttons: frozenset[Button], watch: SuccessWatch | None = None
    ) -> bool:
        """Whether the step that led to the observation is a success.

        Args:
            watch: asked where a model judges; there must be one then.
        """
        if self.judge == "model":
            assert watch is not None
            return watch.succeeded(observation)
        if self.by_buttons and Button.SUCCESS in buttons:
            return True
        return self.judge != "person" and task.success(observation)

    def value(self, outcome: Outcome | None, before: Observation, after: Observation) -> float:
        """The reward of the step that led from one observation to the other, and ended the episode so (None: not)."""
        changed = abs(after.gripper_target - before.gripper_target) > 0.5
        reward = -self.gripper_cost if changed else 0.0
        if outcome is Outcome.SUCCESS:
            reward += 1.0
        elif outcome is Outcome.FAILURE:
            reward -= self.failure_cost
        return reward
