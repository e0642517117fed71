"""Columns of an episode as every export names and orders them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Outcome, RobotSpec
from robot_rlhf.episode import OBSERVATION_ARRAYS, Episode
from robot_rlhf.journal.format import decode_spec, encode_spec

STATE_COLUMNS = (*OBSERVATION_ARRAYS, "gripper", "gripper_target")
"""What a robot senses of itself, in the order of every exported state vector; the scene comes behind it."""


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


def succeeded(episode: Episode) -> bool:
    return episode.end is not None and episode.end.outcome is Outcome.SUCCESS


def robot_words(spec: RobotSpec) -> dict[str, Any]:
    """What a data set says of its robot: everything but cameras and privileged state, which speak for themselves."""
    fields: dict[str, Any] = json.loads(encode_spec(spec))
    return {name: value for name, value in fields.items() if name not in ("cameras", "privileged")}


def robot_of(words: dict[str, Any]) -> RobotSpec:
    """The inverse of robot_words."""
    return decode_spec(json.dumps({**words, "cameras": {}, "privileged": {}}))
