"""Sentences about what a picture of the simulation shows, made from the simulator's state.

Left, right, front and back are those of the front camera's picture: front is towards the camera. A sentence comes with
the facts it asserts, so that whether it is true of another picture is known too.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Observation
from robot_rlhf.errors import UnknownNameError

T = TypeVar("T")

Facts = Mapping[str, str]
"""Attribute to value: what is true of a scene, of the attributes in PHRASES."""

RIGHT = (-0.355, 0.935)
"""Unit vector in the table's plane that points right in the front camera's picture."""
BACK = (-0.935, -0.355)
"""The one that points away from that camera."""
CENTRE = (0.5, 0.0)
MIDDLE = 0.06
"""Within this distance of the centre a thing is in the middle, m."""
LOW, HIGH = 0.09, 0.20
"""Fingertips below and above are low and high, m."""
CLOSED, OPEN = 0.2, 0.8
"""Gripper openings below and above are closed and open."""
AT_MARKER, NEAR_MARKER = 0.03, 0.10
"""Distances of tool and marker, m."""
ABOVE = 0.03
"""The gripper is above the cube while it is less than this beside it, m."""
LIFTED = 0.04
"""Height of the cube's middle above the table from which it is in the air, m; it lies at 0.02."""
OVER_HOLE = 0.012
"""The peg is over the hole while its tip is less than this beside it, m."""
IN_HOLE = 0.004
"""Depth of the tip from which the peg is in the hole, m."""
PEG_BELOW_FINGERS = 0.047
"""How far the peg's tip, which is the tool point then, is below the fingertips, m."""

HUES = ("red", "yellow", "green", "cyan", "blue", "purple")
"""Colour names, 60 degrees of hue each, red in the middle of the first."""

_SIDES = {
    "left": ("on the left", "to the left", "on the left side", "left"),
    "middle": ("in the middle", "in the centre", "in the center", "neither left nor right"),
    "right": ("on the right", "to the right", "on the right side", "right"),
}
PHRASES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "gripper side": _SIDES,
    "gripper depth": {
        "front": ("at the front", "close to the camera", "near the camera", "in front"),
        "midway": ("at half depth", "midway between front and back"),
        "back": ("at the back", "far from the camera", "close to the wall", "back"),
    },
    "gripper height": {
        "low": ("low", "low down", "close to the table", "near the table", "down"),
        "medium": ("at medium height", "at half height", "neither high nor low"),
        "high": ("high", "high up", "far above the table", "up"),
    },
    "fingers": {
        "open": ("open", "wide open"),
        "half open": ("half open", "partly open"),
        "closed": ("closed", "shut"),
    },
    "scene": {
        "marker": ("there is a green marker", "a robot and a green marker"),
        "cube": ("there is a cube", "a robot and a cube"),
        "peg": ("there is a peg and a block with a hole", "a robot with a peg"),
    },
    "marker distance": {
        "at": (
            "the gripper is at the green marker",
            "the tool touches the marker",
            "the gripper is at the marker",
            "move the gripper to the green marker",
        ),
        "near": ("the gripper is near the green marker", "the gripper is close to the marker"),
        "far": ("the gripper is far from the green marker", "the gripper is away from the marker"),
    },
    "marker side": {
        value: tuple(f"the {thing} is {words}" for thing in ("green marker", "marker") for words in phrases)
        for value, phrases in _SIDES.items()
    },
    "cube place": {
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
    "cube colour": {c: (f"the cube is {c}", f"there is a {c} cube", f"a robot and a {c} cube") for c in HUES},
    "cube side": {
        value: tuple(f"the cube is {words}" for words in phrases) for value, phrases in _SIDES.items()
    },
    "over cube": {
        "above": ("the gripper is above the cube", "the gripper is over the cube"),
        "beside": ("the gripper is away from the cube", "the gripper is beside the cube"),
        "around": ("the gripper is at the cube", "the fingers are around the cube"),
    },
    "peg place": {
        "in": (
            "the peg is in the hole",
            "the peg is inserted into the hole",
            "the peg is in the block",
            "insert the peg into the hole",
        ),
        "over": ("the peg is over the hole", "the peg is above the hole", "the peg points at the hole"),
        "beside": ("the peg is beside the hole", "the peg is away from the hole", "the peg misses the hole"),
    },
    "block side": {
        value: tuple(f"the block is {words}" for words in phrases) for value, phrases in _SIDES.items()
    },
}  # fmt: skip
"""Attribute to value to ways to say it. Those of the gripper come after 'the gripper is'; the first is the plainest.

A task's instruction says how the world is when it has been followed."""

OF_GRIPPER = ("gripper side", "gripper depth", "gripper height", "fingers")
SUBJECTS = ("the gripper is", "the robot hand is", "the robot's gripper is", "the tool is")
JOINTS = (" and ", ", ", " while ")
COUNTS = (1, 1, 2, 2, 3, 4, 6, 12)
"""How many facts a caption tells at most, the frequent numbers more than once; 12 is all of them."""


@dataclass(frozen=True)
class Caption:
    """A sentence, and what it asserts."""

    text: str
    asserts: tuple[tuple[str, str], ...]
    """(attribute, value), each attribute at most once, sorted."""

    def true_of(self, facts: Facts) -> bool:
        return all(facts.get(attribute) == value for attribute, value in self.asserts)


def facts_of(
    task: str, observation: Observation, colour: Sequence[float] | NDArray[np.float64] | None = None
) -> dict[str, str]:
    """What is true of a state of a simulated task.

    Args:
        task: reach, pick_cube or peg_insert.
        observation: with its privileged part.
        colour: RGB in [0, 1] of the cube; None where it is not known.

    Raises:
        UnknownNameError: captions of that task are not known.
    """
    if task not in _OF_TASK:
        raise UnknownNameError("task", task, _OF_TASK)
    x, y, z = (float(n) for n in observation.tool_pose_in_base[:3])
    height = z + (PEG_BELOW_FINGERS if task == "peg_insert" else 0.0)
    facts = {
        "gripper side": _side(x, y),
        "gripper depth": _bin(_along(BACK, x, y), -MIDDLE, MIDDLE, ("front", "midway", "back")),
        "gripper height": _bin(height, LOW, HIGH, ("low", "medium", "high")),
        **_OF_TASK[task](observation),
    }
    if colour is not None:
        facts["cube colour"] = colour_name(colour)
    return facts


def _of_reach(o: Observation) -> dict[str, str]:
    target = o.privileged["target"]
    distance = float(np.linalg.norm(o.tool_pose_in_base[:3] - target[:3]))
    return {
        "scene": "marker",
        "fingers": _fingers(o),
        "marker distance": _bin(distance, AT_MARKER, NEAR_MARKER, ("at", "near", "far")),
        "marker side": _side(float(target[0]), float(target[1])),
    }


def _of_pick_cube(o: Observation) -> dict[str, str]:
    cube, tool = o.privileged["cube"], o.tool_pose_in_base
    lifted, held = float(cube[2]) > LIFTED, float(o.privileged["grasped"][0]) > 0.5
    aside = float(np.linalg.norm(tool[:2] - cube[:2]))
    over = "beside" if aside > ABOVE else "above" if float(tool[2] - cube[2]) > ABOVE else "around"
    return {
        "scene": "cube",
        "fingers": _fingers(o),
        "cube place": ("lifted" if lifted else "grasped") if held else "table",
        "cube side": _side(float(cube[0]), float(cube[1])),
        "over cube": "around" if held else over,
    }


def _of_peg_insert(o: Observation) -> dict[str, str]:
    hole = o.privileged["hole"]
    aside = float(np.linalg.norm(o.tool_pose_in_base[:2] - hole[:2]))
    inside = float(o.privileged["depth"][0]) > IN_HOLE
    return {
        "scene": "peg",
        "peg place": "in" if inside else "over" if aside < OVER_HOLE else "beside",
        "block side": _side(float(hole[0]), float(hole[1])),
    }


_OF_TASK = {"reach": _of_reach, "pick_cube": _of_pick_cube, "peg_insert": _of_peg_insert}


def colour_name(colour: Sequence[float] | NDArray[np.float64]) -> str:
    """The nearest of HUES. Shape (3,), RGB in [0, 1]."""
    hue = colorsys.rgb_to_hsv(*(float(c) for c in colour))[0]
    return HUES[round(hue * len(HUES)) % len(HUES)]


def plain(attribute: str, value: str) -> str:
    """The plainest sentence that asserts one fact."""
    words = PHRASES[attribute][value][0]
    return f"{SUBJECTS[0]} {words}" if attribute in OF_GRIPPER else words


def describe(facts: Facts) -> Caption:
    """Everything that is true, in the plainest words; equal facts give equal sentences."""
    own = [PHRASES[a][facts[a]][0] for a in OF_GRIPPER if a in facts]
    others = [PHRASES[a][facts[a]][0] for a in PHRASES if a in facts and a not in (*OF_GRIPPER, "scene")]
    return Caption(" and ".join([f"{SUBJECTS[0]} {', '.join(own)}", *others]), tuple(sorted(facts.items())))


def caption(facts: Facts, rng: np.random.Generator) -> Caption:
    """A sentence about some of the facts or all of them, in words and an order drawn from rng."""
    attributes = sorted(facts)
    chosen = [attributes[i] for i in rng.permutation(len(attributes))[: _one_of(COUNTS, rng)]]
    words = {a: _one_of(PHRASES[a][facts[a]], rng) for a in chosen}
    own = [words[a] for a in chosen if a in OF_GRIPPER]
    clauses = [words[a] for a in chosen if a not in OF_GRIPPER]
    if own:
        listed = own[0] if len(own) == 1 else f"{', '.join(own[:-1])} and {own[-1]}"
        clauses.insert(int(rng.integers(len(clauses) + 1)), f"{_one_of(SUBJECTS, rng)} {listed}")
    return Caption(_one_of(JOINTS, rng).join(clauses), tuple(sorted((a, facts[a]) for a in chosen)))


def each_fact(rng: np.random.Generator) -> list[Caption]:
    """For every value of every attribute one sentence, in words drawn from rng."""
    return [caption({a: value}, rng) for a, values in PHRASES.items() for value in values]


def sentences() -> list[str]:
    """One sentence for every way to say every fact: all words that captions are made of."""
    joined = ["the gripper is low, high and open while there is a cube"]
    for attribute, values in PHRASES.items():
        for phrases in values.values():
            for subject in SUBJECTS if attribute in OF_GRIPPER else ("",):
                joined += [f"{subject} {words}".strip() for words in phrases]
    return joined


def _one_of(values: Sequence[T], rng: np.random.Generator) -> T:
    return values[int(rng.integers(len(values)))]


def _along(direction: tuple[float, float], x: float, y: float) -> float:
    """Metres from the centre of the table's workspace along a direction."""
    return direction[0] * (x - CENTRE[0]) + direction[1] * (y - CENTRE[1])


def _side(x: float, y: float) -> str:
    return _bin(_along(RIGHT, x, y), -MIDDLE, MIDDLE, ("left", "middle", "right"))


def _fingers(o: Observation) -> str:
    return _bin(o.gripper, CLOSED, OPEN, ("closed", "half open", "open"))


def _bin(value: float, lower: float, upper: float, names: tuple[str, str, str]) -> str:
    return names[0] if value < lower else names[1] if value <= upper else names[2]
