"""What a reward is learned from: an episode as networks see it, without any reward in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Array, frozen_array
from robot_rlhf.errors import InvalidValueError, ShapeError


@dataclass(frozen=True, eq=False)
class Trajectory:
    """T steps of one episode, or of one part of a paused one, encoded. It carries no reward, true or other."""

    id: str
    """Of the episode, as labels name it."""
    task: str
    instruction: str
    """What the robot was asked for in the last step."""
    observations: Mapping[str, NDArray[Any]]
    """'state' (T + 1, D) float32, and cameras by name (T + 1, H, W, 3) uint8."""
    actions: Array
    """Executed actions, in [-1, 1]. Shape (T, m)."""
    success: bool | None
    """How it ended as labelled today; None where it was cut, or nobody knows."""
    begins_at: int = 0
    """Steps of the whole before this part, where a paused episode goes on; a rewind has undone those after it."""

    def __post_init__(self) -> None:
        actions = frozen_array(f"Trajectory {self.id}: actions", self.actions, (None, None))
        if not len(actions):
            raise InvalidValueError(f"Trajectory {self.id}", "0 steps", "at least one step")
        object.__setattr__(self, "actions", actions)
        columns: dict[str, NDArray[Any]] = {}
        for name, column in self.observations.items():
            what = f"Trajectory {self.id}: observations[{name}]"
            if len(column) != len(actions) + 1:
                raise ShapeError(what, column.shape, (len(actions) + 1, "..."))
            if column.ndim == 4:
                columns[name] = frozen_array(what, column, (None, None, None, 3), np.uint8, finite=False)
            else:
                columns[name] = frozen_array(what, column, (None, None))
        if not columns:
            raise InvalidValueError(f"Trajectory {self.id}: observations", "nothing", "a state, pictures, or both")
        object.__setattr__(self, "observations", MappingProxyType(columns))

    def __len__(self) -> int:
        return len(self.actions)
