"""The reward of this loop: 1 at success, told by the task or by the person, minus a cost of gripper chatter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from robot_rlhf.datatypes import Button, Observation
from robot_rlhf.ports import Task


@dataclass(frozen=True)
class SparseReward:
    """1 in the step that succeeds, 0 elsewhere, minus `gripper_cost` in each step that changes the gripper command."""

    judge: Literal["task", "person"] = "task"
    """Who says that it succeeded: the task's predicate, or the person's success button."""
    gripper_cost: float = 0.02
    """HIL-SERL's grasp penalty: charged per change of the command, never for holding."""

    @property
    def source(self) -> str:
        """Name and version, kept with every episode."""
        return f"{self.judge}_success-{self.gripper_cost:g}*gripper_changes@1"

    def succeeded(self, task: Task, observation: Observation, buttons: frozenset[Button]) -> bool:
        """Whether the step that led to the observation is a success."""
        return task.success(observation) if self.judge == "task" else Button.SUCCESS in buttons

    def value(self, succeeded: bool, before: Observation, after: Observation) -> float:
        """The reward of one step."""
        changed = abs(after.gripper_target - before.gripper_target) > 0.5
        return float(succeeded) - (self.gripper_cost if changed else 0.0)
