"""Goals that sentences have named: told to who directs, and taken back in any order."""

from __future__ import annotations

from robot_rlhf.errors import InvalidValueError, UnknownNameError
from robot_rlhf.meaning import Meaning
from robot_rlhf.ports import Director, GoalDirector


class NamedGoals:
    """What was asked for in an episode, and by which sentence."""

    def __init__(self) -> None:
        self._director: GoalDirector | None = None
        self._before: dict[str, tuple[str, str]] = {}
        """What was wanted before a sentence named another goal, in the order of naming."""

    def steer(self, director: Director | None) -> None:
        """Goals are told to this director, where it takes any."""
        self._director = director if isinstance(director, GoalDirector) else None

    def takes(self, meaning: Meaning) -> bool:
        """A goal is the director's where there is one who takes goals, and no motion is asked for."""
        return self._director is not None and meaning.skill in ("", "put_in", "push_to", "grasp")

    def name(self, sentence: str, meaning: Meaning) -> str:
        """Ask for what is meant; returns why that cannot be, in words; empty where it is done."""
        assert self._director is not None
        before = self._director.goal
        try:
            self._director.name_goal(meaning.thing or None, meaning.place or None)
        except (InvalidValueError, UnknownNameError) as error:
            return str(error)
        self._before[sentence] = before
        return ""

    def take_back(self, sentence: str) -> None:
        """What is wanted is what it was before this sentence, unless another goal was named since: that stands."""
        if sentence not in self._before:
            return
        names = [*self._before]
        later = names[names.index(sentence) + 1 :]
        before = self._before.pop(sentence)
        if later:
            self._before[later[0]] = before
        elif self._director is not None:
            self._director.name_goal(*before)

    def forget(self) -> None:
        """Another episode begins, with a goal of its own."""
        self._before.clear()
