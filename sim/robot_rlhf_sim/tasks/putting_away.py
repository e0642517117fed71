"""What tasks share in which blocks are put away: the tool's limits, and how a thing is added to the scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np

from robot_rlhf.safety.limits import ToolLimits

HALF_SIDE = 0.016
"""Of a block, m."""
_SOLREF = (0.01, 1.0)


def limits_within(lower: Sequence[float], upper: Sequence[float]) -> ToolLimits:
    """Of fingers that carry a block and let it drop. Args: lower, upper: corners of the workspace, m. Shapes (3,)."""
    return ToolLimits(
        workspace_lower=np.array(lower),
        workspace_upper=np.array(upper),
        tool_speed=0.70,
        turn_rate=1.0,
        tool_acceleration=24.0,
        turn_acceleration=20.0,
        leash=0.06,
        leash_angle=0.2,
        joint_margin=0.01,
        force_soft=40.0,
        force_hard=300.0,
        torque_hard=25.0,
        tilt_max=0.2,
        command_validity=0.15,
        observation_age_max=0.25,
        jump_max=0.1,
    )


def add_block(world: mujoco.MjSpec, name: str, place: tuple[float, float], colour: tuple[float, float, float]) -> None:
    """A cube on the table that fingers can take. Args: place: of its middle on the table, m."""
    body = world.worldbody.add_body(name=name, pos=[*place, HALF_SIDE])
    body.add_freejoint(name=name)
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[HALF_SIDE] * 3,
        mass=0.08,
        contype=3,
        conaffinity=3,
        condim=3,  # with the pads theirs, 4, counts
        friction=[1.0, 0.02, 0.0001],
        solref=list(_SOLREF),
        rgba=[*colour, 1.0],
        group=2,
    )


def add_part(
    body: mujoco.MjsBody,
    size: Sequence[float],
    position: Sequence[float],
    colour: Sequence[float],
    *,
    sliding: float,
    kind: mujoco.mjtGeom = mujoco.mjtGeom.mjGEOM_BOX,
    turn: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
    mass: float | None = None,
) -> None:
    """A part of what blocks are put into, which they and the fingers bump into.

    Args:
        size, position, turn: as MuJoCo has them, m.
        sliding: friction with what slides along it.
        mass: kg; None: by its volume.
    """
    weight: dict[str, Any] = {} if mass is None else {"mass": mass}
    body.add_geom(
        type=kind,
        size=list(size),
        pos=list(position),
        quat=list(turn),
        contype=1,
        conaffinity=2,
        friction=[sliding, 0.005, 0.0001],
        solref=list(_SOLREF),
        rgba=list(colour),
        group=2,
        **weight,
    )
