"""What a run says of its progress."""

from __future__ import annotations

import pytest

from robot_rlhf.run.results.progress import time_left


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0:00"), (125, "2:05"), (3599, "59:59"), (50_001, "13 h 53 min"), (200_000, "2 days"), (-3, "0:00")],
)
def test_a_time_to_wait_is_told_in_words(seconds: float, words: str) -> None:
    assert time_left(seconds) == words
