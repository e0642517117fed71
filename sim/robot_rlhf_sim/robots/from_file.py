"""An arm from a file in MuJoCo's format (MJCF): what it must have is found in it, and what is missing is named."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.errors import ConfigError
from robot_rlhf_sim.robots.arm_model import ArmModel, Gripper
from robot_rlhf_sim.robots.chain import Chain
from robot_rlhf_sim.robots.fingers import find_gripper
from robot_rlhf_sim.robots.kinematics import ToolKinematics
from robot_rlhf_sim.rotation import POINTING_DOWN, difference

SPEED = 2.0
"""rad/s (m/s of slides), for joints of which no file in this format says how fast they may be."""
OVER_TABLE = (0.5, 0.0, 0.2)
"""Where the tool of an arm at home is, m."""
CORNERS = tuple((x, y, z) for x in (0.36, 0.64) for y in (-0.2, 0.2) for z in (0.03, 0.30))
"""Tool positions that tasks ask for, m."""

_SETBACKS = tuple(0.05 * k for k in range(10))
"""How far ahead of the built-in arm's place an arm may stand, m, as near to that place as it can."""
_TRIES = 24
_TRIED_OUT = 4
_CLOSE, _POINTED = 1e-3, 0.02
"""Distance, m, and angle, rad, at which a pose counts as reached."""


def arm_from(
    file: Path, *, tool: str | None = None, base: tuple[float, float, float] | None = None, own_hand: bool = True
) -> ArmModel:
    """Read an arm: its joints, their limits and servos, its tool, and its gripper where it has one.

    The arm is one chain of hinges and slides from the world to the tool, whose z axis points ahead. Its weight is
    compensated, and joints that are not led by position servos get some, as arms have in their controllers.

    Args:
        file: the model.
        tool: site or body that is led; None for the first of chain.TOOL_NAMES, else the last body before the chain
            ends or divides into fingers.
        base: where the arm stands, m; None for the place nearest to the built-in arm's from which it reaches CORNERS.
        own_hand: False puts the built-in hand with its two fingers at the tool.

    Raises:
        ConfigError: the file cannot be loaded, or has no arm that could be used; says what is missing.
        UnknownNameError: it has no such tool.
    """
    chain = Chain(file, tool, own_hand=own_hand)
    gripper = find_gripper(chain)
    stands = (_stand(chain, gripper, (x, 0.0, 0.0)) for x in _SETBACKS)
    if base is not None:
        stands = (_stand(chain, gripper, base),)
    best: _Stand | None = None
    for stand in stands:
        if stand is not None and (best is None or stand.reached > best.reached):
            best = stand
        if best is not None and best.reached == len(CORNERS):
            return best.arm
    if best is None:
        standing = "" if base is None else f" with its base at {base} m"
        raise ConfigError(
            f"arm {file}: its tool, {chain.tool}, does not come to {OVER_TABLE} m, 20 cm above the table, pointing "
            f"down{standing}; allowed: an arm that reaches it, a tool whose z axis points ahead"
        )
    if base is None:
        raise ConfigError(
            f"arm {file}: its tool, {chain.tool}, comes to {best.reached} of the {len(CORNERS)} corners "
            f"{CORNERS[0]} to {CORNERS[-1]} m of what tasks ask for, without anything touching itself or the table; "
            "allowed: a longer arm, a site 'tcp' where its tool is, or its base's place in m"
        )
    return best.arm


@dataclass(frozen=True)
class _Stand:
    """An arm at a place, and how many of CORNERS it reaches from its home."""

    arm: ArmModel
    reached: int


def _stand(chain: Chain, gripper: Gripper | None, base: tuple[float, float, float]) -> _Stand | None:
    """The arm at its best home there; None where it has none."""
    count = len(chain.joints)
    arm = ArmModel(
        name=chain.file.stem,
        load=lambda: chain.world(base),
        root=chain.root,
        tool=chain.felt,
        joints=chain.joints,
        servos=chain.servos,
        home=chain.start,
        speed_max=np.full(count, SPEED, np.float32),
        gripper=gripper,
    )
    postures = _Postures(chain.world(base), arm)
    homes = sorted(postures.homes(chain.start), key=lambda home: -home[0])[:_TRIED_OUT]
    stands = [_Stand(replace(arm, home=joints), postures.reached(joints)) for _, joints in homes]
    return max(stands, key=lambda stand: stand.reached, default=None)


class _Postures:
    """Tries postures of an arm on its table."""

    def __init__(self, world: mujoco.MjSpec, arm: ArmModel) -> None:
        self._model = world.compile()
        self._data = mujoco.MjData(self._model)
        self._qpos = [int(self._model.joint(name).qposadr[0]) for name in arm.joints]
        if arm.gripper is not None:
            for name, position in zip(arm.gripper.joints, arm.gripper.opened, strict=True):
                self._data.qpos[self._model.joint(name).qposadr[0]] = position
        self._kinematics = ToolKinematics(world, arm)

    def homes(self, start: NDArray[np.float64]) -> Iterator[tuple[float, NDArray[np.float64]]]:
        """Postures over the table, and how far each is from limits and from being singular: 0 where links touch."""
        kinematics = self._kinematics
        lower, upper = kinematics.lower, kinematics.upper
        rng = np.random.default_rng(0)
        for k in range(_TRIES):
            first = start if k == 0 else 0.5 * (lower + upper) if k == 1 else rng.uniform(lower, upper)
            joints = self._solve(OVER_TABLE, np.clip(first, lower, upper))
            if joints is not None and kinematics.lowest(joints) > -_CLOSE:
                room = float((np.minimum(joints - lower, upper - joints) / (upper - lower)).min())
                yield 0.0 if self._touches(joints) else room * kinematics.freedom(joints), joints

    def reached(self, home: NDArray[np.float64]) -> int:
        """How many of CORNERS it comes to from there, touching nothing."""
        found = [self._solve(place, home) for place in CORNERS]
        return sum(joints is not None and not self._touches(joints) for joints in found)

    def _solve(self, place: tuple[float, float, float], start: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Joint positions with the tool there, pointing down; None where there are none from this start."""
        joints = self._kinematics.solve((*place, *POINTING_DOWN), start, iterations=100)
        pose = self._kinematics.pose(joints).tolist()
        turned = math.hypot(*difference(POINTING_DOWN, pose[3:]))
        return joints if math.dist(pose[:3], place) < _CLOSE and turned < _POINTED else None

    def _touches(self, joints: NDArray[np.float64]) -> bool:
        self._data.qpos[self._qpos] = joints
        mujoco.mj_forward(self._model, self._data)
        return bool((self._data.contact.dist < 0.0).any())
