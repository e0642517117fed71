"""What no likeness and no model may turn round: a sentence that says left is never read as right."""

from __future__ import annotations

import re
from collections.abc import Iterable

from robot_rlhf.meaning import OPPOSITE, Meaning

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
STOPS = frozenset({"stop", "halt", "freeze", "whoa", "abort", "emergency"})
"""Of a sentence with one of these nobody is asked who answers late."""
_HOLD = re.compile(r"\bhold\W*(?:$|on\b|it\b|still\b)")
_NEGATIONS = frozenset(
    ("not", "no", "never", "too", "less", "instead", "stop", "without", "avoid", "away", "wrong", "dont", "isnt")
)
"""A sentence with one of these may well mean the opposite of a word in it."""
_SAID = {
    "left": "left leftward leftwards",
    "right": "right rightward rightwards",
    "forward": "forward forwards ahead",
    "back": "back backward backwards",
    "up": "up upward upwards higher raise",
    "down": "down downward downwards lower",
    "open": "open release",
    "close": "close shut",
    "slower": "slow slower slowly",
    "faster": "fast faster quick quicker quickly",
    "good": "good great perfect",
    "bad": "bad terrible awful",
}
_READING_OF = {word: reading for reading, words in _SAID.items() for word in words.split()}
_TURNED = {"turn_left": "left", "turn_right": "right"}
ANTONYMS = (
    *(("left", "right"), ("front", "back"), ("forward", "back"), ("top", "bottom"), ("up", "down")),
    *(("upper", "lower"), ("above", "below"), ("over", "under"), ("open", "closed"), ("open", "close")),
    *(("inside", "outside"), ("in", "out"), ("near", "far"), ("big", "small"), ("large", "small"), ("large", "little")),
    *(("big", "little"), ("first", "last"), ("first", "second"), ("tall", "short"), ("full", "empty")),
    *(("hot", "cold"), ("slow", "fast"), ("slower", "faster"), ("black", "white"), ("light", "dark")),
    *(("inner", "outer"), ("start", "end"), ("push", "pull"), ("fill", "empty"), ("on", "off"), ("long", "short")),
)
"""Words that tell two things apart: what is called by the one is never meant by the other."""
COLOURS = frozenset(
    ("red", "green", "blue", "yellow", "orange", "purple", "pink", "brown", "black", "white", "grey", "gray")
)
"""Likewise: what is called by one of these is not meant by another one."""
_OF = {
    **{word: set[str]() for pair in ANTONYMS for word in pair},
    **{colour: {*COLOURS} - {colour} for colour in COLOURS},
}
for _one, _other in ANTONYMS:
    _OF[_one].add(_other)
    _OF[_other].add(_one)
for _one, _other in (("grey", "gray"),):  # one colour
    _OF[_one].discard(_other)
    _OF[_other].discard(_one)


def words_of(text: str) -> list[str]:
    """The words in lower case, apostrophes in them kept."""
    return WORD.findall(text.lower().replace("’", "'"))


def says_stop(text: str) -> bool:
    """Whether a word of it may be a stop."""
    return not STOPS.isdisjoint(words_of(text)) or bool(_HOLD.search(text.lower()))


def contradicts(text: str, meanings: Iterable[Meaning]) -> str:
    """What a reading turns round of a sentence, in words; empty where it turns nothing round.

    Only of what is plainly said: a sentence that denies something is left to whoever understands it.
    """
    words = {*words_of(text)}
    if words & _NEGATIONS or any(word.endswith("n't") for word in words):
        return ""
    said = {_READING_OF[word] for word in words if word in _READING_OF}
    for meaning in meanings:
        for reading in {meaning.reading, meaning.rule, meaning.skill}:
            plain = _TURNED.get(reading, reading)
            opposite = OPPOSITE.get(plain, "")
            if opposite in said and plain not in said:
                return f"it says {opposite}, and was read as {reading.replace('_', ' ')}"
    return ""


def opposed(said: str, name: str) -> bool:
    """Whether a word of the one is never meant by a word of the other, and is not said of both."""
    here, there = {*words_of(said)}, {*words_of(name)}
    return any(_OF.get(word, set[str]()) & (there - here) for word in here - there)
