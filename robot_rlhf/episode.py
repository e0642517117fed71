"""An episode as columns: what a journal gives back and what cloning, replay and export read."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import (
    RECENT,
    Action,
    Array,
    Driver,
    EpisodeEnd,
    EpisodeMeta,
    Event,
    Observation,
    Step,
    frozen_array,
)
from robot_rlhf.errors import InvalidValueError, ShapeError

OBSERVATION_ARRAYS = (
    "joint_position",
    "joint_velocity",
    "tool_pose_in_base",
    "tool_target_in_base",
    "tool_velocity",
    "tool_wrench",
)
"""Array fields of Observation, in order."""
OBSERVATION_SCALARS = ("stamp", "gripper", "gripper_target")
OBSERVATION_MAPPINGS = ("images", "scene", "privileged")


@dataclass(frozen=True, eq=False)
class Episode:
    """One rollout, stored column-wise: T steps, T + 1 observations, m action dimensions."""

    meta: EpisodeMeta
    observations: Mapping[str, NDArray[Any]]
    """Column name to T + 1 rows; images, scene and privileged entries are named 'images/front' and the like."""
    proposed: Array
    """The policy's wish, NaN where none was asked. Shape (T, m)."""
    executed: Array
    """What the robot was really told, in [-1, 1]; NaN where that is not known. Shape (T, m)."""
    driver: NDArray[np.uint8]
    """A Driver per step. Shape (T,)."""
    reward: Array
    """Shape (T,)."""
    gold_reward: Array
    """For evaluation only. Shape (T,)."""
    terminated: NDArray[np.bool_]
    """Shape (T,)."""
    truncated: NDArray[np.bool_]
    """Shape (T,)."""
    policy_version: NDArray[np.int64]
    """Shape (T,)."""
    instructions: tuple[str, ...]
    """One per step."""
    events: tuple[Event, ...] = ()
    end: EpisodeEnd | None = None
    """None where the recording broke off before the episode ended."""
    context: Mapping[str, Array] = field(default_factory=dict[str, Array])
    """What was asked for, by name; NaN where it was not part of it. Shapes (T, d)."""
    authority: Array | None = None
    """The person's share of each entry, NaN where the whole action was the driver's; None where it always was. Shape
    (T, m)."""
    spoken: tuple[str, ...] = ()
    """Per step the sentence by which the person decided their share, empty where they drove; nothing where nobody
    spoke."""

    def __post_init__(self) -> None:
        steps = len(self.executed)
        m = self.executed.shape[1] if self.executed.ndim == 2 else -1
        if steps < 1:
            raise InvalidValueError(f"Episode {self.meta.id}", "0 steps", "at least one step")
        fields: tuple[tuple[str, tuple[int, ...], type[np.generic], bool], ...] = (
            ("proposed", (steps, m), np.float32, False),
            ("executed", (steps, m), np.float32, False),
            ("driver", (steps,), np.uint8, True),
            ("reward", (steps,), np.float32, True),
            ("gold_reward", (steps,), np.float32, True),
            ("terminated", (steps,), np.bool_, True),
            ("truncated", (steps,), np.bool_, True),
            ("policy_version", (steps,), np.int64, True),
        )
        for name, shape, dtype, finite in fields:
            value = frozen_array(f"Episode.{name}", getattr(self, name), shape, dtype, finite=finite)
            object.__setattr__(self, name, value)
        known = np.isfinite(self.executed)
        if not (known == known[:, :1]).all() or np.isinf(self.executed).any():
            raise InvalidValueError("Episode.executed", self.executed.tolist(), "rows of finite numbers, or all of NaN")
        context = {
            name: frozen_array(f"Episode.context[{name}]", column, (steps, None), finite=False)
            for name, column in self.context.items()
        }
        object.__setattr__(self, "context", MappingProxyType(context))
        if self.authority is not None:
            shares = frozen_array("Episode.authority", self.authority, (steps, m), finite=False)
            object.__setattr__(self, "authority", shares)
        for name, words in (("instructions", self.instructions), ("spoken", self.spoken)):
            if len(words) != steps and (words or name == "instructions"):
                raise ShapeError(f"Episode.{name}", (len(words),), (steps,))
        for name, column in self.observations.items():
            if len(column) != steps + 1:
                raise ShapeError(f"Episode.observations[{name}]", column.shape, (steps + 1, "..."))
            column.flags.writeable = False
        object.__setattr__(self, "observations", MappingProxyType(dict(self.observations)))

    def __len__(self) -> int:
        return len(self.executed)

    @property
    def acted(self) -> NDArray[np.bool_]:
        """True where it is known what the robot was told. Shape (T,)."""
        return np.isfinite(self.executed).sum(axis=1) == self.executed.shape[1]

    @property
    def by_human(self) -> NDArray[np.bool_]:
        """True where a person drove. Shape (T,)."""
        return self.driver == Driver.HUMAN

    @classmethod
    def from_steps(
        cls, meta: EpisodeMeta, steps: Sequence[Step], events: Sequence[Event] = (), end: EpisodeEnd | None = None
    ) -> Episode:
        """Stack steps into columns.

        Raises:
            InvalidValueError: no steps, or a step does not start where the one before it ended.
            ShapeError: actions, or vectors of one name in the context, of different lengths.
        """
        if not steps:
            raise InvalidValueError(f"Episode {meta.id}", "0 steps", "at least one step")
        for before, after in itertools.pairwise(steps):
            if before.next_observation is not after.observation and (
                before.next_observation.stamp != after.observation.stamp or after.index != before.index + 1
            ):
                raise InvalidValueError(
                    f"Episode {meta.id}", f"step {after.index} after {before.index}", "steps that follow one another"
                )
        wishes = [*(s.executed for s in steps), *(s.proposed for s in steps)]
        shares = [s.authority for s in steps]
        m = next((len(wish.values) for wish in wishes if wish is not None), 1)
        return cls(
            meta=meta,
            observations=stack_observations([*(s.observation for s in steps), steps[-1].next_observation]),
            proposed=_stacked("proposed", [None if s.proposed is None else s.proposed.values for s in steps], m),
            executed=_stacked("executed", [None if s.executed is None else s.executed.values for s in steps], m),
            driver=np.array([s.driver for s in steps], np.uint8),
            reward=np.array([s.reward for s in steps], np.float32),
            gold_reward=np.array([s.gold_reward for s in steps], np.float32),
            terminated=np.array([s.terminated for s in steps]),
            truncated=np.array([s.truncated for s in steps]),
            policy_version=np.array([s.policy_version for s in steps], np.int64),
            instructions=tuple(s.instruction for s in steps),
            events=tuple(events),
            end=end,
            context={
                name: _stacked(f"context[{name}]", [s.context.get(name) for s in steps])
                for name in dict.fromkeys(name for s in steps for name in s.context)
            },
            authority=None if all(share is None for share in shares) else _stacked("authority", shares, m),
            spoken=tuple(s.spoken for s in steps) if any(s.spoken for s in steps) else (),
        )

    def observation(self, t: int) -> Observation:
        """Observation number t, 0 to T."""
        recent = self.executed[max(0, t - RECENT) : t][::-1]
        unknown = np.isnan(recent).any(axis=1)
        if unknown.any():
            recent = recent[: int(unknown.argmax())]
        return unstack_observation(self.observations, t).after(recent)

    def steps(self) -> list[Step]:
        """The inverse of from_steps."""
        observations = [self.observation(t) for t in range(len(self) + 1)]
        acted = self.acted
        return [
            Step(
                index=t,
                observation=observations[t],
                proposed=None if np.isnan(self.proposed[t]).any() else Action(self.proposed[t]),
                executed=Action(self.executed[t]) if acted[t] else None,
                driver=Driver(int(self.driver[t])),
                reward=float(self.reward[t]),
                gold_reward=float(self.gold_reward[t]),
                terminated=bool(self.terminated[t]),
                truncated=bool(self.truncated[t]),
                policy_version=int(self.policy_version[t]),
                instruction=self.instructions[t],
                next_observation=observations[t + 1],
                context={name: column[t] for name, column in self.context.items() if not np.isnan(column[t]).any()},
                authority=None if self.authority is None or np.isnan(self.authority[t]).any() else self.authority[t],
                spoken=self.spoken[t] if self.spoken else "",
            )
            for t in range(len(self))
        ]


def _stacked(name: str, rows: Sequence[Array | None], size: int | None = None) -> Array:
    """One below the other, NaN where there is none. Args: size: of a row; None: of the first one there is."""
    if size is None:
        size = next(len(row) for row in rows if row is not None)
    wrong = next((row for row in rows if row is not None and row.shape != (size,)), None)
    if wrong is not None:
        raise ShapeError(f"Step.{name}", wrong.shape, (size,))
    none = np.full(size, np.nan, np.float32)
    return np.stack([none if row is None else row for row in rows])


class Recall:
    """Adds to the observations of an episode, or of a part of it, what was executed before them."""

    def __init__(self) -> None:
        self._recent: deque[Array] = deque(maxlen=RECENT)

    def begin(self) -> None:
        """An episode or a part begins: nothing was executed yet."""
        self._recent.clear()

    def add(self, executed: Action | None) -> None:
        """A period is over; None where it is not known what was executed, nor then what was before."""
        if executed is None:
            self._recent.clear()
        else:
            self._recent.appendleft(executed.values)

    def __call__(self, observation: Observation) -> Observation:
        return observation.after(np.stack(self._recent)) if self._recent else observation


def stack_observations(observations: Sequence[Observation]) -> dict[str, NDArray[Any]]:
    """Stack observations into columns named as Episode.observations says; what was executed is no part of them."""
    columns: dict[str, NDArray[Any]] = {
        name: np.stack([getattr(o, name) for o in observations]) for name in OBSERVATION_ARRAYS
    }
    for name in OBSERVATION_SCALARS:
        columns[name] = np.array([getattr(o, name) for o in observations], np.float64)
    for group in OBSERVATION_MAPPINGS:
        for key in getattr(observations[0], group):
            columns[f"{group}/{key}"] = np.stack([getattr(o, group)[key] for o in observations])
    return columns


def unstack_observation(columns: Mapping[str, NDArray[Any]], t: int) -> Observation:
    """Row t of stacked observations; the inverse of stack_observations, but for `recent`."""
    fields: dict[str, Any] = {group: {} for group in OBSERVATION_MAPPINGS}
    for name, column in columns.items():
        group, _, key = name.partition("/")
        if key:
            fields[group][key] = column[t]
        else:
            fields[name] = float(column[t]) if name in OBSERVATION_SCALARS else column[t]
    return Observation(**fields)
