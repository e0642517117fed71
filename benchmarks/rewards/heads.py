"""Progress and success, learned from sessions of three tasks and measured on episodes held out; and practice by it.

Each session holds demonstrations, and practice of a policy that begins badly and is not corrected: so both classes.
`state` learns of one task from its state vector; `pictures` of all three from two cameras, with the sentence.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from benchmarks.rewards.rows import Asked, Job, Row, session, train
from robot_rlhf.apps.reward_train import RewardTrainOptions
from robot_rlhf.apps.reward_train import train as train_reward
from robot_rlhf.learner.reward_training import RewardReport, RewardTraining
from robot_rlhf.rewards.network import Head, RewardConfig

HELD_OUT = 0.4
"""Share of the episodes that only measure."""
TASKS = ("reach", "pick_cube", "peg_insert")


def progress_jobs(asked: Asked) -> list[Job]:
    """Order in time, success over failure, and whether another sentence is worth less."""
    return _jobs(asked, "progress", "progress")


def success_jobs(asked: Asked) -> list[Job]:
    """False positives, and the successes found at that."""
    return _jobs(asked, "success", "success")


def policy_jobs(asked: Asked) -> list[Job]:
    """pick_cube from pictures, its episodes ended by a learned success alone, and a person who corrects."""
    return [
        Job(
            {"show": "success_policy", "task": "pick_cube", "seed": seed, "tiny": asked.tiny},
            lambda folder, seed=seed: policy(folder, seed, asked),
        )
        for seed in asked.seeds
    ]


def _jobs(asked: Asked, show: str, head: Head) -> list[Job]:
    found: list[Job] = []
    for seed in asked.seeds:
        for sees in asked.only or ("state", "pictures"):
            for task in asked.tasks if sees == "state" else ["all"]:
                what = {"show": show, "sees": sees, "task": task, "seed": seed, "tiny": asked.tiny}
                found.append(
                    Job(
                        what,
                        lambda folder, what=what: measure(
                            folder, head, what["sees"], what["task"], what["seed"], asked
                        ),
                    )
                )
    return found


def measure(folder: Path, head: Head, sees: str, task: str, seed: int, asked: Asked) -> Row:
    """Record, learn, and what the learning says of the episodes held out."""
    cameras = sees == "pictures"
    runs = [record(folder, name, seed, asked, cameras=cameras) for name in (TASKS if task == "all" else (task,))]
    report = learn(folder / "reward.safetensors", runs, head, seed, asked, pictures=cameras, text=cameras)
    return {**numbers(report), "seconds": round(report.seconds, 1), "updates": report.updates}


def record(folder: Path, task: str, seed: int, asked: Asked, *, cameras: bool) -> Path:
    """A session of one task. A policy that has seen many demonstrations of `reach` hardly ever fails: it sees few."""
    steps = asked.size(1_500 if task == "reach" else 2_500, 150)
    shown = asked.size(10 if task == "reach" else 100 if cameras else 30, 4)
    folder = asked.sessions or folder
    name = f"{task}-{seed}{'-pictures' if cameras else ''}{'-tiny' if asked.tiny else ''}"
    if (folder / name / "summary.json").exists():
        return folder / name
    return session(folder, name, task, seed, steps=steps, demonstrations=shown, cameras=cameras)


def learn(
    out: Path, runs: list[Path], head: Head, seed: int, asked: Asked, *, pictures: bool, text: bool
) -> RewardReport:
    """Train the head and hold out the episodes that measure it."""
    training = RewardTraining(
        updates=asked.size(1_500 if pictures else 1_000, 20), review_every=asked.size(100, 10), held_out_share=HELD_OUT
    )
    network = RewardConfig(members=2, hidden=(16,), image_latent=8) if asked.tiny else RewardConfig()
    options = RewardTrainOptions(
        tuple(runs), out, (head,), pixels=pictures, state=not pictures, text=text, network=network,
        training=training, seed=seed, quiet=True,
    )  # fmt: skip
    return train_reward(options)


def numbers(report: RewardReport) -> dict[str, Any]:
    """Of the held-out episodes, as a row has them."""
    if report.progress is not None:
        p = report.progress
        lower = p.other_text_lower
        return {
            "held_out": {"successes": p.successes, "failures": p.failures},
            "voc": round(p.voc, 4) if p.successes else None,
            "auc": round(p.auc, 4) if p.successes and p.failures else None,
            "other_text_lower": [lower.hits, lower.total],
        }
    assert report.success is not None
    s = report.success
    return {
        "false_positives": [s.frames.false_positive_rate.hits, s.frames.false_positive_rate.total],
        "found": [s.frames.recall.hits, s.frames.recall.total],
        "episodes_false": [s.episodes.false_positive_rate.hits, s.episodes.false_positive_rate.total],
        "episodes_found": [s.episodes.recall.hits, s.episodes.recall.total],
        "too_early": [s.early.hits, s.early.total],
        "calibration": dataclasses.asdict(s.calibration),
    }


def policy(folder: Path, seed: int, asked: Asked) -> Row:
    """Learn success from pictures of both cameras, then practise with it as the only judge."""
    cameras = ["--cameras", "front", "wrist", "--image-size", 64]
    steps, shown = asked.size(2_500, 150), asked.size(30, 4)
    train(
        *(folder, "seen", "pick_cube", seed + 1_000, "--operator", "absent", "--steps", steps),
        *("--demonstrations", shown, "--evaluation.every", 0, "--evaluation.final-episodes", 1, *cameras),
    )
    judge = folder / "success.safetensors"
    report = learn(judge, [folder / "seen"], "success", seed, asked, pictures=True, text=False)
    small: list[object] = ["--steps", 60, "--demonstrations", 0, "--evaluation.every", 0]
    small += ["--evaluation.final-episodes", 2, "--trainer.warm-start-updates", 4, "--trainer.warm-critic-updates", 4]
    small += ["--trainer.updates-per-step", 0.1]
    more = small if asked.tiny else []
    summary = train(
        *(folder, "run", "pick_cube", seed, "--pixels", "--operator", "attentive"),
        *("--reward.judge", "model", "--success-model", judge, *more),
    )
    return {
        **numbers(report),
        "steps": summary["env_steps"],
        "hands_on_minutes": round(summary["hands_on_minutes"], 3),
        "successes": summary["eval_successes"],
        "episodes": summary["eval_episodes"],
        "seconds": summary["train_s"],
    }
