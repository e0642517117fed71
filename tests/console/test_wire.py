"""Packets between the two processes: everything comes back as it went, and nothing else gets in."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.console.wire import (
    MAX_PACKET,
    MAX_SENTENCE,
    Drive,
    Label,
    Lost,
    Message,
    Operator,
    Press,
    Spoken,
    Status,
    decode,
    decode_present,
    encode,
    encode_situation,
)
from robot_rlhf.datatypes import (
    Action,
    Button,
    Driver,
    EpisodeKind,
    Feedback,
    FeedbackKind,
    GuardEvent,
    Phase,
    Segment,
    Situation,
)
from robot_rlhf.errors import LinkError
from tests.console.fake_session import FakeRobot, make_spec
from tests.console.test_sentences import READINGS

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
UNIT = st.floats(-1.0, 1.0)
SEGMENTS = st.builds(Segment, WORDS, st.integers(0, 10**6), st.integers(1, 10**6))


@st.composite
def feedback(draw: st.DrawFn) -> Feedback:
    kind = draw(st.sampled_from(FeedbackKind))
    other = draw(SEGMENTS) if kind is FeedbackKind.PREFERENCE else None
    value = draw(st.none() | NUMBERS)
    payload = draw(READINGS).to_payload() if kind is FeedbackKind.MEANING else {}
    sure = draw(st.floats(0, 1))
    return Feedback(kind, draw(WORDS), draw(NUMBERS), draw(SEGMENTS), value, draw(WORDS), other, sure, payload)


def label(**changes: object) -> dict[str, object]:
    """A packet of a meaning."""
    span = {"episode_id": "e", "start": 0, "length": 3}
    fields = {"author": "Anna", "stamp": 1.0, "span": span, "value": None, "text": "left", "other": None}
    return {"kind": "label", "feedback": "meaning", **fields, "confidence": 1.0, **changes}


MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(Drive, st.none() | st.lists(UNIT, max_size=8).map(tuple), st.none() | st.integers(0, 10**6)),
    st.builds(Press, st.sampled_from(Button), WORDS),
    st.builds(Spoken, WORDS.map(str.strip).filter(bool), st.floats(0.0, 3600.0)),
    st.builds(Label, feedback()),
    st.builds(Operator, WORDS),
    st.just(Lost()),
    st.builds(Status, st.dictionaries(WORDS, st.none() | st.booleans() | NUMBERS | WORDS, max_size=5)),
)


@given(MESSAGES)
def test_a_message_comes_back_as_it_went(message: Message) -> None:
    assert decode(encode(message)) == message


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused(packet: bytes) -> None:
    with pytest.raises(LinkError):
        decode(packet)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "drive", "action": [2.0], "rewind_to": None},
        {"kind": "drive", "action": ["x"], "rewind_to": None},
        {"kind": "drive", "action": [0.0]},
        {"kind": "drive", "action": 3, "rewind_to": None},
        {"kind": "press", "button": "self-destruct", "episode": ""},
        {"kind": "spoken", "text": "", "seconds_ago": 0},
        {"kind": "spoken", "text": "a" * (MAX_SENTENCE + 1), "seconds_ago": 0},
        {"kind": "spoken", "text": "a", "seconds_ago": -1},
        {"kind": "label", "feedback": "success"},
        label(payload=None),
        label(payload=[1]),
        label(payload={"sentence": "e/0", "doing": "undone"}, feedback="success"),
        label(payload={}),
        label(payload={"sentence": "e/0"}),
        label(payload={"sentence": "e/0", "doing": "explode"}),
        label(payload={"sentence": "e" * 1000, "doing": "undone"}),
        label(payload={"sentence": "e/0", "doing": "nudge", "meanings": [{"reading": "left", "amount": 9}]}),
        label(payload={"sentence": "e/0", "doing": "nudge", "meanings": [{"reading": "left"}] * 1000}),
        label(payload={"sentence": "e/0", "doing": "undone", "more": "x"}),
        {"kind": "nothing"},
        {},
        [],
        3,
    ],
)
def test_malformed_messages_are_refused(fields: object) -> None:
    with pytest.raises(LinkError, match="console message"):
        decode(json.dumps(fields).encode())


def test_a_well_formed_meaning_passes() -> None:
    told = decode(json.dumps(label(payload={"sentence": "e/0", "doing": "undone"})).encode())
    assert isinstance(told, Label)
    assert told.feedback.payload["doing"] == "undone"


@given(st.recursive(st.none() | NUMBERS | WORDS, lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner)))
def test_a_payload_that_is_no_reading_is_refused(payload: object) -> None:
    with pytest.raises(LinkError):
        decode(json.dumps(label(payload=payload)).encode())


def test_a_packet_of_many_brackets_is_refused() -> None:
    with pytest.raises(LinkError, match="RecursionError"):
        decode(b'{"kind": "label", "payload": ' + b"[" * MAX_PACKET)


def test_not_a_number_never_drives() -> None:
    with pytest.raises(LinkError):
        encode(Drive((math.nan,)))
    with pytest.raises(LinkError, match=r"\[-1, 1\]"):
        decode(b'{"kind": "drive", "action": [NaN], "rewind_to": null}')


def test_a_packet_has_a_largest_size() -> None:
    with pytest.raises(LinkError, match=str(MAX_PACKET)):
        encode(Status({"text": "a" * MAX_PACKET}))


@given(
    phase=st.sampled_from(Phase),
    driver=st.none() | st.sampled_from(Driver),
    action=st.none() | st.lists(UNIT, min_size=5, max_size=5),
    seen=st.booleans(),
    words=WORDS,
    step=st.integers(0, 10**6),
)
def test_a_situation_is_told_in_full(
    phase: Phase, driver: Driver | None, action: list[float] | None, seen: bool, words: str, step: int
) -> None:
    observation = FakeRobot(make_spec(8)).observe(3.5) if seen else None
    situation = Situation(
        4.5,
        phase,
        observation,
        driver,
        None if action is None else Action(np.array(action, np.float32)),
        words,
        EpisodeKind.EVALUATION,
        step,
        200,
        words,
        7,
        (GuardEvent(1.0, "stop", words, latched=True),),
        words,
        words,
    )
    present = decode_present(encode_situation(situation))
    assert (present.stamp, present.observed) == (4.5, 3.5 if seen else 4.5)
    assert present.phase == phase.value
    assert present.driver == (None if driver is None else driver.name.lower())
    assert (present.action is None) == (action is None)
    if action is not None:
        np.testing.assert_array_equal(np.array(present.action, np.float32), np.array(action, np.float32))
    assert (present.episode, present.instruction, present.detail, present.spoken) == (words, words, words, words)
    assert (present.kind, present.step, present.time_limit, present.policy_version) == ("evaluation", step, 200, 7)
    assert present.faults == (("stop", words),)
    assert (present.tool_pose is None) == (observation is None)
    if observation is not None:
        np.testing.assert_array_equal(np.array(present.tool_pose, np.float32), observation.tool_pose_in_base)
        assert (present.gripper, present.gripper_target) == (observation.gripper, observation.gripper_target)


def test_half_a_letter_comes_as_a_question_mark() -> None:
    assert decode(encode(Spoken("left \ud83d please", 0.0))) == Spoken("left ? please", 0.0)
    assert decode(encode(Spoken("left \U0001f448", 0.0))) == Spoken("left \U0001f448", 0.0)
