"""A walk through everything a robot must tell and take before it may be driven; it listens, and sends nothing."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from robot_rlhf.errors import RobotError
from robot_rlhf.safety import rotation
from robot_rlhf.safety.limits import ToolLimits
from robot_rlhf_hardware.ros.bus import Bus
from robot_rlhf_hardware.ros.diagnostics import Level, Status
from robot_rlhf_hardware.ros.frames import quaternion
from robot_rlhf_hardware.ros.graph import Endpoint, mismatch
from robot_rlhf_hardware.ros.senses import Reading, Senses
from robot_rlhf_hardware.ros.settings import RobotSettings
from robot_rlhf_hardware.ros.topics import COMMAND, POLICY_TOPICS, Topic, named

State = Literal["ok", "warn", "fail"]

POLICY = "policy"
"""Name of the policy node, in the doctor's own namespace."""
SLOW = 0.9
"""Share of the control rate below which a topic is too slow."""
ONE_COLOUR = 2.0
"""Standard deviation of a picture, of 255, below which nothing is on it."""
LATENCY_SHARE = 1.0
"""Control periods that inputs may be old when they are used; the step itself takes one more."""


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    name: str
    state: State
    found: str
    remedy: str = ""
    """What to do about it; empty when all is well."""


@dataclass(frozen=True)
class Duties:
    """Who beside the robot is expected on the graph."""

    joy: bool = True
    """The operator's gamepad."""
    spacenav: bool = False
    """The operator's 3D mouse."""
    success: bool = False
    """A judge of success."""
    operator_timeout: float = 0.35
    """Seconds of silence after which the operator counts as gone."""
    button_enable: int = -1
    """Button of the gamepad that must not be held down now; -1 for none."""


class Heard:
    """Counts one topic's messages, and keeps the newest."""

    def __init__(self, bus: Bus, topic: Topic, name: str | None = None) -> None:
        self.topic = bus.resolved(name or topic.name)
        self.newest: Any = None
        self.times: deque[float] = deque(maxlen=1000)
        self.listener: Callable[[Any], None] | None = None
        self._clock = bus.clock
        self.subscription = bus.subscription(topic, self._take, name)

    def _take(self, message: Any) -> None:
        self.newest = message
        self.times.append(self._clock.now())
        if self.listener is not None:
            self.listener(message)

    @property
    def rate(self) -> float:
        """Messages per second; 0 for fewer than two."""
        times = list(self.times)
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0

    @property
    def longest_silence(self) -> float:
        """Seconds between two messages, or since the last."""
        return float(np.diff([*self.times, self._clock.now()]).max(initial=0.0))


class Checkup:
    """Listens as the policy node would, from when it is made; `findings` says what it heard."""

    def __init__(self, bus: Bus, settings: RobotSettings, limits: ToolLimits, duties: Duties) -> None:
        self._bus = bus
        self._settings = settings
        self._limits = limits
        self._duties = duties
        self._senses = Senses(bus, settings)
        self._estop = self._of_policy("~/estop")
        self._situation = self._of_policy("~/situation")
        self._step = self._of_policy("~/step")
        self._step.listener = self._note_latency
        self._latencies: deque[float] = deque(maxlen=1000)
        wanted = (("joy", duties.joy), ("spacenav/twist", duties.spacenav))
        self._hands = [Heard(bus, named(POLICY_TOPICS, name)) for name, expected in wanted if expected]
        self._judge = Heard(bus, named(POLICY_TOPICS, "success")) if duties.success else None

    def _of_policy(self, name: str) -> Heard:
        """What the policy node tells below its own name."""
        topic = replace(named(POLICY_TOPICS, name), role="subscription")
        return Heard(self._bus, topic, f"{POLICY}/{name.removeprefix('~/')}")

    def _note_latency(self, message: Any) -> None:
        stamps: dict[str, float] = json.loads(message.data)["stamps"]
        if stamps:
            self._latencies.append(self._bus.now() - min(stamps.values()))

    def findings(self) -> Iterator[Finding]:
        """The checklist, in the order in which things are mended."""
        parts: Sequence[Callable[[], Iterator[Finding]]] = (
            *(self._meeting, self._inputs, self._reading, self._commands, self._operator, self._success),
            *(self._emergency_stop, self._policy),
        )
        for part in parts:
            yield from part()

    # -- topics --------------------------------------------------------------------------------------------------------

    def _meeting(self) -> Iterator[Finding]:
        """Types and QoS of whoever is on the other side."""
        troubles = self._bus.troubles()
        others = {end.node for end in self._bus.endpoints() if end.node}
        if not self._bus.endpoints():
            remedy = "same ROS_DOMAIN_ID, network and middleware on both sides? is the driver started?"
            yield Finding("graph", "fail", "no other node is to be seen", remedy)
            return
        for words in troubles:
            yield Finding("types and QoS", "fail", words, "mend the other side's type or QoS: docs/ros2.md, topics")
        if not troubles:
            seen = f"{len(others)} other nodes; " if others else ""
            yield Finding("types and QoS", "ok", f"{seen}whatever is there meets")

    def _inputs(self) -> Iterator[Finding]:
        for status in self._senses.statuses():
            yield self._input(status)

    def _input(self, status: Status) -> Finding:
        """Is it there, usable, fresh, fast enough, and from one source?"""
        values = status.values
        heard = f"{values['rate_hz']} Hz, {values['publishers']} publisher(s)"
        if "age_ms" in values:
            heard += f", {values['age_ms']} ms old"
        if "last_refused" in values:
            refused = f"{values['refused']} of {int(values['refused']) + int(values['messages'])} messages refused"
            return Finding(status.name, "fail", f"{refused}: {values['last_refused']}", _remedy(values["last_refused"]))
        if status.level is not Level.OK:
            return Finding(status.name, "fail", status.message, _remedy(status.message))
        rate, wanted = float(values["rate_hz"]), SLOW / self._settings.control_period
        if rate < wanted:
            remedy = f"faster, or a longer control_period: the loop runs at {1 / self._settings.control_period:.0f} Hz"
            return Finding(status.name, "warn", heard, remedy)
        if int(values["publishers"]) > 1 and not status.name.endswith(("joint_states", "/tf")):
            return Finding(status.name, "fail", heard, "one publisher: end the other, or remap")
        return Finding(status.name, "ok", heard)

    # -- what is sensed ------------------------------------------------------------------------------------------------

    def _reading(self) -> Iterator[Finding]:
        """Whether the numbers make sense for a robot that rests in its cell."""
        try:
            reading = self._senses.sense()
        except RobotError:
            return  # said of its topic already
        yield self._joints(reading)
        yield self._tool(reading)
        if self._settings.wrench:
            yield self._force(reading)
        for name, picture in reading.images.items():
            size = f"{picture.shape[0]} x {picture.shape[1]}"
            if float(picture.std()) < ONE_COLOUR:
                yield Finding(f"picture {name}", "warn", f"{size}, of one colour", "lens cap, exposure, light?")
            else:
                yield Finding(f"picture {name}", "ok", f"{size}, brightness {picture.mean():.0f} of 255")

    def _joints(self, reading: Reading) -> Finding:
        s = self._settings
        margin = self._limits.joint_margin
        for name, value, low, high in zip(s.joint_names, reading.joints, s.joint_lower, s.joint_upper, strict=True):
            if not low - margin <= value <= high + margin:
                words = f"{name} at {value:.3f} rad, limits {low:g} to {high:g}"
                return Finding("joints", "fail", words, "wrong limits or names? parameters joint_lower, joint_upper")
        return Finding("joints", "ok", f"{len(s.joint_names)} joints within their limits")

    def _tool(self, reading: Reading) -> Finding:
        x, y, z = (float(v) for v in reading.pose[:3])
        lower, upper = self._limits.workspace_lower, self._limits.workspace_upper
        place = f"at ({x:.3f}, {y:.3f}, {z:.3f}) m"
        if not ((reading.pose[:3] >= lower) & (reading.pose[:3] <= upper)).all():
            box = f"{lower.tolist()} to {upper.tolist()}"
            remedy = "drive it in by the robot's own means, or set limits.workspace_*: from outside it may only move in"
            return Finding("tool in workspace", "warn", f"{place}, box {box}", remedy)
        tilt = rotation.tilt(quaternion(reading.pose))
        if tilt > self._limits.tilt_max:
            words = f"tilted by {tilt:.2f} rad, allowed {self._limits.tilt_max:g}"
            return Finding("tool in workspace", "warn", words, "is +z of tool_frame along the fingers? limits.tilt_max")
        return Finding("tool in workspace", "ok", f"{place}, tilted by {tilt:.2f} rad")

    def _force(self, reading: Reading) -> Finding:
        size = float(np.linalg.norm(reading.wrench[:3]))
        words = f"{size:.1f} N, soft limit {self._limits.force_soft:g} N"
        if size > 0.5 * self._limits.force_soft:
            remedy = "zero the sensor with the tool hanging free; is its weight compensated?"
            return Finding("force at rest", "warn", words, remedy)
        return Finding("force at rest", "ok", words)

    # -- commands ------------------------------------------------------------------------------------------------------

    def _commands(self) -> Iterator[Finding]:
        s = self._settings
        yield from self._commanded(_used_with(f"command: {s.command}"))
        if s.gripper_joint and s.gripper_command == "position":
            yield from self._commanded(_used_with("gripper_command: position"))

    def _commanded(self, topic: Topic) -> Iterator[Finding]:
        """Who listens to a topic of commands, and whether somebody else speaks there."""
        name = self._bus.resolved(topic.name)
        ends = [end for end in self._bus.endpoints() if end.topic == name]
        ours = Endpoint(name, topic.type, True, COMMAND)
        policy = self._bus.resolved(POLICY)
        rivals = [end for end in ends if end.writer and end.node != policy]
        # Whose node is not known may be the policy's own.
        unknown = [end for end in rivals if not end.node]
        listeners = [end for end in ends if not end.writer]
        wrong = next(filter(None, (mismatch(ours, end) for end in listeners)), "")
        if len(rivals) - min(len(unknown), 1) > 0:
            who = ", ".join(end.node or "a node without a name" for end in rivals)
            yield Finding(name, "fail", f"commands come from {who}", "end it: one source of commands, the policy node")
        elif not listeners:
            yield Finding(name, "fail", "nobody listens", "start and activate the controller, or remap")
        elif wrong:
            yield Finding(name, "fail", wrong, "mend the controller's type or QoS")
        else:
            yield Finding(name, "ok", f"{len(listeners)} listener(s), nobody else commands")

    # -- people --------------------------------------------------------------------------------------------------------

    def _operator(self) -> Iterator[Finding]:
        timeout, button = self._duties.operator_timeout, self._duties.button_enable
        for heard in self._hands:
            words = f"{heard.rate:.0f} Hz, longest silence {heard.longest_silence:.2f} s"
            if not heard.times:
                count = heard.subscription.publishers()
                remedy = "start joy_node (or spacenav); a gamepad that is silent at rest needs autorepeat_rate"
                yield Finding(heard.topic, "fail", f"no message, {count} publisher(s)", remedy)
            elif heard.longest_silence > timeout:
                remedy = f"allowed {timeout:g} s (operator_timeout): set joy_node's autorepeat_rate to 50"
                yield Finding(heard.topic, "fail", words, remedy)
            elif 0 <= button < len(getattr(heard.newest, "buttons", ())) and heard.newest.buttons[button]:
                yield Finding(heard.topic, "warn", f"{words}; enable button {button} is down", "let go of it")
            else:
                yield Finding(heard.topic, "ok", words)

    def _success(self) -> Iterator[Finding]:
        if self._judge is None:
            return
        if not self._judge.times:
            yield Finding(self._judge.topic, "warn", "no message", "who tells success? parameter success")
        else:
            yield Finding(self._judge.topic, "ok", f"{self._judge.rate:.0f} Hz, now {self._judge.newest.data}")

    # -- the policy node -----------------------------------------------------------------------------------------------

    def _emergency_stop(self) -> Iterator[Finding]:
        if self._estop.newest is None:
            remedy = "robot.launch.py starts it, inactive: then press the e-stop and look again"
            yield Finding("e-stop", "warn", f"{self._estop.topic}: the policy node is not there", remedy)
        elif self._estop.newest.data:
            yield Finding("e-stop", "fail", "latched", f"ros2 service call {POLICY}/release std_srvs/srv/Trigger")
        else:
            yield Finding("e-stop", "ok", "not latched")

    def _policy(self) -> Iterator[Finding]:
        if self._situation.newest is not None:
            facts: dict[str, Any] = json.loads(self._situation.newest.data)
            faults = ", ".join(f"{rule}: {detail}" for rule, detail in facts["faults"].items())
            words = f"{facts['phase']}, policy version {facts['policy_version']}"
            yield Finding("policy node", "fail" if faults else "ok", f"{words}; {faults}" if faults else words)
        if not self._latencies:
            yield Finding("latency", "warn", "no step was told", "drive (or a dry run with a short leash), look again")
            return
        p50, p99 = (1e3 * float(np.quantile(self._latencies, q)) for q in (0.5, 0.99))
        period = 1e3 * self._settings.control_period
        words = (
            f"{p50:.0f} ms (p50), {p99:.0f} ms (p99) from the oldest input to the end of its step; period {period:.0f}"
        )
        if p99 > (1.0 + LATENCY_SHARE) * period:
            yield Finding("latency", "warn", words, "slow camera, network or machine: lower rates, or a longer period")
        else:
            yield Finding("latency", "ok", words)


def _used_with(setting: str) -> Topic:
    return next(topic for topic in POLICY_TOPICS if topic.when == setting and topic.role == "publisher")


_REMEDIES = (
    ("no message, 0", "start its driver, or remap the topic"),
    ("no message", "its publisher is there and says nothing: look at the driver"),
    ("stale", "slow, or stamped by another clock: synchronise clocks (chrony), check the rate"),
    ("in the future", "synchronise the machines' clocks (chrony)"),
    ("does not stamp", "have the driver stamp its messages"),
    ("before the last", "two publishers of one topic, or a clock that is set back"),
    ("frame_id", "parameters base_frame and tool_frame"),
    ("picture", "parameters image_height, image_width, or camera_fit: scale"),
    ("encoding", "have the camera's driver publish rgb8 or bgr8"),
    ("joint", "parameters joint_names and gripper_joint: names as in joint_states"),
    ("QoS", "docs/ros2.md, topics: a best-effort publisher needs a best-effort subscription"),
)


def _remedy(words: str) -> str:
    """What to do about a stream's trouble; empty for one that speaks for itself."""
    return next((remedy for mark, remedy in _REMEDIES if mark in words), "")
