"""What should have been done, as a sentence means it: from meanings to actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import ActionLayout, Array, Observation
from robot_rlhf.meaning import GRIPS, MOVES, PACE, SPEEDS, TURNS, Meaning

MOTION = frozenset({"x", "y", "z", "rx", "ry", "rz"})


@dataclass(frozen=True, eq=False)
class Ruled:
    """What standing rules make of what a policy would do in T steps."""

    actions: Array
    """The same out of scope. Shape (T, m)."""
    in_scope: NDArray[np.bool_]
    """Of any of them. Shape (T,)."""
    near: NDArray[np.bool_]
    """Nearly in scope, and not in it. Shape (T,)."""


class Grounding(Protocol):
    """What meanings ask of a robot, in its actions."""

    def nudge(self, meaning: Meaning, observation: Observation) -> tuple[Array, NDArray[np.bool_]] | None:
        """Direction of a mere motion, at full speed for the usual way and less for a shorter one, and the entries that
        it names. Shapes (m,). None where the robot cannot move so."""
        ...

    def skill(self, meaning: Meaning, observation: Observation) -> Array | None:
        """What the skill would do if it began there. Shape (m,). None where it cannot."""
        ...

    def rules(self, meanings: Sequence[Meaning], seen: Sequence[Observation], actions: Array) -> Ruled | None:
        """What rules that stand together make of actions after these T observations. Shape (T, m). Those that cannot
        hold are passed over; None where none can."""
        ...


def motion_of(layout: ActionLayout) -> NDArray[np.bool_]:
    """Which entries of an action move the tool. Shape (m,)."""
    return np.array([name in MOTION for name in layout.names])


def should_have_done(
    meanings: Sequence[Meaning],
    observation: Observation,
    executed: Array,
    grounding: Grounding,
    motion: NDArray[np.bool_],
    reach: float,
) -> tuple[Array, NDArray[np.bool_]] | None:
    """What should have been done in a step, and the entries that this says something about; None: nothing.

    a* = clip(a + reach * direction) in the entries that a motion names, clip(f * a) in those of motion for a
    speed, the bit for fingers; all that a skill would do.
    """
    target, mask = executed.astype(np.float64), np.zeros(len(executed), np.bool_)
    for meaning in meanings:
        if meaning.skill:
            whole = grounding.skill(meaning, observation)
            if whole is not None:
                return whole, np.ones_like(mask)
        elif meaning.reading in SPEEDS:
            target[motion] *= meaning.amount or PACE[meaning.reading]
            mask |= motion
        elif meaning.reading in (*MOVES, *TURNS, *GRIPS):
            found = grounding.nudge(meaning, observation)
            if found is None:
                continue
            direction, named = found
            if meaning.reading in GRIPS:
                target[named] = direction[named]
            else:
                target[named] += reach * direction[named]
            mask |= named
    return (np.clip(target, -1.0, 1.0).astype(np.float32), mask) if mask.any() else None
