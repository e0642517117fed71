"""What our exports wrote is read back; what a data set does not tell is asked for."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robot_rlhf.apps.cli import main
from robot_rlhf.datatypes import ActionLayout, Outcome
from robot_rlhf.episode import Episode
from robot_rlhf.errors import ConfigError, JournalError
from robot_rlhf.journal.datasets.importing import DatasetReport, DatasetSettings, dataset_form, import_dataset
from robot_rlhf.journal.export import export
from robot_rlhf.journal.format import encode_spec
from robot_rlhf.journal.reader import episodes, journal_spec
from robot_rlhf.journal.writer import JournalWriter
from tests.journal.sessions import make_episode, make_spec, tell

SPEC = make_spec({"front": (16, 24), "wrist": (8, 8)})
TOLD = [make_episode(SPEC, 3, 6), make_episode(SPEC, 4, 4), make_episode(SPEC, 5, 5)]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("journal")
    with JournalWriter(folder, SPEC) as writer:
        for episode in TOLD:
            tell(writer, smooth(episode))
    return folder


def smooth(episode: Episode) -> Episode:
    """With pictures that a video keeps: one grey level each."""
    columns = dict(episode.observations)
    for name in ("images/front", "images/wrist"):
        level = (np.arange(len(episode) + 1) * 20 + 15).astype(np.uint8)
        columns[name] = np.broadcast_to(level.reshape(-1, 1, 1, 1), columns[name].shape).copy()
    return dataclasses.replace(episode, observations=columns)


def read_back(source: Path, out: Path, **settings: Any) -> tuple[DatasetReport, list[Episode]]:
    report = import_dataset(source, out, DatasetSettings(**settings))
    return report, list(episodes(out))


@pytest.mark.parametrize("form", ["lerobot", "robomimic"])
def test_an_export_is_read_back(journal: Path, tmp_path: Path, form: str) -> None:
    """Everything but what LeRobot's format has no place for: the last observation."""
    source = tmp_path / "export"
    export(journal, source, form)
    assert dataset_form(source) == form
    report, found = read_back(source, tmp_path / "out")
    assert (report.form, report.steps) == (form, 15)
    assert encode_spec(dataclasses.replace(journal_spec(tmp_path / "out"), privileged=SPEC.privileged)) == encode_spec(
        SPEC
    )
    assert [len(episode) for episode in found] == [6, 4, 5]
    for ours, back in zip((smooth(episode) for episode in TOLD), found, strict=True):
        assert (back.meta.id, back.meta.task, back.meta.kind) == (ours.meta.id, ours.meta.task, ours.meta.kind)
        assert (back.meta.operator, back.meta.reward_source) == (ours.meta.operator, ours.meta.reward_source)
        assert np.array_equal(back.executed, ours.executed)
        assert np.array_equal(back.proposed, ours.proposed, equal_nan=True)
        assert np.array_equal(back.driver, ours.driver)
        assert np.array_equal(back.reward, ours.reward)
        assert np.array_equal(back.terminated, ours.terminated)
        assert back.end is not None
        assert ours.end is not None
        assert back.end.outcome is ours.end.outcome
        whole = len(ours) + (form == "robomimic")
        for name, column in ours.observations.items():
            if name.startswith("privileged/") or name == "stamp":
                continue
            if name.startswith("images/"):
                difference = np.abs(back.observations[name][:whole].astype(int) - column[:whole])
                assert difference.max() <= (0 if form == "robomimic" else 3), name
            else:
                assert np.allclose(back.observations[name][:whole], column[:whole], atol=1e-7), name
        assert back.instructions == ours.instructions
        if form == "lerobot":
            last = back.observations["joint_position"][-2:]
            assert np.array_equal(last[0], last[1])
        assert np.diff(back.observations["stamp"]) == pytest.approx(SPEC.control_period)


def test_pictures_of_any_episode_are_its_own(journal: Path, tmp_path: Path) -> None:
    """They are looked up by time in one video of all episodes."""
    export(journal, tmp_path / "export", "lerobot")
    _, found = read_back(tmp_path / "export", tmp_path / "out")
    for episode in found:
        levels = episode.observations["images/front"][:-1, 5, 5, 0].astype(int)
        assert np.abs(levels - (np.arange(len(episode)) * 20 + 15)).max() <= 3


def changed_rows(root: Path, **values: Any) -> None:
    """Columns of the episodes' description; None takes one away."""
    file = root / "meta/episodes/chunk-000/file-000.parquet"
    rows = pq.read_table(file).to_pylist()
    for row in rows:
        for name, value in values.items():
            row.pop(name)
            if value is not None:
                row[name] = value
    pq.write_table(pa.Table.from_pylist(rows), file)


def changed_info(root: Path, change: Any) -> None:
    info = json.loads((root / "meta/info.json").read_text())
    change(info)
    (root / "meta/info.json").write_text(json.dumps(info))


def test_what_a_dataset_leaves_open_is_asked_for(journal: Path, tmp_path: Path) -> None:
    root = tmp_path / "export"
    export(journal, root, "lerobot", cameras=[])
    changed_rows(root, kind=None, outcome=None, success=False, skill=None)
    asked: list[tuple[dict[str, Any], str]] = [
        ({}, "episode 0 does not tell its task: --task"),
        ({"task": "pick"}, "does not tell its kind: --kind; allowed: demonstration, practice, evaluation"),
        ({"task": "pick", "kind": "practice"}, "does not tell its outcome: --outcome; allowed: success, failure"),
    ]
    for settings, words in asked:
        with pytest.raises(JournalError, match=words):
            import_dataset(root, tmp_path / "out", DatasetSettings(**settings))
        assert not (tmp_path / "out").exists()
    _, found = read_back(root, tmp_path / "out", task="pick", kind="practice", outcome="stopped")
    assert {episode.end.outcome for episode in found if episode.end} == {Outcome.STOPPED}
    with pytest.raises(ConfigError, match="kind: got 'demo', allowed: demonstration"):
        DatasetSettings(kind="demo")


def test_which_robot_it_is_of(journal: Path, tmp_path: Path) -> None:
    """LeRobot's merge forgets what is not its own: then the robot must be named, and be the same."""
    root = tmp_path / "export"
    export(journal, root, "lerobot", cameras=[])
    whole = tmp_path / "whole"
    shutil.copytree(root, whole)
    changed_info(root, lambda info: info.pop("robot_rlhf"))
    with pytest.raises(JournalError, match="it does not say which robot it is of: --robot"):
        import_dataset(root, tmp_path / "out", DatasetSettings())
    assert import_dataset(root, tmp_path / "out", DatasetSettings(), robot=SPEC).steps == 15
    layout = SPEC.action
    coarse = dataclasses.replace(SPEC, action=ActionLayout(layout.names, layout.scale * 2, layout.frame))
    with pytest.raises(JournalError, match=r"a 1 of its actions is .* x 0\.02, .*; of the robot's: .* x 0\.04"):
        import_dataset(whole, tmp_path / "no", DatasetSettings(), robot=coarse)
    slow = dataclasses.replace(SPEC, control_period=0.1)
    with pytest.raises(JournalError, match=r"a step of 0\.05 s; the robot's control period is 0\.1 s"):
        import_dataset(root, tmp_path / "no", DatasetSettings(), robot=slow)
    other = dataclasses.replace(SPEC, joint_names=tuple(f"axis_{i}" for i in range(7)))
    with pytest.raises(JournalError, match=r"it lacks joint_position\.axis_0, .*, …; an import takes observations"):
        import_dataset(root, tmp_path / "no", DatasetSettings(), robot=other)


def test_columns_in_another_order(journal: Path, tmp_path: Path) -> None:
    """They are found by their names."""
    root = tmp_path / "export"
    export(journal, root, "lerobot", cameras=[])
    mixed = dataclasses.replace(
        SPEC, joint_names=SPEC.joint_names[::-1], action=ActionLayout(SPEC.action.names[::-1], SPEC.action.scale[::-1])
    )
    import_dataset(root, tmp_path / "out", DatasetSettings(), robot=mixed)
    first = next(iter(episodes(tmp_path / "out")))
    assert np.array_equal(first.executed, TOLD[0].executed[:, ::-1])
    expected = TOLD[0].observations["joint_position"][:-1, ::-1]
    assert np.array_equal(first.observations["joint_position"][:-1], expected)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda info: info.update(codebase_version="v2.1"), r"a data set of version v2\.1; allowed: v3\.0"),
        (lambda info: info["features"].pop("next.reward"), r"it lacks next\.reward"),
        (lambda info: [info["features"].pop(n) for n in ("driver", "intervention")], "it lacks driver"),
        (lambda info: info["features"]["action"].update(names=None), "its actions are unnamed; the robot's: x, y"),
        (lambda info: info["features"]["observation.state"].update(names={"motors": ["a"]}), "it lacks joint_position"),
    ],
)
def test_datasets_of_others_are_refused_by_name(journal: Path, tmp_path: Path, change: Any, words: str) -> None:
    root = tmp_path / "export"
    export(journal, root, "lerobot", cameras=[])
    changed_info(root, change)
    with pytest.raises(JournalError, match=words):
        import_dataset(root, tmp_path / "out", DatasetSettings())


def test_robomimic_files_that_lack_something(journal: Path, tmp_path: Path) -> None:
    path = tmp_path / "export.hdf5"
    export(journal, path, "robomimic", cameras=[])
    with h5py.File(path, "a") as file:
        del file["data/demo_1/rewards"]
    with pytest.raises(JournalError, match="demo_1 lacks rewards"):
        import_dataset(path, tmp_path / "out", DatasetSettings())
    with h5py.File(path, "a") as file:
        del file["data"]
    with pytest.raises(JournalError, match="no robomimic data set: no group data/demo_0"):
        import_dataset(path, tmp_path / "out", DatasetSettings())
    assert not (tmp_path / "out").exists()
    with pytest.raises(
        JournalError, match="no data set; allowed: a LeRobotDataset's folder, a robomimic HDF5 file, or"
    ):
        import_dataset(journal, tmp_path / "out", DatasetSettings())


@pytest.mark.parametrize("form", ["lerobot", "robomimic"])
def test_files_that_are_cut_are_one_error_that_names_them(journal: Path, tmp_path: Path, form: str) -> None:
    whole = tmp_path / "whole"
    export(journal, whole, form)
    files = [path for path in whole.rglob("*") if path.is_file()] if form == "lerobot" else [whole]
    for number, file in enumerate(files):
        data = file.read_bytes()
        for left in (0, len(data) // 2):
            if form == "robomimic" and not left:
                continue
            file.write_bytes(data[:left])
            if file.name != "stats.json":  # not read
                with pytest.raises(JournalError, match=r"cannot be read as a|it lacks|are missing") as told:
                    import_dataset(whole, tmp_path / f"out-{number}", DatasetSettings())
                assert str(whole) in str(told.value)
                assert "\n" not in str(told.value)
        file.write_bytes(data)
    import_dataset(whole, tmp_path / "out", DatasetSettings())


@pytest.mark.parametrize("entry", ["fps", "features", "data_path", "robot_rlhf"])
def test_a_description_that_is_odd_is_one_error(journal: Path, tmp_path: Path, entry: str) -> None:
    export(journal, tmp_path / "odd", "lerobot")
    path = tmp_path / "odd" / "meta" / "info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), entry: 0}))
    with pytest.raises(JournalError, match="odd: cannot be read as a lerobot data set"):
        import_dataset(tmp_path / "odd", tmp_path / "out", DatasetSettings())
    assert not (tmp_path / "out").exists()


def test_on_the_command_line(journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "export"
    assert main(["journal", "export", str(journal), "--out", str(root), "--format", "lerobot"]) == 0
    assert main(["journal", "import", str(root), "--out", str(tmp_path / "out")]) == 0
    assert "3 episodes" in capsys.readouterr().out
    assert len(list(episodes(tmp_path / "out"))) == 3
    assert main(["journal", "import", str(root), "--out", str(tmp_path / "x"), "--command", "/a"]) == 2
    assert "journal import has no option --command" in capsys.readouterr().err


ELSEWHERE = """
import locale, os, sys
from pathlib import Path
from robot_rlhf.journal.datasets.importing import DatasetSettings, import_dataset
from robot_rlhf.journal.export import export
assert sys.getfilesystemencoding() != "utf-8" or locale.getpreferredencoding(False) == "ANSI_X3.4-1968"
folder = Path(sys.argv[1])
for form in ("lerobot", "robomimic", "csv"):
    export(folder / "journal", folder / form, form)
    if form != "csv":
        import_dataset(folder / form, folder / f"{form}-back", DatasetSettings())
"""


def test_in_a_locale_without_utf_8(tmp_path: Path) -> None:
    """Names of folders, joints and what is said keep their letters."""
    folder = tmp_path / "ausgeführt ğ"
    spec = dataclasses.replace(SPEC, joint_names=tuple(f"gelenk_ä{i}" for i in range(7)))
    with JournalWriter(folder / "journal", spec) as writer:
        tell(writer, smooth(TOLD[0]))
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", ELSEWHERE, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    info = json.loads((folder / "lerobot/meta/info.json").read_text(encoding="utf-8"))
    assert "joint_position.gelenk_ä0" in info["features"]["observation.state"]["names"]
    for form in ("lerobot", "robomimic"):
        assert journal_spec(folder / f"{form}-back").joint_names == spec.joint_names
        (back,) = episodes(folder / f"{form}-back")
        assert "«gently»" in back.instructions[0]
    assert "«gently»" in (folder / "csv").read_text(encoding="utf-8")
