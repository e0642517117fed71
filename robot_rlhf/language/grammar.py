"""The interpreter of sentences by a language's table: fast, without learning, and rather silent than wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from robot_rlhf.facts import FactBook, Thing
from robot_rlhf.language.clause import CONTENT, Carried, Clause, Found
from robot_rlhf.language.deeds import read_clause
from robot_rlhf.language.offers import offers
from robot_rlhf.language.signs import signs_of
from robot_rlhf.language.table import Language, split
from robot_rlhf.language.things import things_of
from robot_rlhf.language.vocabulary import Sign, Vocabulary, entries, forms, renamed, tokens
from robot_rlhf.meaning import MOVES, OPPOSITE, SKILLS, TURNS, Heard, Meaning, not_understood

LONGEST = 1_000
"""Letters of a sentence."""
MOST_TOKENS = 300
"""Words, numbers and marks of a text that is read; of a longer one only whether it has words to stop."""
MOST_SIGNS = 80
"""Words and phrases of a sentence that say something."""
MOST = 6
"""Meanings of a sentence."""
WAIT = Meaning("stop", skill="wait")
_CODE = re.compile(r"""[{}=\\|]|["']\s*;|;\s*--|/\*|\*/|&&|\(\)|\$\(|://""")
"""Marks that are of a program, and that nobody says."""
_BELOW_ZERO = re.compile(r"(?<!\S)[-\u2212\u2013]\d+(?:[.,]\d+)?(?=\s?[^\W\d])")
"""A number with a sign before it, and a unit: less than nothing, or a dash?"""
_ABOUT = frozenset({"lift", *(skill for skill, things in SKILLS.items() if things)})
"""Skills that are about things."""
_OF_WHAT_WAS = ("good", "bad", "undo")
"""Readings about what was done and said before."""


@dataclass
class _Part:
    """A clause as it is cut out of a sentence."""

    signs: list[Sign] = field(default_factory=list)
    joined: bool = False
    """By 'or', or by 'and' without a comma."""
    choice: bool = False
    """It is said with 'or' beside what was said before."""
    fixes: bool = False
    """It takes back what was said before."""


class Grammar:
    """An Interpreter of one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.vocabulary = Vocabulary(language)
        stops = (phrase for role, value, phrase in entries(language) if (role, value) == ("order", "stop"))
        self._stopping = {form.split()[0] for phrase in stops for form in forms(phrase)}
        """With what words to stop begin."""
        self._hints = {
            " ".join(tokens(phrase)): tuple(Meaning(reading) for reading in split(readings))
            for phrase, readings in language.hints.items()
        }

    def read(self, text: str, facts: FactBook) -> Heard:
        if len(text) > LONGEST:
            return not_understood(text, f"too long: {len(text)} letters, at most {LONGEST}")
        if (count := len(tokens(text))) > MOST_TOKENS:
            if self._has_stop(text):
                return Heard(text, (Meaning("stop"),), "grammar")
            return not_understood(text, f"too long: {count} words and marks, at most {MOST_TOKENS}")
        signs = signs_of(text, self.vocabulary, things_of(tuple(facts.things.values())))
        signs = self._interjections(signs)
        signs, stops = self._stops(signs)
        if stops:
            return Heard(text, (Meaning("stop"),), "grammar")
        if (code := _CODE.search(text)) is not None:
            return not_understood(text, f"it has marks of a program in it: {code[0]!r}", _met(signs))
        if (below := _BELOW_ZERO.search(text)) is not None:
            return not_understood(text, f"{below[0]!r} is no amount: say which way, and how far", _met(signs))
        if (hint := self._hint(text)) is not None:
            return not_understood(text, "that alone does not say what to do", hint)
        said = [sign for sign in signs if sign.role != "break"]
        if not said:
            return not_understood(text, "no word of it says what to do", offers(facts.things))
        if len(said) > MOST_SIGNS:
            return not_understood(text, f"too long: {len(said)} words that say something, at most {MOST_SIGNS}")
        if all(sign.value == "yes" for sign in said):
            return Heard(text, (Meaning("good"),), "grammar")
        signs = [sign for sign in signs if sign.value != "yes"]
        said = [sign for sign in said if sign.value != "yes"]
        if all(sign.role == "order" and sign.value == "wait" for sign in said):
            return Heard(text, (WAIT,), "grammar")
        if said[0].value == "question" or any((s.role, s.value) == ("link", "if") for s in said):
            return not_understood(text, "it asks, or says only what if", _met(said))
        return self._understood(text, signs, said, facts.things)

    def stops(self, text: str, but: Sequence[Grammar] = ()) -> bool:
        """Whether a text says to stop. Args: but: of languages that are to judge about the words that they know."""
        if len(text) > LONGEST:
            return False
        if len(tokens(text)) > MOST_TOKENS:
            return self._has_stop(text)
        signs = self._interjections(signs_of(text, self.vocabulary, things_of(())))
        signs = [
            self.vocabulary.otherwise(sign)
            if sign.role == "order" and any(g.vocabulary.knows(sign.text) for g in but)
            else sign
            for sign in signs
        ]
        return self._stops(signs)[1]

    def _has_stop(self, text: str) -> bool:
        """Whether words to stop are in it, whatever stands around them."""
        words = tokens(text)
        found = (self.vocabulary.phrase(words, at) for at, word in enumerate(words) if word in self._stopping)
        return any(phrase is not None and (phrase[0].role, phrase[0].value) == ("order", "stop") for phrase in found)

    # -- before it is cut into clauses --------------------------------------------------------------------------------

    def _interjections(self, signs: list[Sign]) -> list[Sign]:
        """'no' as a word by itself takes back; right before a direction one cannot tell."""
        found: list[Sign] = []
        for at, sign in enumerate(signs):
            if (sign.role, sign.value) != ("negate", "no"):
                found.append(sign)
                continue
            after = signs[at + 1] if at + 1 < len(signs) else None
            opens = not found or found[-1].role == "break"
            unclear = after is not None and after.role == "move" and opens and " " not in sign.text
            found.append(sign if unclear else renamed(sign, "link", "fix"))
        return found

    def _stops(self, signs: list[Sign]) -> tuple[list[Sign], bool]:
        """Words for stopping that only deny what follows ('stop going left') become that; whether others are left."""
        found = list(signs)
        for at, sign in enumerate(signs):
            if sign.role != "order" or sign.value not in ("stop", "alone", "quit"):
                continue
            behind = _clause_behind(signs, at)
            says = any(each.role in CONTENT for each in behind)
            if at and found[at - 1].role == "negate" and found[at - 1].value in ("not", "dont"):
                found[at] = renamed(sign, "word", "nothing")
            elif sign.value == "alone":
                before = at and signs[at - 1].role != "break"
                found[at] = self.vocabulary.otherwise(sign) if before or behind else sign
            elif says and (sign.value == "quit" or self._is_gerund(sign.text) or self._is_doing(behind[0])):
                found[at] = renamed(sign, "negate", "dont")
        stops = any(each.role == "order" and each.value in ("stop", "alone", "quit") for each in found)
        return found, stops

    def _is_doing(self, sign: Sign) -> bool:
        return sign.role in ("verb", "negate", *CONTENT) and self._is_gerund(sign.text)

    def _is_gerund(self, text: str) -> bool:
        ending = self.language.gerund
        return bool(ending) and any(word.endswith(ending) and len(word) > len(ending) + 1 for word in text.split())

    def _hint(self, text: str) -> tuple[Meaning, ...] | None:
        words = [word for word in tokens(text) if word[0].isalnum()]
        plain = [word for word in words if not self.vocabulary.is_filler(word)]
        return self._hints.get(" ".join(words)) or self._hints.get(" ".join(plain))

    # -- clauses ----------------------------------------------------------------------------------------------------

    def _understood(self, text: str, signs: list[Sign], said: list[Sign], things: Mapping[str, Thing]) -> Heard:
        unknown = [sign.text for sign in said if sign.role == "unknown"]
        found, vague, missing = self._read_parts(_cut(signs))
        meanings = _settled(found)
        if not meanings and not vague and any((s.role, s.value) == ("order", "again") for s in said):
            meanings = [Meaning("retry")]
        whose = [each for each in vague if each.reading == "rule"]
        vague = [replace(each, thing=name) for each in whose for name in things] or vague
        nearest = list(dict.fromkeys((*meanings, *vague, *_met(said), *offers(things))))[:3]
        if whose:
            return not_understood(text, "it is not clear near which thing that is to hold", nearest)
        if missing:
            plain = [each for each in meanings if each.reading in (*MOVES, *TURNS) and not each.skill]
            named = {sign.value for sign in said if sign.role == "named" and sign.value}
            here = sorted(offers(things), key=lambda each: each.thing not in named)
            return not_understood(text, f"there is no {missing[0]} here", [*plain, *here])
        if len(unknown) >= 2 and 3 * len(unknown) > len(said):
            shown = ", ".join(repr(word[:20]) for word in unknown[:3])
            return not_understood(text, f"too many words of it are not known: {shown}", nearest)
        if not meanings:
            return not_understood(text, "it does not say clearly what to do", nearest)
        if (at := next((n for n, each in enumerate(meanings) if each.reading == "undo"), 0)) and any(
            each.reading not in _OF_WHAT_WAS for each in meanings[:at]
        ):
            return not_understood(text, "it takes back what it says itself, or what was said before?", nearest)
        readings = {meaning.reading for meaning in meanings}
        if both := next((r for r in meanings if OPPOSITE.get(r.reading) in readings), None):
            return not_understood(text, f"it says both {both.reading} and {OPPOSITE[both.reading]}", nearest)
        if len(meanings) > MOST:
            return not_understood(text, f"{len(meanings)} things at once, at most {MOST}", nearest)
        return Heard(text, tuple(meanings), "grammar")

    def _read_parts(self, parts: list[_Part]) -> tuple[list[Found], list[Meaning], list[str]]:
        """What is meant, what may be, and of what is asked for the things that are not there."""
        found: list[Found] = []
        vague: list[Meaning] = []
        missing: list[str] = []
        always = any((sign.role, sign.value) == ("rule", "always") for part in parts for sign in part.signs)
        near: Sign | None = None
        before: list[Found] = []
        carried = Carried(always=always)
        for number, part in enumerate(parts):
            if number + 1 < len(parts) and (place := _place_alone(part)) is not None:
                near = place
                continue
            part.signs = _mannered(part.signs, always)
            clause = Clause(part.signs, replace(carried if part.joined else Carried(always=always), near=near))
            read = read_clause(clause)
            missing += _missing(read, part.signs)
            read = [_honest(each, part.signs) for each in read]
            vague += [*clause.vague, *(each.meaning for each in read if _lacks_thing(each.meaning, part.signs, near))]
            read = [each for each in read if not _lacks_thing(each.meaning, part.signs, near)]
            if clause.has("who", "other") or clause.has("negate", "no"):  # about somebody else; "no left"
                vague += [each.meaning for each in read]
                read = []
            more = number + 1 < len(parts) and parts[number + 1].joined and _is_named_alone(parts[number + 1])
            if (listed := _listed(part, before, part.joined or more)) is not None:
                found += [listed] if listed.meaning.thing else []
                vague += [] if listed.meaning.thing else [listed.meaning]
                before = [listed]
                continue
            if part.choice and _is_choice(before, clause, read):  # "left or up": which?
                vague += [each.meaning for each in (*before, *read)]
                found, read = [each for each in found if each not in before], []
            if part.fixes and (read or clause.has("word", "nothing")):  # "left, no, the other way"
                found = []
            found += read
            before = read
            unclear = clause.leaves.unclear or (bool(clause.found) and not read)
            carried = replace(clause.leaves, unclear=unclear, always=always)
        return found, vague, missing


def _is_named_alone(part: _Part) -> bool:
    """Whether a clause is a thing and nothing else."""
    return [sign.role for sign in part.signs if sign.role != "at"] == ["named"]


def _listed(part: _Part, before: Sequence[Found], goes_on: bool) -> Found | None:
    """'keep away from the glass and the lamp': what was said before about one thing, about another, if it is there."""
    if not (goes_on and before and _is_named_alone(part)):
        return None
    meaning = before[-1].meaning
    if not meaning.thing or not (meaning.rule or meaning.skill == "away_from"):
        return None
    name = next(sign.value for sign in part.signs if sign.role == "named")
    return replace(before[-1], meaning=replace(meaning, thing=name))


def _is_choice(before: Sequence[Found], clause: Clause, read: Sequence[Found]) -> bool:
    """Whether of two things only one is asked for; of two that are denied together neither is: 'not left or down'."""
    if not before or not clause.found:
        return False
    one, other = ({(f.meaning.reading, f.meaning.thing, f.meaning.place) for f in both} for both in (before, read))
    return one != other and not (clause.leaves_denial and not clause.is_denied)


def _cut(signs: list[Sign]) -> list[_Part]:
    """The clauses of a sentence."""
    parts = [_Part()]
    broken = False
    for at, sign in enumerate(signs):
        part = parts[-1]
        if sign.role == "break":
            broken = True
            if part.signs:
                parts.append(_Part(fixes=False))
            continue
        is_fix = (sign.role, sign.value) in (("link", "fix"), ("order", "wait"))
        if sign.role == "link" or is_fix:
            fresh = part if not part.signs else _Part()
            fresh.fixes |= is_fix
            fresh.joined = sign.value == "or" or (sign.value == "and" and not broken)
            fresh.choice = sign.value == "or"
            if sign.value == "instead":
                fresh.signs.append(Sign("negate", "dont", sign.text))
            if fresh is not part:
                parts.append(fresh)
            continue
        denies = sign.role == "negate" and sign.value in ("not", "dont")
        if denies and _says_what(part.signs) and _says_what(_clause_behind(signs, at)):
            parts.append(_Part(joined=True))
        parts[-1].signs.append(sign)
        broken = False
    return [part for part in parts if part.signs]


def _mannered(signs: list[Sign], always: bool) -> list[Sign]:
    """'gently' is how a motion is done that the clause orders; by itself, or as a rule, or denied, it is a pace."""
    ordered = any(sign.role in ("move", "turn", "grip") or (sign.role, sign.value) in _DOES for sign in signs)
    if ordered and not always and not any(s.role == "negate" or (s.role, s.value) == ("at", "near") for s in signs):
        return signs
    return [renamed(s, "pace", "slower") if (s.role, s.value) == ("word", "manner") else s for s in signs]


def _says_what(signs: Sequence[Sign]) -> bool:
    """Whether there is a direction or such, or a thing."""
    return any(sign.role in (*CONTENT, "named") for sign in signs)


def _place_alone(part: _Part) -> Sign | None:
    """The thing of a clause that only says where: 'when you are near the glass'."""
    roles = {sign.role for sign in part.signs}
    near = any((s.role, s.value) in (("at", "near"), ("verb", "approach")) for s in part.signs)
    things = [sign for sign in part.signs if sign.role in ("named", "it")]
    if near and things and not roles & {"negate", "rule", *CONTENT} and roles <= _WHERE:
        return things[-1]
    return None


_DOES = {
    *(("verb", does) for does in ("lift", "grab", "pick", "drop", "put", "put_down", "push", "pull")),
    *(("at", where) for where in ("above", "onto", "to", "in", "behind", "away")),
}
_WHERE = {"at", "verb", "named", "it", "who", "is", "word", "thing", "amount"}


def _clause_behind(signs: Sequence[Sign], at: int) -> list[Sign]:
    behind: list[Sign] = []
    for sign in signs[at + 1 :]:
        if sign.role in ("break", "link"):
            break
        behind.append(sign)
    return behind


def _honest(found: Found, signs: Sequence[Sign]) -> Found:
    """Nothing is done with a thing that is not there."""
    missing = any(sign.role == "named" and sign.number < 0 for sign in signs)
    meaning = found.meaning
    if not missing or not meaning.skill or meaning.skill in ("open", "close", "lift", "wait"):
        return found
    return replace(found, meaning=replace(meaning, skill="close" if meaning.reading == "close" else ""))


def _missing(read: Sequence[Found], signs: Sequence[Sign]) -> list[str]:
    """Of what is asked for with things, what those are called that are not there."""
    asked = [each.meaning for each in read if not each.denied]
    if not any(meaning.skill in _ABOUT or (meaning.reading == "goal" and not meaning.thing) for meaning in asked):
        return []
    return [sign.text for sign in signs if sign.role == "named" and sign.number < 0]


def _lacks_thing(meaning: Meaning, signs: Sequence[Sign], near: Sign | None) -> bool:
    """Whether a rule is about something that is not there, or not said: that is not everywhere."""
    if meaning.reading != "rule" or meaning.thing:
        return False
    places = [near] if near is not None else []
    places += [s for at, s in enumerate(signs) if s.role == "named" or (s.role == "it" and _is_near(signs, at))]
    return meaning.rule == "keep_away" or any(not place.value for place in places)


def _is_near(signs: Sequence[Sign], at: int) -> bool:
    return at > 0 and (signs[at - 1].role, signs[at - 1].value) == ("at", "near")


def _settled(found: Sequence[Found]) -> list[Meaning]:
    """What is to be done, each once: what was denied only for the sake of something else is left out."""
    positive = any(
        not each.denied and each.meaning.reading in (*MOVES, *TURNS, "open", "close", "goal") for each in found
    )
    again = any(each.meaning.reading == "retry" for each in found)  # "go back and try again"
    meanings: list[Meaning] = []
    for meaning in (each.meaning for each in found if not (each.denied and positive)):
        if again and meaning.reading == "back":
            continue
        like = next((i for i, other in enumerate(meanings) if _same(meaning, other)), None)
        if like is None:
            meanings.append(meaning)
        elif meanings[like].amount is None and not meanings[like].skill:
            meanings[like] = meaning
    return meanings


def _same(one: Meaning, other: Meaning) -> bool:
    if one.reading != other.reading:
        return False
    if one.reading == "goal":
        return one.thing == other.thing and (one.skill == other.skill or not one.skill or not other.skill)
    return one.reading != "rule" or (one.rule, one.thing) == (other.rule, other.thing)


def _met(signs: Sequence[Sign]) -> list[Meaning]:
    """Readings of the words that are there, whatever stands around them."""
    found: list[Meaning] = []
    for sign in signs:
        if sign.role in ("move", "turn", "grip", "pace", "verdict", "state") and sign.value in OPPOSITE:
            found += [Meaning(sign.value), Meaning(OPPOSITE[sign.value])]
        elif sign.role == "named" and sign.value:
            found.append(Meaning("goal", thing=sign.value))
        elif (sign.role, sign.value) in (("order", "retry"), ("order", "undo"), ("order", "again")):
            found.append(Meaning("retry" if sign.value == "again" else sign.value))
    return found
