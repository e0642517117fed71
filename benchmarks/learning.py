"""Learning with a person beside its baselines: success, steps, minutes, hands on and at the machine, cycle time.

    python -m benchmarks.learning run --suite headline     # also: baselines, people, hard, gripper, pixels,
                                                           # precision
    python -m benchmarks.learning report                   # tables for RESULTS.md and learning.png from what was run

Every figure is measured unaided: success during training counts the person's help. One run per process, two processes
at a time with one thread each. Results are one JSON file per run in benchmarks/results/learning; a run that has its
file is not run again. The run folders go to runs/benchmark; cloning takes its human data from the journal of our run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "learning"
RUNS = Path("runs") / "benchmark"
PEG_BUDGET = {"baselines": 5_000, "hard": 6_000}
"""Practice steps of the peg rows; the headline's may take 15,000, and needed no more than the baselines get."""
FIVE, THREE, TWO = tuple(range(5)), tuple(range(3)), tuple(range(2))


@dataclass(frozen=True)
class Case:
    """One row of a table."""

    setting: str
    """pick_cube, pick_pixels, peg_1mm, peg_0.5mm or peg_felt."""
    method: str = "ours"
    """ours, no_interventions, hg_dagger, cloning, demonstrations, sb3_sac, continuous_gripper, or bfloat16 (ours)."""
    operator: str = "attentive"
    seeds: tuple[int, ...] = THREE

    def name(self, seed: int) -> str:
        return f"{self.setting}-{self.method}-{self.operator}-{seed}"


SUITES: dict[str, list[Case]] = {
    "headline": [Case("pick_cube", seeds=FIVE), Case("peg_1mm", seeds=FIVE)],
    "hard": [Case("peg_0.5mm", seeds=TWO), Case("peg_felt", seeds=TWO)],
    "baselines": [
        Case(setting, method)
        for setting in ("pick_cube", "peg_1mm")
        for method in ("cloning", "hg_dagger", "no_interventions", "sb3_sac")
    ],
    "people": [Case("pick_cube", operator=who, seeds=TWO) for who in ("lazy", "late", "clumsy", "thorough")],
    "gripper": [Case("pick_cube", "continuous_gripper", seeds=TWO)],
    "pixels": [Case("pick_pixels"), Case("pick_pixels", "demonstrations")],
    "precision": [Case("pick_cube", "bfloat16"), Case("pick_pixels", "bfloat16")],
}


def config_for(case: Case, seed: int) -> Any:
    """The run's settings: the task's defaults, and what the case changes."""
    from robot_rlhf.apps.config import defaults_for, pixel_defaults_for

    common: dict[str, Any] = {"operator": case.operator, "seed": seed, "out": RUNS, "name": case.name(seed)}
    if case.setting == "pick_pixels":  # as `robot-rlhf train --pixels` has it
        algorithm = "cloning" if case.method == "demonstrations" else "sac"
        config = replace(pixel_defaults_for("pick_cube"), **common, video_episodes=0, algorithm=algorithm)
        precision = "bfloat16" if case.method == "bfloat16" else "float32"  # 'auto' is another one on another machine
        return replace(config, sac=replace(config.sac, precision=precision))
    pick = case.setting == "pick_cube"
    base = defaults_for("pick_cube" if pick else "peg_insert")
    options = {"peg_0.5mm": {"clearance": 0.0005}, "peg_felt": {"hole_error": 0.002}}.get(case.setting, {})
    headline = (
        case.method in ("ours", "bfloat16")
        and case.operator == "attentive"
        and case.setting in ("pick_cube", "peg_1mm")
    )
    evaluation = replace(
        base.evaluation,
        every=500 if pick else 1000,
        episodes=100 if headline else 50,  # the final ones are 100 for every row
        stop_at=0.98 if pick else 0.97,
    )
    config = replace(base, **common, task_options=options, video_episodes=0, evaluation=evaluation)
    if not pick and not headline:
        config = replace(config, steps=PEG_BUDGET["baselines" if case.setting == "peg_1mm" else "hard"])
    if case.method == "no_interventions":
        config = replace(config, operator="absent")
    elif case.method == "hg_dagger":
        config = replace(config, algorithm="dagger")
    elif case.method == "bfloat16":
        config = replace(config, sac=replace(config.sac, precision="bfloat16"))
    elif case.method == "continuous_gripper":
        config = replace(config, network=replace(config.network, gripper="continuous"))
    return config


def run_one(case: Case, seed: int) -> dict[str, Any]:
    """Do one run in this process; returns its row."""
    import torch

    from robot_rlhf.apps.train import train

    torch.set_num_threads(1)
    config = config_for(case, seed)
    if case.method == "sb3_sac":
        from benchmarks.sb3_sac import train_sb3

        row = train_sb3(config)
    elif case.method == "cloning":
        from benchmarks.cloning import clone_same_data

        row = clone_same_data(config, RUNS / replace(case, method="ours").name(seed) / "journal")
    else:
        shutil.rmtree(RUNS / case.name(seed), ignore_errors=True)
        row = train(config, quiet=True)
        lines = (RUNS / case.name(seed) / "evaluations.jsonl").read_text().splitlines()
        row["curve"] = [json.loads(line) for line in lines]
    return {**row, "setting": case.setting, "method": case.method, "operator": case.operator, "seed": seed}


def run_suite(names: list[str], workers: int) -> None:
    """Run what has no result yet."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    jobs = [(case, seed) for name in names for case in SUITES[name] for seed in case.seeds]
    jobs = [(case, seed) for case, seed in jobs if not (RESULTS / f"{case.name(seed)}.json").exists()]

    def work(job: tuple[Case, int]) -> bool:
        case, seed = job
        begun = time.monotonic()
        command = [
            sys.executable,
            "-m",
            "benchmarks.learning",
            "one",
            case.setting,
            case.method,
            case.operator,
            str(seed),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        outcome = "done" if done.returncode == 0 else f"FAILED: {done.stderr.strip().splitlines()[-1:]}"
        print(f"{case.name(seed)}: {outcome} in {time.monotonic() - begun:.0f} s", flush=True)
        return done.returncode == 0

    with ThreadPoolExecutor(workers) as pool:
        if not all(list(pool.map(work, jobs))):
            sys.exit("some runs failed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run")
    run.add_argument("--suite", nargs="+", choices=sorted(SUITES), default=["headline"])
    run.add_argument("--workers", type=int, default=2)
    one = commands.add_parser("one")
    one.add_argument("setting")
    one.add_argument("method")
    one.add_argument("operator")
    one.add_argument("seed", type=int)
    commands.add_parser("report")
    arguments = parser.parse_args()
    if arguments.command == "run":
        run_suite(arguments.suite, arguments.workers)
    elif arguments.command == "one":
        case = Case(arguments.setting, arguments.method, arguments.operator, (arguments.seed,))
        row = run_one(case, arguments.seed)
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{case.name(arguments.seed)}.json").write_text(
            json.dumps(row, indent=1, sort_keys=True, default=str)
        )
    else:
        from benchmarks.learning_report import report

        report(RESULTS)


if __name__ == "__main__":
    main()
