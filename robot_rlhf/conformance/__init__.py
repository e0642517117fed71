"""The laws of each port, written once; a test of an implementation inherits them in three lines.

class TestMyRobot(RobotConformance):
    def make_robot(self) -> Robot:
        return MyRobot(...)
"""

# ruff: noqa: E402  the suites are imported once pytest knows that their assertions are to explain themselves

try:
    import pytest
except ModuleNotFoundError:
    raise ImportError("robot_rlhf.conformance: its suites need pytest; pip install pytest") from None

SUITES = ("acting", "heads", "hearing", "learning", "people", "places", "robots")
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in SUITES))  # before they are imported

from robot_rlhf.conformance.acting import (
    DirectorConformance,
    PolicyConformance,
    ShieldConformance,
    TrainablePolicyConformance,
)
from robot_rlhf.conformance.heads import HeadConformance
from robot_rlhf.conformance.hearing import (
    LastingTutorConformance,
    MonitorConformance,
    SubscriberConformance,
    TutorConformance,
)
from robot_rlhf.conformance.learning import (
    AdvisedLearnerConformance,
    LearnerConformance,
    ScoresConformance,
    ValueLearnerConformance,
)
from robot_rlhf.conformance.people import InterpreterConformance, LabelerConformance, TeleopConformance
from robot_rlhf.conformance.places import PlaceConformance
from robot_rlhf.conformance.robots import RobotConformance, TaskConformance, assert_same_state
from robot_rlhf.conformance.samples import sample_meta, sample_observation, sample_steps

__all__ = [
    "AdvisedLearnerConformance",
    "DirectorConformance",
    "HeadConformance",
    "InterpreterConformance",
    "LabelerConformance",
    "LastingTutorConformance",
    "LearnerConformance",
    "MonitorConformance",
    "PlaceConformance",
    "PolicyConformance",
    "RobotConformance",
    "ScoresConformance",
    "ShieldConformance",
    "SubscriberConformance",
    "TaskConformance",
    "TeleopConformance",
    "TrainablePolicyConformance",
    "TutorConformance",
    "ValueLearnerConformance",
    "assert_same_state",
    "sample_meta",
    "sample_observation",
    "sample_steps",
]
