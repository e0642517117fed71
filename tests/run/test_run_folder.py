"""The lines of a run's folder, its times, and which policy is kept as the best."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_rlhf.datatypes import WeightSnapshot
from robot_rlhf.errors import ConfigError
from robot_rlhf.learner.checkpoint import read_snapshot
from robot_rlhf.policy.learned import LearnedPolicy
from robot_rlhf.run.folder.run_folder import RunFolder, append_json, read_json_lines
from robot_rlhf.run.folder.stopwatch import Stopwatch
from robot_rlhf.run.results.judge import Judge, is_surely_more, steps_until
from robot_rlhf.run.settings import defaults_for
from robot_rlhf.runtime.evaluation import Evaluation
from tests.disks import full_at


def test_a_line_cut_by_a_crash_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append_json(path, {"a": 1})
    append_json(path, {"a": 2})
    path.write_bytes(path.read_bytes()[:-4])
    append_json(path, {"a": 3})
    append_json(path, {"a": 4})
    assert [row["a"] for row in read_json_lines(path)] == [1, 3, 4]


def test_no_file_is_no_lines(tmp_path: Path) -> None:
    assert read_json_lines(tmp_path / "none.jsonl") == []


def test_a_taken_name_gets_a_number(tmp_path: Path) -> None:
    names = [RunFolder.create(tmp_path, "run").path.name for _ in range(3)]
    assert names == ["run", "run-2", "run-3"]


def test_a_folder_without_settings_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no config\.yaml"):
        RunFolder.existing(tmp_path)


class Blank(LearnedPolicy):
    """Takes any weights, and is never asked to act."""

    def __init__(self) -> None:
        pass

    def load(self, snapshot: WeightSnapshot) -> None:
        pass


def test_one_lucky_measurement_is_not_the_best_of_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = iter([99, 97, 98, 98, 60])

    def measured(*_: object, **__: object) -> Evaluation:
        good = next(rates)
        return Evaluation((True,) * good + (False,) * (100 - good), (10,) * 100, (0.0,) * 100, 0)

    monkeypatch.setattr("robot_rlhf.run.results.judge.evaluate", measured)
    base = defaults_for("reach")
    config = replace(base, evaluation=replace(base.evaluation, episodes=100, stop_at=0.98))
    folder = RunFolder.create(tmp_path, "run")
    judge = Judge(config, folder, Blank(), resumed=False)
    satisfied: list[bool] = []
    for version in range(5):
        judge.measure(WeightSnapshot(version, {"w": np.full(1, version, np.float32)}), 500 * version, {})
        satisfied.append(judge.satisfied(0.0))
    assert satisfied == [False, False, False, True, False]
    assert read_snapshot(folder.best)[0].version == 3
    assert not judge.satisfied(0.5)
    assert steps_until(judge.rows, 0.97) == 500
    assert Judge(config, folder, Blank(), resumed=True).rows == judge.rows


@pytest.mark.parametrize(
    ("gained", "lost", "sure"),
    [(4, 0, False), (5, 0, True), (6, 1, False), (7, 1, True), (0, 0, False), (0, 9, False), (38, 1, True)],
)
def test_the_sign_test_by_hand(gained: int, lost: int, sure: bool) -> None:
    """1/16, 1/32, 8/128, 9/256: of five at most one in twenty is chance."""
    assert is_surely_more(gained, lost) is sure


def told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, averaged: str, newest: str) -> tuple[Judge, list[int]]:
    """Measure two policies whose outcomes at ten starts are given, S or F; and how many starts each look took."""
    looks: list[int] = []
    blank = Blank()

    def measured(*_: object, only: list[int] | None = None, **__: object) -> Evaluation:
        row = newest if looks else averaged
        places = range(10) if only is None else only
        looks.append(len(places))
        successes = tuple(row[place] == "S" for place in places)
        return Evaluation(successes, tuple(10 + p for p in places), tuple(float(p) for p in places), len(looks))

    monkeypatch.setattr("robot_rlhf.run.results.judge.evaluate", measured)
    config = replace(defaults_for("reach"), evaluation=replace(defaults_for("reach").evaluation, episodes=10))
    judge = Judge(config, RunFolder.create(tmp_path, "run"), blank, resumed=False)
    weights = [WeightSnapshot(3, {"w": np.full(1, value, np.float32)}) for value in (0, 1)]
    judge.measure(weights[0], 500, {}, weights[1])
    return judge, looks


@pytest.mark.parametrize(
    ("averaged", "newest", "looks", "weights"),
    [
        ("SSSSSSSSFF", "SSSSSSSSSS", [10], "averaged"),  # two more prove nothing
        ("FFFFFSSSSS", "SSSFFSSSSS", [10, 5], "averaged"),  # three of five neither
        ("FFFFFFSSSS", "SSSSSSFFSS", [10, 6, 4], "averaged"),  # six for two: 37 of 256
        ("FFFFSSSSFF", "SSSSSSSFSS", [10, 6, 4], "averaged"),  # six for one: 8 of 128
        ("FFSFFSFSFF", "SSSSSSSFSS", [10, 7, 3], "newest"),  # seven for one
        ("FFFFFFFFFF", "SSSSSSFFFF", [10, 10], "newest"),
    ],
)
def test_the_newest_weights_are_kept_where_they_are_surely_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, averaged: str, newest: str, looks: list[int], weights: str
) -> None:
    judge, seen = told_apart(tmp_path, monkeypatch, averaged, newest)
    row = judge.rows[-1]
    assert (seen, row["weights"]) == (looks, weights)
    chosen = newest if weights == "newest" else averaged
    assert row["successes"] == chosen.count("S")
    assert row["cycle_steps"] == round(np.mean([10 + place for place in range(10) if chosen[place] == "S"]), 2)
    assert read_snapshot(RunFolder(tmp_path / "run").best)[0].arrays["w"][0] == (weights == "newest")


def test_times_add_up_over_sessions_and_leave_measuring_out(tmp_path: Path) -> None:
    path = tmp_path / "seconds.json"
    first = Stopwatch(path, resumed=False)
    first.begin_training()
    with first.outside_training():
        time.sleep(0.3)
    first.save()
    assert first.times()["train_s"] < 0.2 < first.times()["wall_s"]
    second = Stopwatch(path, resumed=True)
    assert second.times()["wall_s"] >= first.times()["wall_s"] - 0.1
    path.write_text("{}")
    with pytest.raises(ConfigError, match=r"seconds\.json"):
        Stopwatch(path, resumed=True)


def test_a_full_disk_leaves_the_times_of_before(tmp_path: Path) -> None:
    """They were emptied, and the run could not be resumed."""
    path = tmp_path / "seconds.json"
    Stopwatch(path, resumed=False).save()
    before = path.read_bytes()
    with full_at(0), pytest.raises(OSError, match="File too large"):
        Stopwatch(path, resumed=True).save()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    Stopwatch(path, resumed=True).save()
