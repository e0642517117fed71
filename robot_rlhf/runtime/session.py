"""Runs episodes one after the other: demonstrations, then practice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from robot_rlhf.datatypes import EpisodeEnd, EpisodeKind, EpisodeMeta, Outcome
from robot_rlhf.errors import RobotError, RobotRlhfError
from robot_rlhf.ports import Teleop
from robot_rlhf.runtime.loop import run_episode
from robot_rlhf.runtime.seeds import episode_seed, generators
from robot_rlhf.runtime.station import Station
from robot_rlhf.runtime.tally import Tally

TRIES_PER_DEMONSTRATION = 10
BROKEN = frozenset({Outcome.FAULT, Outcome.TIME_LIMIT})
"""Outcomes that, before the first step, no person asked for."""
IDLE_EPISODES = 3
"""Practice episodes in a row without a single step after which something is broken for good."""


class Session:
    """Numbers and seeds the episodes of a run, so that a resumed run goes on where the first one broke off."""

    def __init__(
        self, station: Station, tally: Tally, seed: int, versions: dict[str, str], *, first: int = 0, every: int = 1
    ) -> None:
        """Args: first, every: the numbers of its episodes are first, first + every, ...; of each kind."""
        self.station = station
        self.tally = tally
        self._seed = seed
        self._versions = versions
        self._first = first
        self._every = every
        self.weights = ""
        """Whose actions the next practice episodes try, for the record; empty where that is not chosen."""

    def episode(self, kind: EpisodeKind, station: Station | None = None) -> EpisodeEnd:
        """Run the next episode of its kind."""
        station = station or self.station
        number = self.next_number(kind)
        seed = episode_seed(self._seed, kind, number)
        meta = EpisodeMeta(
            id=self.next_id(kind),
            task=station.task.name,
            kind=kind,
            seed=seed,
            operator=station.who() or station.operator,
            reward_source=station.reward.source,
            versions=self._versions,
            weights=self.weights if kind is EpisodeKind.PRACTICE else "",
        )
        rng, reset_rng = generators(seed)
        return run_episode(station, meta, rng, reset_rng)

    def next_number(self, kind: EpisodeKind) -> int:
        """Of the next episode of its kind."""
        return self._first + self._every * self.tally.started.get(kind, 0)

    def next_id(self, kind: EpisodeKind) -> str:
        """Name of the next episode of its kind."""
        return f"{kind.value}-{self.next_number(kind):06d}"

    def coming(self, demonstrations: int) -> str:
        """Name of the next episode, where so many demonstrations have to succeed before practice."""
        due = self.tally.demonstrations < demonstrations
        return self.next_id(EpisodeKind.DEMONSTRATION if due else EpisodeKind.PRACTICE)

    def demonstrate(
        self,
        count: int,
        demonstrator: Teleop,
        name: str,
        *,
        tries: int = TRIES_PER_DEMONSTRATION,
        may_move: Callable[[], bool] = lambda: True,
    ) -> None:
        """Record demonstrations until `count` succeeded, in at most `tries` episodes for each.

        Raises:
            RobotRlhfError: the demonstrator fails again and again.
        """
        station = replace(self.station, policy=None, teleop=demonstrator, operator=name, may_move=may_move)
        tried = 0
        while self.tally.demonstrations < count:
            tried += 1
            if tried > tries * count:
                raise RobotRlhfError(
                    f"demonstrations: {self.tally.demonstrations} of {count} succeeded in {tried - 1} tries by "
                    f"{name}; allowed: who does the task in its time limit (rr.open_place(task).evaluate() tries the "
                    "script of a simulated one)"
                )
            self.episode(EpisodeKind.DEMONSTRATION, station)

    def practise(
        self,
        until_steps: int,
        after_episode: Callable[[], bool],
        *,
        before_episode: Callable[[], None] = lambda: None,
    ) -> None:
        """Practise until the steps are done or `after_episode` says that it is enough.

        Args:
            before_episode: called before each, for example to have a demonstration given that was taken back.

        Raises:
            RobotError: episode after episode ends before its first step.
        """
        idle = 0
        while self.tally.steps < until_steps:
            before_episode()
            end = self.episode(EpisodeKind.PRACTICE)
            idle = idle + 1 if end.steps == 0 and end.outcome in BROKEN else 0
            if idle >= IDLE_EPISODES:
                raise RobotError(f"practice: {idle} episodes in a row ended before their first step ({end.detail})")
            if after_episode():
                return
