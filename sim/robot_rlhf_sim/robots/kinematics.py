"""Inverse kinematics of an arm: damped least squares on a bare copy of its joints."""

from __future__ import annotations

import math
from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from robot_rlhf_sim.robots.arm_model import ArmModel, span
from robot_rlhf_sim.rotation import difference

_DAMPING = 0.02**2
_HOME_PULL = 0.02
_LARGEST_STEP = 0.15
_LIMIT_MARGIN = 0.02
_PULLED_FOR = 50
_UNLIMITED = 2.0 * math.pi
"""How far a joint without limits is let turn, rad."""
_OFF = 1e-4
"""Error (m and rad together) which, if it is left after so many iterations, is the pull's doing: then the pull ends."""


class ToolKinematics:
    """Finds joint positions that bring the tool to a pose, inside the joint limits.

    One iteration solves min |J dq - e|^2 + d |dq - n|^2 with n = p (home - q), which pulls what the tool does not
    need towards home: dq = n + J^T (J J^T + d I)^-1 (e - J n)  (damped least squares, Wampler 1986).
    """

    def __init__(self, spec: mujoco.MjSpec, arm: ArmModel) -> None:
        """Strip the arm's world of all but its joints and its site 'tool'; the spec is consumed."""
        attached = (*spec.actuators, *spec.sensors, *spec.equalities, *spec.tendons, *spec.excludes, *spec.pairs)
        for element in (*attached, *spec.keys, *spec.geoms, *spec.cameras, *spec.lights):
            spec.delete(element)
        for body in spec.worldbody.bodies:
            if body.name != arm.root:
                spec.delete(body)
        for finger in (spec.body(side[0]) for side in (arm.gripper.sides if arm.gripper else ())):
            if arm.gripper and any(joint.name in arm.gripper.joints for joint in finger.joints):
                spec.delete(finger)
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._site = self._model.site("tool").id
        self._hand = self._model.body("hand").id
        ids = [self._model.joint(name).id for name in arm.joints]
        self._qpos = span(self._model.jnt_qposadr[ids])
        self._dof = span(self._model.jnt_dofadr[ids])
        limited = self._model.jnt_limited[ids].astype(bool)[:, None]
        limits = np.where(limited, self._model.jnt_range[ids], (-_UNLIMITED, _UNLIMITED))
        self.lower: NDArray[np.float64] = limits[:, 0].copy()
        self.upper: NDArray[np.float64] = limits[:, 1].copy()
        self._home = arm.home
        self._inner_lower = self.lower + _LIMIT_MARGIN
        self._inner_upper = self.upper - _LIMIT_MARGIN
        self._jacobian = np.zeros((6, self._model.nv))
        self._damping = _DAMPING * np.eye(6)
        self._error = np.zeros(6)

    def pose(self, joints: NDArray[np.float64]) -> NDArray[np.float64]:
        """Forward kinematics: tool pose x, y, z, qw, qx, qy, qz of joint positions (n,)."""
        self._data.qpos[self._qpos] = joints
        mujoco.mj_kinematics(self._model, self._data)
        return np.concatenate([self._data.site_xpos[self._site], self._data.xquat[self._hand]])

    def lowest(self, joints: NDArray[np.float64]) -> float:
        """Height of the lowest joint or link that is led, m, for joint positions (n,)."""
        self.pose(joints)
        moved = self._model.body_weldid != 0
        return float(self._data.xpos[moved, 2].min())

    def freedom(self, joints: NDArray[np.float64]) -> float:
        """Smallest singular value of the Jacobian at joint positions (n,): 0 where the tool cannot move some way."""
        self.pose(joints)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_jacSite(self._model, self._data, self._jacobian[:3], self._jacobian[3:], self._site)
        return float(np.linalg.svd(self._jacobian[:, self._dof], compute_uv=False)[-1])

    def solve(
        self, target: Sequence[float], start: NDArray[np.float64], iterations: int = 2, tolerance: float = 2e-6
    ) -> NDArray[np.float64]:
        """Joint positions whose tool pose is near `target`, searched from `start`.

        Args:
            target: x, y, z (m), qw, qx, qy, qz, as plain floats.
            start: joint positions to begin at, rad. Shape (n,).
            iterations: most iterations.
            tolerance: error (m and rad together) at which to end sooner.

        Returns:
            Joint positions inside the limits, rad. Shape (n,).
        """
        model, data, whole, error = self._model, self._data, self._jacobian, self._error
        tx, ty, tz, qw, qx, qy, qz = target
        quat = (qw, qx, qy, qz)
        joints, pull_gain = start, _HOME_PULL
        for i in range(iterations):
            data.qpos[self._qpos] = joints
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            x, y, z = data.site_xpos[self._site].tolist()
            rx, ry, rz = difference(quat, data.xquat[self._hand].tolist())
            dx, dy, dz = tx - x, ty - y, tz - z
            size = math.sqrt(dx * dx + dy * dy + dz * dz + rx * rx + ry * ry + rz * rz)
            if size < tolerance:
                break
            if i == _PULLED_FOR and size > _OFF:
                pull_gain = 0.0
            error[:] = (dx, dy, dz, rx, ry, rz)
            if size > _LARGEST_STEP:
                error *= _LARGEST_STEP / size
            mujoco.mj_jacSite(model, data, whole[:3], whole[3:], self._site)
            jacobian = whole[:, self._dof]
            pull = pull_gain * (self._home - joints)
            square = jacobian @ jacobian.T
            square += self._damping
            step = pull + np.linalg.solve(square, error - jacobian @ pull) @ jacobian
            joints = np.minimum(np.maximum(joints + step, self._inner_lower), self._inner_upper)
        return joints
