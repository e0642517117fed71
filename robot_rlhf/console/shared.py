"""What the console's pages share, and who may say what about a running session."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from robot_rlhf.console.desk import Desk, NotTheOperatorError, Visitor
from robot_rlhf.console.gate import Gate
from robot_rlhf.console.history import History
from robot_rlhf.console.microphone import Microphones
from robot_rlhf.console.recording import LabelSink, Recording
from robot_rlhf.console.robotside import RobotSide
from robot_rlhf.console.settings import ConsoleSettings
from robot_rlhf.console.teleop import Teleop
from robot_rlhf.console.video import Video
from robot_rlhf.datatypes import Feedback, FeedbackKind

EVERYBODYS = frozenset({FeedbackKind.PREFERENCE, FeedbackKind.ATTRIBUTE})
"""What those who only watch a live session may say of its episodes, too."""


@dataclass(frozen=True)
class VisitorSink:
    """A LabelSink: what one visitor of a live session may say about its episodes."""

    desk: Desk
    visitor: Visitor

    def give(self, feedback: Feedback) -> None:
        """Pass it on.

        Raises:
            NotTheOperatorError: to delete or restore an episode, or to change its outcome, takes the operator's seat.
            LinkError: the robot's process does not answer.
        """
        if feedback.kind not in EVERYBODYS and not self.desk.sits(self.visitor):
            seat = "nobody has the seat" if self.desk.operator is None else f"{self.desk.operator.name} has the seat"
            raise NotTheOperatorError(
                "only the operator deletes and restores episodes of a running session, changes their outcomes and says "
                f"what sentences mean, and {seat}: you may compare clips and mark spans"
            )
        self.desk.give(feedback)


@dataclass
class Console:
    """Everything that the pages share: one per process."""

    settings: ConsoleSettings
    gate: Gate
    history: History
    recording: Recording
    robot: RobotSide | None = None
    """None for a recorded session, like all that follows."""
    desk: Desk | None = None
    video: Video | None = None
    teleop: Teleop | None = None
    microphones: Microphones | None = None
    """None where no recogniser of this machine listens, too."""
    sink: LabelSink | None = None
    """Takes labels: the robot's process, which writes the journal, or the journal itself."""

    @property
    def frame_ages(self) -> deque[float]:
        """Seconds from sensing to painted, of the last frames of all pages."""
        return deque[float]() if self.video is None else self.video.frame_ages

    def sink_for(self, visitor: Visitor) -> LabelSink:
        """Where the labels of one visitor go."""
        assert self.sink is not None
        return self.sink if self.desk is None else VisitorSink(self.desk, visitor)
