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
        self._explained: dict[str, tuple[str, tuple[Meaning, ...]]] = {}
        """Name of the sentence that was explained to its words and what they mean, the newest last."""
        self._meanings: dict[str, tuple[Meaning, ...]] = {}

    def __len__(self) -> int:
        return len(self._meanings)

    def __contains__(self, sentence: str) -> bool:
        return sentence in self._explained

    def add(self, sentence: str, text: str, meanings: Sequence[Meaning]) -> None:
        """Understand words so from now on; nothing is learned of words that press a button.

        Args:
            sentence: the name of the one that is explained, by which it is taken back.
        """
        self.remove(sentence)
        words = _key(text)
        if not words or not meanings or any(meaning.reading in PRESSING for meaning in meanings):
            return
        self._explained[sentence] = words, tuple(meanings)
        while len(self._explained) > MOST:
            del self._explained[next(iter(self._explained))]
        self._meanings = dict(self._explained.values())

    def remove(self, sentence: str) -> None:
        """Forget what was explained of a sentence, its words mean what they did before; one that was not explained is
        passed over."""
        if self._explained.pop(sentence, None) is not None:
            self._meanings = dict(self._explained.values())

    def read(self, text: str, facts: FactBook) -> Heard:
        meanings = self._meanings.get(_key(text))
        if meanings is None:
            return not_understood(text, "")  # whoever is asked next says why it is not understood
        return Heard(text, meanings, "lexicon")


def _key(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".!?, ")
