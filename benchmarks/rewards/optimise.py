"""Over-optimisation: the reward that is optimised, and the true one, while a policy is trained on a fixed reward.

From a short session and a few comparisons, a fifth of them wrong, a single reward and an ensemble are learned, mistakes
and all; then a policy is trained by each: `single` takes one member as it is, `cautious` the mean minus the variance of
five (UWO), `bounded` one member squashed around what the starting policy got (PAR), `compared` goes on being taught by
comparisons of the policy's own newest episodes, as many of them wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.rewards.rows import Asked, Job, Row, command, session, train
from robot_rlhf.audit.material import kinds_of
from robot_rlhf.datatypes import EpisodeKind
from robot_rlhf.learner.rewarding import REFERENCES
from robot_rlhf.rewards import transforms
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.recordings import Recording, read_for
from robot_rlhf.run.reward_features import features_of
from robot_rlhf.runtime.preference_learning import LEARNED_REWARD
from robot_rlhf.runtime.trajectories import read_gold

MEMBERS = {"single": 1, "cautious": 5, "bounded": 1, "compared": 5}
WORDS: Mapping[str, Sequence[str]] = {
    "single": ("--reward-model.no-bounded",),
    "cautious": ("--reward-model.no-bounded", "--reward-model.members", "cautious"),
    "bounded": (),
    "compared": (
        *("--reward-model.learns", "--teacher.labeler", "oracle", "--teacher.teacher.mistakes", "0.2"),
        *("--teacher.budget", "300", "--teacher.length", "5"),
    ),
}
LABELS, MISTAKES = 60, 0.2
SHOWN = 10
"""Demonstrations: enough that the policy succeeds at the start, and can lose by a wrong reward."""
BIN = 500
"""Practice steps over which proxy and truth are averaged."""


def jobs(asked: Asked) -> list[Job]:
    """Of every variant and seed."""
    return [
        Job(
            {"show": "optimise", "task": task, "variant": variant, "seed": seed, "tiny": asked.tiny},
            lambda folder, task=task, variant=variant, seed=seed: measure(folder, task, variant, seed, asked),
        )
        for task in asked.tasks
        for seed in asked.seeds
        for variant in asked.only or tuple(MEMBERS)
    ]


def measure(folder: Path, task: str, variant: str, seed: int, asked: Asked) -> Row:
    """The session and its labels are the same for all variants of a seed."""
    seen = session(folder, "seen", task, seed + 500, steps=asked.size(800, 130), demonstrations=asked.size(SHOWN, 2))
    count, length = asked.size(LABELS, 8), 5
    command("label", seen, "--labeler", "oracle", "--count", count, "--length", length, "--seed", seed,
            "--oracle.mistakes", MISTAKES)  # fmt: skip
    reward = folder / "reward.safetensors"
    command("reward", "train", seen, "--out", reward, "--head", "preference", "--quiet", "--seed", seed,
            "--network.members", MEMBERS[variant], "--training.updates", asked.size(400, 10))  # fmt: skip
    words: list[object] = [
        "--operator",
        "absent",
        "--demonstrations",
        asked.size(SHOWN, 2),
        "--steps",
        asked.size(5_000, 140),
    ]
    words += ["--evaluation.every", asked.size(BIN, 100), "--evaluation.episodes", asked.size(25, 2)]
    words += ["--evaluation.final-episodes", asked.size(100, 2), "--reward-model.file", reward]
    words += ["--reward-model.use", "replace", *WORDS[variant]]
    summary = train(folder, "run", task, seed, *words)
    evaluations = [json.loads(x) for x in (folder / "run" / "evaluations.jsonl").read_text().splitlines()]
    return {
        "steps": summary["env_steps"],
        "curve": curve(folder / "run", reward, variant, asked.size(BIN, 50)),
        "unaided": [[row["step"], row["success_rate"], row["gold_return_mean"]] for row in evaluations],
        "seconds": summary["train_s"],
    }


def curve(run: Path, reward: Path, variant: str, width: int) -> list[dict[str, Any]]:
    """Mean reward per step as it is optimised, in standard deviations above that of the first practice, and the mean
    true reward, over bins of practice steps. Of a reward that goes on learning, its last version."""
    went_on = RunFolder(run).latest.with_name(LEARNED_REWARD)
    model = LearnedReward.load(went_on if went_on.exists() else reward, reads="preference")
    recording = Recording.open(run)
    trajectories, _ = read_for(features_of(model, recording.spec, str(run)), recording, None, actions=False)
    kinds, gold = kinds_of(recording.journal), read_gold(recording.journal)
    practice = [t for t in trajectories if kinds[t.id] is EpisodeKind.PRACTICE]
    said = [together(model, variant, t.observations["state"][1:]) for t in practice]
    first = np.concatenate(said)[:REFERENCES]
    proxy = [float((s.mean() - first.mean()) / first.std()) for s in said]
    true = [float(gold[t.id].mean()) for t in practice]
    ends = np.cumsum([len(t) for t in practice])
    found: list[dict[str, Any]] = []
    for start in range(0, int(ends[-1]), width):
        inside = [i for i, end in enumerate(ends) if start < end <= start + width]
        if inside:
            means = [round(float(np.mean([x[i] for i in inside])), 4) for x in (proxy, true)]
            success = [bool(practice[i].success) for i in inside]
            found.append(
                {"step": start + width, "proxy": means[0], "gold": means[1], "success": float(np.mean(success))}
            )
    return found


def together(model: LearnedReward, variant: str, state: np.ndarray) -> np.ndarray:
    """What the members say together, as the variant takes it. Shape (T, D) -> (T,)."""
    members = model.members({"state": torch.tensor(state)})
    if variant == "cautious":
        return transforms.mean_minus_variance(members, 1.0).numpy()
    return members.mean(dim=0).numpy()
