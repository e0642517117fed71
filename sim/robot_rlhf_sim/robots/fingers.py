"""Finds the gripper of an arm by trying what its servos do: open is where the fingers are farthest from the tool."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
from numpy.typing import NDArray

from robot_rlhf_sim.robots.arm_model import Gripper
from robot_rlhf_sim.robots.built_in import BUILT_IN
from robot_rlhf_sim.robots.chain import HAND, Chain

_SECONDS = 1.5
"""How long fingers are given to move."""
_MOVES = 1e-3
"""Distance, m, that they move at least."""


def find_gripper(chain: Chain) -> Gripper | None:
    """The fingers beyond the arm's last joint, where servos with known ranges move them; None where there are none."""
    if not chain.own_hand:
        return _built_in()
    model = chain.world((0.0, 0.0, 0.0)).compile()
    beyond = _beyond(model, model.body(chain.felt).id)
    arm = {model.joint(name).id for name in chain.joints}
    joints = [j for j in range(model.njnt) if int(model.jnt_bodyid[j]) in beyond and j not in arm]
    servos = [
        a for a in range(model.nu) if model.actuator(a).name not in chain.servos and model.actuator_ctrllimited[a]
    ]
    sides = _sides(model, joints)
    if not joints or not servos or len(sides) < 2:
        return None
    trial = _Trial(chain, model, sides)
    low, high = model.actuator_ctrlrange[servos].T
    closing, opening = low.copy(), low.copy()
    for k in range(len(servos)):
        tried = low.copy()
        tried[k] = high[k]
        opens = trial.spread(servos, tried) > trial.spread(servos, low)
        closing[k], opening[k] = (low[k], high[k]) if opens else (high[k], low[k])
    addresses = model.jnt_qposadr[joints]
    width = trial.spread(servos, opening)
    opened = trial.data.qpos[addresses].copy()
    if width - trial.spread(servos, closing) < _MOVES:
        return None
    return Gripper(
        joints=tuple(model.joint(j).name for j in joints),
        closed=trial.data.qpos[addresses].copy(),
        opened=opened,
        servos=tuple(model.actuator(a).name for a in servos),
        closing=closing,
        opening=opening,
        sides=tuple(tuple(model.body(b).name for b in side) for side in sides),
    )


def _built_in() -> Gripper:
    given = BUILT_IN.gripper
    assert given is not None
    return replace(
        given,
        joints=tuple(HAND + name for name in given.joints),
        servos=tuple(HAND + name for name in given.servos),
        sides=tuple(tuple(HAND + name for name in side) for side in given.sides),
    )


class _Trial:
    """The arm at its start, without weight, whose fingers are told where to go."""

    def __init__(self, chain: Chain, model: mujoco.MjModel, sides: list[list[int]]) -> None:
        self.data = mujoco.MjData(model)
        self._model = model
        self._chain = chain
        self._tool = model.site("tool").id
        moved = {b for side in sides for b in side}
        self._geoms = [g for g in range(model.ngeom) if int(model.geom_bodyid[g]) in moved]

    def spread(self, servos: list[int], told: NDArray[np.float64]) -> float:
        """Mean distance of what the fingers consist of from the tool's axis, m, when they have moved."""
        model, data = self._model, self.data
        mujoco.mj_resetData(model, data)
        for name, servo, position in zip(self._chain.joints, self._chain.servos, self._chain.start, strict=True):
            data.qpos[model.joint(name).qposadr[0]] = data.ctrl[model.actuator(servo).id] = position
        data.ctrl[servos] = told
        mujoco.mj_step(model, data, nstep=round(_SECONDS / model.opt.timestep))
        ahead = data.site_xmat[self._tool].reshape(3, 3)[:, 2]
        away = data.geom_xpos[self._geoms] - data.site_xpos[self._tool]
        aside = away - np.outer(away @ ahead, ahead)
        return float(np.linalg.norm(aside, axis=1).mean()) if self._geoms else 0.0


def _beyond(model: mujoco.MjModel, body: int) -> set[int]:
    found = {body}
    for b in range(model.nbody):
        if int(model.body_parentid[b]) in found:
            found.add(b)
    return found


def _sides(model: mujoco.MjModel, joints: list[int]) -> list[list[int]]:
    """Bodies of each finger: what branches off and moves by itself; beside a single one, what it branches off from."""
    moving = {int(model.jnt_bodyid[j]) for j in joints}
    first = [b for b in sorted(moving) if not _carriers(model, b) & moving]
    sides = [sorted(_beyond(model, b)) for b in first]
    if len(first) == 1:
        sides.append([int(model.body_parentid[first[0]])])
    return sides


def _carriers(model: mujoco.MjModel, body: int) -> set[int]:
    found: set[int] = set()
    while body:
        body = int(model.body_parentid[body])
        found.add(body)
    return found
