"""The seat of somebody who has gone becomes free; a reload, or a page of another kind, keeps it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from robot_rlhf.console.presence import GRACE, Presence
from robot_rlhf.console.wire import Operator
from tests.console.test_desk import Room


class Hall:
    """A desk with Anna in its seat, on one page; the test moves the clock."""

    def __init__(self) -> None:
        self.room = Room()
        self.now = 100.0
        self.presence = Presence(self.room.desk, clock=lambda: self.now)
        self.presence.came("first", self.room.anna)
        self.room.desk.take_seat(self.room.anna)
        self.room.said()

    def wait(self, seconds: float) -> None:
        """Look, and look again after a time."""
        self.presence.look()
        self.now += seconds
        self.presence.look()

    @property
    def seated(self) -> bool:
        return self.room.desk.sits(self.room.anna)


@pytest.fixture
def hall() -> Iterator[Hall]:
    hall = Hall()
    yield hall
    hall.room.robot_end.close()


def test_the_seat_of_a_closed_page_becomes_free_and_goes_to_nobody_by_itself(hall: Hall) -> None:
    hall.presence.came("watching", hall.room.ben)
    hall.wait(10 * GRACE)
    assert hall.seated, "her page is open"
    hall.presence.went("first")
    hall.wait(0.9 * GRACE)
    assert hall.seated
    hall.wait(0.2 * GRACE)
    assert hall.room.desk.operator is None
    assert hall.room.said() == [Operator("")], "the robot is told that nobody has it, and of no driver"
    hall.room.desk.take_seat(hall.room.ben)
    hall.wait(10 * GRACE)
    assert hall.room.desk.sits(hall.room.ben)


def test_whose_absence_freed_the_seat_has_it_again_while_it_is_free(hall: Hall) -> None:
    hall.presence.went("first")
    hall.wait(1.1 * GRACE)
    hall.presence.came("another's", hall.room.ben)
    assert hall.room.desk.operator is None, "to open a page is no click"
    assert hall.presence.waits_for_a_click
    hall.presence.came("back", hall.room.anna)
    assert hall.seated
    hall.presence.look()
    assert not hall.presence.waits_for_a_click
    hall.room.desk.leave_seat(hall.room.anna)
    hall.presence.came("another", hall.room.anna)
    assert hall.room.desk.operator is None, "she left it herself"


def test_a_reload_keeps_the_seat(hall: Hall) -> None:
    hall.presence.went("first")
    hall.wait(0.9 * GRACE)
    hall.presence.came("again", hall.room.anna)
    hall.wait(10 * GRACE)
    assert hall.seated
    hall.presence.went("again")
    hall.wait(0.9 * GRACE)
    assert hall.seated, "each absence has a grace of its own"


def test_another_page_of_the_same_browser_keeps_the_seat(hall: Hall) -> None:
    hall.presence.came("review", hall.room.anna)
    hall.presence.went("first")
    hall.wait(10 * GRACE)
    assert hall.seated
    hall.presence.went("review")
    hall.wait(1.1 * GRACE)
    assert not hall.seated


def test_an_absence_is_not_the_next_operator_s(hall: Hall) -> None:
    hall.presence.went("first")
    hall.wait(0.9 * GRACE)
    hall.room.desk.take_seat(hall.room.ben)
    hall.wait(0.9 * GRACE)
    assert hall.room.desk.sits(hall.room.ben)
