"""The robot's end of the console: who drives, what happens when nobody speaks, what is never lost or misfiled."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from robot_rlhf.conformance import MonitorConformance, TeleopConformance
from robot_rlhf.console.link import MAX_SENTENCES, MAX_WAITING, NEWER, STALE_AFTER, ConsoleLink
from robot_rlhf.console.wire import Answer, Drive, Label, Lost, Message, Operator, Press, Spoken, Status, decode, encode
from robot_rlhf.datatypes import (
    Action,
    Button,
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Feedback,
    FeedbackKind,
    HumanInput,
    Outcome,
    Phase,
    Segment,
    Situation,
    Step,
)
from robot_rlhf.ports import Monitor, Teleop
from robot_rlhf.timing import FakeClock
from tests.console.fake_session import FakeRobot, make_spec
from tests.waits import CEILING, until

SPEC = make_spec(16)
FORWARD = (1.0, 0.0, 0.0, 0.0, 1.0)


class Rig:
    """A link with a fake clock, and the other end of its socket."""

    def __init__(self) -> None:
        self.clock = FakeClock(100.0)
        self.stopped = threading.Event()
        self.link = ConsoleLink(SPEC, self.clock, on_stop=self.stopped.set)
        self.page: socket.socket = self.link.connect()

    def say(self, *messages: Message) -> None:
        """Send, and wait until all of it has been taken in: a label of our own comes last."""
        for message in messages:
            self.page.send(encode(message))
        before = self.labels()
        self.page.send(encode(Label(Feedback(FeedbackKind.SCORE, "rig", 0.0, Segment("rig", 0, 1), 1.0))))
        deadline = time.monotonic() + CEILING
        while self.labels() == before and time.monotonic() < deadline:
            time.sleep(0.001)

    def labels(self) -> int:
        return len(self.link._labels)

    def read(self) -> HumanInput | None:
        """Without the rig's own labels."""
        human = self.link.read()
        if human is None:
            return None
        kept = tuple(f for f in human.feedback if f.author != "rig")
        human = replace(human, feedback=kept)
        empty = not (human.buttons or human.sentences or kept or human.rewind_to is not None)
        return None if human.action is None and empty and self.link._drive is None else human

    def show(self, episode: str, step: int) -> None:
        now = self.clock.now()
        self.link.show(Situation(now, Phase.RUNNING, FakeRobot(SPEC).observe(now), episode=episode, step=step))

    def answers(self) -> list[str]:
        """What the pages were told so far."""
        told: list[str] = []
        self.page.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = self.page.recv(1 << 17)
                if packet != NEWER and isinstance(message := decode(packet), Answer):
                    told.append(message.text)
        self.page.setblocking(True)
        return told

    def play(
        self,
        episode: str,
        steps: int,
        *,
        end: bool = True,
        continues_at: int = 0,
        outcome: Outcome = Outcome.TIME_LIMIT,
        kind: EpisodeKind = EpisodeKind.PRACTICE,
    ) -> None:
        """What the loop tells of an episode."""
        link, robot = self.link, FakeRobot(SPEC)
        meta = EpisodeMeta(
            episode,
            "t",
            kind,
            0,
            "Anna",
            "r@1",
            continues="x" * bool(continues_at),
            continues_at=continues_at,
        )
        seen = robot.observe(self.clock.now())
        link.on_episode_start(meta, seen)
        action = Action(np.zeros(SPEC.action.size, np.float32))
        for index in range(steps):
            link.on_step(Step(index, seen, None, action, Driver.POLICY, 0.0, False, False, 0, "", seen))
        if end:
            link.on_episode_end(EpisodeEnd(episode, outcome, steps))


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.page.close()
    rig.link.close()


class TestLinkIsATeleop(TeleopConformance):
    action_size = SPEC.action.size

    def make_teleop(self) -> Teleop:
        return ConsoleLink(SPEC, FakeClock(0.0))


class TestLinkIsAMonitor(MonitorConformance):
    def make_monitor(self) -> Monitor:
        return ConsoleLink(SPEC, FakeClock(0.0))

    def make_situation(self) -> Situation:
        return Situation(0.0, Phase.RUNNING, FakeRobot(SPEC).observe(0.0), episode="e")


def test_nobody_speaks_at_first(rig: Rig) -> None:
    assert rig.read() is None


def test_hands_on_and_off(rig: Rig) -> None:
    rig.say(Operator("Anna"), Drive(FORWARD))
    human = rig.read()
    assert human is not None
    assert human.action is not None
    np.testing.assert_array_equal(human.action.values, np.array(FORWARD, np.float32))
    assert rig.link.operator == "Anna"
    rig.say(Drive(None, rewind_to=12))
    human = rig.read()
    assert human is not None
    assert human.action is None
    assert human.rewind_to == 12
    assert human.buttons == frozenset()
    assert rig.link.lost == 0


def test_the_delay_of_inputs_counts_only_while_the_loop_listens(rig: Rig) -> None:
    rig.read()
    rig.say(Drive(FORWARD, heard=rig.clock.now()))
    rig.clock.advance(0.03)
    rig.read()
    assert list(rig.link.delays) == pytest.approx([0.03])
    rig.say(Drive(None, heard=rig.clock.now()))
    rig.clock.advance(4.0)  # an evaluation, say
    rig.read()
    assert len(rig.link.delays) == 1


def test_silence_while_driving_pauses_once(rig: Rig) -> None:
    rig.say(Drive(FORWARD))
    assert rig.read() is not None
    rig.clock.advance(STALE_AFTER + 0.001)
    human = rig.read()
    assert human is not None
    assert human.action is None
    assert human.buttons == {Button.PAUSE}
    assert rig.read() is None
    rig.say(Lost())
    assert rig.read() is None, "the page is known to be gone: nothing new"
    assert rig.link.lost == 1


def test_silence_of_a_watching_hand_pauses_nothing(rig: Rig) -> None:
    rig.say(Drive(None))
    assert rig.read() is not None
    rig.clock.advance(STALE_AFTER + 0.001)
    assert rig.read() is None
    rig.say(Drive(None), Lost())
    assert rig.read() is None
    assert rig.link.lost == 0


@pytest.mark.parametrize("farewell", [Lost(), Operator("Ben"), Operator("")])
def test_somebody_new_within_the_period_does_not_hide_that_the_driver_is_gone(rig: Rig, farewell: Message) -> None:
    rig.say(Drive(FORWARD))
    assert rig.read() is not None
    rig.say(farewell, Drive(None))
    human = rig.read()
    assert human is not None
    assert human.buttons == {Button.PAUSE}
    assert rig.link.lost == 1


def test_hands_off_and_then_gone_pauses_nothing(rig: Rig) -> None:
    rig.say(Drive(FORWARD))
    assert rig.read() is not None
    rig.say(Drive(None), Lost())
    assert rig.read() is None
    assert rig.link.lost == 0


def test_the_death_of_the_process_pauses(rig: Rig) -> None:
    rig.say(Drive(FORWARD))
    assert rig.read() is not None
    rig.page.close()
    deadline = time.monotonic() + CEILING
    while (human := rig.read()) is not None and not human.buttons and time.monotonic() < deadline:
        time.sleep(0.001)
    assert human is not None
    assert human.buttons == {Button.PAUSE}
    assert rig.read() is None


def test_stop_does_not_wait_for_the_loop(rig: Rig) -> None:
    rig.page.send(encode(Press(Button.STOP)))
    assert rig.stopped.wait(CEILING)
    human = rig.read()
    assert human is not None
    assert Button.STOP in human.buttons


def test_a_judgement_of_the_episode_that_has_just_ended_is_its_own(rig: Rig) -> None:
    rig.play("ep-0001", 37)
    rig.play("ep-0002", 20, end=False)
    rig.say(Operator("Anna"), Press(Button.SUCCESS, "ep-0001"), Press(Button.DISCARD, "ep-0001"))
    human = rig.read()
    assert human is not None
    assert human.buttons == frozenset(), "not a judgement of ep-0002"
    assert [(f.kind, f.author, f.span, f.value) for f in human.feedback] == [
        (FeedbackKind.SUCCESS, "Anna", Segment("ep-0001", 0, 37), None),
        (FeedbackKind.DISCARD, "Anna", Segment("ep-0001", 0, 37), 1.0),
    ]
    rig.say(Press(Button.SUCCESS, "ep-0002"), Press(Button.PAUSE, "ep-0001"))
    human = rig.read()
    assert human is not None
    assert human.buttons == {Button.SUCCESS, Button.PAUSE}, "a pause is for now, whatever was on the page"


@pytest.mark.parametrize("steps", [0, 1, 3, 20])
def test_a_judgement_goes_to_the_episode_that_was_seen_however_young_the_next_one_is(rig: Rig, steps: int) -> None:
    rig.play("ep-0001", 37)
    rig.play("ep-0002", steps, end=False)
    rig.say(Press(Button.FAILURE, "ep-0002"))  # seen: this one
    human = rig.read()
    assert human is not None
    assert (human.buttons, human.feedback) == ({Button.FAILURE}, ())
    rig.say(Press(Button.FAILURE, "ep-0001"))  # seen: the one before
    human = rig.read()
    assert human is not None
    assert human.buttons == frozenset()
    assert [(f.kind, f.span) for f in human.feedback] == [(FeedbackKind.FAILURE, Segment("ep-0001", 0, 37))]
    assert "ep-0001" in rig.answers()[-1]


def test_between_two_episodes_a_judgement_goes_to_the_one_that_has_ended(rig: Rig) -> None:
    rig.play("ep-0001", 37)
    rig.say(Press(Button.DISCARD, "ep-0001"))
    human = rig.read()
    assert human is not None
    assert (human.buttons, [f.span.episode_id for f in human.feedback]) == (frozenset(), ["ep-0001"])


def test_the_same_judgement_counts_once_and_again_when_it_was_taken_back(rig: Rig) -> None:
    rig.play("ep-0001", 37, outcome=Outcome.SUCCESS)
    for _ in range(2):
        rig.say(Press(Button.SUCCESS, "ep-0001"))
        human = rig.read()
        assert human is None or (human.buttons, human.feedback) == (frozenset(), ())
    assert "already" in rig.answers()[-1]
    rig.say(Press(Button.DISCARD, "ep-0001"), Press(Button.DISCARD, "ep-0001"))
    human = rig.read()
    assert human is not None
    (deleted,) = human.feedback
    rig.link.on_event(dataclasses.replace(deleted, value=0.0))
    rig.say(Press(Button.DISCARD, "ep-0001"))
    human = rig.read()
    assert human is not None
    assert len(human.feedback) == 1


def test_a_judgement_that_another_one_overruled_may_be_given_again(rig: Rig) -> None:
    rig.play("ep-0001", 37, outcome=Outcome.SUCCESS)
    rig.link.on_event(Feedback(FeedbackKind.DISCARD, "Ben", 1.0, Segment("ep-0001", 0, 37), 1.0))  # by the undo, say
    rig.say(Press(Button.DISCARD, "ep-0001"))
    human = rig.read()
    assert human is None or human.feedback == (), "this it has"
    rig.say(Press(Button.SUCCESS, "ep-0001"))
    human = rig.read()
    assert human is not None
    assert [f.kind for f in human.feedback] == [FeedbackKind.SUCCESS]


def test_a_demonstration_that_nobody_drove_is_no_success_of_one(rig: Rig) -> None:
    rig.play("show-0001", 200, outcome=Outcome.TIME_LIMIT, kind=EpisodeKind.DEMONSTRATION)
    rig.say(Press(Button.SUCCESS, "show-0001"))
    human = rig.read()
    assert human is None or (human.buttons, human.feedback) == (frozenset(), ())
    assert "Nobody drove show-0001" in rig.answers()[-1]


def test_in_the_very_first_episode_it_means_that_one(rig: Rig) -> None:
    rig.play("ep-0001", 3, end=False)
    rig.say(Press(Button.FAILURE, "ep-0001"))
    human = rig.read()
    assert human is not None
    assert human.buttons == {Button.FAILURE}


def test_a_part_is_as_long_as_it_is_and_stands_for_its_whole(rig: Rig) -> None:
    rig.play("ep-0001", 8)
    rig.play("ep-0001+01", 5, continues_at=5)
    rig.play("ep-0002", 20, end=False)
    rig.say(Press(Button.SUCCESS, "ep-0001+01"), Press(Button.FAILURE, "ep-0001"))
    human = rig.read()
    assert human is not None
    assert [f.span for f in human.feedback] == [Segment("ep-0001+01", 0, 5), Segment("ep-0001", 0, 8)]
    rig.play("ep-0002+01", 1, end=False, continues_at=20)
    rig.say(Press(Button.SUCCESS, "ep-0002"))
    human = rig.read()
    assert human is not None
    assert human.buttons == {Button.SUCCESS}, "another part of the same episode"


def test_a_judgement_of_an_unknown_episode_is_nobodys(rig: Rig) -> None:
    rig.play("ep-0002", 20, end=False)
    rig.say(Press(Button.SUCCESS, "ep-0001"))
    human = rig.read()
    assert human is None or (human.buttons == frozenset() and human.feedback == ())


def test_sentences_and_labels_arrive_once_each(rig: Rig) -> None:
    label = Feedback(FeedbackKind.PREFERENCE, "Anna", 1.0, Segment("a", 0, 5), 0.5, other=Segment("b", 0, 5))
    rig.say(Spoken("higher", 2.5), Label(label))
    human = rig.read()
    assert human is not None
    assert [(s.text, s.began) for s in human.sentences] == [("higher", 97.5)]
    assert human.feedback == (label,)
    assert rig.read() is None


def test_a_wrong_action_and_foreign_bytes_change_nothing(rig: Rig) -> None:
    rig.say(Drive(FORWARD))
    rig.say(Drive((1.0, 1.0)))
    rig.page.send(b"\xffnothing")
    rig.say()
    human = rig.read()
    assert human is not None
    assert human.action is not None
    np.testing.assert_array_equal(human.action.values, np.array(FORWARD, np.float32))


def test_a_flood_is_bounded(rig: Rig) -> None:
    for _ in range(MAX_WAITING + 200):
        rig.page.send(encode(Spoken("again")))
        rig.page.send(encode(Label(Feedback(FeedbackKind.SUCCESS, "Ada", 0.0, Segment("e", 0, 1)))))
    rig.page.send(encode(Operator("Ben")))  # no label of the rig's own has room
    until(lambda: rig.link.operator == "Ben")
    human = rig.read()
    assert human is not None
    assert (len(human.sentences), len(human.feedback)) == (MAX_SENTENCES, MAX_WAITING)


def test_showing_never_waits_for_a_console_that_does_not_read(rig: Rig) -> None:
    for step in range(2_000):
        rig.show("ep-0001", step)
        rig.link.tell({"step": step})
    kinds = {rig.page.recv(1 << 17)[:1] for _ in range(4)}
    assert kinds == {NEWER, b"{"}


def test_what_the_session_says_arrives(rig: Rig) -> None:
    rig.link.tell({"updates": 3, "stage": "practice"})
    assert decode(rig.page.recv(1 << 17)) == Status({"updates": 3, "stage": "practice"})


def test_a_new_console_takes_over_from_an_old_one(rig: Rig) -> None:
    rig.say(Drive(FORWARD))
    assert rig.read() is not None
    old = rig.page
    rig.page = rig.link.connect()
    human = rig.read()
    assert human is not None
    assert human.buttons == {Button.PAUSE}
    assert old.recv(10) == b""
    old.close()
    rig.say(Drive(FORWARD))
    human = rig.read()
    assert human is not None
    assert human.action is not None
