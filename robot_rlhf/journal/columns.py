"""Columns of an episode as every export names and orders them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Array, Outcome, RobotSpec
from robot_rlhf.episode import OBSERVATION_ARRAYS, Episode
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.format import decode_spec, encode_spec

STATE_COLUMNS = (*OBSERVATION_ARRAYS, "gripper", "gripper_target")
"""What a robot senses of itself, in the order of every exported state vector; the scene comes behind it."""
CONTEXT = "context."
"""How names of columns begin that hold what was asked for beside the sentence."""
AUTHORITY = "authority"
"""Column of the person's share of each entry of the action."""
SPOKEN = "spoken"
"""Column of the sentence by which a person decided their share, by its name; empty where none did."""
GIVEN = "given."
"""Begins the name of a column that is true where a step has what the column named behind it holds."""


def column_names(spec: RobotSpec, column: str, size: int) -> list[str]:
    """A name per entry of an observation column, for example 'joint_position.elbow' or 'tool_wrench.2'."""
    if column in ("joint_position", "joint_velocity"):
        return [f"{column}.{name}" for name in spec.joint_names]
    return [column] if size == 1 else [f"{column.replace('/', '.')}.{i}" for i in range(size)]


def state_columns(episode: Episode, *, include_privileged: bool) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Name and values (T + 1, size) of every low-dimensional observation, images excepted."""
    prefixes = ("scene/", "privileged/") if include_privileged else ("scene/",)
    extra = (name for name in episode.observations if name.startswith(prefixes))
    for name in (*STATE_COLUMNS, *extra):
        column = np.asarray(episode.observations[name], np.float32)
        yield name, column if column.ndim == 2 else column[:, None]


@dataclass(frozen=True)
class Extras:
    """What only some journals' steps have: named vectors of what was asked for, and shares of person and policy."""

    context: Mapping[str, int] = field(default_factory=dict[str, int])
    """Name to length of every vector that a step has, in the order of names."""
    authority: bool = False
    """A step tells the person's share of each entry of its action."""
    spoken: bool = False
    """A step tells the sentence by which a person decided their share."""

    @staticmethod
    def of(path: object, episodes: Iterable[Episode]) -> Extras:
        """Those of all episodes together.

        Args:
            path: theirs, for messages.

        Raises:
            JournalError: one vector of two lengths; names the episodes.
        """
        found: dict[str, tuple[int, str]] = {}
        authority = spoken = False
        for episode in episodes:
            authority = authority or episode.authority is not None
            spoken = spoken or bool(episode.spoken)
            for name, column in episode.context.items():
                size, first = found.setdefault(name, (column.shape[1], episode.meta.id))
                if size != column.shape[1]:
                    raise JournalError(
                        f"{path}: context {name!r} has {size} entries in episode {first}, {column.shape[1]} in "
                        f"{episode.meta.id}; allowed: one length, or one file at a time"
                    )
        return Extras({name: found[name][0] for name in sorted(found)}, authority, spoken)

    def columns(self, episode: Episode, spec: RobotSpec) -> Iterator[tuple[str, Array, list[str]]]:
        """Name, values (T, size) with rows of NaN where a step has none, and names of the entries of each of them."""
        for name, size in self.context.items():
            key = f"{CONTEXT}{as_key(name)}"
            values = episode.context.get(name)
            entries = [key] if size == 1 else [f"{key}.{i}" for i in range(size)]
            yield key, _none(len(episode), size) if values is None else values, entries
        if self.authority:
            m = spec.action.size
            values = _none(len(episode), m) if episode.authority is None else episode.authority
            yield AUTHORITY, values, [f"{AUTHORITY}.{name}" for name in spec.action.names]

    def sentences(self, episode: Episode) -> tuple[str, ...]:
        """One per step, empty where none decided it; nothing where no episode has any."""
        return (episode.spoken or ("",) * len(episode)) if self.spoken else ()


def as_key(name: str) -> str:
    """A context's name as part of a column's: no format takes a slash there."""
    return name.replace("%", "%25").replace("/", "%2F")


def of_key(key: str) -> str:
    """The inverse of as_key."""
    return unquote(key)


def _none(steps: int, size: int) -> Array:
    return np.full((steps, size), np.nan, np.float32)


def succeeded(episode: Episode) -> bool:
    return episode.end is not None and episode.end.outcome is Outcome.SUCCESS


def robot_words(spec: RobotSpec) -> dict[str, Any]:
    """What a data set says of its robot: everything but cameras and privileged state, which speak for themselves."""
    fields: dict[str, Any] = json.loads(encode_spec(spec))
    return {name: value for name, value in fields.items() if name not in ("cameras", "privileged")}


def robot_of(words: dict[str, Any]) -> RobotSpec:
    """The inverse of robot_words."""
    return decode_spec(json.dumps({**words, "cameras": {}, "privileged": {}}))
