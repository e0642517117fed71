"""Small stations to run episodes on: a fake robot or the simulated arm, scripted wishes, and a listener."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robot_rlhf.datatypes import (
    Action,
    Assignment,
    Button,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Event,
    Feedback,
    HumanInput,
    Observation,
    Step,
)
from robot_rlhf.episode import Episode
from robot_rlhf.feedback.arbiter import Arbiter
from robot_rlhf.ports import Policy, Subscriber, Teleop
from robot_rlhf.runtime.loop import run_episode
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.runtime.seeds import generators
from robot_rlhf.runtime.station import Station
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import FakeClock, Rate
from robot_rlhf_hardware.fake import FakeRobot
from tests.safety.laws import LOOSE

Hand = Action | Button | None


class Listener:
    """Keeps everything it is told, under its name, in a list that several may share."""

    def __init__(self, name: str = "listener", calls: list[tuple[str, str, Any]] | None = None) -> None:
        self.name = name
        self.calls = [] if calls is None else calls

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self.calls.append((self.name, "start", (meta, observation)))

    def on_step(self, step: Step) -> None:
        self.calls.append((self.name, "step", step))

    def on_event(self, event: Event) -> None:
        self.calls.append((self.name, "event", event))

    def on_episode_end(self, end: EpisodeEnd) -> None:
        self.calls.append((self.name, "end", end))

    def told(self, what: str) -> list[Any]:
        return [value for name, kind, value in self.calls if kind == what and name == self.name]

    @property
    def steps(self) -> list[Step]:
        return self.told("step")

    @property
    def feedback(self) -> list[Feedback]:
        return [event for event in self.told("event") if isinstance(event, Feedback)]

    def episode(self) -> Episode:
        """The one episode that was told; refuses steps that do not follow one another."""
        (start,) = self.told("start")
        return Episode.from_steps(start[0], self.steps, self.told("event"), self.told("end")[0])


@dataclass
class Script:
    """A Policy of given wishes; the last one is repeated."""

    wishes: list[Action | BaseException]
    version: int = 7
    acted: int = 0
    resets: int = 0

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        wish = self.wishes[min(self.acted, len(self.wishes) - 1)]
        self.acted += 1
        if isinstance(wish, BaseException):
            raise wish
        return wish

    def reset(self) -> None:
        self.resets += 1


class Hands:
    """A Teleop of one entry per read: an action drives, a button is pressed, None is hands off."""

    def __init__(self, entries: Iterable[Hand]) -> None:
        self._entries = list(entries)
        self.reads = 0

    def read(self) -> HumanInput | None:
        entry = self._entries[self.reads] if self.reads < len(self._entries) else None
        self.reads += 1
        if isinstance(entry, Button):
            return HumanInput(None, frozenset({entry}))
        return HumanInput(entry)


@dataclass
class Bench:
    """A Task on a fake robot, which succeeds when told."""

    robot: FakeRobot
    succeeds: Callable[[Observation], bool] = lambda observation: False
    gold: Callable[[Observation], float] = lambda observation: 0.0
    on_reset: Callable[[], None] = lambda: None
    name: str = "bench"
    instruction: str = "wait"
    time_limit: int = 10
    resets: list[float] = field(default_factory=list)

    def reset(self, rng: np.random.Generator) -> None:
        self.resets.append(float(rng.uniform()))
        self.on_reset()

    def success(self, observation: Observation) -> bool:
        return self.succeeds(observation)

    def gold_reward(self, observation: Observation) -> float:
        return self.gold(observation)


def wish(*values: float) -> Action:
    """An action of the fake robot: x, y, z, rz, gripper."""
    return Action(np.array(values or (0.2, 0.0, 0.0, 0.0, 1.0), np.float32))


GO = wish()
LEFT = wish(0.0, 0.5, 0.0, 0.0, 1.0)


@dataclass
class Rig:
    """A whole station around a fake robot."""

    policy: Policy | None = field(default_factory=lambda: Script([GO]))
    hands: Iterable[Hand] = ()
    listeners: tuple[Subscriber, ...] = ()
    give_back_after: float = 0.0
    reward: SparseReward = field(default_factory=SparseReward)
    teleop: Teleop | None = None
    paced: bool = False
    clock: FakeClock = field(default_factory=FakeClock)
    release_faults: bool = True
    may_move: Callable[[], bool] = lambda: True

    def __post_init__(self) -> None:
        self.listener = Listener()
        self.robot = FakeRobot(self.clock)
        self.task = Bench(self.robot)
        self.stops = 0
        stop = self.robot.stop

        def counted() -> None:
            self.stops += 1
            stop()

        self.robot.stop = counted
        self.guard = GuardedRobot(self.robot, LOOSE, self.clock)
        self.station = Station(
            guard=self.guard,
            task=self.task,
            policy=self.policy,
            arbiter=Arbiter(self.robot.spec.action, give_back_after=self.give_back_after),
            reward=self.reward,
            clock=self.clock,
            teleop=self.teleop or Hands(self.hands),
            operator="tester",
            subscribers=(self.listener, *self.listeners),
            pace=Rate(self.clock, self.robot.spec.control_period) if self.paced else None,
            release_faults=self.release_faults,
            may_move=self.may_move,
        )

    def run(self, kind: EpisodeKind = EpisodeKind.PRACTICE, seed: int = 0) -> EpisodeEnd:
        return run_station(self.station, kind, seed)


def run_station(station: Station, kind: EpisodeKind = EpisodeKind.PRACTICE, seed: int = 0) -> EpisodeEnd:
    """One episode of a station."""
    meta = EpisodeMeta(f"{kind.value}-{seed}", station.task.name, kind, seed, station.operator, station.reward.source)
    return run_episode(station, meta, *generators(seed))
