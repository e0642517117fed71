"""A language's table, made ready to find its words in a text in one pass."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from robot_rlhf.language.table import Language, split

SHORTEST_TYPO = 4
"""Letters of words in which an error of typing is looked for."""
LONGEST_SHORT = 5
"""Letters of words that are other words with one letter changed."""
LONGEST_WORD = 24
_KEYS = (("qwertyuiop", 0.0), ("asdfghjkl", 0.25), ("zxcvbnm", 0.75))
"""Rows of a keyboard, and how far each is shifted, in keys."""
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
_QUOTES = str.maketrans({"’": "'", "‘": "'", "`": "'", "´": "'", "“": '"', "”": '"'})
_MARKUP = re.compile(r"<[^<>]{0,200}>|\x1b\[[\d;]{0,20}[A-Za-z]")
_TOKENS = re.compile(r"\d+(?:[.,]\d+)?|[^\W\d_]+(?:'[^\W\d_]+)*'?|[°%]|[.,;:!?…—–\n]|(?<=\s)-(?=\s)")
_STRETCHED = re.compile(r"(.)\1{2,}")
_DOUBLED = re.compile(r"(.)\1$")
_LETTERS = re.compile(r"[^\W\d_]{4,}")
_SPACES = re.compile(" {2,}")
_UNSEEN = frozenset({"Mn", "Cf"})
"""Kinds of letters that are accents of others, or have no width."""
_BREAKS = frozenset(".,;:!?…—–\n-")


@dataclass(frozen=True, slots=True)
class Sign:
    """A word or phrase of a text, and what it is."""

    role: str
    """One of table.VALUES; or noun, adjective, number, unit, break (punctuation), unknown."""
    value: str
    text: str
    number: float = 0.0


def folded(text: str) -> str:
    """Without case, accents and what nobody sees, as texts are compared."""
    plain = unicodedata.normalize("NFKD", text.translate(_QUOTES).casefold())
    if plain.isascii():
        return plain
    return "".join(letter for letter in plain if unicodedata.category(letter) not in _UNSEEN)


@lru_cache(maxsize=16)
def tokens(text: str) -> tuple[str, ...]:
    """Words, numbers, units and punctuation, folded. In time linear in the text's length."""
    return tuple(_TOKENS.findall(folded(_MARKUP.sub(" , ", text))))


def is_break(token: str) -> bool:
    return token in _BREAKS


class Vocabulary:
    """The words of one language: which phrase begins at a token, and which known word a mistyped one is."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._phrases: dict[str, tuple[str, str]] = {}
        self._second: dict[str, tuple[str, str]] = {}
        self._longest: dict[str, int] = {}
        for role, value, phrase in entries(language):
            self._add(phrase, role, value)
        self._numbers = {form: number for words, number in language.numbers.items() for form in forms(words)}
        for words in self._numbers:
            self._note_length(words)
        self.expanded = {form: tokens(long) for short, long in language.expanded.items() for form in forms(short)}
        self._manners = [
            (tuple(needs.split()), re.compile(rf"(?<!\S)(?:{pattern})(?!\S)"), plain)
            for needs, pattern, plain in language.manners
        ]
        self._ordinary = {form for word in split(language.ordinary) for form in forms(word)}
        self._polite = {word for _, pattern, _ in language.manners for word in _LETTERS.findall(pattern)}
        self._ordinary |= self._polite
        self._words = {word for phrase in (*self._phrases, *self._numbers) for word in phrase.split()}
        self._nearby = self._neighbours()
        self.spelled = lru_cache(maxsize=4_096)(self._spelled)
        """The word, or the known one that was meant where it is not known."""

    def _add(self, phrase: str, role: str, value: str) -> None:
        for form in forms(phrase):
            if self._phrases.setdefault(form, (role, value)) != (role, value):
                self._second.setdefault(form, (role, value))
            self._note_length(form)
            alike = form.split()
            if any(word in self.language.expanded for word in alike):
                long = " ".join(" ".join(tokens(self.language.expanded.get(word, word))) for word in alike)
                self._phrases.setdefault(long, (role, value))
                self._note_length(long)

    def _note_length(self, phrase: str) -> None:
        words = phrase.split()
        self._longest[words[0]] = max(self._longest.get(words[0], 1), len(words))

    def _neighbours(self) -> Mapping[str, frozenset[str]]:
        """What is left of a known word without one of its letters, to the words. Source: Garbe 2012, SymSpell."""
        found: dict[str, set[str]] = {}
        for phrase in self._phrases:
            if " " not in phrase and SHORTEST_TYPO <= len(phrase) <= LONGEST_WORD:
                for shorter in _shortened(phrase):
                    found.setdefault(shorter, set()).add(phrase)
        return {shorter: frozenset(words) for shorter, words in found.items()}

    def knows(self, text: str) -> bool:
        """Whether it is a phrase of the tables, or a word of one."""
        return text in self._phrases or text in self._words or text in self._polite

    def is_filler(self, word: str) -> bool:
        return self._phrases.get(word) == ("word", "filler")

    def phrase(self, words: Sequence[str], start: int) -> tuple[Sign, int] | None:
        """The longest known phrase that begins there, and of how many tokens it is."""
        for length in range(min(self._longest.get(words[start], 1), len(words) - start), 0, -1):
            text = " ".join(words[start : start + length])
            if (found := self._phrases.get(text)) is not None:
                return Sign(*found, text), length
        return None

    def otherwise(self, sign: Sign) -> Sign:
        """What a word is where it is not what it is first of all."""
        return renamed(sign, *self._second.get(sign.text, ("word", "nothing")))

    def number(self, words: list[str], start: int) -> tuple[Sign, int] | None:
        """A number in figures, or in words before a unit."""
        if words[start][0].isdecimal():  # a superscript is a digit, and no number
            return Sign("number", "", words[start], float(words[start].replace(",", "."))), 1
        for length in range(min(self._longest.get(words[start], 1), len(words) - start - 1), 0, -1):
            text = " ".join(words[start : start + length])
            after = self._phrases.get(words[start + length])
            if text in self._numbers and after is not None and after[0] == "unit":
                return Sign("number", "", text, self._numbers[text]), length
        return None

    def plain(self, words: list[str]) -> list[str]:
        """The words without the turns of phrase around what they say."""
        text = " ".join(words)
        for needs, pattern, plain in self._manners:
            if any(word in text for word in needs):
                text = _SPACES.sub(" ", pattern.sub(plain, text)).strip(" ")
        return text.split(" ") if text else []

    def _spelled(self, word: str) -> str:
        return word if word in self._words else self._corrected(word)

    def _corrected(self, word: str) -> str:
        """The known word that was meant by one with an error of typing; the word itself where that is not sure."""
        for shorter in (_STRETCHED.sub(r"\1\1", word), _STRETCHED.sub(r"\1", word), _DOUBLED.sub(r"\1", word)):
            if shorter != word and shorter in self._phrases:
                return shorter
        if not SHORTEST_TYPO <= len(word) <= LONGEST_WORD or word in self._ordinary:
            return word
        near = {known for shorter in (word, *_shortened(word)) for known in self._nearby.get(shorter, ())}
        near |= {shorter for shorter in _shortened(word) if len(shorter) >= SHORTEST_TYPO and shorter in self._phrases}
        near = {known for known in near if _is_slip(word, known)}
        meant = {self._phrases[known] for known in near}
        if len({value for _, value in meant}) == 1 and {role for role, _ in meant} == {"move", "state"}:
            return min(known for known in near if self._phrases[known][0] == "move")
        return min(near) if len(meant) == 1 else word


def entries(language: Language) -> Iterator[tuple[str, str, str]]:
    """(role, value, phrase) of everything in a table but numbers; of a phrase given twice the first comes first."""
    for role, values in sorted(language.signs.items(), key=lambda each: each[0] != "order"):
        for value, words in values.items():
            yield from ((role, value, phrase) for phrase in split(words))
    for role, words in (("noun", language.nouns), ("adjective", language.adjectives), ("unit", language.units)):
        yield from ((role, value, phrase) for value, phrases in words.items() for phrase in split(phrases))


@lru_cache(maxsize=20_000)
def forms(phrase: str) -> tuple[str, ...]:
    """A phrase as texts may have it: folded, and with umlauts as two letters."""
    both = (" ".join(tokens(form)) for form in (phrase, phrase.casefold().translate(_UMLAUTS)))
    return tuple(dict.fromkeys(form for form in both if form))


def _shortened(word: str) -> list[str]:
    return [word[:i] + word[i + 1 :] for i in range(len(word))]


def _is_slip(typed: str, known: str) -> bool:
    """One letter too many, too few, wrong, or two that changed places; the first stays, unless it changed places."""
    if abs(len(typed) - len(known)) > 1:
        return False
    first = next((i for i, (a, b) in enumerate(zip(typed, known, strict=False)) if a != b), min(len(typed), len(known)))
    swapped = typed[first : first + 2] == known[first : first + 2][::-1] and typed[first + 2 :] == known[first + 2 :]
    if swapped and len(typed) == len(known):
        return True
    if first == 0:
        return False
    if len(typed) == len(
        known
    ):  # in short words another letter makes another word, but for the key beside the right one
        likely = len(known) > LONGEST_SHORT or _are_neighbours(typed[first], known[first])
        return likely and typed[first + 1 :] == known[first + 1 :]
    longer, shorter = (typed, known) if len(typed) > len(known) else (known, typed)
    return len(shorter) >= SHORTEST_TYPO - (typed == shorter) and longer[first + 1 :] == shorter[first:]


def _are_neighbours(one: str, other: str) -> bool:
    """Whether two keys touch."""
    places = [(row, keys.index(key) + shift) for key in (one, other) for row, (keys, shift) in _rows_of(key)]
    return len(places) == 2 and all(abs(a - b) <= 1.0 for a, b in zip(*places, strict=True))


def _rows_of(key: str) -> list[tuple[int, tuple[str, float]]]:
    return [(number, row) for number, row in enumerate(_KEYS) if key in row[0]]


def renamed(sign: Sign, role: str, value: str) -> Sign:
    """The same words, taken as something else."""
    return Sign(role, value, sign.text, sign.number)
