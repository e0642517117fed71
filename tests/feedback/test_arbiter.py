from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import Action, Driver, HumanInput
from robot_rlhf.errors import InvalidValueError, ShapeError
from robot_rlhf.feedback.arbiter import Arbiter, Choice
from tests.draws import draws
from tests.safety.laws import FULL_LAYOUT, Laws, Rig

PERIOD = 0.05
HANDS_OFF = HumanInput()


def action(x: float, grip: float = 1.0) -> Action:
    return Action(np.array([x, 0, 0, 0, 0, 0, grip], np.float32))


def hands(x: float, grip: float = 1.0) -> HumanInput:
    return HumanInput(action(x, grip))


class Shift:
    """An arbiter asked once per period."""

    def __init__(self, give_back_after: float = 0.2) -> None:
        self.arbiter = Arbiter(FULL_LAYOUT, give_back_after=give_back_after)
        self.now = 3.0

    def ask(self, human: HumanInput | None, proposed: Action | None = None) -> Choice:
        choice = self.arbiter.choose(proposed or action(0.5), human, self.now)
        self.now += PERIOD
        return choice


def test_a_takeover_is_immediate() -> None:
    shift = Shift()
    first = shift.ask(HANDS_OFF)
    assert (first.driver, first.switch) == (Driver.POLICY, None)
    taken = shift.ask(hands(-1.0))
    assert (taken.driver, taken.switch) == (Driver.HUMAN, "takeover")
    assert taken.action.values[0] == -1.0
    assert shift.ask(hands(-1.0)).switch is None


def test_hand_back_comes_after_hands_off_and_rests_meanwhile() -> None:
    shift = Shift(give_back_after=0.2)
    shift.ask(hands(-1.0, grip=-1.0))
    resting = [shift.ask(HANDS_OFF) for _ in range(4)]
    for choice in resting:
        assert (choice.driver, choice.switch) == (Driver.REFLEX, None)
        np.testing.assert_array_equal(choice.action.values, action(0.0, grip=-1.0).values)
    back = shift.ask(HANDS_OFF)
    assert (back.driver, back.switch) == (Driver.POLICY, "handback")
    assert shift.ask(HANDS_OFF).switch is None


def test_hands_that_return_in_time_keep_the_lead() -> None:
    shift = Shift(give_back_after=0.2)
    shift.ask(hands(1.0))
    for _ in range(3):
        for _ in range(3):
            assert shift.ask(HANDS_OFF).driver is Driver.REFLEX
        assert shift.ask(hands(1.0)).switch is None


def test_a_vanished_device_rests_and_never_hands_back_by_itself() -> None:
    shift = Shift(give_back_after=0.2)
    shift.ask(hands(1.0, grip=-1.0))
    for _ in range(100):
        choice = shift.ask(None)
        assert choice.driver is Driver.REFLEX
        np.testing.assert_array_equal(choice.action.values, action(0.0, grip=-1.0).values)
    assert [shift.ask(HANDS_OFF).driver for _ in range(5)] == [Driver.REFLEX] * 4 + [Driver.POLICY]


def test_without_a_person_the_policy_drives() -> None:
    shift = Shift()
    assert all(shift.ask(None).driver is Driver.POLICY for _ in range(10))


def test_without_a_policy_the_robot_rests_until_a_person_drives() -> None:
    arbiter = Arbiter(FULL_LAYOUT, give_back_after=0.0)
    arbiter.reset(gripper_open=False)
    rest = arbiter.choose(None, HANDS_OFF, 0.0)
    assert rest.driver is Driver.REFLEX
    np.testing.assert_array_equal(rest.action.values, action(0.0, grip=-1.0).values)
    assert arbiter.choose(None, hands(1.0), 0.05).driver is Driver.HUMAN
    assert arbiter.choose(None, HANDS_OFF, 0.1).switch == "handback"


def test_the_grip_of_the_policy_is_kept_too() -> None:
    shift = Shift()
    shift.ask(HANDS_OFF, action(0.1, grip=-0.3))
    shift.ask(hands(1.0, grip=-1.0))
    assert shift.ask(HANDS_OFF).action.values[6] == -1.0


def test_reset_gives_the_lead_to_the_policy() -> None:
    shift = Shift()
    shift.ask(hands(1.0))
    assert shift.arbiter.human_leads
    shift.arbiter.reset()
    assert shift.ask(HANDS_OFF).driver is Driver.POLICY


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(InvalidValueError, match="give_back_after"):
        Arbiter(FULL_LAYOUT, give_back_after=-1.0)
    with pytest.raises(ShapeError, match="action of the human"):
        Shift().ask(HumanInput(Action(np.zeros(3, np.float32))))


wish = st.lists(st.sampled_from([-1.0, -0.4, 0.0, 0.7, 1.0]), min_size=7, max_size=7)
period = st.tuples(wish, st.one_of(st.just("away"), st.just("off"), wish))


@draws(60)
@given(st.lists(period, min_size=5, max_size=60))
def test_no_switch_jumps(periods: list[tuple[list[float], str | list[float]]]) -> None:
    """Commanded pose and velocity stay within the limits whoever drives: Laws recomputes both from the commands."""
    rig = Rig()
    laws = Laws(rig.limits, rig.layout)
    arbiter = Arbiter(FULL_LAYOUT, give_back_after=0.1)
    for proposed, person in periods:
        human = None if person == "away" else HANDS_OFF
        if isinstance(person, list):
            human = HumanInput(Action(np.array(person, np.float32)))
        measured = rig.guard.observe()
        choice = arbiter.choose(Action(np.array(proposed, np.float32)), human, rig.clock.now())
        laws.check(rig.guard.act(choice.action), measured)
