"""The arm's geometry against its published table, and its inverse kinematics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from robot_rlhf_sim.robots.built_in import BUILT_IN
from robot_rlhf_sim.robots.kinematics import ToolKinematics
from robot_rlhf_sim.rotation import canonical, difference, exp, multiply, rotate
from tests.draws import draws

# a (m), d (m), alpha (rad) of the modified Denavit-Hartenberg convention (Craig), as published for the arm.
DH = (
    (0.0, 0.333, 0.0),
    (0.0, 0.0, -math.pi / 2),
    (0.0, 0.316, math.pi / 2),
    (0.0825, 0.0, math.pi / 2),
    (-0.0825, 0.384, -math.pi / 2),
    (0.0, 0.0, math.pi / 2),
    (0.088, 0.0, math.pi / 2),
)
FLANGE = 0.107
TOOL = 0.1034
LOWER = np.array([-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973])
UPPER = np.array([2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973])


def forward(joints: np.ndarray) -> np.ndarray:
    """Tool pose as a homogeneous matrix, by the table alone."""
    pose = np.eye(4)
    for (a, d, alpha), q in zip(DH, joints, strict=True):
        c, s, ca, sa = math.cos(q), math.sin(q), math.cos(alpha), math.sin(alpha)
        pose = pose @ np.array(
            [[c, -s, 0, a], [s * ca, c * ca, -sa, -d * sa], [s * sa, c * sa, ca, d * ca], [0, 0, 0, 1]]
        )
    c, s = math.cos(-math.pi / 4), math.sin(-math.pi / 4)
    return pose @ np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, FLANGE + TOOL], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def kinematics() -> ToolKinematics:
    return ToolKinematics(BUILT_IN.load(), BUILT_IN)


def test_limits_are_the_published_ones(kinematics: ToolKinematics) -> None:
    np.testing.assert_array_equal(kinematics.lower, LOWER)
    np.testing.assert_array_equal(kinematics.upper, UPPER)


def test_forward_kinematics_is_that_of_the_table(kinematics: ToolKinematics) -> None:
    rng = np.random.default_rng(0)
    for joints in rng.uniform(LOWER, UPPER, (50, 7)):
        pose = kinematics.pose(joints)
        expected = forward(joints)
        columns = [rotate(pose[3:].tolist(), axis) for axis in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
        np.testing.assert_allclose(pose[:3], expected[:3, 3], atol=1e-9)
        np.testing.assert_allclose(np.transpose(columns), expected[:3, :3], atol=1e-9)


@draws(60)
@given(
    x=st.floats(0.34, 0.66),
    y=st.floats(-0.22, 0.22),
    z=st.floats(0.02, 0.34),
    tilt=st.tuples(st.floats(-0.25, 0.25), st.floats(-0.25, 0.25), st.floats(-0.9, 0.9)),
)
@example(x=0.34375, y=0.125, z=0.0625, tilt=(0.0, -0.25, 0.0))  # where the pull towards home and the goal disagree
def test_inverse_kinematics_converges_inside_the_limits(
    kinematics: ToolKinematics, x: float, y: float, z: float, tilt: tuple[float, float, float]
) -> None:
    target = (x, y, z, *multiply(exp(tilt), (0.0, 1.0, 0.0, 0.0)))
    joints = kinematics.solve(target, BUILT_IN.home, iterations=100)
    reached = forward(joints)
    np.testing.assert_allclose(reached[:3, 3], [x, y, z], atol=2e-4)
    pose = kinematics.pose(joints).tolist()
    assert math.hypot(*difference(canonical(target[3:]), canonical(pose[3:]))) < 1e-3
    assert (joints > LOWER).all()
    assert (joints < UPPER).all()


def test_an_unreachable_target_stays_inside_the_limits(kinematics: ToolKinematics) -> None:
    rng = np.random.default_rng(1)
    for far in rng.uniform(-3.0, 3.0, (30, 3)).tolist():
        joints = kinematics.solve((*far, 0.0, 1.0, 0.0, 0.0), BUILT_IN.home, iterations=60)
        assert np.isfinite(joints).all()
        assert (joints > LOWER).all()
        assert (joints < UPPER).all()
