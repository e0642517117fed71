"""Which thing is wanted where, in whatever words: for places whose goal is to be named, and nothing else is meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from robot_rlhf.facts import FactBook
from robot_rlhf.language.choice import grammar_of
from robot_rlhf.language.grammar import LONGEST
from robot_rlhf.language.signs import signs_of
from robot_rlhf.language.things import CONTAINERS, concept_of, things_of
from robot_rlhf.language.vocabulary import Sign
from robot_rlhf.meaning import Heard, Meaning, not_understood

_BRINGS = frozenset({"", "grasp", "close", "lift", "open", "put_in", "push_to", "to", "down_on"})
"""Skills of sentences that may only say which thing is wanted where."""
_READS = frozenset({"goal", "close", "open", "up", "down", "good", "bad", "undo"})
MOST_UNKNOWN = 4
"""Words of a sentence that nobody knows, with which it may still be clear what is wanted."""


@dataclass(frozen=True)
class _Wanted:
    thing: str
    place: str
    missing: str
    """What is named, and not there."""


class Wanted:
    """Reads a sentence once more where goals are taken: what it names that can be grasped is wanted, what else it names
    is where. So it may be said in any words, "yeet the blue one into the left bowl"; a thing that is not there, or none
    that is clear, is asked about."""

    def __init__(self, languages: Sequence[str], facts: FactBook) -> None:
        self._vocabularies = [grammar_of(name).vocabulary for name in languages]
        self._things = things_of(tuple(facts.things.values()))
        self._graspable = {name for name, thing in facts.things.items() if thing.graspable}

    def read(self, heard: Heard) -> Heard:
        """The same, or the goal that is meant. Args: heard: what the interpreter made of it."""
        if len(heard.text) > LONGEST or not all(_may_be(meaning) for meaning in heard.meanings):
            return heard
        for vocabulary in self._vocabularies:
            signs = signs_of(heard.text, vocabulary, self._things)
            named = [sign for sign in signs if sign.role == "named"]
            if named:
                return self._read(heard, signs)
        return heard

    def _read(self, heard: Heard, signs: Sequence[Sign]) -> Heard:
        said = [sign for sign in signs if sign.role != "break"]
        asks = said[0].value == "question" or any((s.role, s.value) == ("link", "if") for s in said)
        if asks or sum(sign.role == "unknown" for sign in said) > MOST_UNKNOWN:
            return heard
        wanted = self._wanted(signs)
        if wanted is None or not (wanted.thing or wanted.place):
            why = (
                f"there is no {wanted.missing} here" if wanted and wanted.missing else "it is not clear what is wanted"
            )
            return not_understood(heard.text, why, [Meaning("goal", thing=name) for name in sorted(self._graspable)])
        asked = [meaning for meaning in heard.meanings if meaning.reading not in ("good", "bad", "undo")]
        proceeds = any(sign.text == "with" for sign in said)  # "continue with the green one" is not "to the green one"
        if heard.understood and _says(asked, wanted) and not proceeds:
            return heard
        skill = "put_in" if wanted.place else ""
        goal = Meaning("goal", skill=skill, thing=wanted.thing, place=wanted.place)
        before = (
            [each for each in heard.meanings if each.reading in ("good", "bad", "undo")] if heard.understood else []
        )
        return Heard(heard.text, (*before, goal), heard.by if heard.understood else "grammar")

    def _wanted(self, signs: Sequence[Sign]) -> _Wanted | None:
        """What is named and not denied; None where it is several things, or one that is not there."""
        names = [
            self._resolved(sign) for at, sign in enumerate(signs) if sign.role == "named" and not _denied(signs, at)
        ]
        missing = next((sign.text for name, sign in names if not name and sign.number < 0), "")
        things = list(dict.fromkeys(name for name, _ in names if name in self._graspable))
        places = list(dict.fromkeys(name for name, _ in names if name and name not in self._graspable))
        if missing or len(things) > 1 or len(places) > 1:
            return _Wanted("", "", missing)
        return _Wanted(next(iter(things), ""), next(iter(places), ""), "")

    def _resolved(self, sign: Sign) -> tuple[str, Sign]:
        """Its name; of "the right container" where there are only bowls that of the right one."""
        *before, noun = sign.text.split()
        if sign.value or sign.number >= 0.0 or concept_of(noun) not in CONTAINERS:
            return sign.value, sign
        return self._place(before), sign

    def _place(self, sides: Sequence[str]) -> str:
        name = self._things.find("", "", sides)
        return name if name and name not in self._graspable else ""


def _may_be(meaning: Meaning) -> bool:
    return meaning.reading == "unknown" or (
        meaning.reading in _READS and meaning.skill in _BRINGS and (bool(meaning.skill) or meaning.amount is None)
    )


def _says(asked: Sequence[Meaning], wanted: _Wanted) -> bool:
    """Whether meanings say just that."""
    names = {(meaning.thing, meaning.place) for meaning in asked}
    return len(asked) == 1 and names <= {(wanted.thing, wanted.place), (wanted.place, wanted.thing)}


def _denied(signs: Sequence[Sign], at: int) -> bool:
    """Whether a name is that of what is not wanted: "not the green one", "instead of the green one"."""
    for sign in reversed(signs[:at]):
        if sign.role in ("negate", "link") and sign.value in ("not", "dont", "instead"):
            return True
        if sign.role not in ("verb", "it", "at", "adjective", "who", "is"):
            return False
    return False
