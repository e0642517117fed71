"""A reward learned during practice from a simulated teacher's comparisons, beside the true one.

Nobody corrects in any of them. `gold` learns from the simulator's true reward; `oracle` from comparisons by a perfect
teacher, `mistakes` by one who is wrong in a tenth of them, `allowed` by the same with a loss that allows for mistakes
and fewer updates per round, `disagreement` of pairs chosen by the ensemble; `early` spends the same budget early, and
on segments of more episodes; `sparse` learns from success alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rewards.rows import Asked, Job, Row, train

LEARNED = ("--reward-model.learns", "--reward-model.use", "replace", "--teacher.labeler", "oracle")
VARIANTS: Mapping[str, Sequence[str]] = {
    "sparse": (),
    "gold": ("--reward.gold",),
    "oracle": LEARNED,
    "mistakes": (*LEARNED, "--teacher.teacher.mistakes", "0.1"),
    "allowed": (
        *LEARNED,
        "--teacher.teacher.mistakes",
        "0.1",
        "--preferences.training.preference.mistakes",
        "0.1",
        "--preferences.training.updates",
        "100",
    ),
    "disagreement": (*LEARNED, "--teacher.strategy", "disagreement"),
    "early": (*LEARNED, "--teacher.pairs", "40", "--teacher.newest", "100"),
}


@dataclass(frozen=True)
class Setting:
    """What a task is given, alike for all variants."""

    steps: int
    demonstrations: int
    budget: int
    length: int
    """Steps of a compared segment."""


SETTINGS = {"reach": Setting(3_000, 2, 300, 5), "pick_cube": Setting(8_000, 5, 800, 10)}
TINY = Setting(160, 1, 20, 5)


def jobs(asked: Asked) -> list[Job]:
    """Of every task, variant and seed asked for."""
    return [
        Job(
            {"show": "preferences", "task": task, "variant": variant, "seed": seed, "tiny": asked.tiny},
            lambda folder, task=task, variant=variant, seed=seed: measure(folder, task, variant, seed, asked.tiny),
        )
        for task in asked.tasks
        for variant in asked.only or ("gold", "oracle", "mistakes", "disagreement")
        for seed in asked.seeds
    ]


def measure(folder: Path, task: str, variant: str, seed: int, tiny: bool) -> Row:
    """One training and its final evaluation."""
    setting = TINY if tiny else SETTINGS[task]
    words: list[object] = ["--operator", "absent", "--steps", setting.steps]
    words += ["--demonstrations", setting.demonstrations, "--evaluation.every", max(setting.steps // 3, 100)]
    words += ["--evaluation.episodes", 2 if tiny else 25, "--evaluation.final-episodes", 2 if tiny else 100]
    words += ["--teacher.budget", setting.budget, "--teacher.length", setting.length]
    words += ["--trainer.warm-start-updates", 20, "--trainer.warm-critic-updates", 20] if tiny else []
    summary = train(folder, "run", task, seed, *words, *VARIANTS[variant])
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    taught = [json.loads(line) for line in lines if "reward_labels" in line]
    return {
        "steps": summary["env_steps"],
        "labels": int(taught[-1]["reward_labels"]) if taught else 0,
        "accuracy_held_out": taught[-1]["reward_held_out_accuracy"] if taught else None,
        "successes": summary["eval_successes"],
        "episodes": summary["eval_episodes"],
        "gold_return": summary["gold_return_mean"],
        "seconds": summary["train_s"],
    }
