"""What answers become, what they have cost, and the contradictions among them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import Feedback, FeedbackKind, Segment
from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf.feedback.comparisons import Budget, cycles, preference, reversals
from tests.draws import draws


def segment(number: int) -> Segment:
    return Segment(f"e{number}", 0, 10)


def said(left: int, right: int, answer: str, author: str = "me") -> Feedback:
    return preference((segment(left), segment(right)), answer, author, 1.0)


def test_what_an_answer_becomes() -> None:
    label = said(0, 1, "left")
    assert (label.kind, label.span, label.other) == (FeedbackKind.PREFERENCE, segment(0), segment(1))
    assert [said(0, 1, answer).value for answer in ("left", "equal", "right", "skip")] == [1.0, 0.5, 0.0, None]
    with pytest.raises(UnknownNameError, match=r"answer 'lefft'\. Did you mean 'left'"):
        said(0, 1, "lefft")


def test_a_budget_counts_what_one_author_ever_gave() -> None:
    given = [said(0, 1, "left"), said(0, 1, "skip"), said(0, 2, "equal"), said(1, 2, "right", "oracle")]
    given.append(Feedback(FeedbackKind.SUCCESS, "me", 1.0, segment(0), 1.0))
    assert Budget(5).left(given, "me") == 3, "two labels; a withdrawn one counts, a skipped pair does not"
    assert Budget(5).left(given, "oracle") == 4
    assert Budget(1).left(given, "me") == 0
    with pytest.raises(ConfigError, match="got -1"):
        Budget(-1)


def test_the_same_pair_both_ways() -> None:
    given = [said(0, 1, "left"), said(1, 0, "left"), said(2, 3, "left"), said(3, 2, "right"), said(4, 5, "equal")]
    assert reversals(given) == [(given[0], given[1])]
    assert reversals([said(0, 1, "left"), said(0, 1, "skip"), said(0, 1, "right")]), "taking back does not undo it"
    assert not reversals([said(0, 1, "left"), said(0, 1, "equal"), said(0, 1, "left")])


def test_a_round_of_preferences() -> None:
    assert cycles([said(0, 1, "left"), said(1, 2, "left"), said(0, 2, "left")]) == []
    (found,) = cycles([said(0, 1, "left"), said(2, 1, "right"), said(0, 2, "right"), said(5, 0, "left")])
    assert found == (segment(0), segment(1), segment(2))
    assert cycles([said(0, 1, "left"), said(1, 0, "equal")]) == []


@given(edges=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=20))
@draws(100)
def test_cycles_are_cycles_and_none_is_missed(edges: list[tuple[int, int]]) -> None:
    edges = [(a, b) for a, b in edges if a != b]
    found = cycles(said(a, b, "left") for a, b in edges)
    reach = np.zeros((7, 7), bool)
    for a, b in edges:
        reach[a, b] = True
    for k, a, b in itertools.product(range(7), repeat=3):  # Warshall: the naive twin
        reach[a, b] |= reach[a, k] and reach[k, b]
    number = {segment(i): i for i in range(7)}
    for way in found:
        steps = [(number[a], number[b]) for a, b in zip(way, (*way[1:], way[0]), strict=True)]
        assert set(steps) <= set(edges)
    for a in range(7):
        on_one = [way for way in found if reach[a, number[way[0]]] and reach[number[way[0]], a]]
        assert len(on_one) == int(reach[a, a])
