"""Bring the tool to a point in space: the smallest task, for first trials and fast tests."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Action, ActionLayout, Array, Assignment, Observation
from robot_rlhf.facts import Attribute, Columns, FactBook, Thing, distance, place, remaining
from robot_rlhf.meaning import Meaning
from robot_rlhf.safety.limits import ToolLimits
from robot_rlhf.timing import Clock
from robot_rlhf_sim.arm import SimArm
from robot_rlhf_sim.captions import FRONT_CAMERA, bins, of_gripper, of_scene, side_of
from robot_rlhf_sim.experts import ScriptedExpert
from robot_rlhf_sim.robots.arm_model import ArmModel
from robot_rlhf_sim.robots.built_in import BUILT_IN
from robot_rlhf_sim.rotation import POINTING_DOWN

NEAR = 0.01
"""Distance at which the target counts as reached, m."""

_START_BOX = ((0.42, -0.08, 0.12), (0.58, 0.08, 0.24))
_TARGET_BOX = ((0.36, -0.20, 0.04), (0.64, 0.20, 0.30))
AT_MARKER, NEAR_MARKER = 0.03, 0.10
"""Distances of tool and marker, m, below which the one is at the other, and up to which it is near."""


def _distance(observation: Observation) -> float:
    return float(np.linalg.norm(observation.tool_pose_in_base[:3] - observation.privileged["target"][:3]))


_apart = distance(place("tool"), place("target", "privileged"))


def _how_near(columns: Columns) -> NDArray[np.int64]:
    return bins(_apart(columns), AT_MARKER, NEAR_MARKER)


_MARKER_DISTANCE = Attribute(
    "marker distance",
    {
        "at": (
            "the gripper is at the green marker",
            "the tool touches the marker",
            "the gripper is at the marker",
            "move the gripper to the green marker",
        ),
        "near": ("the gripper is near the green marker", "the gripper is close to the marker"),
        "far": ("the gripper is far from the green marker", "the gripper is away from the marker"),
    },
    _how_near,
)


class Reach:
    """Move the tool to within 1 cm of the marker. Actions: x, y, z (2 cm per step).

    scene['target'] and privileged['target'] are the marker's pose.
    """

    name = "reach"
    instruction = "move the gripper to the green marker"
    time_limit = 60
    suggested: ClassVar[Mapping[str, Any]] = {"steps": 2_000, "demonstrations": 2}
    scene_sizes: Mapping[str, int] = {"target": 7}
    privileged_sizes: Mapping[str, int] = {"target": 7}
    facts = FactBook.of_scene(
        scene_sizes, privileged_sizes, things=[Thing("target", ("the green marker", "the marker"))], view=FRONT_CAMERA
    ).and_also(
        [remaining(_distance)],
        [
            *of_gripper(),
            of_scene("marker", "there is a green marker", "a robot and a green marker"),
            _MARKER_DISTANCE,
            side_of("marker side", "target", "green marker", "marker"),
        ],
    )
    stays_above = None
    keeps_opening = False
    goes_on = False
    limits = ToolLimits(
        workspace_lower=np.array([0.32, -0.24, 0.02]),
        workspace_upper=np.array([0.68, 0.24, 0.36]),
        tool_speed=0.70,
        turn_rate=1.0,
        tool_acceleration=24.0,
        turn_acceleration=20.0,
        leash=0.06,
        leash_angle=0.2,
        joint_margin=0.01,
        force_soft=30.0,
        force_hard=120.0,
        torque_hard=15.0,
        tilt_max=0.2,
        command_validity=0.15,
        observation_age_max=0.25,
        jump_max=0.1,
    )

    def __init__(
        self, clock: Clock, cameras: Mapping[str, tuple[int, int]] | None = None, *, arm: ArmModel = BUILT_IN
    ) -> None:
        world = arm.load()
        marker = world.worldbody.add_body(name="target", mocap=True, pos=[0.5, 0.0, 0.1])
        marker.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.012] * 3, contype=0, conaffinity=0, rgba=[0.15, 0.75, 0.35, 1.0]
        )
        layout = ActionLayout(("x", "y", "z"), np.full(3, 0.02, np.float32))
        self.arm = SimArm(self, world, layout, clock, cameras or {}, model=arm)

    def reset(self, rng: np.random.Generator) -> None:
        start = rng.uniform(*_START_BOX)
        target = rng.uniform(*_TARGET_BOX)
        self.arm.begin((*start.tolist(), *POINTING_DOWN), 1.0)
        self.arm.data.mocap_pos[0] = target
        self.arm.settle()

    def success(self, observation: Observation) -> bool:
        return _distance(observation) < NEAR

    def gold_reward(self, observation: Observation) -> float:
        """In [0, 1]: 1 at the target, 0.24 at 10 cm."""
        return 1.0 - math.tanh(10.0 * _distance(observation))

    def remaining(self, observation: Observation) -> float:
        """Distance from the tool to the target, m."""
        return _distance(observation)

    def pictured(self, observation: Observation) -> dict[str, str]:
        return self.facts.described(observation, gold=True)

    def advises(self, observation: Observation) -> Meaning | None:
        """What a person would tell the robot to do now; None when it is done."""
        return None if self.success(observation) else Meaning("goal", skill="to", thing="target")

    def expert(self, noise: float = 0.0, tap: float = 0.0) -> ReachExpert:
        """A script that solves the task; `noise` is the spread of its wobble in actions. No tap is too long for it."""
        return ReachExpert(self.arm.spec.action, noise)

    def sense(self, arm: SimArm) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        target = np.array([*arm.data.mocap_pos[0].tolist(), 1.0, 0.0, 0.0, 0.0], np.float32)
        target.flags.writeable = False
        return {"target": target}, {"target": target}

    def paint(self, arm: SimArm) -> None:
        """Nothing changes colour."""


class ReachExpert(ScriptedExpert):
    """Goes straight to the target."""

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        x, y, z, *_ = observation.privileged["target"].tolist()
        return self.towards(observation, (x, y, z), POINTING_DOWN, rng)
