"""A CLIP reward from one sentence: whether it orders states as the truth does, and whether a policy learns by it.

The checkpoint is ours (`robot-rlhf reward clip`), or with --clip MODEL:TAG any of open_clip, where weights can be had.
States are those of the task `reach`: of each sentence it is known how far a state is from what it says (`gold`), and
when it is true (the facts of the task).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rewards.rows import Asked, Job, Row, train
from robot_rlhf.datatypes import Assignment, EpisodeEnd, EpisodeMeta, Event, Observation, Step
from robot_rlhf.learner.checkpoint import read_snapshot
from robot_rlhf.learner.rewarding import RewardModelConfig
from robot_rlhf.rewards.clip_reward import ClipConfig, open_reward
from robot_rlhf.rewards.metrics import spearman
from robot_rlhf.run.build import build_policy, evaluation_station, open_place
from robot_rlhf.run.settings import read_yaml
from robot_rlhf.runtime.evaluation import evaluate
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.captions import BACK, CENTRE, RIGHT
from robot_rlhf_sim.place import SimConfig
from robot_rlhf_sim.situations import place_tool
from robot_rlhf_sim.tasks import Reach

SIZE = 64
ALPHAS = (0.0, 0.5)
BASELINE = "there is a green marker"


@dataclass(frozen=True)
class Goal:
    """A sentence, and what is true about it."""

    sentence: str
    fact: tuple[str, str]
    """Attribute and value that make it true."""
    gold: Callable[[Observation], float]
    """The higher, the nearer is what it says."""


def _along(direction: tuple[float, float], sign: float) -> Callable[[Observation], float]:
    return lambda o: sign * float(np.dot(direction, o.tool_pose_in_base[:2] - np.array(CENTRE)))


def _away(o: Observation) -> float:
    return -float(np.linalg.norm(o.tool_pose_in_base[:3] - o.privileged["target"][:3]))


GOALS: Mapping[str, Goal] = {
    "high": Goal("the gripper is high", ("gripper height", "high"), lambda o: float(o.tool_pose_in_base[2])),
    "low": Goal("the gripper is low", ("gripper height", "low"), lambda o: -float(o.tool_pose_in_base[2])),
    "left": Goal("the gripper is on the left", ("gripper side", "left"), _along(RIGHT, -1.0)),
    "right": Goal("the gripper is on the right", ("gripper side", "right"), _along(RIGHT, 1.0)),
    "front": Goal("the gripper is at the front", ("gripper depth", "front"), _along(BACK, -1.0)),
    "back": Goal("the gripper is at the back", ("gripper depth", "back"), _along(BACK, 1.0)),
    "marker": Goal("the gripper is at the green marker", ("marker distance", "at"), _away),
}


def order_jobs(asked: Asked) -> list[Job]:
    """Rank correlation with the truth on states in scenes that training has not seen."""
    return [
        Job(
            {"show": "sentence_order", "clip": name_of(asked), "sentence": name, "alpha": alpha, "seed": seed,
             "tiny": asked.tiny},
            lambda _folder, name=name, alpha=alpha, seed=seed: order(name, alpha, seed, asked),
        )
        for seed in asked.seeds
        for name in asked.only or tuple(GOALS)
        for alpha in ALPHAS
    ]  # fmt: skip


def policy_jobs(asked: Asked) -> list[Job]:
    """SAC by a sentence alone: no demonstrations, nobody corrects, nothing but the time limit ends an episode."""
    return [
        Job(
            {"show": "sentence_policy", "clip": name_of(asked), "sentence": name, "seed": seed, "tiny": asked.tiny},
            lambda folder, name=name, seed=seed: policy(folder, name, seed, asked),
        )
        for name in asked.only or ("high", "low", "left", "right", "marker")
        for seed in asked.seeds
    ]


def name_of(asked: Asked) -> str:
    """The checkpoint's, as a row keeps it."""
    return Path(model_of(asked)).stem


def model_of(asked: Asked) -> str:
    """Raises SystemExit without one."""
    if asked.clip is None:
        raise SystemExit("--clip: missing; robot-rlhf reward clip --out clip.safetensors trains one in minutes")
    return str(asked.clip)


def order(name: str, alpha: float, seed: int, asked: Asked) -> Row:
    """Spearman of reward and truth over states, the tool anywhere."""
    goal, count = GOALS[name], asked.size(600, 20)
    clip = ClipConfig(model_of(asked), (goal.sentence,), (BASELINE,) if alpha else (), alpha)
    pictures, gold = states(goal, count, seed)
    scores = open_reward(clip).score_images(pictures)
    return {"states": count, "spearman": round(spearman(scores, gold), 4)}


def states(goal: Goal, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and truths; the seeds are those of no training scene."""
    world = SimConfig().open("reach", clock=FakeClock(), cameras={})
    rng = np.random.default_rng([seed, 990_000])
    pictures: list[np.ndarray] = []
    gold: list[float] = []
    for number in range(count):
        if number % 10 == 0:
            world.task.reset(rng)
        place_tool(world.task.arm, world.task.limits, rng)
        pictures.append(world.task.arm.render("front", SIZE, SIZE))
        gold.append(goal.gold(world.task.arm.observe()))
    world.close()
    return np.stack(pictures), np.array(gold)


def policy(folder: Path, name: str, seed: int, asked: Asked) -> Row:
    """Train by the sentence, then count the episodes at whose end it is true."""
    words: list[object] = ["--operator", "absent", "--demonstrations", 0, "--steps", asked.size(3_000, 140)]
    words += ["--cameras", "front", "--image-size", SIZE, "--features.absolute", "--reward.judge", "person"]
    words += ["--evaluation.every", 0, "--evaluation.final-episodes", 1]
    words += ["--reward-model.use", "replace", "--reward-model.clip.model", model_of(asked)]
    words += ["--reward-model.clip.goal", GOALS[name].sentence]
    words += ["--trainer.warm-critic-updates", 5, "--trainer.updates-per-step", 0.2] if asked.tiny else []
    summary = train(folder, "run", "reach", seed, *words)
    ends = measured(folder / "run", seed, asked.size(100, 3))
    attribute, value = GOALS[name].fact
    before = measured(folder / "run", seed, asked.size(100, 3), trained=False)
    return {
        "steps": summary["env_steps"],
        "successes": sum(Reach.facts.described(o, gold=True)[attribute] == value for o in ends),
        "untrained": sum(Reach.facts.described(o, gold=True)[attribute] == value for o in before),
        "episodes": len(ends),
        "gold": round(float(np.mean([GOALS[name].gold(o) for o in ends])), 4),
        "seconds": summary["train_s"],
    }


class _Unending:
    """A task that has never succeeded: its episodes last until their time limit."""

    def __init__(self, task: Any) -> None:
        self._task = task

    def success(self, observation: Observation) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)


class _Ends:
    """A Subscriber that keeps the last observation of each episode."""

    def __init__(self) -> None:
        self.found: list[Observation] = []
        self._newest: Observation | None = None

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._newest = observation

    def on_step(self, step: Step) -> None:
        self._newest = step.next_observation

    def on_event(self, event: Event) -> None:
        """Nothing to keep."""

    def on_episode_end(self, end: EpisodeEnd) -> None:
        assert self._newest is not None
        self.found.append(self._newest)


def measured(run: Path, seed: int, episodes: int, *, trained: bool = True) -> list[Observation]:
    """The last observations of unaided episodes; untrained: of a policy that stands still."""
    config = replace(read_yaml(run / "config.yaml"), cameras=(), reward_model=RewardModelConfig())
    policy = build_policy(config, open_place(config, FakeClock()).spec, practises=False)
    policy.load(read_snapshot(run / "checkpoints" / "policy.safetensors")[0])
    ends = _Ends()
    with evaluation_station(config, policy) as station:
        acts = policy if trained else _Still(station.policy)
        alone: Any = replace(station, task=_Unending(station.task), policy=acts)
        evaluate(alone, episodes=episodes, seed=seed, first=1_000_000, subscribers=(ends,))
    return ends.found


class _Still:
    """A policy that wishes for no motion."""

    def __init__(self, policy: Any) -> None:
        self._policy = policy

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Any:
        action = self._policy.act(observation, asked, rng)
        return replace(action, values=np.zeros_like(action.values))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)
