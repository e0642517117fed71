"""This operator's own words: what they explained once is understood from then on."""

from __future__ import annotations

from collections.abc import Sequence

from robot_rlhf.facts import FactBook
from robot_rlhf.meaning import Heard, Meaning, not_understood

MOST = 512
"""Sentences that are remembered; the oldest is forgotten first."""
PRESSING = frozenset({"stop", "retry", "undo"})
"""Readings that no words of one's own get: they are said in words that everybody knows."""


class Lexicon:
    """An Interpreter of whole sentences, as they were explained; small and capital letters, blanks and marks at the end
    make no difference. It is filled by events, so that a run which goes on knows the same."""

    def __init__(self) -> None:
        self._meanings: dict[str, tuple[Meaning, ...]] = {}

    def __len__(self) -> int:
        return len(self._meanings)

    def add(self, text: str, meanings: Sequence[Meaning]) -> None:
        """Understand a sentence so from now on; nothing is learned of words that press a button."""
        key = _key(text)
        if not key or not meanings or any(meaning.reading in PRESSING for meaning in meanings):
            return
        self._meanings.pop(key, None)
        self._meanings[key] = tuple(meanings)
        while len(self._meanings) > MOST:
            del self._meanings[next(iter(self._meanings))]

    def remove(self, text: str) -> None:
        """Forget what was explained; a sentence that was not is passed over."""
        self._meanings.pop(_key(text), None)

    def read(self, text: str, facts: FactBook) -> Heard:
        meanings = self._meanings.get(_key(text))
        if meanings is None:
            return not_understood(text, "")  # whoever is asked next says why it is not understood
        return Heard(text, meanings, "lexicon")


def _key(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".!?, ")
