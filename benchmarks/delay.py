"""What control delay costs: policies trained with and without it, each measured without help under 0 to 3 periods.

    python -m benchmarks.delay --seeds 200 201 202         trains what is not in the results yet, then prints the table
    python -m benchmarks.delay --seeds 200 201 202 --print the table alone

A row per training is appended to benchmarks/results/delay.jsonl as soon as it is measured: what was interrupted goes on
with the next call.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from robot_rlhf.learner.checkpoint import read_snapshot
from robot_rlhf.run.build import build_policy, open_place, software_versions
from robot_rlhf.run.folder.run_folder import RunFolder, append_json, read_json_lines
from robot_rlhf.run.results.judge import final_evaluation
from robot_rlhf.run.settings import TrainConfig, defaults_for
from robot_rlhf.run.train import train
from robot_rlhf.runtime.evaluation import wilson_interval
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.disturbance import DisturbanceConfig
from robot_rlhf_sim.place import SimConfig

RESULTS = Path(__file__).parent / "results" / "delay.jsonl"
DELAYS = (0, 1, 2, 3)
VIEWS: dict[str, dict[str, Any]] = {"default": {}, "ahead": {"ahead": True}, "history": {"history": 4}}
"""What a policy sees: settings of features; a history is one action longer than the longest delay."""


@dataclass(frozen=True)
class Trial:
    """One training."""

    task: str
    operator: str
    seed: int
    delay: int
    """Control periods that commands are late while it trains."""
    sees: str
    """One of VIEWS."""
    steps: int

    @property
    def key(self) -> dict[str, Any]:
        return dict(vars(self))


def trials(task: str, operator: str, seeds: list[int], steps: int) -> Iterator[Trial]:
    """What matters most comes first."""
    first = ((0, "default"), (2, "ahead"), (2, "default"), (2, "history"))
    then = ((0, "ahead"), (1, "ahead"), (3, "ahead"), (1, "default"), (3, "default"))
    for conditions in (first, then):
        for seed in seeds:
            for delay, sees in conditions:
                yield Trial(task, operator, seed, delay, sees, steps)


def settings(trial: Trial, out: Path) -> TrainConfig:
    base = defaults_for(trial.task)
    return replace(
        base,
        operator=trial.operator,
        seed=trial.seed,
        steps=trial.steps,
        out=out,
        name="run",
        video_episodes=0,
        place=SimConfig(disturbance=DisturbanceConfig(command_delay=trial.delay)),
        features=replace(base.features, **VIEWS[trial.sees]),
    )


def measure(trial: Trial) -> dict[str, Any]:
    """Train, then count the successes of the policy that would be deployed under each delay."""
    begun = time.monotonic()
    with TemporaryDirectory(prefix="delay-") as folder:
        config = settings(trial, Path(folder))
        summary = train(config, quiet=True)
        run = RunFolder.existing(Path(folder) / "run")
        policy = build_policy(config, open_place(config, FakeClock()).spec, practises=False)
        assert run.chosen is not None
        policy.load(read_snapshot(run.chosen)[0])
        curve = [row["success_rate"] for row in read_json_lines(run.evaluations)]
        measured: dict[str, Any] = {}
        for delay in DELAYS:
            result = final_evaluation(
                replace(config, place=SimConfig(disturbance=DisturbanceConfig(command_delay=delay))), policy
            )
            cycle = None if not any(result.successes) else round(result.cycle_steps, 1)
            measured[str(delay)] = {"successes": sum(result.successes), "of": result.episodes, "cycle_steps": cycle}
    return {
        **trial.key,
        "measured": measured,
        "curve": curve,
        "hands_on_seconds": summary.get("hands_on_seconds"),
        "seconds": round(time.monotonic() - begun),
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True
        ).stdout.strip(),
        "versions": software_versions(),
    }


def table(rows: list[dict[str, Any]], task: str, operator: str, seeds: list[int], steps: int) -> Table:
    """Successes by delay in training and delay in the measurement, summed over the seeds that are there."""
    title = f"{task}, {operator}, {steps:,} steps, seeds {', '.join(map(str, seeds))}: % without help, by delay"
    made = Table(title=title, title_justify="left")
    for heading in ("trained with", "sees", *(f"{d} late" for d in DELAYS), "cycle there", "hands, s", "seeds"):
        made.add_column(heading)
    for delay in DELAYS:
        for sees in VIEWS:
            wanted = {"task": task, "operator": operator, "delay": delay, "sees": sees, "steps": steps}
            found = [r for r in rows if r["seed"] in seeds and all(r[k] == v for k, v in wanted.items())]
            if found:
                made.add_row(f"{delay} late", sees, *_cells(found, delay), str(len(found)))
    return made


def _cells(rows: list[dict[str, Any]], trained: int) -> Iterator[str]:
    for delay in DELAYS:
        results = [row["measured"][str(delay)] for row in rows]
        wins, of = (sum(result[name] for result in results) for name in ("successes", "of"))
        low, high = wilson_interval(wins, of)
        yield f"{100 * wins / of:.0f} ({100 * low:.0f}-{100 * high:.0f})"
    cycles = [c for row in rows if (c := row["measured"][str(trained)]["cycle_steps"]) is not None]
    yield f"{sum(cycles) / len(cycles):.0f}" if cycles else "-"
    hands = [row["hands_on_seconds"] for row in rows if row["hands_on_seconds"] is not None]
    yield f"{sum(hands) / len(hands):.0f}" if hands else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="pick_cube")
    parser.add_argument("--operator", default="attentive")
    parser.add_argument("--seeds", type=int, nargs="+", default=[200, 201, 202])
    parser.add_argument("--steps", type=int, default=3_000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--print", action="store_true", help="train nothing")
    arguments = parser.parse_args()
    about = arguments.task, arguments.operator, arguments.seeds, arguments.steps
    if not arguments.print:
        for trial in trials(*about):
            done = [row for row in read_json_lines(arguments.out) if all(row[k] == v for k, v in trial.key.items())]
            if not done:
                append_json(arguments.out, measure(trial))
    Console(width=160).print(table(read_json_lines(arguments.out), *about))


if __name__ == "__main__":
    main()
