"""How well policies learn from rewards that were learned, beside the true reward: success without help.

    python -m benchmarks.rewards run --only gold oracle --seeds 0 1 2 --tasks reach
    python -m benchmarks.rewards report

Further settings of `robot-rlhf train` may follow, for every run: `--replay.discount 0.95`.

Nobody corrects in any of them. `gold` learns from the simulator's true reward; `oracle` from a reward learned during
practice from comparisons by a perfect teacher, `mistakes` from one who is wrong in a tenth of them, `disagreement` from
pairs that were chosen by the ensemble; `sparse` from success alone, for orientation.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from robot_rlhf.apps.cli import main as robot_rlhf
from robot_rlhf.rewards.metrics import wilson_interval

RESULTS = Path(__file__).parent / "results" / "rewards.jsonl"
LEARNED = ("--reward-model.learns", "--reward-model.use", "replace", "--teacher.labeler", "oracle")
VARIANTS: Mapping[str, Sequence[str]] = {
    "sparse": (),
    "gold": ("--reward.gold",),
    "oracle": LEARNED,
    "mistakes": (*LEARNED, "--teacher.teacher.mistakes", "0.1"),
    "disagreement": (*LEARNED, "--teacher.strategy", "disagreement"),
    "unbounded": (*LEARNED, "--reward-model.no-bounded"),
    "cautious": (*LEARNED, "--reward-model.no-bounded", "--reward-model.members", "cautious"),
}


@dataclass(frozen=True)
class Setting:
    """What a task is given, alike for all variants."""

    steps: int
    demonstrations: int
    budget: int


SETTINGS = {"reach": Setting(3_000, 2, 300), "pick_cube": Setting(8_000, 5, 600)}


def run(task: str, variant: str, seed: int, more: Sequence[str]) -> dict[str, Any]:
    """One training and its final evaluation; returns the row for results/."""
    setting = SETTINGS[task]
    out = Path(tempfile.mkdtemp(prefix="rewards-"))
    arguments = ["train", "--task", task, "--operator", "absent", "--seed", str(seed), "--quiet"]
    arguments += ["--steps", str(setting.steps), "--demonstrations", str(setting.demonstrations)]
    arguments += ["--evaluation.every", "1000", "--evaluation.episodes", "25", "--video-episodes", "0"]
    arguments += ["--teacher.budget", str(setting.budget), "--out", str(out), "--name", "run"]
    if robot_rlhf([*arguments, *VARIANTS[variant], *more]) != 0:
        raise SystemExit(f"{task} {variant} seed {seed} failed")
    summary = json.loads((out / "run" / "summary.json").read_text())
    lines = (out / "run" / "metrics.jsonl").read_text().splitlines()
    taught = [json.loads(line) for line in lines if "reward_labels" in line]
    shutil.rmtree(out)
    return {
        "task": task,
        "variant": variant,
        "seed": seed,
        "settings": list(more),
        "steps": summary["env_steps"],
        "labels": taught[-1]["reward_labels"] if taught else 0,
        "accuracy_held_out": taught[-1]["reward_held_out_accuracy"] if taught else None,
        "successes": summary["eval_successes"],
        "episodes": summary["eval_episodes"],
        "gold_return": summary["gold_return_mean"],
        "seconds": summary["train_s"],
    }


def report() -> None:
    """A table of all rows."""
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["task"], " ".join([row["variant"], *row["settings"]])].append(row)
    table = Table("task", "reward", "labels", "success per seed", "together (Wilson 95 %)", "true return")
    for (task, variant), found in groups.items():
        hits, total = sum(r["successes"] for r in found), sum(r["episodes"] for r in found)
        low, high = wilson_interval(hits, total)
        table.add_row(
            task,
            variant,
            ", ".join(f"{r['labels']:.0f}" for r in found),
            ", ".join(f"{r['successes']}" for r in found),
            f"{100 * hits / total:.0f} % ({100 * low:.0f} to {100 * high:.0f})",
            ", ".join(f"{r['gold_return']:.1f}" for r in found),
        )
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "report"))
    parser.add_argument("--only", nargs="+", choices=tuple(VARIANTS), default=["gold", "oracle"])
    parser.add_argument("--tasks", nargs="+", choices=tuple(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options, more = parser.parse_known_args()
    if options.what == "report":
        report()
        return
    for task in options.tasks:
        for variant in options.only:
            for seed in options.seeds:
                row = run(task, variant, seed, more)
                with RESULTS.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                Console().print(row)


if __name__ == "__main__":
    main()
