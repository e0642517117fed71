"""What is read back equals what was told, bit for bit; equal sessions make equal files."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from robot_rlhf.datatypes import Action, Driver, EpisodeEnd, Observation, Outcome, RobotSpec, Step
from robot_rlhf.episode import Episode
from robot_rlhf.errors import InvalidValueError, JournalError, ShapeError
from robot_rlhf.journal.format import decode_spec, encode_spec, encode_step
from robot_rlhf.journal.reader import JournalTail, ReplayCounts, episodes, journal_spec, read_journal, replay_into
from robot_rlhf.journal.writer import JournalWriter
from tests.draws import draws
from tests.journal.sessions import JOINTS, make_episode, make_observation, make_spec, make_steps, plain, tell


def write(folder: Path, spec: RobotSpec, *told: Episode, epoch_offset_ns: int = 0) -> Path:
    with JournalWriter(folder, spec, metadata={"robot_rlhf": "0.1.0"}, epoch_offset_ns=epoch_offset_ns) as writer:
        for episode in told:
            tell(writer, episode)
    return writer.path


def test_spec_and_metadata(tmp_path: Path) -> None:
    spec = make_spec({"front": (6, 4)})
    write(tmp_path, spec, make_episode(spec, 0, 2))
    assert plain(journal_spec(tmp_path)) == plain(spec)
    assert plain(decode_spec(encode_spec(spec))) == plain(spec)
    with JournalTail(tmp_path) as tail:
        tail.poll()
        assert tail.metadata == {"robot_rlhf": "0.1.0", "epoch_offset_ns": "0"}


@given(seed=st.integers(0, 2**31), counts=st.lists(st.integers(1, 6), min_size=1, max_size=3), camera=st.booleans())
@draws(25)
def test_episodes_come_back_exactly(seed: int, counts: list[int], camera: bool) -> None:
    spec = make_spec({"front": (5, 7), "wrist": (2, 3)} if camera else {})
    told = [make_episode(spec, seed % 1000 + i, count) for i, count in enumerate(counts)]
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), spec, *told, epoch_offset_ns=1_700_000_000_000_000_000)
        assert plain(list(episodes(folder))) == plain(told)


float32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(
    joints=hnp.arrays(np.float32, 2 * JOINTS, elements=float32),
    tool=hnp.arrays(np.float32, 26, elements=float32),
    scene=hnp.arrays(np.float32, st.integers(0, 9), elements=float32),
    stamp=st.floats(0, 1e9, allow_nan=False),
    gripper=st.floats(-0.01, 1.01),
    proposed=st.one_of(st.none(), hnp.arrays(np.float32, 5, elements=st.floats(-1, 1, width=32))),
    reward=st.floats(allow_nan=False, allow_infinity=False),
    version=st.integers(-1, 2**63 - 1),
    text=st.text(max_size=40),
)
@draws(60)
def test_extreme_values_come_back_exactly(
    joints: np.ndarray,
    tool: np.ndarray,
    scene: np.ndarray,
    stamp: float,
    gripper: float,
    proposed: np.ndarray | None,
    reward: float,
    version: int,
    text: str,
) -> None:
    spec = make_spec()
    before = make_observation(spec, np.random.default_rng(0), stamp)
    after = Observation(
        stamp=stamp,
        joint_position=joints[:JOINTS],
        joint_velocity=joints[JOINTS:],
        tool_pose_in_base=tool[:7],
        tool_target_in_base=tool[7:14],
        tool_velocity=tool[14:20],
        tool_wrench=tool[20:],
        gripper=gripper,
        gripper_target=1.0,
        scene={"cube": scene},
        privileged={"": scene},
    )
    executed = Action(np.array([0.1, -0.0, 1, -1, 1e-45], np.float32))
    after = after.after(executed.values[None])  # as the loop tells it
    step = Step(
        index=0,
        observation=before,
        proposed=None if proposed is None else Action(proposed),
        executed=executed,
        driver=Driver.HUMAN,
        reward=reward,
        gold_reward=-reward,
        terminated=True,
        truncated=False,
        policy_version=version,
        instruction=text,
        next_observation=after,
    )
    meta = dataclasses.replace(make_episode(spec, 0, 1).meta, operator=text)
    end = EpisodeEnd(meta.id, Outcome.FAULT, 1, text)
    with tempfile.TemporaryDirectory() as folder, JournalWriter(folder, spec) as writer:
        writer.on_episode_start(meta, before)
        writer.on_step(step)
        writer.on_episode_end(end)
        started, read, ended = read_journal(folder)
    assert plain(read) == plain(step)
    assert plain(started) == ("EpisodeStarted", {"meta": plain(meta), "observation": plain(before)})
    assert ended == end


@st.composite
def asked_steps(draw: st.DrawFn) -> list[Step]:
    """Steps with any of what is optional."""
    steps = list(make_steps(make_spec(), np.random.default_rng(0), 4))
    sizes = {name: draw(st.integers(1, 4)) for name in ("goal", "", "text/de")}
    for i, step in enumerate(steps):
        names = draw(st.sets(st.sampled_from(sorted(sizes))))
        context = {name: draw(hnp.arrays(np.float32, sizes[name], elements=float32)) for name in names}
        shares = draw(st.none() | hnp.arrays(np.float32, 5, elements=st.floats(0, 1, width=32)))
        steps[i] = dataclasses.replace(step, context=context, authority=shares)
        if draw(st.booleans()):
            steps[i] = dataclasses.replace(step, context=context, executed=None)
    return steps


@given(steps=asked_steps())
@draws(40)
def test_what_is_optional_comes_back_exactly(steps: list[Step]) -> None:
    meta = make_episode(make_spec(), 0, 1).meta
    told = Episode.from_steps(meta, steps, end=EpisodeEnd(meta.id, Outcome.TIME_LIMIT, len(steps), ""))
    assert plain(told.steps()) == plain(steps)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), make_spec(), told)
        (read,) = episodes(folder)
    assert plain(read.steps()) == plain(steps)
    for step in read.steps():
        known = next((n for n, before in enumerate(reversed(steps[: step.index])) if before.executed is None), None)
        assert len(step.observation.recent) == (step.index if known is None else known)


def test_a_step_without_what_is_optional_is_written_as_before(tmp_path: Path) -> None:
    (step,) = make_steps(make_spec(), np.random.default_rng(0), 1)
    assert not {"context", "authority"} & set(json.loads(encode_step(step)))
    with pytest.raises(ShapeError, match=r"Step\.authority"):
        dataclasses.replace(step, authority=np.zeros(3, np.float32))
    with pytest.raises(InvalidValueError, match=r"\[0, 1\]"):
        dataclasses.replace(step, authority=np.full(5, 1.5, np.float32))
    with pytest.raises(ShapeError, match=r"Step\.context\[goal\]"):
        dataclasses.replace(step, context={"goal": np.zeros(0, np.float32)})


def test_equal_sessions_make_equal_files(tmp_path: Path) -> None:
    spec = make_spec({"front": (8, 8)})
    files = [write(tmp_path / name, spec, make_episode(spec, 3, 5), make_episode(spec, 4, 2)) for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_replayed_journal_is_the_same_journal(tmp_path: Path) -> None:
    spec = make_spec({"front": (8, 8)})
    told = [make_episode(spec, 3, 5), make_episode(spec, 4, 2)]
    first = write(tmp_path / "a", spec, *told)
    with JournalWriter(tmp_path / "b", spec, metadata={"robot_rlhf": "0.1.0"}) as writer:
        counts = replay_into(tmp_path / "a", writer)
    human = sum(int(episode.by_human.sum()) for episode in told)
    assert counts == ReplayCounts(episodes=2, steps=7, human_steps=human, broken_off=0, last_stamp=40.1)
    assert first.read_bytes() == writer.path.read_bytes()


def test_a_resumed_run_starts_the_next_file(tmp_path: Path) -> None:
    spec = make_spec()
    broken = make_episode(spec, 1, 3, ended=False)
    whole = make_episode(spec, 2, 4)
    assert write(tmp_path, spec, broken).name == "000.mcap"
    assert write(tmp_path, spec, whole).name == "001.mcap"
    assert plain(list(episodes(tmp_path))) == plain([broken, whole])
    with JournalWriter(tmp_path / "again", spec) as writer:
        assert replay_into(tmp_path, writer).broken_off == 1
    ended = next(episodes(tmp_path / "again")).end
    assert ended == EpisodeEnd(broken.meta.id, Outcome.STOPPED, 3, "the recording broke off")


def test_the_order_of_calls_is_checked(tmp_path: Path) -> None:
    spec = make_spec()
    steps = list(make_steps(spec, np.random.default_rng(0), 3))
    meta = make_episode(spec, 0, 1).meta
    writer = JournalWriter(tmp_path, spec)
    with pytest.raises(JournalError, match="not open"):
        writer.on_episode_start(meta, steps[0].observation)
    with writer:
        with pytest.raises(InvalidValueError, match="outside an episode"):
            writer.on_step(steps[0])
        writer.on_episode_start(meta, steps[0].observation)
        with pytest.raises(InvalidValueError, match=r"index 1 .* allowed: index 0"):
            writer.on_step(steps[1])
        with pytest.raises(InvalidValueError, match="open episode"):
            writer.on_episode_end(EpisodeEnd("other", Outcome.SUCCESS, 0))
        with pytest.raises(InvalidValueError, match="finite"):
            writer.on_step(dataclasses.replace(steps[0], gold_reward=float("nan")))
        other = make_spec({"front": (2, 2)})
        pictured = make_observation(other, np.random.default_rng(0), 0.05)
        with pytest.raises(InvalidValueError, match="front"):
            writer.on_step(dataclasses.replace(steps[0], next_observation=pictured))
        wide = dataclasses.replace(steps[0].next_observation, joint_position=np.zeros(3, np.float32))
        with pytest.raises(ShapeError, match="joint_position"):
            writer.on_step(dataclasses.replace(steps[0], next_observation=wide))
        writer.on_step(steps[0])
    with pytest.raises(JournalError, match="closed"):
        writer.on_step(steps[1])
    assert [len(episode) for episode in episodes(tmp_path)] == [1]
