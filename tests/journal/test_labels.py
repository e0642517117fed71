"""Labels are appended, the last one wins, and every reader honours them; what was recorded stays as it is."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import (
    EpisodeEnd,
    EpisodeMeta,
    Event,
    Feedback,
    FeedbackKind,
    GuardEvent,
    Observation,
    Outcome,
    Segment,
    Step,
)
from robot_rlhf.episode import Episode
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.export import export
from robot_rlhf.journal.labels import Labels, LabelWriter, labelled, read_labels
from robot_rlhf.journal.reader import episodes, read_journal, replay_into
from robot_rlhf.journal.summary import describe
from robot_rlhf.journal.tail import JournalTail
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from tests.draws import draws
from tests.journal.sessions import make_episode, make_spec, plain, tell

SPEC = make_spec()
A, B, C = (make_episode(SPEC, seed, 4, name=name) for seed, name in ((1, "a"), (4, "b"), (7, "c")))
KIND = FeedbackKind


def say(
    kind: FeedbackKind,
    episode: str,
    value: float | None = None,
    *,
    start: int = 0,
    length: int = 4,
    text: str = "",
    other: Segment | None = None,
) -> Feedback:
    return Feedback(kind, "person", 50.0, Segment(episode, start, length), value, text, other)


def record(folder: Path, *told: Episode | Event) -> Path:
    with JournalWriter(folder, SPEC, metadata={"made_by": "test"}) as writer:
        for item in told:
            if isinstance(item, Episode):
                tell(writer, item)
            else:
                writer.on_event(item)
    return folder


def give(folder: Path, *labels: Feedback) -> None:
    with LabelWriter(folder) as writer:
        for label in labels:
            writer.give(label)


def ends(told: Sequence[Episode]) -> dict[str, Outcome | None]:
    return {e.meta.id: e.end.outcome if e.end else None for e in told}


def recorded_outcome(episode: Episode) -> Outcome:
    assert episode.end is not None
    return episode.end.outcome


def test_the_last_label_wins_and_the_original_stays(tmp_path: Path) -> None:
    record(tmp_path, A, B)
    first = (tmp_path / "000.mcap").read_bytes()
    give(tmp_path, say(KIND.SUCCESS, "a"), say(KIND.FAILURE, "a"), say(KIND.FAILURE, "b"), say(KIND.FAILURE, "b", 0))
    assert (tmp_path / "000.mcap").read_bytes() == first
    assert ends(list(episodes(tmp_path))) == {"a": Outcome.FAILURE, "b": recorded_outcome(B)}
    assert plain(list(episodes(tmp_path, as_recorded=True))) == plain([A, B])
    a = next(episodes(tmp_path))
    assert a.events == (*A.events, say(KIND.SUCCESS, "a"), say(KIND.FAILURE, "a"))
    assert a.end is not None
    assert a.end.detail == f"labelled; recorded as {recorded_outcome(A).value}"
    assert np.array_equal(a.reward, A.reward)
    assert read_labels(tmp_path).relabelled == {"a": Outcome.FAILURE}


def test_only_labels_of_the_whole_episode_after_its_end_change_its_outcome(tmp_path: Path) -> None:
    with JournalWriter(tmp_path, SPEC) as writer:
        steps = A.steps()
        writer.on_episode_start(A.meta, steps[0].observation)
        for step in steps:
            writer.on_step(step)
        writer.on_event(say(KIND.FAILURE, "a"))  # pressed while it ran: part of how it ended
        assert A.end is not None
        writer.on_episode_end(A.end)
        writer.on_event(say(KIND.FAILURE, "a", start=1, length=3))
        writer.on_event(say(KIND.FAILURE, "a", length=3))
    assert ends(list(episodes(tmp_path))) == {"a": recorded_outcome(A)}
    give(tmp_path, say(KIND.FAILURE, "a"))
    assert ends(list(episodes(tmp_path))) == {"a": Outcome.FAILURE}


def test_deleted_episodes_are_left_out_and_can_be_restored(tmp_path: Path) -> None:
    record(tmp_path, A, B, C)
    give(tmp_path, say(KIND.DISCARD, "b", 1), say(KIND.SUCCESS, "b"), say(KIND.DISCARD, "a", 1))
    assert list(ends(list(episodes(tmp_path)))) == ["c"]
    assert ends(list(episodes(tmp_path, include_deleted=True)))["b"] is Outcome.DISCARDED
    report = export(tmp_path, tmp_path / "one.csv", "csv")
    assert (report.episodes, report.steps) == (1, 4)
    assert export(tmp_path, tmp_path / "all.csv", "csv", include_discarded=True).episodes == 3
    give(tmp_path, say(KIND.DISCARD, "b", 0))
    assert ends(list(episodes(tmp_path))) == {"b": Outcome.SUCCESS, "c": recorded_outcome(C)}
    assert export(tmp_path, tmp_path / "two.h5", "robomimic").episodes == 2
    assert export(tmp_path, tmp_path / "two", "lerobot").episodes == 2
    summary = describe(tmp_path)
    assert (summary.deleted, summary.relabelled, summary.preferences) == (1, {"success": 1}, 3)
    assert summary.total_episodes == 3


def test_exports_tell_the_outcome_as_labelled(tmp_path: Path) -> None:
    record(tmp_path, A, B)
    give(tmp_path, say(KIND.SUCCESS, "a"), say(KIND.FAILURE, "b"))
    export(tmp_path, tmp_path / "steps.csv", "csv")
    rows = csv.DictReader((tmp_path / "steps.csv").open())
    assert {(row["episode"], row["success"]) for row in rows} == {("a", "1"), ("b", "0")}


def test_marked_spans_corrections_and_scores(tmp_path: Path) -> None:
    grasp, slip = (say(KIND.ATTRIBUTE, "a", start=1, length=2, text=text) for text in ("grasp", "slip"))
    gone = say(KIND.ATTRIBUTE, "a", 0, start=1, length=2, text="grasp")
    score = say(KIND.SCORE, "a", 0.7)
    record(tmp_path, A, B)
    give(tmp_path, grasp, slip, gone, score, say(KIND.CORRECTION, "a", text="slower"), say(KIND.INTERVENTION, "b"))
    own = read_labels(tmp_path).of("a")
    assert own.spans == [slip]
    assert [f.text for f in own.corrections] == ["higher", "slower"]
    assert own.scores == [score]
    assert read_labels(tmp_path).of("b").interventions == [say(KIND.INTERVENTION, "b")]
    assert read_labels(tmp_path).of("nobody").later == []


def test_preferences_skips_and_withdrawals(tmp_path: Path) -> None:
    def prefer(value: float | None, left: str, right: str) -> Feedback:
        return say(KIND.PREFERENCE, left, value, length=2, other=Segment(right, 1, 2))

    record(tmp_path, A, B, C)
    own = [f for e in (A, B, C) for f in e.events if isinstance(f, Feedback) and f.kind is KIND.PREFERENCE]
    give(tmp_path, prefer(1, "a", "b"), prefer(0.5, "b", "c"), prefer(None, "a", "c"), prefer(0, "a", "b"))
    labels = read_labels(tmp_path)
    assert labels.preferences == [*own, prefer(0.5, "b", "c"), prefer(0, "a", "b")]
    assert labels.skipped == [(Segment("a", 0, 2), Segment("c", 1, 2))]
    # The same pair, shown the other way round, is the same pair.
    turned = Feedback(KIND.PREFERENCE, "person", 60.0, Segment("b", 1, 2), None, other=Segment("a", 0, 2))
    give(tmp_path, turned)
    assert labels.preferences[-1] not in read_labels(tmp_path).preferences
    assert (turned.span, turned.other) in read_labels(tmp_path).skipped


def test_feedback_about_another_episode_than_the_open_one(tmp_path: Path) -> None:
    guard = GuardEvent(40.0, "workspace", "too low")
    with JournalWriter(tmp_path, SPEC) as writer:
        tell(writer, A)
        steps = B.steps()
        writer.on_episode_start(B.meta, steps[0].observation)
        writer.on_step(steps[0])
        writer.on_event(say(KIND.DISCARD, "a", 1))
        writer.on_event(guard)
        for step in steps[1:]:
            writer.on_step(step)
        assert B.end is not None
        writer.on_episode_end(B.end)
    a, b = episodes(tmp_path, include_deleted=True)
    assert b.events == (guard,)
    assert a.events[-1] == say(KIND.DISCARD, "a", 1)
    assert ends([a, b]) == {"a": Outcome.DISCARDED, "b": recorded_outcome(B)}
    assert [e.meta.id for e in episodes(tmp_path)] == ["b"]
    assert describe(tmp_path).events["discard"] == 1


def test_a_label_of_an_episode_that_broke_off(tmp_path: Path) -> None:
    """The label's file comes behind the broken one: no episode is open in it."""
    record(tmp_path, make_episode(SPEC, 1, 4, name="a", ended=False))
    give(tmp_path, say(KIND.SUCCESS, "a"), say(KIND.CORRECTION, "other", text="not mine"))
    (a,) = episodes(tmp_path)
    assert a.end == EpisodeEnd("a", Outcome.SUCCESS, 4, "labelled; the recording broke off")
    assert not [f for f in a.events if isinstance(f, Feedback) and f.text == "not mine"]
    (untouched,) = episodes(tmp_path, as_recorded=True)
    assert untouched.end is None
    assert untouched.events == A.events
    record(tmp_path, B)
    assert ends(list(episodes(tmp_path))) == {"a": Outcome.SUCCESS, "b": recorded_outcome(B)}


class Told:
    """A Subscriber that keeps starts and ends."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, Outcome]] = []
        self.open = 0

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self.open += 1

    def on_step(self, step: Step) -> None:
        assert self.open == 1

    def on_event(self, event: Event) -> None: ...

    def on_episode_end(self, end: EpisodeEnd) -> None:
        self.open -= 1
        self.ends.append((end.id, end.outcome))


def test_nobody_learns_from_a_deleted_episode(tmp_path: Path) -> None:
    broken = make_episode(SPEC, 10, 3, name="broken", ended=False)
    record(tmp_path, A, B, broken)
    give(tmp_path, say(KIND.DISCARD, "a", 1), say(KIND.DISCARD, "broken", 1), say(KIND.FAILURE, "b"))
    told = Told()
    counts = replay_into(tmp_path, told)
    assert (counts.episodes, counts.steps, counts.broken_off) == (3, 11, 1)
    assert told.ends == [("a", Outcome.DISCARDED), ("b", recorded_outcome(B)), ("broken", Outcome.DISCARDED)]
    buffer = ReplayBuffer(50, state_size=7, action_size=5, discount=0.9)
    replay_into(tmp_path, ReplayFeed(buffer, lambda observation: {"state": observation.joint_position}))
    sampled = {float(r) for r in buffer.sample(200).reward}
    assert sampled <= {float(r) for r in B.reward}


def test_labels_keep_the_session_and_go_to_the_next_file(tmp_path: Path) -> None:
    record(tmp_path, A)
    writer = LabelWriter(tmp_path)
    assert [path.name for path in sorted(tmp_path.glob("*.mcap"))] == ["000.mcap"]
    writer.give(say(KIND.SUCCESS, "a"))
    assert read_labels(tmp_path).relabelled == {"a": Outcome.SUCCESS}, "already before it is closed"
    writer.close()
    writer.close()
    writer.give(say(KIND.FAILURE, "a"))
    writer.close()
    assert [path.name for path in sorted(tmp_path.glob("*.mcap"))] == ["000.mcap", "001.mcap", "002.mcap"]
    summary = describe(tmp_path)
    assert summary.metadata["made_by"] == "test"
    assert summary.relabelled == {"failure": 1}
    with pytest.raises(JournalError, match="one of its files"):
        LabelWriter(tmp_path / "000.mcap").give(say(KIND.SUCCESS, "a"))
    with pytest.raises(JournalError, match="no such journal"):
        LabelWriter(tmp_path / "missing").give(say(KIND.SUCCESS, "a"))


def test_many_threads_label_at_once(tmp_path: Path) -> None:
    record(tmp_path, A)
    before = sum(isinstance(r, Feedback) for r in read_journal(tmp_path))
    with LabelWriter(tmp_path) as writer:
        threads = [
            threading.Thread(target=lambda: [writer.give(say(KIND.SCORE, "a", i / 20)) for i in range(20)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(isinstance(r, Feedback) for r in read_journal(tmp_path)) == before + 80


def test_a_second_writer_is_refused_by_name(tmp_path: Path) -> None:
    record(tmp_path, A)
    with JournalWriter(tmp_path, SPEC):
        with pytest.raises(JournalError, match=f"{tmp_path.name}: a session is writing this journal"):
            JournalWriter(tmp_path, SPEC).open()
        with pytest.raises(JournalError, match="give labels through it"):
            LabelWriter(tmp_path).give(say(KIND.SUCCESS, "a"))
    give(tmp_path, say(KIND.SUCCESS, "a"))
    assert read_labels(tmp_path).relabelled == {"a": Outcome.SUCCESS}


def test_a_killed_writer_blocks_nobody(tmp_path: Path) -> None:
    record(tmp_path, A)
    code = (
        "import sys, time\nfrom robot_rlhf.journal.writer import JournalWriter\n"
        "from robot_rlhf.journal.tail import journal_spec\n"
        "JournalWriter(sys.argv[1], journal_spec(sys.argv[1])).open()\nprint('open', flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(JournalError, match="a session is writing"):
            LabelWriter(tmp_path).give(say(KIND.SUCCESS, "a"))
        os.kill(process.pid, signal.SIGKILL)
    give(tmp_path, say(KIND.SUCCESS, "a"))


KINDS = st.sampled_from((KIND.SUCCESS, KIND.FAILURE, KIND.DISCARD))
SAID = st.tuples(KINDS, st.sampled_from("ab"), st.sampled_from((None, 0.0, 1.0)))


@given(st.lists(SAID, max_size=8))
@draws(60)
def test_labels_agree_with_a_naive_reading(said: list[tuple[FeedbackKind, str, float | None]]) -> None:
    labels = Labels()
    for episode in (A, B):
        assert episode.end is not None
        labels.add(episode.end)
    outcome: dict[str, Outcome | None] = {"a": None, "b": None}
    deleted = {"a": False, "b": False}
    for kind, name, value in said:
        labels.add(say(kind, name, value))
        if kind is KIND.DISCARD:
            deleted[name] = value != 0.0
        else:
            word = Outcome.SUCCESS if kind is KIND.SUCCESS else Outcome.FAILURE
            outcome[name] = None if value == 0.0 else word
    for episode in (A, B):
        name = episode.meta.id
        wanted = Outcome.DISCARDED if deleted[name] else outcome[name] or recorded_outcome(episode)
        assert ends([labelled(episode, labels)]) == {name: wanted}


@pytest.mark.parametrize("cameras", [{}, {"front": (5, 7), "wrist": (2, 3)}])
def test_what_a_reader_leaves_out(tmp_path: Path, cameras: dict[str, tuple[int, int]]) -> None:
    spec = make_spec(cameras)
    told = make_episode(spec, 3, 5)
    with JournalWriter(tmp_path, spec) as writer:
        tell(writer, told)
    with JournalTail(tmp_path, pictures=False) as tail:
        bare = Episode.from_steps(told.meta, [r for r in tail.records() if type(r).__name__ == "Step"])  # pyright: ignore[reportArgumentType] -- filtered by name
    columns = {name: column for name, column in told.observations.items() if not name.startswith("images/")}
    assert plain(bare.observations) == plain(columns)
    with JournalTail(tmp_path, steps=False) as tail:
        kinds = [type(r).__name__ for r in tail.records()]
        assert kinds == ["EpisodeStarted", "Feedback", "GuardEvent", "Feedback", "EpisodeEnd"]
        assert tail.topics["/robot_rlhf/step"] == 5
