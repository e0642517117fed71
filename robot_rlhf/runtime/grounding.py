"""What meanings ask of a robot at a recorded moment, in its actions: for who learns from sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Array, Observation, RobotSpec
from robot_rlhf.facts import FactBook, columns_of
from robot_rlhf.language.rules import cannot_hold, filtered_by_all, in_scope, near_scope
from robot_rlhf.learner.meant import Ruled
from robot_rlhf.meaning import GRIPS, TURNS, Meaning
from robot_rlhf.skills.nudges import USUAL_TURN, USUAL_WAY, grounded
from robot_rlhf.skills.primitives import make_skill


class SpokenOf:
    """Implements Grounding (learner/meant.py) by the skills, nudges and rules that sentences set going."""

    def __init__(self, spec: RobotSpec, facts: Callable[[], FactBook]) -> None:
        """Args: facts: gives those of the place, names of things and whose left is meant; asked once, and not before
        somebody speaks: a simulated place has to be opened for it."""
        self._spec = spec
        self._find = facts

    @cached_property
    def _facts(self) -> FactBook:
        return self._find()

    def nudge(self, meaning: Meaning, observation: Observation) -> tuple[Array, NDArray[np.bool_]] | None:
        w, x, y, z = observation.tool_pose_in_base[3:7].tolist()
        found = grounded(meaning, self._spec.action, self._facts.view, (w, x, y, z))
        if found is None or meaning.reading in GRIPS or meaning.amount is None:
            return found
        direction, mask = found
        usual = USUAL_TURN if meaning.reading in TURNS else USUAL_WAY
        return (direction * min(1.0, meaning.amount / usual)).astype(np.float32), mask

    def skill(self, meaning: Meaning, observation: Observation) -> Array | None:
        made = make_skill(meaning, observation, self._spec, self._facts)
        action = None if isinstance(made, str) else made.act(observation)
        return None if action is None else action.values

    def rules(self, meanings: Sequence[Meaning], seen: Sequence[Observation], actions: Array) -> Ruled | None:
        can_hold = [meaning for meaning in meanings if not cannot_hold(meaning, self._spec.action)]
        if not can_hold:
            return None
        columns = columns_of(seen)
        within = np.any([in_scope(meaning, columns) for meaning in can_hold], axis=0)
        near = np.any([near_scope(meaning, columns) for meaning in can_hold], axis=0)
        return Ruled(filtered_by_all(can_hold, columns, actions, self._spec), within, near & ~within)
