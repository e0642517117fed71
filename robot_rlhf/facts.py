"""What can be said of a state: named numbers and truths, with units and words, and which only a simulator knows.

A fact is read from columns: arrays of T rows, named as Episode.observations is, so that the same fact can be had of one
observation, of an episode, and of rows of replay. Facts named 'gold:...' are read from the simulator's truth: nobody
gets them who does not ask for them by that name.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Observation, RobotSpec
from robot_rlhf.episode import OBSERVATION_ARRAYS, OBSERVATION_SCALARS, unstack_observation
from robot_rlhf.errors import ConfigError, InvalidValueError, UnknownNameError

Columns = Mapping[str, NDArray[Any]]
"""Arrays of T rows, named as Episode.observations is; nobody looks at pictures here."""

GOLD = "gold:"
"""What names of facts begin with that are the simulator's truth."""
TRUTH = "yes or no"
"""Unit of facts that hold or do not."""
TOOL = "tool"
PLACES = (3, 7)
"""How many numbers an entry has that says where a thing is: a position, or a pose."""

NEAR = 0.05
"""Things less than this apart are near each other, m."""
OVER = 0.03
"""One thing is above another while it is less than this beside it, and more than this higher, m."""
ASIDE = 0.02
"""One thing is left of another (or right, in front, behind) from this distance along that direction, m."""
CLOSED, GAP, STILL = 0.5, 0.05, 0.05
"""Fingers hold something where they are commanded to an opening below the first, are open by more than the second, and
have moved by less than the third since the observation before."""


@dataclass(frozen=True)
class Fact:
    """One thing that can be asked of a state."""

    name: str
    """For example 'force', 'near(tool, cube)', 'gold:height(cube)'."""
    unit: str
    """'m', 'N', 'm/s'; '1' for a share, TRUTH for what holds or does not."""
    phrases: tuple[str, ...]
    """Ways to say it, the plainest first: a sentence for a truth, a noun for a number."""
    read: Callable[[Columns], NDArray[Any]]
    """Numbers or truths of T rows. Shape (T,)."""

    def __post_init__(self) -> None:
        if not (self.name and self.unit and self.phrases and all(self.phrases)):
            raise InvalidValueError(f"Fact {self.name!r}", (self.unit, self.phrases), "a name, a unit and phrases")

    @property
    def privileged(self) -> bool:
        """Whether only a simulator knows it."""
        return self.name.startswith(GOLD)

    @property
    def is_truth(self) -> bool:
        return self.unit == TRUTH


@dataclass(frozen=True)
class Attribute:
    """A thing of which exactly one of several values holds, or none: a fact for each of them."""

    name: str
    values: Mapping[str, tuple[str, ...]]
    """Value to ways to say that it holds, the plainest first."""
    read: Callable[[Columns], NDArray[np.integer]] | None = None
    """Which of the values holds, by number, -1 for none. Shape (T,). None for what observations do not tell."""
    privileged: bool = True

    def facts(self) -> Iterator[Fact]:
        """One truth for each value."""
        read = self.read
        if read is not None:
            for number, (value, phrases) in enumerate(self.values.items()):
                name = f"{GOLD if self.privileged else ''}{self.name} is {value}"
                yield Fact(name, TRUTH, phrases, lambda columns, number=number: read(columns) == number)


@dataclass(frozen=True)
class Thing:
    """Something of the scene that is somewhere."""

    name: str
    """Its entry in Observation.scene, or in Observation.privileged."""
    words: tuple[str, ...] = ()
    """What people call it, the plainest first; its name when left out."""
    graspable: bool = False

    @property
    def called(self) -> str:
        return self.words[0] if self.words else f"the {self.name.replace('_', ' ')}"


@dataclass(frozen=True)
class View:
    """Which way is right, and which is back, for whoever speaks: unit vectors in the base frame's plane."""

    right: tuple[float, float] = (0.0, -1.0)
    back: tuple[float, float] = (1.0, 0.0)
    """Away from them. The defaults are those of somebody behind the robot who looks along its x axis."""


class FactBook(Mapping[str, Fact]):
    """Facts by name; 'near(cube,tool)' finds 'near(tool, cube)'.

    Raises:
        UnknownNameError: no such fact.
        ConfigError: it is the simulator's, and was not asked for as such.
    """

    def __init__(
        self,
        facts: Iterable[Fact],
        attributes: Iterable[Attribute] = (),
        things: Iterable[Thing] = (),
        view: View | None = None,
    ) -> None:
        """Args: view: of whoever says left and right. Raises InvalidValueError for two facts of one name."""
        self.view = view or View()
        self.attributes: Mapping[str, Attribute] = MappingProxyType({a.name: a for a in attributes})
        self.things: Mapping[str, Thing] = MappingProxyType({thing.name: thing for thing in things})
        self._facts: dict[str, Fact] = {}
        for fact in itertools.chain(facts, *(a.facts() for a in self.attributes.values())):
            if fact.name in self._facts:
                raise InvalidValueError("FactBook", f"two facts {fact.name!r}", "one of each name")
            self._facts[fact.name] = fact

    @staticmethod
    def of_scene(
        scene: Iterable[str], privileged: Iterable[str] = (), *, things: Iterable[Thing] = (), view: View | None = None
    ) -> FactBook:
        """Facts that every robot has, and those of where things are.

        Args:
            scene: entries of Observation.scene that are positions or poses.
            privileged: entries of Observation.privileged that are.
            things: of those that have words or can be grasped.
            view: of whoever says left and right.
        """
        known = {thing.name: thing for thing in things}
        named = {name: known.get(name, Thing(name)) for name in (*scene, *privileged)}
        facts = [*_SELF]
        for group, prefix, names in (("scene", "", tuple(scene)), ("privileged", GOLD, tuple(privileged))):
            facts += _of_things(group, prefix, [named[name] for name in names], view or View())
        return FactBook(facts, things=named.values(), view=view)

    @staticmethod
    def of_robot(spec: RobotSpec, things: Iterable[Thing] = (), view: View | None = None) -> FactBook:
        """Facts of a robot: entries of its scene with three numbers are positions, those with seven poses."""
        scene, privileged = (
            [name for name, n in sizes.items() if n in PLACES] for sizes in (spec.scene, spec.privileged)
        )
        return FactBook.of_scene(scene, privileged, things=things, view=view)

    @staticmethod
    def of_columns(columns: Columns) -> FactBook:
        """Facts of what was recorded, as of a robot. Nothing privileged."""
        sizes = {name.removeprefix("scene/"): c.shape[1] for name, c in columns.items() if name.startswith("scene/")}
        return _perceived(tuple(name for name, n in sizes.items() if n in PLACES))

    def and_also(self, facts: Iterable[Fact] = (), attributes: Iterable[Attribute] = ()) -> FactBook:
        """These and more."""
        own = [fact for fact in self._facts.values() if fact.name not in self._of_attributes()]
        return FactBook([*own, *facts], [*self.attributes.values(), *attributes], self.things.values(), self.view)

    def _of_attributes(self) -> set[str]:
        return {fact.name for attribute in self.attributes.values() for fact in attribute.facts()}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._facts)

    def __getitem__(self, name: str) -> Fact:
        given = canonical(name)
        if given not in self._facts:
            given = _turned(given) if _turned(given) in self._facts else given
        if given in self._facts:
            return self._facts[given]
        if GOLD + given in self._facts:
            raise ConfigError(
                f"fact {name!r}: only the simulator knows it; allowed: a fact that is perceived, "
                f"or the simulator's truth by its name {GOLD + given!r}"
            )
        raise UnknownNameError("fact", name, self._facts)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and not {canonical(name), _turned(canonical(name))}.isdisjoint(self._facts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)

    def truth(self, name: str) -> Fact:
        """A fact that holds or does not. Raises as the book does, and ConfigError for a number."""
        fact = self[name]
        if not fact.is_truth:
            truths = ", ".join(f.name for f in self._facts.values() if f.is_truth)
            raise ConfigError(f"fact {name!r}: is a number of {fact.unit}; allowed: what holds or does not: {truths}")
        return fact

    def of(
        self, observation: Observation, before: Observation | None = None, *, gold: bool = False
    ) -> Mapping[str, float | bool]:
        """Every fact of a state; each is read when it is asked for.

        Args:
            observation: the state.
            before: the observation before it, for facts about what did not move; without it they do not hold.
            gold: the simulator's truth, too.
        """
        told = {name: fact for name, fact in self._facts.items() if gold or not fact.privileged}
        return _Told(told, self, columns_of([observation] if before is None else [before, observation]))

    def described(self, observation: Observation, *, gold: bool = False) -> dict[str, str]:
        """The value of each attribute of a state that has one. Args: gold: the simulator's truth, too."""
        columns = columns_of([observation])
        found: dict[str, str] = {}
        for attribute in self.attributes.values():
            if attribute.read is not None and (gold or not attribute.privileged):
                number = int(attribute.read(columns)[-1])
                if number >= 0:
                    found[attribute.name] = tuple(attribute.values)[number]
        return found


@functools.lru_cache(maxsize=8)
def _perceived(scene: tuple[str, ...]) -> FactBook:
    return FactBook.of_scene(scene)


class _Told(Mapping[str, float | bool]):
    """Facts of the last of some rows."""

    def __init__(self, facts: Mapping[str, Fact], book: FactBook, columns: Columns) -> None:
        self._facts = facts
        self._book = book
        self._columns = columns

    def __getitem__(self, name: str) -> float | bool:
        fact = self._book[name]
        if fact.name not in self._facts:
            raise ConfigError(f"fact {name!r}: only the simulator knows it; allowed: facts that are perceived")
        value = fact.read(self._columns)[-1]
        return bool(value) if fact.is_truth else float(value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)


@runtime_checkable
class Factual(Protocol):
    """A task that says more of its states than where things are."""

    @property
    def facts(self) -> FactBook: ...


def book_of(task: object, spec: RobotSpec) -> FactBook:
    """The facts of a task that has some, else those of its robot.

    Args:
        task: or its class.
        spec: of the robot, or of what was recorded of it: nothing is told of what is not there, a thing of the scene,
            or the simulator's truth.
    """
    book = task.facts if isinstance(task, Factual) else None
    if not isinstance(book, FactBook) or not {*book.things} <= {*spec.scene, *spec.privileged}:
        return FactBook.of_robot(spec)
    if spec.privileged:
        return book
    return FactBook((fact for fact in book.values() if not fact.privileged), (), book.things.values(), book.view)


def canonical(name: str) -> str:
    """The name as books have it: one blank after each comma, none beside brackets."""
    head, bracket, inside = name.strip().partition("(")
    if not bracket:
        return head
    return f"{head.strip()}({', '.join(part.strip() for part in inside.rstrip(') ').split(','))})"


def _turned(name: str) -> str:
    """'near(b, a)' for 'near(a, b)', which is the same; other names as they are."""
    head, _, inside = name.partition("(")
    first, comma, second = inside.rstrip(")").partition(", ")
    return f"{head}({second}, {first})" if comma and head.removeprefix(GOLD) in ("near", "distance") else name


def columns_of(observations: Sequence[Observation]) -> Columns:
    """Consecutive observations as columns, without pictures."""
    columns: dict[str, NDArray[Any]] = {
        name: np.stack([getattr(o, name) for o in observations]) for name in OBSERVATION_ARRAYS
    }
    for name in OBSERVATION_SCALARS:
        columns[name] = np.array([getattr(o, name) for o in observations])
    for group in ("scene", "privileged"):
        for key in getattr(observations[0], group):
            columns[f"{group}/{key}"] = np.stack([getattr(o, group)[key] for o in observations])
    return columns


def number(name: str) -> Callable[[Columns], NDArray[Any]]:
    """Reads an entry of Observation.privileged that is one number. Shape (T,)."""
    return lambda columns: columns[f"privileged/{name}"][:, 0]


def truth(name: str) -> Callable[[Columns], NDArray[np.bool_]]:
    """Reads an entry of Observation.privileged that is 0 or 1. Shape (T,)."""
    return lambda columns: columns[f"privileged/{name}"][:, 0] > 0.5


def remaining(metres: Callable[[Observation], float]) -> Fact:
    """What a task says remains to be done, as a fact."""
    return Fact("gold:remaining", "m", ("how far it still is from done",), by_row(metres))


def by_row(said: Callable[[Observation], float]) -> Callable[[Columns], NDArray[np.float64]]:
    """Reads, row by row, what a function says of each observation."""
    return lambda columns: np.array([said(unstack_observation(columns, t)) for t in range(len(columns["stamp"]))])


def holds(columns: Columns) -> NDArray[np.bool_]:
    """Whether fingers hold something: told to close, and stopped before. Shape (T,).

    False at the first row, of which it is not known whether it moved.
    """
    opening, target = columns["gripper"], columns["gripper_target"]
    still = np.zeros(len(opening), np.bool_)
    still[1:] = np.abs(np.diff(opening)) < STILL
    return still & (opening > GAP) & (target < CLOSED)


def place(name: str, group: str = "scene") -> Callable[[Columns], NDArray[Any]]:
    """Reads where a thing is, or the tool, m. Shape (T, 3)."""
    column = "tool_pose_in_base" if name == TOOL else f"{group}/{name}"
    return lambda columns: columns[column][:, :3]


def distance(a: Callable[[Columns], NDArray[Any]], b: Callable[[Columns], NDArray[Any]]) -> Callable[[Columns], Any]:
    """Reads how far two places are apart, m. Shape (T,)."""
    return lambda columns: np.linalg.norm(a(columns) - b(columns), axis=1)


def offset(a: Callable[[Columns], NDArray[Any]], b: Callable[[Columns], NDArray[Any]]) -> Callable[[Columns], Any]:
    """Reads the way from b to a, m. Shape (T, 3)."""
    return lambda columns: a(columns) - b(columns)


def _length(column: str, part: slice) -> Callable[[Columns], NDArray[Any]]:
    return lambda columns: np.linalg.norm(columns[column][:, part], axis=1)


_LINEAR, _ANGULAR = slice(0, 3), slice(3, 6)
_SELF = (
    Fact("time", "s", ("the time",), lambda columns: columns["stamp"]),
    Fact("speed", "m/s", ("the speed of the tool", "how fast it moves"), _length("tool_velocity", _LINEAR)),
    Fact("turning", "rad/s", ("how fast the tool turns",), _length("tool_velocity", _ANGULAR)),
    Fact("force", "N", ("the force on the tool", "how hard it presses"), _length("tool_wrench", _LINEAR)),
    Fact("torque", "N m", ("the torque on the tool",), _length("tool_wrench", _ANGULAR)),
    Fact("opening", "1", ("how far the gripper is open",), lambda columns: columns["gripper"]),
    Fact(
        "closing",
        TRUTH,
        ("the gripper is told to close", "the gripper closes"),
        lambda columns: columns["gripper_target"] < CLOSED,
    ),
    Fact("holds", TRUTH, ("the gripper holds something", "there is something between the fingers"), holds),
    Fact("height(tool)", "m", ("the height of the tool",), lambda columns: columns["tool_pose_in_base"][:, 2]),
)
"""What every robot with a tool knows of itself."""


def _of_things(group: str, prefix: str, things: Sequence[Thing], view: View) -> Iterator[Fact]:
    """Heights, distances and directions of things, and of the tool to them."""
    tool = Thing(TOOL, ("the tool", "the gripper"))
    for thing in things:
        where, it = place(thing.name, group), thing.called
        yield Fact(f"{prefix}height({thing.name})", "m", (f"the height of {it}",), lambda c, at=where: at(c)[:, 2])
        if thing.graspable and not prefix:
            apart = distance(place(TOOL), where)
            phrases = (f"the gripper holds {it}", f"{it} is in the gripper", f"{it} is grasped")
            yield Fact(f"holds({thing.name})", TRUTH, phrases, lambda c, apart=apart: holds(c) & (apart(c) < NEAR))
    for a, b in itertools.combinations((tool, *things), 2):
        yield from _between(prefix, a, b, distance(place(a.name, group), place(b.name, group)))
    for a, b in itertools.permutations((tool, *things), 2):
        yield from _directions(prefix, a, b, offset(place(a.name, group), place(b.name, group)), view)


def _between(prefix: str, a: Thing, b: Thing, apart: Callable[[Columns], Any]) -> Iterator[Fact]:
    names, phrases = f"({a.name}, {b.name})", (f"the distance between {a.called} and {b.called}",)
    yield Fact(f"{prefix}distance{names}", "m", phrases, apart)
    near = (f"{a.called} is near {b.called}", f"{a.called} is close to {b.called}", f"{a.called} is at {b.called}")
    yield Fact(f"{prefix}near{names}", TRUTH, near, lambda columns: apart(columns) < NEAR)


def _directions(prefix: str, a: Thing, b: Thing, way: Callable[[Columns], Any], view: View) -> Iterator[Fact]:
    """Args: way: from b to a, m. Shape (T, 3)."""

    def above(columns: Columns) -> NDArray[np.bool_]:
        apart = way(columns)
        return (np.linalg.norm(apart[:, :2], axis=1) < OVER) & (apart[:, 2] > OVER)

    def towards(direction: tuple[float, float], sign: float) -> Callable[[Columns], NDArray[np.bool_]]:
        along = sign * np.array(direction)
        return lambda columns: way(columns)[:, :2] @ along > ASIDE

    for name, words, read in (
        ("above", ("above", "over"), above),
        ("left_of", ("left of", "to the left of"), towards(view.right, -1.0)),
        ("right_of", ("right of", "to the right of"), towards(view.right, 1.0)),
        ("in_front_of", ("in front of", "before"), towards(view.back, -1.0)),
        ("behind", ("behind", "at the back of"), towards(view.back, 1.0)),
    ):
        phrases = tuple(f"{a.called} is {each} {b.called}" for each in words)
        yield Fact(f"{prefix}{name}({a.name}, {b.name})", TRUTH, phrases, read)
