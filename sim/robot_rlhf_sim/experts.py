"""What the tasks' scripted experts share: policies that look at the privileged truth, as a person's eyes would.

Each is a function of the observation alone (Markov), so that its demonstrations can be cloned; only the wobble of a
noisy one has a memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from robot_rlhf.datatypes import Action, ActionLayout, Assignment, Observation
from robot_rlhf.errors import InvalidValueError
from robot_rlhf_sim.rotation import Quaternion, Vector, difference

TRUST_TARGET = 0.7
"""Share of the commanded against the measured pose in what the script servoes on: with the measured one alone it
overshoots, because the arm lags its target."""
_WOBBLE_MEMORY = 0.8


class ScriptedExpert:
    """Turns a goal pose into an action, and wobbles like a hand; a task's expert says in `act` which goal."""

    version = -1

    def __init__(self, layout: ActionLayout, noise: float) -> None:
        if not 0.0 <= noise <= 1.0:
            raise InvalidValueError("noise", noise, "a standard deviation of the action from 0 to 1")
        self._names = layout.names
        self._scale = layout.scale.tolist()
        self._noise = noise
        self._wobble = np.zeros(layout.size)

    def reset(self) -> None:
        self._wobble[:] = 0.0

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        raise NotImplementedError

    def towards(
        self,
        observation: Observation,
        position: Vector,
        orientation: Quaternion,
        rng: np.random.Generator,
        *,
        opening: float = 1.0,
        steadiness: float = 1.0,
    ) -> Action:
        """The action that brings the tool to a goal pose, clipped, with the wobble times `steadiness` added."""
        target, tool = observation.tool_target_in_base.tolist(), observation.tool_pose_in_base.tolist()
        from_target = (*(g - t for g, t in zip(position, target, strict=False)), *difference(orientation, target[3:]))
        from_tool = (*(g - t for g, t in zip(position, tool, strict=False)), *difference(orientation, tool[3:]))
        wish = {
            name: TRUST_TARGET * a + (1.0 - TRUST_TARGET) * b
            for name, a, b in zip(("x", "y", "z", "rx", "ry", "rz"), from_target, from_tool, strict=True)
        }
        values = np.array(
            [wish[n] / s if n in wish else 2.0 * opening - 1.0 for n, s in zip(self._names, self._scale, strict=True)]
        )
        values = np.minimum(np.maximum(values, -1.0), 1.0)
        if self._noise:
            kick = rng.normal(size=len(values)) * self._noise * math.sqrt(1.0 - _WOBBLE_MEMORY**2)
            self._wobble = _WOBBLE_MEMORY * self._wobble + kick
            moving = np.array([n in wish for n in self._names])
            values = np.minimum(np.maximum(values + steadiness * moving * self._wobble, -1.0), 1.0)
        return Action(values)


def above_then_at(tool: Sequence[float], place: Vector, *, travel: float, near: float) -> Vector:
    """Where to go next on the way up, over, and down onto a place.

    Args:
        tool: where the fingers are, m. The first three entries count.
        place: where they are to arrive, m.
        travel: height at which they travel, m.
        near: beside a place by less than this is above it, m.
    """
    x, y, z = place
    aside = math.hypot(x - tool[0], y - tool[1])
    height = tool[2] - z
    if aside < near + 0.2 * max(height - 0.03, 0.0):
        return place
    if tool[2] < 0.75 * travel and aside > near:
        return (tool[0], tool[1], travel)
    return (x, y, travel)
