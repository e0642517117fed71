"""Which sentence decided a step goes out with an export, and comes back."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robot_rlhf.episode import Episode
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.datasets.importing import DatasetSettings, import_dataset
from robot_rlhf.journal.export import export
from robot_rlhf.journal.reader import episodes
from robot_rlhf.journal.writer import JournalWriter
from tests.journal.sessions import make_episode, make_spec, tell

SPEC = make_spec()
SAID = ("", "practice-000001/0", "practice-000001/0", "prior 0:practice-000001/12")
SHARES = np.array([[np.nan] * 5, [1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [np.nan] * 5], np.float32)


def told() -> list[Episode]:
    silent, spoken = (make_episode(SPEC, seed, len(SAID)) for seed in (3, 4))
    return [silent, dataclasses.replace(spoken, spoken=SAID, authority=SHARES)]


def journal(folder: Path, *recorded: Episode) -> Path:
    with JournalWriter(folder, SPEC) as writer:
        for episode in recorded:
            tell(writer, episode)
    return folder


@pytest.mark.parametrize("form", ["lerobot", "robomimic"])
@pytest.mark.parametrize("turned", [False, True])
def test_sentences_come_back_with_what_they_drove(tmp_path: Path, form: str, turned: bool) -> None:
    recorded = told()[::-1] if turned else told()
    export(journal(tmp_path / "journal", *recorded), tmp_path / "export", form)
    import_dataset(tmp_path / "export", tmp_path / "back", DatasetSettings())
    back = list(episodes(tmp_path / "back"))
    assert [episode.spoken for episode in back] == [episode.spoken for episode in recorded]
    spoken = next(episode for episode in back if episode.spoken)
    assert spoken.authority is not None
    assert np.array_equal(spoken.authority, SHARES, equal_nan=True)


def test_csv_names_them_by_step(tmp_path: Path) -> None:
    export(journal(tmp_path / "journal", *told()), tmp_path / "steps.csv", "csv")
    rows = list(csv.DictReader((tmp_path / "steps.csv").open()))
    assert [row["spoken"] for row in rows] == [*[""] * 4, *SAID]


@pytest.mark.parametrize("form", ["csv", "lerobot", "robomimic"])
def test_what_has_no_place_is_said(tmp_path: Path, form: str) -> None:
    report = export(journal(tmp_path / "journal", *told()), tmp_path / "out", form)
    assert any("what sentences said and meant" in words for words in report.left_out)


def test_where_nobody_spoke_there_is_no_column(tmp_path: Path) -> None:
    silent = journal(tmp_path / "journal", told()[0])
    export(silent, tmp_path / "steps.csv", "csv")
    export(silent, tmp_path / "set", "lerobot")
    assert "spoken" not in (tmp_path / "steps.csv").read_text().splitlines()[0]
    assert "spoken" not in json.loads((tmp_path / "set/meta/info.json").read_text())["features"]


def test_lerobot_is_told_that_it_is_text_without_statistics(tmp_path: Path) -> None:
    export(journal(tmp_path / "journal", *told()), tmp_path / "set", "lerobot")
    info = json.loads((tmp_path / "set/meta/info.json").read_text())
    assert info["features"]["spoken"] == {"dtype": "string", "shape": [1], "names": None}
    assert "spoken" not in json.loads((tmp_path / "set/meta/stats.json").read_text())


@pytest.mark.parametrize("odd", [[0.5, 1.0], [True, False], [["a"], ["b"]]])
def test_a_lerobot_column_of_others_that_is_called_so_is_named(tmp_path: Path, odd: list[object]) -> None:
    export(journal(tmp_path / "journal", told()[0]), tmp_path / "set", "lerobot")
    (file,) = (tmp_path / "set/data").rglob("*.parquet")
    table = pq.read_table(file)
    pq.write_table(table.append_column("spoken", pa.array((odd * len(table))[: len(table)])), file)
    with pytest.raises(JournalError, match=rf"{file.name}: column spoken holds .*; allowed: strings"):
        import_dataset(tmp_path / "set", tmp_path / "back", DatasetSettings())


@pytest.mark.parametrize("silent", [False, True])
def test_a_lerobot_column_may_be_encoded_or_of_nulls(tmp_path: Path, silent: bool) -> None:
    """As other writers store text, and where nothing was ever said."""
    recorded = told()[1]
    export(journal(tmp_path / "journal", recorded), tmp_path / "set", "lerobot")
    (file,) = (tmp_path / "set/data").rglob("*.parquet")
    table = pq.read_table(file)
    column = pa.nulls(len(table)) if silent else table["spoken"].dictionary_encode()
    pq.write_table(table.set_column(table.column_names.index("spoken"), "spoken", column), file)
    import_dataset(tmp_path / "set", tmp_path / "back", DatasetSettings())
    (back,) = episodes(tmp_path / "back")
    assert tuple(back.spoken) == (() if silent else tuple(recorded.spoken))


@pytest.mark.parametrize("key", ["spoken", "instructions"])
@pytest.mark.parametrize("odd", [np.zeros(len(SAID)), np.ones((len(SAID), 2), bool), [b"too", b"few"], None])
def test_a_robomimic_column_of_others_that_is_called_so_is_named(tmp_path: Path, odd: object, key: str) -> None:
    path = tmp_path / "set.hdf5"
    export(journal(tmp_path / "journal", told()[0]), path, "robomimic")
    with h5py.File(path, "a") as file:
        column = f"data/demo_0/{key}"
        if column in file:
            del file[column]
        if odd is None:
            file.create_group(column)
        else:
            file.create_dataset(column, data=odd)
    with pytest.raises(JournalError, match=rf"set\.hdf5: column demo_0/{key} holds .*; allowed: strings"):
        import_dataset(path, tmp_path / "back", DatasetSettings())
