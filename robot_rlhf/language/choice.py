"""Which interpreter a run has: languages by name, the operator's own words before them, words for stopping first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from robot_rlhf.errors import UnknownNameError
from robot_rlhf.facts import FactBook
from robot_rlhf.language.english import ENGLISH
from robot_rlhf.language.german import GERMAN
from robot_rlhf.language.grammar import Grammar
from robot_rlhf.language.interpreter import FirstToUnderstand
from robot_rlhf.language.names import Matcher, Names
from robot_rlhf.language.spanish import SPANISH
from robot_rlhf.language.table import Language
from robot_rlhf.meaning import Heard, Meaning, not_understood
from robot_rlhf.ports import Interpreter

LANGUAGES: Mapping[str, Language] = {language.name: language for language in (ENGLISH, GERMAN, SPANISH)}
"""Every language that there is a table of."""


class StopWords:
    """An Interpreter that understands nothing but to stop, in several languages."""

    def __init__(self, grammars: Sequence[Grammar]) -> None:
        """Args: grammars: of two that know a word, the first judges whether it is said to stop."""
        self._grammars = tuple(grammars)

    def read(self, text: str, facts: FactBook) -> Heard:
        for number, grammar in enumerate(self._grammars):
            if grammar.stops(text, but=self._grammars[:number]):
                return Heard(text, (Meaning("stop"),), "grammar")
        return not_understood(text, "")


class _AfterStops:
    """A reader that has no say about stopping any more: who knows the word best has been asked."""

    def __init__(self, reader: Interpreter) -> None:
        self._reader = reader

    def read(self, text: str, facts: FactBook) -> Heard:
        heard = self._reader.read(text, facts)
        return not_understood(text, "it does not say to stop") if heard.meanings == (Meaning("stop"),) else heard


@lru_cache
def grammar_of(language: str) -> Grammar:
    """The grammar of a language. Raises UnknownNameError where there is no table of it."""
    if language not in LANGUAGES:
        raise UnknownNameError("language", language, LANGUAGES)
    return Grammar(LANGUAGES[language])


def make_interpreter(
    languages: Sequence[str] = ("en",),
    own: Interpreter | None = None,
    others: Sequence[Interpreter] = (),
    likeness: Matcher | None = None,
) -> FirstToUnderstand:
    """What a run understands sentences with.

    Args:
        languages: by their short names, the likeliest first.
        own: of the operator's own words, asked before the languages are; never about words for stopping.
        others: who is asked about what the languages do not say, the surest first.
        likeness: what finds out which thing an unknown English name means; None asks the person.

    Raises:
        UnknownNameError: no such language.
    """
    grammars = [grammar_of(language) for language in languages]
    readers = [Names(each, likeness, each.vocabulary.knows) if each.language is ENGLISH else each for each in grammars]
    after = [_AfterStops(reader) for reader in readers]
    return FirstToUnderstand([StopWords(grammars), *([own] if own is not None else []), *after, *others])
