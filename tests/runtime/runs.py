"""Whole runs, made tiny, and what they left behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from robot_rlhf.datatypes import EpisodeKind
from robot_rlhf.episode import Episode
from robot_rlhf.journal.reader import episodes
from robot_rlhf.run.settings import TrainConfig, defaults_for
from robot_rlhf.runtime.governor import Governor


def tiny(out: Path, **changes: Any) -> TrainConfig:
    """A run of reach that takes a second or two."""
    base = defaults_for("reach")
    config = replace(
        base,
        out=out,
        name="run",
        steps=130,
        demonstrations=1,
        video_episodes=0,
        checkpoint_every=40,
        network=replace(base.network, hidden=(32, 32)),
        trainer=replace(
            base.trainer,
            batch_size=32,
            start_after=20,
            updates_per_step=1.5,
            warm_start_updates=40,
            warm_critic_updates=10,
        ),
        evaluation=replace(base.evaluation, every=60, episodes=2, final_episodes=3),
        asynchronous=replace(base.asynchronous, publish_every=10),
    )
    return replace(config, **changes)


def practice(run: Path) -> list[Episode]:
    """The practice episodes of a run's journal."""
    return [e for e in episodes(run / "journal") if e.meta.kind is EpisodeKind.PRACTICE]


def earned(config: TrainConfig, steps: int) -> int:
    """Updates that so many practice steps earn."""
    return Governor(config.trainer.updates_per_step, config.trainer.start_after).due(steps, 0)
