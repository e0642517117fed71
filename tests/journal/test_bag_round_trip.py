"""Our own journals as bags: tools open them, and what is imported from them equals what was recorded."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader

from robot_rlhf.datatypes import (
    Action,
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Observation,
    Outcome,
    RobotSpec,
    Step,
)
from robot_rlhf.episode import Episode
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.bags import poses
from robot_rlhf.journal.bags.importing import import_bag, plan_bag
from robot_rlhf.journal.bags.settings import ImportReport, ImportSettings
from robot_rlhf.journal.reader import episodes
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.safety import rotation
from tests.draws import draws
from tests.journal.sessions import make_episode, make_spec, tell

DATASETS = Path(__file__).parents[2] / "datasets"
EPOCH_NS = 1_700_000_000_000_000_000


def no_reward(_outcome: Outcome | None, _before: Observation, _after: Observation) -> float:
    return 0.0


def taken(path: Path, out: Path) -> tuple[ImportReport, list[Episode]]:
    report = import_bag(path, out, ImportSettings(), robot=None, reward=no_reward, reward_source="none@1")
    return report, list(episodes(out))


def driven(spec: RobotSpec, number: int, count: int, start: float, rng: np.random.Generator) -> Episode:
    """A demonstration whose actions are what moved the commanded pose, at the jittered times of a real clock."""
    scale = dict(zip(spec.action.names, spec.action.scale.tolist(), strict=True))
    target = np.array([0.4, 0.0, 0.2, 0.0, 1.0, 0.0, 0.0])
    opening, stamp = 1.0, start
    meta = EpisodeMeta(f"d-{number}", "pick_cube", EpisodeKind.DEMONSTRATION, 0, "nobody", "none@1")

    def observation() -> Observation:
        return Observation(
            stamp=stamp,
            joint_position=rng.standard_normal(7).astype(np.float32),
            joint_velocity=rng.standard_normal(7).astype(np.float32),
            tool_pose_in_base=np.array([*rng.standard_normal(3), 0.6, 0.0, 0.8, 0.0], np.float32),
            tool_target_in_base=target.astype(np.float32),
            tool_velocity=rng.standard_normal(6).astype(np.float32),
            tool_wrench=rng.standard_normal(6).astype(np.float32),
            gripper=float(rng.random()),
            gripper_target=opening,
            images={n: rng.integers(0, 256, (*size, 3)).astype(np.uint8) for n, size in spec.cameras.items()},
            scene={name: np.zeros(size, np.float32) for name, size in spec.scene.items()},
            privileged={name: np.zeros(size, np.float32) for name, size in spec.privileged.items()},
        )

    steps: list[Step] = []
    before = observation()
    for index in range(count):
        action = rng.uniform(-1.0, 1.0, spec.action.size).astype(np.float32)
        action[4] = 1.0 if action[4] >= 0 else -1.0
        x, y, z, rz, grip = action.tolist()
        target[:3] += np.array([x, y, z]) * [scale["x"], scale["y"], scale["z"]]
        w, qx, qy, qz = target[3:].tolist()
        turned = rotation.multiply(rotation.exp((0.0, 0.0, rz * scale["rz"])), (w, qx, qy, qz))
        target[3:] = rotation.normalise(turned)
        opening = 1.0 if grip > 0 else 0.0
        stamp += spec.control_period * rng.uniform(0.9, 1.3)
        after = observation()
        last = index == count - 1
        steps.append(Step(index, before, None, Action(action), Driver.HUMAN, 0.0, last, False, -1, "pick cube", after))
        before = after
    return Episode.from_steps(meta, steps, (), EpisodeEnd(meta.id, Outcome.SUCCESS, count))


@given(seed=st.integers(0, 2**31), counts=st.lists(st.integers(1, 8), min_size=1, max_size=3), pause=st.booleans())
@draws(8)
def test_a_journal_imports_to_equal_steps(seed: int, counts: list[int], pause: bool) -> None:
    """Observations to the bit but for stamps (1 ns) and scene; actions within 1e-5 of their scale (float32 poses)."""
    spec = make_spec({"front": (4, 5)})
    rng = np.random.default_rng(seed)
    told: list[Episode] = []
    start = 3.0
    with tempfile.TemporaryDirectory() as folder:
        with JournalWriter(Path(folder) / "own", spec, epoch_offset_ns=EPOCH_NS) as writer:
            for number, count in enumerate(counts):
                told.append(driven(spec, number, count, start, rng))
                tell(writer, told[-1])
                start = float(told[-1].observations["stamp"][-1]) + (1.0 if pause else 0.0)
        _, found = taken(Path(folder) / "own", Path(folder) / "out")
    assert_same(told, found)


def assert_same(told: list[Episode], found: list[Episode]) -> None:
    assert [len(episode) for episode in found] == [len(episode) for episode in told]
    for ours, theirs in zip(told, found, strict=True):
        kept = {name for name in ours.observations if not name.startswith(("scene/", "privileged/", "stamp"))}
        assert kept == set(theirs.observations) - {"stamp"}
        for name in kept - {"tool_target_in_base", "tool_pose_in_base"}:
            assert np.array_equal(ours.observations[name], theirs.observations[name]), name
        for name in ("tool_target_in_base", "tool_pose_in_base"):  # quaternions are brought to length 1
            assert np.abs(ours.observations[name] - theirs.observations[name]).max() < 2e-7
        assert np.abs(ours.observations["stamp"] - theirs.observations["stamp"]).max() < 1.01e-9
        assert np.abs(ours.executed - theirs.executed).max() < 1e-5
        assert np.array_equal(ours.terminated, theirs.terminated)
        assert ours.end is not None
        assert theirs.end is not None
        assert ours.end.outcome is theirs.end.outcome


@pytest.mark.parametrize("name", ["sample_session", "sample_session_with_camera"])
def test_the_sample_sessions_import(tmp_path: Path, name: str) -> None:
    """In simulated time an episode begins at the very moment at which the one before it ended."""
    told = list(episodes(DATASETS / name))
    demonstrations = [e for e in told if e.meta.kind is EpisodeKind.DEMONSTRATION]
    why = plan_bag(DATASETS / name, ImportSettings(), robot=None).left_out["/robot_rlhf/step"][1]
    assert "context and authority of the steps stay behind" in why
    report, found = taken(DATASETS / name, tmp_path / "out")
    assert report.others == len(told) - len(demonstrations)
    assert report.lacking == ("cube",)
    assert_same(demonstrations, found)


def test_episodes_that_overlap_are_refused(tmp_path: Path) -> None:
    spec = make_spec()
    rng = np.random.default_rng(0)
    for number in range(2):
        with JournalWriter(tmp_path / "own", spec, epoch_offset_ns=EPOCH_NS) as writer:
            tell(writer, driven(spec, number, 4, 3.0, rng))
    with pytest.raises(JournalError, match=r"begins before the one before it has ended; import .* one by one"):
        taken(tmp_path / "own", tmp_path / "out")
    report, _ = taken(tmp_path / "own" / "001.mcap", tmp_path / "one")
    assert report.steps == 4


# -- the folder as a bag ---------------------------------------------------------------------------------------------


def test_a_journal_is_a_bag_by_its_folder(tmp_path: Path) -> None:
    """Two runs, of which the description names both; the counts are those of the files."""
    spec = make_spec({"front": (4, 5)})
    for number in range(2):
        with JournalWriter(tmp_path, spec, epoch_offset_ns=EPOCH_NS) as writer:
            tell(writer, make_episode(spec, number, 3 + number))
    information = yaml.safe_load((tmp_path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert information["relative_file_paths"] == ["000.mcap", "001.mcap"]
    assert information["storage_identifier"] == "mcap"
    with Reader(tmp_path) as reader:
        assert reader.message_count == 7 * (4 + 5) == information["message_count"]
        assert set(reader.topics) == {
            *("/joint_states", "/tool_pose", "/tool_target", "/tool_velocity", "/wrench", "/gripper"),
            "/camera/front/compressed",
        }
        assert {info.msgcount for info in reader.topics.values()} == {9}
        assert reader.start_time == EPOCH_NS
    with AnyReader([tmp_path]) as reader:
        stamps = [stamp for _, stamp, _ in reader.messages()]
    assert len(stamps) == 63
    assert information["duration"]["nanoseconds"] == max(stamps) - min(stamps)


def test_a_file_that_broke_off_is_no_part_of_the_bag(tmp_path: Path) -> None:
    spec = make_spec()
    broken = JournalWriter(tmp_path, spec).open()
    tell(broken, make_episode(spec, 0, 3))
    shutil.copy(broken.path, tmp_path / "kept")
    broken.close()
    (tmp_path / "metadata.yaml").unlink()
    shutil.move(tmp_path / "kept", broken.path)  # as kill -9 would have left it
    with JournalWriter(tmp_path, spec) as writer:
        tell(writer, make_episode(spec, 1, 3))
    with Reader(tmp_path) as reader:
        assert reader.message_count == 6 * 4
    assert len(list(episodes(tmp_path))) == 2


def test_sharing_writers_describe_all_files_whoever_closes_last(tmp_path: Path) -> None:
    spec = make_spec()
    writers = [JournalWriter(tmp_path, spec, shared=True).open() for _ in range(3)]
    for number, writer in enumerate(writers):
        tell(writer, make_episode(spec, number, 2))
    for writer in (writers[1], writers[0], writers[2]):
        writer.close()
    with Reader(tmp_path) as reader:
        assert reader.message_count == 3 * 6 * 3


def test_nothing_to_describe(tmp_path: Path) -> None:
    with JournalWriter(tmp_path, make_spec()):
        pass
    assert not (tmp_path / "metadata.yaml").exists()


# -- poses: the guard's arithmetic, in columns -------------------------------------------------------------------------

angle = st.floats(-3.0, 3.0)
vector = st.tuples(angle, angle, angle)


def row(*values: float) -> NDArray[np.float64]:
    return np.array([values])


@given(a=vector, b=vector, v=vector)
def test_poses_are_the_guards_rotations(
    a: tuple[float, float, float], b: tuple[float, float, float], v: tuple[float, float, float]
) -> None:
    p, q = rotation.exp(a), rotation.exp(b)
    assert poses.quaternions(row(*a))[0] == pytest.approx(p, abs=1e-12)
    assert poses.multiply(row(*p), row(*q))[0] == pytest.approx(rotation.multiply(p, q), abs=1e-12)
    assert poses.rotation_vectors(row(*p))[0] == pytest.approx(rotation.log(p), abs=1e-9)
    assert poses.rotate(row(*p), row(*v))[0] == pytest.approx(rotation.rotate(p, v), abs=1e-9)


@given(a=vector, b=vector, x=vector, y=vector)
def test_poses_have_their_inverses(
    a: tuple[float, ...], b: tuple[float, ...], x: tuple[float, ...], y: tuple[float, ...]
) -> None:
    first = np.array([[*x, *rotation.exp((a[0], a[1], a[2]))]])
    second = np.array([[*y, *rotation.exp((b[0], b[1], b[2]))]])
    same = poses.compose(poses.inverse(first), poses.compose(first, second))
    assert same == pytest.approx(second, abs=1e-9)
    back = poses.moved(first, poses.motion(first, second))
    assert np.abs(poses.motion(back, second)).max() < 1e-9
