"""Store a block in a drawer: pull it open, pick the block, put it in, push it shut."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Action, ActionLayout, Array, Assignment, Observation
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.facts import TRUTH, Columns, Fact, FactBook, Thing, number, place, remaining, truth
from robot_rlhf.meaning import Meaning
from robot_rlhf.timing import Clock
from robot_rlhf_sim.arm import SimArm
from robot_rlhf_sim.captions import FRONT_CAMERA
from robot_rlhf_sim.experts import ScriptedExpert, above_then_at
from robot_rlhf_sim.robots.arm_model import ArmModel
from robot_rlhf_sim.robots.built_in import BUILT_IN
from robot_rlhf_sim.rotation import POINTING_DOWN, Vector, about_z, wrap, yaw
from robot_rlhf_sim.tasks.drawer_words import drawer_advice, drawer_attributes
from robot_rlhf_sim.tasks.putting_away import HALF_SIDE, add_block, add_part, limits_within

TRAVEL = 0.10
"""How far the drawer opens, m."""
OPEN = 0.085
"""Opening from which the drawer counts as open, m."""
SHUT = 0.010
"""Opening below which it counts as shut, m."""
INSIDE = (0.048, 0.045)
"""Half of the drawer's inner width and length, m."""
HANDLE_HEIGHT = 0.036
HANDLE_GAP = 0.038
"""Between the drawer's front and the handle's bar, m."""

_WALL = 0.004
_SLIDING = 0.6
_PART = 0.05
"""Mass of a board, kg."""
_DRAWER_TOP = 0.040
_FLOOR_TOP = 0.009
_ROOF = 0.052
_BAR = 0.006
_FRONT = -INSIDE[1] - 2.0 * _WALL
"""Outer side of the drawer's front, from the drawer's middle, m."""
_HANDLE = _FRONT - HANDLE_GAP - _BAR
_CABINET = (0.5, 0.17)
_CABINET_SPREAD = (0.04, 0.015)
_BLOCK = (0.5, -0.145)
_BLOCK_SPREAD = (0.10, 0.03)
_BLOCK_YAW = math.radians(15.0)
_START = (0.5, -0.02, 0.12)
_START_SPREAD = (0.10, 0.06, 0.03)
_SLIPS_FOR = 0.15
"""How long the fingers let go when a grasp slips, s."""
_SHUTS_AFTER = (0.2, 1.5)
"""Seconds for which the drawer is open before it falls shut, where it does."""
_SHUTTING_FORCE = 12.0
"""N."""
_NEVER = 1e9
"""s."""


def _pulled(columns: Columns) -> NDArray[np.floating]:
    """How far the handle is from where it is while the drawer is shut, m."""
    return place("cabinet")(columns)[:, 1] - place("handle")(columns)[:, 1]


_OPEN, _SHUT = ("the drawer is open",), ("the drawer is shut", "the drawer is closed")
_THINGS = (
    Thing("block", ("the block", "the cube"), graspable=True),
    Thing("handle", ("the handle", "the drawer's handle")),
    Thing("cabinet", ("the cabinet",)),
)
_FACTS = (
    Fact("opening(drawer)", "m", ("how far the drawer is open",), _pulled),
    Fact("open(drawer)", TRUTH, _OPEN, lambda columns: _pulled(columns) > OPEN),
    Fact("shut(drawer)", TRUTH, _SHUT, lambda columns: _pulled(columns) < SHUT),
    Fact("gold:opening(drawer)", "m", ("how far the drawer is open",), number("opening")),
    Fact("gold:open(drawer)", TRUTH, _OPEN, truth("open")),
    Fact("gold:shut(drawer)", TRUTH, _SHUT, truth("shut")),
    Fact("gold:holds(block)", TRUTH, ("the gripper holds the block",), truth("grasped")),
    Fact("gold:in(block, drawer)", TRUTH, ("the block is in the drawer",), truth("inside")),
)


class DrawerStore:
    """Open the drawer, put the block in, and shut it. Actions: x, y, z (2 cm per step), gripper.

    The drawer opens towards negative y, by a bar before its front. scene has the poses of the 'block', of the 'handle'
    (the middle of its bar) and of the 'cabinet' (where the handle is while the drawer is shut); privileged has the
    same, the drawer's 'opening', m, and as 0 or 1 the predicates 'open', 'grasped', 'inside' and 'shut'.
    """

    name = "drawer_store"
    instruction = "put the block into the drawer and shut it"
    time_limit = 240
    suggested: ClassVar[Mapping[str, Any]] = {
        "steps": 3_000,
        "demonstrations": 20,
        "features.fine": 0.03,  # at the usual 0.01 a clone stood still in 25 of 60 episodes, here in 3
        "replay.discount": 0.99,  # at 0.97 a success in 115 steps is worth a thirtieth at its beginning
    }
    scene_sizes: Mapping[str, int] = {"block": 7, "handle": 7, "cabinet": 7}
    privileged_sizes: Mapping[str, int] = {**scene_sizes, "opening": 1, "open": 1, "grasped": 1, "inside": 1, "shut": 1}
    facts = FactBook.of_scene(scene_sizes, scene_sizes, things=_THINGS, view=FRONT_CAMERA).and_also(
        [*_FACTS, remaining(lambda observation: _remaining(observation))], drawer_attributes(SHUT, OPEN)
    )
    stays_above = 0.05
    keeps_opening = False
    goes_on = True
    limits = limits_within((0.34, -0.24, 0.012), (0.66, 0.24, 0.26))

    def __init__(
        self,
        clock: Clock,
        cameras: Mapping[str, tuple[int, int]] | None = None,
        *,
        arm: ArmModel = BUILT_IN,
        slip_rate: float = 0.0,
        falls_shut: float = 0.0,
        start_spread: float = 1.0,
    ) -> None:
        """Build the world.

        Args:
            clock: see SimArm.
            cameras: see SimArm.
            arm: whose fingers do it.
            slip_rate: how often a held block slips out of the fingers, per second of holding.
            falls_shut: share of the episodes in which the drawer, once pulled open and left, falls shut again.
            start_spread: how far the arm's starts differ, as a share of the usual; 0: always the same one.
        """
        for what, value, most in (
            ("slip_rate", slip_rate, 5.0),
            ("falls_shut", falls_shut, 1.0),
            ("start_spread", start_spread, 1.5),
        ):
            if not 0.0 <= value <= most:
                raise InvalidValueError(what, value, f"0 to {most}")
        self.slip_rate = slip_rate
        self.falls_shut = falls_shut
        self.start_spread = start_spread
        arm.needs_gripper(self.name)
        world = arm.load()
        _add_cabinet(world)
        add_block(world, "block", _BLOCK, (0.82, 0.22, 0.20))
        layout = ActionLayout(("x", "y", "z", "gripper"), np.array([0.02, 0.02, 0.02, 1.0], np.float32))
        self.arm = SimArm(self, world, layout, clock, cameras or {}, model=arm, graspable="block", memory=4)
        model = self.arm.model
        self._block: int = model.body("block").id
        self._address = int(model.jnt_qposadr[model.joint("block").id])
        self._slide = int(model.jnt_qposadr[model.joint("drawer").id])
        self._push = int(model.jnt_dofadr[model.joint("drawer").id])

    def reset(self, rng: np.random.Generator) -> None:
        start = np.add(_START, self.start_spread * rng.uniform(-1.0, 1.0, 3) * _START_SPREAD)
        cabinet = np.add(_CABINET, rng.uniform(-1.0, 1.0, 2) * _CABINET_SPREAD)
        x, y = np.add(_BLOCK, rng.uniform(-1.0, 1.0, 2) * _BLOCK_SPREAD)
        angle = float(rng.uniform(-_BLOCK_YAW, _BLOCK_YAW))
        holds = float(rng.exponential()) / self.slip_rate if self.slip_rate else _NEVER
        shuts = float(rng.uniform(*_SHUTS_AFTER)) if rng.uniform() < self.falls_shut else _NEVER
        self.arm.begin((*start.tolist(), *POINTING_DOWN), 1.0)
        data, a = self.arm.data, self._address
        data.qpos[a : a + 7] = (x, y, HALF_SIDE, *about_z(angle))
        data.mocap_pos[0] = (*cabinet, 0.0)
        self.arm.memory[:] = (0.0, holds, 0.0, shuts)
        self.arm.settle()

    def happen(self, arm: SimArm, seconds: float) -> None:
        """A held block slips out of the fingers, and a drawer that was left open falls shut, where they do.

        The task's numbers: for how long the fingers still let go, how long the grasp holds yet, how long the drawer has
        been left open, and after how long it falls shut, s; _NEVER for what does not happen.
        """
        slipping, holds, open_for, shuts_at = arm.memory.tolist()
        if arm.grasped and slipping <= 0.0:
            holds -= seconds
            if holds <= 0.0:
                slipping, holds = _SLIPS_FOR, _NEVER
        if slipping > 0.0:
            slipping -= seconds
            arm.loosen()
        opening = float(arm.data.qpos[self._slide])
        if opening > OPEN and arm.tool_pose()[2] > 2.0 * HANDLE_HEIGHT:
            open_for += seconds
        falls = open_for > shuts_at
        arm.data.qfrc_applied[self._push] = -_SHUTTING_FORCE if falls else 0.0
        if falls and opening < SHUT:
            open_for, shuts_at = 0.0, _NEVER
        arm.memory[:] = (slipping, holds, open_for, shuts_at)

    def success(self, observation: Observation) -> bool:
        truth = observation.privileged
        return bool(truth["inside"][0] > 0.5 and truth["shut"][0] > 0.5 and truth["grasped"][0] < 0.5)

    def gold_reward(self, observation: Observation) -> float:
        """In [0, 1]: 1 when nothing is left of the way."""
        return 1.0 - math.tanh(1.2 * self.remaining(observation))

    def remaining(self, observation: Observation) -> float:
        """How far the fingers and what they move still have to go, stage after stage."""
        return _remaining(observation)

    def pictured(self, observation: Observation) -> dict[str, str]:
        return self.facts.described(observation, gold=True)

    def advises(self, observation: Observation) -> Meaning | None:
        """What a person would tell the robot to do now; None when it is done."""
        return None if self.success(observation) else drawer_advice(observation, OPEN, HALF_SIDE)

    def expert(self, noise: float = 0.0, tap: float = 0.0) -> DrawerStoreExpert:
        """A script that solves the task by the privileged truth; `noise` is the spread of its wobble in actions.

        No tap of a key is too long for it: there is room behind the handle and between the fingers.
        """
        return DrawerStoreExpert(self.arm.spec.action, noise)

    def sense(self, arm: SimArm) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        cx, cy, _ = arm.data.mocap_pos[0].tolist()
        opening = float(arm.data.qpos[self._slide])
        block = arm.data.xpos[self._block].tolist()
        angle = wrap(yaw(arm.data.xquat[self._block].tolist()), math.pi / 2.0)
        upright = (1.0, 0.0, 0.0, 0.0)
        scene = {
            "block": np.array([*block, *about_z(angle)], np.float32),
            "handle": np.array([cx, cy + _HANDLE - opening, HANDLE_HEIGHT, *upright], np.float32),
            "cabinet": np.array([cx, cy + _HANDLE, HANDLE_HEIGHT, *upright], np.float32),
        }
        for pose in scene.values():
            pose.flags.writeable = False
        inside = (
            abs(block[0] - cx) < INSIDE[0]
            and abs(block[1] - (cy - opening)) < INSIDE[1]
            and block[2] < _DRAWER_TOP + HALF_SIDE
        )
        truths = {
            "opening": opening,
            "open": opening > OPEN,
            "grasped": arm.grasped,
            "inside": inside,
            "shut": opening < SHUT,
        }
        return scene, {**scene, **{name: np.array([value], np.float32) for name, value in truths.items()}}

    def paint(self, arm: SimArm) -> None:
        """Nothing changes colour."""


def _remaining(observation: Observation) -> float:
    """How far the fingers and what they move still have to go, stage after stage."""
    x, y, z = observation.tool_pose_in_base[:3].tolist()
    truth = observation.privileged
    bx, by, bz = truth["block"][:3].tolist()
    hx, hy, _ = truth["handle"][:3].tolist()
    opening = float(truth["opening"][0])
    if truth["inside"][0] > 0.5 and truth["grasped"][0] < 0.5:
        outside = math.dist((x, y, z), (hx, hy - DrawerStoreExpert.ASIDE, HANDLE_HEIGHT))
        return opening + (outside if opening > SHUT else 0.0)
    shut = OPEN + 0.12
    middle = hy - _HANDLE
    if truth["grasped"][0] > 0.5 and opening > 0.5 * OPEN:
        return shut + math.dist((x, y, z), (hx, middle, DrawerStoreExpert.RELEASE))
    put = shut + math.dist((bx, by, bz), (hx, middle, DrawerStoreExpert.RELEASE)) + 0.05
    if opening > OPEN:
        return put + math.dist((x, y, z), (bx, by, bz))
    hook = (hx, hy + DrawerStoreExpert.BEHIND, HANDLE_HEIGHT)
    return put + math.dist(hook, (bx, by, bz)) + 2.0 * (TRAVEL - opening) + math.dist((x, y, z), hook)


class DrawerStoreExpert(ScriptedExpert):
    """Hooks the closed fingers behind the handle and pulls, picks the block, drops it in, and pushes the handle."""

    BEHIND = 0.5 * HANDLE_GAP + _BAR
    """From the bar to where the fingers hook in, m."""
    ASIDE = 0.03
    """From the bar to where the fingers begin to push it, m."""
    TRAVEL_HEIGHT = 0.085
    """At which the fingers travel, m."""
    RELEASE = 0.065
    """At which they let go of the block, m."""
    FREE = 0.07
    """From the opened drawer's bar to where a block can be grasped, m."""
    NEAR = 0.010
    """Beside a place by less than this is above it, m."""
    GRASP = 0.012
    """Nearness of fingers and block at which they close, m."""

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        truth = observation.privileged
        grasped, inside = truth["grasped"][0] > 0.5, truth["inside"][0] > 0.5
        if grasped:
            goal, opening = self._carry(observation)
        elif inside:
            goal, opening = self._shut(observation)
        elif truth["opening"][0] < OPEN:
            goal, opening = self._open(observation)
        else:
            goal, opening = self._pick(observation)
        return self.towards(observation, goal, POINTING_DOWN, rng, opening=opening)

    def _open(self, observation: Observation) -> tuple[Vector, float]:
        tool = observation.tool_pose_in_base.tolist()
        hx, hy, hz = observation.privileged["handle"][:3].tolist()
        behind = tool[1] - hy
        hooked = abs(tool[0] - hx) < 0.03 and 0.0 < behind < HANDLE_GAP + _BAR and tool[2] < hz + 0.012
        if hooked:
            return (hx, hy + self.BEHIND - 0.04, hz), 0.0
        return self._above_then_at(tool, (hx, hy + self.BEHIND, hz)), 0.0

    def _pick(self, observation: Observation) -> tuple[Vector, float]:
        tool = observation.tool_pose_in_base.tolist()
        x, y, z = observation.privileged["block"][:3].tolist()
        closing = observation.gripper_target < 0.5
        slack = 1.8 if closing else 1.0
        if math.hypot(x - tool[0], y - tool[1]) < slack * self.GRASP and abs(z - tool[2]) < slack * self.GRASP:
            return (x, y, z), 0.0
        return self._above_then_at(tool, (x, y, z)), 1.0

    def _carry(self, observation: Observation) -> tuple[Vector, float]:
        tool = observation.tool_pose_in_base.tolist()
        hx, hy, _ = observation.privileged["handle"][:3].tolist()
        if (
            observation.privileged["opening"][0] < 0.8 * OPEN
        ):  # it is shut again: lay the block where the handle does not come
            free = float(observation.privileged["cabinet"][1]) - TRAVEL - self.FREE
            place = (tool[0], min(tool[1], free), HALF_SIDE)
            return self._above_then_at(tool, place), 1.0 if tool[2] < HALF_SIDE + 0.008 else 0.0
        middle = hy - _HANDLE
        aside = math.hypot(hx - tool[0], middle - tool[1])
        if aside < 2.0 * self.NEAR and tool[2] < self.RELEASE + 0.01:
            return (hx, middle, self.RELEASE), 1.0
        return self._above_then_at(tool, (hx, middle, self.RELEASE)), 0.0

    def _shut(self, observation: Observation) -> tuple[Vector, float]:
        tool = observation.tool_pose_in_base.tolist()
        hx, hy, hz = observation.privileged["handle"][:3].tolist()
        before = hy - tool[1]
        if abs(tool[0] - hx) < 0.03 and 0.0 < before < 2.0 * self.ASIDE and tool[2] < hz + 0.012:
            return (hx, hy + 0.02, hz), 0.0
        clear = tool[2] > 0.8 * self.TRAVEL_HEIGHT or before > 0.0
        return self._above_then_at(tool, (hx, hy - self.ASIDE, hz)), 0.0 if clear else 1.0

    def _above_then_at(self, tool: list[float], place: Vector) -> Vector:
        """Up, over, and down onto a place."""
        return above_then_at(tool, place, travel=self.TRAVEL_HEIGHT, near=self.NEAR)


def _add_cabinet(world: mujoco.MjSpec) -> None:
    """The cabinet and in it, on a slide along y, the drawer."""
    cabinet = world.worldbody.add_body(name="cabinet", mocap=True, pos=[*_CABINET, 0.0])
    wood, front, metal = [0.62, 0.66, 0.72, 1.0], [0.20, 0.36, 0.56, 1.0], [0.93, 0.78, 0.30, 1.0]
    glass = [0.75, 0.90, 0.98, 0.35]
    wide, long = INSIDE[0] + 2.0 * _WALL, INSIDE[1] + 2.0 * _WALL
    shell = wide + 0.006
    half = 0.5 * _ROOF
    for size, position, colour in (
        ([shell + 0.004, long + 0.004, 0.003], [0.0, 0.004, _ROOF - 0.003], glass),
        ([0.004, long, half - 0.003], [shell, 0.0, half - 0.003], wood),
        ([0.004, long, half - 0.003], [-shell, 0.0, half - 0.003], wood),
        ([shell, 0.004, half - 0.003], [0.0, long + 0.004, half - 0.003], wood),
    ):
        add_part(cabinet, size, position, colour, sliding=_SLIDING, mass=_PART)
    drawer = cabinet.add_body(name="drawer")
    drawer.add_joint(
        name="drawer",
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=[0.0, -1.0, 0.0],
        range=[0.0, TRAVEL],
        limited=mujoco.mjtLimited.mjLIMITED_TRUE,
        damping=6.0,
        frictionloss=2.0,
        armature=0.2,
    )
    height = 0.5 * (_DRAWER_TOP - 0.003)
    middle = 0.003 + height
    for size, position, colour in (
        ([wide, long, 0.003], [0.0, 0.0, _FLOOR_TOP - 0.003], front),
        ([wide, _WALL, height], [0.0, _WALL - long, middle], front),
        ([wide, _WALL, height], [0.0, long - _WALL, middle], front),
        ([_WALL, long, height], [wide - _WALL, 0.0, middle], front),
        ([_WALL, long, height], [_WALL - wide, 0.0, middle], front),
        ([0.035, _BAR, 0.008], [0.0, _HANDLE, HANDLE_HEIGHT], metal),
    ):
        add_part(drawer, size, position, colour, sliding=_SLIDING, mass=_PART)
    for side in (-1.0, 1.0):  # the handle's posts: to be seen
        post = [side * 0.032, _FRONT - 0.5 * HANDLE_GAP, HANDLE_HEIGHT]
        drawer.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[0.003, 0.5 * HANDLE_GAP, 0.004],
            pos=post,
            contype=0,
            conaffinity=0,
            rgba=metal,
            group=2,
        )
