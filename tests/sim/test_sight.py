"""The cameras' geometry is what the pictures show, and two views show a cube that one hides."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from robot_rlhf.console.guides import Projection
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.situations import place_tool
from robot_rlhf_sim.tasks import PegInsert, PickCube, Reach

SIZE = (120, 160)
CAMERAS = ("front", "side", "wrist")


@pytest.fixture(scope="module")
def _needs_gl() -> None:
    program = "from robot_rlhf.timing import FakeClock\nfrom robot_rlhf_sim.tasks import Reach\n"
    program += "Reach(FakeClock(), {'front': (8, 8)}).arm.observe()"
    done = subprocess.run([sys.executable, "-c", program], env=os.environ, capture_output=True, timeout=60, check=False)
    if done.returncode:
        pytest.skip("no OpenGL here")


def in_colour(image: NDArray[np.uint8], colour: tuple[float, ...]) -> NDArray[np.bool_]:
    """Pixels of a hue, however bright."""
    seen = image.astype(float)
    brightest = seen.max(axis=2, keepdims=True)
    close = np.abs(seen / np.maximum(brightest, 1.0) - np.divide(colour, max(colour))).max(axis=2) < 0.12
    return close & (brightest[:, :, 0] > 30)


@pytest.mark.usefixtures("_needs_gl")
@pytest.mark.parametrize("camera", CAMERAS)
def test_a_point_of_the_world_is_where_its_picture_shows_it(camera: str) -> None:
    task = Reach(FakeClock(), {camera: SIZE})
    mount = task.arm.sight().mounts[camera]
    assert mount.parent == ("tool" if camera == "wrist" else "base")
    rng, compared = np.random.default_rng(1), 0
    for _ in range(40):
        task.reset(rng)
        place_tool(task.arm, task.limits, rng)
        seen = task.arm.observe()
        rows, columns = np.nonzero(in_colour(seen.images[camera], (0.15, 0.75, 0.35)))
        inside = len(rows) and min(*rows, *columns) > 0 and rows.max() < SIZE[0] - 1 and columns.max() < SIZE[1] - 1
        if len(rows) < 12 or not inside:
            continue
        point = Projection(mount, SIZE, seen.tool_pose_in_base)(seen.privileged["target"][:3])[0]
        assert point is not None
        half = 0.5 * max(np.ptp(rows), np.ptp(columns)) + 1.0  # a part of it may be hidden
        assert abs(point[0] * SIZE[1] - columns.mean() - 0.5) < half
        assert abs(point[1] * SIZE[0] - rows.mean() - 0.5) < half
        compared += 1
    assert compared >= (8 if camera == "wrist" else 20)
    task.arm.close()


@pytest.mark.usefixtures("_needs_gl")
def test_what_one_view_hides_the_other_shows() -> None:
    task = PickCube(FakeClock(), {})
    model, rng = task.arm.model, np.random.default_rng(0)
    arm = [g for g in range(model.ngeom) if model.geom_bodyid[g] and model.geom(g).name != "cube"]
    hidden = 0
    for _ in range(25):
        task.reset(rng)
        place_tool(task.arm, task.limits, rng, clearance=0.03)
        colour, shares = tuple(task.arm.memory), []
        for camera in ("front", "side"):
            seen = int(in_colour(task.arm.render(camera, *SIZE), colour).sum())
            opaque = model.geom_rgba[arm, 3].copy()
            model.geom_rgba[arm, 3] = 0.0
            whole = int(in_colour(task.arm.render(camera, *SIZE), colour).sum())
            model.geom_rgba[arm, 3] = opaque
            assert whole > 15, f"{camera} does not look at it"
            shares.append(seen / whole)
        hidden += shares[0] < 0.7
        assert max(shares) > 0.7
    assert hidden, "the hand was never between: nothing was tried"
    task.arm.close()


@pytest.mark.usefixtures("_needs_gl")
def test_away_in_the_large_picture_leads_to_the_right_in_the_other() -> None:
    sight = PickCube(FakeClock(), {"front": SIZE, "side": SIZE}).arm.sight()
    front, side = (Projection(sight.mounts[name], SIZE, (0, 0, 0, 1, 0, 0, 0)) for name in ("front", "side"))
    away = np.cross(front.right, (0.0, 0.0, 1.0)) * -1.0
    here, there = np.array([0.5, 0.0, 0.0]), np.array([0.5, 0.0, 0.0]) + 0.05 * away
    (a, b), (c, d) = front([here, there]), side([here, there])
    assert a is not None
    assert b is not None
    assert c is not None
    assert d is not None
    assert b[1] < a[1] - 0.02
    assert abs(b[0] - a[0]) < 0.01
    assert d[0] > c[0] + 0.04, "as from a head that was turned, not as in a mirror"


def test_the_surface_is_what_the_task_works_on() -> None:
    assert PickCube(FakeClock()).arm.sight().surface == 0.0
    assert PegInsert(FakeClock()).arm.sight().surface == pytest.approx(0.04)
    assert PickCube(FakeClock()).arm.sight().grip_width == pytest.approx(0.08)
