"""Goals that sentences have named: told to who directs, and taken back in any order."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from robot_rlhf.errors import InvalidValueError, UnknownNameError
from robot_rlhf.language.goals import GoalDirector as SceneGoals
from robot_rlhf.meaning import Meaning, names_goal
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
        """A goal is the director's where there is one who takes goals, and it says what is wanted, or where."""
        return self._director is not None and names_goal(meaning)

    def name(self, sentence: str, meanings: Sequence[Meaning]) -> str:
        """Ask for what is meant; returns why that cannot be, in words; empty where it is done.

        Args:
            meanings: that it takes, in the order in which they were said: "the red one, left bowl" names two.
        """
        assert self._director is not None
        before = self._director.goal
        try:
            for meaning in meanings:
                self._name(meaning.thing, meaning.place)
        except (InvalidValueError, UnknownNameError) as error:
            if self._director.goal != before:
                self._director.name_goal(*before)
            return str(error)
        self._before[sentence] = before
        return ""

    def _name(self, thing: str, place: str) -> None:
        """What is named alone is a thing, or else a place: "no, the left bowl"."""
        assert self._director is not None
        try:
            self._director.name_goal(thing or None, place or None)
        except UnknownNameError:
            if not thing or place:
                raise
            with suppress(UnknownNameError):
                self._director.name_goal(None, thing)
                return
            raise

    @property
    def goal(self) -> tuple[str, str] | None:
        """Thing and place that are wanted now; None where nobody takes goals."""
        return None if self._director is None else self._director.goal

    @property
    def retold(self) -> bool:
        """What the director would have said of another goal is known from a recording."""
        return getattr(type(self._director), "asked", None) is SceneGoals.asked

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
