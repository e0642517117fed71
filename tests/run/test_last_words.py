"""What is said when a session ends before its first episode is about the one that would have come."""

from __future__ import annotations

from dataclasses import replace

import pytest

from robot_rlhf.datatypes import HumanInput, Segment, Sentence
from robot_rlhf.run.practice.robot import RobotPractice
from robot_rlhf.run.settings import defaults_for
from robot_rlhf.runtime.session import Session
from robot_rlhf.runtime.tally import Tally
from tests.runtime.stations import Rig


class Mouth:
    """A Teleop that says goodbye."""

    def read(self) -> HumanInput:
        return HumanInput(sentences=(Sentence("goodbye", 0.0),))


@pytest.mark.parametrize(("due", "coming"), [(0, "practice-000000"), (1, "demonstration-000000")])
def test_last_words_are_about_a_demonstration_where_one_is_due(due: int, coming: str) -> None:
    rig = Rig()
    rig.station.teleop = Mouth()
    practice = RobotPractice.__new__(RobotPractice)  # nothing of it is needed but who runs episodes
    practice.config = replace(defaults_for("reach"), demonstrations=due)
    practice._session = Session(rig.station, Tally(0.05), 0, {})
    practice._hear_last_words()
    assert [event.span for event in rig.listener.feedback] == [Segment(coming, 0, 1)]
