"""Does a rule change what the policy does in its scope, and nothing elsewhere? The policy alone, no rule standing.

    python -m benchmarks.scope                         slower near the cube, and from above: pick_cube, seeds 200 to 202
    python -m benchmarks.scope --updates 2000 --weight 1

A policy is trained for 1,000 steps, with a person. Then its learner goes on twice for so many updates from the same
checkpoint and the same draws: with the rule said once, and without it. Both are asked what they would do in all states
of 50 unaided episodes. A state in scope obeys where what the policy does is nearer to what the rule makes of the other
policy's action than to that action; only states are counted in which the rule changes anything. Elsewhere (outside of
twice its distances) the change is the mean of the entries' differences, in full actions. Rows are appended to
benchmarks/results/words.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from robot_rlhf.datatypes import (
    Assignment,
    EpisodeEnd,
    EpisodeMeta,
    Event,
    Feedback,
    FeedbackKind,
    Observation,
    Segment,
    Step,
)
from robot_rlhf.facts import columns_of
from robot_rlhf.journal.reader import replay_into
from robot_rlhf.language.rules import filtered, in_scope, near_scope
from robot_rlhf.meaning import Meaning
from robot_rlhf.policy.learned import LearnedPolicy
from robot_rlhf.run.build import build_policy, evaluation_station, open_place
from robot_rlhf.run.folder.provenance import source_commit
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.settings import TrainConfig, defaults_for
from robot_rlhf.run.train import train
from robot_rlhf.run.trainer import build_learning
from robot_rlhf.runtime.evaluation import evaluate
from robot_rlhf.runtime.governor import Governor
from robot_rlhf.timing import FakeClock

ROWS = Path(__file__).parent / "results" / "words.jsonl"
RULES = {
    "slower near the cube": Meaning("rule", rule="slower", thing="cube"),
    "always come to the cube from above": Meaning("rule", rule="from_above", thing="cube"),
}
EPISODES = 50
CHANGES = 0.02
"""Of an entry in full actions: a rule that changes less has nothing to say there."""


class States:
    """A Subscriber that keeps every state."""

    def __init__(self) -> None:
        self.seen: list[Observation] = []

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        """A first step follows."""

    def on_step(self, step: Step) -> None:
        self.seen.append(step.observation)

    def on_event(self, event: Event) -> None:
        """No state."""

    def on_episode_end(self, end: EpisodeEnd) -> None:
        """No state."""


def learned(config: TrainConfig, folder: RunFolder, rule: Meaning | None, updates: int) -> LearnedPolicy:
    """The policy after so many more updates from the run's checkpoint, with a rule said at their beginning or not."""
    spec = open_place(config, FakeClock()).spec
    trainer = build_learning(config, spec).trainer
    ends: list[tuple[str, int]] = []

    class Ends(States):
        def on_episode_end(self, end: EpisodeEnd) -> None:
            ends.append((end.id, end.steps))

    replay_into(folder.journal, Ends())
    replay_into(folder.journal, trainer)
    trainer.load(folder.latest)
    if rule is not None:
        episode, steps = ends[-1]
        payload = {"sentence": f"{episode}/0", "by": "grammar", "meanings": [rule.to_json()], "doing": "rule"}
        span = Segment(episode, 0, steps)
        trainer.on_event(Feedback(FeedbackKind.MEANING, "Ada", 1e6, span, text=rule.words, payload=payload))
    trainer.governor = Governor(1e6, 0)
    done = 0
    while done < updates:
        done += trainer.work(min(50, updates - done))
    policy = build_policy(config, spec, practises=False)
    policy.load(trainer.learner.snapshot())
    return policy


def actions_of(policy: LearnedPolicy, seen: Sequence[Observation]) -> NDArray[np.float32]:
    """What it would do. Shape (T, m)."""
    rng = np.random.default_rng(0)
    return np.stack([policy.act(observation, Assignment(), rng).values for observation in seen])


def measured(name: str, seed: int, updates: int, weight: float, per_update: int, out: Path) -> dict[str, Any]:
    """One rule, one seed."""
    rule = RULES[name]
    base = defaults_for("pick_cube")
    config = replace(
        base,
        seed=seed,
        steps=1_000,
        out=out,
        name=f"scope-{seed}",
        video_episodes=0,
        evaluation=replace(base.evaluation, every=0, final_episodes=1),
        words=replace(base.words, rule_speeds=True, weight=weight, per_update=per_update),
    )
    folder = RunFolder(out / f"scope-{seed}")
    if not folder.latest.exists():
        train(config, quiet=True)
    with_rule, without = (learned(config, folder, each, updates) for each in (rule, None))
    states = States()
    with evaluation_station(config, without) as station:
        evaluate(station, episodes=EPISODES, seed=seed, first=10_000, subscribers=(states,))
        spec = station.guard.spec
    columns = columns_of(states.seen)
    other, now = actions_of(without, states.seen), actions_of(with_rule, states.seen)
    wanted = filtered(rule, columns, other, spec)
    inside = in_scope(rule, columns) & (np.abs(wanted - other).max(axis=1) > CHANGES)
    outside = ~in_scope(rule, columns) & ~near_scope(rule, columns)
    nearer = np.linalg.norm(now - wanted, axis=1) < np.linalg.norm(now - other, axis=1)
    change = np.abs(now - other)
    success = {}
    for who, policy in (("with", with_rule), ("without", without)):
        with evaluation_station(config, policy) as station:
            result = evaluate(station, episodes=EPISODES, seed=seed, first=20_000)
        success[f"success_{who}"] = round(sum(result.successes) / EPISODES, 3)
    return {
        "what": "scope of a rule",
        "rule": name,
        "seed": seed,
        "updates": updates,
        "weight": weight,
        "per_update": per_update,
        "states_in": int(inside.sum()),
        "obeyed": round(float(nearer[inside].mean()), 4) if inside.any() else None,
        "change_in": round(float(change[inside].mean()), 4) if inside.any() else None,
        "states_out": int(outside.sum()),
        "change_out": round(float(change[outside].mean()), 4) if outside.any() else None,
        **success,
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[200, 201, 202])
    parser.add_argument("--rules", nargs="+", default=list(RULES), choices=list(RULES))
    parser.add_argument("--updates", type=int, default=1_000)
    parser.add_argument("--weight", type=float, default=0.3)
    parser.add_argument("--per-update", type=int, default=1)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for seed in options.seeds:
            for name in options.rules:
                row = measured(name, seed, options.updates, options.weight, options.per_update, Path(folder))
                row |= {"commit": source_commit(), "python": platform.python_version(), "cpu": os.cpu_count()}
                row["date"] = time.strftime("%Y-%m-%d")
                print(json.dumps(row), flush=True)
                with ROWS.open("a") as file:
                    file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
