"""One row per seed in results/rewards.jsonl: what is there already is not measured again."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from robot_rlhf.apps.cli import main as robot_rlhf
from robot_rlhf.rewards.metrics import wilson_interval

RESULTS = Path(__file__).parents[1] / "results" / "rewards.jsonl"

Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One measurement with one seed."""

    what: Mapping[str, Any]
    """What it is: two jobs that agree in all of it are the same, and it is done once."""
    measure: Callable[[Path], Row]
    """Does it in a folder of its own, which is deleted afterwards; returns what was measured."""


@dataclass(frozen=True)
class Asked:
    """What the command line asks of a subcommand."""

    seeds: Sequence[int]
    tasks: Sequence[str]
    only: Sequence[str]
    tiny: bool
    """As little of everything as runs through: a check of the program, no measurement."""
    clip: Path | None
    """Checkpoint of `robot-rlhf reward clip`."""
    sessions: Path | None = None
    """Recorded sessions are kept here, and taken from here; None: each measurement records its own."""

    def size(self, usual: int, tiny: int) -> int:
        """One of both."""
        return tiny if self.tiny else usual


def read_rows(path: Path, show: str | None = None) -> list[Row]:
    """All rows, or those of one subcommand."""
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return [row for row in rows if show is None or row["show"] == show]


def do(jobs: Sequence[Job], path: Path) -> None:
    """Do what has no row yet, and append each row as soon as it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for job in jobs:
        if any(all(row.get(k) == v for k, v in job.what.items()) for row in read_rows(path)):
            Console().print("there already:", dict(job.what))
            continue
        with scratch() as folder:
            row = {**job.what, **job.measure(folder)}
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        Console().print(row)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is deleted afterwards, whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="rewards-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def command(*words: object) -> None:
    """Run the program with these words; ends this one when it fails."""
    if robot_rlhf([str(word) for word in words]) != 0:
        raise SystemExit(f"robot-rlhf {' '.join(map(str, words))}: failed")


def train(out: Path, name: str, task: str, seed: int, *more: object) -> Row:
    """Train quietly, without video; returns what summary.json holds. The run's folder is out / name."""
    words = ["train", *(["--pixels"] if "--pixels" in more else []), "--task", task, "--seed", seed, "--quiet"]
    words += ["--video-episodes", 0, "--out", out, "--name", name]
    command(*words, *(word for word in more if word != "--pixels"))
    return json.loads((out / name / "summary.json").read_text())


def session(
    out: Path, name: str, task: str, seed: int, *, steps: int, demonstrations: int, cameras: bool = False
) -> Path:
    """A recorded session in which nobody corrects a policy that begins badly: successes and failures. Returns it."""
    more = ["--cameras", "front", "wrist", "--image-size", 64] if cameras else []
    train(
        *(out, name, task, seed, "--operator", "absent", "--steps", steps, "--demonstrations", demonstrations),
        *("--evaluation.every", 0, "--evaluation.final-episodes", 1, *more),
    )
    return out / name


def rate(rows: Sequence[Row], hits: str = "successes", total: str = "episodes") -> str:
    """Of several rows together, with its Wilson interval."""
    good, all_of_them = sum(r[hits] for r in rows), sum(r[total] for r in rows)
    low, high = wilson_interval(good, all_of_them)
    return f"{100 * good / all_of_them:.1f} % ({100 * low:.0f} to {100 * high:.0f})"
