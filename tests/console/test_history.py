"""What the console knows of the session so far: episodes over all their parts, labels, and events in words."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from robot_rlhf.console.history import NOTES, SERIES, History
from robot_rlhf.datatypes import (
    Action,
    Driver,
    EpisodeEnd,
    EpisodeKind,
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
from robot_rlhf.journal.decoder import EpisodeStarted, Record
from robot_rlhf.journal.writer import JournalWriter
from tests.console.fake_session import FakeRobot, make_spec
from tests.waits import CEILING

SPEC = make_spec(8)
ROBOT = FakeRobot(SPEC)
P, H, R = Driver.POLICY, Driver.HUMAN, Driver.REFLEX


class Tale:
    """Makes up records, as a journal gives them back."""

    def __init__(self) -> None:
        self.now = 0.0

    def observe(self) -> Observation:
        self.now += 0.05
        return ROBOT.observe(self.now)

    def part(
        self,
        name: str,
        drivers: str,
        outcome: Outcome | None,
        *,
        continues: str = "",
        at: int = 0,
        kind: EpisodeKind = EpisodeKind.PRACTICE,
        reward: float = 0.0,
        events: tuple[Event, ...] = (),
    ) -> list[Record]:
        """A recorded part. Args: drivers: a letter per step; outcome: None where the recording broke off."""
        seen = self.observe()
        meta = EpisodeMeta(name, "fake", kind, 1, "person", "person@1", continues=continues, continues_at=at)
        records: list[Record] = [EpisodeStarted(meta, seen)]
        for i, letter in enumerate(drivers):
            after = self.observe()
            action = Action(np.zeros(5, np.float32))
            driver = {"p": P, "h": H, "r": R}[letter]
            last = i == len(drivers) - 1
            records.append(
                Step(i, seen, action, action, driver, reward if last else 0.0, False, False, 3, "lift", after)
            )
            seen = after
        records += events
        if outcome is not None:
            records.append(EpisodeEnd(name, outcome, len(drivers)))
        return records


@pytest.fixture
def tale() -> Tale:
    return Tale()


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(str(tmp_path))


def test_nothing_yet(history: History) -> None:
    assert history.facts() == ()
    assert history.notes() == ()
    assert history.said(5) == ()
    assert (history.rules(), history.understands) == ((), False)
    assert {name: len(column) for name, column in history.series.items()} == dict.fromkeys(SERIES, 0)


def test_the_last_episode_is_told_with_who_judged_it(history: History, tale: Tale) -> None:
    assert history.last() is None
    whole = Segment("a", 0, 4)
    judged = Feedback(FeedbackKind.SUCCESS, "Anna", 1.0, whole)
    history.add(tale.part("a", "pphh", Outcome.SUCCESS, events=(judged,)))
    last = history.last()
    assert last is not None
    assert (last.parts, last.today, last.author) == ((("a", 4),), Outcome.SUCCESS, "Anna")
    history.add(list(last.undone("Anna", 2.0)))
    last = history.last()
    assert last is not None
    assert (last.today, last.takes_back) == (Outcome.DISCARDED, "Keep it after all")
    history.add(tale.part("b", "pp", Outcome.TIME_LIMIT))
    last = history.last()
    assert last is not None
    assert (last.name, last.author, last.takes_back) == ("b", "", "")
    history.add([Feedback(FeedbackKind.FAILURE, "Ben", 3.0, Segment("b", 0, 2))])
    last = history.last()
    assert last is not None
    assert (last.today, last.author) == (Outcome.FAILURE, "Ben")
    history.add(list(last.undone("Ben", 4.0)))
    last = history.last()
    assert last is not None
    assert (last.today, last.author) == (Outcome.TIME_LIMIT, "")


def test_episodes_are_columns(history: History, tale: Tale) -> None:
    history.add(tale.part("a", "pphh", Outcome.SUCCESS, reward=1.0, kind=EpisodeKind.DEMONSTRATION))
    history.add(tale.part("b", "pppp", Outcome.TIME_LIMIT))
    history.add(tale.part("c", "ph", Outcome.DISCARDED, reward=0.5))
    series = history.series
    np.testing.assert_array_equal(series["episode"], [1, 2, 3])
    np.testing.assert_array_equal(series["practice"], [0, 1, 1])
    np.testing.assert_array_equal(series["success"], [1, 0, np.nan])
    np.testing.assert_array_equal(series["human_share"], [0.5, 0, 0.5])
    np.testing.assert_array_equal(series["return"], [1.0, 0, 0.5])
    np.testing.assert_array_equal(series["steps"], [4, 4, 2])
    assert all(column.flags.c_contiguous for column in series.values())
    first = history.facts()[0]
    assert (first.first_takeover, first.interventions, first.longest, first.human_finished) == (2, 1, 2, True)
    assert len(history.facts(practice=True)) == 2


def test_paused_parts_are_one_episode(history: History, tale: Tale) -> None:
    before = history.version
    history.add(tale.part("a", "pppp", Outcome.PAUSED))
    assert history.facts() == ()
    history.add(tale.part("a+1", "hh", Outcome.PAUSED, continues="a", at=4))
    history.add(tale.part("a+2", "pp", Outcome.SUCCESS, continues="a+1", at=6, reward=1.0))
    (facts,) = history.facts()
    assert (facts.steps, facts.human_steps, facts.first_takeover, facts.outcome) == (8, 2, 4, Outcome.SUCCESS)
    assert history.version > before


def test_what_a_rewind_took_back_does_not_count(history: History, tale: Tale) -> None:
    history.add(tale.part("a", "pppppp", Outcome.PAUSED, reward=5.0))
    history.add(tale.part("a+1", "hhh", Outcome.SUCCESS, continues="a", at=2, reward=1.0))
    (facts,) = history.facts()
    assert (facts.steps, facts.human_steps, facts.first_takeover) == (5, 3, 2)
    assert history.series["return"].tolist() == [1.0]


def test_a_pause_that_nobody_went_on_from_ends_the_episode(history: History, tale: Tale) -> None:
    history.add(tale.part("a", "pp", Outcome.PAUSED))
    history.add(tale.part("b", "ppp", Outcome.FAILURE))
    assert [(f.outcome, f.steps) for f in history.facts()] == [(Outcome.STOPPED, 2), (Outcome.FAILURE, 3)]


def test_a_recording_that_broke_off_ends_with_its_file(history: History, tale: Tale) -> None:
    history.add(tale.part("a", "pp", None))
    history.begin_file()
    history.add(tale.part("b", "ppp", Outcome.FAILURE))
    assert [f.outcome for f in history.facts()] == [Outcome.STOPPED, Outcome.FAILURE]


def test_a_later_label_counts(history: History, tale: Tale) -> None:
    history.add(tale.part("a", "pph", Outcome.FAILURE))
    history.add(tale.part("b", "pp", Outcome.SUCCESS))
    assert history.series["success"].tolist() == [0, 1]
    history.add([Feedback(FeedbackKind.SUCCESS, "Anna", 9.0, Segment("a", 0, 3))])
    assert history.series["success"].tolist() == [1, 1]
    assert history.facts()[0].human_finished
    history.add([Feedback(FeedbackKind.DISCARD, "Anna", 9.0, Segment("b", 0, 2), 1.0)])
    np.testing.assert_array_equal(history.series["success"], [1, np.nan])
    history.add([Feedback(FeedbackKind.DISCARD, "Anna", 9.0, Segment("b", 0, 2), 0.0)])
    assert history.series["success"].tolist() == [1, 1]
    words = [note.text for note in history.notes()]
    assert words[:3] == ["Anna restored an episode", "Anna deleted an episode", "Anna judged the episode a success"]


@pytest.mark.parametrize(("deleted", "restored"), [("a", "a+01"), ("a+01", "a")])
def test_any_part_stands_for_the_whole(history: History, tale: Tale, deleted: str, restored: str) -> None:
    history.add(tale.part("a", "pp", Outcome.PAUSED))
    history.add(tale.part("a+01", "hh", Outcome.SUCCESS, continues="a", at=2))
    history.add([Feedback(FeedbackKind.DISCARD, "Anna", 9.0, Segment(deleted, 0, 2), 1.0)])
    assert [f.outcome for f in history.facts()] == [Outcome.DISCARDED]
    history.add([Feedback(FeedbackKind.DISCARD, "Anna", 9.0, Segment(restored, 0, 2), 0.0)])
    assert [f.outcome for f in history.facts()] == [Outcome.SUCCESS]


def test_events_in_words(history: History, tale: Tale) -> None:
    said = Feedback(FeedbackKind.CORRECTION, "Anna", 1.0, Segment("a", 0, 1), text="<b>higher</b>")
    limited = [GuardEvent(stamp, "workspace", "z 0.01 m") for stamp in (1.0, 1.1, 1.2, 9.0)]
    fault = GuardEvent(9.5, "stop", "pressed", latched=True)
    history.add(tale.part("a", "pp", Outcome.FAULT, events=(said, *limited, fault, fault)))
    notes = history.notes()
    assert [note.kind for note in notes] == ["episode", "guard", "guard", "guard", "guard", "said"]
    assert notes[-1].text == "Anna: <b>higher</b>", "as it was said; the page escapes it"
    assert [note.latched for note in notes] == [False, True, True, False, False, False]
    assert "edge of its workspace" in notes[3].text
    assert "fault" in notes[0].text
    history.add([GuardEvent(10.0 * i, "workspace", "") for i in range(2, 3 * NOTES)])
    assert len(history.notes()) == NOTES


def test_sentences_and_rules_are_of_the_whole_session(history: History, tale: Tale) -> None:
    def said(episode: str, text: str, doing: str = "", name: str = "a/0") -> Feedback:
        kind = FeedbackKind.MEANING if doing else FeedbackKind.CORRECTION
        meanings = [{"reading": "rule", "rule": "slower"}] if doing == "rule" else []
        payload = {"sentence": name, "meanings": meanings, "doing": doing} if doing else {}
        return Feedback(kind, "Anna", 1.0, Segment(episode, 0, 1), text=text, payload=payload)

    rule = (said("a", "slower"), said("a", "slower", "rule"))
    history.add(tale.part("a", "pp", Outcome.PAUSED, events=rule))
    history.add(tale.part("a+1", "pp", None, continues="a", at=2, events=(said("a+1", "higher"),)))
    history.begin_file()
    history.add(tale.part("b", "p", None))
    assert [each.text for each in history.said(5)] == ["higher", "slower"]
    assert [each.text for each in history.said(1)] == ["higher"]
    assert [each.name for each in history.rules()] == ["a/0"], "it outlives its episode, and its file"
    assert history.understands
    history.add([said("a", "slower", "undone")])
    assert history.rules() == ()
    assert (each := history.sentence("a/0")) is not None
    assert each.taken_back
    assert [note.kind for note in history.notes()].count("said") == 2


def test_a_journal_is_followed_while_it_grows(tmp_path: Path, tale: Tale) -> None:
    history = History(str(tmp_path / "later"))
    history.start()

    def wait(episodes: int) -> None:
        deadline = time.monotonic() + CEILING
        while len(history.facts()) < episodes and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(history.facts()) == episodes

    def tell(writer: JournalWriter, records: list[Record]) -> None:
        for record in records:
            if isinstance(record, EpisodeStarted):
                writer.on_episode_start(record.meta, record.observation)
            elif isinstance(record, Step):
                writer.on_step(record)
            elif isinstance(record, EpisodeEnd):
                writer.on_episode_end(record)
            else:
                writer.on_event(record)

    try:
        with JournalWriter(tmp_path / "later", SPEC) as writer:
            tell(writer, tale.part("a", "pph", Outcome.SUCCESS))
            wait(1)
            tell(writer, tale.part("b", "pp", None))
        with JournalWriter(tmp_path / "later", SPEC) as writer:
            tell(writer, tale.part("c", "ppp", Outcome.FAILURE))
            wait(3)
        assert [f.outcome for f in history.facts()] == [Outcome.SUCCESS, Outcome.STOPPED, Outcome.FAILURE]
        assert history.failure == ""
    finally:
        history.stop()
        history.stop()


def test_a_damaged_journal_ends_the_history_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "000.mcap").write_bytes(b"no journal at all, but long enough to be looked at" * 10)
    history = History(str(tmp_path))
    history.start()
    deadline = time.monotonic() + CEILING
    while not history.failure and time.monotonic() < deadline:
        time.sleep(0.01)
    history.stop()
    assert "000.mcap" in history.failure
