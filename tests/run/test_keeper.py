"""A run that practice alone measures keeps its best policy, in every mode, and knows after a kill what it knew."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rlhf.apps.cli import main
from robot_rlhf.datatypes import WeightSnapshot
from robot_rlhf.errors import CheckpointError
from robot_rlhf.journal.reader import replay_into
from robot_rlhf.learner.checkpoint import read_snapshot, write_snapshot
from robot_rlhf.run.folder.run_folder import MetricsLog, RunFolder, read_json_lines
from robot_rlhf.run.results.keeper import SENTENCES, Keeper, described
from robot_rlhf.run.settings import TrainConfig, read_yaml
from robot_rlhf.run.train import train
from robot_rlhf.runtime.practice_monitor import Verdict
from robot_rlhf.runtime.practice_weights import Weights
from tests.runtime.runs import practice, tiny


def unmeasured(out: Path, **changes: Any) -> TrainConfig:
    base = tiny(out, **changes)
    return replace(base, evaluation=replace(base.evaluation, every=0))


def snapshot(version: int) -> WeightSnapshot:
    return WeightSnapshot(version, {"w": np.full(2, version, np.float32)})


class Told:
    """A keeper of a folder of its own, and what it said."""

    def __init__(self, folder: Path) -> None:
        self.folder = RunFolder.create(folder, "run")
        self.said: list[str] = []
        self.metrics = MetricsLog(self.folder)
        self.keeper = Keeper(self.folder, unmeasured(folder), self.metrics, self.said.append)
        self.steps = 0

    def episode(self, alone: bool, weights: Weights = Weights.NEWEST, version: int = 1) -> None:
        self.keeper.monitor.note(alone, weights)
        self.steps += 10
        self.keeper.after_episode(self.steps, lambda which: snapshot(version + 1_000 * (which is Weights.AVERAGED)))

    @property
    def kept(self) -> int:
        return read_snapshot(self.folder.best)[0].version


# -- the keeper --------------------------------------------------------------------------------------------------------


def test_what_practice_begins_with_is_kept_until_something_is_better(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.keeper.begin(False, lambda which: snapshot(0))
    assert told.folder.chosen is None, "random weights are no policy"
    told.keeper.begin(True, lambda which: snapshot(0))
    assert (told.kept, read_snapshot(told.folder.first)[0].version) == (0, 0)
    for _ in range(10):
        told.episode(True)
    assert told.kept == 0, "nothing is known of it yet"
    told.episode(True, Weights.KEPT)
    told.episode(True, version=6)
    assert told.kept == 0, "it may be as good"
    told.episode(False, Weights.KEPT)
    told.episode(True, version=7)
    assert told.kept == 7


def test_a_bad_start_that_hardly_practises_again_does_not_stay(tmp_path: Path) -> None:
    """What practice tries by what is known of each: what failed once is tried rarely, and yet practice got better."""
    told = Told(tmp_path)
    told.keeper.begin(True, lambda which: snapshot(0))
    rng, tried = np.random.default_rng(0), list[Weights]()
    for number in range(60):
        weights = told.keeper.choose(number)
        assert weights is not None
        tried.append(weights)
        told.episode(rng.random() < (0.2 if weights is Weights.KEPT and told.kept == 0 else 0.9), weights, version=5)
    assert tried[:40].count(Weights.KEPT) > 0
    assert told.kept in (5, 1_005)


def test_the_best_stays_when_practice_falls_and_that_is_said_once(tmp_path: Path) -> None:
    told = Told(tmp_path)
    for number in range(40):
        told.episode(True, version=number)
    assert told.kept == 39
    for _ in range(30):
        told.episode(False, version=99)
    assert told.kept == 39
    assert len(told.said) == 1
    assert told.said[0].startswith(SENTENCES[Verdict.WORSE])
    rows = [row for row in read_json_lines(told.folder.metrics) if row["group"] == "monitor"]
    assert [row["worse"] for row in (rows[0], rows[-1])] == [0.0, 1.0]
    assert len(rows) == 70


def test_weights_of_a_learner_that_is_being_started_again_are_kept_later(tmp_path: Path) -> None:
    told = Told(tmp_path)

    def missing(which: Weights) -> WeightSnapshot:
        raise CheckpointError("weights.safetensors: missing")

    for _ in range(8):
        told.keeper.monitor.note(True, Weights.NEWEST)
        told.keeper.after_episode(10, missing)
    assert told.folder.chosen is None
    told.episode(True, version=5)
    assert told.kept == 5


def test_kept_weights_practise_only_where_there_are_some(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.keeper.monitor.adopt()
    assert Weights.KEPT not in {told.keeper.choose(number) for number in range(60)}
    write_snapshot(told.folder.best, snapshot(1))
    assert {told.keeper.choose(number) for number in range(60)} == set(Weights)


def test_an_evaluated_run_leaves_it_to_its_evaluations(tmp_path: Path) -> None:
    told = Told(tmp_path)
    keeper = Keeper(told.folder, tiny(tmp_path), told.metrics, told.said.append)
    keeper.begin(True, lambda which: snapshot(0))
    keeper.after_episode(10, lambda which: snapshot(0))
    assert keeper.choose(3) is None
    assert told.folder.chosen is None


def test_nothing_is_known_of_weights_that_were_to_be_replaced_when_the_run_was_killed(tmp_path: Path) -> None:
    told = Told(tmp_path)
    for number in range(20):
        told.episode(number % 2 == 0, version=number)
    told.keeper.recovered()
    known = told.keeper.monitor.kept
    assert known is not None
    assert known.episodes > 0, "the file is what was kept"
    while told.keeper.monitor.to_keep is None:
        told.keeper.monitor.note(True, Weights.NEWEST)  # killed before it is written
    told.keeper.recovered()
    assert told.keeper.monitor.kept is not None
    assert told.keeper.monitor.kept.episodes == 0
    assert Weights.KEPT in {told.keeper.choose(number) for number in range(60)}, "it practises, and becomes known"


# -- whole runs --------------------------------------------------------------------------------------------------------


def check(run: Path) -> None:
    """The record says who drove; the journal played again gives what the run knew; the best policy is deployed."""
    folder, summary = RunFolder(run), json.loads((run / "summary.json").read_text())
    driven = [episode.meta.weights for episode in practice(run)]
    assert driven
    assert set(driven) <= {weights.value for weights in Weights}
    log = MetricsLog(folder)
    again = Keeper(folder, read_yaml(folder.config), log, lambda text: None)
    log.close()
    replay_into(folder.journal, again.monitor, pictures=False)
    assert described(again.monitor.report) == summary["practice"]
    assert folder.chosen == folder.best
    assert read_snapshot(folder.best)[0].checksum == summary["policy_checksum"]


@pytest.mark.parametrize(
    "mode", ["synchronous", *(pytest.param(mode, marks=pytest.mark.slow) for mode in ("asynchronous", "parallel"))]
)
def test_every_mode_keeps_its_best_by_practice(tmp_path: Path, mode: str) -> None:
    train(unmeasured(tmp_path, mode=mode, steps=200), quiet=True)
    check(tmp_path / "run")


def test_a_run_that_goes_on_knows_what_it_knew(tmp_path: Path) -> None:
    """The same whether it was resumed or not, but for what the learner drew."""
    train(unmeasured(tmp_path, steps=200), quiet=True)
    run = tmp_path / "run"
    before = json.loads((run / "summary.json").read_text())["practice"]
    assert main(["train", "--resume", str(run), "--steps", "260", "--quiet"]) == 0
    after = json.loads((run / "summary.json").read_text())["practice"]
    assert after["episodes"] > before["episodes"]
    check(run)
