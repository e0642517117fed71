"""Steps in which a person has the lead and stands still: they think, or take another grip of the controls."""

from __future__ import annotations

import numpy as np

from robot_rlhf.datatypes import ActionLayout, Step

STILL = 0.02
"""Largest entry of an action, of [-1, 1], that is no motion."""
GRIPPER_STILL = 0.005
"""Largest change of the opening in one control period that is no motion of the gripper: it has arrived, or holds."""


class StandsStill:
    """Tells whether nothing was asked for in a step: no motion of the tool, and none of the gripper.

    Waiting for a gripper that still moves is no standing still: that is part of a grasp.
    """

    def __init__(self, layout: ActionLayout) -> None:
        self._gripper = layout.names.index("gripper") if "gripper" in layout.names else None
        self._moves = np.array([name != "gripper" for name in layout.names])

    def __call__(self, step: Step) -> bool:
        if step.executed is None or np.abs(step.executed.values[self._moves]).max(initial=0.0) > STILL:
            return False
        if self._gripper is None:
            return True
        before, after = step.observation, step.next_observation
        asks_for_change = (step.executed.values[self._gripper] >= 0) != (before.gripper_target > 0.5)
        return not asks_for_change and abs(after.gripper - before.gripper) <= GRIPPER_STILL
