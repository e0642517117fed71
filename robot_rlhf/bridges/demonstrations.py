"""What a person showed, as algorithms of Stable-Baselines3 can be given it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.bridges.observations import WHOLE
from robot_rlhf.datatypes import EpisodeEnd, EpisodeKind, EpisodeMeta, Event, Observation, Outcome, Step
from robot_rlhf.errors import ConfigError, InvalidValueError, ShapeError
from robot_rlhf.journal.reader import replay_into

INTERVENTION = "intervene_action"
"""Key of info under which an environment's step tells what a person did instead of the action it was given, in the
units of its action space: the convention of hil-serl."""


@dataclass(frozen=True, eq=False)
class Demonstration:
    """One episode as somebody showed it. T steps."""

    observations: NDArray[Any] | Mapping[str, NDArray[Any]]
    """As the environment's observation space has them, the last one included. Shape (T + 1, ...), each."""
    actions: NDArray[Any]
    """In the units of the environment's action space. Shape (T, m)."""
    rewards: NDArray[Any]
    """Shape (T,)."""
    terminated: bool
    """Whether the last step ended the episode by itself; a time limit does not."""

    def __post_init__(self) -> None:
        for name, values in {"actions": self.actions, "rewards": self.rewards, **self.by_key}.items():
            if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
                got = f"{values.dtype} array" if isinstance(values, np.ndarray) else type(values).__name__
                raise InvalidValueError(f"Demonstration.{name or 'observations'}", got, "an array of numbers")
        steps = len(self.actions)
        if steps < 1 or self.actions.ndim != 2:
            raise ShapeError("Demonstration.actions", self.actions.shape, ("T >= 1", "m"))
        if self.rewards.shape != (steps,):
            raise ShapeError("Demonstration.rewards", self.rewards.shape, (steps,))
        for key, values in self.by_key.items():
            if len(values) != steps + 1:
                name = f"Demonstration.observations[{key}]" if key else "Demonstration.observations"
                raise ShapeError(name, values.shape, (steps + 1, "..."))
        if not (np.isfinite(self.actions).all() and np.isfinite(self.rewards).all()):
            raise InvalidValueError("Demonstration", "actions or rewards with NaN or infinity", "finite numbers")

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def by_key(self) -> Mapping[str, NDArray[Any]]:
        """The observations by the keys of their space."""
        return self.observations if isinstance(self.observations, Mapping) else {WHOLE: self.observations}

    def with_actions(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Demonstration:
        """The same with its actions in other units."""
        return replace(self, actions=change(self.actions))


def from_transitions(transitions: Iterable[Mapping[str, Any]]) -> Iterator[Demonstration]:
    """Single transitions, in the order in which they happened, as whole episodes.

    Args:
        transitions: each with 'observations', 'actions', 'next_observations', 'rewards', and 'dones' (the episode is
            over) and 'masks' (0 where it ended by itself), of which one suffices: the layout of hil-serl. A new episode
            begins after one that is over, and where an observation is not the one that the last transition led to.

    Raises:
        ConfigError: a transition lacks an entry.
    """
    run: list[Mapping[str, Any]] = []
    for number, transition in enumerate(transitions):
        lacking = {"observations", "actions", "next_observations", "rewards"} - transition.keys()
        if lacking or not transition.keys() & {"dones", "masks"}:
            raise ConfigError(f"transition {number} lacks {sorted(lacking) or 'dones or masks'}: has {[*transition]}")
        if run and not _equal(run[-1]["next_observations"], transition["observations"]):
            yield _joined(run, terminated=False)
            run = []
        run.append(transition)
        ended = not transition["masks"] if "masks" in transition else bool(transition["dones"])
        if ended or transition.get("dones", False):
            yield _joined(run, terminated=ended)
            run = []
    if run:
        yield _joined(run, terminated=False)


def from_journal(path: Path, encode: Callable[[Observation], Any]) -> list[Demonstration]:
    """The successful demonstrations of a journal; actions lie in [-1, 1], as the guard let them through.

    Args:
        path: of the journal.
        encode: makes the algorithm's observation of ours, as the environment would have shown it.
    """
    found = _Demonstrations(encode)
    replay_into(path, found)
    return found.complete


class _Demonstrations:
    """A Subscriber that keeps demonstrations that succeeded, in one piece and with their actions."""

    def __init__(self, encode: Callable[[Observation], Any]) -> None:
        self.complete: list[Demonstration] = []
        self._encode = encode
        self._wanted = False
        self._steps: list[Step] = []

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        del observation
        self._wanted = meta.kind is EpisodeKind.DEMONSTRATION
        self._steps = []

    def on_step(self, step: Step) -> None:
        if self._wanted:
            self._steps.append(step)

    def on_event(self, event: Event) -> None:
        """Deleted episodes end as discarded."""

    def on_episode_end(self, end: EpisodeEnd) -> None:
        actions = [step.executed.values for step in self._steps if step.executed is not None]
        if not (self._wanted and actions and end.outcome is Outcome.SUCCESS) or len(actions) < len(self._steps):
            return
        seen = [self._encode(step.observation) for step in self._steps]
        seen.append(self._encode(self._steps[-1].next_observation))
        self.complete.append(
            Demonstration(
                observations=_stacked(seen),
                actions=np.stack(actions),
                rewards=np.array([step.reward for step in self._steps], np.float32),
                terminated=self._steps[-1].terminated,
            )
        )


def _joined(run: list[Mapping[str, Any]], *, terminated: bool) -> Demonstration:
    return Demonstration(
        observations=_stacked([*(each["observations"] for each in run), run[-1]["next_observations"]]),
        actions=np.stack([np.asarray(each["actions"]) for each in run]),
        rewards=np.array([float(each["rewards"]) for each in run], np.float32),
        terminated=terminated,
    )


def _stacked(seen: list[Any]) -> NDArray[Any] | dict[str, NDArray[Any]]:
    if isinstance(seen[0], Mapping):
        return {key: np.stack([np.asarray(each[key]) for each in seen]) for key in seen[0]}
    return np.stack([np.asarray(each) for each in seen])


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)
    return np.array_equal(a, b)
