"""Recordings whose actions nobody knows: imported when asked for, taken by what needs none, refused by the rest."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest

from robot_rlhf.apps.cli import main
from robot_rlhf.datatypes import Driver, EpisodeKind
from robot_rlhf.episode import Episode
from robot_rlhf.journal.export import export
from robot_rlhf.journal.reader import episodes
from robot_rlhf.journal.summary import describe
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.runtime.trajectories import read_trajectories
from tests.journal.sessions import make_episode, make_spec, tell
from tests.journal.teleop_bags import Drive, write_bag

SESSION = Path(__file__).parents[2] / "datasets" / "sample_session"
VALUES = f"{Path(__file__).parent / 'states_alone.py'}:StateValueConfig"
DROVE = ("driver", "intervention")
UNKNOWN = "what the robot was told is not known in any of"


def stripped(tmp_path: Path, form: str) -> Path:
    """The sample session as data of others, of which nobody recorded the actions."""
    source = tmp_path / "data"
    export(SESSION, source, form)
    if form == "lerobot":
        info = json.loads((source / "meta/info.json").read_text())
        file, names = source / "data/chunk-000/file-000.parquet", ("action", "policy_action", "policy_asked", *DROVE)
        for name in names:
            info["features"].pop(name)
        pq.write_table(pq.read_table(file).drop_columns(list(names)), file)
        (source / "meta/info.json").write_text(json.dumps(info))
        return source
    with h5py.File(source, "a") as file:
        data: Any = file["data"]
        for group in data.values():
            for name in ("actions", "policy_actions", "drivers", "interventions"):
                del group[name]
    return source


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of the sample session without its actions."""
    folder = tmp_path_factory.mktemp("films")
    source = stripped(folder, "robomimic")
    assert main(["journal", "import", str(source), "--out", str(folder / "journal"), "--without-actions"]) == 0
    return folder / "journal"


def check_watched(found: list[Episode], told: list[Episode]) -> None:
    assert len(found) == len(told)
    for back, ours in zip(found, told, strict=True):
        assert not back.acted.any()
        assert np.isnan(back.proposed).all()
        assert np.array_equal(back.reward, ours.reward)
        whole = len(ours)
        for name in ("joint_position", "tool_pose_in_base", "scene/cube"):
            assert np.allclose(back.observations[name][:whole], ours.observations[name][:whole], atol=1e-6), name
        shown = ours.meta.kind is EpisodeKind.DEMONSTRATION
        assert set(back.driver.tolist()) == {int(Driver.HUMAN if shown else Driver.POLICY)}


@pytest.mark.parametrize(("form", "lacks"), [("lerobot", "action "), ("robomimic", "demo_0 lacks actions ")])
def test_data_without_actions_is_taken_when_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str, lacks: str
) -> None:
    source, out = stripped(tmp_path, form), tmp_path / "out"
    assert main(["journal", "import", str(source), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert lacks in said
    assert "(--without-actions takes what was observed alone)" in said
    assert not out.exists()
    assert main(["journal", "import", str(source), "--out", str(out), "--without-actions"]) == 0
    check_watched(list(episodes(out)), list(episodes(SESSION)))


def test_a_bag_of_states_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not the measured motion in the place of commands, as it is taken for otherwise."""
    bag = write_bag(tmp_path / "bag", Drive().messages(commands="none"))
    words = ["journal", "import", str(bag), "--task", "slide", "--episodes.by", "whole"]
    words += ["--reading.gripper.joint", "finger", "--reading.gripper.closed", "0", "--reading.gripper.open", "0.04"]
    assert main([*words, "--out", str(tmp_path / "acted")]) == 0
    capsys.readouterr()
    assert main([*words, "--out", str(tmp_path / "out"), "--without-actions"]) == 0
    said = capsys.readouterr().out
    assert "actions: nothing: they stay unknown (--without-actions)" in said
    (acted,), (watched,) = (list(episodes(tmp_path / name)) for name in ("acted", "out"))
    assert acted.acted.all()
    assert not watched.acted.any()
    for name, column in acted.observations.items():
        assert np.array_equal(column, watched.observations[name]), name
    assert np.array_equal(acted.reward, watched.reward)
    assert main(["journal", "info", str(tmp_path / "out")]) == 0
    assert f"not known in {len(watched)} of the steps" in capsys.readouterr().out
    assert describe(tmp_path / "acted").steps_without_actions == 0


@pytest.mark.parametrize("learner", ["iql", "cloning"])
def test_who_learns_from_actions_refuses_them(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], learner: str
) -> None:
    words = ["offline", str(films), "--learner", learner, "--out", str(tmp_path), "--updates", "5", "--quiet"]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert f"{films}: {UNKNOWN}" in said
    assert f"--learner {learner} learns from actions; allowed:" in said
    assert list(tmp_path.iterdir()) == []


def test_a_run_refuses_to_begin_with_them(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--task", "pick_cube", "--prior", str(films), "--steps", "10", "--out", str(tmp_path), "--quiet"]
    assert main([*words, "--demonstrations", "0", "--video-episodes", "0"]) == 2
    assert f"prior {films}: {UNKNOWN}" in capsys.readouterr().err


def test_beside_others_they_are_left_out_with_a_word(
    films: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = ["offline", str(SESSION), str(films), "--out", str(tmp_path), "--name", "new", "--episodes", "1"]
    assert main([*words, "--updates", "5", "--quiet"]) == 0
    rows = json.loads((tmp_path / "new/summary.json").read_text())["offline"]["rows"]
    assert rows["watched"] > 0
    assert f"{rows['watched']} of {sum(rows.values())} steps have no known action" in caplog.text


def test_values_are_learned_from_states_alone(films: Path, tmp_path: Path) -> None:
    words = ["offline", str(films), "--learner", VALUES, "--out", str(tmp_path), "--name", "new", "--episodes", "1"]
    assert main([*words, "--updates", "700", "--batch-size", "32", "--quiet"]) == 0
    summary = json.loads((tmp_path / "new/summary.json").read_text())
    assert summary["updates"] == 700
    assert summary["offline"]["rows"].keys() == {"watched"}
    lines = [json.loads(line) for line in (tmp_path / "new/metrics.jsonl").read_text().splitlines()]
    errors = [line["error"] for line in lines if "error" in line]
    assert errors[-1] < 0.5 * errors[0]


def test_such_a_learner_takes_recorded_rewards_alone(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["offline", str(films), "--learner", VALUES, "--out", str(tmp_path), "--updates", "5", "--quiet"]
    assert main([*words, "--reward", "gold"]) == 2
    assert "--reward gold" in (said := capsys.readouterr().err)
    assert "steps without known actions, which it does not score; allowed: sparse" in said


def test_a_reward_of_states_is_trained_on_them(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "reward.safetensors"
    words = ["reward", "train", str(films), "--out", str(file), "--training.updates", "20", "--quiet"]
    assert main([*words, "--action"]) == 2
    assert f"{films}: its actions are not known; allowed: without --action" in capsys.readouterr().err
    assert main(words) == 0
    capsys.readouterr()
    assert main(["reward", "score", str(films), "--reward", str(file)]) == 0
    assert episodes_scored(capsys.readouterr().out) == len(list(episodes(films)))


def episodes_scored(said: str) -> int:
    return sum("demonstration-" in line or "practice-" in line for line in said.splitlines())


def test_an_episode_with_some_actions_is_neither(tmp_path: Path) -> None:
    """What a reward of actions leaves out, one of states takes whole."""
    spec = make_spec()
    half = make_episode(spec, 3, 4)
    executed = half.executed.copy()
    executed[1] = np.nan
    with JournalWriter(tmp_path / "journal", spec) as writer:
        tell(writer, dataclasses.replace(half, executed=executed))
    (found,) = read_trajectories(tmp_path / "journal", lambda o: {"state": o.tool_velocity}, actions=False)
    assert np.array_equal(found.actions, np.nan_to_num(executed, nan=0.0))
    assert read_trajectories(tmp_path / "journal", lambda o: {"state": o.tool_velocity}) == []
