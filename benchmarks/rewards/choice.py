"""Which comparisons make a reward that is right near the goal: the same budget, asked in different ways.

A run of `reach` is recorded once per seed; then an oracle answers as it would have during practice, and the reward
learned at the end is held against the distance to the goal, over all that was seen and within 3 cm of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.rewards.rows import Asked, Job, Row, session
from robot_rlhf.datatypes import Feedback, Segment
from robot_rlhf.feedback.comparisons import preference
from robot_rlhf.feedback.queries import Candidate, choose, segments_of
from robot_rlhf.journal.reader import episodes
from robot_rlhf.learner.reward_data import Moments
from robot_rlhf.learner.reward_training import train_reward
from robot_rlhf.rewards.labelers.oracle import Oracle, Teacher, gold_by_episode
from robot_rlhf.rewards.metrics import spearman
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.rewards.trajectory import Trajectory
from robot_rlhf.run.learning import build_features
from robot_rlhf.run.recordings import Recording, read_for
from robot_rlhf.run.reward_features import inputs_of
from robot_rlhf.run.settings import read_yaml

NEAR = 0.03
"""Metres from the goal."""
BUDGET, EVERY = 300, 200


@dataclass(frozen=True)
class Choice:
    """A way to ask."""

    pairs: int
    """Per round of EVERY practice steps."""
    newest: int
    """Episodes to choose from."""
    to_the_end: bool
    """Segments end where the episode ended; else they are cut anywhere."""
    length: int


CHOICES: Mapping[str, Choice] = {
    "early, of 100 episodes, cut anywhere, 10 steps": Choice(40, 100, False, 10),
    "spread, of 100 episodes, cut anywhere, 10 steps": Choice(20, 100, False, 10),
    "spread, of 20 episodes, cut anywhere, 10 steps": Choice(20, 20, False, 10),
    "spread, of 20 episodes, to the end, 10 steps": Choice(20, 20, True, 10),
    "spread, of 20 episodes, to the end, 5 steps": Choice(20, 20, True, 5),
}


def jobs(asked: Asked) -> list[Job]:
    """One recording per seed, and a row with all ways to ask."""
    return [
        Job(
            {"show": "choice", "seed": seed, "tiny": asked.tiny}, lambda folder, seed=seed: measure(folder, seed, asked)
        )
        for seed in asked.seeds
    ]


def measure(folder: Path, seed: int, asked: Asked) -> Row:
    """Rank correlations of reward and nearness: overall, and near the goal."""
    run = session(folder, "seen", "reach", seed + 300, steps=asked.size(3_000, 300), demonstrations=2)
    recording = Recording.open(run)
    config = read_yaml(run / "config.yaml")
    features = build_features(config, recording.spec)
    known, _ = read_for(features, recording, None, actions=False)
    recorded = {e.meta.id: e for e in episodes(recording.journal, pictures=False)}
    gold = {name: episode.gold_reward for name, episode in recorded.items()}
    away = {
        name: np.linalg.norm(
            e.observations["tool_pose_in_base"][:, :3] - e.observations["privileged/target"][:, :3], axis=1
        )
        for name, e in recorded.items()
    }
    distance = np.concatenate([away[t.id] for t in known])
    found: Row = {}
    for name, way in CHOICES.items():
        labels = ask(known, gold, way, seed)
        inputs = inputs_of(features, recording.spec, state=True, action=False)
        model = LearnedReward(inputs, config.reward_network, seed=seed, reads="preference")
        train_reward(model, known, ["preference"], config.preferences.training, seed=seed, preferences=labels)
        moments = Moments(known, model.inputs)
        said = moments.ask(model, np.arange(len(moments)), lambda heads: heads.preference).mean(axis=0)
        near = distance < NEAR
        overall, close = spearman(said, -distance), spearman(said[near], -distance[near])
        found[name] = {"labels": len(labels), "overall": round(overall, 4), "near": round(close, 4)}
    return {"choices": found}


def ask(known: list[Trajectory], gold: Mapping[str, np.ndarray], way: Choice, seed: int) -> list[Feedback]:
    """The answers of rounds as they would have been during practice."""
    rng = np.random.default_rng(seed)
    oracle = Oracle(gold_by_episode(gold), rng, Teacher(), usual=0.0)
    steps, asked_at = 0, -EVERY
    given: list[Feedback] = []
    for number, trajectory in enumerate(known, 1):
        steps += len(trajectory)
        if steps - asked_at < EVERY or len(given) >= BUDGET:
            continue
        asked_at = steps
        lengths = {t.id: len(t) for t in known[max(0, number - way.newest) : number]}
        segments: list[Segment] = (
            segments_of(lengths, way.length) if way.to_the_end else cut_anywhere(lengths, way.length, rng)
        )
        before = [(f.span, f.other) for f in given if f.other is not None]
        count = min(way.pairs, BUDGET - len(given))
        pairs = choose("uniform", [Candidate(s) for s in segments], count, rng, before)
        given += [preference(pair, oracle.compare(*pair), "oracle", 0.0) for pair in pairs]
    return given


def cut_anywhere(steps: Mapping[str, int], length: int, rng: np.random.Generator) -> list[Segment]:
    """Segments as `segments_of` cuts them, but for where in an episode the first one begins, which is drawn."""
    segments: list[Segment] = []
    for name, count in steps.items():
        whole, rest = divmod(count, length)
        first = int(rng.integers(0, rest + 1)) if whole else 0
        segments += [Segment(name, first + i * length, length) for i in range(whole)]
    return segments
