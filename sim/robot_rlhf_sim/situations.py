"""States of the simulated tasks drawn at random: the tool anywhere, things where an episode may bring them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from robot_rlhf.datatypes import Action, Assignment, Observation
from robot_rlhf.errors import RobotError
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.safety.limits import ToolLimits
from robot_rlhf_sim.arm import SimArm
from robot_rlhf_sim.experts import ScriptedExpert
from robot_rlhf_sim.rotation import POINTING_DOWN, about_z, multiply

NEAR_A_THING = 0.4
"""Share of poses that are drawn near the task's thing: what happens there has the most names."""
NEARNESS = 0.04
"""Their spread, m."""
FLOOR = 0.03
"""Height above the workspace's lowest that poses are drawn from, m."""
OVER = 0.08
"""A tool less than this beside a thing is over it, m."""
EVERY = 3
"""Steps between two states that are shown of an episode."""
WANDERING = 18
"""Steps for which a thing that was picked up is carried about."""
TURN = math.radians(40.0)


def place_tool(
    arm: SimArm,
    limits: ToolLimits,
    rng: np.random.Generator,
    *,
    clearance: float | None = None,
    keep_opening: bool = False,
) -> None:
    """Put the tool somewhere in the workspace, at once, while everything else stays where it is.

    Args:
        arm: after a reset of its task.
        limits: of the task; the workspace is theirs.
        rng: draws position, turn and opening.
        clearance: how far above the task's thing the tool stays that is over it, m; None for a thing that is no body.
        keep_opening: leave the gripper as it is, for a tool that holds something.
    """
    data = arm.data
    things, positions, turns = data.qpos[arm.things], data.mocap_pos.copy(), data.mocap_quat.copy()
    memory, opening = arm.memory.copy(), arm.observe().gripper
    thing = next(iter(arm.observe().privileged.values()))[:3].astype(float)
    if not keep_opening:
        opening = float(rng.choice((0.0, 1.0, rng.uniform(0.3, 0.7))))
    lower, upper = np.add(limits.workspace_lower, (0.0, 0.0, FLOOR)), limits.workspace_upper
    while True:
        position = rng.uniform(lower, upper)
        if rng.random() < NEAR_A_THING:
            position = np.clip(thing + rng.normal(0.0, NEARNESS, 3), lower, upper)
        if clearance is not None and np.linalg.norm(position[:2] - thing[:2]) < OVER:
            position[2] = max(position[2], thing[2] + clearance)
        pose = (*position.tolist(), *multiply(about_z(float(rng.uniform(-TURN, TURN))), POINTING_DOWN))
        try:
            arm.begin(pose, opening)
            break
        except RobotError:  # out of reach: draw again
            continue
    data.qpos[arm.things] = things
    data.mocap_pos[:], data.mocap_quat[:] = positions, turns
    arm.memory[:] = memory
    arm.settle()


def episode(
    guard: GuardedRobot, expert: ScriptedExpert, steps: int, rng: np.random.Generator, *, carries: bool = True
) -> Iterator[Observation]:
    """Every third state of an expert's episode, and, where it grasps something, of carrying that about and letting go.

    Args:
        guard: of the arm, after a reset of its task.
        steps: of the episode at most.
        carries: False: after a grasp the expert goes on.
    """
    guard.anchor()
    expert.reset()
    for step in range(steps):
        observation = guard.observe()
        if step % EVERY == 0:
            yield observation
        if carries and observation.privileged.get("grasped", np.zeros(1))[0] > 0.5:
            break
        guard.act(expert.act(observation, Assignment(), rng))
    else:
        return
    yield from _carry(guard, rng)


def _carry(guard: GuardedRobot, rng: np.random.Generator) -> Iterator[Observation]:
    """Upward for a few steps, then in directions drawn at random; half the time it lets go at last."""
    names = guard.spec.action.names
    direction = np.array([0.0, 0.0, 0.7])
    lets_go = int(rng.integers(8, 2 * WANDERING))
    for step in range(WANDERING):
        if step % 6 == 3:
            direction = rng.uniform(-1.0, 1.0, 3)
        wish = dict(zip("xyz", direction.tolist(), strict=True))
        wish["gripper"] = 1.0 if step >= lets_go else -1.0
        guard.act(Action(np.array([wish.get(name, 0.0) for name in names], np.float32)))
        if step % 2 == 0:
            yield guard.observe()
