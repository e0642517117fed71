"""The way of what is pushed: around what stands there, without corners."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import Observation
from robot_rlhf.skills.pushing import PASSES, SIZE, STANDS, next_stop
from tests.skills.place import Obedient, say

PERIOD = 0.002
"""Length of a step along the way, m."""


def seen(puck: tuple[float, float], glass: tuple[float, float]) -> Observation:
    """A puck and a glass, the goal at the origin."""
    places = {"puck": puck, "goal": (0.0, 0.0), "glass": glass}
    scene = {name: np.array([*place, 0.0, 1.0, 0.0, 0.0, 0.0], np.float32) for name, place in places.items()}
    none = np.zeros(7, np.float32)
    return Observation(0.0, none, none, none, none, none[:6], none[:6], 0.0, 0.0, scene=scene)


def way(puck: tuple[float, float], glass: tuple[float, float]) -> list[np.ndarray]:
    at, way = np.array(puck), []
    for _ in range(500):
        way.append(at)
        if np.linalg.norm(at) < 0.018:
            return way
        stop = next_stop(seen((float(at[0]), float(at[1])), glass), "puck", "goal")
        at = at + PERIOD * (stop - at) / max(float(np.linalg.norm(stop - at)), 1e-9)
    raise AssertionError("the puck does not arrive")


@given(st.floats(-0.08, 0.08), st.floats(-0.12, 0.12), st.floats(0.10, 0.20))
def test_a_pushed_thing_passes_what_stands_around_and_arrives(aside: float, glass_aside: float, apart: float) -> None:
    glass = (glass_aside, apart)
    if abs(glass_aside - aside * apart / 0.35) < 0.005:
        return  # in the middle of the way both sides are as good, and which is taken may change
    clear = [float(np.linalg.norm(at - glass)) for at in way((aside, 0.35), glass)]
    assert min(clear) > STANDS + SIZE + 0.02


@given(st.floats(0.01, 0.07))
def test_the_way_around_has_no_corners(glass_aside: float) -> None:
    steps = np.diff(np.array(way((0.0, 0.35), (glass_aside, 0.18))), axis=0)
    angles = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    assert float(np.abs(np.diff(angles)).max()) < 4.0 * PERIOD / PASSES


def test_what_is_nearer_than_wanted_moves_out_on_its_way() -> None:
    puck, glass = np.array([0.04, 0.18]), np.array([0.0, 0.18])
    stop = next_stop(seen((0.04, 0.20), (0.0, 0.18)), "puck", "goal")
    direction = stop - np.array([0.04, 0.20])
    assert direction @ (puck - glass) > 0.0
    assert direction[1] < 0.0


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_push_keeps_two_centimetres_from_the_glass(seed: int) -> None:
    robot = Obedient("push")
    robot.reset(seed)
    skill = robot.make(say("push_to", "puck", "goal"))
    assert not isinstance(skill, str)
    clear = min(float(seen.privileged["clear"][0]) for seen in robot.steps(skill))
    assert clear > 0.02
    assert robot.task.success(robot.observation)
