"""Record the small sample sessions that are kept in datasets/ for tests and for a first look.

    python -m benchmarks.make_sample_session

Everything is simulated and seeded: a clumsy person demonstrates pick_cube twice, then corrects a policy that moves
half-way and stops; the second session is one demonstration with a camera.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from robot_rlhf import __version__
from robot_rlhf.datatypes import Action, Assignment, EpisodeKind, Observation
from robot_rlhf.journal.summary import describe
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.people.person import PEOPLE
from robot_rlhf.ports import Policy
from robot_rlhf.run.build import build_station
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.runtime.session import Session
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.place import SimConfig

DATASETS = Path(__file__).parents[1] / "datasets"
SEED = 11
HALF_WAY = 10
"""Steps after which the policy stands still."""


class HesitantPolicy:
    """Follows another policy for some steps of an episode and then wishes to stay where it is."""

    version = -1

    def __init__(self, leader: Policy, steps: int) -> None:
        self._leader = leader
        self._steps = steps
        self._taken = 0

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        self._taken += 1
        wish = self._leader.act(observation, asked, rng)
        if self._taken <= self._steps:
            return wish
        still = np.zeros_like(wish.values)
        still[-1] = wish.values[-1]
        return Action(still)

    def reset(self) -> None:
        self._taken = 0
        self._leader.reset()


def record(folder: Path, config: TrainConfig, demonstrations: int, corrected: int) -> None:
    """Make a journal of demonstrations and of corrected practice."""
    versions = {"robot-rlhf": __version__}
    world = SimConfig().open(config.task, clock=FakeClock(), cameras={})
    person = world.person(PEOPLE[config.operator])
    tally = Tally(world.spec.control_period)
    with JournalWriter(folder, world.spec, metadata={"made_by": "benchmarks.make_sample_session"}) as journal:
        station = build_station(config, world)
        station = replace(
            station, teleop=person, operator=config.operator, subscribers=(journal, person, tally), policy=None
        )
        session = Session(station, tally, config.seed, versions)
        session.demonstrate(demonstrations, person, config.operator)
        session.station = replace(station, policy=HesitantPolicy(world.task.expert(), HALF_WAY))
        for _ in range(corrected):
            session.episode(EpisodeKind.PRACTICE)
    world.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=DATASETS, help="folder for the sessions")
    out: Path = parser.parse_args().out
    config = TrainConfig(task="pick_cube", seed=SEED, operator="clumsy")
    pictured = replace(config, cameras=("front",), image_size=64)
    for name, settings, demonstrations, corrected in (
        ("sample_session", config, 2, 1),
        ("sample_session_with_camera", pictured, 1, 0),
    ):
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        record(folder, settings, demonstrations, corrected)
        summary = describe(folder)
        print(f"{folder}: {summary.bytes} bytes, {summary.steps} steps, episodes {dict(summary.episodes)}")


if __name__ == "__main__":
    main()
