"""Cloning on the human data of our own run: same demonstrations, same corrections, no reinforcement learning."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from robot_rlhf.apps.build import build_policy, build_trainer, build_world
from robot_rlhf.apps.config import TrainConfig
from robot_rlhf.apps.judge import describe_final, final_evaluation
from robot_rlhf.journal.reader import replay_into
from robot_rlhf.replay.mixing import PRIOR
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.timing import FakeClock

UPDATES = 10_000


def clone_same_data(config: TrainConfig, journal: Path) -> dict[str, Any]:
    """Clone everything the person did in a recorded run of ours, and evaluate the clone."""
    spec = build_world(config, FakeClock()).spec
    trainer, _ = build_trainer(replace(config, algorithm="cloning"), spec, lambda _step, _metrics: None)
    tally = Tally(spec.control_period)
    replay_into(journal, trainer)
    replay_into(journal, tally)
    begun = time.monotonic()
    batches = trainer.buffer.sample_many
    for _ in range(UPDATES // 10):
        trainer.learner.warm_start(batches(10, 256, {PRIOR: 1.0}))
    seconds = time.monotonic() - begun
    policy = build_policy(config, spec, practises=False)
    policy.load(trainer.learner.snapshot())
    result = final_evaluation(config, policy)
    return {
        **describe_final(result),
        "env_steps": tally.steps,
        "train_s": round(seconds, 1),
        "hands_on_seconds": tally.hands_on_seconds,
        "at_machine_seconds": tally.at_machine_seconds,
    }
