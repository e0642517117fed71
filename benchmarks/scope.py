"""Does a rule change what the policy does in its scope, and nothing elsewhere? The policy alone, no rule standing.

    python -m benchmarks.scope                         slower near the cube, and from above: pick_cube, seeds 200 to 202
    python -m benchmarks.scope --learner dagger --off
    python -m benchmarks.scope --task push --steps 2000 --rules "keep away from the lamp"

A policy is trained for so many steps, with a person. Then its learner goes on twice for so many updates from the same
checkpoint and the same draws: with the rule said once, and without it. Both are asked what they would do in all states
of 50 unaided episodes. A state in scope obeys where what the policy does is nearer to what the rule makes of the other
policy's action than to that action; only states are counted in which the rule changes anything. There the rule leaves
an action where it would change no entry by 0.1. Elsewhere (outside of twice its distances) the change is the mean of
the entries' differences, in full actions; so is how far both moved since the rule was said. Success is also that of
the other policy while the rule stands, which is what obeying costs by itself. With --off the rule is taken back then,
and after as many updates again the same is asked, beside the policy that learned as long without it. Rows are appended
to benchmarks/results/words.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from robot_rlhf.datatypes import (
    Action,
    Assignment,
    Driver,
    EpisodeEnd,
    EpisodeMeta,
    Event,
    Feedback,
    FeedbackKind,
    Observation,
    RobotSpec,
    Segment,
    Step,
)
from robot_rlhf.facts import columns_of
from robot_rlhf.journal.reader import replay_into
from robot_rlhf.language.rules import Rules, filtered, in_scope, near_scope
from robot_rlhf.learner.cloning import DaggerConfig
from robot_rlhf.meaning import Meaning
from robot_rlhf.policy.learned import LearnedPolicy
from robot_rlhf.ports import Policy
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
    "slower near the glass": Meaning("rule", rule="slower", thing="glass"),
    "keep away from the lamp": Meaning("rule", rule="keep_away", thing="lamp"),
}
USUAL = {"pick_cube": list(RULES)[:2], "push": list(RULES)[2:]}
EPISODES, JUDGED = 50, 100
"""Unaided episodes of whose states policies are asked, and in which their success is counted."""
LEFT = 0.1
"""Of an entry in full actions: a rule that would change less leaves an action as it is."""
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


@dataclass(frozen=True)
class Setting:
    """What is learned, and for how long."""

    task: str
    learner: str
    steps: int
    updates: int
    out: Path

    def config(self, seed: int) -> TrainConfig:
        base = defaults_for(self.task)
        return replace(
            base,
            learner=DaggerConfig() if self.learner == "dagger" else base.learner,
            seed=seed,
            steps=self.steps,
            out=self.out,
            name=f"{self.task}-{self.learner}-{seed}",
            video_episodes=0,
            evaluation=replace(base.evaluation, every=0, final_episodes=1),
            words=replace(base.words, rule_weight=1.0, rule_speeds=True),
        )


class Going:
    """A learner that goes on from a run's checkpoint."""

    def __init__(self, config: TrainConfig, folder: RunFolder) -> None:
        self._config = config
        self._spec = open_place(config, FakeClock()).spec
        self._trainer = build_learning(config, self._spec).trainer
        ends: list[tuple[str, int]] = []

        class Ends(States):
            def on_episode_end(self, end: EpisodeEnd) -> None:
                ends.append((end.id, end.steps))

        replay_into(folder.journal, Ends())
        replay_into(folder.journal, self._trainer)
        self._trainer.load(folder.latest)
        self._trainer.governor = Governor(1e6, 0)
        self._last = ends[-1]

    def hear(self, rule: Meaning, doing: str) -> None:
        """The rule is said, or taken back, after the last episode."""
        episode, steps = self._last
        payload = {"sentence": f"{episode}/0", "by": "grammar", "meanings": [rule.to_json()], "doing": doing}
        span = Segment(episode, 0, steps)
        self._trainer.on_event(Feedback(FeedbackKind.MEANING, "Ada", 1e6, span, text=rule.words, payload=payload))

    def learn(self, updates: int) -> dict[str, LearnedPolicy]:
        """The newest policy after so many updates more, and the averaged one, which is deployed."""
        done = 0
        while done < updates:
            done += self._trainer.work(min(4, updates - done))
        learner = self._trainer.learner
        policies: dict[str, LearnedPolicy] = {}
        for who, weights in (("newest", learner.snapshot()), ("deployed", learner.averaged())):
            policies[who] = build_policy(self._config, self._spec, practises=False)
            policies[who].load(weights)
        return policies


def actions_of(policy: LearnedPolicy, seen: Sequence[Observation]) -> NDArray[np.float32]:
    """What it would do. Shape (T, m)."""
    rng = np.random.default_rng(0)
    return np.stack([policy.act(observation, Assignment(), rng).values for observation in seen])


class Held:
    """A Policy that is held to a rule as one that stands does it: what obeying costs by itself."""

    def __init__(self, policy: LearnedPolicy, rule: Meaning, spec: RobotSpec) -> None:
        self._policy, self._rules = policy, Rules(spec)
        self._rules.add("said", rule)

    @property
    def version(self) -> int:
        return self._policy.version

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        return self._rules.filter(observation, self._policy.act(observation, asked, rng), Driver.POLICY)

    def reset(self) -> None:
        self._policy.reset()


def compared(
    rule: Meaning,
    seen: Sequence[Observation],
    first: NDArray[np.float32],
    other: NDArray[np.float32],
    now: NDArray[np.float32],
    spec: RobotSpec,
) -> dict[str, Any]:
    """What a policy does beside another that was not told the rule, and beside what both were when it was said.

    Args:
        first, other, now: actions. Shape (T, m).
    """
    columns = columns_of(seen)
    wanted = filtered(rule, columns, other, spec)
    inside = in_scope(rule, columns) & (np.abs(wanted - other).max(axis=1) > CHANGES)
    outside = ~in_scope(rule, columns) & ~near_scope(rule, columns)
    nearer = np.linalg.norm(now - wanted, axis=1) < np.linalg.norm(now - other, axis=1)
    left = np.abs(filtered(rule, columns, now, spec) - now).max(axis=1) < LEFT
    left_before = np.abs(wanted - other).max(axis=1) < LEFT
    change = np.abs(now - other)

    def mean(values: NDArray[Any], rows: NDArray[np.bool_]) -> float | None:
        return round(float(values[rows].mean()), 4) if rows.any() else None

    return {
        "states_in": int(inside.sum()),
        "obeyed": mean(nearer, inside),
        "left": mean(left, inside),
        "left_without": mean(left_before, inside),
        "change_in": mean(change, inside),
        "states_out": int(outside.sum()),
        "change_out": mean(change, outside),
        "moved_out": mean(np.abs(now - first), outside),
        "moved_out_without": mean(np.abs(other - first), outside),
    }


def success(config: TrainConfig, policy: Policy, seed: int) -> float:
    """Share of unaided episodes, the same for all policies of a seed."""
    with evaluation_station(config, policy) as station:
        return sum(evaluate(station, episodes=JUDGED, seed=seed, first=20_000).successes) / JUDGED


def measured(setting: Setting, seed: int, rules: Sequence[str], *, off: bool) -> Iterator[dict[str, Any]]:
    """Rows of one seed."""
    config = setting.config(seed)
    folder = RunFolder(setting.out / str(config.name))
    if not folder.latest.exists():
        train(config, quiet=True)
    going = Going(config, folder)
    before = going.learn(0)
    without = [going.learn(setting.updates), *([going.learn(setting.updates)] if off else [])]
    states = States()
    with evaluation_station(config, without[0]["deployed"]) as station:
        evaluate(station, episodes=EPISODES, seed=seed, first=10_000, subscribers=(states,))
        spec = station.guard.spec
    succeeded = success(config, without[0]["deployed"], seed)
    for name in rules:
        told = Going(config, folder)
        told.hear(RULES[name], "rule")
        stages = [("said", told.learn(setting.updates))]
        if off:
            told.hear(RULES[name], "undone")
            stages.append(("taken back", told.learn(setting.updates)))
        for (stage, policies), others in zip(stages, without, strict=True):
            for who, policy in policies.items():
                first, other, now = (actions_of(each, states.seen) for each in (before[who], others[who], policy))
                row = {"what": "scope of a rule", "rule": name, "stage": stage, "policy": who, "seed": seed}
                row |= {"task": setting.task, "learner": setting.learner, "updates": setting.updates}
                row |= compared(RULES[name], states.seen, first, other, now, spec)
                if stage == "said" and who == "deployed":
                    held = success(config, Held(others[who], RULES[name], spec), seed)
                    row |= {"success_with": success(config, policy, seed)}
                    row |= {"success_without": succeeded, "success_held": held}
                yield row


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[200, 201, 202])
    parser.add_argument("--task", default="pick_cube")
    parser.add_argument("--learner", default="sac", choices=["sac", "dagger"])
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--rules", nargs="+", choices=list(RULES), help="those about things of the task")
    parser.add_argument("--updates", type=int, default=1_000)
    parser.add_argument("--off", action="store_true", help="take the rule back then, and ask again")
    parser.add_argument("--out", type=Path, help="where policies are trained, and taken from if they are there")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        out = options.out or Path(folder)
        setting = Setting(options.task, options.learner, options.steps, options.updates, out)
        for seed in options.seeds:
            for row in measured(setting, seed, options.rules or USUAL[options.task], off=options.off):
                row |= {"commit": source_commit(), "python": platform.python_version(), "cpu": os.cpu_count()}
                row["date"] = time.strftime("%Y-%m-%d")
                print(json.dumps(row), flush=True)
                with ROWS.open("a") as file:
                    file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
