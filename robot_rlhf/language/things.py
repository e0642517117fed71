"""Which of the things of a place a noun and its adjectives mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from robot_rlhf.facts import FactBook, Thing
from robot_rlhf.language.english import ENGLISH
from robot_rlhf.language.table import split
from robot_rlhf.language.vocabulary import tokens

SIDES = ("left", "right", "front", "back", "top", "bottom", "near", "middle")
"""What sets things apart in their names, beside the adjectives of the tables."""
CONTAINERS = frozenset({"bowl", "basket", "plate", "cup"})
"""What a place for things may be called that is one of them."""
_ARTICLES = frozenset({"the", "a", "an", "of", "s"})
_NOUNS = {word: concept for concept, words in ENGLISH.nouns.items() for word in split(words)}
_ADJECTIVES = {word: concept for concept, words in ENGLISH.adjectives.items() for word in split(words)}
_USUAL = (
    Thing("cube", ("the cube",), graspable=True),
    Thing("block", ("the block",), graspable=True),
    Thing("puck", ("the puck", "the disc")),
    Thing("ring", ("the ring", "the goal", "the target")),
    Thing("glass", ("the glass",)),
    Thing("lamp", ("the lamp",)),
    Thing("drawer", ("the drawer",)),
    Thing("handle", ("the handle", "the drawer's handle")),
    Thing("peg", ("the peg",), graspable=True),
    Thing("hole", ("the hole",)),
    *(Thing(f"{c}_block", (f"the {c} block", f"the {c} one"), True) for c in ("red", "green", "blue", "yellow")),
    *(Thing(f"{side}_bowl", (f"the {side} bowl",)) for side in ("left", "right")),
)


def concept_of(noun: str) -> str:
    """The usual English noun for one; itself where it is not known."""
    return _NOUNS.get(noun, noun)


def usual_facts() -> FactBook:
    """Of no place: things that people usually talk about."""
    return FactBook([], things=_USUAL)


class Things:
    """The things of one place, by what they can be called."""

    def __init__(self, things: Iterable[Thing]) -> None:
        self._nouns: dict[str, set[str]] = {}
        self._concepts: dict[str, set[str]] = {}
        self._adjectives: dict[str, set[str]] = {}
        for thing in things:
            self._adjectives[thing.name] = set()
            for words in (*thing.words, thing.name.replace("_", " ")):
                self._note(thing.name, [word.removesuffix("'s") for word in tokens(words)])
        self.words: Mapping[str, str] = {word: word for word in self._nouns}
        """Nouns of the place."""

    def _note(self, name: str, words: list[str]) -> None:
        plain = [word for word in words if word not in _ARTICLES]
        *before, noun = plain or [name]
        if noun == "one":  # "the red one"
            before = plain
        elif noun not in _ADJECTIVES:
            self._nouns.setdefault(noun, set()).add(name)
            self._concepts.setdefault(_NOUNS.get(noun, noun), set()).add(name)
        self._adjectives[name] |= {_ADJECTIVES.get(word, word) for word in (*before, noun) if word != "one"}

    def find(self, noun: str, concept: str, adjectives: Iterable[str]) -> str | None:
        """The name of the one thing that is meant.

        Args:
            noun: as it was said; empty for 'one'.
            concept: the English noun for it; empty where the tables do not know it.
            adjectives: in English.

        Returns:
            An empty name where several are meant; None where there is no such thing.
        """
        wanted = set(adjectives)
        groups = (self._nouns.get(noun, set()), self._concepts.get(concept or noun, set()))
        if not noun:
            groups = (set(self._adjectives),)
        for group in groups:
            fitting = [name for name in group if wanted <= self._adjectives[name]]
            plain = [name for name in fitting if self._adjectives[name] <= {*wanted, noun, concept}]
            if len(fitting) == 1 or (len(plain) == 1 and not wanted):
                return (fitting if len(fitting) == 1 else plain)[0]
            if fitting:
                return ""
        if noun and concept in ("drawer", "handle", "cabinet") and not wanted:  # a drawer is moved by its handle
            return next((name for other in ("handle", "drawer") for name in self._concepts.get(other, ())), None)
        return None

    def has_side(self, side: str, noun: str, concept: str) -> bool:
        """Whether things of that name are told apart by their side."""
        names = self._nouns.get(noun, set()) | self._concepts.get(concept or noun, set())
        return any(side in self._adjectives[name] for name in (names if noun else self._adjectives))


@lru_cache(maxsize=32)
def things_of(things: tuple[Thing, ...]) -> Things:
    """As Things, made once for each place."""
    return Things(things)
