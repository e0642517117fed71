"""Put a square peg, held in the gripper, into a square hole that is hardly larger."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Action, ActionLayout, Array, Assignment, Observation
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.facts import TRUTH, Attribute, Columns, Fact, FactBook, Thing, number, remaining
from robot_rlhf.meaning import Meaning
from robot_rlhf.safety.limits import ToolLimits
from robot_rlhf.timing import Clock
from robot_rlhf_sim.arm import SimArm
from robot_rlhf_sim.captions import FRONT_CAMERA, of_gripper, of_scene, side_of
from robot_rlhf_sim.experts import TRUST_TARGET, ScriptedExpert
from robot_rlhf_sim.robots.arm_model import ArmModel
from robot_rlhf_sim.robots.built_in import BUILT_IN
from robot_rlhf_sim.rotation import POINTING_DOWN, about_z, conjugate, difference, exp, multiply, rotate, yaw

PEG_HALF_WIDTH = 0.01
DEPTH = 0.025
"""How deep the tip must be, m."""
MOUTH_HEIGHT = 0.04

_PEG_TIP = 0.15
_PEG_TOP = 0.062
_BLOCK_HALF_WIDTH = 0.05
_FLOOR = 0.005
_CENTRE = (0.5, 0.0)
_HALF_SPREAD = 0.10
_HOLE_YAW = math.radians(15.0)
_START_HEIGHT = (0.04, 0.07)
_START_ASIDE = 0.04
_START_TILT = math.radians(6.0)
_START_YAW = math.radians(15.0)
# Stiff contacts: the softness of MuJoCo's default is larger than the clearance.
_STIFF = {"solref": [0.004, 1.0], "solimp": [0.95, 0.99, 0.0005, 0.5, 2.0]}

OVER_HOLE = 0.012
"""The peg is over the hole while its tip is less than this beside it, m."""
IN_HOLE = 0.004
"""Depth of the tip from which the peg is in the hole, m."""
PEG_BELOW_FINGERS = 0.047
"""How far the peg's tip, which is the tool point, is below the fingertips, m."""


def _remaining(observation: Observation) -> float:
    goal = observation.privileged["hole"][:3] - (0.0, 0.0, DEPTH)
    return float(np.linalg.norm(goal - observation.tool_pose_in_base[:3]))


def _inside(columns: Columns) -> NDArray[np.bool_]:
    return columns["privileged/depth"][:, 0].astype(np.float64) > IN_HOLE


def _peg_place(columns: Columns) -> NDArray[np.int64]:
    apart = columns["tool_pose_in_base"][:, :2] - columns["privileged/hole"][:, :2]
    over = np.linalg.norm(apart, axis=1).astype(np.float64) < OVER_HOLE
    return np.where(_inside(columns), 0, np.where(over, 1, 2))


_FACTS = (
    remaining(_remaining),
    Fact("gold:depth", "m", ("how deep the peg is in the hole",), number("depth")),
    Fact("gold:in(peg, hole)", TRUTH, ("the peg is in the hole", "the peg is inside the hole"), _inside),
)
_ATTRIBUTES = (
    *of_gripper(below=PEG_BELOW_FINGERS, fingers=False),
    of_scene("peg", "there is a peg and a block with a hole", "a robot with a peg"),
    Attribute(
        "peg place",
        {
            "in": (
                "the peg is in the hole",
                "the peg is inserted into the hole",
                "the peg is in the block",
                "insert the peg into the hole",
            ),
            "over": ("the peg is over the hole", "the peg is above the hole", "the peg points at the hole"),
            "beside": ("the peg is beside the hole", "the peg is away from the hole", "the peg misses the hole"),
        },
        _peg_place,
    ),
    side_of("block side", "hole", "block"),
)


class PegInsert:
    """Insert the 20 mm peg 25 mm deep. Actions: x, y, z (1 cm per step), rx, ry, rz (0.05 rad per step).

    The tool point is the middle of the peg's tip. scene['hole'] is the pose of the hole's mouth as perception
    reports it, wrong by up to `hole_error`; privileged['hole'] is the true one and privileged['depth'] how deep the
    tip is in the hole, m (negative above it, and beside it at most 0).
    """

    name = "peg_insert"
    instruction = "insert the peg into the hole"
    time_limit = 150
    suggested: ClassVar[Mapping[str, Any]] = {"steps": 15_000, "features.fine": 0.005, "features.force": True}
    scene_sizes: Mapping[str, int] = {"hole": 7}
    privileged_sizes: Mapping[str, int] = {"hole": 7, "depth": 1}
    facts = FactBook.of_scene(["hole"], ["hole"], things=[Thing("hole", ("the hole",))], view=FRONT_CAMERA).and_also(
        _FACTS, _ATTRIBUTES
    )
    stays_above = 0.005
    keeps_opening = True
    goes_on = False
    limits = ToolLimits(
        workspace_lower=np.array([0.32, -0.18, 0.003]),
        workspace_upper=np.array([0.68, 0.18, 0.22]),
        tool_speed=0.35,
        turn_rate=1.8,
        tool_acceleration=12.0,
        turn_acceleration=60.0,
        leash=0.022,
        leash_angle=0.12,
        joint_margin=0.01,
        force_soft=40.0,
        force_hard=300.0,
        torque_hard=40.0,
        tilt_max=0.35,
        command_validity=0.15,
        observation_age_max=0.25,
        jump_max=0.08,
    )

    def __init__(
        self,
        clock: Clock,
        cameras: Mapping[str, tuple[int, int]] | None = None,
        *,
        arm: ArmModel = BUILT_IN,
        clearance: float = 0.001,
        hole_error: float = 0.0,
    ) -> None:
        """Build the world.

        Args:
            clock: see SimArm.
            cameras: see SimArm.
            arm: whose hand holds the peg.
            clearance: by how much the hole is wider than the peg, m.
            hole_error: largest horizontal error of the reported hole, m; new in each episode.
        """
        if not 0.0002 <= clearance <= 0.02:
            raise InvalidValueError("clearance", clearance, "0.0002 to 0.02 m")
        if not 0.0 <= hole_error <= 0.02:
            raise InvalidValueError("hole_error", hole_error, "0 to 0.02 m")
        self.clearance = clearance
        self.hole_error = hole_error
        self._hole_half_width = PEG_HALF_WIDTH + 0.5 * clearance
        world = arm.load()
        self._add_peg(world)
        self._add_block(world)
        layout = ActionLayout(("x", "y", "z", "rx", "ry", "rz"), np.array([0.01] * 3 + [0.05] * 3, np.float32))
        self.arm = SimArm(self, world, layout, clock, cameras or {}, model=arm, surface=MOUTH_HEIGHT, memory=2)

    def _add_peg(self, world: mujoco.MjSpec) -> None:
        half_length = 0.5 * (_PEG_TIP - _PEG_TOP)
        world.body("hand").add_geom(
            name="peg",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[PEG_HALF_WIDTH, PEG_HALF_WIDTH, half_length],
            pos=[0.0, 0.0, _PEG_TIP - half_length],
            contype=2,
            conaffinity=1,
            condim=4,
            friction=[0.3, 0.005, 0.0001],
            rgba=[0.86, 0.26, 0.18, 1.0],
            group=2,
            **_STIFF,
        )
        world.site("tool").pos = [0.0, 0.0, _PEG_TIP]

    def _add_block(self, world: mujoco.MjSpec) -> None:
        block = world.worldbody.add_body(name="block", mocap=True, pos=[*_CENTRE, 0.0])
        outer, inner = _BLOCK_HALF_WIDTH, self._hole_half_width
        middle, half_wall = 0.5 * (outer + inner), 0.5 * (outer - inner)
        half_height = 0.5 * (MOUTH_HEIGHT - _FLOOR)
        height = _FLOOR + half_height
        parts = [
            ([half_wall, outer, half_height], [middle, 0.0, height], [0.20, 0.42, 0.62, 1.0]),
            ([half_wall, outer, half_height], [-middle, 0.0, height], [0.20, 0.42, 0.62, 1.0]),
            ([inner, half_wall, half_height], [0.0, middle, height], [0.25, 0.48, 0.68, 1.0]),
            ([inner, half_wall, half_height], [0.0, -middle, height], [0.25, 0.48, 0.68, 1.0]),
            ([outer, outer, 0.5 * _FLOOR], [0.0, 0.0, 0.5 * _FLOOR], [0.10, 0.12, 0.15, 1.0]),
        ]
        for size, position, colour in parts:
            block.add_geom(
                type=mujoco.mjtGeom.mjGEOM_BOX,
                size=size,
                pos=position,
                contype=1,
                conaffinity=2,
                condim=4,
                friction=[0.3, 0.005, 0.0001],
                rgba=colour,
                group=2,
                **_STIFF,
            )

    def reset(self, rng: np.random.Generator) -> None:
        x, y = (float(c + rng.uniform(-_HALF_SPREAD, _HALF_SPREAD)) for c in _CENTRE)
        hole_yaw = float(rng.uniform(-_HOLE_YAW, _HOLE_YAW))
        aside = rng.uniform(-_START_ASIDE, _START_ASIDE, 2).tolist()
        height = MOUTH_HEIGHT + float(rng.uniform(*_START_HEIGHT))
        tilt_x, tilt_y = rng.uniform(-_START_TILT, _START_TILT, 2).tolist()
        turn = multiply(exp((tilt_x, tilt_y, 0.0)), about_z(float(rng.uniform(-_START_YAW, _START_YAW))))
        distance = self.hole_error * math.sqrt(float(rng.uniform()))  # uniform over the disc
        direction = float(rng.uniform(-math.pi, math.pi))
        self.arm.begin((x + aside[0], y + aside[1], height, *multiply(turn, POINTING_DOWN)), 0.25)
        self.arm.data.mocap_pos[0] = (x, y, 0.0)
        self.arm.data.mocap_quat[0] = about_z(hole_yaw)
        self.arm.memory[:] = (distance * math.cos(direction), distance * math.sin(direction))
        self.arm.settle()

    def success(self, observation: Observation) -> bool:
        return bool(observation.privileged["depth"][0] >= DEPTH)

    def gold_reward(self, observation: Observation) -> float:
        """In [0, 1]: a quarter for nearness of tip and mouth, a quarter for alignment, half for the depth."""
        hole, tool = observation.privileged["hole"], observation.tool_pose_in_base
        depth = min(max(float(observation.privileged["depth"][0]) / DEPTH, 0.0), 1.0)
        gap = float(np.linalg.norm(tool[:3] - hole[:3]))
        upright = multiply(about_z(yaw(hole[3:].tolist())), POINTING_DOWN)
        cosine = abs(float(np.dot(tool[3:], upright)))
        angle = 2.0 * math.acos(min(cosine, 1.0))
        near = 1.0 if depth > 0.0 else 1.0 - math.tanh(20.0 * gap)
        return 0.25 * near + 0.25 * near * (1.0 - math.tanh(10.0 * angle)) + 0.5 * depth

    def remaining(self, observation: Observation) -> float:
        """Distance from the peg's tip to where it has to go, inside the hole, m."""
        return _remaining(observation)

    def pictured(self, observation: Observation) -> dict[str, str]:
        return self.facts.described(observation, gold=True)

    def advises(self, observation: Observation) -> Meaning | None:
        """What a person would tell the robot to do now; None when it is done."""
        if self.success(observation):
            return None
        beside = float(np.linalg.norm((observation.tool_pose_in_base - observation.privileged["hole"])[:2]))
        if beside > 2.0 * OVER_HOLE:
            return Meaning("goal", skill="above", thing="hole")
        return Meaning("goal", skill="put_in", place="hole")

    def expert(self, noise: float = 0.0, tap: float = 0.0) -> PegInsertExpert:
        """A script that solves the task; `noise` is the spread of its wobble in actions, less near the hole, and `tap`
        the shortest motion that the hands can make, as an action."""
        return PegInsertExpert(self.arm.spec.action, noise, self.clearance, tap)

    def sense(self, arm: SimArm) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        x, y, _ = arm.data.mocap_pos[0].tolist()
        quat = arm.data.mocap_quat[0].tolist()
        dx, dy = arm.memory.tolist()
        tip = arm.tool_pose()
        ahead, left, _ = rotate(conjugate(quat), (tip[0] - x, tip[1] - y, 0.0))
        depth = MOUTH_HEIGHT - tip[2]
        if max(abs(ahead), abs(left)) > self._hole_half_width:
            depth = min(depth, 0.0)
        return {"hole": np.array([x + dx, y + dy, MOUTH_HEIGHT, *quat], np.float32)}, {
            "hole": np.array([x, y, MOUTH_HEIGHT, *quat], np.float32),
            "depth": np.array([depth], np.float32),
        }

    def paint(self, arm: SimArm) -> None:
        """Nothing changes colour."""


class PegInsertExpert(ScriptedExpert):
    """Aligns the peg above the hole, lowers it the more slowly the tighter the hole, then pushes it straight down."""

    HOVER = 0.008
    FUNNEL = 6.0
    """Height kept above the mouth per metre of misalignment that is left."""
    LOST = 0.004
    """Misalignment at which to go back up, m."""
    LEVER = 0.02
    """What a radian of misalignment counts, m."""
    CLEAR = 0.02
    """Distance from the hole beyond which the peg first rises, lest it catches the block, m."""
    STEADY_RANGE = 0.05
    """Within this distance of the mouth, m, a person moves the more carefully the nearer it is."""
    STEADIEST = 0.06
    FEELING = 0.8
    """Share of their shortest tap to which people can place the peg; from there on they press it down lightly and shift
    it about until it falls in."""
    LIGHT = 30.0
    """Force, N, above which they yield, by so much:"""
    YIELD = 0.002

    def __init__(self, layout: ActionLayout, noise: float, clearance: float, tap: float = 0.0) -> None:
        super().__init__(layout, noise)
        self._feels = tap > 0.0
        self._tolerance = max(0.4 * clearance, self.FEELING * tap * self._scale[0])
        self._entry_step = 1.5 * clearance

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        hole, tool = observation.privileged["hole"].tolist(), observation.tool_pose_in_base.tolist()
        hx, hy, hz = hole[:3]
        upright = multiply(about_z(yaw(hole[3:])), POINTING_DOWN)
        aside = math.hypot(hx - tool[0], hy - tool[1])
        height = tool[2] - hz
        misaligned = aside + self.LEVER * math.hypot(*difference(upright, tool[3:]))
        z_now = TRUST_TARGET * float(observation.tool_target_in_base[2]) + (1.0 - TRUST_TARGET) * tool[2]
        floor = min(self.FUNNEL * max(misaligned - self._tolerance, 0.0), self.HOVER)
        if observation.privileged["depth"][0] > 0.001:
            goal = (hx, hy, hz - 0.03)
        elif aside > self.CLEAR and height < self.HOVER:
            goal = (tool[0], tool[1], hz + 2.0 * self.HOVER)
        elif misaligned > self.LOST or (misaligned > self._tolerance and z_now < hz):
            goal = (hx, hy, hz + self.HOVER)
        else:  # down as far as the funnel allows, else wait: going up again would stir what has to settle
            step = self._entry_step if height < self.HOVER else 0.01
            goal = (hx, hy, min(z_now, max(hz + floor, z_now - step)) if floor else z_now - step)
        if self._feels and float(np.linalg.norm(observation.tool_wrench[:3])) > self.LIGHT:
            goal = (*goal[:2], max(goal[2], tool[2] + self.YIELD))
        steadiness = min(max(math.hypot(aside, height) / self.STEADY_RANGE, self.STEADIEST), 1.0)
        return self.towards(observation, goal, upright, rng, steadiness=steadiness)
