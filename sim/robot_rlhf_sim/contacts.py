"""What the tool feels: the contact forces the world exerts on it, and whether it holds something."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf_sim.robots.arm_model import ArmModel


class ContactSense:
    """Sums contact forces on the hand, the fingers and what they hold."""

    def __init__(self, model: mujoco.MjModel, arm: ArmModel, site: int, graspable: Sequence[str]) -> None:
        self._model = model
        self._site = site
        self._tool = _geoms_of(model, _carried_by(model, arm.tool))
        self._sides = [
            _geoms_of(model, {model.body(name).id for name in side})
            for side in (arm.gripper.sides if arm.gripper is not None else ())
        ]
        names = [model.geom(g).name for g in range(model.ngeom)]
        for name in graspable:
            if name not in names:
                raise UnknownNameError("geom", name, [n for n in names if n])
        self._objects = [names.index(name) for name in graspable]
        self._tool_and_object = [self._tool | {geom} for geom in self._objects]
        self._force = np.zeros(6)

    def measure(self, data: mujoco.MjData, wrench: NDArray[np.float64], share: float = 1.0) -> int:
        """Add force (N), then torque about the tool point (N m), in the base frame and times `share`; shape (6,).

        Returns:
            Which of the graspable objects two fingers touch, from 1; it then counts as part of the tool. 0 for none.
        """
        if not data.ncon:
            return 0
        pairs: list[list[int]] = data.contact.geom.tolist()
        tool = self._tool
        grasped = 0
        for number, geom in enumerate(self._objects, 1):
            touching = {a if b == geom else b for a, b in pairs if geom in (a, b)}
            if sum(not side.isdisjoint(touching) for side in self._sides) >= 2:
                grasped, tool = number, self._tool_and_object[number - 1]
                break
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
