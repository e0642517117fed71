"""Runs that begin with what was recorded elsewhere, or with a policy."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rlhf.apps.record import RecordOptions, record
from robot_rlhf.datatypes import Feedback, FeedbackKind, Segment, Source
from robot_rlhf.errors import CheckpointError, ConfigError, JournalError
from robot_rlhf.journal.labels import LabelWriter
from robot_rlhf.journal.reader import replay_into
from robot_rlhf.learner.checkpoint import read_snapshot
from robot_rlhf.learner.cloning import CloningConfig
from robot_rlhf.learner.recipe import LearnerConfig
from robot_rlhf.naming import make_own
from robot_rlhf.policy.networks import NetworkConfig
from robot_rlhf.run.build import open_place
from robot_rlhf.run.prior import take_in_prior
from robot_rlhf.run.settings import TrainConfig, defaults_for
from robot_rlhf.run.train import train
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
    assert counts[Source.DEMO] > 0.8 * taken, "all but rests"
    assert counts[Source.DEMO] + counts[Source.OTHER] == taken
    assert learning.trainer.steps == 0


def test_what_is_deleted_in_it_is_no_episode_of_the_run_that_has_the_same_name(
    demonstrations: Path, tmp_path: Path
) -> None:
    deleted = tmp_path / "deleted"
    shutil.copytree(demonstrations, deleted)
    with LabelWriter(deleted) as writer:
        writer.give(Feedback(FeedbackKind.DISCARD, "person", 0.0, Segment("demonstration-000000", 0, 1), value=1.0))
    config = settings(tmp_path, prior=(deleted,))
    spec = open_place(config, FakeClock()).spec
    (alone, with_prior) = (build_learning(config, spec) for _ in range(2))
    replay_into(demonstrations, alone.feed)
    taken = take_in_prior(config, spec, with_prior)
    replay_into(demonstrations, with_prior.feed)
    assert len(with_prior.trainer.buffer) - taken == len(alone.trainer.buffer)


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


def weights_of(run: Path) -> dict[str, Any]:
    arrays = read_snapshot(run / "checkpoints" / "policy.safetensors")[0].arrays
    return {name: array for name, array in arrays.items() if not name.startswith(("imitators.", "judge."))}


@pytest.mark.parametrize(
    "kind", [pytest.param("cloning", marks=pytest.mark.slow), "sac", pytest.param("iql", marks=pytest.mark.slow)]
)
def test_a_run_goes_on_from_anothers_policy(kind: str, demonstrations: Path, tmp_path: Path) -> None:
    taught = settings(tmp_path, prior=(demonstrations,), name="taught", learner=CloningConfig())
    train(taught, quiet=True)
    learner = make_own(LearnerConfig.of_kind(kind), kind, "learner")
    config = settings(tmp_path, start=tmp_path / "taught", learner=learner)
    begun = build_learning(config, open_place(config, FakeClock()).spec).trainer
    assert begun.learned, "it can be deployed before its first update"
    for snapshot in (begun.learner.snapshot(), begun.learner.averaged()):
        for name, array in weights_of(tmp_path / "taught").items():
            np.testing.assert_array_equal(snapshot.arrays[name], array)


def test_what_is_no_policy_to_start_from_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"start .*nowhere: no policy there; allowed"):
        train(settings(tmp_path / "runs", start=tmp_path / "nowhere"), quiet=True)
    small = replace(settings(tmp_path, name="small"), network=NetworkConfig(hidden=(8,)))
    train(replace(small, learner=CloningConfig(), demonstrations=1), quiet=True)
    with pytest.raises(CheckpointError, match="start"):
        train(settings(tmp_path / "runs", start=tmp_path / "small"), quiet=True)
