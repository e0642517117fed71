"""Which sentences are on their way to the robot, and which it has heard."""

from __future__ import annotations

from robot_rlhf.console.desk import Sent
from robot_rlhf.console.pages.sentences import unheard
from robot_rlhf.console.sentences import Said
from robot_rlhf.datatypes import Segment

SPAN = Segment("practice-000000", 0, 1)


def sent(*texts: str) -> list[Sent]:
    return [Sent(text, "Ada", 10.0 + n) for n, text in enumerate(texts)]


def heard(*texts: str, at: float = 20.0) -> list[Said]:
    """In the order in which they were heard, as the history gives them: newest first."""
    return [Said(text, "Ada", SPAN, at) for text in reversed(texts)]


def test_all_that_was_sent_and_not_heard_is_on_its_way() -> None:
    assert unheard(sent("left", "up", "down"), []) == sent("left", "up", "down")
    assert unheard(sent("left", "up", "down"), heard("left", "up")) == sent("left", "up", "down")[2:]
    assert unheard(sent("left", "up", "down"), heard("left", "up", "down")) == []


def test_said_twice_and_heard_once_it_is_on_its_way_once() -> None:
    assert unheard(sent("left", "left"), heard("left")) == sent("left", "left")[1:]
    assert unheard(sent("left"), heard("left", at=9.0)) == sent("left"), "heard before it was sent: another one"


def test_what_was_dropped_on_the_way_does_not_stay_on_it() -> None:
    assert unheard(sent("dropped", "up"), heard("something by voice", "up", "and more")) == []
