"""How a sentence was read, as the record and the wire carry it, and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from robot_rlhf.errors import InvalidValueError, UnknownNameError
from robot_rlhf.meaning import GRIPS, MOST, MOVES, RULES, SPEEDS, TURNS, Meaning, meanings_told

UNDONE, ASKS = "undone", "ask"
DOINGS = ("skill", "nudge", "label", "goal", "rule", "praise", "blame", "button", "undo", ASKS, "nothing", UNDONE)
"""What may be done about a sentence, in one word."""
ADVISES = frozenset({"skill", "nudge", "label"})
"""What leaves advice for a learner, whose share in the policy can be measured."""
LONGEST = {"sentence": 160, "by": 80, "why": 400, "undoes": 160}
"""Letters of each text; of a longer `why` the rest is left out."""
_JUDGED = {"good": "praise", "bad": "blame", "rule": "rule"}


@dataclass(frozen=True)
class Reading:
    """What one sentence was taken for, and what is done about it; a later one of the same sentence replaces it."""

    sentence: str
    """Its name: the episode that it was said in, and a number."""
    doing: str
    """One of DOINGS."""
    meanings: tuple[Meaning, ...] = ()
    by: str = ""
    """Who understood it, or chose what it means."""
    why: str = ""
    """Why nothing is done, or why one has to ask."""
    nearest: tuple[Meaning, ...] = ()
    """What it may have meant, likeliest first."""
    undoes: str = ""
    """The sentence that it takes back."""

    def __post_init__(self) -> None:
        if self.doing not in DOINGS:
            raise UnknownNameError("what is done about a sentence", str(self.doing)[:40], DOINGS)
        for name, most in LONGEST.items():
            said = getattr(self, name)
            if not isinstance(said, str) or len(said) > most:
                raise InvalidValueError(f"Reading.{name}", repr(said)[:60], f"text of up to {most} letters")
        if not self.sentence:
            raise InvalidValueError("Reading.sentence", "nothing", "the name of a sentence")
        for name, given in (("meanings", self.meanings), ("nearest", self.nearest)):
            if len(given) > MOST:
                raise InvalidValueError(f"Reading.{name}", f"{len(given)} of them", f"up to {MOST}")

    @staticmethod
    def of_payload(told: Mapping[str, Any]) -> Reading:
        """From Feedback.payload of a MEANING.

        Raises:
            InvalidValueError: something is missing, of another type, too long, or not known.
            UnknownNameError: no such reading, skill, rule, or thing to do.
        """
        known = {"sentence", "doing", "meanings", "by", "why", "nearest", "undoes"}
        if not {"sentence", "doing"} <= set(told) <= known:
            names = ", ".join(sorted(str(name)[:20] for name in told))[:200]
            raise InvalidValueError("payload of a meaning", names, f"sentence, doing, and some of {sorted(known)}")
        texts = {name: told[name] for name in ("by", "why", "undoes") if told.get(name) is not None}
        if isinstance(texts.get("why"), str):
            texts["why"] = texts["why"][: LONGEST["why"]]
        meanings, nearest = (meanings_told(told.get(name, []), f"payload's {name}") for name in ("meanings", "nearest"))
        return Reading(told["sentence"], told["doing"], meanings, nearest=nearest, **texts)

    def to_payload(self) -> dict[str, Any]:
        """The inverse: what is not said is left out."""
        told: dict[str, Any] = {
            "sentence": self.sentence,
            "by": self.by,
            "meanings": [meaning.to_json() for meaning in self.meanings],
            "doing": self.doing,
        }
        nearest = [meaning.to_json() for meaning in self.nearest]
        also = {"why": self.why, "undoes": self.undoes, "nearest": nearest}
        return told | {name: said for name, said in also.items() if said}

    @property
    def asks(self) -> bool:
        """Nobody has said yet what it means."""
        return self.doing == ASKS and all(meaning.reading == "unknown" for meaning in self.meanings)

    @property
    def meant(self) -> str:
        """What it means, in plain English; empty where that is nothing."""
        return ", then ".join(meaning.words for meaning in self.meanings)

    @property
    def words(self) -> str:
        """What is done about it, in plain English, short."""
        meant = self.meant
        if self.asks:
            return f"Not understood{': ' if self.why else ''}{self.why}"
        if self.doing == "nothing":
            return f"nothing{': ' if self.why else ''}{self.why}"
        if self.doing == UNDONE:
            return f"taken back{' by ' if self.by else ''}{self.by}"
        said = {
            "nudge": f"nudging {meant}",
            "label": f"for what was: {meant}",
            "praise": "praise",
            "blame": "blame",
            "undo": "takes back what was said before",
        }
        done = said.get(self.doing) or meant or self.doing
        return f"{done} ({self.why})" if self.why else done  # of several parts some cannot be

    def called(self, things: Mapping[str, str]) -> Reading:
        """The same as people say it. Args: things: what they call each thing, by its name."""

        def say(meanings: tuple[Meaning, ...]) -> tuple[Meaning, ...]:
            return tuple(
                replace(m, thing=things.get(m.thing, m.thing), place=things.get(m.place, m.place)) for m in meanings
            )

        return replace(self, meanings=say(self.meanings), nearest=say(self.nearest))

    def undone(self, by: str) -> Reading:
        """It is taken back."""
        return Reading(self.sentence, UNDONE, by=by)

    def chosen(self, meaning: Meaning, by: str) -> Reading:
        """Somebody answers what it means; what is done about that is not for them to say."""
        return replace(self, doing=ASKS, meanings=(replace(meaning, confidence=1.0),), by=by, why="")

    def corrected(self, meaning: Meaning, by: str) -> Reading:
        """Somebody says afterwards what it meant: that is about what was, and for the learner."""
        doing = _JUDGED.get(meaning.reading, "label")
        return Reading(self.sentence, doing, (replace(meaning, confidence=1.0),), by)


def readings(things: Sequence[str]) -> tuple[Meaning, ...]:
    """Everything that a person may choose from, to say what a sentence meant; the commonest first.

    Args:
        things: names of what may be spoken of.
    """
    plain = [Meaning(reading) for reading in (*MOVES, *TURNS, *GRIPS, *SPEEDS, "good", "bad")]
    one = [Meaning(_MOVES.get(skill, "goal"), skill=skill, thing=thing) for thing in things for skill in _WITH_ONE]
    pairs = [(a, b) for a in things for b in things if a != b]
    two = [Meaning("goal", skill=skill, thing=a, place=b) for a, b in pairs for skill in ("push_to", "put_in")]
    near = [Meaning("rule", rule=rule, thing=thing) for thing in things for rule in RULES]
    return (*plain, Meaning("up", skill="lift"), *one, *near, *two)[:MOST_CHOICES]


_WITH_ONE = ("above", "down_on", "to", "away_from", "grasp")
_MOVES = {"down_on": "down", "grasp": "close"}
"""Skills that are read as motions, too."""
MOST_CHOICES = 150
