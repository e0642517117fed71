"""Parts of one's own on the learner's side, by name: tutors, and rewards that score transitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.naming import make_part
from robot_rlhf.policy.features import Features
from robot_rlhf.ports import Learner, Scores, Tutor
from robot_rlhf.replay.buffer import ReplayBuffer


@dataclass(frozen=True)
class Classroom:
    """What a part of one's own is made with, its one argument."""

    learner: Learner
    buffer: ReplayBuffer
    """What is learned from. A tutor of one's own hears of each step after it was written here."""
    spec: RobotSpec
    """Of the robot."""
    features: Features
    """How observations become what the buffer holds, and learner and rewards see."""
    seed: int
    device: str
    """Where buffer and learner live."""


def open_tutors(names: Sequence[str], classroom: Classroom) -> list[Tutor]:
    """Tutors of one's own: `module:class` or `file.py:class` of each, made with the classroom.

    Raises:
        UnknownNameError: a name without a colon.
        ConfigError: one that cannot be imported or made, or that is no Tutor.
    """
    return [make_part(name, "tutors", Tutor, classroom) for name in names]


def open_scores(name: str, classroom: Classroom, what: str) -> Scores:
    """A reward of one's own; arguments and errors as of `open_tutors`. Args: what: the setting."""
    return make_part(name, what, Scores, classroom)
