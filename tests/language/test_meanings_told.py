"""What an event says that a sentence means, read alike by whoever does it, lists it, and learns from it."""

from __future__ import annotations

import pytest

from robot_rlhf.console.readings import Reading
from robot_rlhf.datatypes import Feedback, FeedbackKind, Segment
from robot_rlhf.errors import RobotRlhfError
from robot_rlhf.meaning import MOST, Meaning, meanings_of

LEFT = Meaning("left", 0.02)


def event(meanings: object) -> Feedback:
    payload = {"sentence": "e/0", "doing": "label", "meanings": meanings}
    return Feedback(FeedbackKind.MEANING, "Ada", 1.0, Segment("e", 0, 1), text="left", payload=payload)


@pytest.mark.parametrize(
    "told", ["left", 3, [["left"]], [{"reading": "sideways"}], {"reading": "left"}, [LEFT.to_json()] * (MOST + 1)]
)
def test_what_is_no_list_of_meanings_is_nothing_to_anybody(told: object) -> None:
    assert meanings_of(event(told)) is None
    with pytest.raises(RobotRlhfError):
        Reading.of_payload(event(told).payload)


def test_a_list_of_meanings_is_the_same_to_everybody() -> None:
    told = event([LEFT.to_json()] * MOST)
    assert meanings_of(told) == Reading.of_payload(told.payload).meanings == (LEFT,) * MOST
