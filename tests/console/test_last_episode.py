"""What became of the last episode is said, with its reason, and a judgement can be taken back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from robot_rlhf.console.last_episode import LastEpisode
from robot_rlhf.datatypes import EpisodeKind, Feedback, FeedbackKind, Outcome, Segment
from robot_rlhf.journal.labels import Labels, read_labels
from robot_rlhf.journal.reader import episodes, replay_into
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.runtime.tally import Tally
from tests.journal.sessions import make_episode, make_spec, tell

SPEC = make_spec()
PRACTICE = LastEpisode((("practice-000003", 40),), EpisodeKind.PRACTICE, Outcome.TIME_LIMIT, Outcome.TIME_LIMIT)
SHOWN = replace(PRACTICE, parts=(("demonstration-000001", 40),), kind=EpisodeKind.DEMONSTRATION)


def ended(outcome: Outcome, today: Outcome | None = None, *, detail: str = "", author: str = "") -> LastEpisode:
    return replace(PRACTICE, recorded=outcome, today=today or outcome, detail=detail, author=author)


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (PRACTICE, "practice-000003: Time ran out"),
        (ended(Outcome.SUCCESS), "practice-000003: Success (seen by the robot)"),
        (ended(Outcome.SUCCESS, author="Anna"), "practice-000003: Success (judged by Anna)"),
        (ended(Outcome.TIME_LIMIT, Outcome.SUCCESS, author="Anna"), "practice-000003: Success (judged by Anna)"),
        (
            ended(Outcome.FAULT, detail="joint_speed: 3 rad/s"),
            "practice-000003: Ended by a fault (joint_speed: 3 rad/s)",
        ),
        (ended(Outcome.STOPPED, detail="reset pressed"), "practice-000003: Stopped (reset pressed)"),
        (
            ended(Outcome.DISCARDED, detail="discard pressed"),
            "practice-000003: Discarded. Nothing is learned from it",
        ),
    ],
)
def test_how_it_ended_and_why(last: LastEpisode, words: str) -> None:
    assert last.words == words


def test_why_a_demonstration_does_not_count() -> None:
    assert "does not count as a demonstration" in SHOWN.words
    untouched = replace(
        SHOWN, recorded=Outcome.DISCARDED, today=Outcome.DISCARDED, detail="nobody drove it, so it shows nothing"
    )
    assert "nobody drove it" in untouched.words
    assert "does not count" not in replace(SHOWN, recorded=Outcome.SUCCESS, today=Outcome.SUCCESS).words


@pytest.mark.parametrize(
    "last", [PRACTICE, ended(Outcome.SUCCESS), ended(Outcome.FAULT), ended(Outcome.STOPPED, detail="reset pressed")]
)
def test_there_is_nothing_to_undo_where_nobody_judged(last: LastEpisode) -> None:
    assert last.takes_back == ""
    assert last.undone("Ben", 5.0) == ()


def test_what_follows_the_undo_of_a_demonstration_is_said() -> None:
    shown = replace(SHOWN, recorded=Outcome.SUCCESS, today=Outcome.SUCCESS, author="Ann")
    assert shown.takes_back == "Undo: learn nothing from it, and give another one"
    assert replace(shown, kind=EpisodeKind.PRACTICE).takes_back == "Undo: learn nothing from it"


@pytest.mark.parametrize("at", [Outcome.SUCCESS, Outcome.FAILURE, Outcome.DISCARDED, Outcome.TIME_LIMIT])
@pytest.mark.parametrize("later", [None, FeedbackKind.SUCCESS, FeedbackKind.FAILURE, FeedbackKind.DISCARD])
def test_what_was_judged_is_undone_in_the_journal(tmp_path: Path, at: Outcome, later: FeedbackKind | None) -> None:
    if (at, later) in ((Outcome.DISCARDED, FeedbackKind.DISCARD), (Outcome.TIME_LIMIT, None)):
        return
    folder = tmp_path / "journal"
    episode = make_episode(SPEC, 3, 12, name="practice-000003")
    assert episode.end is not None
    meta = replace(episode.meta, kind=EpisodeKind.PRACTICE)
    episode = replace(episode, meta=meta, end=replace(episode.end, outcome=at), events=())
    whole = Segment("practice-000003", 0, 12)
    with JournalWriter(folder, SPEC) as writer:
        tell(writer, episode)
        if later is not None:
            value = 1.0 if later is FeedbackKind.DISCARD else None
            writer.on_event(Feedback(later, "Anna", 90.0, whole, value))
    today = next(iter(episodes(folder, as_recorded=True)))
    stands = read_labels(folder).of("practice-000003").outcome_of(at)
    assert today.end is not None
    assert stands is not None
    last = LastEpisode((("practice-000003", 12),), EpisodeKind.PRACTICE, at, stands, "", "Anna")
    events = last.undone("Anna", 91.0)
    if later is not None and stands is at:
        assert events == () or events[0].value == 1.0, "said twice: as it ended"
        return
    assert len(events) == 1
    with JournalWriter(folder, SPEC) as writer:
        writer.on_event(events[0])
    after = read_labels(folder).of("practice-000003").outcome_of(at)
    if later is not None:
        assert after is at, "as it was before the later judgement"
    elif at is Outcome.DISCARDED:
        assert after is Outcome.STOPPED, "kept after all, unjudged"
        tally = Tally(0.05)
        replay_into(folder, tally)
        assert tally.episodes == 1
    else:
        assert after is Outcome.DISCARDED, "what ended it cannot be un-ended: nothing is learned from it"


def test_a_demonstration_that_is_taken_out_counts_no_more_until_it_is_back() -> None:
    tally = Tally(0.05)
    episode = make_episode(SPEC, 3, 12, name="demonstration-000001")
    assert episode.end is not None
    episode = replace(
        episode,
        meta=replace(episode.meta, kind=EpisodeKind.DEMONSTRATION),
        end=replace(episode.end, outcome=Outcome.SUCCESS),
        events=(),
    )
    tell(tally, episode)
    assert tally.demonstrations == 1
    whole = Segment("demonstration-000001", 0, 12)
    for value, count in ((1.0, 0), (1.0, 0), (0.0, 1), (0.0, 1)):
        tally.on_event(Feedback(FeedbackKind.DISCARD, "Anna", 90.0, whole, value))
        assert tally.demonstrations == count


def test_a_taken_back_discard_stands_until_the_next(tmp_path: Path) -> None:
    labels = Labels()
    whole = Segment("practice-000003", 0, 12)
    for value, outcome in ((0.0, Outcome.STOPPED), (1.0, Outcome.DISCARDED), (0.0, Outcome.STOPPED)):
        labels.add(Feedback(FeedbackKind.DISCARD, "Anna", 90.0, whole, value))
        assert labels.of("practice-000003").outcome_of(Outcome.DISCARDED) is outcome
        assert labels.of("practice-000003+01").outcome_of(Outcome.DISCARDED) is outcome
