"""What a sentence means: a value that does not depend on robot, language, or on who understood it."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Literal, get_args

from robot_rlhf.datatypes import Feedback
from robot_rlhf.errors import InvalidValueError, UnknownNameError

log = logging.getLogger(__name__)

Json = dict[str, Any]
Frame = Literal["view", "base", "tool"]
"""Whose left is meant: of whoever looks at the robot, of the robot's base, or of its tool."""

MOVES = ("left", "right", "forward", "back", "up", "down")
TURNS = ("turn_left", "turn_right")
GRIPS = ("open", "close")
SPEEDS = ("slower", "faster")
READINGS = (*MOVES, *TURNS, *GRIPS, *SPEEDS, "stop", "retry", "good", "bad", "undo", "goal", "rule", "unknown")
"""Everything that a sentence can be read as."""
OPPOSITE: Mapping[str, str] = MappingProxyType(
    {
        one: other
        for a, b in (
            ("left", "right"),
            ("forward", "back"),
            ("up", "down"),
            ("turn_left", "turn_right"),
            ("open", "close"),
            ("slower", "faster"),
            ("good", "bad"),
        )
        for one, other in ((a, b), (b, a))
    }
)

SKILLS: Mapping[str, int] = MappingProxyType(
    {
        "above": 1,
        "down_on": 1,
        "to": 1,
        "away_from": 1,
        "behind": 2,
        "push_to": 2,
        "put_in": 2,
        "pull": 1,
        "shut": 1,
        "grasp": 1,
        "lift": 0,
        "open": 0,
        "close": 0,
        "wait": 0,
    }
)
"""What can be done with things, by name, and with how many of them at most: above a thing, down on it, to it, away from
it; behind the first as seen from the second; the first pushed to the second, or put in it; a handle pulled, or pushed
shut; a thing grasped; what is held lifted; fingers opened or closed; nothing for a while."""
RULES = ("slower", "faster", "keep_away", "from_above")
"""What lasts: to move slower or faster near a thing or everywhere, to keep away from it, to come to it from above."""

GOAL_SKILLS = ("", "grasp", "put_in", "push_to")
"""Skills that say which thing is wanted, or where."""
LEAVES_NO_TRACE = frozenset({"undo", "undone", "button", "ask", "nothing"})
"""What may be done about a sentence, as Feedback.payload has it, that there is then nothing to take back of."""
FROM_PRIOR = "from the prior"
"""Why a rule stands, as Feedback.payload has it, that was set in what a run began with."""

LONGEST = 0.5
"""Of a motion, m."""
WIDEST = math.pi
"""Of a turn, rad."""
PACE: Mapping[str, float] = MappingProxyType({"slower": 0.5, "faster": 1.5})
"""Factors of speed where none is said."""
PACES = (0.1, 3.0)
"""Between which factors of speed there may be."""
NAME_LENGTH = 80
MOST = 32
"""Meanings of a sentence; of nobody who understood it there are more."""


@dataclass(frozen=True)
class Meaning:
    """One thing that a sentence means."""

    reading: str
    """One of READINGS."""
    amount: float | None = None
    """How far, m, for a motion; rad for a turn; a factor for a speed; None: as far as is usual."""
    frame: Frame = "view"
    skill: str = ""
    """One of SKILLS, where it is about things; empty for a mere motion."""
    thing: str = ""
    """The thing's name in the scene; empty where it is not said, or only as 'it'."""
    place: str = ""
    """The second thing's name."""
    rule: str = ""
    """One of RULES, for the reading 'rule'; `thing` is what it holds near, empty for everywhere."""
    confidence: float = 1.0
    """In [0, 1]."""

    def __post_init__(self) -> None:
        for what, value, allowed in (
            ("reading", self.reading, READINGS),
            ("skill", self.skill, ("", *SKILLS)),
            ("rule", self.rule, ("", *RULES)),
            ("frame", self.frame, get_args(Frame)),
        ):
            if value not in allowed:
                raise UnknownNameError(f"meaning's {what}", str(value), allowed)
        if (self.reading == "rule") != bool(self.rule):
            raise InvalidValueError("Meaning.rule", self.rule, "a rule, exactly for the reading 'rule'")
        for what, name in (("thing", self.thing), ("place", self.place)):
            if len(name) > NAME_LENGTH or not name.isprintable():
                raise InvalidValueError(f"Meaning.{what}", _short(name), f"a name of up to {NAME_LENGTH} letters")
        least, most = self._amounts()
        if self.amount is not None and not least <= self.amount <= most:
            raise InvalidValueError(f"Meaning.amount of {self.reading!r}", self.amount, f"{least:g} to {most:g}")
        if not 0.0 <= self.confidence <= 1.0:
            raise InvalidValueError("Meaning.confidence", self.confidence, "a number in [0, 1]")

    def _amounts(self) -> tuple[float, float]:
        if self.reading in TURNS:
            return 0.0, WIDEST
        return PACES if self.reading in SPEEDS or self.rule in SPEEDS else (0.0, LONGEST)

    @property
    def mirrored(self) -> Meaning:
        """The opposite, where there is one; itself elsewhere."""
        return replace(self, reading=OPPOSITE.get(self.reading, self.reading))

    @property
    def words(self) -> str:
        """In plain English, short."""
        if self.rule:
            does = {"keep_away": "keep away from", "from_above": "come from above to"}.get(self.rule, self.rule)
            if self.rule == "from_above" and not self.thing:
                return "rule: come from above"
            near = f"{'near ' if self.rule in SPEEDS else ''}{_spaced(self.thing)}" if self.thing else "everywhere"
            return f"rule: {does} {near}"
        if self.skill:
            of = {"down_on": "down on", "away_from": "away from"}.get(self.skill, self.skill.partition("_")[0])
            link = {"push_to": "to", "put_in": "in", "behind": "as seen from"}.get(self.skill, "at")
            thing = _spaced(self.thing or ("it" if SKILLS[self.skill] else ""))
            return " ".join(filter(None, (of, thing, f"{link} {_spaced(self.place)}" if self.place else "")))
        said = _spaced(self.reading)
        if self.thing or self.place:
            said += f": {' to '.join(filter(None, (_spaced(self.thing), _spaced(self.place))))}"
        if self.amount is None:
            return said
        if self.reading in MOVES:
            return f"{said} {100 * self.amount:g} cm"
        return f"{said} {math.degrees(self.amount):.0f}°" if self.reading in TURNS else f"{said} × {self.amount:g}"

    def to_json(self) -> Json:
        """As it is recorded: what is not said is left out."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: v for name, v in given.items() if name == "reading" or v not in (None, "", "view", 1.0)}

    @classmethod
    def of_json(cls, told: object) -> Meaning:
        """The inverse, for what was recorded or what a program answers.

        Raises:
            InvalidValueError: no object of the fields of a meaning, or a value of another type or out of bounds.
            UnknownNameError: an unknown reading, skill, rule or frame.
        """
        kinds = {field.name: (float, int) if field.name in ("amount", "confidence") else str for field in fields(cls)}
        if not isinstance(told, Mapping) or "reading" not in told or not set(told) <= set(kinds):
            raise InvalidValueError("meaning", _short(told), f"an object with reading, and some of {', '.join(kinds)}")
        for name, value in told.items():
            none = name == "amount" and value is None
            if not none and (not isinstance(value, kinds[name]) or isinstance(value, bool)):
                raise InvalidValueError(
                    f"meaning's {name}", _short(value), "text" if kinds[name] is str else "a number"
                )
        return cls(**told)


UNKNOWN = Meaning("unknown", confidence=0.0)


@dataclass(frozen=True)
class Heard:
    """A sentence as it was understood."""

    text: str
    meanings: tuple[Meaning, ...]
    """In the order in which they are to be done; UNKNOWN alone where it was not understood."""
    by: str
    """Who understood it: 'grammar', 'lexicon', 'names', 'model', or 'nobody'."""
    nearest: tuple[Meaning, ...] = ()
    """What it may have meant, likeliest first, where one has to ask."""
    why: str = ""
    """Why it was not understood, in words."""

    @property
    def understood(self) -> bool:
        return bool(self.meanings) and all(meaning.reading != "unknown" for meaning in self.meanings)

    @property
    def readings(self) -> list[str]:
        return [meaning.reading for meaning in self.meanings]

    @property
    def words(self) -> str:
        """What was understood, in plain English."""
        return ", then ".join(meaning.words for meaning in self.meanings)

    def to_json(self) -> Json:
        """As a program reads it."""
        told: Json = {
            "readings": self.readings,
            "meanings": [meaning.to_json() for meaning in self.meanings],
            "by": self.by,
        }
        if not self.understood:
            told |= {"nearest": [meaning.to_json() for meaning in self.nearest], "why": self.why}
        return told


def meanings_told(told: object, what: str = "meanings") -> tuple[Meaning, ...]:
    """A list of meanings as it was recorded, or as a program tells it.

    Raises:
        InvalidValueError: no list of up to MOST meanings, or one that Meaning.of_json refuses.
        UnknownNameError: as Meaning.of_json does.
    """
    if isinstance(told, str) or not isinstance(told, Sequence) or len(told) > MOST:
        raise InvalidValueError(what, _short(told), f"a list of up to {MOST} meanings")
    return tuple(Meaning.of_json(each) for each in told)


def meanings_of(event: Feedback) -> tuple[Meaning, ...] | None:
    """What an event says that a sentence means; None, with a line in the log, where that cannot be."""
    try:
        return meanings_told(event.payload.get("meanings", ()))
    except (InvalidValueError, UnknownNameError) as error:
        log.warning("what is said of sentence %.80r is passed over: %s", event.payload.get("sentence"), error)
        return None


def names_goal(meaning: Meaning) -> bool:
    """Whether it says what is wanted, or where, for a director who takes goals."""
    said = meaning.reading == "goal" or meaning.skill == "grasp"
    return said and meaning.skill in GOAL_SKILLS and bool(meaning.thing or meaning.place)


def not_understood(text: str, why: str, nearest: Sequence[Meaning] = ()) -> Heard:
    """A sentence that one has to ask about. To stop is never offered: a click would make its words mean that."""
    offered = [meaning for meaning in nearest if meaning.reading != "stop" or meaning.skill]
    return Heard(text, (UNKNOWN,), "nobody", tuple(offered[:3]), why)


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _short(value: object) -> str:
    return repr(value)[:NAME_LENGTH]
