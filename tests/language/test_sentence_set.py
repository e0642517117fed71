"""Sentences of several hands, apart from who made the tables: rather asked about than understood as the opposite."""

from __future__ import annotations

import pytest

from benchmarks.sentences import FOLDER, VERDICTS, read_cases, score, shares, verdict
from robot_rlhf.language.choice import make_interpreter
from robot_rlhf.language.things import usual_facts


@pytest.mark.skipif(not FOLDER.is_dir(), reason="no sentences of others are here")
def test_opposites_are_rare_and_most_is_understood() -> None:
    cases = [case for case in read_cases(FOLDER) if case.language == "en"]
    scored = list(score(cases, lambda language: make_interpreter((language,)), usual_facts()))
    found = shares(scored)
    opposite = [each.case.sentence for each in scored if each.verdict == "opposite"]
    assert len(scored) >= 300
    assert found["opposite"] <= 0.01, opposite
    assert found["right"] >= 0.85, found


@pytest.mark.parametrize(
    ("wanted", "got", "is_found"),
    [
        ("left", "left", "right"),
        ("left", "right", "opposite"),
        ("left", "unknown", "asks"),
        ("unknown", "unknown", "right"),
        ("unknown", "left", "wrong"),
        ("left", "left,down", "wrong"),
        ("left,down", "down,left", "wrong"),
        ("left", "left,right", "opposite"),
        ("up,left", "up,right", "opposite"),
        ("stop", "left", "wrong"),
        ("good", "bad", "opposite"),
    ],
)
def test_what_is_right_by_hand(wanted: str, got: str, is_found: str) -> None:
    assert is_found in VERDICTS
    assert verdict(wanted.split(","), got.split(",")) == is_found
