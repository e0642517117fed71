"""What a skill is: a closed loop over what is perceived, which ends by itself."""

from __future__ import annotations

from typing import Protocol

from robot_rlhf.datatypes import Action, Observation


class Skill(Protocol):
    """One thing that is being done now, with things that were found when it began."""

    words: str
    """What is being done, in plain English."""
    done: bool
    """It has ended, and did what it is for."""
    why: str
    """Why it has ended otherwise, in words."""

    def act(self, observation: Observation) -> Action | None:
        """The whole action of the next period; None once it is done, failed, or has lasted as long as it may."""
        ...
