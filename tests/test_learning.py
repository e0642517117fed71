"""It learns: whole runs with the default person, judged without help."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from robot_rlhf.run.settings import defaults_for
from robot_rlhf.run.train import train
from robot_rlhf_sim.tasks import Reach


def test_reach_is_learned(tmp_path: Path) -> None:
    """In 20 unaided episodes, within a thousand steps; small networks and a quick average keep it short."""
    base = defaults_for("reach")
    config = replace(
        base,
        out=tmp_path,
        steps=1_000,
        video_episodes=0,
        network=replace(base.network, hidden=(64, 64)),
        learner=replace(base.learner, average_rate=0.01),
        trainer=replace(base.trainer, batch_size=64, updates_per_step=4.0),
        evaluation=replace(base.evaluation, every=200, episodes=20, final_episodes=20, stop_at=0.8),
    )
    summary = train(config, quiet=True)
    assert summary["success_rate"] >= 0.8
    assert summary["env_steps"] < 1_000 + Reach.time_limit


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_pick_cube_is_learned_from_state(tmp_path: Path) -> None:
    """With the defaults: five clumsy demonstrations, sparse reward, an attentive person."""
    summary = train(replace(defaults_for("pick_cube"), out=tmp_path, video_episodes=0), quiet=True)
    assert summary["success_rate"] >= 0.9
    assert summary["hands_on_minutes"] < 2.0
