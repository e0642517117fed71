"""Whether words help at once: one half-trained policy, the same starts, nothing learned, and who helps differs.

    python -m benchmarks.live_gate make runs/half --steps 100       # trains, and says how good it is
    python -m benchmarks.live_gate measure runs/half --starts 100   # needs 40 to 60 % with nobody

Nobody; right words, the same going on as soon as they were obeyed, in small steps, and as never said in practice;
random words at the same times; which way to go; and hands in bursts. A row has successes of starts with the 95 % Wilson
interval, the paired difference to nobody with its 95 % interval, sentences and what they cost, and seconds by hand. The
gate: right words above nobody and above random words by the interval of the difference, and at most 10 points below
hands. Somebody who speaks needs three seconds from the last progress to the end of a sentence; --limit says how long
episodes are, for all rows alike, where the task's own time is too short for that.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from robot_rlhf.datatypes import EpisodeKind, Outcome
from robot_rlhf.people.person import PEOPLE, SimulatedPerson
from robot_rlhf.people.speaker import SPEAKERS, SimulatedSpeaker
from robot_rlhf.place import Place
from robot_rlhf.rewards.metrics import wilson_interval
from robot_rlhf.run.build import build_station, load_policy, open_place
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.settings import EvaluationConfig, TrainConfig, defaults_for, read_yaml
from robot_rlhf.run.train import train
from robot_rlhf.run.words import open_listening
from robot_rlhf.runtime.session import Session
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.timing import FakeClock

SEED = 900
"""Of the starts, unless another is given: no run of the benchmarks has it."""
BELOW_HANDS = 0.10
WHO: dict[str, Callable[[Place], SimulatedPerson]] = {
    "nobody": lambda place: place.speaker(SPEAKERS["nobody"]),
    "right words": lambda place: place.speaker(SPEAKERS["clear"]),
    "right words in small steps": lambda place: place.speaker(SPEAKERS["stepwise"]),
    "right words of a stranger": lambda place: place.speaker(SPEAKERS["stranger"]),
    "random words": lambda place: place.speaker(SPEAKERS["random"]),
    "ways to go": lambda place: place.speaker(SPEAKERS["axes"]),
    "hands": lambda place: place.person(PEOPLE["attentive"]),
}


@dataclass(frozen=True)
class Row:
    """One of those who help, on all starts."""

    who: str
    successes: tuple[bool, ...]
    sentences: int
    speaking: float
    """Seconds."""
    driven: float
    """Seconds."""
    spoken_steps: int
    steps: int

    @property
    def rate(self) -> float:
        return sum(self.successes) / len(self.successes)

    def cells(self, nobody: Row) -> list[str]:
        low, high = wilson_interval(sum(self.successes), len(self.successes))
        difference, less, more = paired(self.successes, nobody.successes)
        n = len(self.successes)
        return [
            self.who,
            f"{sum(self.successes)} of {n}",
            f"{100 * low:.0f}–{100 * high:.0f} %",
            f"{100 * difference:+.0f} ({100 * less:+.0f} to {100 * more:+.0f})",
            f"{self.sentences / n:.2f}",
            f"{self.speaking / n:.1f}",
            f"{100 * self.spoken_steps / max(self.steps, 1):.0f} %",
            f"{self.driven / n:.2f}",
        ]


def paired(ours: Sequence[bool], theirs: Sequence[bool]) -> tuple[float, float, float]:
    """Difference of two success rates on the same starts, and its 95 % interval (Wald, with Agresti and Min's 2005
    half a start added to each of the four cells)."""
    a, b = np.array(ours), np.array(theirs)
    n = len(a) + 2.0
    won, lost = (a & ~b).sum() + 0.5, (b & ~a).sum() + 0.5
    middle = (won - lost) / n
    spread = 1.96 * math.sqrt(max((won + lost) / n - middle**2, 0.0) / n)
    return float(a.mean() - b.mean()), float(middle - spread), float(middle + spread)


def make(folder: Path, task: str, steps: int, demonstrations: int, seed: int) -> None:
    """Train for so short that the policy is half good."""
    config = replace(
        defaults_for(task),
        out=folder.parent,
        name=folder.name,
        steps=steps,
        demonstrations=demonstrations,
        seed=seed,
        video_episodes=0,
        evaluation=EvaluationConfig(every=0, final_episodes=100),
    )
    train(config)


def measure(config: TrainConfig, policy: Path, who: str, starts: int, seed: int, limit: int | None) -> Row:
    """All starts with one who helps; the policy takes its likeliest actions and learns nothing.

    Args:
        limit: steps of an episode; None: the task's own.
    """
    place = open_place(config, FakeClock(), cameras=bool(config.features.cameras))
    with closing(place):
        if limit is not None:
            place.task.time_limit = limit  # pyright: ignore[reportAttributeAccessIssue] - a task of the simulation
        person = WHO[who](place)
        listening = open_listening(config.language, place)
        tally = Tally(place.spec.control_period)
        station = replace(
            build_station(config, place, load_policy(config, place.spec, policy)[0]),
            teleop=person,
            operator=who,
            listening=listening,
            subscribers=(person, listening, tally),
        )
        session = Session(station, tally, seed, {})
        ends = [session.episode(EpisodeKind.PRACTICE) for _ in range(starts)]
        spoke = person if isinstance(person, SimulatedSpeaker) else None
        return Row(
            who,
            tuple(end.outcome is Outcome.SUCCESS for end in ends),
            spoke.sentences if spoke else 0,
            spoke.speaking if spoke else 0.0,
            person.driven,
            tally.spoken_steps,
            tally.steps,
        )


def passes(rows: dict[str, Row]) -> list[str]:
    """What of the gate does not hold, in words."""
    right = rows["right words"]
    failed = [
        f"right words are not above {other} by the interval"
        for other in ("nobody", "random words")
        if other in rows and paired(right.successes, rows[other].successes)[1] <= 0.0
    ]
    if "hands" in rows and right.rate < rows["hands"].rate - BELOW_HANDS:
        failed.append("right words are more than 10 points below hands")
    if not 0.4 <= rows["nobody"].rate <= 0.6:
        failed.append("the policy is not half trained: no verdict")
    return failed


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("folder", type=Path)
    making.add_argument("--task", default="pick_cube")
    making.add_argument("--steps", type=int, default=100)
    making.add_argument("--demonstrations", type=int, default=5)
    making.add_argument("--seed", type=int, default=131)
    measuring = commands.add_parser("measure")
    measuring.add_argument("folder", type=Path)
    measuring.add_argument("--starts", type=int, default=100)
    measuring.add_argument("--seed", type=int, default=SEED, help="of the starts")
    measuring.add_argument("--latest", action="store_true", help="the policy learned last; else the best of the run")
    measuring.add_argument("--limit", type=int, help="steps of an episode; the task's own when left out")
    measuring.add_argument("--who", nargs="+", choices=tuple(WHO), default=list(WHO))
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    if options.command == "make":
        make(options.folder, options.task, options.steps, options.demonstrations, options.seed)
        return 0
    folder = RunFolder.existing(options.folder)
    config = read_yaml(folder.config)
    policy = folder.policy if options.latest or folder.chosen is None else folder.chosen
    columns = ("who helps", "success", "95 %", "to nobody, points", "sentences", "speaking, s", "by words", "hands, s")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    rows: dict[str, Row] = {}
    for who in dict.fromkeys(["nobody", *options.who]):
        rows[who] = measure(config, policy, who, options.starts, options.seed, options.limit)
        print(f"| {' | '.join(rows[who].cells(rows['nobody']))} |", flush=True)
    failed = passes(rows) if "right words" in rows else []
    print("\n" + ("; ".join(failed) if failed else "the gate holds"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
