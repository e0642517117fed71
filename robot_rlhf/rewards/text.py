"""Sentences as vectors: words hashed into a learned table, which remembers the words that it was taught."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

WORD = re.compile(r"\w+")


class TextEncoder(Protocol):
    """Anything that turns sentences into vectors: the table here, or the text half of a CLIP."""

    @property
    def size(self) -> int:
        """Length of a sentence's vector."""
        ...

    def __call__(self, sentences: Sequence[str]) -> Tensor:
        """One vector per sentence. Shape (B, size)."""
        ...


def words_of(sentence: str) -> list[str]:
    """The words in lower case, in any alphabet, without punctuation."""
    return WORD.findall(sentence.lower())


class WordBag(nn.Module):
    """The mean of the words' vectors; a word's row in the table is its CRC-32 modulo the table's length.

    Word order is lost: 'left of the cube' and 'the cube left of' are one sentence.
    """

    def __init__(self, size: int, rows: int, generator: torch.Generator) -> None:
        """
        Args:
            size: length of a sentence's vector.
            rows: length of the table; words that share a row cannot be told apart.
        """
        super().__init__()
        self.size = size
        self.rows = rows
        self.table = nn.Parameter(torch.randn(rows, size, generator=generator))
        self.vocabulary: set[str] = set()
        """Words of the sentences that it was taught."""

    def teach(self, sentences: Iterable[str]) -> None:
        """Remember the words of sentences that it is trained on."""
        for sentence in sentences:
            self.vocabulary.update(words_of(sentence))

    def unknown(self, sentence: str) -> list[str]:
        """Words of a sentence that no training sentence had; their vectors mean nothing."""
        return [word for word in words_of(sentence) if word not in self.vocabulary]

    def forward(self, sentences: Sequence[str]) -> Tensor:
        """One vector per sentence, 0 for one without words. Shape (B, size)."""
        rows = [[zlib.crc32(word.encode()) % self.rows for word in words_of(sentence)] for sentence in sentences]
        device = self.table.device
        flat = torch.tensor([row for sentence in rows for row in sentence], dtype=torch.int64, device=device)
        ends = torch.tensor([0, *(len(sentence) for sentence in rows[:-1])], dtype=torch.int64, device=device)
        return functional.embedding_bag(flat, self.table, ends.cumsum(0), mode="mean")
