"""The words that a small CLIP model of ours has learned, and how its sentences become numbers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from robot_rlhf.errors import InvalidValueError
from robot_rlhf.rewards.text import words_of

PADDING, UNKNOWN, FIRST = 0, 1, 2
"""Numbers of the padding, of any token that was never learned, and of the first learned one."""

Encode = Callable[[str], Sequence[int]]
"""A sentence to its byte-pair tokens, without start and end: `encode` of open_clip's SimpleTokenizer."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Vocabulary:
    """The byte-pair tokens that occur in a model's training sentences, renumbered without gaps.

    The full table of 49,408 tokens would be most of a small model, and untrained rows of it noise.
    """

    tokens: tuple[int, ...]
    """Ascending."""
    words: frozenset[str]
    """Lower case; what a sentence may be made of without a warning."""
    length: int
    """Numbers per sentence, start and end included; longer sentences are cut."""

    def __post_init__(self) -> None:
        if list(self.tokens) != sorted(set(self.tokens)):
            raise InvalidValueError("Vocabulary.tokens", "an unsorted list", "ascending, each once")
        if self.length < 3:
            raise InvalidValueError("Vocabulary.length", self.length, "at least 3: start, a word, end")

    @staticmethod
    def of(sentences: Iterable[str], encode: Encode, length: int) -> Vocabulary:
        """Of everything that occurs in the sentences."""
        distinct = set(sentences)
        tokens = {token for sentence in distinct for token in encode(sentence)}
        return Vocabulary(tuple(sorted(tokens)), frozenset(w for s in distinct for w in words_of(s)), length)

    @property
    def size(self) -> int:
        """How many numbers there are; start and end are the last two, so that the end is the largest (CLIP's pooling
        looks for the largest)."""
        return FIRST + len(self.tokens) + 2

    def numbers(self, sentences: Sequence[str], encode: Encode) -> Tensor:
        """int64, shape (N, length)."""
        places = {token: FIRST + place for place, token in enumerate(self.tokens)}
        start, end = self.size - 2, self.size - 1
        table = torch.full((len(sentences), self.length), PADDING)
        for row, sentence in zip(table, sentences, strict=True):
            inner = [places.get(token, UNKNOWN) for token in encode(sentence)][: self.length - 2]
            row[: len(inner) + 2] = torch.tensor([start, *inner, end])
        return table

    def forget(self, numbers: Tensor, where: Tensor) -> Tensor:
        """The same, with learned tokens replaced by the unknown one where asked; padding, start and end stay."""
        return torch.where(where & (numbers >= FIRST) & (numbers < self.size - 2), UNKNOWN, numbers)

    def unknown(self, sentence: str) -> list[str]:
        """The words of a sentence that were never learned, in their order."""
        return [word for word in words_of(sentence) if word not in self.words]


def warn_of_unknown(sentences: Sequence[str], vocabulary: Vocabulary, model: str) -> None:
    """Name in one warning the words that the model never learned: it takes them all for the same unknown one."""
    words = list(dict.fromkeys(word for sentence in sentences for word in vocabulary.unknown(sentence)))
    if words:
        log.warning(
            "%s never learned %s: what it says of such sentences means little; it knows: %s",
            model,
            ", ".join(repr(word) for word in words),
            " ".join(sorted(vocabulary.words)),
        )
