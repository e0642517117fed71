"""The live gate: its interval, and when it holds."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.live_gate import WHO, Row, paired, passes
from robot_rlhf.people.person import SimulatedPerson
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.place import SimConfig


def row(who: str, successes: np.ndarray) -> Row:
    return Row(who, tuple(successes.tolist()), 0, 0.0, 0.0, 0, 1)


def test_the_paired_difference_by_hand() -> None:
    ours = [True] * 6 + [False] * 4
    theirs = [True] * 3 + [False] * 6 + [True]
    difference, low, high = paired(ours, theirs)
    assert difference == pytest.approx(0.2)
    middle = (3.5 - 1.5) / 12
    spread = 1.96 * np.sqrt((5.0 / 12 - middle**2) / 12)
    assert (low, high) == (pytest.approx(middle - spread), pytest.approx(middle + spread))


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(1_000):
        theirs = rng.random(100) < 0.55
        ours = np.where(rng.random(100) < 0.2, True, theirs)  # better by 0.2 * 0.45
        low, high = paired(ours.tolist(), theirs.tolist())[1:]
        hits += low <= 0.09 <= high
    assert hits >= 920


def test_the_gate_holds_only_where_right_words_help_and_a_half_trained_policy_is_helped() -> None:
    starts = np.arange(100)
    rows = {
        "nobody": row("nobody", starts < 50),
        "random words": row("random words", starts < 52),
        "right words": row("right words", starts < 75),
        "hands": row("hands", starts < 80),
    }
    assert not passes(rows)
    assert passes({**rows, "right words": row("right words", starts < 52)})
    assert passes({**rows, "random words": row("random words", starts < 74)})
    assert passes({**rows, "hands": row("hands", starts < 90)})
    assert passes({**rows, "nobody": row("nobody", starts < 70)})


def test_everybody_who_helps_can_be_had() -> None:
    place = SimConfig().open("pick_cube", clock=FakeClock(), cameras={})
    assert all(isinstance(make(place), SimulatedPerson) for make in WHO.values())
