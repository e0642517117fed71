"""Sentences over a ROS topic: each once, in order, with its time; and what is none is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.conformance import TeleopConformance
from robot_rlhf.datatypes import HumanInput
from robot_rlhf.feedback.first_of import FirstOf
from robot_rlhf.ports import Teleop
from robot_rlhf_hardware.ros.bus_fake import FakeBus, FakeGraph
from robot_rlhf_hardware.ros.words import MAX_SENTENCE, MAX_WAITING, RosWords
from tests.draws import draws
from tests.hardware.ros.graphs import mirrored
from tests.runtime.test_listening import Rig


class Room:
    """Somebody who speaks, and our end of it."""

    def __init__(self) -> None:
        self.graph = FakeGraph()
        self.graph.clock.advance(1.0)
        self.bus = FakeBus(self.graph, "policy")
        self.words = RosWords(self.bus)
        self._say = FakeBus(self.graph, "somebody").publisher(mirrored("say", "publisher"))

    def say(self, text: str) -> None:
        self._say.publish({"data": text})

    def texts(self) -> list[str]:
        human = self.words.read()
        return [] if human is None else [each.text for each in human.sentences]


class TestRosWordsConformance(TeleopConformance):
    action_size = 5

    def make_teleop(self) -> Teleop:
        room = Room()
        room.say("a bit to the left")
        return room.words


def test_each_sentence_is_read_once_with_the_time_it_came() -> None:
    room = Room()
    room.say("left")
    room.graph.clock.advance(0.5)
    room.say("  no,\tright \n")
    human = room.words.read()
    assert human is not None
    assert human.action is None
    assert [(each.text, each.began) for each in human.sentences] == [("left", 1.0), ("no, right", 1.5)]
    assert room.words.read() is None


@pytest.mark.parametrize("text", ["", "  \n", "\x00\x07", "x" * (MAX_SENTENCE + 1), "x" * 100_000])
def test_what_is_no_sentence_is_refused_in_words(text: str) -> None:
    room = Room()
    room.say(text)
    assert room.words.read() is None
    assert any("say:" in str(line) for line in room.bus.logged)


@draws(100)
@given(st.text(max_size=200))
def test_whatever_is_said_is_one_printable_line(text: str) -> None:
    room = Room()
    room.say(text)
    for heard in room.texts():
        assert heard.isprintable()
        assert heard == " ".join(heard.split())


def test_a_flood_is_bounded_and_the_first_are_kept() -> None:
    room = Room()
    for number in range(MAX_WAITING + 5):
        room.say(f"sentence {number}")
    assert room.texts() == [f"sentence {number}" for number in range(MAX_WAITING)]
    room.say("again")
    assert room.texts() == ["again"]


def test_beside_hands_it_neither_drives_nor_pauses() -> None:
    class Silent:
        def read(self) -> None:
            return None

    room = Room()
    together = FirstOf([Silent(), room.words])
    assert together.read() is None
    room.say("slower")
    human: Any = together.read()
    assert human.action is None
    assert human.buttons == frozenset()
    assert [each.text for each in human.sentences] == ["slower"]
    assert together.read() is None
    assert np.isfinite(human.sentences[0].began)


def test_a_sentence_is_done_to_its_end_though_there_are_no_hands() -> None:
    """Where nobody is there nothing that is under way goes on; whoever is obeyed is there."""
    room, rig, reads = Room(), Rig({}), iter(range(1_000))

    class Speaks:
        def read(self) -> HumanInput | None:
            if next(reads) == 5:
                room.say("left")
            return together.read()

    class Nobody:
        def read(self) -> None:
            return None

    together = FirstOf([Nobody(), room.words])
    rig.station = replace(rig.station, teleop=Speaks(), monitor=room.words)
    moved = [bool(step.spoken) for step in rig.run()]
    assert sum(moved) > 3
    assert moved == [False] * 5 + [True] * sum(moved) + [False] * (25 - sum(moved))
    assert room.words.read() is None
