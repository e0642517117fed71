"""Pictures: size, content, cost only when asked for, and clear errors."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from robot_rlhf.datatypes import Command
from robot_rlhf.errors import InvalidValueError, RenderError, UnknownNameError
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.tasks import Blocks, DrawerStore, PegInsert, PickCube, Push, Reach

BOTH = {"front": (96, 128), "wrist": (64, 64)}


@pytest.fixture(scope="module")
def _needs_gl() -> None:
    arm = Reach(FakeClock()).arm
    try:
        arm.render("front", 8, 8)
    except RenderError as error:
        pytest.skip(str(error))
    finally:
        arm.close()


def cube_pixels(image: np.ndarray, colour: np.ndarray) -> int:
    """Pixels whose hue is the cube's."""
    pixels = image.reshape(-1, 3).astype(float)
    pixels -= pixels.mean(axis=1, keepdims=True)
    wanted = colour - colour.mean()
    size = np.linalg.norm(pixels, axis=1)
    likeness = pixels @ wanted / (np.maximum(size, 1e-6) * np.linalg.norm(wanted))
    return int(((likeness > 0.97) & (size > 30)).sum())


@pytest.mark.usefixtures("_needs_gl")
@pytest.mark.parametrize("task_type", [Reach, PickCube, PegInsert, Push, DrawerStore, Blocks])
def test_pictures_have_their_size_and_show_something(task_type: type[PickCube]) -> None:
    task = task_type(FakeClock(), BOTH)
    task.reset(np.random.default_rng(0))
    seen = task.arm.observe()
    assert {k: v.shape for k, v in seen.images.items()} == {"front": (96, 128, 3), "wrist": (64, 64, 3)}
    for image in seen.images.values():
        assert image.dtype == np.uint8
        assert image.std() > 15
        assert (image > 250).mean() < 0.05  # not overexposed
        assert (image < 5).mean() < 0.2
    task.arm.close()


@pytest.mark.usefixtures("_needs_gl")
def test_the_cube_is_seen_in_its_colour_by_both_cameras() -> None:
    task = PickCube(FakeClock(), {"front": (128, 128), "wrist": (128, 128)})
    for seed in range(4):
        task.reset(np.random.default_rng(seed))
        images = task.arm.observe().images
        assert cube_pixels(images["front"], task.arm.memory) > 25
        assert cube_pixels(images["wrist"], task.arm.memory) > 60
    task.arm.close()


@pytest.mark.usefixtures("_needs_gl")
def test_a_picture_is_taken_once_per_state_and_follows_the_state() -> None:
    task = PickCube(FakeClock(), {"wrist": (64, 64)})
    task.reset(np.random.default_rng(0))
    first = task.arm.observe()
    assert task.arm.observe().images["wrist"] is first.images["wrist"]
    state = task.arm.snapshot()
    target = np.array([*first.tool_target_in_base, 1.0])
    target[2] -= 0.05
    for _ in range(5):
        task.arm.send(Command(target, task.arm.clock.now() + 1.0))
    moved = task.arm.observe().images["wrist"]
    assert (moved != first.images["wrist"]).any()
    task.reset(np.random.default_rng(5))
    task.arm.restore(state)
    np.testing.assert_array_equal(task.arm.observe().images["wrist"], first.images["wrist"])  # colour too
    task.arm.close()


def test_unknown_cameras_and_sizes_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="wrist"):
        PickCube(FakeClock(), {"wirst": (64, 64)})
    with pytest.raises(InvalidValueError, match="front"):
        PickCube(FakeClock(), {"front": (0, 64)})


def test_without_gl_the_error_says_what_to_do_and_state_still_works() -> None:
    """In a process of its own, whose GL platform does not exist."""
    program = (
        "import numpy as np\n"
        "from robot_rlhf.errors import RenderError\n"
        "from robot_rlhf.timing import FakeClock\n"
        "from robot_rlhf_sim.tasks import Reach\n"
        "Reach(FakeClock()).arm.observe()\n"
        "try:\n"
        "    Reach(FakeClock(), {'front': (8, 8)}).arm.observe()\n"
        "except RenderError as error:\n"
        "    assert len(str(error).splitlines()) == 1, str(error)\n"
        "    print(error)\n"
    )
    environment = {**os.environ, "MUJOCO_GL": "disable"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "no OpenGL" in done.stdout
    assert "train from state" in done.stdout


@pytest.mark.usefixtures("_needs_gl")
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere MuJoCo's own choice holds")
def test_whoever_imports_mujoco_first_has_pictures_too() -> None:
    program = """
import mujoco
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.tasks import Reach

print(Reach(FakeClock()).arm.render("front", 8, 8).shape)
"""
    without = {name: value for name, value in os.environ.items() if name not in ("MUJOCO_GL", "DISPLAY")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=without, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "(8, 8, 3)", done.stderr
