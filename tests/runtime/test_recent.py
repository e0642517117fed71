"""Which steps a sentence is about."""

from __future__ import annotations

import numpy as np

from robot_rlhf.datatypes import Action, Driver, Segment, Sentence, Step
from robot_rlhf.runtime.recent import LOOK_BACK, RecentSteps
from tests.console.fake_session import FakeRobot, make_spec

SPEC = make_spec(8)
PERIOD = 0.05


def recorded(steps: int) -> RecentSteps:
    recent, robot = RecentSteps(), FakeRobot(SPEC)
    recent.begin("practice-000001")
    action = Action(np.zeros(5, np.float32))
    for index in range(steps):
        before, after = robot.observe(100.0 + PERIOD * index), robot.observe(100.0 + PERIOD * (index + 1))
        recent.add(Step(index, before, None, action, Driver.POLICY, 0.0, False, False, 0, "", after))
    return recent


def test_said_between_two_episodes_it_is_about_how_the_last_one_ended() -> None:
    recent, end = recorded(200), 110.0
    at_once = recent.about(end)
    assert at_once is not None
    assert at_once.length >= LOOK_BACK / PERIOD - 1
    for later in (0.5, 3.0, 60.0):
        assert recent.about(end + later) == at_once, "no step was added meanwhile"
    correction = recent.correction(Sentence("too fast", end + 3.0), "Anna", end + 5.0)
    assert correction is not None
    assert correction.span == at_once


def test_said_while_it_runs_it_is_about_what_was_seen() -> None:
    assert recorded(200).about(105.0) == Segment(
        "practice-000001", round((5.0 - LOOK_BACK) / PERIOD), 200 - round((5.0 - LOOK_BACK) / PERIOD)
    )
