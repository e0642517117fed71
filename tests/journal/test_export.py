"""Exports hold what was recorded, in the layouts of others, and nothing that must stay at home."""

from __future__ import annotations

import csv
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest

from robot_rlhf.datatypes import EpisodeKind, RobotSpec
from robot_rlhf.episode import Episode
from robot_rlhf.errors import JournalError, UnknownNameError
from robot_rlhf.journal.columns import succeeded
from robot_rlhf.journal.export import export
from robot_rlhf.journal.statistics import PictureHistogram, statistics
from robot_rlhf.journal.summary import describe
from robot_rlhf.journal.writer import JournalWriter
from tests.journal.sessions import make_episode, make_spec, tell
from tests.traced_memory import peak_bytes

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
    proposed, executed = frame_rows(TOLD, "proposed"), frame_rows(TOLD, "executed")
    asked = np.logical_not(np.isnan(proposed).any(axis=1)).reshape(-1)
    assert not asked.all()
    assert table["policy_asked"].to_pylist() == asked.tolist()
    assert np.array_equal(
        np.stack(table["policy_action"].to_numpy()), np.where(asked.reshape(-1, 1), proposed, executed)
    )
    assert table["intervention"].to_pylist() == frame_rows(TOLD, "by_human").tolist()
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
    assert stats["action"]["q90"] == pytest.approx(np.quantile(executed, 0.9, axis=0).tolist(), abs=1e-6)
    first_row = rows[0]
    assert first_row["stats/action/q01"] == pytest.approx(np.quantile(executed[:6], 0.01, axis=0).tolist(), abs=1e-6)
    text = (root / "meta/info.json").read_text() + (root / "meta/stats.json").read_text()
    assert "gold" not in text
    assert "privileged" not in text
    export(journal, tmp_path / "all", "lerobot", include_privileged=True)
    everything = pq.read_table(tmp_path / "all/data/chunk-000/file-000.parquet")
    assert everything["gold_reward"].to_pylist() == frame_rows(TOLD, "gold_reward").tolist()


@pytest.mark.parametrize("period", [0.033, 0.15, 2.0, 0.05])
def test_every_control_period_is_told_as_it_is(tmp_path: Path, period: float) -> None:
    spec = dataclasses.replace(SPEC, control_period=period)
    with JournalWriter(tmp_path / "journal", spec) as writer:
        tell(writer, make_episode(spec, 1, 5))
        tell(writer, make_episode(spec, 2, 4))
    root = tmp_path / "dataset"
    export(tmp_path / "journal", root, "lerobot")
    info = json.loads((root / "meta/info.json").read_text())
    assert info["fps"] * period == pytest.approx(1.0, abs=1e-12)
    assert isinstance(info["fps"], int) == (period == 0.05)
    stamps = pq.read_table(root / "data/chunk-000/file-000.parquet")["timestamp"].to_numpy()
    assert stamps == pytest.approx([period * t for t in (*range(5), *range(4))], abs=1e-6)
    with av.open(str(root / "videos/observation.images.front/chunk-000/file-000.mp4")) as video:
        shown = [float(frame.time or 0.0) for frame in video.decode(video=0)]
    # Readers look pictures up by time, to a ten-thousandth of a second.
    assert shown == pytest.approx([period * t for t in range(9)], abs=5e-5)


def test_statistics_of_pictures_are_those_of_their_pixels() -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, high, (6, 9, 3)).astype(np.uint8) for high in (256, 4, 90)]
    parts = [PictureHistogram() for _ in pictures]
    whole = PictureHistogram()
    for part, picture in zip(parts, pictures, strict=True):
        part.add(picture)
        whole.include(part)
    expected = statistics(np.stack(pictures).reshape(-1, 3) / 255.0)
    found = whole.statistics()
    assert found["count"].tolist() == [3]
    for name in set(expected) - {"count"}:
        assert found[name].reshape(3) == pytest.approx(expected[name], abs=1e-12), name


def test_columns_and_their_quantiles() -> None:
    values = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
    found = statistics(values)
    for name, share in (("q01", 0.01), ("q10", 0.1), ("q50", 0.5), ("q90", 0.9), ("q99", 0.99)):
        assert found[name] == pytest.approx(np.quantile(values.astype(np.float64), share, axis=0))
    assert found["std"] == pytest.approx(values.astype(np.float64).std(axis=0))
    one = statistics(np.array([[True], [False], [True]]))
    assert (one["mean"].tolist(), one["max"].tolist(), one["count"].tolist()) == ([2 / 3], [1.0], [3])


@pytest.mark.parametrize("form", ["lerobot", "robomimic", "csv"])
def test_an_export_holds_less_than_one_episode_of_pictures(tmp_path: Path, form: str) -> None:
    spec, steps = make_spec({"front": (120, 160)}), 120
    with JournalWriter(tmp_path / "journal", spec) as writer:
        tell(writer, make_episode(spec, 1, steps))
    peak = peak_bytes(
        "export(sys.argv[1], sys.argv[3], sys.argv[4])",
        *(str(tmp_path / name) for name in ("journal", "warm", "out")),
        form,
        warm_up="from robot_rlhf.journal.export import export\nexport(sys.argv[1], sys.argv[2], sys.argv[4])",
    )
    assert peak < (steps + 1) * 120 * 160 * 3


def two_files(folder: Path, *specs: RobotSpec) -> Path:
    """As 0.1.0 wrote them: today a folder is continued with the same robot only."""
    folder.mkdir(exist_ok=True)
    for number, spec in enumerate(specs, len(list(folder.glob("*.mcap")))):
        with JournalWriter(folder.with_name(f"{folder.name}_{number}"), spec) as writer:
            tell(writer, make_episode(spec, number + 3, 3))
        writer.path.rename(folder / f"{number:03d}.mcap")
    return folder


def test_cameras_that_differ_between_files_are_named(tmp_path: Path) -> None:
    front, wrist, large = (16, 24), (8, 8), (32, 48)
    both, alone = make_spec({"front": front, "wrist": wrist}), make_spec({"front": front})
    appears = two_files(tmp_path / "appears", alone, both)
    words = r"camera 'wrist' is not in 000.mcap, 8 x 8 in 001.mcap; allowed: --cameras front, or one file at a time"
    for form in ("lerobot", "robomimic"):
        with pytest.raises(JournalError, match=words):
            export(appears, tmp_path / "out", form)
    vanishes = two_files(tmp_path / "vanishes", both, alone)
    with pytest.raises(JournalError, match=r"'wrist' is 8 x 8 in 000.mcap, not in 001.mcap"):
        export(vanishes, tmp_path / "out", "lerobot")
    changes = two_files(tmp_path / "changes", alone, make_spec({"front": large}))
    with pytest.raises(JournalError, match=r"'front' is 16 x 24 in .*, 32 x 48 in .*; allowed: --cameras none"):
        export(changes, tmp_path / "out", "lerobot")
    assert not (tmp_path / "out").exists()
    assert export(appears, tmp_path / "out", "lerobot", cameras=["front"]).steps == 6
    features = json.loads((tmp_path / "out/meta/info.json").read_text())["features"]
    assert [name for name in features if "images" in name] == ["observation.images.front"]
    assert export(changes, tmp_path / "none", "robomimic", cameras=[]).steps == 6
    with pytest.raises(UnknownNameError, match="Did you mean 'wrist'"):
        export(appears, tmp_path / "other", "lerobot", cameras=["wrst"])
    with pytest.raises(JournalError, match="camera 'wrist' is not in"):
        export(appears, tmp_path / "other", "lerobot", cameras=["wrist"])


def test_a_scene_that_differs_between_files_is_named(tmp_path: Path) -> None:
    other = dataclasses.replace(make_spec(), scene={"cube": 7, "bin": 7})
    journal = two_files(tmp_path / "journal", make_spec(), other)
    with pytest.raises(JournalError, match=r"001\.mcap: .* than in .*000\.mcap: scene is .*'bin': 7"):
        export(journal, tmp_path / "out", "lerobot")


def test_a_file_without_episodes_has_no_say(tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "journal", make_spec({"wrist": (8, 8)})):
        pass
    journal = two_files(tmp_path / "journal", SPEC)
    assert export(journal, tmp_path / "out", "lerobot").steps == 3


# -- the target ------------------------------------------------------------------------------------------------------


def never_read(*_: Any, **__: Any) -> Any:
    raise AssertionError("read before the target was looked at")


def test_a_target_that_cannot_be_is_found_out_before_anything_is_read(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robot_rlhf.journal.recorded.episodes", never_read)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
    for target, words in (
        (".", "exists already"),
        ("../folder", "exists already"),
        (tmp_path / "link", "exists already"),
        (tmp_path / "file" / "below", "cannot write the export: .*Not a directory|File exists"),
    ):
        for form in ("lerobot", "robomimic", "csv"):
            with pytest.raises(JournalError, match=words):
                export(journal, target, form)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "link"]


@pytest.mark.parametrize("form", ["lerobot", "robomimic", "csv"])
def test_a_link_to_nothing_is_what_it_points_to(journal: Path, tmp_path: Path, form: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    export(journal, tmp_path / "link", form)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").exists()


FULL_DISK = """
import resource, signal, sys
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.export import export
import robot_rlhf.journal.lerobot, robot_rlhf.journal.robomimic
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), resource.RLIM_INFINITY))
try:
    export(sys.argv[1], sys.argv[2], sys.argv[3])
except JournalError as error:
    print(error)
    raise SystemExit(3)
"""


@pytest.mark.parametrize("room", [1, 2000, 20000])
@pytest.mark.parametrize("form", ["lerobot", "robomimic", "csv"])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, form: str, room: int) -> None:
    """No file may grow beyond `room` bytes: writes fail as they do on a full disk."""
    with JournalWriter(tmp_path / "journal", SPEC) as writer:
        for number in range(12):
            tell(writer, make_episode(SPEC, number, 12))
    folder = tmp_path / "to"
    folder.mkdir()
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "journal"), str(folder / "out"), form, str(room)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 3, done.stderr
    assert "cannot write the export: " in done.stdout
    assert list(folder.iterdir()) == []


def test_export_refuses(journal: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="lerobot"):
        export(journal, tmp_path / "x", "lerobott")
    with pytest.raises(JournalError, match="exists already"):
        export(journal, tmp_path, "lerobot")
    with JournalWriter(tmp_path / "empty", SPEC):
        pass
    with pytest.raises(JournalError, match="no episode to export"):
        export(tmp_path / "empty", tmp_path / "x.csv", "csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty"]


def test_summary(journal: Path) -> None:
    summary = describe(journal)
    drivers = np.concatenate([episode.driver for episode in TOLD])
    assert (summary.files, summary.total_episodes, summary.steps, summary.broken_off) == (1, 3, 13, 1)
    assert summary.steps_by_driver == {
        name: int((drivers == i).sum()) for i, name in enumerate(("policy", "human", "reflex")) if (drivers == i).any()
    }
    assert summary.human_share == (drivers == 1).mean()
    assert summary.duration == pytest.approx(13 * SPEC.control_period)
    assert summary.hands_on_seconds == pytest.approx(float((drivers == 1).sum() * SPEC.control_period))
    there = sum(len(episode) for episode in TOLD if episode.meta.attended)
    assert summary.at_machine_seconds == pytest.approx(there * SPEC.control_period)
    assert summary.events == {"correction": 3, "preference": 3, "guard: workspace": 3}
    assert summary.topics["/joint_states"] == 16
    assert summary.topics["/robot_rlhf/step"] == 13
    assert summary.versions == {"robot_rlhf": ("0.1.0",)}
    assert summary.metadata["mujoco"] == "4.0"
    assert summary.bytes == sum(file.stat().st_size for file in journal.glob("*.mcap"))


@pytest.mark.parametrize("to", ["csv", "robomimic", "lerobot"])
def test_an_episode_without_actions_is_refused_by_name(to: str, tmp_path: Path) -> None:
    spec = make_spec()
    one = make_episode(spec, 3, 3)
    with JournalWriter(tmp_path / "journal", spec) as writer:
        tell(writer, dataclasses.replace(one, executed=np.full_like(one.executed, np.nan)))
    with pytest.raises(JournalError, match=rf"episode {one.meta.id}: its actions are not known"):
        export(tmp_path / "journal", tmp_path / "out", to)
    assert not (tmp_path / "out").exists()
