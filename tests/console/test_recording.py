"""What a page is shown of a recording is what was recorded, also while it grows, and as it is labelled today."""

from __future__ import annotations

import itertools
import json
import struct
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.console.critic_values import EpisodeValues
from robot_rlhf.console.pages.clips import episode_json, packed, row_json
from robot_rlhf.console.pages.review import judgement, saying, values_json
from robot_rlhf.console.questions import LENGTHS, Questions
from robot_rlhf.console.recorded_pictures import PictureCache
from robot_rlhf.console.recording import Recording
from robot_rlhf.datatypes import Driver, Feedback, FeedbackKind, Outcome, RobotSpec, Segment
from robot_rlhf.episode import Episode
from robot_rlhf.errors import InvalidValueError, UnknownNameError
from robot_rlhf.journal.labels import LabelWriter
from robot_rlhf.journal.writer import JournalWriter
from tests.draws import draws
from tests.journal.sessions import make_episode, make_spec, tell

PICTURED = make_spec({"front": (16, 24), "wrist": (8, 8)})
BARE = make_spec()


def write(folder: Path, spec: RobotSpec, *told: Episode) -> Path:
    with JournalWriter(folder, spec) as writer:
        for episode in told:
            tell(writer, episode)
    return folder


def recorded(folder: Path) -> Recording:
    recording = Recording(folder)
    recording.refresh()
    return recording


@pytest.fixture(scope="module")
def told() -> list[Episode]:
    return [make_episode(PICTURED, 1, 5), make_episode(PICTURED, 2, 3, ended=False), make_episode(PICTURED, 3, 7)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, told: list[Episode]) -> Path:
    return write(tmp_path_factory.mktemp("journal"), PICTURED, *told)


def test_the_table_of_contents(folder: Path, told: list[Episode]) -> None:
    recording = recorded(folder)
    rows = recording.rows()
    assert [row.id for row in rows] == [e.meta.id for e in told]
    for row, episode in zip(rows, told, strict=True):
        assert (row.steps, row.kind, row.task, row.open) == (len(episode), episode.meta.kind, "pick_cube", False)
        assert row.recorded is (episode.end.outcome if episode.end else None)
        assert row.human_steps == episode.by_human.sum()
        stamps = episode.observations["stamp"]
        assert row.seconds == pytest.approx(stamps[-1] - stamps[0])
        assert recording.rewards(row.id) == episode.reward.tolist()
        drivers = [run.driver for run in recording.driver_runs(row.number) for _ in range(run.length)]
        assert drivers == [Driver(d) for d in episode.driver.tolist()]
        starts = [run.start for run in recording.driver_runs(row.id)]
        assert starts == [t for t in range(len(episode)) if t == 0 or episode.driver[t] != episode.driver[t - 1]]
        said = [*recording.instructions(row.id), (len(episode), "")]
        spoken = [text for (first, text), (after, _) in itertools.pairwise(said) for _ in range(first, after)]
        assert spoken == list(episode.instructions)
        path = np.array(recording.tool_path(Segment(row.id, 1, 2)))
        assert path[:, :3] == pytest.approx(episode.observations["tool_pose_in_base"][1:4, :3], abs=1e-5)
        assert path[:, 3] == pytest.approx(episode.observations["gripper"][1:4], abs=1e-5)
        assert [event for event, _, _ in recording.events(row.id)] == list(episode.events)
    assert recording.cameras == ("front", "wrist")
    assert recording.control_period == 0.05


def test_pictures_are_those_of_the_step(tmp_path: Path) -> None:
    """Flat pictures survive JPEG: each says which step and camera it is of."""
    episode = make_episode(PICTURED, 1, 5)
    for step in range(6):
        for camera, blue in (("front", 0), ("wrist", 200)):
            pictures = episode.observations[f"images/{camera}"]
            pictures.flags.writeable = True
            pictures[step] = (40 * step, 100, blue)
    recording = recorded(write(tmp_path, PICTURED, make_episode(PICTURED, 4, 2), episode))

    def colour(jpeg: bytes) -> list[int]:
        bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert bgr is not None
        return np.asarray(bgr).reshape(-1, 3).mean(axis=0)[::-1].tolist()

    for camera, blue in (("front", 0), ("wrist", 200)):
        for step in range(6):
            assert colour(recording.frame(episode.meta.id, step, camera)) == pytest.approx(
                [40 * step, 100, blue], abs=4
            )
        clip = recording.clip(Segment(episode.meta.id, 2, 3), camera)
        assert [round(colour(jpeg)[0] / 40) for jpeg in clip] == [2, 3, 4, 5]
    assert clip == recording.clip(Segment(episode.meta.id, 2, 3), camera)
    (length,) = struct.unpack_from("<I", packed(clip))
    assert packed(clip)[4 : 4 + length] == clip[0]
    assert len(packed(clip)) == sum(4 + len(jpeg) for jpeg in clip)


def test_what_is_not_there_is_named(folder: Path) -> None:
    recording = recorded(folder)
    with pytest.raises(UnknownNameError, match=r"unknown camera 'side'.*front, wrist"):
        recording.frame(0, 0, "side")
    with pytest.raises(InvalidValueError, match="step: got 6, allowed: 0 to 5"):
        recording.frame(0, 6, "front")
    with pytest.raises(InvalidValueError, match="allowed: 0 to 5"):
        recording.frame(0, -1, "front")
    with pytest.raises(InvalidValueError, match="numbers below 3"):
        recording.row(3)
    with pytest.raises(UnknownNameError, match="Did you mean 'episode-0001'"):
        recording.rewards("episode-001")
    with pytest.raises(InvalidValueError, match="steps 3 to 6, allowed: 0 to 5"):
        recording.clip(Segment("episode-0001", 3, 3), "front")


def test_a_session_without_pictures(tmp_path: Path) -> None:
    recording = recorded(write(tmp_path, BARE, make_episode(BARE, 1, 4)))
    assert recording.cameras == ()
    assert len(recording.tool_path(Segment("episode-0001", 0, 4))) == 5
    with pytest.raises(UnknownNameError, match="camera"):
        recording.frame(0, 0, "front")


def test_a_growing_session(tmp_path: Path, told: list[Episode]) -> None:
    recording = Recording(tmp_path / "journal")
    assert recording.refresh() == 0
    assert recording.rows() == []
    first = told[0]
    steps = first.steps()
    with JournalWriter(tmp_path / "journal", PICTURED) as writer:
        recording.refresh()
        writer.on_episode_start(first.meta, steps[0].observation)
        recording.refresh()
        assert recording.rows() == [], "no step yet"
        seen = recording.version
        for step in steps[:3]:
            writer.on_step(step)
        assert recording.refresh() > seen
        (row,) = recording.rows()
        assert (row.open, row.steps, row.outcome) == (True, 3, None)
        assert row_json(row)["outcome"] == "running"
        assert recording.frame(0, 3, "front")
        assert recording.comparable() == {}, "an episode is compared once it has ended"
        for step in steps[3:]:
            writer.on_step(step)
        assert first.end is not None
        writer.on_episode_end(first.end)
        recording.refresh()
        assert recording.comparable() == {first.meta.id: 5}
        assert recording.refresh() == recording.version
        # A label that comes through the session, while the next episode runs.
        writer.on_episode_start(told[2].meta, told[2].steps()[0].observation)
        writer.on_event(Feedback(FeedbackKind.DISCARD, "me", 9.0, Segment(first.meta.id, 0, 5), 1.0))
        recording.refresh()
    assert recording.row(0).outcome is Outcome.DISCARDED
    assert recording.row(0).recorded is first.end.outcome
    assert recording.events(0)[-1][0].stamp == 9.0
    assert recording.events(1) == []


def line(episode: str, q: list[float | None], returns: list[float | None], updates: int = 7) -> bytes:
    return json.dumps({"episode": episode, "policy_updates": updates, "q": q, "return": returns}).encode() + b"\n"


def test_the_critics_values_follow_a_growing_file(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "values.jsonl"
    recording = Recording(folder, values=path)
    seen = recording.refresh()
    assert recording.values("episode-0002") is None, "no file yet"
    assert recording.refresh() == seen
    first = line("episode-0002", [0.5, None, 0.25], [0.81, 0.9, 1.0])
    with path.open("ab") as file:
        file.write(first + line("episode-0003", [0.0] * 7, [1.0] * 7)[:-20])
        file.flush()
        assert recording.refresh() == seen + 1, "the page learns that there is something new"
        assert recording.values(1) == EpisodeValues((0.5, None, 0.25), (0.81, 0.9, 1.0), 7)
        assert recording.values(2) is None, "its line is not whole"
        file.write(b"\n" + line("episode-0002", [0.1, 0.2, 0.3], [0.81, 0.9, 1.0], 9) + b'{"episode": "episode-0001"')
    assert recording.refresh() == recording.refresh() == seen + 2
    assert recording.values("episode-0002") == EpisodeValues((0.1, 0.2, 0.3), (0.81, 0.9, 1.0), 9), "the last counts"
    assert recording.values("episode-0003") is None, "a crash cut its line"
    path.write_bytes(first)
    assert recording.values("episode-0002") == EpisodeValues((0.5, None, 0.25), (0.81, 0.9, 1.0), 7), "another file"
    assert values_json(recording, {"episode": 1}) == {
        "episode": 1,
        "q": (0.5, None, 0.25),
        "return": (0.81, 0.9, 1.0),
        "updates": 7,
    }
    assert values_json(recording, {"episode": 0}) == {"episode": 0}
    with pytest.raises(InvalidValueError, match="numbers below 3"):
        values_json(recording, {"episode": 3})
    with pytest.raises(InvalidValueError, match="an object"):
        values_json(recording, 3)


@pytest.mark.parametrize(
    "damaged",
    [
        b"[1]\n",
        b"\xff\xfe\n",
        line("episode-0002", [0.5], [0.5]),
        line("episode-0002", [0.5, 0.5, 0.5], [0.5]),
        b'{"episode": "episode-0002", "policy_updates": 1, "q": ["a", "b", "c"], "return": [1, 2, 3]}\n',
        b'{"episode": "episode-0002", "policy_updates": 1, "return": [1, 2, 3]}\n',
    ],
)
def test_values_that_cannot_be_are_passed_over(damaged: bytes, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "values.jsonl"
    path.write_bytes(damaged + line("episode-0001", [0.5] * 5, [1.0] * 5))
    recording = Recording(folder, values=path)
    recording.refresh()
    assert recording.values("episode-0002") is None
    assert recording.values("episode-0001") == EpisodeValues((0.5,) * 5, (1.0,) * 5, 7)


def test_labels_change_what_is_shown(tmp_path: Path, told: list[Episode]) -> None:
    write(tmp_path, PICTURED, *told)
    recording = recorded(tmp_path)
    with LabelWriter(tmp_path) as sink:
        for what, outcome in (("failure", Outcome.FAILURE), ("success", Outcome.SUCCESS), ("clear", None)):
            sink.give(judgement(recording, {"do": what, "episode": 1}, "me", 5.0))
            recording.refresh()
            assert recording.row(1).outcome is outcome
        sink.give(judgement(recording, {"do": "delete", "episode": 2}, "me", 5.0))
        mark = {"do": "mark", "episode": 0, "start": 1, "length": 2, "text": "  the \n grasp "}
        sink.give(judgement(recording, mark, "me", 5.0))
        recording.refresh()
        assert recording.row(2).deleted
        assert recording.comparable() == {"episode-0001": 5, "episode-0002": 3}
        shown = episode_json(recording, 0)
        assert shown["marks"] == [{"text": "the grasp", "start": 1, "length": 2}]
        assert [event["kind"] for event in shown["events"]] == ["correction", "fault"]
        sink.give(judgement(recording, {**shown["marks"][0], "do": "unmark", "episode": 0}, "me", 5.0))
        sink.give(judgement(recording, {"do": "restore", "episode": 2}, "me", 5.0))
        recording.refresh()
    assert episode_json(recording, 0)["marks"] == []
    assert not recording.row(2).deleted
    assert episode_json(recording, 1)["events"][-1] == {
        "kind": "success",
        "text": "",
        "detail": "",
        "author": "me",
        "value": 0.0,
        "start": 0,
        "length": 3,
        "later": True,
    }


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ("delete", "an object"),
        ({"do": "delete"}, "episode: got None"),
        ({"do": "delete", "episode": True}, "whole number"),
        ({"do": "delete", "episode": 99}, "numbers below 3"),
        ({"do": "delete", "episode": -1}, "numbers below 3"),
        ({"do": "explode", "episode": 0}, "unknown request 'explode'"),
        ({"do": ["mark"], "episode": 0}, "unknown request"),
        ({"do": "mark", "episode": 0, "start": 0, "length": 2, "text": " "}, "1 to 80 characters"),
        ({"do": "mark", "episode": 0, "start": 0, "length": 2, "text": "x" * 81}, "1 to 80 characters"),
        ({"do": "mark", "episode": 0, "start": 4, "length": 2, "text": "x"}, "a part of 0 to 5"),
        ({"do": "mark", "episode": 0, "start": -1, "length": 2, "text": "x"}, "a part of 0 to 5"),
        ({"do": "mark", "episode": 0, "start": 0, "length": 0, "text": "x"}, "a part of 0 to 5"),
        ({"do": "mark", "episode": 0, "start": 0.5, "length": 2, "text": "x"}, "whole number"),
    ],
)
def test_malformed_requests_are_refused(folder: Path, asked: Any, problem: str) -> None:
    with pytest.raises((InvalidValueError, UnknownNameError), match=problem):
        judgement(recorded(folder), asked, "me", 0.0)


def test_an_episode_that_is_recorded_now_takes_no_label(tmp_path: Path, told: list[Episode]) -> None:
    with JournalWriter(tmp_path, PICTURED) as writer:
        writer.on_episode_start(told[0].meta, told[0].steps()[0].observation)
        writer.on_step(told[0].steps()[0])
        recording = recorded(tmp_path)
        with pytest.raises(InvalidValueError, match="once it has ended"):
            judgement(recording, {"do": "delete", "episode": 0}, "me", 0.0)


def test_every_request_has_its_words() -> None:
    for what in ("success", "failure", "clear", "delete", "restore", "mark", "unmark"):
        assert saying({"do": what})


def test_damage_ends_the_reading_but_not_the_browsing(tmp_path: Path, told: list[Episode]) -> None:
    write(tmp_path, PICTURED, told[0])
    path = tmp_path / "001.mcap"
    write(tmp_path, PICTURED, told[2])
    path.write_bytes(path.read_bytes().replace(b'"driver":"', b'"drover":"', 1))
    recording = recorded(tmp_path)
    assert "001.mcap: damaged at byte" in recording.problem
    assert [row.id for row in recording.rows()] == ["episode-0001"]
    assert recording.frame(0, 0, "front")
    assert recording.refresh() == recording.version


def test_the_cache_keeps_the_newest_and_its_bounds() -> None:
    cache = PictureCache(100)
    for i in range(10):
        cache.put((0, i, "front"), bytes(30))
        assert cache.get((0, 0, "front")) is not None, "used again and again"
    assert cache.bytes == 90
    assert [i for i in range(10) if cache.get((0, i, "front"))] == [0, 8, 9]
    cache.put((0, 9, "front"), bytes(10))
    assert cache.bytes == 70


@given(counts=st.lists(st.integers(1, 6), min_size=1, max_size=4), seed=st.integers(0, 99))
@draws(15)
def test_the_index_finds_what_a_full_reading_finds(counts: list[int], seed: int) -> None:
    spec = make_spec({"front": (4, 4)})
    told = [make_episode(spec, seed + i, count) for i, count in enumerate(counts)]
    with tempfile.TemporaryDirectory() as name:
        recording = recorded(write(Path(name), spec, *told))
        assert {row.id: row.steps for row in recording.rows()} == {e.meta.id: len(e) for e in told}
        assert all(len(recording.clip(Segment(e.meta.id, 0, len(e)), "front")) == len(e) + 1 for e in told)


# -- questions --------------------------------------------------------------------------------------------------------


def questions(recording: Recording, **settings: Any) -> Questions:
    return Questions(recording, np.random.default_rng(0), author=lambda: "me", now=lambda: 7.0, **settings)


@pytest.fixture
def session(tmp_path: Path) -> Recording:
    return recorded(write(tmp_path, BARE, *(make_episode(BARE, seed, 10 + 3 * seed) for seed in range(6))))


@pytest.mark.parametrize("strategy", ["uniform", "k_centre"])
def test_every_pair_is_asked_once(session: Recording, strategy: str) -> None:
    asked = questions(session, strategy=strategy, length=10)
    seen: set[frozenset[Segment]] = set()
    count = sum((10 + 3 * seed) // 10 for seed in range(6))
    while pairs := asked.now_and_next():
        now = pairs[0]
        feedback = asked.answer(now.number, "left")
        assert feedback is not None
        assert (feedback.span, feedback.other, feedback.value) == (now.left, now.right, 1.0)
        asked.accept()
        if len(pairs) > 1:
            assert asked.now_and_next()[0] == pairs[1], "the next question was known, so that it could be loaded"
        key = frozenset((now.left, now.right))
        assert key not in seen
        seen.add(key)
    assert len(seen) == count * (count - 1) // 2 == asked.answered


def test_pairs_of_the_journal_are_not_asked_again(session: Recording) -> None:
    asked = questions(session, length=10)
    with LabelWriter(session.path) as sink:
        for answer in ("left", "skip", "equal"):
            feedback = asked.answer(asked.now_and_next()[0].number, answer)
            assert feedback is not None
            sink.give(feedback)
            asked.accept()
    session.refresh()
    done = {frozenset((f.span, f.other)) for f in session.labels.preferences} | set(
        map(frozenset, session.labels.skipped)
    )
    assert len(session.labels.skipped) == 1
    again = questions(session, length=10)
    while pairs := again.now_and_next():
        assert frozenset((pairs[0].left, pairs[0].right)) not in done
        again.accept()


def test_an_answer_is_for_the_question_it_names(session: Recording) -> None:
    asked = questions(session, length=10)
    now, following = asked.now_and_next()
    assert asked.answer(following.number, "left") is None
    assert asked.withdrawal() is None
    asked.accept()
    assert asked.answer(now.number, "left") is None, "a late key press"
    with pytest.raises(UnknownNameError, match="answer 'both'"):
        asked.answer(following.number, "both")


def test_an_answer_is_taken_back_and_asked_again(session: Recording) -> None:
    asked = questions(session, length=10)
    now = asked.now_and_next()[0]
    asked.accept()
    feedback = asked.withdrawal()
    assert feedback is not None
    assert (feedback.span, feedback.other, feedback.value, feedback.author) == (now.left, now.right, None, "me")
    asked.take_back()
    again = asked.now_and_next()[0]
    assert (again.left, again.right) == (now.left, now.right)
    assert again.number != now.number
    assert asked.answered == 0


def test_the_length_fits_what_was_recorded(session: Recording, tmp_path: Path) -> None:
    asked = questions(session)
    asked.now_and_next()
    assert asked.length == 10, "the middle of 10, 13, ..., 25 is 19"
    assert questions(session, length=25).now_and_next() == [], "one such clip makes no pair"
    empty = questions(Recording(tmp_path / "none"))
    assert empty.now_and_next() == []
    asked.choose("k_centre", LENGTHS[1])
    assert asked.now_and_next()[0].left.length == 20
    with pytest.raises(InvalidValueError, match="1 to 1000"):
        asked.choose("uniform", 0)
    with pytest.raises(UnknownNameError, match="Known: k_centre, uniform"):
        asked.choose("best", 10)


def test_deleted_episodes_are_not_asked_about(session: Recording) -> None:
    asked = questions(session, length=10)
    gone = asked.now_and_next()[0].left.episode_id
    with LabelWriter(session.path) as sink:
        sink.give(judgement(session, {"do": "delete", "episode": session.row(gone).number}, "me", 1.0))
    session.refresh()
    while pairs := asked.now_and_next():
        assert gone not in (pairs[0].left.episode_id, pairs[0].right.episode_id)
        asked.accept()
