"""The clips of a journal against a naive twin that holds every episode in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_rlhf.datatypes import Feedback, FeedbackKind, Segment
from robot_rlhf.errors import InvalidValueError, JournalError, RenderError, UnknownNameError
from robot_rlhf.feedback.comparisons import preference
from robot_rlhf.journal.labels import LabelWriter
from robot_rlhf.journal.reader import episodes
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.runtime.clips import read_clips
from tests.journal.sessions import make_episode, make_spec, tell
from tests.rewards.recorded_clips import EpisodeClips

SPEC = make_spec({"front": (8, 10), "wrist": (4, 4)})


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    folder = tmp_path / "journal"
    for seeds in (range(3), range(3, 5)):
        with JournalWriter(folder, SPEC) as writer:
            for seed in seeds:
                tell(writer, make_episode(SPEC, seed, 4 + seed, ended=seed != 2))
    return folder


def test_the_same_as_whole_episodes(journal: Path) -> None:
    clips, twin = read_clips(journal), EpisodeClips(*episodes(journal))
    assert clips.steps == clips.comparable == {f"episode-{seed:04d}": 4 + seed for seed in range(5)}
    for name, steps in clips.steps.items():
        assert clips.facts(name) == twin.facts(name)
        for segment in (Segment(name, 0, steps), Segment(name, 1, 2), Segment(name, steps - 1, 1)):
            told, expected = clips.observations(segment), twin.observations(segment)
            assert set(told) == set(expected)
            for key in told:
                np.testing.assert_array_equal(told[key], expected[key])
            for camera in ("front", "wrist"):
                np.testing.assert_array_equal(clips.frames(segment, camera), twin.frames(segment, camera))


def test_nothing_true_is_shown(journal: Path) -> None:
    columns = read_clips(journal).observations(Segment("episode-0000", 0, 4))
    assert "scene/cube" in columns
    assert not [name for name in columns if name.startswith(("privileged", "images")) or "reward" in name]
    with pytest.raises(ValueError, match="read-only"):
        columns["scene/cube"][0] = 1


def test_labels_of_today(journal: Path) -> None:
    whole = Segment("episode-0001", 0, 5)
    pair = (Segment("episode-0000", 0, 2), Segment("episode-0003", 0, 2))
    with LabelWriter(journal) as writer:
        writer.give(Feedback(FeedbackKind.FAILURE, "me", 1.0, whole, 1.0))
        writer.give(Feedback(FeedbackKind.DISCARD, "me", 2.0, Segment("episode-0003", 0, 7), 1.0))
        writer.give(preference(pair, "left", "me", 3.0))
        writer.give(preference(pair, "skip", "me", 4.0))
    clips = read_clips(journal)
    assert clips.facts("episode-0001").success is False
    assert "episode-0003" in clips.steps
    assert "episode-0003" not in clips.comparable
    assert [f.value for f in clips.comparisons if (f.span, f.other) == pair] == [1.0, None]
    assert clips.labels.skipped == [pair]


def test_what_is_not_there(journal: Path, tmp_path: Path) -> None:
    clips = read_clips(journal)
    with pytest.raises(UnknownNameError, match=r"episode 'episode-000'\. Did you mean"):
        clips.facts("episode-000")
    with pytest.raises(InvalidValueError, match="steps 3 to 5, allowed: 0 to 4"):
        clips.observations(Segment("episode-0000", 3, 2))
    with pytest.raises(UnknownNameError, match=r"camera 'frontt'\. Did you mean 'front'"):
        clips.frames(Segment("episode-0000", 0, 2), "frontt")
    bare = tmp_path / "bare"
    with JournalWriter(bare, make_spec()) as writer:
        tell(writer, make_episode(make_spec(), 0, 4))
    with pytest.raises(RenderError, match="has no pictures"):
        read_clips(bare).frames(Segment("episode-0000", 0, 2), "front")
    with pytest.raises(JournalError, match="no such journal"):
        read_clips(tmp_path / "none")


def test_a_file_that_shrinks_is_said(journal: Path) -> None:
    clips = read_clips(journal)
    (journal / "000.mcap").write_bytes(b"")
    with pytest.raises(JournalError, match="the file has shrunk"):
        clips.frames(Segment("episode-0000", 0, 2), "front")
    assert clips.facts("episode-0000").success in (True, False)
