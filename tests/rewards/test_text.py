"""Sentences become vectors, and words that nobody taught are known as such."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.rewards.text import WordBag, words_of


def bag(rows: int = 512) -> WordBag:
    return WordBag(4, rows, torch.Generator().manual_seed(0))


def test_a_sentence_is_the_mean_of_its_words() -> None:
    words = bag()
    whole = words(["Pick up, the CUBE!"])[0]
    parts = torch.stack([words([word])[0] for word in ("pick", "up", "the", "cube")])
    torch.testing.assert_close(whole, parts.mean(dim=0))


def test_sentences_of_different_lengths_stand_side_by_side() -> None:
    words = bag()
    together = words(["go", "", "go left now"])
    torch.testing.assert_close(together[0], words(["go"])[0])
    torch.testing.assert_close(together[1], torch.zeros(4))
    torch.testing.assert_close(together[2], words(["go left now"])[0])


def test_words_of_any_alphabet_that_were_not_taught_are_named() -> None:
    words = bag()
    words.teach(["pick up the cube", "put it down"])
    assert words.unknown("Pick it up") == []
    assert words.unknown("hebe den Würfel, куб up") == ["hebe", "den", "würfel", "куб"]


@given(st.text())
def test_any_text_has_a_vector(text: str) -> None:
    assert torch.isfinite(bag(8)([text])).all()
    assert all(word == word.lower() for word in words_of(text) if word.isascii())


def test_the_table_learns() -> None:
    words = bag()
    (gradient,) = torch.autograd.grad(words(["go", "go left"]).sum(), words.table)
    assert int((gradient.abs().sum(dim=1) > 0).sum()) == 2
