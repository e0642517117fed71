"""One operator drives, the others watch: what reaches the robot from whom."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import numpy as np
import pytest

from robot_rlhf.console.desk import MAX_NAME, Desk, NotTheOperatorError, Visitor
from robot_rlhf.console.live import LiveBlock
from robot_rlhf.console.page_input import PageInput
from robot_rlhf.console.robotside import RobotSide
from robot_rlhf.console.settings import ConsoleSettings
from robot_rlhf.console.wire import (
    MAX_SENTENCE,
    Drive,
    Label,
    Lost,
    Message,
    Operator,
    Present,
    Press,
    Spoken,
    decode,
    decode_present,
    encode_situation,
)
from robot_rlhf.datatypes import Button, Feedback, FeedbackKind, Phase, Segment, Situation
from robot_rlhf.errors import InvalidValueError, LinkError
from tests.console.fake_session import FakeRobot, make_spec

SPEC = make_spec(8)
ANNA, BEN = Visitor("a", "Anna"), Visitor("b", "Ben")


def keys(*codes: str) -> PageInput:
    return PageInput(frozenset(codes))


class Room:
    """A desk whose robot's side is a socket that the test holds."""

    def __init__(self) -> None:
        ours, self.robot_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.robot_end.setblocking(False)
        self.robot = RobotSide(ours, LiveBlock(SPEC.cameras))
        self.desk = Desk(ConsoleSettings("journal", "token"), self.robot, SPEC.action)
        self.anna = replace(ANNA)
        self.ben = replace(BEN)
        self.changes = 0
        self.desk.on_change.append(self.changed)
        self.now = 10.0
        self.shows()

    def changed(self) -> None:
        self.changes += 1

    def shows(self, phase: Phase = Phase.RUNNING, step: int = 60) -> None:
        situation = Situation(1.0, phase, FakeRobot(SPEC).observe(1.0), episode="ep-0001", step=step)
        self.robot.present = cast("Present", decode_present(encode_situation(situation)))

    def said(self) -> list[Message]:
        """What reached the robot since the last call."""
        found: list[Message] = []
        while True:
            try:
                found.append(decode(self.robot_end.recv(1 << 17)))
            except BlockingIOError:
                return found

    def holds(self, who: Visitor, *codes: str) -> Drive:
        self.now += 0.05
        self.desk.page_input(who, keys(*codes), self.now)
        drive = self.said()[-1]
        assert isinstance(drive, Drive)
        return drive


@pytest.fixture
def room() -> Iterator[Room]:
    room = Room()
    yield room
    room.robot_end.close()


def test_only_the_operator_drives_judges_and_speaks(room: Room) -> None:
    desk = room.desk
    with pytest.raises(NotTheOperatorError, match="nobody has"):
        desk.page_input(room.anna, keys("KeyW"), 1.0)
    desk.take_seat(room.anna)
    assert room.said() == [Operator("Anna")]
    with pytest.raises(NotTheOperatorError, match="Anna has"):
        desk.page_input(room.ben, keys("KeyW"), 1.0)
    with pytest.raises(NotTheOperatorError, match="Anna has"):
        desk.press(room.ben, Button.SUCCESS)
    with pytest.raises(NotTheOperatorError, match="Anna has"):
        desk.speak(room.ben, "higher", 0.0)
    with pytest.raises(NotTheOperatorError, match="Anna has"):
        desk.choose_moment(room.ben, 3)
    assert room.said() == []
    desk.press(room.ben, Button.STOP)
    assert room.said() == [Press(Button.STOP, "ep-0001")], "everybody may stop"
    desk.press(room.anna, Button.SUCCESS)
    assert room.said() == [Press(Button.SUCCESS, "ep-0001")]


def test_the_seat_goes_from_hand_to_hand_and_hands_start_off(room: Room) -> None:
    desk = room.desk
    desk.take_seat(room.anna)
    room.holds(room.anna)
    action = room.holds(room.anna, "KeyW").action
    assert action is not None
    assert action[0] > 0
    desk.take_seat(room.ben)
    assert room.said() == [Operator("Ben")]
    assert room.holds(room.ben, "KeyW").action is None, "held when the seat was taken"
    assert room.holds(room.ben).action is None
    assert room.holds(room.ben, "KeyW").action is not None
    desk.leave_seat(room.anna)
    assert desk.operator is room.ben, "it is not hers to leave"
    desk.leave_seat(room.ben)
    assert room.said() == [Operator("")]
    assert desk.operator is None
    assert room.changes == 3


def test_after_a_lost_page_only_a_new_press_drives(room: Room) -> None:
    room.desk.take_seat(room.anna)
    room.holds(room.anna)
    assert room.holds(room.anna, "KeyW").action is not None
    room.desk.vanish()
    assert room.said() == [Lost()]
    assert room.desk.sits(room.anna)
    assert room.holds(room.anna, "KeyW").action is None
    room.holds(room.anna)
    assert room.holds(room.anna, "KeyW").action is not None


def test_to_pause_and_to_go_on_are_two_keys_whatever_the_robot_does(room: Room) -> None:
    room.desk.take_seat(room.anna)
    room.holds(room.anna)
    told = [(phase, *key) for phase in Phase for key in (("KeyP", Button.PAUSE), ("KeyN", Button.RESUME))]
    for phase, key, button in told:
        room.shows(phase)
        room.said()
        room.desk.page_input(room.anna, keys(key), room.now)
        assert room.said()[0] == Press(button, "ep-0001")
        room.holds(room.anna)


def test_rewinding_goes_back_as_fast_as_it_went(room: Room) -> None:
    room.desk.take_seat(room.anna)
    room.holds(room.anna)
    last = room.holds(room.anna, "KeyB")
    first = last.rewind_to
    assert first is not None
    for _ in range(19):
        last = room.holds(room.anna, "KeyB")
    assert last.action is None
    assert last.rewind_to is not None
    assert first - last.rewind_to == pytest.approx(19, abs=1)
    for _ in range(100):
        last = room.holds(room.anna, "KeyB")
    assert last.rewind_to == 0
    assert room.holds(room.anna).rewind_to is None
    room.desk.choose_moment(room.anna, 17)
    assert room.holds(room.anna).rewind_to == 17
    room.desk.choose_moment(room.anna, None)
    assert room.holds(room.anna).rewind_to is None


def test_sentences_are_tidied_and_remembered(room: Room) -> None:
    desk = room.desk
    desk.take_seat(room.anna)
    room.said()
    desk.speak(room.anna, "  a bit\n higher ", 2.0)
    desk.speak(room.anna, "slower", -3.0)
    desk.speak(room.anna, "a bit higher", 1e9)
    assert room.said() == [Spoken("a bit higher", 2.0), Spoken("slower", 0.0), Spoken("a bit higher", 600.0)]
    assert desk.sentences == ["a bit higher", "slower"]
    for text in ("", " \n ", "x" * (MAX_SENTENCE + 1), "x" * 100_000):
        with pytest.raises(InvalidValueError, match=f"1 to {MAX_SENTENCE} characters"):
            desk.speak(room.anna, text, 0.0)
    assert room.said() == []


def test_names(room: Room) -> None:
    desk = room.desk
    desk.rename(room.anna, " Anna\t\n Maria \x00")
    assert room.anna.name == "Anna Maria"
    assert room.said() == [], "she only watches"
    desk.take_seat(room.anna)
    desk.rename(room.anna, "Änne")
    assert room.said() == [Operator("Anna Maria"), Operator("Änne")]
    for name in ("", " ", "\x00", "x" * (MAX_NAME + 1)):
        with pytest.raises(InvalidValueError, match="name"):
            desk.rename(room.anna, name)
    assert room.anna.name == "Änne"


def test_the_picture_s_direction_depends_on_the_camera(room: Room) -> None:
    room.desk.take_seat(room.anna)
    room.holds(room.anna)
    room.desk.hands.frame = "camera"
    action = room.holds(room.anna, "KeyW").action
    assert action is not None
    assert np.isfinite(action).all()


def test_labels_go_to_the_process_that_writes_the_journal(room: Room) -> None:
    label = Feedback(FeedbackKind.SUCCESS, "Anna", 1.0, Segment("ep-0001", 0, 5))
    room.desk.give(label)
    assert room.said() == [Label(label)]


def test_a_robot_that_is_gone_is_told_of(room: Room) -> None:
    room.desk.take_seat(room.anna)
    room.robot_end.close()
    with pytest.raises(LinkError, match="does not answer"):
        room.desk.press(room.anna, Button.SUCCESS)
    room.desk.page_input(room.anna, keys(), 1.0)
    assert room.robot.refused == 2
