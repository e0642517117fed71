"""How the simulated people drive: seconds for the task alone, speed, keys, rests, and how they correct.

    python -m benchmarks.people [--task peg_insert] [--episodes 40] [PERSON ...]

Alone they demonstrate. Then they correct a policy that stands still: how long until hands are on, how long a correction
lasts, and how much of it without motion. Seeded and simulated: equal runs give equal tables. Published figures of
operators stand below; docs/people.md says what follows from both.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.make_sample_session import HesitantPolicy
from robot_rlhf.datatypes import (
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Event,
    HumanInput,
    Observation,
    Outcome,
    Step,
)
from robot_rlhf.people.person import CAST, SimulatedPerson
from robot_rlhf.run.build import build_station
from robot_rlhf.run.settings import PEOPLE, TrainConfig, known
from robot_rlhf.runtime.session import Session
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.place import TASKS, SimConfig

SEED = 100
PUBLISHED = (
    ("lifting a cube, one proficient operator, by phone at 20 Hz", "2.4 s", "robomimic Lift PH (1)"),
    ("the same, six operators from better to worse", "5.1 s", "robomimic Lift MH (1)"),
    ("a square nut on a peg, one proficient operator", "7.5 s", "robomimic Square PH (2)"),
    ("reaction to something that appears, one finger on its key", "0.23 s", "Woods et al. 2015, 1,469 people (3)"),
    ("typing", "4.3 keys/s", "Dhakal et al. 2018, 168,000 people, 52 words a minute (4)"),
    ("let the policy try before a brief correction", "2 to 3 s", "HIL-SERL's guide: 20 to 30 steps at 10 Hz (5)"),
)
"""What, how much, where from."""


@dataclass
class Watcher:
    """Stands between a person and the robot, and keeps what their hands asked for, episode by episode.

    What is executed is the guard's, who turns and shortens it where the arm leans on something.
    """

    person: SimulatedPerson
    moving: np.ndarray
    """Which entries of an action move the tool. Shape (m,)."""
    episodes: list[tuple[np.ndarray, np.ndarray, bool]] = field(default_factory=list)
    """Motions of shape (T, k), by a person of shape (T,), and whether the task was solved."""
    _asked: np.ndarray | None = None
    _steps: list[np.ndarray | None] = field(default_factory=list)

    def read(self) -> HumanInput | None:
        human = self.person.read()
        self._asked = None if human is None or human.action is None else human.action.values[self.moving]
        return human

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._steps = []

    def on_step(self, step: Step) -> None:
        self._steps.append(self._asked if step.driver is Driver.HUMAN else None)

    def on_event(self, event: Event) -> None:
        """Nothing of it is measured."""

    def on_episode_end(self, end: EpisodeEnd) -> None:
        nothing = np.zeros(np.count_nonzero(self.moving))
        motions = np.array([nothing if asked is None else asked for asked in self._steps]).reshape(-1, len(nothing))
        by_person = np.array([asked is not None for asked in self._steps], bool)
        self.episodes.append((motions, by_person, end.outcome is Outcome.SUCCESS))


def spans(flags: Sequence[bool] | np.ndarray) -> list[tuple[int, int]]:
    """Where runs of True begin and end, but for one that lasts to the end."""
    found: list[tuple[int, int]] = []
    begin = 0
    for flag, run in itertools.groupby(map(bool, flags)):
        end = begin + len(list(run))
        if flag and end < len(flags):
            found.append((begin, end))
        begin = end
    return found


def presses(motions: np.ndarray) -> int:
    """How often a key of a direction goes down that was not down the period before."""
    down = [frozenset((i, v > 0) for i, v in enumerate(motion) if v) for motion in motions.tolist()]
    return sum(len(now - before) for before, now in itertools.pairwise([frozenset(), *down]))


def watch(name: str, task: str, kind: EpisodeKind, episodes: int) -> tuple[Watcher, float]:
    """One of the people, alone or with a policy that stands still.

    Returns:
        What happened, and seconds per step.
    """
    config = TrainConfig(task=task, seed=SEED, operator=name)
    world = SimConfig().open(task, clock=FakeClock(), cameras={}, seed=SEED)
    person = world.person(known(name, PEOPLE, "person"))
    watcher = Watcher(person, np.array([entry != "gripper" for entry in world.spec.action.names]))
    tally = Tally(world.spec.control_period)
    policy = HesitantPolicy(world.task.expert(), 0) if kind is EpisodeKind.PRACTICE else None
    station = replace(build_station(config, world), teleop=watcher, policy=policy, operator=name)
    session = Session(replace(station, subscribers=(watcher, person, tally)), tally, SEED, {})
    for _ in range(episodes):
        session.episode(kind)
    world.close()
    return watcher, world.spec.control_period


def alone(name: str, task: str, episodes: int) -> list[str]:
    """Cells: solved, seconds (median and 9 of 10), share of full speed, presses per second, share of rests."""
    watcher, period = watch(name, task, EpisodeKind.DEMONSTRATION, episodes)
    solved = [motions for motions, _, success in watcher.episodes if success]
    seconds = np.array([period * len(motions) for motions in solved])
    motions = np.concatenate([m for m, _, _ in watcher.episodes])
    size = np.abs(motions).max(axis=1)
    keys = sum(presses(m) for m, _, _ in watcher.episodes) / (period * len(motions))
    return [
        f"{len(solved)} of {episodes}",
        f"{np.median(seconds):.2f} ({np.quantile(seconds, 0.9):.2f})" if len(solved) else "–",
        f"{size[size > 0].mean():.2f}",
        f"{keys:.1f}" if PEOPLE[name].keyboard else "–",
        f"{100 * (size == 0).mean():.0f} %",
    ]


def helping(name: str, task: str, episodes: int) -> list[str]:
    """Cells: until hands are on, a correction, of it without motion, share of steps driven."""
    watcher, period = watch(name, task, EpisodeKind.PRACTICE, episodes)
    starts: list[float] = []
    lengths: list[float] = []
    still: list[float] = []
    driven = steps = 0
    for motions, by_person, _ in watcher.episodes:
        driven, steps = driven + int(by_person.sum()), steps + len(by_person)
        if by_person.any():
            starts.append(period * int(by_person.argmax()))
        for begin, end in spans(by_person):
            lengths.append(period * (end - begin))
            still.append(float((motions[begin:end] == 0).all(axis=1).mean()))
    return [
        f"{np.median(starts):.2f}" if starts else "never",
        f"{np.median(lengths):.2f}" if lengths else "to the end",
        f"{100 * np.mean(still):.0f} %" if still else "–",
        f"{100 * driven / max(steps, 1):.0f} %",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("people", nargs="*", default=CAST, metavar="PERSON", help="who; default: the cast")
    parser.add_argument("--task", choices=sorted(TASKS), default="pick_cube")
    parser.add_argument("--episodes", type=int, default=40, help="of either kind")
    options = parser.parse_args()
    columns = ("alone", "seconds, median (90 %)", "of full speed", "keys/s", "rests")
    columns += ("until hands on, s", "correction, s", "without motion", "driven")
    print(f"| {options.task} | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name in options.people:
        cells = alone(name, options.task, options.episodes) + helping(name, options.task, options.episodes)
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print("\n| operators, published | | from |\n|---|---|---|")
    for row in PUBLISHED:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
