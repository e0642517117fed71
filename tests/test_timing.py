from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.errors import InvalidValueError
from robot_rlhf.timing import FakeClock, MonotonicClock, Rate


def test_fake_clock_moves_only_when_told() -> None:
    clock = FakeClock(2.0)
    assert clock.now() == clock.now() == 2.0
    clock.advance(0.5)
    assert clock.now() == 2.5
    clock.sleep_until(4.0)
    assert clock.now() == 4.0
    clock.sleep_until(1.0)
    assert clock.now() == 4.0, "time never goes back"
    for seconds in (-0.1, float("nan")):
        with pytest.raises(InvalidValueError, match=r"FakeClock\.advance"):
            clock.advance(seconds)


def test_monotonic_clock_sleeps_at_least_until_the_deadline() -> None:
    clock = MonotonicClock()
    deadline = clock.now() + 0.01
    clock.sleep_until(deadline)
    assert clock.now() >= deadline
    clock.sleep_until(deadline - 1.0)


def test_rate_needs_a_period() -> None:
    with pytest.raises(InvalidValueError, match=r"Rate\.period"):
        Rate(FakeClock(), 0.0)


@given(st.lists(st.floats(0.0, 0.0999), min_size=1, max_size=30))
def test_a_loop_in_time_keeps_absolute_deadlines(work: list[float]) -> None:
    clock = FakeClock(1.0)
    rate = Rate(clock, 0.1)
    for i, seconds in enumerate(work):
        clock.advance(seconds)
        slept = rate.wait()
        assert slept == pytest.approx(0.1 - seconds)
        assert clock.now() == pytest.approx(1.0 + 0.1 * (i + 1))
    assert rate.overruns == 0
    assert rate.lateness == 0.0


def test_an_overrun_is_counted_and_not_made_up_for() -> None:
    clock = FakeClock()
    rate = Rate(clock, 0.1)
    clock.advance(0.25)
    assert rate.wait() == 0.0
    assert rate.overruns == 1
    assert rate.lateness == pytest.approx(0.15)
    assert rate.wait() == pytest.approx(0.1), "the next deadline is one period after the overrun"
    assert clock.now() == pytest.approx(0.35)
    assert rate.lateness == 0.0


def test_a_little_lateness_is_no_overrun() -> None:
    clock = FakeClock()
    rate = Rate(clock, 0.1)
    clock.advance(0.105)
    rate.wait()
    assert rate.overruns == 0
    assert rate.lateness == pytest.approx(0.005)


def test_restart_begins_a_new_series() -> None:
    clock = FakeClock()
    rate = Rate(clock, 0.1)
    clock.advance(5.0)
    rate.restart()
    assert rate.wait() == pytest.approx(0.1)
    assert rate.overruns == 0
