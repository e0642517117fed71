"""Whether numbers recorded of two robots mean the same."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.errors import JournalError

LEARNED = ("control_period", "action.names", "action.scale", "action.frame", "command.kind", "scene")
"""What the numbers that are learned from mean: seconds per step, what 1.0 of an action moves and in which frame, and
which vectors tell of the scene."""
MEANING = ("joint_names", *LEARNED, "command.names", "privileged")
"""The same of every recorded number. None of it can be converted without loss: an action that fills one scale may be
beyond another, and a period is what a step is."""
PICTURED = (*MEANING, "cameras")
"""The same where pictures are read, too."""
RUN = (*PICTURED, "command.lower", "command.upper")
"""What stays the same in all sessions of a run. Recorded numbers are SI units whatever the workspace, but a policy sees
them in units of it, and its weights know one workspace. Limits of joints may change: they guard the robot only."""


def differences(spec: RobotSpec, before: RobotSpec, fields: Sequence[str] = MEANING) -> list[str]:
    """In which of the fields two robots differ, in words: 'action.scale is …, before …'."""
    found: list[str] = []
    for name in fields:
        now, then = (_plain(operator.attrgetter(name)(robot)) for robot in (spec, before))
        if now != then:
            found.append(f"{name} is {now}, before {then}")
    return found


def check_same(spec: RobotSpec, before: RobotSpec, what: str, other: str, fields: Sequence[str] = MEANING) -> None:
    """Check that numbers recorded of two robots mean the same.

    Args:
        what, other: where the two are described, for the message.

    Raises:
        JournalError: they do not; names the fields.
    """
    found = differences(spec, before, fields)
    if found:
        raise JournalError(
            f"{what}: recorded numbers mean something else than in {other}: {'; '.join(found)}. "
            "They are never mixed; each file can be read by itself"
        )


def _plain(value: Any) -> Any:
    """A value that compares and prints by content."""
    if isinstance(value, np.ndarray):
        return [float(f"{entry:.6g}") for entry in value.tolist()]
    return dict(value) if hasattr(value, "items") else value
