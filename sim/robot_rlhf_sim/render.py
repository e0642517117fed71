"""Pictures of the simulation, tuned for software OpenGL: no shadows, no multisampling, boxes instead of meshes."""

from __future__ import annotations

import os
from collections.abc import Mapping

import mujoco
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.errors import InvalidValueError, RenderError, UnknownNameError, in_our_words
from robot_rlhf_sim.graphics import load_before_opengl


class Renderer:
    """Takes pictures with the model's cameras; a graphics context per size is made when first needed."""

    def __init__(self, model: mujoco.MjModel, cameras: Mapping[str, tuple[int, int]]) -> None:
        """Check the names and sizes; opens nothing.

        Raises:
            UnknownNameError: a camera the model does not have.
            InvalidValueError: a size that cannot be rendered.
        """
        self._model = model
        self._known = [model.camera(i).name for i in range(model.ncam)]
        self._sizes = dict(cameras)
        for name, size in self._sizes.items():
            self._check(name, size)
        self._open: dict[tuple[int, int], mujoco.Renderer] = {}

    def _check(self, camera: str, size: tuple[int, int]) -> None:
        if camera not in self._known:
            raise UnknownNameError("camera", camera, self._known)
        largest = (int(self._model.vis.global_.offheight), int(self._model.vis.global_.offwidth))
        if len(size) != 2 or not all(1 <= n <= most for n, most in zip(size, largest, strict=True)):
            raise InvalidValueError(f"size of camera {camera!r}", size, f"(height, width) from (1, 1) to {largest}")

    def picture(self, data: mujoco.MjData, camera: str, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """RGB picture, read-only, of a state whose kinematics are up to date. Shape (H, W, 3).

        Raises:
            RenderError: this machine has no working OpenGL.
        """
        size = size or self._sizes.get(camera, (128, 128))
        self._check(camera, size)
        mujoco.mj_camlight(self._model, data)
        renderer = self._open.get(size) or self._make(size)
        renderer.update_scene(data, camera=camera)
        image = renderer.render()
        image.flags.writeable = False
        return image

    def _make(self, size: tuple[int, int]) -> mujoco.Renderer:
        load_before_opengl()
        with in_our_words(_no_context):  # each OpenGL loader fails with a type of its own
            renderer = mujoco.Renderer(self._model, height=size[0], width=size[1], max_geom=256)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION, mujoco.mjtRndFlag.mjRND_HAZE):
            renderer.scene.flags[flag] = 0
        self._open[size] = renderer
        return renderer

    def close(self) -> None:
        """Free the graphics contexts; a later picture opens them again."""
        for renderer in self._open.values():
            renderer.close()
        self._open.clear()


def _no_context(error: Exception) -> RenderError:
    return RenderError(
        f"no OpenGL context for camera pictures (MUJOCO_GL={os.environ.get('MUJOCO_GL', '')!r}: {error}); "
        "install Mesa (libegl1, or libosmesa6 with MUJOCO_GL=osmesa), or train from state without cameras"
    )
