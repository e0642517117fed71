"""Which thing is wanted where, as vectors that a policy sees: named by the task, or by whoever speaks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Array, Assignment, Observation, RobotSpec
from robot_rlhf.errors import ConfigError, InvalidValueError, UnknownNameError
from robot_rlhf.facts import PLACES, Thing, book_of

NEAR = 0.125
"""Metres from the tool that make 1.0."""
FINE = 0.03
"""Metres at which the finer half of a vector is at its bound."""
SIZE = 6
"""Entries of a vector: the way from the tool, in NEAR, and once more in FINE, clipped to [-1, 1]."""
CONTEXT_SIZES: Mapping[str, int] = MappingProxyType({"place": SIZE, "thing": SIZE})
"""Of what a GoalDirector says, by name."""


@runtime_checkable
class AskedFor(Protocol):
    """A task that is asked for by naming a thing and a place: entries of Observation.scene."""

    @property
    def instruction(self) -> str:
        """The present goal in words."""
        ...

    @property
    def goal(self) -> tuple[str, str]:
        """Thing and place that are wanted now."""
        ...

    def ask(self, thing: str, place: str) -> None:
        """Want something else from now on; raises UnknownNameError for what cannot be wanted, or not there."""
        ...


class GoalDirector:
    """A Director whose context says where the wanted thing and the wanted place are, seen from the tool.

    The vectors are called 'thing' and 'place', shape (SIZE,) each, base frame. A policy that sees them, and not the
    scene itself (features.scene false), cannot tell one thing from another: what it learned of some things and places
    holds for pairs of them that it was never asked for (a deictic representation: Agre & Chapman, Pengi, 1987).
    """

    context_sizes: Mapping[str, int] = CONTEXT_SIZES

    def __init__(self, task: AskedFor, things: Mapping[str, Thing]) -> None:
        """
        Args:
            task: knows its goal, and takes another.
            things: what there is in the scene, by entry; see FactBook.things.
        """
        self.task = task
        self.things = dict(things)

    @property
    def goal(self) -> tuple[str, str]:
        """Thing and place that are wanted now."""
        return self.task.goal

    def reset(self, rng: np.random.Generator) -> None:
        """The task has drawn its goal."""

    def name_goal(self, thing: str | None = None, place: str | None = None) -> str:
        """Want something else from the next control period on; what is not named stays as it was.

        Returns:
            The new goal in words.

        Raises:
            UnknownNameError: there is no such thing, or it cannot be wanted in such a place; the goal stays.
        """
        for name in (thing, place):
            if name is not None and name not in self.things:
                raise UnknownNameError("thing", name, self.things)
        old_thing, old_place = self.task.goal
        self.task.ask(old_thing if thing is None else thing, old_place if place is None else place)
        return self.task.instruction

    def asked(self, observation: Observation) -> Assignment:
        return Assignment(self.task.instruction, context_of(observation, self.task.goal))


def context_of(observation: Observation, goal: tuple[str, str]) -> dict[str, Array]:
    """What a GoalDirector says at an observation while this thing is wanted in this place; of a recorded one, too.

    Raises:
        InvalidValueError: the scene lacks one of them.
    """
    thing, place = goal
    return {"thing": from_tool(observation, thing), "place": from_tool(observation, place)}


def from_tool(observation: Observation, name: str) -> Array:
    """The way from the tool to a thing as perceived, coarsely and finely. Shape (SIZE,).

    Raises:
        InvalidValueError: the scene has no such entry.
    """
    if name not in observation.scene:
        raise InvalidValueError("Observation.scene", sorted(observation.scene), f"an entry {name!r}")
    away: NDArray[np.floating[Any]] = observation.scene[name][:3] - observation.tool_pose_in_base[:3]
    return np.concatenate([away / NEAR, np.clip(away / FINE, -1.0, 1.0)]).astype(np.float32)


class Taught(Protocol):
    """What is needed of a place: robot_rlhf.place.Place is one."""

    @property
    def task(self) -> object: ...

    @property
    def spec(self) -> RobotSpec: ...


def for_place(place: Taught) -> GoalDirector:
    """The director of a place whose task is asked for by naming a thing and a place; settings name this function.

    Raises:
        ConfigError: its task has no such goals, or the scene says of none of them where they are.
    """
    task, spec = place.task, place.spec
    if not isinstance(task, AskedFor):
        raise ConfigError(
            f"director: task {type(task).__name__} has no goal to name; allowed: one with `goal` and `ask`"
        )
    things = {name: thing for name, thing in book_of(task, spec).things.items() if spec.scene.get(name) in PLACES}
    missing = [name for name in task.goal if name not in things]
    if missing:
        raise ConfigError(f"director: goal {task.goal}: nothing perceived says where {missing} are")
    return GoalDirector(task, things)
