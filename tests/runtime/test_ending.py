"""Of several things that would end an episode in one step the strongest does; and the clock counts as it is told."""

from __future__ import annotations

import itertools

import pytest

from robot_rlhf.datatypes import Button, Driver, EpisodeKind, GuardEvent, Outcome
from robot_rlhf.runtime.ending import Ending, StepCount
from robot_rlhf.safety.guard import STOP_RULE
from tests.runtime.stations import Rig

STRONGEST_FIRST = {
    "discard": Outcome.DISCARDED,
    "fault": Outcome.FAULT,
    "success": Outcome.SUCCESS,
    "failure": Outcome.FAILURE,
    "world": Outcome.FAILURE,
    "clock": Outcome.TIME_LIMIT,
    "last": Outcome.STOPPED,
}
WORDS = {"discard": "discard pressed", "fault": "nan: no number", "failure": "failure pressed", "success": ""}
WORDS |= {"world": "the world ended the episode", "clock": "", "last": "the robot may not move on"}
LIMIT = 10


def ended(happens: frozenset[str], kind: EpisodeKind = EpisodeKind.PRACTICE) -> tuple[Outcome | None, str]:
    rig = Rig()
    rig.task.time_limit = LIMIT
    rig.task.succeeds = lambda observation: "success" in happens
    rig.task.ended = lambda o: Outcome.FAILURE if "world" in happens else None  # type: ignore[attr-defined]
    count = StepCount(here=LIMIT - 1 if "clock" in happens else 0)
    buttons = {Button.DISCARD: "discard", Button.FAILURE: "failure"}
    pressed = frozenset(button for button, name in buttons.items() if name in happens)
    events = [GuardEvent(0.0, "nan", "no number", latched=True)] if "fault" in happens else []
    ending = Ending(rig.station, kind)
    return ending.of(count, Driver.POLICY, rig.robot.observe(), pressed, events, "last" in happens)


def test_the_strongest_wins_whatever_else_happens() -> None:
    for number in range(len(STRONGEST_FIRST) + 1):
        for happens in itertools.combinations(STRONGEST_FIRST, number):
            wanted = (STRONGEST_FIRST[happens[0]], WORDS[happens[0]]) if happens else (None, "")
            assert ended(frozenset(happens)) == wanted, happens


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [(STOP_RULE, Outcome.STOPPED), ("force_hard", Outcome.FAILURE), ("nan", Outcome.FAULT)],
)
def test_what_a_fault_ends_the_episode_with(rule: str, outcome: Outcome) -> None:
    rig = Rig()
    ending, observation = Ending(rig.station, EpisodeKind.PRACTICE), rig.robot.observe()
    for latched, wanted in ((True, (outcome, f"{rule}: x")), (False, (None, ""))):
        events = [GuardEvent(0.0, rule, "x", latched=latched)]
        assert ending.of(StepCount(), Driver.POLICY, observation, frozenset(), events, False) == wanted


def test_a_demonstration_that_nobody_drove_shows_nothing() -> None:
    rig = Rig()
    rig.task.succeeds = lambda observation: True
    ending, count = Ending(rig.station, EpisodeKind.DEMONSTRATION), StepCount()
    count.see(Driver.REFLEX)
    assert ending.of(count, Driver.REFLEX, rig.robot.observe(), frozenset(), [], False)[0] is Outcome.DISCARDED
    count.see(Driver.HUMAN)
    assert ending.of(count, Driver.HUMAN, rig.robot.observe(), frozenset(), [], False)[0] is Outcome.SUCCESS
    assert ended(frozenset({"success"})) == (Outcome.SUCCESS, ""), "practice needs nobody"


@pytest.mark.parametrize(
    ("driven", "patience", "waits", "left"),
    [
        ("ppp", 1.0, False, 7),
        ("phh", 1.0, False, 7),
        ("phh", 2.0, False, 9),  # the person's own steps do not count towards the limit
        ("hhhhhhhhhhhh", 1.5, False, 3),  # but towards the limit times patience
        ("hhhrr", 1.0, True, 8),  # only since hands were last on
        ("hhhrh", 1.0, True, 10),
    ],
)
def test_steps_left(driven: str, patience: float, waits: bool, left: int) -> None:
    rig = Rig()
    rig.task.time_limit = LIMIT
    rig.station.patience, rig.station.waits_for_hands = patience, waits
    ending, count = Ending(rig.station, EpisodeKind.PRACTICE), StepCount()
    last = None
    for name in driven:
        driver = {"p": Driver.POLICY, "h": Driver.HUMAN, "r": Driver.REFLEX}[name]
        count.see(driver)
        outcome, _ = ending.of(count, driver, rig.robot.observe(), frozenset(), [], False)
        assert outcome is None
        count.add(driver)
        last = ending.steps_left(count)
    assert last == left
    assert count.whole == len(driven)


@pytest.mark.parametrize(("driver", "outcome"), [(Driver.POLICY, Outcome.TIME_LIMIT), (Driver.HUMAN, None)])
def test_the_step_itself_counts_as_whose_it_is(driver: Driver, outcome: Outcome | None) -> None:
    rig = Rig()
    rig.task.time_limit, rig.station.patience = LIMIT, 2.0
    count = StepCount(here=LIMIT - 1, unaided=LIMIT - 1)
    ending = Ending(rig.station, EpisodeKind.PRACTICE)
    assert ending.of(count, driver, rig.robot.observe(), frozenset(), [], False) == (outcome, "")
