"""The robot's end of the console: a Teleop, a Monitor and a Subscriber that never wait for anybody."""

from __future__ import annotations

import contextlib
import logging
import math
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_rlhf.console.live import LiveBlock
from robot_rlhf.console.wire import (
    MAX_PACKET,
    Answer,
    Drive,
    Label,
    Lost,
    Message,
    Operator,
    Press,
    Spoken,
    Status,
    decode,
    encode,
)
from robot_rlhf.datatypes import (
    Action,
    Button,
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Event,
    Feedback,
    FeedbackKind,
    HumanInput,
    Observation,
    Outcome,
    RobotSpec,
    Segment,
    Sentence,
    Situation,
    Step,
    whole_episode,
)
from robot_rlhf.errors import LinkError
from robot_rlhf.journal.labels import TAKEN_BACK
from robot_rlhf.timing import Clock

log = logging.getLogger(__name__)

STALE_AFTER = 0.35
"""Seconds without a word from the operator's page after which nobody drives: the dead man."""
MAX_WAITING = 1_000
"""Presses and labels that may wait for the loop; more are dropped with a warning."""
MAX_SENTENCES = 100
"""Likewise sentences: all that wait are read within one control period, before anything else is done."""
NO_HANDS = Drive(None)
NEWER = b"\x01"
"""Packet that says: there is a newer situation in the live block."""
REMEMBERED = 50
"""Episodes that are known, part by part, so that a late judgement finds its own."""
_LATE = {
    Button.SUCCESS: (FeedbackKind.SUCCESS, None),
    Button.FAILURE: (FeedbackKind.FAILURE, None),
    Button.DISCARD: (FeedbackKind.DISCARD, 1.0),
}
_JUDGES = {kind: button for button, (kind, _) in _LATE.items()}


@dataclass(frozen=True)
class _Ended:
    """An episode, or a part of one, that is over."""

    steps: int
    outcome: Outcome
    untouched: bool
    """A demonstration that nobody drove."""


_SAID = {Outcome.SUCCESS: Button.SUCCESS, Outcome.FAILURE: Button.FAILURE, Outcome.DISCARDED: Button.DISCARD}


class ConsoleLink:
    """What the operator does, as the last packets of the console's process tell it; and what they are shown.

    A thread takes the packets in, so that `read` and `show` take microseconds. When the operator's page falls silent
    while it drives, or its process dies, the episode is paused, and only the person's next input goes on with it.
    """

    def __init__(
        self,
        spec: RobotSpec,
        clock: Clock,
        *,
        stale_after: float = STALE_AFTER,
        on_stop: Callable[[], None] = lambda: None,
        on_release: Callable[[], object] = lambda: None,
        on_thread: Callable[[], None] = lambda: None,
    ) -> None:
        """Make the live block.

        Args:
            spec: of the robot: the size of its actions and its cameras.
            clock: of the session.
            stale_after: seconds of silence after which nobody drives.
            on_stop: called at once, from the link's own thread, when STOP is pressed: the guard's stop.
            on_release: the same for RELEASE: for a stop that is latched elsewhere too.
            on_thread: called in the link's own thread when it begins, for example to raise its priority.
        """
        self.block = LiveBlock(spec.cameras)
        self.operator = ""
        """Name of whoever has the operator's seat; empty while nobody has it."""
        self.lost = 0
        """Times that the operator vanished while driving."""
        self.delays: deque[float] = deque(maxlen=20_000)
        """Seconds from a change of what the hands do, as it reached the console, to the loop that acts on it.

        What comes while the loop is elsewhere, as in an evaluation, is not counted."""
        self._changed: float | None = None
        self._asked = -math.inf
        self._size = spec.action.size
        self._clock = clock
        self._stale_after = stale_after
        self._on_stop = on_stop
        self._on_release = on_release
        self._on_thread = on_thread
        self._lock = threading.Lock()
        self._drive: Drive | None = None
        self._heard = -1.0
        self._leading = False
        self._left = False
        self._presses: list[Press] = []
        self._sentences: list[Sentence] = []
        self._labels: list[Feedback] = []
        self._episode = ""
        self._open = False
        self._shows = False
        """The present episode is a demonstration."""
        self._by_hand = 0
        """Steps of the present episode that a person drove, over all its parts."""
        self._ended: dict[str, _Ended] = {}
        """The last episodes, part by part."""
        self._judged: dict[str, Button] = {}
        """What was last said of an episode, as it ended or later."""
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    # -- the other process -----------------------------------------------------------------------------------------

    def connect(self) -> socket.socket:
        """The other end for a new console process; one that was connected before is let go."""
        self.disconnect()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MAX_PACKET)
        self._socket = ours
        self._thread = threading.Thread(target=self._listen, args=(ours,), name="console-link", daemon=True)
        self._thread.start()
        return theirs

    def disconnect(self) -> None:
        """Let the console's process go: nobody drives from now on. Idempotent."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            if self._thread is not None:
                self._thread.join(timeout=5.0)
            self._socket.close()
            self._socket = None

    def close(self) -> None:
        """Let go of process and memory."""
        self.disconnect()
        self.block.close()

    def _listen(self, end: socket.socket) -> None:
        self._on_thread()
        while True:
            try:
                packet = end.recv(2 * MAX_PACKET)
            except OSError:
                packet = b""
            if not packet:
                break
            try:
                self._take(decode(packet))
            except LinkError as error:
                log.warning("%s", error)
        self._take(Lost())

    def _take(self, message: Message) -> None:
        now = self._clock.now()
        if isinstance(message, Press) and message.button is Button.STOP:
            self._on_stop()  # first: whatever else is wrong
        self._put(message, now)
        if isinstance(message, Press) and message.button is Button.RELEASE:
            self._on_release()

    def _put(self, message: Message, now: float) -> None:
        with self._lock:
            if isinstance(message, Drive):
                if message.action is not None and len(message.action) != self._size:
                    raise LinkError(f"console: an action of {len(message.action)} numbers, expected {self._size}")
                if self._changed is None and message.heard and message.action != (self._drive or NO_HANDS).action:
                    self._changed = message.heard
                self._drive, self._heard = message, now
                self._leading = message.action is not None or message.rewind_to is not None
            elif isinstance(message, Press):
                self._keep(self._presses, message)
            elif isinstance(message, Spoken):
                self._keep(self._sentences, Sentence(message.text, now - message.seconds_ago), MAX_SENTENCES)
            elif isinstance(message, Label):
                self._keep(self._labels, message.feedback)
            elif isinstance(message, Operator):
                self.operator = message.name
                self._let_go()
            elif isinstance(message, Lost):
                self._let_go()

    def _let_go(self) -> None:
        """Nobody's hands are on; if they were, `read` says so, even if somebody is back before it is called."""
        self._left |= self._leading
        self._leading = False
        self._drive = None

    @staticmethod
    def _keep(waiting: list[Any], item: object, most: int = MAX_WAITING) -> None:
        if len(waiting) >= most:
            raise LinkError(f"console: more than {most} inputs wait for the robot; this one is dropped")
        waiting.append(item)

    @property
    def present(self) -> bool:
        """Somebody has the operator's seat, and their page speaks."""
        with self._lock:
            return bool(self.operator) and self._clock.now() - self._heard <= self._stale_after

    # -- Teleop ------------------------------------------------------------------------------------------------------

    def read(self) -> HumanInput | None:
        """What the operator does now; None while no page of theirs speaks."""
        now = self._clock.now()
        with self._lock:
            if now - self._heard > self._stale_after:
                self._let_go()
            drive = self._drive
            presses, self._presses = self._presses, []
            sentences, self._sentences = tuple(self._sentences), []
            labels, self._labels = self._labels, []
            episode = self._episode if self._open else ""
            left, self._left = self._left, False
            changed, self._changed = self._changed, None
            listening, self._asked = now - self._asked < self._stale_after, now
        if changed is not None and listening:
            self.delays.append(now - changed)
        buttons: set[Button] = set()
        for press in presses:
            named = press.episode if press.button in _LATE else ""
            if not named or whole_episode(named) == whole_episode(episode):
                buttons.add(press.button)
            else:
                labels += self._late(press.button, named, now)
        if left:
            self.lost += 1
            buttons.add(Button.PAUSE)
            log.warning("the operator's page is gone while it drove: paused")
        if drive is None and not (buttons or sentences or labels):
            return None
        action = None if drive is None or drive.action is None else Action(np.array(drive.action, np.float32))
        rewind_to = None if drive is None else drive.rewind_to
        return HumanInput(action, frozenset(buttons), sentences, rewind_to, tuple(labels))

    def _late(self, button: Button, named: str, now: float) -> list[Feedback]:
        """The judgement of an episode that has ended meanwhile belongs to that one, not to the next; and once."""
        over, whole = self._ended.get(named), whole_episode(named)
        if over is None or not over.steps:
            log.warning("console: '%s' for %s, of which no step is known: dropped", button.value, named)
            return self._answer(f"{named} has not begun, or is not known any more: '{button.value}' went to nothing")
        if self._judged.get(whole) is button:
            return self._answer(f"{named} has this judgement already: {button.value}")
        if button is Button.SUCCESS and over.untouched:
            return self._answer(f"Nobody drove {named}: it is no demonstration, and no success of one")
        self._judged[whole] = button
        self._answer(f"'{button.value}' went to {named}, which had ended; it can be taken back beside the pictures")
        kind, value = _LATE[button]
        return [Feedback(kind, self.operator or "operator", now, Segment(named, 0, over.steps), value)]

    def _answer(self, text: str) -> list[Feedback]:
        """Tell the pages."""
        self._send(encode(Answer(text)))
        return []

    # -- Subscriber: what is recorded, to know what a judgement means --------------------------------------------------

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        with self._lock:
            self._episode, self._open = meta.id, True
            self._shows = meta.kind is EpisodeKind.DEMONSTRATION
            if not meta.continues:
                self._by_hand = 0

    def on_step(self, step: Step) -> None:
        with self._lock:
            self._by_hand += step.driver is Driver.HUMAN and not step.spoken

    def on_event(self, event: Event) -> None:
        """What was judged last, also by another page; what was taken back, or overruled, may be given again."""
        if isinstance(event, Feedback) and event.kind in _JUDGES:
            whole = whole_episode(event.span.episode_id)
            with self._lock:
                if event.value == TAKEN_BACK:
                    self._judged.pop(whole, None)
                else:
                    self._judged[whole] = _JUDGES[event.kind]

    def on_episode_end(self, end: EpisodeEnd) -> None:
        with self._lock:
            self._open = end.outcome is Outcome.PAUSED  # it goes on: a judgement meanwhile ends it
            self._ended[end.id] = _Ended(end.steps, end.outcome, self._shows and not self._by_hand)
            if end.outcome in _SAID:
                self._judged[whole_episode(end.id)] = _SAID[end.outcome]
            for known in (self._ended, self._judged):
                while len(known) > REMEMBERED:
                    del known[next(iter(known))]

    # -- Monitor -----------------------------------------------------------------------------------------------------

    def show(self, situation: Situation) -> None:
        self.block.write(situation)
        self._send(NEWER)

    def tell(self, values: Mapping[str, Any]) -> None:
        """What the session says of itself, by name."""
        self._send(encode(Status(values)))

    def _send(self, packet: bytes) -> None:
        """Without waiting; a console that does not read misses it."""
        end = self._socket  # another thread may let it go meanwhile
        if end is not None:
            with contextlib.suppress(OSError):
                end.send(packet, socket.MSG_DONTWAIT)
