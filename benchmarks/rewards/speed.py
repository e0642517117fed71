"""Pictures and states scored per second, and what scoring costs the control loop: nothing, as it runs beside it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.rewards.rows import Asked, Job, Row, train
from robot_rlhf.datatypes import EpisodeKind
from robot_rlhf.journal.reader import episodes
from robot_rlhf.rewards.clip import open_encoder
from robot_rlhf.rewards.clip_reward import ClipReward
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.rewards.network import RewardConfig, RewardInputs

SIZE = 64


def frame_jobs(asked: Asked) -> list[Job]:
    """Scored per second on the CPU, one thread, and on a GPU where one is at hand."""
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    kinds = asked.only or ("state", "pictures", *(["clip"] if asked.clip else []))
    return [
        Job(
            {"show": "frames", "scored": kind, "device": device, "seed": seed, "tiny": asked.tiny},
            lambda _folder, kind=kind, device=device: frames(kind, device, asked),
        )
        for device in devices
        for kind in kinds
        for seed in asked.seeds
    ]


def period_jobs(asked: Asked) -> list[Job]:
    """The control period in real time, without a reward model and with pictures scored after each episode."""
    return [
        Job(
            {"show": "period", "scoring": scoring, "seed": seed, "tiny": asked.tiny},
            lambda folder, scoring=scoring, seed=seed: period(folder, scoring, seed, asked),
        )
        for seed in asked.seeds
        for scoring in asked.only or ("off", "clip")
    ]


def frames(kind: str, device: str, asked: Asked) -> Row:
    """Median of five rounds."""
    torch.set_num_threads(1)
    count = asked.size(2_048 if kind != "state" else 65_536, 16)
    pictures = np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
    rounds: list[float] = []
    if kind == "clip":
        assert asked.clip is not None
        reward = ClipReward(open_encoder(str(asked.clip), device), ["the gripper is high"])
        for _ in range(6):
            began = time.perf_counter()
            reward.score_images(pictures)
            rounds.append(count / (time.perf_counter() - began))
    else:
        sees = RewardInputs(0, {"front": (SIZE, SIZE)}) if kind == "pictures" else RewardInputs(24)
        model = LearnedReward(sees, RewardConfig(), seed=0, device=device)
        seen = {"front": torch.from_numpy(pictures)} if kind == "pictures" else {"state": torch.zeros(count, 24)}
        for _ in range(6):
            began = time.perf_counter()
            model.members(seen).cpu()
            rounds.append(count / (time.perf_counter() - began))
    rounds = rounds[1:]
    return {"per_second": round(float(np.median(rounds))), "least": round(min(rounds)), "most": round(max(rounds))}


def period(folder: Path, scoring: str, seed: int, asked: Asked) -> Row:
    """Between two observations of practice; the pictures are taken in both cases."""
    words: list[object] = ["--mode", "asynchronous", "--operator", "absent", "--demonstrations", 1]
    words += ["--steps", asked.size(1_200, 40), "--cameras", "front", "--image-size", SIZE, "--evaluation.every", 0]
    words += ["--evaluation.final-episodes", 1]
    if scoring == "clip":
        if asked.clip is None:
            raise SystemExit("--clip: missing; robot-rlhf reward clip --out clip.safetensors trains one in minutes")
        words += ["--reward-model.clip.model", asked.clip, "--reward-model.clip.goal", "the gripper is high"]
    summary = train(folder, "run", "reach", seed, *words)
    gaps: list[float] = []
    for episode in episodes(folder / "run" / "journal", pictures=False):
        if episode.meta.kind is EpisodeKind.PRACTICE:
            gaps += (1e3 * np.diff(episode.observations["stamp"])).tolist()
    quantiles = np.quantile(gaps, [0.5, 0.99, 1.0]).round(2).tolist()
    late = sum(gap > 55.0 for gap in gaps)
    return {"periods": len(gaps), "p50_p99_max_ms": quantiles, "late": late, "updates": summary["updates"]}
