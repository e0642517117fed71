"""From a text to its signs: words and phrases with what they are, names of things found, fillers left out."""

from __future__ import annotations

from collections.abc import Collection

from robot_rlhf.language.things import Things
from robot_rlhf.language.vocabulary import Sign, Vocabulary, is_break, renamed, tokens

_FIRM = frozenset({"move", "negate", "order", "link", "is"})
"""Roles that a thing's name does not take from a word."""
_SIDES = ("left", "right")
_MOST_ADJECTIVES = 5
"""Articles and adjectives of one name: a bound, so that reading takes time linear in the text."""


def signs_of(text: str, vocabulary: Vocabulary, things: Things) -> list[Sign]:
    """Args: things: of the place. Returns signs in the order of the text, without fillers."""
    found = [sign for sign in tagged(text, vocabulary, things.words) if sign.value != "filler"]
    measured = _measured(_named(found, things))
    plain = [renamed(sign, "it", "") if _is(sign, "thing", "it", "one") else sign for sign in measured]
    return [sign for sign in plain if sign.role != "thing"]


def tagged(text: str, vocabulary: Vocabulary, nouns: Collection[str] = ()) -> list[Sign]:
    """Every token of a text as part of a sign. Args: nouns: of the place, beside those of the language."""
    words: list[str] = []
    for token in tokens(text):
        words += vocabulary.expanded.get(token, (token,))
    words = [word if word in nouns or not word.isalpha() else vocabulary.spelled(word) for word in words]
    words = vocabulary.plain(words)
    found: list[Sign] = []
    at = 0
    while at < len(words):
        sign, length = _sign_at(words, at, vocabulary, nouns)
        if sign.role == "grip" and found and _describes(found[-1]):  # "too close"
            other = vocabulary.otherwise(sign)
            sign = other if other.role == "at" else sign
        found.append(sign)
        at += length
    return found


def _sign_at(words: list[str], at: int, vocabulary: Vocabulary, nouns: Collection[str]) -> tuple[Sign, int]:
    word = words[at]
    if is_break(word):
        return Sign("break", word, word), 1
    if (number := vocabulary.number(words, at)) is not None:
        return number
    phrase = vocabulary.phrase(words, at)
    if word in nouns and (phrase is None or (phrase[1] == 1 and phrase[0].role not in _FIRM)):
        return Sign("noun", phrase[0].value if phrase and phrase[0].role == "noun" else "", word), 1
    return phrase if phrase is not None else (Sign("unknown", "", word), 1)


def _named(signs: list[Sign], things: Things) -> list[Sign]:
    """Nouns with their adjectives become one sign: 'named', with the thing's name; number -1 for no such thing."""
    found: list[Sign] = []
    at = 0
    while at < len(signs):
        sign, length = _name_at(signs, at, things)
        found.append(sign)
        at += length
    return found


def _name_at(signs: list[Sign], start: int, things: Things) -> tuple[Sign, int]:
    at = start
    article = False
    adjectives: list[str] = []
    while at < min(len(signs), start + _MOST_ADJECTIVES) and _qualifies(signs[at]):
        article |= signs[at].role == "thing"
        adjectives += [signs[at].value] if signs[at].role == "adjective" else []
        at += 1
    beside = signs[at + 1] if at + 1 < len(signs) else None
    side = beside is not None and _is(signs[at], "move", *_SIDES) and _is_noun(beside)
    if side and (article or things.has_side(signs[at].value, *_noun(signs[at + 1]))):
        adjectives.append(signs[at].value)
        at += 1
    if at < len(signs) and _is_noun(signs[at]) and (adjectives or signs[at].role == "noun"):
        noun, concept = _noun(signs[at])
        at += 1
    elif adjectives and adjectives[-1] not in _SIDES:
        noun, concept = "", ""
    else:
        return signs[start], 1
    at = _adjectives_behind(signs, at, things, (noun, concept), adjectives)
    name = things.find(noun, concept, adjectives)
    text = " ".join(sign.text for sign in signs[start:at] if not _is(sign, "thing", "the"))
    return Sign("named", name or "", text, -1.0 if name is None else 0.0), at - start


def _adjectives_behind(signs: list[Sign], at: int, things: Things, noun: tuple[str, str], found: list[str]) -> int:
    """Those behind the noun, as in Spanish, and 'on the left'; returns where they end."""
    while at < len(signs) and signs[at].role == "adjective":
        found.append(signs[at].value)
        at += 1
    after = at
    while after < len(signs) and (_is(signs[after], "at", "onto", "to", "in") or _is(signs[after], "thing", "the")):
        after += 1
    if after < len(signs) and _is(signs[after], "move", *_SIDES) and things.has_side(signs[after].value, *noun):
        if noun[0] == "" and things.find(*noun, [*found, signs[after].value]) is None:  # "yellow in the right bowl"
            return at
        found.append(signs[after].value)
        return after + 1
    return at


def _measured(signs: list[Sign]) -> list[Sign]:
    """Numbers with their units become amounts; one without a unit has none."""
    found: list[Sign] = []
    for sign in signs:
        if sign.role == "unit" and found and found[-1].role == "number":
            found[-1] = Sign("amount", sign.value, f"{found[-1].text} {sign.text}", found[-1].number)
        elif sign.role != "unit":
            found.append(sign)
    return [renamed(sign, "amount", "") if sign.role == "number" else sign for sign in found]


def _qualifies(sign: Sign) -> bool:
    return sign.role == "adjective" or _is(sign, "thing", "the")


def _noun(sign: Sign) -> tuple[str, str]:
    return (sign.text, sign.value) if sign.role == "noun" else ("", "")


def _is_noun(sign: Sign) -> bool:
    return sign.role == "noun" or _is(sign, "thing", "one")


def _describes(sign: Sign) -> bool:
    return _is(sign, "negate", "too") or _is(sign, "amount", "very") or _is(sign, "is", "is")


def _is(sign: Sign, role: str, *values: str) -> bool:
    return sign.role == role and sign.value in values
