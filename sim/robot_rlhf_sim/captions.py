"""Sentences about what a picture of the simulation shows, made from the facts of tasks.

Left, right, front and back are those of the front camera's picture: front is towards the camera. A sentence comes with
the facts it asserts, so that whether it is true of another picture is known too.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Observation
from robot_rlhf.facts import Attribute, Columns, FactBook, View, place

T = TypeVar("T")

Facts = Mapping[str, str]
"""Attribute to value: what is true of a scene."""

RIGHT = (-0.355, 0.935)
"""Unit vector in the table's plane that points right in the front camera's picture."""
BACK = (-0.935, -0.355)
"""The one that points away from that camera."""
FRONT_CAMERA = View(RIGHT, BACK)
CENTRE = (0.5, 0.0)
MIDDLE = 0.06
"""Within this distance of the centre a thing is in the middle, m."""
LOW, HIGH = 0.09, 0.20
"""Fingertips below and above are low and high, m."""
CLOSED, OPEN = 0.2, 0.8
"""Gripper openings below and above are closed and open."""

HUES = ("red", "yellow", "green", "cyan", "blue", "purple")
"""Colour names, 60 degrees of hue each, red in the middle of the first."""

SIDES: Mapping[str, tuple[str, ...]] = {
    "left": ("on the left", "to the left", "on the left side", "left"),
    "middle": ("in the middle", "in the centre", "in the center", "neither left nor right"),
    "right": ("on the right", "to the right", "on the right side", "right"),
}
DEPTHS: Mapping[str, tuple[str, ...]] = {
    "front": ("at the front", "close to the camera", "near the camera", "in front"),
    "midway": ("at half depth", "midway between front and back"),
    "back": ("at the back", "far from the camera", "close to the wall", "back"),
}
HEIGHTS: Mapping[str, tuple[str, ...]] = {
    "low": ("low", "low down", "close to the table", "near the table", "down"),
    "medium": ("at medium height", "at half height", "neither high nor low"),
    "high": ("high", "high up", "far above the table", "up"),
}
FINGERS: Mapping[str, tuple[str, ...]] = {
    "open": ("open", "wide open"),
    "half open": ("half open", "partly open"),
    "closed": ("closed", "shut"),
}

OF_GRIPPER = ("gripper side", "gripper depth", "gripper height", "fingers")
"""Attributes whose phrases come after 'the gripper is'."""
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


@runtime_checkable
class Pictured(Protocol):
    """A simulated task whose pictures sentences can be made about."""

    stays_above: float | None
    """How far above its thing a tool stays that is put somewhere, m; None for a thing that is no body."""
    keeps_opening: bool
    """Whether the hand holds something from the start."""
    goes_on: bool
    """Whether the task goes on after a grasp, until it has succeeded."""

    @property
    def facts(self) -> FactBook: ...

    def pictured(self, observation: Observation) -> dict[str, str]:
        """Attribute to value of what a picture of the present state shows."""
        ...


def of_gripper(*, below: float = 0.0, fingers: bool = True) -> tuple[Attribute, ...]:
    """Where the gripper is. Args: below: how far the tool point is below the fingertips, m; fingers: they move."""
    tool = place("tool")

    def depth(columns: Columns) -> NDArray[np.int64]:
        return bins(_along(BACK, tool(columns)), -MIDDLE, MIDDLE)

    def height(columns: Columns) -> NDArray[np.int64]:
        return bins(tool(columns)[:, 2].astype(np.float64) + below, LOW, HIGH)

    def opening(columns: Columns) -> NDArray[np.int64]:
        return 2 - bins(columns["gripper"], CLOSED, OPEN)

    found = (
        Attribute("gripper side", SIDES, side_at(tool), privileged=False),
        Attribute("gripper depth", DEPTHS, depth, privileged=False),
        Attribute("gripper height", HEIGHTS, height, privileged=False),
    )
    return (*found, Attribute("fingers", FINGERS, opening, privileged=False)) if fingers else found


def of_scene(value: str, *phrases: str) -> Attribute:
    """What there is to see in every picture of a task."""
    return Attribute("scene", {value: phrases}, lambda columns: np.zeros(len(columns["stamp"]), np.int64))


def side_of(name: str, thing: str, *words: str) -> Attribute:
    """On which side a thing of the task is. Args: words: what it is called, after 'the'."""
    phrases = {
        side: tuple(f"the {word} is {where}" for word in words for where in said) for side, said in SIDES.items()
    }
    return Attribute(name, phrases, side_at(place(thing, "privileged")))


def side_at(at: Callable[[Columns], NDArray[Any]]) -> Callable[[Columns], NDArray[np.int64]]:
    """Reads on which side a place is: the number of one of SIDES. Shape (T,)."""
    return lambda columns: bins(_along(RIGHT, at(columns)), -MIDDLE, MIDDLE)


def bins(values: NDArray[np.floating], lower: float, upper: float) -> NDArray[np.int64]:
    """0 below, 1 between, 2 above. Shape (T,) -> (T,)."""
    return np.where(values < lower, 0, np.where(values <= upper, 1, 2))


def _along(direction: tuple[float, float], places: NDArray[Any]) -> NDArray[np.float64]:
    """Metres from the centre of the table's workspace along a direction. Shape (T, 3) -> (T,)."""
    x, y = places[:, 0].astype(np.float64), places[:, 1].astype(np.float64)
    return direction[0] * (x - CENTRE[0]) + direction[1] * (y - CENTRE[1])


def colour_name(colour: Sequence[float] | NDArray[np.float64]) -> str:
    """The nearest of HUES. Shape (3,), RGB in [0, 1]."""
    hue = colorsys.rgb_to_hsv(*(float(c) for c in colour))[0]
    return HUES[round(hue * len(HUES)) % len(HUES)]


class Captions:
    """Sentences in the words of some tasks.

    A task's instruction says how the world is when it has been followed.
    """

    def __init__(self, books: Sequence[FactBook]) -> None:
        phrases: dict[str, dict[str, tuple[str, ...]]] = {}
        for attribute in (a for book in books for a in book.attributes.values()):
            phrases.setdefault(attribute.name, {}).update(attribute.values)
        self.phrases: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(phrases)
        """Attribute to value to ways to say it, the plainest first."""

    def plain(self, attribute: str, value: str) -> str:
        """The plainest sentence that asserts one fact."""
        words = self.phrases[attribute][value][0]
        return f"{SUBJECTS[0]} {words}" if attribute in OF_GRIPPER else words

    def describe(self, facts: Facts) -> Caption:
        """Everything that is true, in the plainest words; equal facts give equal sentences."""
        own = [self.phrases[a][facts[a]][0] for a in OF_GRIPPER if a in facts]
        others = [self.phrases[a][facts[a]][0] for a in self.phrases if a in facts and a not in (*OF_GRIPPER, "scene")]
        return Caption(" and ".join([f"{SUBJECTS[0]} {', '.join(own)}", *others]), tuple(sorted(facts.items())))

    def caption(self, facts: Facts, rng: np.random.Generator) -> Caption:
        """A sentence about some of the facts or all of them, in words and an order drawn from rng."""
        attributes = sorted(facts)
        chosen = [attributes[i] for i in rng.permutation(len(attributes))[: _one_of(COUNTS, rng)]]
        words = {a: _one_of(self.phrases[a][facts[a]], rng) for a in chosen}
        own = [words[a] for a in chosen if a in OF_GRIPPER]
        clauses = [words[a] for a in chosen if a not in OF_GRIPPER]
        if own:
            listed = own[0] if len(own) == 1 else f"{', '.join(own[:-1])} and {own[-1]}"
            clauses.insert(int(rng.integers(len(clauses) + 1)), f"{_one_of(SUBJECTS, rng)} {listed}")
        return Caption(_one_of(JOINTS, rng).join(clauses), tuple(sorted((a, facts[a]) for a in chosen)))

    def each_fact(self, rng: np.random.Generator) -> list[Caption]:
        """For every value of every attribute one sentence, in words drawn from rng."""
        return [self.caption({a: value}, rng) for a, values in self.phrases.items() for value in values]

    def sentences(self) -> list[str]:
        """One sentence for every way to say every fact: all words that captions are made of."""
        joined = ["the gripper is low, high and open while there is a cube"]
        for attribute, values in self.phrases.items():
            for phrases in values.values():
                for subject in SUBJECTS if attribute in OF_GRIPPER else ("",):
                    joined += [f"{subject} {words}".strip() for words in phrases]
        return joined


def _one_of(values: Sequence[T], rng: np.random.Generator) -> T:
    return values[int(rng.integers(len(values)))]
