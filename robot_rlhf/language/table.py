"""What a language is: one table of words, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from robot_rlhf.errors import InvalidValueError
from robot_rlhf.meaning import GRIPS, MOVES, SPEEDS, TURNS

Words = Mapping[str, str]
"""Value to the words and phrases for it, with commas between them."""

VALUES: Mapping[str, tuple[str, ...]] = {
    "move": MOVES,
    "turn": TURNS,
    "grip": GRIPS,
    "pace": SPEEDS,
    "state": (*MOVES, *GRIPS, *SPEEDS),
    "verdict": ("good", "bad"),
    "order": ("stop", "alone", "quit", "wait", "retry", "again", "undo"),
    "negate": ("not", "dont", "no", "too", "drift", "less", "enough", "short"),
    "amount": ("small", "large", "very"),
    "verb": (
        *("go", "turn", "put", "push", "pull", "pick", "grab", "hold", "lift", "drop", "put_down", "keep", "avoid"),
        *("touch", "approach", "get", "speed"),
    ),
    "at": ("above", "onto", "to", "away", "behind", "near", "in", "of", "from", "far", "seen"),
    "rule": ("always", "never", "from_above"),
    "frame": ("view", "base", "tool"),
    "who": ("you", "robot", "me", "other"),
    "is": ("is", "need"),
    "thing": ("it", "one", "the"),
    "link": ("and", "or", "then", "fix", "instead", "if"),
    "word": ("more", "manner", "yes", "filler", "question", "nothing"),
}
"""Role to the values that words of that role can have: every language fills in all of them.

state: how something is ("too low"); order alone: stops, where nothing else is said in one breath; quit: stops, or turns
what is said with it into its opposite; negate drift: what is complained of ("drifting left"); short: "not enough";
verb turn: turns the wrist when it is said with left or right; at seen: "as seen from"; who other: neither the robot
nor whoever speaks to it; link fix: takes back what was said before; word manner: how a motion is done, and slower where
none is said; word nothing: known, and about nothing here."""

UNITS = ("m", "cm", "mm", "inch", "degree", "percent")


@dataclass(frozen=True)
class Language:
    """Everything that the grammar knows of a language."""

    name: str
    """Short, as in 'en'."""
    called: str
    signs: Mapping[str, Words]
    """Role to value to words: see VALUES."""
    nouns: Words
    """What things are called; the keys are English, and the same in all languages."""
    adjectives: Words
    """What sets things apart; likewise."""
    numbers: Mapping[str, float]
    units: Words
    expanded: Mapping[str, str]
    """Contractions to what they stand for."""
    ordinary: str
    """Words that are near some of the others by their letters and mean nothing here: no typing errors."""
    gerund: str
    """How verbs end that can follow a word for stopping without stopping anything; empty where there are none."""
    hints: Words
    """Phrases that are understood by themselves alone as a question back, to the readings to offer."""
    manners: Sequence[tuple[str, str, str]] = ()
    """Turns of phrase around an order: words of which one has to be there, a regular expression over the text's words
    with single spaces between them, and the plain words that stand for it. In this order, each everywhere in it."""

    def __post_init__(self) -> None:
        for role, values in VALUES.items():
            given = tuple(self.signs.get(role, ()))
            if sorted(given) != sorted(values):
                raise InvalidValueError(f"language {self.name!r}: words of role {role!r}", given, ", ".join(values))
        if sorted(self.units) != sorted(UNITS):
            raise InvalidValueError(f"language {self.name!r}: units", tuple(self.units), ", ".join(UNITS))


def split(words: str) -> tuple[str, ...]:
    """Words and phrases of a list with commas between them."""
    return tuple(word for part in words.split(",") if (word := " ".join(part.split())))
