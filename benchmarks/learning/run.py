"""Does one run, in this process: its policy, what it cost, and how it went on the way."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.learning.cases import METHODS, Case
from benchmarks.learning.imitation import clone
from benchmarks.learning.measure import help_curve, measured
from benchmarks.learning.rows import Row
from benchmarks.learning.settings import changed_settings, config_of
from benchmarks.learning.stock_sac import stock_policy
from benchmarks.learning.unlearned import unlearned_policy
from robot_rlhf.datatypes import RobotSpec, WeightSnapshot
from robot_rlhf.errors import RobotRlhfError
from robot_rlhf.learner.checkpoint import read_snapshot
from robot_rlhf.policy.learned import LearnedPolicy
from robot_rlhf.ports import Policy
from robot_rlhf.run.build import build_policy, open_place, software_versions
from robot_rlhf.run.folder.provenance import source_commit
from robot_rlhf.run.folder.run_folder import RunFolder, read_json_lines
from robot_rlhf.run.numerics import tiny_is_zero
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.run.train import train
from robot_rlhf.run.trainer import build_learning
from robot_rlhf.timing import FakeClock

CLONE_EVERY = 1_000
"""Practice steps between the moments at which the data until then are cloned; the first evaluation's is one, too."""
HELP_POINTS = 60
"""Points of the curve of success with help that a row keeps, besides the worst."""


def run(case: Case, runs: Path) -> Row:
    """Do a run from its beginning; what an earlier try left of it is taken away.

    Args:
        runs: folder of the runs' folders.

    Returns:
        The row: what was run, with which program, what it cost, and what came out.

    Raises:
        RobotRlhfError: the run failed, was interrupted, or does not come out as it says itself.
    """
    begun = time.monotonic()
    commit = source_commit()
    config = config_of(case, runs)
    shutil.rmtree(runs / case.name, ignore_errors=True)
    torch.set_num_threads(1)
    kinds: Mapping[str, Callable[[Case, TrainConfig, Path], Row]] = {
        "training": _training,
        "session": _session,
        "cloning": _cloning,
        "stock": _stock,
        "unlearned": _unlearned,
    }
    with tiny_is_zero():
        result = kinds[METHODS[case.method].kind](case, config, runs)
    return {
        "task": case.task,
        "method": case.method,
        "person": case.person,
        "seed": case.seed,
        "variant": case.variant,
        "settings": list(case.settings),
        "changed": changed_settings(config),
        "control_period": _spec(config).control_period,
        "commit": commit,
        "versions": software_versions(),
        "ended": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "wall_s": round(time.monotonic() - begun, 1),
        "load": round(os.getloadavg()[0], 1),
        **result,
    }


def _training(case: Case, config: TrainConfig, runs: Path) -> Row:
    summary = train(config, quiet=True)
    if summary["interrupted"]:
        raise RobotRlhfError(f"{case.name}: interrupted; nothing is measured")
    folder = RunFolder(runs / case.name)
    if folder.chosen is None:
        raise RobotRlhfError(f"{case.name}: no policy: {summary.get('not_measured', 'nothing was learned')}")
    final = measured(config, _policy(config, read_snapshot(folder.chosen)[0]))
    if final["successes"] != summary["eval_successes"]:
        raise RobotRlhfError(
            f"{case.name}: measured again, the same policy on the same starts succeeds {final['successes']} times, "
            f"not {summary['eval_successes']}"
        )
    helped = help_curve(read_json_lines(folder.metrics))
    every = max(1, len(helped) // HELP_POINTS)
    return {
        **_spent(summary),
        "updates": summary["updates"],
        "human_step_share_last_20": summary["human_step_share_last_20"],
        "policy_checksum": summary["policy_checksum"],
        "warnings": summary["warnings"],
        "train_s": summary["train_s"],
        "final": final,
        "curve": read_json_lines(folder.evaluations),
        "helped": helped[::every],
        "worst_helped": min((rate for _, rate in helped), default=None),
    }


def _session(case: Case, config: TrainConfig, runs: Path) -> Row:
    """What a session without evaluation deploys, beside its newest policy, the averaged one and a clone of its data."""
    row = _training(case, config, runs)
    folder = RunFolder(runs / case.name)
    trainer = build_learning(config, _spec(config)).trainer
    trainer.load(folder.latest)
    policies = {
        "newest": _policy(config, trainer.learner.snapshot()),
        "averaged": _policy(config, trainer.learner.averaged()),
        "cloned": clone(config, folder.journal)[0],
    }
    others = {name: measured(config, policy) for name, policy in policies.items()}
    return {**row, "policies": {"deployed": row["final"], **others}}


def _cloning(case: Case, config: TrainConfig, runs: Path) -> Row:
    """The clone of all data, and on the way of the data until then, measured on the starts of that moment."""
    of = case.needs
    assert of is not None
    source = RunFolder(runs / of.name)
    dealt = case.method == "cloning_shuffled"
    begun = time.monotonic()
    policy, tally = clone(config, source.journal, dealt=dealt)
    seconds = time.monotonic() - begun
    final = measured(config, policy)
    curve: list[Row] = []
    episodes, due = config.evaluation.episodes, 0
    for number, evaluation in enumerate(read_json_lines(source.evaluations)):
        step = int(evaluation["step"])
        if step < due:
            continue
        due = (step // CLONE_EVERY + 1) * CLONE_EVERY
        then, spent = clone(config, source.journal, until=step, dealt=dealt)
        point = measured(config, then, episodes=episodes, first=number * episodes)
        curve.append({**point, "step": spent.steps, "hands_on_seconds": round(spent.hands_on_seconds, 2)})
    return {
        "env_steps": tally.steps,
        "demonstrations": tally.demonstrations,
        "hands_on_seconds": round(tally.hands_on_seconds, 2),
        "at_machine_seconds": round(tally.at_machine_seconds, 2),
        "train_s": round(seconds, 1),
        "final": final,
        "curve": curve,
    }


def _stock(case: Case, config: TrainConfig, runs: Path) -> Row:
    begun = time.monotonic()
    policy = stock_policy(config)
    return _alone(config, policy, steps=config.steps, seconds=time.monotonic() - begun)


def _unlearned(case: Case, config: TrainConfig, runs: Path) -> Row:
    return _alone(config, unlearned_policy(case.method, config), steps=0, seconds=0.0)


def _alone(config: TrainConfig, policy: Policy, *, steps: int, seconds: float) -> Row:
    """Of a policy that nobody had a hand in."""
    return {
        "env_steps": steps,
        "demonstrations": 0,
        "hands_on_seconds": 0.0,
        "at_machine_seconds": 0.0,
        "train_s": round(seconds, 1),
        "final": measured(config, policy),
        "curve": [],
    }


def _spent(summary: Mapping[str, Any]) -> Row:
    names = ("env_steps", "demonstrations", "hands_on_seconds", "at_machine_seconds")
    if summary["sentences"]:
        names = (*names, "sentences", "speaking_seconds", "spoken_steps")
    return {name: summary[name] for name in names}


def _spec(config: TrainConfig) -> RobotSpec:
    return open_place(config, FakeClock()).spec


def _policy(config: TrainConfig, snapshot: WeightSnapshot) -> LearnedPolicy:
    policy = build_policy(config, _spec(config), practises=False)
    policy.load(snapshot)
    return policy
