"""Push a puck around a glass into a ring; who touches the glass has failed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Action, ActionLayout, Array, Assignment, Observation, Outcome
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.facts import TRUTH, Fact, FactBook, Thing, number, remaining, truth
from robot_rlhf.meaning import Meaning
from robot_rlhf.safety.limits import ToolLimits
from robot_rlhf.timing import Clock
from robot_rlhf_sim.arm import SimArm
from robot_rlhf_sim.captions import FRONT_CAMERA
from robot_rlhf_sim.experts import ScriptedExpert
from robot_rlhf_sim.robots.arm_model import TOOL_DISTANCE, ArmModel
from robot_rlhf_sim.robots.built_in import BUILT_IN
from robot_rlhf_sim.rotation import POINTING_DOWN
from robot_rlhf_sim.tasks.push_words import push_advice, push_attributes

PUCK_RADIUS = 0.025
PUCK_HALF_HEIGHT = 0.014
IN_RING = 0.025
"""Distance of puck and goal at which the puck counts as in the ring, m."""
ZONE = 0.03
"""Radius about the glass that neither puck nor fingers may enter, m."""
SLEEVE_RADIUS = 0.016
"""Of the round sleeve over the closed fingers, m."""
SLEEVE_BELOW = 0.015
"""How far its lower end is below the tool point, m."""
LIT_WITHIN = 2.0 * IN_RING
"""A lamp that tells the truth is lit while the puck is this near to the goal, m."""
FORESEEN = 0.08
"""What it counts, m, that the puck is being pushed towards the glass."""

_HEIGHT = 0.018
_CENTRE = np.array([0.5, 0.0])
_DIRECTION = math.radians(20.0)
_AROUND = 0.02
_GLASS_ASIDE = (0.015, 0.05)
"""How far the glass is beside the straight way, on either side; never in its middle, where both ways are as good."""
_BEHIND = (0.05, 0.09)
_START_ASIDE = 0.04
_LAMP = (0.34, 0.30)
_LAMP_SPREAD = 0.05
_DARK_HEIGHT, _LIT_HEIGHT = 0.06, 0.10
_DARK, _LIT = (0.25, 0.24, 0.22), (1.0, 0.86, 0.30)
_GOAL_BODY, _GLASS_BODY, _LAMP_BODY = range(3)
"""Which of the mocap bodies is which."""
_TELLS_TRUTH, _LIT_ANYWAY = range(2)
"""Which of the task's numbers is which."""

_THINGS = (
    Thing("puck", ("the puck", "the disc")),
    Thing("goal", ("the ring", "the goal")),
    Thing("glass", ("the glass",)),
    Thing("lamp", ("the lamp",)),
)
_FACTS = (
    Fact("gold:clear", "m", ("how far puck and fingers are from the glass's zone",), number("clear")),
    Fact("gold:lit(lamp)", TRUTH, ("the lamp is lit", "the lamp is on"), truth("lit")),
)


class Push:
    """Push the puck into the ring, around the glass, with closed fingers. Actions: x, y (5 mm per step).

    scene has the poses of 'puck', 'goal', 'glass' and 'lamp'; the lamp has nothing to do with the task, and rises by
    4 cm while it is lit. privileged has the same, 'clear', the distance that puck and fingers still have from the
    glass's zone, m, and 'lit', 1 while the lamp is.
    """

    name = "push"
    instruction = "push the puck into the ring without touching the glass"
    time_limit = 240
    suggested: ClassVar[Mapping[str, Any]] = {
        "steps": 3_000,
        "demonstrations": 20,
        "features.fine": 0.04,  # fingers and puck touch at 0.041 m: on which side they do is to be seen
        "features.between": True,  # the puck goes around the glass: a clone of 60 pushes gets 56 of 60 right, not 48
        "replay.discount": 0.99,  # at 0.97 a push of 75 steps is worth a tenth at its beginning
    }
    scene_sizes: Mapping[str, int] = {"puck": 7, "goal": 7, "glass": 7, "lamp": 7}
    privileged_sizes: Mapping[str, int] = {**scene_sizes, "clear": 1, "lit": 1}
    facts = FactBook.of_scene(scene_sizes, scene_sizes, things=_THINGS, view=FRONT_CAMERA).and_also(
        [*_FACTS, remaining(lambda observation: _remaining(observation))], push_attributes(IN_RING, SLEEVE_BELOW)
    )
    caution = Meaning("rule", rule="keep_away", thing="glass")
    stays_above = 0.045
    keeps_opening = True
    goes_on = True
    limits = ToolLimits(
        workspace_lower=np.array([0.30, -0.30, 0.012]),
        workspace_upper=np.array([0.70, 0.27, 0.20]),
        tool_speed=0.25,
        turn_rate=1.0,
        tool_acceleration=12.0,
        turn_acceleration=20.0,
        leash=0.03,
        leash_angle=0.2,
        joint_margin=0.01,
        force_soft=30.0,
        force_hard=120.0,
        torque_hard=15.0,
        tilt_max=0.2,
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
        friction: float = 0.35,
        mass: float = 0.2,
        distance: float = 0.30,
        lamp_truth: float = 0.5,
    ) -> None:
        """Build the world.

        Args:
            clock: see SimArm.
            cameras: see SimArm.
            arm: whose fingers do it.
            friction: of the puck, with table and fingers.
            mass: of the puck, kg.
            distance: from where the puck starts to the goal, about, m.
            lamp_truth: share of the episodes in which the lamp is lit exactly while the puck is near the goal; in the
                others it is lit or dark throughout, by chance.
        """
        for what, value, least, most in (
            ("friction", friction, 0.05, 1.5),
            ("mass", mass, 0.02, 2.0),
            ("distance", distance, 0.12, 0.34),
            ("lamp_truth", lamp_truth, 0.0, 1.0),
        ):
            if not least <= value <= most:
                raise InvalidValueError(what, value, f"{least} to {most}")
        self.distance = distance
        self.lamp_truth = lamp_truth
        world = arm.load()
        _add_sleeve(world, arm)
        _add_puck(world, friction, mass)
        _add_marks(world)
        layout = ActionLayout(("x", "y"), np.full(2, 0.005, np.float32))
        self.arm = SimArm(self, world, layout, clock, cameras or {}, model=arm, memory=2)
        model = self.arm.model
        self._puck: int = model.body("puck").id
        self._bulb: int = model.geom("bulb").id
        self._address = int(model.jnt_qposadr[model.joint("puck").id])

    def reset(self, rng: np.random.Generator) -> None:
        angle = 0.5 * math.pi + float(rng.uniform(-_DIRECTION, _DIRECTION))
        along = np.array([math.cos(angle), math.sin(angle)])
        aside = np.array([-along[1], along[0]])
        half = 0.5 * self.distance
        puck = _CENTRE - half * along + rng.uniform(-_AROUND, _AROUND, 2)
        goal = _CENTRE + half * along + rng.uniform(-_AROUND, _AROUND, 2)
        glass = _CENTRE + float(rng.choice((-1.0, 1.0)) * rng.uniform(*_GLASS_ASIDE)) * aside
        start = puck - float(rng.uniform(*_BEHIND)) * along + float(rng.uniform(-_START_ASIDE, _START_ASIDE)) * aside
        lamp = np.add(_LAMP, rng.uniform(-_LAMP_SPREAD, _LAMP_SPREAD, 2))
        truth, lit = rng.uniform() < self.lamp_truth, rng.uniform() < 0.5
        self.arm.begin((*start.tolist(), _HEIGHT, *POINTING_DOWN), 0.0)
        data, a = self.arm.data, self._address
        data.qpos[a : a + 7] = (*puck, PUCK_HALF_HEIGHT, 1.0, 0.0, 0.0, 0.0)
        data.mocap_pos[:] = [(*goal, 0.0), (*glass, 0.0), (*lamp, _DARK_HEIGHT)]
        self.arm.memory[:] = (truth, lit)
        data.mocap_pos[_LAMP_BODY, 2] = self._lamp_height(float(np.linalg.norm(puck - goal)))
        self.arm.settle()

    def happen(self, arm: SimArm, seconds: float) -> None:
        """The lamp goes on and off."""
        away = arm.data.xpos[self._puck, :2] - arm.data.mocap_pos[_GOAL_BODY, :2]
        arm.data.mocap_pos[_LAMP_BODY, 2] = self._lamp_height(float(np.linalg.norm(away)))

    def _lamp_height(self, distance: float) -> float:
        truth, anyway = self.arm.memory.tolist()
        return _LIT_HEIGHT if (distance < LIT_WITHIN if truth else anyway) else _DARK_HEIGHT

    def success(self, observation: Observation) -> bool:
        return _distance(observation, "puck", "goal") < IN_RING and self.ended(observation) is None

    def ended(self, observation: Observation) -> Outcome | None:
        """FAILURE when puck or fingers are in the glass's zone."""
        return Outcome.FAILURE if observation.privileged["clear"][0] <= 0.0 else None

    def gold_reward(self, observation: Observation) -> float:
        """In [0, 1]: the less is left of the puck's way around the glass the more; 0 in the glass's zone."""
        if self.ended(observation) is not None:
            return 0.0
        return 1.0 - math.tanh(5.0 * max(0.0, _way_left(observation) - IN_RING))

    def remaining(self, observation: Observation) -> float:
        """What is left of the puck's way, and from the fingers to behind the puck, and more for who sees that the puck
        is being pushed towards the glass."""
        return _remaining(observation)

    def pictured(self, observation: Observation) -> dict[str, str]:
        return self.facts.described(observation, gold=True)

    def advises(self, observation: Observation) -> Meaning | None:
        """What a person would tell the robot to do now; None when it is done, or over."""
        if self.success(observation) or self.ended(observation) is not None:
            return None
        return push_advice(observation, _next_stop(observation))

    def expert(self, noise: float = 0.0, tap: float = 0.0) -> PushExpert:
        """A script that solves the task by the privileged truth; `noise` is the spread of its wobble in actions.

        No tap of a key is too long for it: the ring is wide enough.
        """
        return PushExpert(self.arm.spec.action, noise)

    def sense(self, arm: SimArm) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        marks = arm.data.mocap_pos.tolist()
        puck = arm.data.xpos[self._puck].tolist()
        upright = (1.0, 0.0, 0.0, 0.0)
        places = (puck, marks[_GOAL_BODY], marks[_GLASS_BODY], marks[_LAMP_BODY])
        scene = {
            name: np.array([*place, *upright], np.float32) for name, place in zip(self.scene_sizes, places, strict=True)
        }
        for pose in scene.values():
            pose.flags.writeable = False
        glass, tool = marks[_GLASS_BODY], arm.tool_pose()
        clear = min(
            math.dist(puck[:2], glass[:2]) - PUCK_RADIUS - ZONE,
            math.dist(tool[:2], glass[:2]) - SLEEVE_RADIUS - ZONE,
        )
        lit = marks[_LAMP_BODY][2] > 0.5 * (_DARK_HEIGHT + _LIT_HEIGHT)
        return scene, {**scene, "clear": np.array([clear], np.float32), "lit": np.array([lit], np.float32)}

    def paint(self, arm: SimArm) -> None:
        lit = arm.data.mocap_pos[_LAMP_BODY, 2] > 0.5 * (_DARK_HEIGHT + _LIT_HEIGHT)
        arm.model.geom_rgba[self._bulb, :3] = _LIT if lit else _DARK


def _remaining(observation: Observation) -> float:
    puck, tool = observation.privileged["puck"][:2], observation.tool_pose_in_base[:2]
    behind = puck - PushExpert.CONTACT * _unit(_next_stop(observation) - puck)
    way = max(0.0, _way_left(observation) - IN_RING)
    return way + float(np.linalg.norm(behind - tool)) + (FORESEEN if _goes_amiss(observation) else 0.0)


class PushExpert(ScriptedExpert):
    """Goes behind the puck, as seen from where the puck has to go next, and pushes it there."""

    CONTACT = PUCK_RADIUS + SLEEVE_RADIUS
    """Distance of fingers and puck that touch, m."""
    AROUND = CONTACT + 0.012
    """At which the fingers go around the puck, m."""
    STRAIGHT = math.radians(25.0)
    """How far the fingers may be off the line of the push and still push on."""
    CAREFUL = 0.03
    """Distance from the glass's zone, m, below which the fingers move away from it."""
    STEP = 0.02
    """How far ahead the fingers aim when they push, m."""

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        puck = observation.privileged["puck"][:2].astype(float)
        tool = observation.tool_pose_in_base[:2].astype(float)
        push = _unit(_next_stop(observation) - puck)
        from_tool = puck - tool
        distance = float(np.linalg.norm(from_tool))
        off = _angle(push, from_tool)
        if abs(off) < self.STRAIGHT and distance < self.AROUND + 0.02:
            steadily = 1.0 - abs(off) / self.STRAIGHT
            goal = puck + (self.STEP * steadily - self.CONTACT) * push
        elif abs(off) < 0.5 * math.pi and distance > self.AROUND:
            goal = puck - self.AROUND * push
        else:  # around the puck, on the side on which the fingers are already
            turn = -math.copysign(min(abs(off), 0.6), off)
            outward = _turned(-_unit(from_tool), turn)
            goal = puck + max(self.AROUND, distance - 0.01) * outward
        goal = self._clear_of_glass(goal, tool, observation)
        x, y = goal.tolist()
        return self.towards(observation, (x, y, _HEIGHT), POINTING_DOWN, rng)

    def _clear_of_glass(
        self, goal: NDArray[np.float64], tool: NDArray[np.float64], observation: Observation
    ) -> NDArray[np.float64]:
        """The goal, without what of the way there leads towards a glass that is near."""
        away = tool - observation.privileged["glass"][:2]
        clear = float(np.linalg.norm(away)) - SLEEVE_RADIUS - ZONE
        outward = _unit(away)
        inward = min(0.0, float((goal - tool) @ outward))
        if clear < self.CAREFUL:
            goal = goal - (inward - max(0.0, 0.5 * self.CAREFUL - clear)) * outward
        return goal


def _add_sleeve(world: mujoco.MjSpec, arm: ArmModel) -> None:
    """A round tip pushes alike from all sides; the fingers inside it touch nothing any more."""
    world.body("hand").add_geom(
        name="sleeve",
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[SLEEVE_RADIUS, 0.022, 0.0],
        pos=[0.0, 0.0, TOOL_DISTANCE - 0.007],
        contype=2,
        conaffinity=1,
        condim=4,
        rgba=[0.93, 0.47, 0.13, 1.0],
        group=2,
    )
    for name in (body for side in (arm.gripper.sides if arm.gripper else ()) for body in side):
        for geom in world.body(name).geoms:
            geom.contype = geom.conaffinity = 0


def _add_puck(world: mujoco.MjSpec, friction: float, mass: float) -> None:
    body = world.worldbody.add_body(name="puck", pos=[0.5, 0.0, PUCK_HALF_HEIGHT])
    body.add_freejoint(name="puck")
    body.add_geom(
        name="puck",
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[PUCK_RADIUS, PUCK_HALF_HEIGHT, 0.0],
        mass=mass,
        contype=3,
        conaffinity=3,
        condim=4,
        priority=1,  # its friction counts, not the table's or the pads'
        friction=[friction, 0.005, 0.0001],
        solref=[0.01, 1.0],
        rgba=[0.13, 0.42, 0.75, 1.0],
        group=2,
    )


def _add_marks(world: mujoco.MjSpec) -> None:
    """Goal, glass and lamp: to be seen, not to be bumped into."""
    cylinder, sphere = mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_SPHERE
    parts = {
        "goal": [
            (cylinder, [0.034, 0.0006, 0.0], 0.0006, [0.12, 0.62, 0.30, 1.0]),
            (cylinder, [0.024, 0.0008, 0.0], 0.0008, [0.80, 0.93, 0.82, 1.0]),
        ],
        "glass": [
            (cylinder, [ZONE, 0.0006, 0.0], 0.0006, [0.85, 0.22, 0.18, 1.0]),
            (cylinder, [0.020, 0.045, 0.0], 0.045, [0.75, 0.90, 0.98, 0.55]),
        ],
        "lamp": [
            (cylinder, [0.006, 0.03, 0.0], -0.03, [0.35, 0.35, 0.38, 1.0]),
            (sphere, [0.02, 0.0, 0.0], 0.015, [*_DARK, 1.0]),
        ],
    }
    for name, shapes in parts.items():
        body = world.worldbody.add_body(name=name, mocap=True, pos=[0.5, 0.0, 0.0])
        for shape, size, height, colour in shapes:
            body.add_geom(
                name="bulb" if shape == sphere else "",
                type=shape,
                size=size,
                pos=[0.0, 0.0, height],
                contype=0,
                conaffinity=0,
                rgba=colour,
                group=2,
            )


_KEEP = ZONE + PUCK_RADIUS + 0.010
"""Distance from the glass that the puck's way keeps, m."""
_PASS = ZONE + PUCK_RADIUS + 0.030
"""Distance at which it passes the glass where the straight way is barred, m."""

_PUSHING = 0.02
"""Speed from which fingers count as coming, m/s."""
_COMING = 0.085
"""Distance of puck and fingers from which on one sees which way it will be pushed, m."""
_AHEAD = 0.15
"""How far ahead of the puck who watches looks, m."""


def _next_stop(observation: Observation) -> NDArray[np.float64]:
    """Where the puck has to go next: to the goal, or to a place beside a glass that is in the way. Shape (2,)."""
    puck, goal, glass = (observation.privileged[name][:2].astype(float) for name in ("puck", "goal", "glass"))
    way = goal - puck
    share = min(max(float((glass - puck) @ way) / max(float(way @ way), 1e-9), 0.0), 1.0)
    aside = puck + share * way - glass
    if float(np.linalg.norm(aside)) >= _KEEP or share in (0.0, 1.0):
        return goal
    normal = np.array([-way[1], way[0]]) / max(float(np.linalg.norm(way)), 1e-9)
    return glass + _PASS * (normal if float(aside @ normal) >= 0.0 else -normal)


def _way_left(observation: Observation) -> float:
    """Length of the puck's way to the goal, m."""
    stop = _next_stop(observation)
    puck, goal = (observation.privileged[name][:2] for name in ("puck", "goal"))
    return float(np.linalg.norm(stop - puck) + np.linalg.norm(goal - stop))


def _goes_amiss(observation: Observation) -> bool:
    """The fingers come to the puck, which goes straight away from them, on a line on which it would touch the glass."""
    puck, glass = (observation.privileged[name][:2].astype(float) for name in ("puck", "glass"))
    from_tool = puck - observation.tool_pose_in_base[:2].astype(float)
    ahead = _unit(from_tool)
    pushed = float(np.linalg.norm(from_tool)) < _COMING and observation.tool_velocity[:2] @ ahead > _PUSHING
    to_glass = glass - puck
    along = min(max(float(to_glass @ ahead), 0.0), _AHEAD)
    return bool(pushed and np.linalg.norm(to_glass - along * ahead) < ZONE + PUCK_RADIUS)


def _distance(observation: Observation, one: str, other: str) -> float:
    return float(np.linalg.norm(observation.privileged[one][:2] - observation.privileged[other][:2]))


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def _angle(start: NDArray[np.float64], end: NDArray[np.float64]) -> float:
    """From one direction to another, rad, positive to the left."""
    return math.atan2(start[0] * end[1] - start[1] * end[0], float(start @ end))


def _turned(direction: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([c * direction[0] - s * direction[1], s * direction[0] + c * direction[1]])
