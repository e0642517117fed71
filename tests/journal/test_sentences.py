"""What was said, what it means, and which steps it decided come back from a journal as they were."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import Feedback, FeedbackKind, Segment
from robot_rlhf.journal.format import decode_event, encode_event
from robot_rlhf.journal.reader import episodes
from robot_rlhf.journal.writer import JournalWriter
from tests.journal.sessions import make_episode, make_spec, tell

SPEC = make_spec()
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(payload=st.dictionaries(st.text(), JSON, max_size=5), text=st.text())
def test_any_payload_comes_back(payload: dict[str, object], text: str) -> None:
    event = Feedback(FeedbackKind.MEANING, "Ada", 1.5, Segment("practice-000001", 3, 4), text=text, payload=payload)
    assert decode_event(encode_event(event)) == event


def test_steps_know_which_sentence_decided_them(tmp_path: Path) -> None:
    spoken = ("", "practice-000001/0", "practice-000001/0", "practice-000001/1")
    said = dataclasses.replace(make_episode(SPEC, 1, 4), spoken=spoken)
    unsaid = make_episode(SPEC, 2, 4)
    with JournalWriter(tmp_path, SPEC) as writer:
        for episode in (said, unsaid):
            tell(writer, episode)
    first, second = episodes(tmp_path)
    assert first.spoken == spoken
    assert [step.spoken for step in first.steps()] == list(spoken)
    assert second.spoken == ()
    assert not any(step.spoken for step in second.steps())


def test_events_of_before_there_were_payloads_are_read() -> None:
    event = Feedback(FeedbackKind.CORRECTION, "Ada", 1.5, Segment("practice-000001", 3, 4), text="left")
    encoded = encode_event(event)
    assert b"payload" not in encoded
    assert decode_event(encoded) == event
