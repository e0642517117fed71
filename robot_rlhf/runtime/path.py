"""The way an episode came, for going back along it."""

from __future__ import annotations

from dataclasses import dataclass

from robot_rlhf.datatypes import Observation
from robot_rlhf.ports import Restorable


@dataclass(frozen=True)
class Moment:
    """Where the robot was told to be after so many steps."""

    pose: tuple[float, ...]
    """Commanded tool pose x, y, z, qw, qx, qy, qz in the base frame."""
    opening: float
    """Commanded opening of the gripper, 0 to 1."""
    unaided: int
    """Steps up to here that the policy drove: those that count towards the time limit."""
    state: object | None
    """The whole world, where it can be put back."""


class Path:
    """One moment per step of an episode, over all its parts, and the one before the first."""

    def __init__(self, world: Restorable | None) -> None:
        self._world = world
        self._moments: list[Moment] = []

    def add(self, observation: Observation, unaided: int) -> None:
        """The moment after a step, or at the start."""
        state = self._world.snapshot() if self._world is not None else None
        pose = tuple(observation.tool_target_in_base.tolist())
        self._moments.append(Moment(pose, float(observation.gripper_target), unaided, state))

    @property
    def end(self) -> int:
        """Steps recorded: the last moment's number."""
        return len(self._moments) - 1

    def __getitem__(self, step: int) -> Moment:
        return self._moments[step]

    def cut(self, step: int) -> None:
        """Forget what came after a moment: the episode goes on from there."""
        del self._moments[step + 1 :]
