"""Pick up a cube: position, yaw and colour are new in each episode."""

from __future__ import annotations

import math
from collections.abc import Mapping

import mujoco
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Action, ActionLayout, Array, Assignment, Observation
from robot_rlhf.facts import TRUTH, Attribute, Columns, Fact, FactBook, Thing, remaining, truth
from robot_rlhf.meaning import Meaning
from robot_rlhf.safety.limits import ToolLimits
from robot_rlhf.timing import Clock
from robot_rlhf_sim.arm import SimArm
from robot_rlhf_sim.captions import FRONT_CAMERA, HUES, colour_name, of_gripper, of_scene, side_of
from robot_rlhf_sim.experts import ScriptedExpert
from robot_rlhf_sim.robots.arm_model import ArmModel
from robot_rlhf_sim.robots.built_in import BUILT_IN
from robot_rlhf_sim.rotation import POINTING_DOWN, about_z, difference, multiply, wrap, yaw

HALF_SIDE = 0.02
LIFT = 0.08
"""Height above its place on the table at which the cube counts as picked up, m."""

_CENTRE = (0.5, 0.0)
_HALF_SPREAD = (0.10, 0.12)
_START = (0.48, 0.0, 0.16)
_START_SPREAD = 0.03
_SATURATION = 0.75
ABOVE = 0.03
"""The gripper is above the cube while it is less than this beside it, m."""
LIFTED = 0.04
"""Height of the cube's middle above the table from which it is in the air, m; it lies at 0.02."""


def _remaining(observation: Observation) -> float:
    cube, top = observation.privileged["cube"], HALF_SIDE + LIFT
    if observation.privileged["grasped"][0] > 0.5:
        return max(0.0, top - float(cube[2]))
    return top + float(np.linalg.norm(cube[:3] - observation.tool_pose_in_base[:3]))


_held = truth("grasped")


def _cube_place(columns: Columns) -> NDArray[np.int64]:
    lifted = columns["privileged/cube"][:, 2].astype(np.float64) > LIFTED
    return np.where(_held(columns), np.where(lifted, 2, 1), 0)


def _over_cube(columns: Columns) -> NDArray[np.int64]:
    apart = columns["tool_pose_in_base"][:, :3] - columns["privileged/cube"][:, :3]
    beside = np.linalg.norm(apart[:, :2], axis=1).astype(np.float64) > ABOVE
    higher = apart[:, 2].astype(np.float64) > ABOVE
    return np.where(_held(columns), 2, np.where(beside, 1, np.where(higher, 0, 2)))


_FACTS = (
    remaining(_remaining),
    Fact("gold:holds(cube)", TRUTH, ("the gripper holds the cube", "both fingers touch the cube"), _held),
)
_COLOURS = {c: (f"the cube is {c}", f"there is a {c} cube", f"a robot and a {c} cube") for c in HUES}
_ATTRIBUTES = (
    *of_gripper(),
    of_scene("cube", "there is a cube", "a robot and a cube"),
    Attribute(
        "cube place",
        {
            "table": ("the cube is on the table", "the cube lies on the table", "the cube rests on the table"),
            "grasped": (
                "the cube is between the fingers on the table",
                "the gripper grasps the cube on the table",
                "the gripper has grasped the cube but not lifted it",
            ),
            "lifted": (
                "the cube is lifted",
                "the cube is in the air",
                "the cube is picked up",
                "the gripper holds the cube in the air",
                "the gripper holds the cube above the table",
                "pick up the cube",
            ),
        },
        _cube_place,
    ),
    Attribute("cube colour", _COLOURS),
    side_of("cube side", "cube", "cube"),
    Attribute(
        "over cube",
        {
            "above": ("the gripper is above the cube", "the gripper is over the cube"),
            "beside": ("the gripper is away from the cube", "the gripper is beside the cube"),
            "around": ("the gripper is at the cube", "the fingers are around the cube"),
        },
        _over_cube,
    ),
)


class PickCube:
    """Grasp the cube and lift it 8 cm. Actions: x, y, z (2 cm per step), rz (0.15 rad per step), gripper.

    scene['cube'] is the cube's pose with its yaw reduced to [-45, 45) degrees, which its symmetry allows;
    privileged['cube'] the same, and privileged['grasped'] is 1 while both pads touch it.
    """

    name = "pick_cube"
    instruction = "pick up the cube"
    time_limit = 100
    scene_sizes: Mapping[str, int] = {"cube": 7}
    privileged_sizes: Mapping[str, int] = {"cube": 7, "grasped": 1}
    facts = FactBook.of_scene(
        ["cube"], ["cube"], things=[Thing("cube", ("the cube", "the block"), graspable=True)], view=FRONT_CAMERA
    ).and_also(_FACTS, _ATTRIBUTES)
    stays_above = 0.05
    keeps_opening = False
    goes_on = False
    limits = ToolLimits(
        workspace_lower=np.array([0.32, -0.20, 0.012]),
        workspace_upper=np.array([0.68, 0.20, 0.34]),
        tool_speed=0.70,
        turn_rate=3.1,
        tool_acceleration=24.0,
        turn_acceleration=100.0,
        leash=0.06,
        leash_angle=0.4,
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
        arm.needs_gripper(self.name)
        world = arm.load()
        body = world.worldbody.add_body(name="cube", pos=[*_CENTRE, HALF_SIDE])
        body.add_freejoint(name="cube")
        body.add_geom(
            name="cube",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[HALF_SIDE] * 3,
            mass=0.1,
            contype=3,
            conaffinity=3,
            condim=3,  # with the table; with the pads theirs, 4, counts
            friction=[1.0, 0.02, 0.0001],
            solref=[0.01, 1.0],
            rgba=[0.85, 0.2, 0.2, 1.0],
            group=2,
        )
        layout = ActionLayout(("x", "y", "z", "rz", "gripper"), np.array([0.02, 0.02, 0.02, 0.15, 1.0], np.float32))
        self.arm = SimArm(self, world, layout, clock, cameras or {}, model=arm, graspable="cube", memory=3)
        model = self.arm.model
        self._body: int = model.body("cube").id
        self._geom: int = model.geom("cube").id
        self._address = int(model.jnt_qposadr[model.joint("cube").id])

    def reset(self, rng: np.random.Generator) -> None:
        start = np.add(_START, rng.uniform(-_START_SPREAD, _START_SPREAD, 3))
        x, y = np.add(_CENTRE, rng.uniform(-1.0, 1.0, 2) * _HALF_SPREAD)
        angle = float(rng.uniform(-math.pi, math.pi))
        colour = _vivid(float(rng.uniform()), float(rng.uniform(0.65, 0.95)))
        self.arm.begin((*start.tolist(), *POINTING_DOWN), 1.0)
        a = self._address
        self.arm.data.qpos[a : a + 7] = (x, y, self.arm.model.geom_size[self._geom, 2], *about_z(angle))
        self.arm.memory[:] = colour
        self.arm.settle()

    def success(self, observation: Observation) -> bool:
        lifted = observation.privileged["cube"][2] - HALF_SIDE > LIFT
        return bool(lifted and observation.privileged["grasped"][0] > 0.5)

    def gold_reward(self, observation: Observation) -> float:
        """In [0, 1]: a quarter for nearness of tool and cube, a quarter for the grasp, half for the height."""
        cube = observation.privileged["cube"]
        distance = float(np.linalg.norm(observation.tool_pose_in_base[:3] - cube[:3]))
        grasped = float(observation.privileged["grasped"][0])
        height = min(max(float(cube[2]) - HALF_SIDE, 0.0) / LIFT, 1.0)
        return 0.25 * (1.0 - math.tanh(5.0 * distance)) + grasped * (0.25 + 0.5 * height)

    def remaining(self, observation: Observation) -> float:
        """Distance to the cube and the whole lift; once it is grasped, what is left of the lift, m."""
        return _remaining(observation)

    def pictured(self, observation: Observation) -> dict[str, str]:
        """With the cube's colour, which the episode drew."""
        return {**self.facts.described(observation, gold=True), "cube colour": colour_name(self.arm.memory)}

    def advises(self, observation: Observation) -> Meaning | None:
        """What a person would tell the robot to do now; None when it is done."""
        if self.success(observation):
            return None
        if observation.privileged["grasped"][0] > 0.5:
            return Meaning("up", skill="lift")
        return Meaning("goal", skill="grasp", thing="cube")

    def expert(self, noise: float = 0.0, tap: float = 0.0) -> PickCubeExpert:
        """A script that solves the task by the privileged truth; `noise` is the spread of its wobble in actions.

        No tap of a key is too long for it: the fingers open wide enough.
        """
        return PickCubeExpert(self.arm.spec.action, noise)

    def sense(self, arm: SimArm) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        angle = wrap(yaw(arm.data.xquat[self._body].tolist()), math.pi / 2.0)
        cube = np.array([*arm.data.xpos[self._body].tolist(), *about_z(angle)], np.float32)
        cube.flags.writeable = False
        return {"cube": cube}, {"cube": cube, "grasped": np.array([arm.grasped], np.float32)}

    def paint(self, arm: SimArm) -> None:
        arm.model.geom_rgba[self._geom, :3] = arm.memory


class PickCubeExpert(ScriptedExpert):
    """Goes above the cube, turns along its sides, descends, closes, lifts."""

    HOVER = 0.07
    FREE_HEIGHT = 0.045
    FUNNEL = 0.010
    AT_CUBE = 0.012
    TURN_LIMIT = math.radians(70.0)

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        cube, tool = observation.privileged["cube"].tolist(), observation.tool_pose_in_base.tolist()
        cx, cy, cz = cube[:3]
        x, y, z = tool[:3]
        tx, ty, tz, *_ = observation.tool_target_in_base.tolist()
        angle = self._grasp_yaw(yaw(cube[3:]), yaw(multiply(tool[3:], POINTING_DOWN)))
        turn = multiply(about_z(angle), POINTING_DOWN)
        aside = math.hypot(cx - x, cy - y)
        crooked = abs(difference(turn, tool[3:])[2])
        closing = observation.gripper_target < 0.5
        slack = 1.8 if closing else 1.0  # once closing, go on through small slips
        at_cube = aside < slack * self.AT_CUBE and abs(z - cz) < slack * self.AT_CUBE and crooked < 0.15 * slack
        if closing and observation.privileged["grasped"][0] > 0.5:
            return self.towards(observation, (tx, ty, tz + 0.04), turn, rng, opening=0.0)
        if at_cube:
            return self.towards(observation, (cx, cy, cz), turn, rng, opening=0.0)
        height = z - cz
        if aside < self.FUNNEL + 0.25 * max(height - 0.03, 0.0) and crooked < 0.1 + 2.0 * max(height - 0.04, 0.0):
            return self.towards(observation, (cx, cy, cz), turn, rng)
        if height < self.FREE_HEIGHT and aside > self.FUNNEL:
            return self.towards(observation, (x, y, cz + self.HOVER), turn, rng)
        return self.towards(observation, (cx, cy, cz + self.HOVER), turn, rng)

    def _grasp_yaw(self, cube: float, tool: float) -> float:
        """Of the four equivalent grasps, the one nearest to how the tool is turned, within the wrist's range."""
        nearest = tool + wrap(cube - tool, math.pi / 2.0)
        return nearest if abs(nearest) < self.TURN_LIMIT else cube


def _vivid(hue: float, value: float) -> tuple[float, float, float]:
    """RGB of a saturated colour; hue in [0, 1)."""
    r, g, b = (
        value * (1.0 - _SATURATION * min(max(min(k, 4.0 - k), 0.0), 1.0))
        for k in ((n + 6.0 * hue) % 6.0 for n in (5.0, 3.0, 1.0))
    )
    return r, g, b
