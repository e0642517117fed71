"""Exports hold what was recorded, in the layouts of others, and nothing that must stay at home."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import av
import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest

from robot_rlhf.datatypes import EpisodeKind
from robot_rlhf.episode import Episode
from robot_rlhf.errors import ConfigError, JournalError, UnknownNameError
from robot_rlhf.journal.columns import succeeded
from robot_rlhf.journal.export import export
from robot_rlhf.journal.lerobot import merged, statistics
from robot_rlhf.journal.summary import describe
from robot_rlhf.journal.writer import JournalWriter
from tests.journal.sessions import make_episode, make_spec, tell

SPEC = make_spec({"front": (16, 24)})
TOLD = [make_episode(SPEC, 3, 6), make_episode(SPEC, 4, 4), make_episode(SPEC, 5, 3, ended=False)]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("journal")
    with JournalWriter(folder, SPEC, metadata={"mujoco": "4.0"}) as writer:
        for episode in TOLD:
            tell(writer, episode)
    return folder


def test_csv(journal: Path, tmp_path: Path) -> None:
    report = export(journal, tmp_path / "steps.csv", "csv")
    assert (report.episodes, report.steps) == (3, 13)
    rows = list(csv.DictReader((tmp_path / "steps.csv").open()))
    assert len(rows) == 13
    first = TOLD[0]
    assert rows[1]["episode"] == first.meta.id
    assert float(rows[1]["executed.rz"]) == first.executed[1, 3]
    assert float(rows[5]["joint_velocity.joint_6"]) == first.observations["joint_velocity"][5, 6]
    assert [row["driver"] for row in rows[:6]] == [("policy", "human", "reflex")[d] for d in first.driver]
    for row, episode, t in ((rows[i], TOLD[0], i) for i in range(6)):
        asked = not np.isnan(episode.proposed[t]).any()
        assert (row["proposed.x"] != "") == asked
    assert not [name for name in rows[0] if "gold" in name or "privileged" in name]
    export(journal, tmp_path / "all.csv", "csv", include_privileged=True)
    full = list(csv.DictReader((tmp_path / "all.csv").open()))
    assert float(full[0]["gold_reward"]) == first.gold_reward[0]
    assert float(full[0]["privileged.contact.1"]) == first.observations["privileged/contact"][0, 1]


def test_robomimic(journal: Path, tmp_path: Path) -> None:
    export(journal, tmp_path / "plain.hdf5", "robomimic")
    with h5py.File(tmp_path / "plain.hdf5") as file:
        data: Any = file["data"]
        assert data.attrs["total"] == 13
        assert set(json.loads(data.attrs["env_args"])) == {"env_name", "type", "env_kwargs"}
        for i, episode in enumerate(TOLD):
            group = data[f"demo_{i}"]
            assert group.attrs["num_samples"] == len(episode)
            assert np.array_equal(group["actions"], episode.executed)
            assert np.array_equal(group["policy_actions"], episode.proposed, equal_nan=True)
            assert np.array_equal(group["obs/tool_wrench"], episode.observations["tool_wrench"][:-1])
            assert np.array_equal(group["next_obs/scene_cube"], episode.observations["scene/cube"][1:])
            assert np.array_equal(group["obs/front_image"], episode.observations["images/front"][:-1])
            expected = episode.by_human.astype(int)
            if episode.meta.kind is EpisodeKind.DEMONSTRATION:
                expected = np.full(len(episode), -1)
            assert np.array_equal(group["action_modes"], expected)
        names: list[str] = []
        file.visit(names.append)
        mask: Any = file["mask/successful"]
        assert [name.decode() for name in mask] == [f"demo_{i}" for i, e in enumerate(TOLD) if succeeded(e)]
    assert not [name for name in names if "gold" in name or "privileged" in name]
    export(journal, tmp_path / "all.hdf5", "robomimic", include_privileged=True)
    with h5py.File(tmp_path / "all.hdf5") as file:
        assert np.array_equal(np.asarray(file["data/demo_0/gold_rewards"]), TOLD[0].gold_reward)
        assert "privileged_contact" in file["data/demo_0/obs"]  # pyright: ignore[reportOperatorIssue] -- h5py's union


def frame_rows(episodes: list[Episode], name: str) -> np.ndarray:
    return np.concatenate([getattr(episode, name) for episode in episodes])


def test_lerobot(journal: Path, tmp_path: Path) -> None:
    root = tmp_path / "dataset"
    export(journal, root, "lerobot")
    info = json.loads((root / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"]) == ("v3.0", 20)
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (3, 13, 3)
    table = pq.read_table(root / info["data_path"].format(chunk_index=0, file_index=0))
    features: dict[str, Any] = {n: f for n, f in info["features"].items() if f["dtype"] != "video"}
    assert set(table.column_names) == set(features)
    assert np.array_equal(np.stack(table["action"].to_numpy()), frame_rows(TOLD, "executed"))
    proposed = np.stack(table["policy_action"].to_numpy())
    assert np.array_equal(proposed, frame_rows(TOLD, "proposed"), equal_nan=True)
    assert table["is_intervention"].to_pylist() == frame_rows(TOLD, "by_human").tolist()
    assert table["next.success"].to_pylist()[5] == succeeded(TOLD[0])
    assert table["index"].to_pylist() == list(range(13))
    assert table["frame_index"].to_pylist() == [*range(6), *range(4), *range(3)]
    state = np.stack(table["observation.state"].to_numpy())
    names = features["observation.state"]["names"]
    assert state.shape == (13, len(names)) == (13, features["observation.state"]["shape"][0])
    assert state[7, names.index("scene.cube.2")] == TOLD[1].observations["scene/cube"][1, 2]
    tasks = pq.read_table(root / "meta/tasks.parquet").to_pydict()
    assert [tasks["task"][i] for i in table["task_index"].to_pylist()[:6]] == list(TOLD[0].instructions)
    rows = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [(r["dataset_from_index"], r["dataset_to_index"]) for r in rows] == [(0, 6), (6, 10), (10, 13)]
    key = "observation.images.front"
    assert [r[f"videos/{key}/from_timestamp"] for r in rows] == pytest.approx([0.0, 0.3, 0.5])
    with av.open(str(root / info["video_path"].format(video_key=key, chunk_index=0, file_index=0))) as video:
        frames = list(video.decode(video=0))
    assert len(frames) == 13
    assert [round(float(frame.time or 0.0) * 20) for frame in frames] == list(range(13))
    stats = json.loads((root / "meta/stats.json").read_text())
    assert stats["action"]["mean"] == pytest.approx(frame_rows(TOLD, "executed").mean(axis=0).tolist(), abs=1e-6)
    assert np.shape(stats[key]["mean"]) == (3, 1, 1)
    text = (root / "meta/info.json").read_text() + (root / "meta/stats.json").read_text()
    assert "gold" not in text
    assert "privileged" not in text
    export(journal, tmp_path / "all", "lerobot", include_privileged=True)
    everything = pq.read_table(tmp_path / "all/data/chunk-000/file-000.parquet")
    assert everything["gold_reward"].to_pylist() == frame_rows(TOLD, "gold_reward").tolist()


def test_merged_statistics_equal_those_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.standard_normal((n, 3)) * n for n in (1, 5, 40)]
    whole = statistics(np.concatenate(parts))
    together = merged([statistics(part) for part in parts])
    for name, value in whole.items():
        assert together[name] == pytest.approx(value), name
    nowhere = statistics(np.full((4, 2), np.nan))
    assert nowhere["mean"].tolist() == nowhere["max"].tolist() == [0.0, 0.0]


def test_export_refuses(journal: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="lerobot"):
        export(journal, tmp_path / "x", "lerobott")
    with pytest.raises(JournalError, match="exists already"):
        export(journal, tmp_path, "lerobot")
    with JournalWriter(tmp_path / "empty", SPEC):
        pass
    with pytest.raises(JournalError, match="no episode to export"):
        export(tmp_path / "empty", tmp_path / "x.csv", "csv")
    odd = dataclasses.replace(SPEC, control_period=0.3)
    with JournalWriter(tmp_path / "odd", odd) as writer:
        tell(writer, make_episode(SPEC, 1, 2))
    with pytest.raises(ConfigError, match=r"3\.33"):
        export(tmp_path / "odd", tmp_path / "y", "lerobot")


def test_summary(journal: Path) -> None:
    summary = describe(journal)
    drivers = np.concatenate([episode.driver for episode in TOLD])
    assert (summary.files, summary.total_episodes, summary.steps, summary.broken_off) == (1, 3, 13, 1)
    assert summary.steps_by_driver == {
        name: int((drivers == i).sum()) for i, name in enumerate(("policy", "human", "reflex")) if (drivers == i).any()
    }
    assert summary.human_share == (drivers == 1).mean()
    assert summary.duration == pytest.approx(13 * SPEC.control_period)
    assert summary.human_seconds == pytest.approx(float((drivers == 1).sum() * SPEC.control_period))
    assert summary.events == {"correction": 3, "preference": 3, "guard: workspace": 3}
    assert summary.topics["/joint_states"] == 16
    assert summary.topics["/robot_rlhf/step"] == 13
    assert summary.versions == {"robot_rlhf": ("0.1.0",)}
    assert summary.metadata["mujoco"] == "4.0"
    assert summary.bytes == sum(file.stat().st_size for file in journal.glob("*.mcap"))
