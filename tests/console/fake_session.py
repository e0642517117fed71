"""A made-up robot's process with the real console: moving pictures, episodes that go round, a person who may drive.

    python tests/console/fake_session.py --port 8801

It answers what a page asks (pause, stop, rewind, judgements, sentences), understands a few words and moves for none,
learns nothing, and writes a real journal.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.console.link import ConsoleLink
from robot_rlhf.console.readings import Reading
from robot_rlhf.console.settings import ConsoleSettings
from robot_rlhf.datatypes import (
    Action,
    ActionLayout,
    Button,
    CommandLayout,
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Feedback,
    FeedbackKind,
    GuardEvent,
    HumanInput,
    Observation,
    Outcome,
    Phase,
    RobotSpec,
    Segment,
    Sentence,
    Situation,
    Step,
)
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.language.ears import SpeechConfig
from robot_rlhf.meaning import Meaning
from robot_rlhf.sight import CameraMount, Sight
from robot_rlhf.timing import MonotonicClock, Rate

PERIOD = 0.05
TIME_LIMIT = 200
SPOKEN_STEPS = 20
RESET_STEPS = 20
PATIENT_CONSOLE = """
from robot_rlhf.console import listener
from robot_rlhf.console.__main__ import main

listener.LOADS = listener.ANSWERS = 100.0
raise SystemExit(main())
"""
"""The console, which waits longer for its recogniser: a busy machine takes its time to understand a sentence."""
POINTING_DOWN = (0.0, 1.0, 0.0, 0.0)
OUTCOMES = {
    Button.SUCCESS: Outcome.SUCCESS,
    Button.FAILURE: Outcome.FAILURE,
    Button.DISCARD: Outcome.DISCARDED,
    Button.RESET: Outcome.STOPPED,
}

MEANT = {
    "slower near the glass": Reading("-", "rule", (Meaning("rule", rule="slower", thing="glass"),), "grammar"),
    "above the cube": Reading("-", "skill", (Meaning("goal", skill="above", thing="cube"),), "grammar"),
    "a bit to the left": Reading("-", "nudge", (Meaning("left", 0.02),), "grammar"),
    "well done": Reading("-", "praise", (Meaning("good"),), "grammar"),
}
"""What the made-up robot understands; about everything else it asks."""
NOT_MEANT = Reading("-", "ask", (Meaning("unknown", confidence=0.0),), "nobody", "no word of it says where to")
NEAREST = (Meaning("left", 0.02, confidence=0.4), Meaning("up", confidence=0.3), Meaning("close", confidence=0.2))


def make_spec(size: int = 256, cameras: tuple[str, ...] = ("front", "wrist")) -> RobotSpec:
    return RobotSpec(
        joint_names=("a", "b"),
        position_lower=np.full(2, -3.0, np.float32),
        position_upper=np.full(2, 3.0, np.float32),
        speed_max=np.full(2, 2.0, np.float32),
        control_period=PERIOD,
        action=ActionLayout(("x", "y", "z", "rz", "gripper"), np.array([0.02, 0.02, 0.02, 0.1, 1.0], np.float32)),
        command=CommandLayout(
            "tool_pose",
            ("x", "y", "z", "qw", "qx", "qy", "qz", "gripper"),
            np.array([-1.0, -1, 0, -1, -1, -1, -1, 0]),
            np.array([1.0, 1, 1, 1, 1, 1, 1, 1]),
        ),
        cameras=dict.fromkeys(cameras, (size, size)),
    )


class FakeRobot:
    """A point that moves where it is told, and draws itself."""

    def __init__(self, spec: RobotSpec) -> None:
        self.spec = spec
        self.position = np.array([0.45, 0.0, 0.25])
        self.grip = 1.0
        self.steps = 0

    def move(self, action: NDArray[np.float32]) -> None:
        self.position = np.clip(self.position + 0.02 * action[:3], [0.2, -0.4, 0.02], [0.7, 0.4, 0.5])
        self.grip = float(np.clip(self.grip + 0.4 * action[4], 0.0, 1.0))
        self.steps += 1

    def observe(self, now: float) -> Observation:
        pose = np.array([*self.position, *POINTING_DOWN], np.float32)
        return Observation(
            stamp=now,
            joint_position=np.zeros(2, np.float32),
            joint_velocity=np.zeros(2, np.float32),
            tool_pose_in_base=pose,
            tool_target_in_base=pose,
            tool_velocity=np.zeros(6, np.float32),
            tool_wrench=np.array([0, 0, 2.0 + math.sin(self.steps / 9), 0, 0, 0], np.float32),
            gripper=self.grip,
            gripper_target=round(self.grip),
            images={name: self._picture(i, size) for i, (name, size) in enumerate(self.spec.cameras.items())},
        )

    def _picture(self, camera: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        height, width = size
        picture = np.empty((height, width, 3), np.uint8)
        picture[:] = (196, 205, 212) if camera == 0 else (52, 60, 72)
        picture[height * 2 // 3 :] = (141, 122, 102) if camera == 0 else (80, 66, 58)
        across = self.position[1] if camera == 0 else self.position[0] - 0.45
        column = int(width * (0.5 - across))
        row = int(height * (0.9 - 1.4 * self.position[2]))
        half = max(2, width // 24)
        picture[: max(0, row), max(0, column - 2) : column + 2] = (70, 74, 80)
        picture[max(0, row - half) : row + half, max(0, column - half) : column + half] = (214, 90, 49)
        picture[height * 2 // 3 :, width // 2 - half : width // 2 + half] = (58, 124, 165)
        picture[:4, : max(1, int(width * (self.steps % 100) / 100))] = (240, 190, 60)
        return picture


class FakeSession:
    """Robot loop, journal and console process; `with` starts and ends all of it."""

    def __init__(
        self,
        folder: str | Path,
        *,
        port: int = 0,
        size: int = 256,
        loop: bool = True,
        demonstrations: int = 0,
        time_limit: int = TIME_LIMIT,
        hosts: tuple[str, ...] = ("127.0.0.1", "localhost"),
        speech: SpeechConfig | None = None,
    ) -> None:
        """Remember the settings.

        Args:
            folder: of the journal.
            port: to listen on; 0 takes a free one.
            size: pixels of the square pictures.
            loop: False leaves reading the link and showing situations to the caller.
            demonstrations: episodes that wait for a person before the practice begins.
            time_limit: steps of an episode.
            hosts: names under which the console may be addressed.
            speech: who listens to the microphone; None: nobody.
        """
        self.clock = MonotonicClock()
        self.spec = make_spec(size)
        self.robot = FakeRobot(self.spec)
        self.link = ConsoleLink(self.spec, self.clock, on_stop=self._stop_pressed)
        self.journal = JournalWriter(folder, self.spec, metadata={"task": "fake"})
        self.token = secrets.token_urlsafe(24)
        self.port = port
        self.practice: dict[str, str] = {"verdict": "", "because": ""}
        self.hears = True
        """What is said is heard at once; else it waits."""
        self._waiting: list[Sentence] = []
        self.listens = True
        """Sentences are read."""
        self.uptake: dict[str, float] | None = None
        """Sentence to the part of it that is learned; None where nobody learns words."""
        self._said = 0
        self._spoken = ""
        self._spoken_steps = 0
        self.phase = Phase.RESETTING
        self.driver: Driver | None = None
        self.action: Action | None = None
        self.step = 0
        self.inputs: list[tuple[float, HumanInput | None]] = []
        """When the loop read the link, and what it got; the last 10,000."""
        self.stops: list[float] = []
        """When STOP reached the robot."""
        self.ended = threading.Event()
        self.console: subprocess.Popen[str] | None = None
        self._folder = Path(folder)
        self._loop = loop
        self._hosts = hosts
        self._speech = speech or SpeechConfig()
        self._time_limit = time_limit
        self._demonstrations = demonstrations
        self._demonstrations_done = 0
        self._stopping = threading.Event()
        self._stop_asked = threading.Event()
        self._thread: threading.Thread | None = None
        self._listening: socket.socket | None = None
        self._faults: tuple[GuardEvent, ...] = ()
        self._detail = "the robot goes to its start"
        self._number = 0
        self._part = 0
        self._episode = ""
        self._part_steps = 0
        self._resetting = RESET_STEPS
        self._outcomes: list[bool] = []
        self._human_steps = self._all_steps = 0
        self._last: Observation | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def open_address(self) -> str:
        """With the token, as a session prints it."""
        return f"{self.address}/?token={self.token}"

    def __enter__(self) -> FakeSession:
        self.journal.open()
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listening.getsockname()[1]
        self.start_console()
        if self._loop:
            self._thread = threading.Thread(target=self._run, name="fake-robot", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
        self.end_console()
        if self._listening is not None:
            self._listening.close()
        self.link.close()
        self.journal.close()

    def settings(self, **descriptors: int) -> ConsoleSettings:
        facing = CameraMount("base", (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0))
        down = CameraMount("tool", (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
        return ConsoleSettings(
            journal=str(self._folder),
            token=self.token,
            task="fake",
            title="A made-up robot",
            hosts=self._hosts,
            cameras=dict(self.spec.cameras),
            sight=Sight({"front": facing, "wrist": down}),
            action_names=self.spec.action.names,
            action_scale=tuple(float(v) for v in self.spec.action.scale),
            action_frame=self.spec.action.frame,
            control_period=PERIOD,
            can_rewind=True,
            judged_by="person",
            examples=("above the cube", "a bit to the left"),
            things={"cube": "the cube", "glass": "the glass"},
            speech=self._speech,
            **descriptors,  # pyright: ignore[reportArgumentType]  link, block and listen only
        )

    def start_console(self) -> None:
        """Start the console's process, again if there was one."""
        assert self._listening is not None
        theirs = self.link.connect()
        inherited = (theirs.fileno(), self.link.block.descriptor, self._listening.fileno())
        settings = self.settings(link=inherited[0], block=inherited[1], listen=inherited[2])
        self.console = subprocess.Popen(
            [sys.executable, "-c", PATIENT_CONSOLE],
            stdin=subprocess.PIPE,
            text=True,
            pass_fds=inherited,
            cwd=Path(__file__).parents[2],
        )
        theirs.close()
        assert self.console.stdin is not None
        self.console.stdin.write(settings.to_json() + "\n")
        self.console.stdin.close()

    def end_console(self) -> None:
        """Let the console's process end as it does when a session is over, or kill it."""
        if self.console is None:
            return
        self.link.disconnect()
        self.console.terminate()
        try:
            self.console.wait(timeout=60.0)
        except subprocess.TimeoutExpired:
            self.console.kill()
            self.console.wait(timeout=60.0)
        self.console = None

    # -- the robot's loop --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        rate = Rate(self.clock, PERIOD)
        told = 0.0
        self._last = self.robot.observe(self.clock.now())
        while not self._stopping.is_set() and not self.ended.is_set():
            now = self.clock.now()
            human = self.link.read()
            self.inputs = [*self.inputs[-9_999:], (now, human)]
            self._turn(human, now)
            self.link.show(self.situation(self.clock.now()))
            if now - told >= 0.5:
                told = now
                self.link.tell(self.status())
            rate.wait()
        if self._episode:
            self._end(Outcome.STOPPED)
        self.link.tell(self.status())

    def situation(self, now: float) -> Situation:
        observation = self.robot.observe(now)
        waiting = self._demonstrations_done < self._demonstrations and self.phase is Phase.WAITING
        return Situation(
            stamp=now,
            phase=self.phase,
            observation=observation,
            driver=self.driver,
            action=self.action,
            episode=self._episode,
            kind=EpisodeKind.DEMONSTRATION if waiting or self._demonstrating else EpisodeKind.PRACTICE,
            step=self.step,
            time_limit=self._time_limit,
            instruction="lift the cube",
            policy_version=120,
            faults=self._faults,
            detail=self._detail,
            spoken=self._spoken if self.driver is Driver.HUMAN else "",
        )

    def status(self) -> Mapping[str, Any]:
        last = self._outcomes[-20:]
        return {
            "learner_state": "learning",
            "learner_healthy": True,
            "updates": 4 * self._all_steps,
            "steps": self._all_steps,
            "target_ratio": 4.0,
            "ratio": 3.9,
            "policy_age_updates": 37,
            "latency_ms": 1.8,
            "q": 0.4 + 0.1 * math.sin(self._all_steps / 50),
            "value_return": 0.5,
            "over_estimation": -0.1,
            "alarm": False,
            "practice": dict(self.practice),
            "demonstrations": self._demonstrations_done,
            "demonstrations_wanted": self._demonstrations,
            "practice_episodes": len(self._outcomes),
            "success_with_help": sum(last) / len(last) if last else None,
            "human_share": self._human_steps / max(1, self._all_steps),
            "hands_on_seconds": self._human_steps * PERIOD,
            "at_machine_seconds": self._all_steps * PERIOD,
            "period_overruns": 0,
            "periods": self._all_steps,
            "period_p99_ms": 50.4,
            "unaided": [0.5, 4],
            "session_seconds": self._all_steps * PERIOD,
            "stage": "ended" if self.ended.is_set() else "demonstrations" if self._demonstrating else "practice",
            "operator_kind": "person",
            "listens": self.listens,
            "learns_words": self.uptake is not None,
            "uptake": dict(self.uptake or {}),
        }

    @property
    def _demonstrating(self) -> bool:
        return self._demonstrations_done < self._demonstrations

    def _stop_pressed(self) -> None:
        self.stops = [*self.stops, self.clock.now()]
        self._stop_asked.set()

    def _turn(self, human: HumanInput | None, now: float) -> None:
        buttons = human.buttons if human is not None else frozenset[Button]()
        self._record(human, now)
        if self._stop_asked.is_set() or Button.STOP in buttons:
            self._stop_asked.clear()
            self.phase = Phase.STOPPED
            self._faults = (GuardEvent(now, "stop", "STOP was pressed", latched=True),)
        if Button.RELEASE in buttons and self._faults:
            self._faults = ()
            self.phase = Phase.PAUSED if self._episode else Phase.RESETTING
        if Button.END in buttons:
            self.ended.set()
        self.driver, self.action = None, None
        wanted = next((outcome for button, outcome in OUTCOMES.items() if button in buttons), None)
        if self.phase is Phase.RESETTING:
            self._reset(now)
        elif self.phase is Phase.WAITING:
            if human is not None and human.action is not None:
                self._begin(now)
        elif self.phase is not Phase.STOPPED:
            if wanted is not None and self._episode:
                self._end(wanted)
            elif human is not None and human.rewind_to is not None and self._episode:
                self.phase, self._detail = Phase.REWINDING, ""
                self.step = max(human.rewind_to, self.step - 2) if human.rewind_to < self.step else human.rewind_to
                self.step = min(self.step, self._time_limit - 1)
            elif Button.PAUSE in buttons or self.phase is Phase.REWINDING:
                self.phase, self._detail = Phase.PAUSED, "paused by a person"
            elif self.phase is Phase.PAUSED:
                if Button.RESUME in buttons or (human is not None and human.action is not None):
                    self.phase, self._detail = Phase.RUNNING, ""
            else:
                self._practise(human, now)

    def _record(self, human: HumanInput | None, now: float) -> None:
        self._waiting += () if human is None else human.sentences
        heard, self._waiting = (self._waiting, []) if self.hears else ([], self._waiting)
        for event in () if human is None else human.feedback:
            self.journal.on_event(event)
            self.link.on_event(event)
            self._settle(event)
        for sentence in heard:
            span = Segment(self._episode or "ep-0000", max(0, self.step - 1), 1)
            name = self.link.operator or "operator"
            self.journal.on_event(Feedback(FeedbackKind.CORRECTION, name, now, span, text=sentence.text))
            if self.listens:
                self._hear(sentence.text, name, now, span)

    def _hear(self, text: str, author: str, now: float, span: Segment) -> None:
        reading = MEANT.get(text.lower(), replace(NOT_MEANT, nearest=NEAREST))
        named = replace(reading, sentence=f"{span.episode_id}/{self._said}")
        self._said += 1
        if named.doing in ("nudge", "skill"):
            self._spoken, self._spoken_steps = named.sentence, SPOKEN_STEPS
        told = named.to_payload()
        self.journal.on_event(Feedback(FeedbackKind.MEANING, author, now, span, text=text, payload=told))

    def _settle(self, event: Feedback) -> None:
        """A choice of what a sentence means is followed by what is done about it."""
        if event.kind is FeedbackKind.MEANING and event.payload["doing"] == "ask":
            told = {**event.payload, "doing": "nudge"}
            self.journal.on_event(replace(event, payload=told))

    def _reset(self, now: float) -> None:
        self._resetting -= 1
        self.robot.position = self.robot.position + 0.2 * (np.array([0.45, 0.0, 0.25]) - self.robot.position)
        if self._resetting <= 0:
            self._detail = ""
            if self._demonstrating:
                self.phase = Phase.WAITING
                self._detail = f"for demonstration {self._demonstrations_done + 1} of {self._demonstrations}: drive"
            else:
                self._begin(now)

    def _begin(self, now: float) -> None:
        self._number += 1
        self._episode, self._part_steps, self.step = f"ep-{self._number:04d}", 0, 0
        self.phase, self._detail = Phase.RUNNING, ""
        kind = EpisodeKind.DEMONSTRATION if self._demonstrating else EpisodeKind.PRACTICE
        self._last = self.robot.observe(now)
        meta = EpisodeMeta(self._episode, "fake", kind, self._number, "person", "person@1")
        for told in (self.journal, self.link):
            told.on_episode_start(meta, self._last)

    def _practise(self, human: HumanInput | None, now: float) -> None:
        assert self._last is not None
        wish = 0.6 * np.array(
            [
                math.sin(self.robot.steps / 15),
                math.cos(self.robot.steps / 15),
                0.3 * math.cos(self.robot.steps / 31),
                0,
                0,
            ]
        )
        proposed = Action(wish.astype(np.float32))
        self.driver, self.action = Driver.POLICY, proposed
        if human is not None and human.action is not None:
            self.driver, self.action, self._spoken = Driver.HUMAN, human.action, ""
        elif self._spoken_steps:
            self.driver, self._spoken_steps = Driver.HUMAN, self._spoken_steps - 1
        else:
            self._spoken = ""
        self.robot.move(self.action.values)
        if self.robot.position[2] <= 0.021 and self.action.values[2] < 0:
            self.journal.on_event(GuardEvent(now, "workspace", "z 0.01 m, allowed 0.02 m and more"))
        seen = self.robot.observe(now)
        self.step += 1
        over = self.step >= self._time_limit
        step = Step(
            index=self._part_steps,
            observation=self._last,
            proposed=proposed,
            executed=self.action,
            driver=self.driver,
            reward=0.0,
            terminated=False,
            truncated=over,
            policy_version=120,
            instruction="lift the cube",
            next_observation=seen,
            spoken=self._spoken,
        )
        for told in (self.journal, self.link):
            told.on_step(step)
        self._part_steps += 1
        self._last = seen
        self._all_steps += 1
        self._human_steps += self.driver is Driver.HUMAN
        if over:
            self._end(Outcome.TIME_LIMIT)

    def _end(self, outcome: Outcome) -> None:
        for told in (self.journal, self.link):
            told.on_episode_end(EpisodeEnd(self._episode, outcome, self._part_steps))
        if outcome is not Outcome.DISCARDED:
            if self._demonstrating and outcome is Outcome.SUCCESS:
                self._demonstrations_done += 1
            self._outcomes.append(outcome is Outcome.SUCCESS)
        self._episode, self.phase, self._resetting = "", Phase.RESETTING, RESET_STEPS
        self._detail = f"the last episode: {outcome.value}; the robot goes back to its start"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=8801)
    parser.add_argument("--size", type=int, default=256, help="pixels of the square pictures")
    parser.add_argument("--demonstrations", type=int, default=0, help="episodes that wait for a person first")
    parser.add_argument("--token", default="", help="a fixed one instead of a random one")
    parser.add_argument("--journal", default="", help="folder; a temporary one when empty")
    chosen = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = chosen.journal or stack.enter_context(tempfile.TemporaryDirectory())
        session = FakeSession(folder, port=chosen.port, size=chosen.size, demonstrations=chosen.demonstrations)
        session.token = chosen.token or session.token
        stack.enter_context(session)
        sys.stdout.write(session.open_address + "\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            while session.console is not None and session.console.poll() is None and not session.ended.is_set():
                time.sleep(0.2)
            time.sleep(2.0)


if __name__ == "__main__":
    main()
