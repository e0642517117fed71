"""What is asked for: of the task where nobody else says it, and checked before anything acts on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np

from robot_rlhf.datatypes import NO_CONTEXT, Assignment, Observation
from robot_rlhf.errors import InvalidValueError, ShapeError
from robot_rlhf.ports import Director, Task


class TaskDirector:
    """The Director of a task that is simply to be done: its own sentence, and no context."""

    context_sizes: Mapping[str, int] = {}

    def __init__(self, task: Task) -> None:
        self._task = task
        self._assignment = Assignment(task.instruction)

    def reset(self, rng: np.random.Generator) -> None:
        """Nothing is drawn."""

    def asked(self, observation: Observation) -> Assignment:
        sentence = self._task.instruction
        if sentence != self._assignment.instruction:
            self._assignment = Assignment(sentence)
        return self._assignment


def asked_of(director: Director, observation: Observation) -> Assignment:
    """What a director asks for.

    Raises:
        InvalidValueError: what it says is no assignment, or has another context than it said it would have.
    """
    try:
        assignment = cast("object", director.asked(observation))
    except ShapeError as error:
        raise InvalidValueError("director", str(error), "an Assignment") from error
    if not isinstance(assignment, Assignment):  # one of a user's own may say anything
        raise InvalidValueError("director", f"a {type(assignment).__name__}", "an Assignment")
    context = assignment.context
    if context is not NO_CONTEXT or director.context_sizes:
        sizes = {name: len(vector) for name, vector in context.items()}
        if sizes != dict(director.context_sizes):
            raise InvalidValueError(
                "director's context", _words(sizes), f"{_words(director.context_sizes)}, as it said"
            )
    return assignment


def _words(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({size},)" for name, size in sorted(sizes.items())) or "none"
