"""What the tool feels: the contact forces the world exerts on it, and whether it holds something."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf_sim.robots.arm_model import ArmModel


class ContactSense:
    """Sums contact forces on the hand, the fingers and what they hold."""

    def __init__(self, model: mujoco.MjModel, arm: ArmModel, site: int, graspable: str | None) -> None:
        self._model = model
        self._site = site
        self._tool = _geoms_of(model, _carried_by(model, arm.tool))
        self._sides = [
            _geoms_of(model, {model.body(name).id for name in side})
            for side in (arm.gripper.sides if arm.gripper is not None else ())
        ]
        names = [model.geom(g).name for g in range(model.ngeom)]
        if graspable is not None and graspable not in names:
            raise UnknownNameError("geom", graspable, [n for n in names if n])
        self._object = -1 if graspable is None else names.index(graspable)
        self._tool_and_object = self._tool | {self._object}
        self._force = np.zeros(6)

    def measure(self, data: mujoco.MjData, wrench: NDArray[np.float64], share: float = 1.0) -> bool:
        """Add force (N), then torque about the tool point (N m), in the base frame and times `share`; shape (6,).

        Returns:
            Whether two fingers touch the graspable object; it then counts as part of the tool.
        """
        if not data.ncon:
            return False
        pairs: list[list[int]] = data.contact.geom.tolist()
        tool = self._tool
        grasped = False
        if self._object >= 0:
            touching = {a if b == self._object else b for a, b in pairs if self._object in (a, b)}
            grasped = sum(not side.isdisjoint(touching) for side in self._sides) >= 2
            if grasped:
                tool = self._tool_and_object
        for i, (a, b) in enumerate(pairs):
            if (a in tool) != (b in tool):
                self._add(data, i, share if b in tool else -share, wrench)
        return grasped

    def _add(self, data: mujoco.MjData, index: int, sign: float, wrench: NDArray[np.float64]) -> None:
        mujoco.mj_contactForce(self._model, data, index, self._force)
        contact = data.contact[index]
        axes = contact.frame.reshape(3, 3)  # rows; the first points from the first geom to the second
        force = sign * (self._force[:3] @ axes)
        arm = contact.pos - data.site_xpos[self._site]
        wrench[:3] += force
        wrench[3:] += sign * (self._force[3:] @ axes) + np.cross(arm, force)


def _carried_by(model: mujoco.MjModel, name: str) -> set[int]:
    """Numbers of the body and of all that it carries; a parent's number is below its children's."""
    bodies = {int(model.body(name).id)}
    for body in range(model.nbody):
        if int(model.body_parentid[body]) in bodies:
            bodies.add(body)
    return bodies


def _geoms_of(model: mujoco.MjModel, bodies: set[int]) -> frozenset[int]:
    return frozenset(g for g in range(model.ngeom) if int(model.geom_bodyid[g]) in bodies)


def refuse_ghosts(model: mujoco.MjModel) -> None:
    """Free bodies touch something: the world's geoms, and so by default a task's, touch nothing.

    Raises:
        ConfigError: a free body, with all that hangs on it, would fall through the table.
    """
    for joint in np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE):
        body = int(model.jnt_bodyid[joint])
        own = model.body_rootid[model.geom_bodyid] == body
        touches = ((model.geom_contype | model.geom_conaffinity) != 0) & own
        if not touches.any() and not model.body_gravcomp[body]:
            raise ConfigError(
                f"body {model.body(body).name!r}: it is free, and none of its geoms touches anything: it would fall "
                "through the table; allowed: contype=3, conaffinity=3 of a geom, which table and tool touch"
            )
