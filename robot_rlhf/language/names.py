"""Names that the grammar does not know, put in words that it does: "grab the lightbulb" where there is a lamp.

Only a name is ever replaced, and only the grammar says what a sentence means: the encoder never reads a direction.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from robot_rlhf.facts import FactBook, Thing
from robot_rlhf.language.vetoes import WORD, says_stop
from robot_rlhf.meaning import Heard, Meaning, not_understood
from robot_rlhf.ports import Interpreter

LONGEST = 200
"""Letters of a sentence in which names are looked for."""
WORDS = 3
"""Of a name."""
NAMES = 2
"""In one sentence: a thing and a place."""
ALIKE = 0.7
"""How near by its letters a word may be to one for a direction and still be a name: a mistyped direction is none."""
ARTICLES = frozenset(("the", "a", "an", "that", "this", "those", "these", "my", "your", "our", "its"))
_PLACES = ("to", "near", "from", "at", "above", "over", "behind", "onto", "on", "in", "into", "of", "towards", "with")
_VERBS = ("grab", "take", "pick", "grasp", "get", "push", "move", "touch", "lift", "hold", "avoid", "approach", "pull")
BEFORE = ARTICLES | {*_PLACES, *_VERBS}
"""What names stand behind."""
DIRECTIONS = (
    *("left", "right", "forward", "forwards", "back", "backward", "backwards", "up", "down", "upward", "downward"),
    *(
        "open",
        "close",
        "slower",
        "faster",
        "higher",
        "lower",
        "stop",
        "leftwards",
        "rightwards",
        "upwards",
        "downwards",
    ),
)


@dataclass(frozen=True)
class Match:
    """What a name was found to be like."""

    name: str
    """The thing's; empty where it is not clear."""
    cosine: float
    """Of the likest thing that may be meant; 0 without any."""
    nearest: tuple[str, ...] = ()
    """Things by name, the likest first."""
    why: str = ""
    """Why it is not clear, in words."""


class Matcher(Protocol):
    """Finds the thing that a name means among those of a place."""

    def prepare(self, things: Iterable[Thing]) -> None:
        """Look at what the things of a place are called, so that no sentence has to wait for it."""
        ...

    def find(self, name: str, things: Sequence[Thing]) -> Match:
        """The thing that is meant, where that is clear. Args: name: as it was said, without an article."""
        ...


@dataclass(frozen=True)
class _Unknown:
    """A name in a text that nobody knows, with its article."""

    start: int
    end: int
    name: str


class Names:
    """An Interpreter around another one, for sentences with names that the other does not know.

    Such a name is replaced by that of the thing it clearly means. Where that is not clear nothing is done with things:
    "grab the banana" is no order to grab whatever is there.
    """

    def __init__(self, inner: Interpreter, likeness: Matcher | None, knows: Callable[[str], bool]) -> None:
        """
        Args:
            inner: what reads a sentence once its names are known.
            likeness: what finds out which thing is meant; None asks the person.
            knows: whether a word, in lower case, is one that `inner` knows.
        """
        self._inner = inner
        self._likeness = likeness
        self._knows = knows

    def prepare(self, facts: FactBook) -> None:
        """Look at the names of a place before anything is said there."""
        if self._likeness is not None:
            self._likeness.prepare(facts.things.values())

    def read(self, text: str, facts: FactBook) -> Heard:
        things = tuple(facts.things.values())
        unknown = [] if len(text) > LONGEST or not things or says_stop(text) else [*self._unknown(text, things)]
        if not unknown:
            return self._inner.read(text, facts)
        if len(unknown) > NAMES:
            return self._unclear(text, facts, f"{len(unknown)} unknown names, at most {NAMES}", ())
        matches = [self._match(each.name, things) for each in unknown]
        for match in matches:
            if not match.name:
                offered = () if len(unknown) > 1 else self._nearest(text, facts, unknown, match)
                return self._unclear(text, facts, match.why, offered)
        names = [match.name for match in matches]
        heard = self._inner.read(_renamed(text, unknown, [facts.things[name] for name in names]), facts)
        about = {name for meaning in heard.meanings for name in (meaning.thing, meaning.place)}
        if not heard.understood or not {*names} <= about:
            return self._unclear(text, facts, f"it is not clear what to do with {_spaced(names[0])}", heard.nearest)
        sure = round(min(max(match.cosine, 0.0) for match in matches), 3)
        meanings = tuple(replace(each, confidence=min(each.confidence, sure, 1.0)) for each in heard.meanings)
        return Heard(text, meanings, "names")

    def _match(self, name: str, things: Sequence[Thing]) -> Match:
        if self._likeness is None:
            return Match("", 0.0, tuple(thing.name for thing in things), f"{name!r} is not known here")
        return self._likeness.find(name, things)

    def _unclear(self, text: str, facts: FactBook, why: str, nearest: Sequence[Meaning]) -> Heard:
        """What the sentence says without its names, unless that is about things."""
        heard = self._inner.read(text, facts)
        if any(meaning.skill or meaning.rule or meaning.reading == "goal" for meaning in heard.meanings):
            return not_understood(text, why, nearest)
        return heard if heard.understood else not_understood(text, why, [*nearest, *heard.nearest])

    def _unknown(self, text: str, things: Sequence[Thing]) -> Iterator[_Unknown]:
        """Runs of words that nobody knows behind a word that a name stands behind, one known word between."""
        own = {word for thing in things for said in (thing.name.replace("_", " "), *thing.words) for word in _in(said)}
        found = [*WORD.finditer(text)]
        words = [match.group().lower().replace("’", "'") for match in found]
        known = [word in own or word in BEFORE or word.isdigit() or self._knows(word) for word in words]
        at = 0
        while at < len(words):
            if known[at] or len(words[at]) < 3:
                at += 1
                continue
            end = at + 1
            while end < len(words) and not known[end] and not _parted(text, found[end - 1], found[end]):
                end += 1
            first = self._first(text, found, words, at)
            apart = [word for word in words[at:end] if difflib.get_close_matches(word, DIRECTIONS, 1, ALIKE)]
            if first is not None and not apart and end - first <= WORDS:
                article = first - 1 if words[first - 1] in ARTICLES else first
                yield _Unknown(found[article].start(), found[end - 1].end(), " ".join(words[first:end]))
            at = end

    @staticmethod
    def _first(text: str, found: Sequence[re.Match[str]], words: Sequence[str], at: int) -> int | None:
        """Where the name begins whose unknown part begins at `at`; None where it stands behind nothing fitting."""
        if at > 1 and words[at - 1] not in BEFORE and words[at - 2] in ARTICLES:  # "the left jar"
            return None if _parted(text, found[at - 2], found[at]) else at - 1
        return at if at and words[at - 1] in BEFORE and not _parted(text, found[at - 1], found[at]) else None

    def _nearest(self, text: str, facts: FactBook, unknown: Sequence[_Unknown], match: Match) -> list[Meaning]:
        """What it would mean with each of the things that are the likest."""
        offered: list[Meaning] = []
        for name in match.nearest[:3]:
            heard = self._inner.read(_renamed(text, unknown, [facts.things[name]]), facts)
            if heard.understood:
                offered += [each for each in heard.meanings if name in (each.thing, each.place)][:1]
        return offered


def _parted(text: str, one: re.Match[str], other: re.Match[str]) -> bool:
    """Whether something else than blanks is between two words."""
    return bool(re.search(r"[^\w\s'’-]", text[one.end() : other.start()]))


def _renamed(text: str, unknown: Sequence[_Unknown], things: Sequence[Thing]) -> str:
    """The text with things in the place of names."""
    for each, thing in zip(reversed(unknown), reversed(things), strict=True):
        text = f"{text[: each.start]}{thing.called}{text[each.end :]}"
    return text


def _in(said: str) -> list[str]:
    return [word.lower() for word in WORD.findall(said)]


def _spaced(name: str) -> str:
    return name.replace("_", " ")
