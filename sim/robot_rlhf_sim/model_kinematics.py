"""Inverse kinematics of any arm that MuJoCo can load (MJCF, URDF), for robots that take joint positions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.errors import ConfigError
from robot_rlhf_sim.rotation import difference

_DAMPING = 0.01**2
_LARGEST_STEP = 0.15
"""Of position (m) and rotation (rad) together, per iteration."""
_ITERATIONS = 10
_TOLERANCE = 1e-5
_TURNING_OF_FEW = 0.02
"""What a radian counts beside a metre for arms with fewer than six joints, which cannot have both as asked: their tool
comes to the place, and turns as far as that allows."""


class ModelKinematics:
    """Finds positions of the named joints that bring a site or body to a pose in the model's world frame.

    Damped least squares (Wampler 1986), clipped to the joints' limits; what cannot be reached is approached. An arm of
    fewer than six joints comes to the place, and turns as far as that allows.
    """

    def __init__(self, model: Path, joint_names: Sequence[str], tool: str) -> None:
        """Load the model.

        Raises:
            ConfigError: it cannot be loaded, or lacks a joint or the tool.
        """
        try:
            self._model = _loaded(model)
        except (ValueError, OSError, ElementTree.ParseError) as error:
            raise ConfigError(f"kinematics {model}: cannot be loaded ({str(error).splitlines()[0]})") from error
        self._data = mujoco.MjData(self._model)
        ids = [mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_JOINT, name) for name in joint_names]
        if min(ids) < 0:
            raise ConfigError(f"kinematics {model}: no joint {joint_names[ids.index(-1)]!r} in the model")
        self._site = mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_SITE, tool)
        self._body = mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_BODY, tool)
        if self._site < 0 and self._body < 0:
            raise ConfigError(f"kinematics {model}: no site or body {tool!r} in the model")
        self._qpos = self._model.jnt_qposadr[ids]
        self._dof = self._model.jnt_dofadr[ids]
        limited = self._model.jnt_limited[ids].astype(bool)
        self._lower = np.where(limited, self._model.jnt_range[ids, 0], -np.inf)
        self._upper = np.where(limited, self._model.jnt_range[ids, 1], np.inf)
        self._jacobian = np.zeros((6, self._model.nv))
        turning = 1.0 if len(joint_names) >= 6 else _TURNING_OF_FEW
        self._weights = np.array([1.0, 1.0, 1.0, turning, turning, turning])

    def pose(self, joints: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pose x, y, z, qw, qx, qy, qz of the tool for joint positions (n,)."""
        self._data.qpos[self._qpos] = joints
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        if self._site >= 0:
            quaternion = np.zeros(4)
            mujoco.mju_mat2Quat(quaternion, self._data.site_xmat[self._site])
            return np.concatenate([self._data.site_xpos[self._site], quaternion])
        return np.concatenate([self._data.xpos[self._body], self._data.xquat[self._body]])

    def solve(self, pose: NDArray[np.float64], start: NDArray[np.float64]) -> NDArray[np.float64]:
        """Joint positions (n,), rad, whose pose is near `pose` (7,), searched from `start` (n,)."""
        joints = np.array(start, np.float64)
        w, x, y, z = pose[3:7].tolist()
        for _ in range(_ITERATIONS):
            now = self.pose(joints)
            error = np.concatenate([pose[:3] - now[:3], difference((w, x, y, z), now[3:].tolist())])
            size = float(np.linalg.norm(error))
            if size < _TOLERANCE:
                break
            error *= min(1.0, _LARGEST_STEP / size) * self._weights
            j = self._jac() * self._weights[:, None]
            step = j.T @ np.linalg.solve(j @ j.T + _DAMPING * np.eye(6), error)
            joints = np.clip(joints + step, self._lower, self._upper)
        return joints

    def _jac(self) -> NDArray[np.float64]:
        jacobian = self._jacobian
        if self._site >= 0:
            mujoco.mj_jacSite(self._model, self._data, jacobian[:3], jacobian[3:], self._site)
        else:
            mujoco.mj_jacBody(self._model, self._data, jacobian[:3], jacobian[3:], self._body)
        return jacobian[:, self._dof]


def _loaded(model: Path) -> mujoco.MjModel:
    """The model; of a URDF its links and joints alone.

    Meshes tell nothing of where things are, and those of ROS packages cannot be found from here. Links without a mass
    get one, and links that are fixed to others, as a tool0 is, stay links of their own.
    """
    root = ElementTree.parse(model).getroot()
    if root.tag != "robot":
        return mujoco.MjModel.from_xml_path(str(model))
    for link in root.iter("link"):
        for part in [part for part in link if part.tag in ("visual", "collision", "inertial")]:
            link.remove(part)
        link.append(ElementTree.fromstring(_INERTIAL))
    spec = mujoco.MjSpec.from_string(ElementTree.tostring(root, encoding="unicode"))
    spec.compiler.fusestatic = False
    return spec.compile()


_INERTIAL = '<inertial><mass value="1"/><inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial>'
