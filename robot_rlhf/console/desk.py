"""The operator's desk: who sits at it, what their hands do, and what goes to the robot. One per console process."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robot_rlhf.console.controls import Hands, PageInput, View
from robot_rlhf.console.frames import Directions, directions, rotation_matrix
from robot_rlhf.console.robotside import RobotSide
from robot_rlhf.console.settings import ConsoleSettings
from robot_rlhf.console.wire import MAX_SENTENCE, Drive, Label, Lost, Operator, Press, Spoken, whole_letters
from robot_rlhf.datatypes import ActionLayout, Button, Feedback, whole_episode
from robot_rlhf.errors import InvalidValueError, LinkError, RobotRlhfError
from robot_rlhf.timing import MonotonicClock

log = logging.getLogger(__name__)

REWIND_SPEED = 20.0
"""Steps per second while the rewind key is held: as fast as they were made."""
MAX_NAME = 40
"""Characters of a visitor's name."""
HISTORY = 50
"""Sentences remembered for the correction box."""


MOST_SENT = 100
"""Sentences among which those are that the robot has not heard yet: as many as may wait for it."""


class NotTheOperatorError(RobotRlhfError):
    """Somebody who only watches asked for what the operator alone may do."""


@dataclass
class Visitor:
    """One browser, known by its cookie; several tabs of it are the same visitor."""

    id: str
    name: str


@dataclass(frozen=True)
class Sent:
    """A sentence on its way to the robot."""

    text: str
    author: str
    at: float
    """Clock time, seconds."""


class Desk:
    """One operator drives, the others watch. Everything that reaches the robot from a browser comes through here.

    The seat stays with a visitor until they leave it, another one takes it over, which is possible at any time, or
    their last page is gone for longer than a reload takes: what must not happen is that two drive at once.
    """

    def __init__(self, settings: ConsoleSettings, robot: RobotSide, layout: ActionLayout) -> None:
        self.settings = settings
        self.robot = robot
        self.hands = Hands(layout, frame="camera")  # the base's while the camera's place is not known
        self.operator: Visitor | None = None
        self.camera = ""
        """The camera whose picture the 'camera' frame goes by: the operator's large one."""
        self.sentences: list[str] = []
        """What was said, newest first, without repeats."""
        self.sent: deque[Sent] = deque(maxlen=MOST_SENT)
        """Sentences in the order in which they were sent, heard or not."""
        self.spoken = 0
        """Sentences sent."""
        self.on_change: list[Callable[[], None]] = []
        """Called when the seat, the controls' settings or the sentences changed, for pages to paint themselves."""
        self._rewind_to: float | None = None
        self._chosen_moment: tuple[str, int] | None = None
        """Episode, whichever of its parts, and step."""
        self._last = -1.0
        self._deaf = False  # the robot's process did not take the last message

    # -- the seat ----------------------------------------------------------------------------------------------------

    def sits(self, visitor: Visitor) -> bool:
        """Whether the visitor is the operator."""
        return self.operator is not None and self.operator.id == visitor.id

    def take_seat(self, visitor: Visitor) -> None:
        """Become the operator; whoever was it watches from now on, and the hands start off."""
        if self.sits(visitor):
            return
        self.hands.let_go()
        self.operator = visitor
        self._rewind_to = self._chosen_moment = None
        self._send(Operator(visitor.name))
        self.tell_change()

    def leave_seat(self, visitor: Visitor) -> None:
        """Give the seat up; nothing when somebody else has it."""
        if self.sits(visitor):
            self.hands.let_go()
            self.operator = None
            self._rewind_to = self._chosen_moment = None
            self._send(Operator(""))
            self.tell_change()

    def rename(self, visitor: Visitor, name: str) -> None:
        """Give oneself a name, for the other pages and for the record.

        Raises:
            InvalidValueError: nothing printable in it, or more than MAX_NAME characters.
        """
        kept = " ".join("".join(c if c.isprintable() else " " for c in name[:1_000]).split())
        if not 1 <= len(kept) <= MAX_NAME:
            raise InvalidValueError("name", f"{len(kept)} characters", f"1 to {MAX_NAME} characters")
        if kept != visitor.name:
            visitor.name = kept
            if self.sits(visitor):
                self._send(Operator(kept))
            self.tell_change()

    def vanish(self) -> None:
        """The page that the operator drove from is gone: tell the robot at once; the seat stays theirs for now."""
        self.hands.let_go()
        self._rewind_to = self._chosen_moment = None
        self._send(Lost())

    def tell_change(self) -> None:
        """Have all pages paint what has changed at the desk."""
        for call in self.on_change:
            call()

    # -- driving -----------------------------------------------------------------------------------------------------

    def page_input(self, visitor: Visitor, page: PageInput, now: float) -> list[str]:
        """What the operator's page sends at each change and each heartbeat.

        Returns:
            What a key changed of the hands themselves ('speed', 'frame', 'mode'), for the page to show.

        Raises:
            NotTheOperatorError: somebody else drives.
        """
        self._require(visitor)
        local: list[str] = []
        for pressed in self.hands.update(page, now):
            if pressed is Button.REWIND:
                self.press(visitor, Button.PAUSE)  # how far it goes back, the held key says
            elif isinstance(pressed, Button):
                self.press(visitor, pressed, page.shown)
            else:
                local.append(pressed)
        self._rewind(now)
        self._send(Drive(self.hands.wish(self._view()), self._target(), now))
        if local:
            self.tell_change()
        return local

    @property
    def means(self) -> Directions:
        """Where the operator's keys lead right now."""
        return directions(self.hands.frame, self._view())

    def choose_moment(self, visitor: Visitor, step: int | None) -> None:
        """Rewind to a step of the running episode, by slider; None lets go of the slider."""
        self._require(visitor)
        present = self.robot.present
        self._chosen_moment = None if step is None or present is None else (whole_episode(present.episode), step)

    def _rewind(self, now: float) -> None:
        elapsed, self._last = min(0.2, max(0.0, now - self._last)), now
        present = self.robot.present
        if not self.hands.rewinding or present is None:
            self._rewind_to = None
            return
        if self._rewind_to is None:
            self._rewind_to = float(present.step)
        self._rewind_to = max(0.0, self._rewind_to - REWIND_SPEED * elapsed)

    def _target(self) -> int | None:
        if self._rewind_to is not None:
            return int(self._rewind_to)
        present = self.robot.present
        if self._chosen_moment is None or present is None:
            return None
        episode, step = self._chosen_moment
        return step if episode == whole_episode(present.episode) else None  # never in the next one

    def _view(self) -> View:
        present = self.robot.present
        if present is None or present.tool_pose is None:
            return View(tool_pose=(0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0), camera_rotation=None, gripper_target=1.0)
        mount = self.settings.sight.mounts.get(self.camera)
        turned = None
        if mount is not None:
            turned = np.array(mount.rotation, np.float64).reshape(3, 3)
            if mount.parent == "tool":
                turned = rotation_matrix(present.tool_pose[3:]) @ turned
        return View(present.tool_pose, turned, present.gripper_target)

    # -- judging and speaking ----------------------------------------------------------------------------------------

    def press(self, visitor: Visitor, button: Button, shown: str = "") -> None:
        """A judgement or request.

        Args:
            shown: the episode that the page showed under way when it was pressed: a judgement is about that one,
                whatever has begun meanwhile. Empty where it has shown none, or does not say: the present one.

        Raises:
            NotTheOperatorError: only the operator may; STOP is everybody's.
            LinkError: the robot's process does not answer.
        """
        if button is not Button.STOP:
            self._require(visitor)
        present = self.robot.present
        self.robot.send(Press(button, shown or (present.episode if present else "")))

    def speak(self, visitor: Visitor, text: str, seconds_ago: float) -> None:
        """A sentence to the robot.

        Raises:
            InvalidValueError: nothing in it, or more than MAX_SENTENCE characters.
        """
        self._require(visitor)
        text = " ".join(whole_letters(text).split())
        if not text or len(text) > MAX_SENTENCE:
            raise InvalidValueError("sentence", f"{len(text)} characters", f"1 to {MAX_SENTENCE} characters")
        sent = Sent(text, visitor.name, MonotonicClock().now())
        self.robot.send(Spoken(text, max(0.0, min(seconds_ago, 600.0))))
        self.sent.append(sent)
        self.spoken += 1
        self.sentences = [text, *(s for s in self.sentences if s != text)][:HISTORY]
        self.tell_change()

    def give(self, feedback: Feedback) -> None:
        """A LabelSink: a judgement of what was recorded, into the journal that the robot's process writes."""
        self.robot.send(Label(feedback))

    # -- helpers -----------------------------------------------------------------------------------------------------

    def _require(self, visitor: Visitor) -> None:
        if self.operator is None:
            raise NotTheOperatorError("nobody has the operator's seat: take it first")
        if not self.sits(visitor):
            raise NotTheOperatorError(f"{self.operator.name} has the operator's seat: you are watching")

    def _send(self, message: Drive | Operator | Lost) -> None:
        try:
            self.robot.send(message)
            self._deaf = False
        except LinkError as error:
            if self.robot.connected and not self._deaf:
                log.warning("%s", error)
            self._deaf = True
