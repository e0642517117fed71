"""Domain randomisation: how the world of an episode differs from the nominal one, as a vector of numbers in [-1, 1]."""

from __future__ import annotations

import math

import mujoco
import numpy as np
from numpy.typing import NDArray

from robot_rlhf_sim.rotation import exp, multiply

Draws = NDArray[np.float64]
"""One number per thing that varies; all 0 is the nominal world. Shape (DRAWS,)."""
DRAWS = 16
_SIZE, _MASS, _FRICTION, _LIGHT = range(4)
_LIGHT_PLACE, _CAMERA_PLACE, _CAMERA_TURN, _PERCEPTION = slice(4, 7), slice(7, 10), slice(10, 13), slice(13, 16)

SIZE = 0.2
"""Share by which a draw of 1 makes a free thing larger."""
MASS = 2.0
"""Factor on its mass."""
FRICTION = 1.5
"""Factor on the sliding friction of everything."""
LIGHT = 0.5
"""Share by which lights become brighter."""
LIGHT_PLACE = 0.3
"""Metres by which lights stand elsewhere."""
CAMERA_PLACE = 0.02
"""Metres by which cameras stand elsewhere."""
CAMERA_TURN = math.radians(2.0)
"""Radians by which they look elsewhere."""
PERCEPTION = 0.005
"""Metres per axis by which reported poses are wrong."""


class WorldVariation:
    """Changes a compiled world as draws say; always from what it was when it was made, so nothing adds up.

    Free things (bodies with a free joint) have other sizes and masses, everything has another friction. Lights and
    cameras change where pictures are taken at all.
    """

    def __init__(self, model: mujoco.MjModel, *, pictures: bool) -> None:
        self._model = model
        self._scratch = mujoco.MjData(model)
        self._pictures = pictures
        free = model.jnt_bodyid[model.jnt_type == mujoco.mjtJoint.mjJNT_FREE]
        self._bodies = np.unique(free)
        self._geoms = np.flatnonzero(np.isin(model.geom_bodyid, self._bodies))
        names = ("geom_size", "geom_rbound", "geom_aabb", "geom_friction", "body_mass", "body_inertia")
        names += ("light_diffuse", "light_pos", "cam_pos", "cam_quat")
        self._nominal = {name: getattr(model, name).copy() for name in names}

    def apply(self, draws: Draws) -> None:
        """Make the world of these draws; positions of things are the task's business."""
        model, nominal, geoms, bodies = self._model, self._nominal, self._geoms, self._bodies
        larger = 1.0 + SIZE * float(draws[_SIZE])
        heavier = MASS ** float(draws[_MASS])
        for name in ("geom_size", "geom_rbound", "geom_aabb"):
            getattr(model, name)[geoms] = nominal[name][geoms] * larger
        model.body_mass[bodies] = nominal["body_mass"][bodies] * heavier
        model.body_inertia[bodies] = nominal["body_inertia"][bodies] * (heavier * larger**2)
        model.geom_friction[:, 0] = nominal["geom_friction"][:, 0] * FRICTION ** float(draws[_FRICTION])
        if self._pictures:
            self._apply_to_pictures(draws)
        mujoco.mj_setConst(model, self._scratch)

    def _apply_to_pictures(self, draws: Draws) -> None:
        model, nominal = self._model, self._nominal
        model.light_diffuse[:] = nominal["light_diffuse"] * (1.0 + LIGHT * float(draws[_LIGHT]))
        model.light_pos[:] = nominal["light_pos"] + LIGHT_PLACE * draws[_LIGHT_PLACE]
        model.cam_pos[:] = nominal["cam_pos"] + CAMERA_PLACE * draws[_CAMERA_PLACE]
        x, y, z = (CAMERA_TURN * draws[_CAMERA_TURN]).tolist()
        for camera, (w, i, j, k) in enumerate(nominal["cam_quat"].tolist()):
            model.cam_quat[camera] = multiply((w, i, j, k), exp((x, y, z)))


def perception_error(draws: Draws) -> NDArray[np.float64]:
    """What is added to every reported pose, m. Shape (3,)."""
    return PERCEPTION * draws[_PERCEPTION]
