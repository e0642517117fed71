"""Put the block that is asked for into the bowl that is asked for: four colours, two bowls, a sentence an episode."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Action, ActionLayout, Array, Assignment, Observation, Outcome
from robot_rlhf.errors import ConfigError, InvalidValueError, UnknownNameError
from robot_rlhf.facts import FactBook, Thing, remaining
from robot_rlhf.meaning import Meaning
from robot_rlhf.timing import Clock
from robot_rlhf_sim.arm import SimArm
from robot_rlhf_sim.captions import FRONT_CAMERA
from robot_rlhf_sim.experts import ScriptedExpert, above_then_at
from robot_rlhf_sim.robots.arm_model import ArmModel
from robot_rlhf_sim.robots.built_in import BUILT_IN
from robot_rlhf_sim.rotation import POINTING_DOWN, Vector, about_z, wrap, yaw
from robot_rlhf_sim.tasks.blocks_words import block_attributes, block_facts, sentence
from robot_rlhf_sim.tasks.putting_away import HALF_SIDE, add_block, add_part, limits_within

BOWL_RADIUS, BOWL_HEIGHT = 0.052, 0.030
"""Of a bowl's rim, m."""
IN_BOWL, BELOW = 0.045, 0.045
"""A block whose middle is less than the first beside a bowl's, and lower than the second, is in it, m."""

_FOOT = 0.036
_SLIDING = 0.4
_BOWLS = ((0.47, -0.205), (0.47, 0.205))
_BOWL_SPREAD = (0.03, 0.010)
_LEAST, _MOST = (0.40, -0.08), (0.62, 0.08)
_APART = (0.045, 0.085)
"""Between two blocks there is at least the first along x, or the second along y, in which the fingers open, m."""
_YAW = math.radians(15.0)
_START = (0.5, 0.0, 0.13)
_START_SPREAD = (0.08, 0.06, 0.03)

COLOURS: Mapping[str, Thing] = {
    name: Thing(name, (f"the {name} block", f"the {name} one", f"the {name} cube"), graspable=True)
    for name in ("red", "green", "blue", "yellow")
}
BOWLS: Mapping[str, Thing] = {
    "bowl_left": Thing("bowl_left", ("the left bowl", "the bowl on the left")),
    "bowl_right": Thing("bowl_right", ("the right bowl", "the bowl on the right")),
}
"""As whoever looks through the front camera sees them."""
PAIRS = tuple(itertools.product(COLOURS, BOWLS))
"""Every goal there is: block and bowl."""

_RGB = {
    "red": (0.83, 0.16, 0.15),
    "green": (0.16, 0.62, 0.24),
    "blue": (0.14, 0.34, 0.82),
    "yellow": (0.93, 0.78, 0.12),
}


def inside(block: NDArray[np.floating], bowl: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whether a block is where it would lie in a bowl. Shapes (..., 3) and (..., 3) -> (...)."""
    return (np.linalg.norm((block - bowl)[..., :2], axis=-1) < IN_BOWL) & (block[..., 2] < BELOW)


class Blocks:
    """Put one of four blocks into one of two bowls. Actions: x, y, z (2 cm per step), gripper.

    scene has the poses of the blocks 'red', 'green', 'blue' and 'yellow', their yaw reduced to [-45, 45) degrees, and
    of the bowls 'bowl_left' and 'bowl_right'; privileged has the same, 'goal', which block and which bowl are asked
    for, by number, 'held', which block the fingers hold, from 1, 0 for none, and 'grasped', 1 while it is the one that
    is asked for. What lies in a bowl cannot be taken out again: the wrong block in a bowl, or a bowl that was not asked
    for, is a failure.
    """

    name = "blocks"
    example = sentence(COLOURS["red"], BOWLS["bowl_left"])
    """Of what it is asked for as."""
    time_limit = 150
    suggested: ClassVar[Mapping[str, Any]] = {
        "steps": 3_000,
        "demonstrations": 20,
        "replay.discount": 0.99,
        "director": "robot_rlhf.language.goals:for_place",
        "features.scene": False,  # only what is asked for is looked at: so an unseen pair is like the others
        "features.context": {"thing": 6, "place": 6},
    }
    scene_sizes: Mapping[str, int] = dict.fromkeys((*COLOURS, *BOWLS), 7)
    privileged_sizes: Mapping[str, int] = {**scene_sizes, "goal": 2, "held": 1, "grasped": 1}
    facts = FactBook.of_scene(
        scene_sizes, scene_sizes, things=(*COLOURS.values(), *BOWLS.values()), view=FRONT_CAMERA
    ).and_also(
        [*block_facts(COLOURS, BOWLS, inside), remaining(lambda observation: _remaining(observation))],
        block_attributes(COLOURS, BOWLS, inside),
    )
    stays_above = 0.05
    keeps_opening = False
    goes_on = True
    limits = limits_within((0.34, -0.26, 0.012), (0.68, 0.26, 0.26))

    def __init__(
        self,
        clock: Clock,
        cameras: Mapping[str, tuple[int, int]] | None = None,
        *,
        arm: ArmModel = BUILT_IN,
        goals: str = "",
        held_out: str = "",
        bowl_spread: float = 1.0,
    ) -> None:
        """Build the world.

        Args:
            clock: see SimArm.
            cameras: see SimArm.
            arm: whose fingers do it.
            goals: pairs that episodes ask for, for example 'red>bowl_left,blue>bowl_right'; empty: all of them.
            held_out: pairs that they never ask for of themselves.
            bowl_spread: how far the bowls' places differ, as a share of the usual; 0: always the same ones.

        Raises:
            InvalidValueError: a spread that brings bowls and blocks together.
            ConfigError: a goal that is no pair, or no goal left.
        """
        if not 0.0 <= bowl_spread <= 1.5:
            raise InvalidValueError("bowl_spread", bowl_spread, "0 to 1.5")
        arm.needs_gripper(self.name)
        never = _pairs("held_out", held_out)
        self.goals = tuple(pair for pair in _pairs("goals", goals) or PAIRS if pair not in never)
        """What an episode may ask for."""
        if not self.goals:
            raise ConfigError(f"held_out {held_out!r}: leaves no goal of {goals or 'all pairs'!r}")
        self.bowl_spread = bowl_spread
        world = arm.load()
        for name in BOWLS:
            _add_bowl(world, name)
        for name in COLOURS:
            add_block(world, name, (0.5, 0.0), _RGB[name])
        layout = ActionLayout(("x", "y", "z", "gripper"), np.array([0.02, 0.02, 0.02, 1.0], np.float32))
        self.arm = SimArm(self, world, layout, clock, cameras or {}, model=arm, graspable=tuple(COLOURS), memory=2)
        model = self.arm.model
        self._bodies: list[int] = [model.body(name).id for name in COLOURS]
        self._addresses = [int(model.jnt_qposadr[model.joint(name).id]) for name in COLOURS]

    @property
    def goal(self) -> tuple[str, str]:
        """Which block and which bowl are asked for."""
        thing, place = self.arm.memory.astype(int).tolist()
        return tuple(COLOURS)[thing], tuple(BOWLS)[place]

    @property
    def instruction(self) -> str:
        thing, place = self.goal
        return sentence(COLOURS[thing], BOWLS[place])

    def ask(self, thing: str, place: str) -> None:
        """From now on it is this block that is wanted in this bowl, until the next reset draws another goal.

        Raises:
            UnknownNameError: no such block, or no such bowl.
        """
        for what, name, names in (("block", thing, COLOURS), ("bowl", place, BOWLS)):
            if name not in names:
                raise UnknownNameError(what, name, names)
        self.arm.memory[:] = tuple(COLOURS).index(thing), tuple(BOWLS).index(place)
        self.arm.look_again()

    def reset(self, rng: np.random.Generator) -> None:
        start = np.add(_START, rng.uniform(-1.0, 1.0, 3) * _START_SPREAD)
        bowls = [np.add(at, self.bowl_spread * rng.uniform(-1.0, 1.0, 2) * _BOWL_SPREAD) for at in _BOWLS]
        blocks = _spread(rng)
        turns = rng.uniform(-_YAW, _YAW, len(COLOURS)).tolist()
        thing, place = self.goals[int(rng.integers(len(self.goals)))]
        self.arm.begin((*start.tolist(), *POINTING_DOWN), 1.0)
        data = self.arm.data
        for k, (x, y) in enumerate(bowls):
            data.mocap_pos[k] = (x, y, 0.0)
        for address, (x, y), turn in zip(self._addresses, blocks, turns, strict=True):
            data.qpos[address : address + 7] = (x, y, HALF_SIDE, *about_z(turn))
        self.arm.memory[:] = tuple(COLOURS).index(thing), tuple(BOWLS).index(place)
        self.arm.settle()

    def success(self, observation: Observation) -> bool:
        thing, place = _asked(observation)
        return bool(inside(_at(observation, thing), _at(observation, place))) and not _is_held(observation, thing)

    def ended(self, observation: Observation) -> Outcome | None:
        """FAILURE when a block lies in a bowl that it was not asked to be in, or the one asked for is out of reach."""
        asked = _asked(observation)
        for pair in PAIRS:
            lies_there = inside(_at(observation, pair[0]), _at(observation, pair[1]))
            if pair != asked and lies_there and not _is_held(observation, pair[0]):
                return Outcome.FAILURE
        where = _at(observation, asked[0])
        lower, upper = self.limits.workspace_lower[:2], self.limits.workspace_upper[:2]
        gone = bool((where[:2] < lower - HALF_SIDE).any() or (where[:2] > upper + HALF_SIDE).any() or where[2] < -0.01)
        return Outcome.FAILURE if gone else None

    def gold_reward(self, observation: Observation) -> float:
        """In [0, 1]: 1 when nothing is left of the way; 0 once it has failed."""
        if self.ended(observation) is not None:
            return 0.0
        return 1.0 - math.tanh(1.2 * self.remaining(observation))

    def remaining(self, observation: Observation) -> float:
        """From the fingers to the block and from there to above the bowl, m; and more with a wrong block in them."""
        return _remaining(observation)

    def pictured(self, observation: Observation) -> dict[str, str]:
        return self.facts.described(observation, gold=True)

    def advises(self, observation: Observation) -> Meaning | None:
        """What a person would tell the robot to do now; None when it is done, or has failed."""
        thing, place = _asked(observation)
        if self.success(observation) or self.ended(observation) is not None:
            return None
        held = int(observation.privileged["held"][0])
        if not held or _is_held(observation, thing):
            return Meaning("goal", skill="put_in", thing=thing, place=place)
        high = float(_at(observation, tuple(COLOURS)[held - 1])[2]) - HALF_SIDE
        return Meaning("down", amount=round(high, 2)) if high > 0.02 else Meaning("open", skill="open")

    def expert(self, noise: float = 0.0, tap: float = 0.0) -> BlocksExpert:
        """A script that solves the task by the privileged truth; `noise` is the spread of its wobble in actions.

        No tap of a key is too long for it: there is room between the fingers and above the bowl.
        """
        return BlocksExpert(self.arm.spec.action, noise)

    def sense(self, arm: SimArm) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        scene: dict[str, Array] = {}
        for name, body in zip(COLOURS, self._bodies, strict=True):
            angle = wrap(yaw(arm.data.xquat[body].tolist()), math.pi / 2.0)
            scene[name] = np.array([*arm.data.xpos[body].tolist(), *about_z(angle)], np.float32)
        for k, name in enumerate(BOWLS):
            scene[name] = np.array([*arm.data.mocap_pos[k].tolist(), 1.0, 0.0, 0.0, 0.0], np.float32)
        for pose in scene.values():
            pose.flags.writeable = False
        goal = arm.memory.astype(np.float32)
        grasped = arm.holding == int(goal[0]) + 1
        held = {"held": np.array([arm.holding], np.float32), "grasped": np.array([grasped], np.float32)}
        return scene, {**scene, "goal": goal, **held}

    def paint(self, arm: SimArm) -> None:
        """Nothing changes colour."""


def _asked(observation: Observation) -> tuple[str, str]:
    thing, place = observation.privileged["goal"].astype(int).tolist()
    return tuple(COLOURS)[thing], tuple(BOWLS)[place]


def _at(observation: Observation, name: str) -> NDArray[np.float32]:
    return observation.privileged[name][:3]


def _is_held(observation: Observation, colour: str) -> bool:
    return int(observation.privileged["held"][0]) == tuple(COLOURS).index(colour) + 1


def _remaining(observation: Observation) -> float:
    thing, place = _asked(observation)
    block, bowl = _at(observation, thing), _at(observation, place)
    tool = observation.tool_pose_in_base[:3]
    above = bowl + np.array([0.0, 0.0, BlocksExpert.RELEASE])
    held = int(observation.privileged["held"][0])
    if _is_held(observation, thing):
        return 0.02 + float(np.linalg.norm(above - tool))
    if inside(block, bowl):
        return 0.0
    left = 0.05 + float(np.linalg.norm(block - tool) + np.linalg.norm(above - block))
    return left + (0.10 + float(tool[2]) if held else 0.0)


class BlocksExpert(ScriptedExpert):
    """Picks the block that is asked for and drops it into its bowl; a wrong one is laid down first."""

    TRAVEL_HEIGHT = 0.095
    """At which the fingers travel, m."""
    RELEASE = 0.065
    """At which they let go above a bowl, m."""
    NEAR = 0.010
    """Beside a place by less than this is above it, m."""
    GRASP = 0.012
    """Nearness of fingers and block at which they close, m."""

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        thing, place = _asked(observation)
        tool = observation.tool_pose_in_base[:3].tolist()
        held = int(observation.privileged["held"][0])
        if _is_held(observation, thing):
            goal, opening = self._carry(tool, _at(observation, place).tolist())
        elif held:
            goal, opening = self._lay_down(observation, tool, tuple(COLOURS)[held - 1])
        elif inside(_at(observation, thing), _at(observation, place)):
            goal, opening = (tool[0], tool[1], self.TRAVEL_HEIGHT), 1.0
        else:
            goal, opening = self._pick(observation, tool, _at(observation, thing).tolist())
        return self.towards(observation, goal, POINTING_DOWN, rng, opening=opening)

    def _pick(self, observation: Observation, tool: list[float], block: list[float]) -> tuple[Vector, float]:
        x, y, z = block
        slack = 1.8 if observation.gripper_target < 0.5 else 1.0  # once closing, go on through small slips
        if math.hypot(x - tool[0], y - tool[1]) < slack * self.GRASP and abs(z - tool[2]) < slack * self.GRASP:
            return (x, y, z), 0.0
        return self._above_then_at(tool, (x, y, z)), 1.0

    def _carry(self, tool: list[float], bowl: list[float]) -> tuple[Vector, float]:
        x, y, _ = bowl
        aside = math.hypot(x - tool[0], y - tool[1])
        if aside < 2.0 * self.NEAR and tool[2] < self.RELEASE + 0.01:
            return (x, y, self.RELEASE), 1.0
        return self._above_then_at(tool, (x, y, self.RELEASE)), 0.0

    def _lay_down(self, observation: Observation, tool: list[float], held: str) -> tuple[Vector, float]:
        """Where it is, or at the nearest place with room for it."""
        others = [_at(observation, name)[:2].tolist() for name in COLOURS if name != held]
        xs, ys = (np.linspace(low, high, n).tolist() for low, high, n in zip(_LEAST, _MOST, (5, 3), strict=True))
        nearest = sorted(itertools.product(xs, ys), key=lambda at: math.hypot(at[0] - tool[0], at[1] - tool[1]))
        on_table = abs(tool[1]) < _MOST[1] + 0.03
        places = [(tool[0], tool[1]), *nearest] if on_table else nearest
        x, y = next((at for at in places if all(_clear(at, other) for other in others)), nearest[0])
        aside = math.hypot(x - tool[0], y - tool[1])
        lets_go = aside < 2.0 * self.NEAR and tool[2] < HALF_SIDE + 0.010
        return self._above_then_at(tool, (x, y, HALF_SIDE)), 1.0 if lets_go else 0.0

    def _above_then_at(self, tool: list[float], place: Vector) -> Vector:
        return above_then_at(tool, place, travel=self.TRAVEL_HEIGHT, near=self.NEAR)


def _pairs(what: str, said: str) -> tuple[tuple[str, str], ...]:
    """The pairs that 'red>bowl_left,blue>bowl_right' names."""
    pairs: list[tuple[str, str]] = []
    for word in (part.strip() for part in said.split(",") if part.strip()):
        thing, _, place = word.partition(">")
        if (thing, place) not in PAIRS:
            allowed = ", ".join(f"{a}>{b}" for a, b in PAIRS)
            raise ConfigError(f"{what} {said!r}: {word!r} is no goal; allowed, joined by commas: {allowed}")
        pairs.append((thing, place))
    return tuple(pairs)


def _clear(one: Sequence[float], other: Sequence[float]) -> bool:
    """Between two blocks there is room for a finger."""
    return abs(one[0] - other[0]) >= _APART[0] or abs(one[1] - other[1]) >= _APART[1]


def _spread(rng: np.random.Generator) -> list[tuple[float, float]]:
    """Places of all blocks, each clear of the others."""
    while True:
        places = [(float(x), float(y)) for x, y in rng.uniform(_LEAST, _MOST, (len(COLOURS), 2))]
        if all(_clear(one, other) for one, other in itertools.combinations(places, 2)):
            return places


def _add_bowl(world: mujoco.MjSpec, name: str) -> None:
    """A round foot and eight leaning walls."""
    bowl = world.worldbody.add_body(name=name, mocap=True, pos=[0.5, 0.0, 0.0])
    white = [0.90, 0.89, 0.86, 1.0]
    foot = mujoco.mjtGeom.mjGEOM_CYLINDER
    add_part(bowl, [_FOOT + 0.002, 0.002, 0.0], [0.0, 0.0, 0.002], white, sliding=_SLIDING, kind=foot)
    lean = math.atan2(BOWL_RADIUS - _FOOT, BOWL_HEIGHT)
    middle, half = 0.5 * (BOWL_RADIUS + _FOOT), 0.5 * math.hypot(BOWL_RADIUS - _FOOT, BOWL_HEIGHT)
    for k in range(8):
        angle = 0.25 * math.pi * k
        size = [0.003, math.tan(math.pi / 8.0) * BOWL_RADIUS, half]
        position = [middle * math.cos(angle), middle * math.sin(angle), 0.5 * BOWL_HEIGHT + 0.001]
        turn = np.zeros(4)
        mujoco.mju_mulQuat(turn, np.array(about_z(angle)), np.array([math.cos(0.5 * lean), 0, math.sin(0.5 * lean), 0]))
        add_part(bowl, size, position, white, sliding=_SLIDING, turn=turn.tolist())
