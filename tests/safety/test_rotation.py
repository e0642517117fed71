from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.errors import InvalidValueError
from robot_rlhf.safety import rotation

components = st.floats(-1.0, 1.0)
quaternions = (
    st.tuples(components, components, components, components)
    .filter(lambda q: math.hypot(*q) > 0.1)
    .map(rotation.normalise)
)
vectors = st.tuples(components, components, components)


def matrix(q: rotation.Quaternion) -> np.ndarray:
    """The textbook rotation matrix."""
    w, x, y, z = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


@given(quaternions, quaternions, vectors)
def test_products_are_those_of_matrices(a: rotation.Quaternion, b: rotation.Quaternion, v: rotation.Vector) -> None:
    np.testing.assert_allclose(matrix(rotation.multiply(a, b)), matrix(a) @ matrix(b), atol=1e-12)
    np.testing.assert_allclose(rotation.rotate(a, v), matrix(a) @ v, atol=1e-12)
    np.testing.assert_allclose(rotation.rotate(rotation.conjugate(a), rotation.rotate(a, v)), v, atol=1e-12)
    np.testing.assert_allclose(rotation.multiply(a, rotation.conjugate(a)), rotation.IDENTITY, atol=1e-12)


@given(vectors, st.sampled_from([1.0, 1e-3, 1e-8, 1e-12]))
def test_log_is_the_inverse_of_exp(v: rotation.Vector, size: float) -> None:
    small = (v[0] * size, v[1] * size, v[2] * size)
    np.testing.assert_allclose(rotation.log(rotation.exp(small)), small, rtol=1e-9, atol=1e-24)


@given(quaternions)
def test_exp_is_the_inverse_of_log(q: rotation.Quaternion) -> None:
    again = rotation.exp(rotation.log(q))
    assert abs(np.dot(again, q)) == pytest.approx(1.0, abs=1e-12)
    assert math.hypot(*rotation.log(q)) <= math.pi + 1e-12


@given(quaternions, quaternions)
def test_difference_leads_from_old_to_new(new: rotation.Quaternion, old: rotation.Quaternion) -> None:
    reached = rotation.multiply(rotation.exp(rotation.difference(new, old)), old)
    assert abs(np.dot(reached, new)) == pytest.approx(1.0, abs=1e-12)


@given(quaternions)
def test_tilt_is_the_angle_of_the_approach_axis_to_straight_down(q: rotation.Quaternion) -> None:
    axis = np.array(rotation.approach_axis(q))
    np.testing.assert_allclose(axis, rotation.rotate(q, (0.0, 0.0, 1.0)), atol=1e-12)
    assert math.cos(rotation.tilt(q)) == pytest.approx(float(axis @ [0, 0, -1]), abs=1e-12)


def test_hand_computed() -> None:
    np.testing.assert_allclose(rotation.rotate(rotation.POINTING_DOWN, (1, 2, 3)), (1, -2, -3), atol=1e-15)
    quarter = rotation.exp((0.0, 0.0, math.pi / 2))
    np.testing.assert_allclose(rotation.rotate(quarter, (1, 0, 0)), (0, 1, 0), atol=1e-15)
    assert rotation.tilt(rotation.POINTING_DOWN) == 0.0
    assert rotation.tilt(rotation.IDENTITY) == pytest.approx(math.pi)


def test_zero_is_no_rotation() -> None:
    with pytest.raises(InvalidValueError, match="quaternion"):
        rotation.normalise((0.0, 0.0, 0.0, 0.0))
