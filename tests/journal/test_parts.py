"""An episode recorded in parts is deleted and restored as a whole, and learned from as it is labelled when read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.console.pages.clips import row_json
from robot_rlhf.console.recording import Recording
from robot_rlhf.datatypes import (
    EpisodeKind,
    Event,
    Feedback,
    FeedbackKind,
    Observation,
    Outcome,
    Segment,
    whole_episode,
)
from robot_rlhf.episode import Episode
from robot_rlhf.journal.labels import Labels, read_labels
from robot_rlhf.journal.reader import AsLabelled, episodes, read_journal, replay_into
from robot_rlhf.journal.summary import describe
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.runtime.tally import Tally
from tests.draws import draws
from tests.journal.sessions import make_episode, make_spec, tell

SPEC = make_spec()


def piece(name: str, seed: int, count: int, outcome: Outcome | None, continues: str = "") -> Episode:
    """A practice episode, or a part of one; None: it broke off."""
    made = make_episode(SPEC, seed, count, name=name, ended=outcome is not None)
    meta = replace(made.meta, kind=EpisodeKind.PRACTICE, continues=continues)
    end = None if made.end is None or outcome is None else replace(made.end, outcome=outcome)
    return replace(made, meta=meta, events=(), end=end)


PARTS = (
    piece("a", 1, 3, Outcome.PAUSED),
    piece("a+01", 2, 2, Outcome.PAUSED, "a"),
    piece("a+02", 3, 4, Outcome.SUCCESS, "a+01"),
)
B = piece("b", 4, 3, Outcome.TIME_LIMIT)
BROKEN = (piece("c", 5, 2, Outcome.PAUSED), piece("c+01", 6, 3, None, "c"))
EVERYTHING = (*PARTS, B, *BROKEN)


def discard(name: str, value: float) -> Feedback:
    return Feedback(FeedbackKind.DISCARD, "kim", 90.0, Segment(name, 0, 1), value)


def record(folder: Path, told: Iterable[Episode | Event]) -> Path:
    with JournalWriter(folder, SPEC) as writer:
        for item in told:
            if isinstance(item, Episode):
                tell(writer, item)
            else:
                writer.on_event(item)
    return folder


def encode(observation: Observation) -> dict[str, np.ndarray]:
    return {"state": observation.joint_position}


def content(buffer: ReplayBuffer) -> list[tuple[float, ...]]:
    """Action and reward of every step that can be sampled, in the order of recording."""
    if not len(buffer):
        return []
    batch = buffer.gather(buffer.indices())
    return [(*a, r) for a, r in zip(batch.action.tolist(), batch.reward.tolist(), strict=True)]


def naive(deleted: set[str]) -> list[tuple[float, ...]]:
    """The same for whole episodes that are not deleted."""
    kept = [e for e in EVERYTHING if whole_episode(e.meta.id) not in deleted]
    steps = [step for episode in kept for step in episode.steps()]
    return [(*step.action.values.tolist(), float(np.float32(step.reward))) for step in steps]


def replayed(folder: Path) -> list[tuple[float, ...]]:
    buffer = ReplayBuffer(100, state_size=7, action_size=5, discount=0.9)
    replay_into(folder, ReplayFeed(buffer, encode))
    return content(buffer)


def test_names_of_parts() -> None:
    assert [whole_episode(e.meta.id) for e in PARTS] == ["a", "a", "a"]
    assert whole_episode("practice-000003") == "practice-000003"


@pytest.mark.parametrize("named", ["a", "a+01", "a+02"])
def test_any_part_deletes_and_restores_the_whole(tmp_path: Path, named: str) -> None:
    record(tmp_path, (*PARTS, B, discard(named, 1.0)))
    labels = read_labels(tmp_path)
    assert labels.deleted == {"a"}
    assert [labels.of(e.meta.id).deleted for e in (*PARTS, B)] == [True, True, True, False]
    assert [e.meta.id for e in episodes(tmp_path)] == ["b"]
    assert describe(tmp_path).deleted == 1
    recording = Recording(tmp_path)
    recording.refresh()
    assert [row_json(row)["deleted"] for row in recording.rows()] == [True, True, True, False]
    assert recording.comparable() == {"b": 3}
    record(tmp_path, [discard("a+01", 0.0)])
    recording.refresh()
    assert [row.outcome for row in recording.rows()] == [e.end.outcome for e in (*PARTS, B) if e.end]
    assert [e.meta.id for e in episodes(tmp_path)] == [e.meta.id for e in (*PARTS, B)]
    assert read_labels(tmp_path).deleted == frozenset()


@pytest.mark.parametrize(("deleted", "successes"), [(False, [True, False]), (True, [False, False])])
def test_a_deleted_episode_in_parts_counts_once(tmp_path: Path, deleted: bool, successes: list[bool]) -> None:
    record(tmp_path, (*PARTS, B, discard("a", float(deleted))))
    tally = Tally(0.05)
    replay_into(tmp_path, tally)
    assert tally.episodes == 2
    assert [(e.steps, e.success) for e in tally.history] == list(zip([9, 3], successes, strict=True))
    assert tally.started == {EpisodeKind.PRACTICE: 2}


SAID = st.lists(st.tuples(st.sampled_from([e.meta.id for e in EVERYTHING]), st.booleans()), max_size=6)


@given(SAID, SAID)
@draws(40)
def test_replay_holds_what_is_not_deleted_today(during: list[tuple[str, bool]], later: list[tuple[str, bool]]) -> None:
    """Deletions while the session goes on, of what was there by then, and after it."""
    deleted: set[str] = set()

    def said(what: list[tuple[str, bool]], known: set[str]) -> list[Event]:
        what = [(name, gone) for name, gone in what if name in known]
        for name, gone in what:
            (deleted.add if gone else deleted.discard)(whole_episode(name))
        return [discard(name, float(gone)) for name, gone in what]

    with tempfile.TemporaryDirectory() as folder:
        record(Path(folder), [*PARTS, B, *said(during, {"a", "a+01", "a+02", "b"}), *BROKEN])
        record(Path(folder), said(later, {e.meta.id for e in EVERYTHING}))
        assert replayed(Path(folder)) == naive(deleted)


def test_who_follows_a_session_never_holds_what_is_deleted(tmp_path: Path) -> None:
    """Told as it happens, without a look ahead: a deletion is obeyed at once."""
    buffer = ReplayBuffer(100, state_size=7, action_size=5, discount=0.9)
    feed = ReplayFeed(buffer, encode)
    for episode in (*PARTS, B):
        tell(feed, episode)
    feed.on_event(discard("a+01", 1.0))
    assert content(buffer) == naive({"a", "c"})
    tell(feed, BROKEN[0])
    feed.on_event(discard("c", 1.0))
    tell(feed, BROKEN[1])
    feed.on_event(discard("b", 1.0))
    assert content(buffer) == []


def test_what_the_journal_gains_after_its_labels_were_read_is_news(tmp_path: Path) -> None:
    record(tmp_path, (*PARTS, discard("a", 1.0), discard("a", 0.0)))
    as_labelled = AsLabelled(read_labels(tmp_path))
    record(tmp_path, (B, discard("a", 1.0), discard("b", 1.0), discard("a", 0.0)))
    passed = [as_labelled(r) for r in read_journal(tmp_path)]
    told = [r for r in passed if isinstance(r, Feedback)]
    assert [(f.span.episode_id, f.value) for f in told] == [("a", 0.0), ("a", 1.0), ("b", 1.0), ("a", 0.0)]
    assert AsLabelled(Labels())(B.end or discard("b", 1.0)) == B.end
