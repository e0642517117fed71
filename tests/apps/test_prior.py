"""Runs that begin with what was recorded elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from robot_rlhf.apps.build import open_place
from robot_rlhf.apps.config import TrainConfig, defaults_for
from robot_rlhf.apps.record import RecordOptions, record
from robot_rlhf.apps.train import train
from robot_rlhf.datatypes import Source
from robot_rlhf.errors import ConfigError, JournalError
from robot_rlhf.run.prior import take_in_prior
from robot_rlhf.run.trainer import build_learning
from robot_rlhf.timing import FakeClock


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prior") / "journal"
    record(RecordOptions(folder, task="reach", demonstrations=3, seed=7))
    return folder


def settings(out: Path, **changes: Any) -> TrainConfig:
    base = defaults_for("reach")
    evaluation = replace(base.evaluation, every=0, final_episodes=2)
    trainer = replace(base.trainer, warm_start_updates=20, warm_critic_updates=5, start_after=10)
    return replace(
        base, out=out, demonstrations=0, steps=40, evaluation=evaluation, trainer=trainer, video_episodes=0, **changes
    )


def test_replay_holds_what_was_recorded_and_the_run_has_earned_nothing_by_it(
    demonstrations: Path, tmp_path: Path
) -> None:
    config = settings(tmp_path, prior=(demonstrations,))
    learning = build_learning(config, open_place(config, FakeClock()).spec)
    taken = take_in_prior(config, open_place(config, FakeClock()).spec, learning)
    counts = learning.trainer.buffer.counts
    assert taken == len(learning.trainer.buffer) > 20
    assert counts[Source.DEMO] == taken
    assert learning.trainer.steps == 0


def test_a_run_without_demonstrations_of_its_own_imitates_them(demonstrations: Path, tmp_path: Path) -> None:
    summary = train(settings(tmp_path, prior=(demonstrations,)), quiet=True)
    assert summary["demonstrations"] == 0
    assert summary["hands_on_seconds"] == pytest.approx(summary["human_steps"] * 0.05, abs=0.06)
    assert summary["updates"] > 0
    without = train(settings(tmp_path), quiet=True)
    assert summary["policy_checksum"] != without["policy_checksum"]


def test_a_resumed_run_has_them_again(demonstrations: Path, tmp_path: Path) -> None:
    config = settings(tmp_path, prior=(demonstrations,), name="run")
    first = train(config, quiet=True)
    again = train(config, resume=tmp_path / "run", changes={"steps": 60}, quiet=True)
    assert again["env_steps"] >= 60 > first["env_steps"] - 20
    assert again["updates"] > first["updates"]


def test_what_cannot_be_begun_with_is_named(demonstrations: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"prior .*nowhere: no journal there; allowed"):
        train(settings(tmp_path / "runs", prior=(tmp_path / "nowhere",)), quiet=True)
    assert not list((tmp_path / "runs").glob("*")), "no folder is left of a run that could not begin"
    other = replace(settings(tmp_path / "runs", prior=(demonstrations,)), task="pick_cube")
    with pytest.raises(JournalError, match="prior"):
        train(other, quiet=True)
