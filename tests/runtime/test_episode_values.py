"""The critic's values of an episode, step by step, against sums by hand; and the line they become."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_rlhf.datatypes import Array, EpisodeKind, Step
from robot_rlhf.run.folder.run_folder import append_json, append_values, read_json_lines
from robot_rlhf.runtime.value_check import EpisodeValues, ValueCheck
from tests.runtime.stations import Rig


def critic(steps: list[Step], actions: Array) -> Array:
    """0.5, 0.6, 0.7, ..."""
    return np.array([0.5 + 0.1 * t for t in range(len(steps))], np.float32)


def compared(rig: Rig, kind: EpisodeKind = EpisodeKind.PRACTICE) -> EpisodeValues | None:
    check = ValueCheck(critic, 0.9)
    rig.station.subscribers = (rig.listener, check)
    rig.run(kind)
    return check.last_values


def test_a_success_after_three_steps() -> None:
    rig = Rig()
    rig.task.succeeds = lambda o: o.stamp - rig.listener.told("start")[-1][1].stamp > 0.12
    values = compared(rig)
    assert values is not None
    assert values.episode == rig.listener.told("start")[-1][0].id
    assert values.q == pytest.approx([0.5, 0.6, 0.7])
    assert values.returns == pytest.approx([0.81, 0.9, 1.0])


def test_a_time_limit_goes_on_with_the_value_of_the_last_step() -> None:
    rig = Rig()
    rig.task.time_limit = 4
    values = compared(rig)
    assert values is not None
    assert values.q == pytest.approx([0.5, 0.6, 0.7, 0.8])
    assert values.returns == pytest.approx([0.8 * 0.729, 0.8 * 0.81, 0.8 * 0.9, 0.8])


def test_an_evaluation_is_not_compared() -> None:
    assert compared(Rig(), EpisodeKind.EVALUATION) is None


def test_a_line_per_episode_and_a_cut_one_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "values.jsonl"
    q = np.array([1 / 3, np.nan, -np.inf], np.float32)
    append_values(path, EpisodeValues("practice-000001", q, np.array([0.81, 0.9, 1.0])), 12)
    append_values(path, EpisodeValues("practice-000002", q, np.array([0.81, 0.9, 1.0])), 13)
    path.write_bytes(path.read_bytes()[:-9])
    (row,) = read_json_lines(path)
    assert row == {
        "episode": "practice-000001",
        "policy_updates": 12,
        "q": [0.3333, None, None],
        "return": [0.81, 0.9, 1.0],
    }
    append_json(path, {"episode": "practice-000003"})
    assert [r["episode"] for r in read_json_lines(path)] == ["practice-000001", "practice-000003"]
