"""The age of a page's messages: whatever its clock does, old input never drives, and nobody is locked out for long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.console.freshness import MAX_AGE, SETTLING, WINDOW, Budget, PageClock

BEAT = 0.05


class Page:
    """Sends a heartbeat at each beat; each has a true age at arrival."""

    def __init__(self, offset: float = 0.0) -> None:
        self.clock = PageClock()
        self.offset = offset
        self.now = 50.0

    def beats(self, seconds: float, delay: float = 0.002) -> list[bool]:
        fresh: list[bool] = []
        for _ in range(round(seconds / BEAT)):
            self.now += BEAT
            fresh.append(self.clock.fresh(self.now - delay + self.offset, self.now))
        return fresh

    def burst(self, seconds: float) -> list[tuple[float, bool]]:
        """Nothing comes for so long, then all of it at once: true ages, and what was thought of them."""
        first = self.now
        self.now += seconds
        stamps = [first + BEAT * (i + 1) for i in range(round(seconds / BEAT))]
        return [(self.now - s, self.clock.fresh(s + self.offset, self.now)) for s in stamps]


@given(offset=st.floats(-1e9, 1e9).map(round), delay=st.floats(0.0, 0.1))
def test_a_steady_page_is_fresh_whatever_its_zero(offset: int, delay: float) -> None:
    page = Page(float(offset))
    fresh = page.beats(2.0, delay)
    settled = round(SETTLING / BEAT) + 1
    assert not any(fresh[: settled - 1])
    assert all(fresh[settled:])


@given(st.lists(st.floats(0.0, 0.2), min_size=40, max_size=200))
def test_jitter_is_no_age(delays: list[float]) -> None:
    clock, now, last = PageClock(), 50.0, 0.0
    clock.fresh(now, now)
    for delay in delays:
        now += BEAT
        last = max(last, now + delay)  # order is kept
        fresh = clock.fresh(now, last)
        if now > 50.0 + SETTLING + BEAT:
            assert fresh


@given(st.floats(0.4, 20.0))
def test_what_was_held_up_never_counts(seconds: float) -> None:
    page = Page(-1234.5)
    page.beats(2.0)
    for age, fresh in page.burst(seconds):
        assert not (fresh and age > MAX_AGE + 0.01), f"{age:.2f} s old"
    assert all(page.beats(1.0)), "afterwards the page drives again at once"


@given(st.floats(0.4, 20.0))
def test_nor_on_a_socket_that_begins_with_it(seconds: float) -> None:
    page = Page()
    for age, fresh in page.burst(seconds):
        assert not fresh, f"{age:.2f} s old"
    assert all(page.beats(1.0)[round(SETTLING / BEAT) + 1 :])


@pytest.mark.parametrize("jump", [-3600.0, -10.0, -0.3, 0.3, 10.0, 3600.0])
def test_a_jump_of_the_clock_locks_out_only_for_a_moment(jump: float) -> None:
    page = Page(77.0)
    assert page.beats(2.0)[-1]
    page.offset += jump
    fresh = page.beats(WINDOW + 2.0)
    lock = fresh.index(True) * BEAT
    assert lock <= 2 * SETTLING
    assert all(fresh[fresh.index(True) :])


@given(jump=st.floats(-30.0, 30.0).filter(lambda j: abs(j) > MAX_AGE), seconds=st.floats(0.5, 5.0))
def test_a_jump_lets_no_old_input_through(jump: float, seconds: float) -> None:
    page = Page()
    page.beats(2.0)
    first = page.now
    page.now += seconds
    stamps = [first + BEAT * (i + 1) for i in range(round(seconds / BEAT))]
    half = len(stamps) // 2
    for i, stamp in enumerate(stamps):
        fresh = page.clock.fresh(stamp + (jump if i >= half else 0.0), page.now)
        assert not (fresh and page.now - stamp > MAX_AGE + 0.01)


def test_a_page_whose_clock_stood_still_for_a_while_drives_again_after_the_window() -> None:
    """As after a suspended laptop: it looks like a delay for good, and is forgiven once WINDOW is over."""
    page = Page()
    page.beats(2.0)
    page.offset -= 10.0
    page.now += 10.0
    page.offset += 9.0  # stamps go on where they were, 1 s is missing
    fresh = page.beats(WINDOW + 1.0)
    assert not fresh[0]
    assert all(fresh[-10:])


def test_a_budget_has_a_rate_and_room_for_a_burst() -> None:
    budget = Budget(200.0, 40)
    assert sum(budget.take(1.0) for _ in range(100)) == 40
    taken = sum(budget.take(1.0 + i / 1000.0) for i in range(1, 1001))
    assert 195 <= taken <= 201
    assert all(budget.take(10.0 + 0.05 * i) for i in range(1000)), "a heartbeat never meets it"
    before = budget.take(60.0), budget.take(59.0)
    assert before == (True, True), "time that goes back gives nothing, and breaks nothing"
