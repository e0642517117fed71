"""What was asked for as vectors, and whose each entry of an action was, go out with an export and come back."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from robot_rlhf.apps.cli import main
from robot_rlhf.context import ContextSpec
from robot_rlhf.datatypes import ActionLayout, Driver
from robot_rlhf.episode import Episode
from robot_rlhf.errors import CheckpointError, JournalError
from robot_rlhf.journal.columns import Extras, as_key, of_key
from robot_rlhf.journal.datasets.importing import DatasetSettings, import_dataset
from robot_rlhf.journal.export import export
from robot_rlhf.journal.reader import episodes, replay_into
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.policy.shapes import check_same_shapes, weights_of
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from tests.journal.sessions import make_episode, make_spec, tell

SPEC = make_spec()
STEPS = 4
GOAL = np.arange(2 * STEPS, dtype=np.float32).reshape(STEPS, 2)
GOAL[1] = np.nan  # not part of what was asked for in this step
SKILL = np.linspace(-1.0, 1.0, STEPS, dtype=np.float32).reshape(STEPS, 1)
SHARES = np.linspace(0.0, 1.0, STEPS * 5, dtype=np.float32).reshape(STEPS, 5)
SHARES[2] = np.nan  # all of it the driver's


def told() -> list[Episode]:
    """The first with neither, the others each with its own."""
    plain, asked, shared = (make_episode(SPEC, seed, STEPS) for seed in (3, 4, 5))
    return [
        plain,
        dataclasses.replace(asked, context={"goal": GOAL, "arm/left %": SKILL}),
        dataclasses.replace(shared, context={"goal": GOAL[::-1].copy()}, authority=SHARES),
    ]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("journal")
    with JournalWriter(folder, SPEC) as writer:
        for episode in told():
            tell(writer, episode)
    return folder


@pytest.mark.parametrize("form", ["lerobot", "robomimic"])
def test_they_come_back_as_they_were(journal: Path, tmp_path: Path, form: str) -> None:
    export(journal, tmp_path / "export", form)
    import_dataset(tmp_path / "export", tmp_path / "back", DatasetSettings())
    for ours, back in zip(told(), episodes(tmp_path / "back"), strict=True):
        assert set(back.context) == set(ours.context)
        for name, column in ours.context.items():
            assert np.array_equal(back.context[name], column, equal_nan=True), name
        assert (back.authority is None) == (ours.authority is None)
        if ours.authority is not None and back.authority is not None:
            assert np.array_equal(back.authority, ours.authority, equal_nan=True)
        assert back.instructions == ours.instructions


@pytest.mark.parametrize("form", ["lerobot", "robomimic"])
def test_shares_follow_the_entries_of_another_order(journal: Path, tmp_path: Path, form: str) -> None:
    export(journal, tmp_path / "export", form)
    layout = SPEC.action
    mixed = dataclasses.replace(SPEC, action=ActionLayout(layout.names[::-1], layout.scale[::-1], layout.frame))
    import_dataset(tmp_path / "export", tmp_path / "back", DatasetSettings(), robot=mixed)
    *_, last = episodes(tmp_path / "back")
    assert last.authority is not None
    assert np.array_equal(last.authority, SHARES[:, ::-1], equal_nan=True)


def test_csv_has_a_column_for_each_entry(journal: Path, tmp_path: Path) -> None:
    export(journal, tmp_path / "steps.csv", "csv")
    rows = list(csv.DictReader((tmp_path / "steps.csv").open()))
    found = {name: [row[name] for row in rows] for name in rows[0]}
    assert found["context.goal.1"] == [""] * 4 + ["1.0", "", "5.0", "7.0"] + ["7.0", "5.0", "", "1.0"]
    assert [float(cell) for cell in found["context.arm%2Fleft %25"][4:8]] == pytest.approx(SKILL[:, 0].tolist())
    assert found["context.arm%2Fleft %25"][:4] == [""] * 4
    for i, name in enumerate(SPEC.action.names):
        cells = found[f"authority.{name}"]
        assert cells[:8] == [""] * 8
        assert cells[10] == ""
        assert [float(cell) for cell in cells[8:10]] == SHARES[:2, i].tolist()


def test_a_lerobot_table_has_no_gaps(journal: Path, tmp_path: Path) -> None:
    """Others train on all of its columns: no NaN, and shares are those of the driver where none were told."""
    export(journal, tmp_path / "set", "lerobot")
    features: dict[str, Any] = json.loads((tmp_path / "set/meta/info.json").read_text())["features"]
    assert features["context.goal"] == {
        "dtype": "float32",
        "shape": [2],
        "names": ["context.goal.0", "context.goal.1"],
    }
    assert features["authority"]["names"] == [f"authority.{name}" for name in SPEC.action.names]
    table = pq.read_table(tmp_path / "set/data/chunk-000/file-000.parquet")
    goal, shares = (np.stack(table[name].to_numpy()) for name in ("context.goal", "authority"))
    assert np.array_equal(goal[4:8], np.nan_to_num(GOAL, nan=0.0))
    assert table["given.context.goal"].to_pylist() == [False] * 4 + [True, False, True, True, True, True, False, True]
    by_person = np.concatenate([episode.driver == Driver.HUMAN for episode in told()])
    assert np.array_equal(shares[:8], np.repeat(by_person[:8, None], 5, axis=1).astype(np.float32))
    assert np.array_equal(shares[8:10], SHARES[:2])
    stats = json.loads((tmp_path / "set/meta/stats.json").read_text())
    assert "NaN" not in json.dumps(stats)


def test_a_journal_with_neither_has_no_columns_of_them(tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "journal", SPEC) as writer:
        tell(writer, make_episode(SPEC, 3, 3))
    export(tmp_path / "journal", tmp_path / "steps.csv", "csv")
    export(tmp_path / "journal", tmp_path / "set", "lerobot")
    features = json.loads((tmp_path / "set/meta/info.json").read_text())["features"]
    header = (tmp_path / "steps.csv").read_text().splitlines()[0]
    for name in [*header.split(","), *features]:
        assert "context" not in name
        assert "authority" not in name


@pytest.mark.parametrize("form", ["csv", "lerobot", "robomimic"])
def test_one_vector_of_two_lengths_is_named(tmp_path: Path, form: str) -> None:
    with JournalWriter(tmp_path / "journal", SPEC) as writer:
        for seed, size in ((3, 2), (4, 3)):
            wanted = {"goal": np.zeros((STEPS, size), np.float32)}
            tell(writer, dataclasses.replace(make_episode(SPEC, seed, STEPS), context=wanted))
    words = r"journal: context 'goal' has 2 entries in episode episode-0003, 3 in episode-0004; allowed: one length"
    with pytest.raises(JournalError, match=words):
        export(tmp_path / "journal", tmp_path / "out", form)
    assert not (tmp_path / "out").exists()


def test_names_of_any_kind_are_keys() -> None:
    for name in ("goal", "a/b", "50 %", "a%2Fb", "ä.b"):
        assert "/" not in as_key(name)
        assert of_key(as_key(name)) == name
    assert Extras.of("nowhere", []) == Extras()


@pytest.mark.parametrize("form", ["csv", "lerobot", "robomimic"])
def test_what_a_format_has_no_place_for_is_said(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    assert main(["journal", "export", str(journal), "--out", str(tmp_path / "out"), "--format", form]) == 0
    said = capsys.readouterr().out
    assert f"{form} has no place for: " in said
    assert "events" in said
    assert ("versions of the weights" in said) == (form != "csv")
    assert ("pictures" in said) == (form == "csv")


def test_a_context_that_replay_does_not_look_at_so_is_named_with_its_episode(journal: Path) -> None:
    buffer = ReplayBuffer(100, state_size=6, action_size=5, discount=0.9, context=ContextSpec({"goal": 3}))
    feed = ReplayFeed(buffer, lambda observation: {"state": observation.tool_velocity})
    words = r"journal.*: episode episode-\d+: context: got .*, allowed: 'goal' \(3,\), as features.context says"
    with pytest.raises(JournalError, match=words):
        replay_into(journal, feed)


def test_weights_of_another_architecture_are_named_with_their_file() -> None:
    words = r"best\.st: start: 'w' has shape \(3,\), .* \(2,\); allowed: .*context"
    with pytest.raises(CheckpointError, match=words), weights_of(Path("best.st")):
        check_same_shapes("start", {"w": (3,)}, {"w": (2,)})
