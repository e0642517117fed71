from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.safety.motion import approached, braking_speed, clipped, length, shortened, subtract

components = st.floats(-1.0, 1.0)
vectors = st.tuples(components, components, components)


def braked_way(speed: float, deceleration: float, period: float) -> float:
    """Distance covered while braking, period by period: the naive twin."""
    way = 0.0
    while speed > 0.0:
        way += speed * period
        speed -= deceleration * period
    return way


@given(st.floats(1e-6, 2.0), st.floats(0.1, 20.0), st.sampled_from([0.002, 0.05, 0.1]))
def test_braking_speed_stops_exactly_at_the_distance(distance: float, deceleration: float, period: float) -> None:
    speed = braking_speed(distance, deceleration, period)
    if speed / (deceleration * period) < 10_000:
        assert braked_way(speed, deceleration, period) == pytest.approx(distance, rel=1e-6)


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.1, 20.0))
def test_braking_keeps_being_possible(distance: float, share: float, deceleration: float) -> None:
    period = 0.05
    speed = share * braking_speed(distance, deceleration, period)
    left = distance - speed * period
    assert speed - deceleration * period <= braking_speed(left, deceleration, period) + 1e-9


def test_no_room_no_speed() -> None:
    assert braking_speed(0.0, 1.0, 0.05) == braking_speed(-1.0, 1.0, 0.05) == 0.0


@given(vectors, vectors, vectors, st.floats(0.01, 1.0))
def test_approached_stays_in_reach_and_gets_as_near_as_it_can(
    current: tuple[float, float, float],
    offset: tuple[float, float, float],
    wanted: tuple[float, float, float],
    reach: float,
) -> None:
    braked = subtract(current, shortened(offset, reach))
    result = approached(current, braked, wanted, reach)
    assert length(subtract(result, current)) <= reach + 1e-9
    if length(subtract(wanted, current)) <= reach:
        assert result == wanted
    else:
        assert length(subtract(result, current)) == pytest.approx(reach, abs=1e-7)
        line, way = np.subtract(wanted, braked), np.subtract(result, braked)
        np.testing.assert_allclose(np.cross(line, way), 0.0, atol=1e-9)


@given(vectors)
def test_clipped_and_shortened(v: tuple[float, float, float]) -> None:
    np.testing.assert_array_equal(clipped(v, (-0.5, -0.5, -0.5), (0.25, 0.25, 0.25)), np.clip(v, -0.5, 0.25))
    assert length(shortened(v, 0.3)) <= 0.3 + 1e-12
