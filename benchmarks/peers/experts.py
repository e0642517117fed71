"""Scripts that do tasks of other libraries' environments, from what is observed there: they give demonstrations."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Seen = Mapping[str, NDArray[np.float64]]
Expert = Callable[[Seen], NDArray[np.float32]]


def fetch_pick(seen: Seen) -> NDArray[np.float32]:
    """Gymnasium-Robotics' FetchPickAndPlace: above the object, down, close, to the goal. Shape (4,)."""
    o = seen["observation"]
    grip, thing, opening = o[0:3], o[3:6], o[9] + o[10]
    away = thing - grip
    if np.linalg.norm(away) < 0.015:
        closed = opening < 0.06
        step = seen["desired_goal"] - grip if closed else away
        return _action(step * 10.0, -1.0)
    above = np.linalg.norm(away[:2]) > 0.012
    return _action((away + np.array([0.0, 0.0, 0.06 if above else 0.0])) * 10.0, 1.0)


def panda_pick(seen: Seen) -> NDArray[np.float32]:
    """gym-hil's PandaPickCube: above the cube, down, close (upper bound 2), up. Shape (4,)."""
    tool, cube, gripper = seen["agent_pos"][15:18], seen["environment_state"], seen["agent_pos"][14]
    away = cube - tool
    if np.linalg.norm(away) < 0.025:
        closed = gripper > 0.2
        return _action(np.array([0.0, 0.0, 1.0]) if closed else away * 20.0, 2.0)
    above = np.linalg.norm(away[:2]) > 0.015
    return _action((away + np.array([0.0, 0.0, 0.08 if above else 0.0])) * 20.0, 0.0)


def _action(move: NDArray[np.float64], gripper: float) -> NDArray[np.float32]:
    return np.array([*np.clip(move, -1.0, 1.0), gripper], np.float32)
