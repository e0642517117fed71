"""Recordings of mixed quality, their rewards learned from comparisons: IQL on them, on the true reward, and cloning.

The journal is that of a policy that begins badly and gets better while nobody corrects, so good and bad episodes lie
side by side. `preference` is learned from comparisons of its segments by a simulated teacher; no other reward is used.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.rewards.rows import Asked, Job, Row, command, session
from robot_rlhf.runtime.trajectories import read_trajectories

LABELS = 300


class Recorded:
    """The newest session, which all ways to learn of a seed share; deleted with this."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._of: tuple[str, int] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="rewards-")

    def of(self, task: str, seed: int) -> Path:
        """Records it where the newest is another."""
        if self._of != (task, seed):
            self._folder.cleanup()
            self._folder = tempfile.TemporaryDirectory(prefix="rewards-")
            steps = self._asked.size(2_000, 150)
            session(Path(self._folder.name), "seen", task, seed + 200, steps=steps, demonstrations=2)
            self._of = task, seed
        return Path(self._folder.name) / "seen"


def jobs(asked: Asked) -> list[Job]:
    """Of every way to learn and every seed."""
    recorded = Recorded(asked)
    return [
        Job(
            {"show": "offline", "task": task, "variant": variant, "seed": seed, "tiny": asked.tiny},
            lambda folder, task=task, variant=variant, seed=seed: measure(
                folder, recorded.of(task, seed), variant, seed, asked
            ),
        )
        for task in asked.tasks
        for seed in asked.seeds
        for variant in asked.only or ("preference", "gold", "cloning")
    ]


def measure(folder: Path, seen: Path, variant: str, seed: int, asked: Asked) -> Row:
    """Learn a reward where one is needed, learn the policy, measure it."""
    outcomes = [t.success for t in read_trajectories(seen / "journal", lambda o: {"state": o.tool_velocity})]
    words: list[object] = ["offline", seen, "--out", folder, "--name", "run", "--seed", seed, "--quiet"]
    words += ["--updates", asked.size(10_000, 20), "--episodes", asked.size(100, 2)]
    if variant == "cloning":
        words += ["--learner", "cloning"]
    elif variant == "gold":
        words += ["--reward", "gold"]
    else:
        reward = folder / "reward.safetensors"
        command("label", seen, "--labeler", "oracle", "--count", asked.size(LABELS, 8), "--length", 5, "--seed", seed)
        command("reward", "train", seen, "--out", reward, "--head", "preference", "--quiet", "--seed", seed,
                "--training.updates", asked.size(400, 10))  # fmt: skip
        words += ["--reward", reward]
    command(*words)
    summary = json.loads((folder / "run" / "summary.json").read_text())
    return {
        "recorded": {"episodes": len(outcomes), "successes": sum(o is True for o in outcomes)},
        "successes": summary["eval_successes"],
        "episodes": summary["eval_episodes"],
        "gold_return": summary["gold_return_mean"],
        "seconds": summary["train_s"],
    }
