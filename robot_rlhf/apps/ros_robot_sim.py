"""`robot-rlhf ros robot_sim`: the simulated arm as a stand-in for a robot, behind real topics at real rates."""

from __future__ import annotations

import json
import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_rlhf.apps.ros_host import joined, log_to_stderr, read_options, until_ended
from robot_rlhf.apps.ros_person import JoyPerson
from robot_rlhf.apps.ros_transport import LatePublisher, Teller, Transport
from robot_rlhf.datatypes import Command, Observation
from robot_rlhf.errors import RobotRlhfError
from robot_rlhf.run.priority import stay_urgent
from robot_rlhf.safety import rotation
from robot_rlhf_hardware.ros.bus import Bus, Fields, Publisher
from robot_rlhf_hardware.ros.frames import quaternion
from robot_rlhf_hardware.ros.messages import (
    Numbers,
    camera_info_fields,
    image_fields,
    joint_state_fields,
    numbers_of,
    pose_of,
    pose_stamped_fields,
    stamp_of,
    transform_fields,
    twist_of,
    twist_stamped_fields,
    wrench_stamped_fields,
)
from robot_rlhf_hardware.ros.nodes import ROBOT_SIM
from robot_rlhf_hardware.ros.topics import GRIPPER_GOAL, PARALLEL_GRIPPER_GOAL, ROBOT_SIM_TOPICS, named
from robot_rlhf_sim.arm import SimArm
from robot_rlhf_sim.place import TASKS
from robot_rlhf_sim.robots.built_in import FINGER_TRAVEL
from robot_rlhf_sim.varied import SimTask

FINGER = "finger_joint"
"""Joint that tells the opening: 0 closed, FINGER_TRAVEL open."""
CATCH_UP = 5
"""Ticks made up for after a delay; what is longer is lost, as time is."""
FILTER = 0.05
"""Seconds over which the force sensor averages."""
SUCCESS_RATE = 20.0


@dataclass
class FaultyPublishers:
    """Which topics misbehave, as the topic ~/faults tells: {"silent": [...], "frozen": [...]}."""

    silent: frozenset[str] = frozenset()
    """They say nothing."""
    frozen: frozenset[str] = frozenset()
    """They say what they said last, stamp and all, again and again."""

    def take(self, message: Any) -> None:
        """Replace the faults; what cannot be read ends them all."""
        try:
            told = json.loads(message.data)
            self.silent, self.frozen = (frozenset(told.get(what, ())) for what in ("silent", "frozen"))
        except (ValueError, AttributeError, TypeError):
            self.silent = self.frozen = frozenset()


class FaultyPublisher:
    """A publisher that misbehaves on command."""

    def __init__(self, name: str, publisher: Publisher, faults: FaultyPublishers) -> None:
        self._name = name
        self._publisher = publisher
        self._faults = faults
        self._last: Fields | None = None

    def publish(self, fields: Fields) -> None:
        if self._name in self._faults.silent:
            return
        if self._name not in self._faults.frozen or self._last is None:
            self._last = fields
        self._publisher.publish(self._last)


class StandIn:
    """The arm in real time: states at `state_rate`, pictures, a reset service, and a halt when no command comes.

    It obeys the newest target pose or, while they come, twists; a command that is older than the timeout is ignored.
    Where its parameters say so it follows commands late and inexactly, and what it tells comes late.
    """

    def __init__(self, bus: Bus, values: dict[str, Any]) -> None:
        self._bus = bus
        self._values = values
        self.task: SimTask = TASKS[values["task"]](bus.clock)
        self.arm: SimArm = self.task.arm
        self._rng = np.random.default_rng(values["seed"])
        self._period = 1.0 / values["state_rate"]
        self._base, self._tool = values["base_frame"], values["tool_frame"]
        self._forces: deque[Numbers] = deque(maxlen=max(1, round(FILTER * values["state_rate"])))
        self._opening = 1.0
        self._twist = np.zeros(6)
        self._twist_until = self._obeys_until = -float("inf")
        self._holding = False
        self._resets = 0
        self._faulty = FaultyPublishers()
        seed = values["seed"]
        self._commands, self._senses = (
            Transport(values[delay], values["delay_jitter"], np.random.default_rng([seed, number]))
            for number, delay in enumerate(("command_delay", "sensing_delay"), start=1)
        )
        self._noise_rng = np.random.default_rng([seed, 3])
        self._out = {name: self._publisher(name) for name in _STATES}
        self._things = {n: self._publisher("perception/{thing}", f"perception/{n}") for n in self.arm.spec.scene}
        self._pictures = {
            n: (
                self._publisher("{camera}/image_raw", f"{n}/image_raw"),
                self._publisher("{camera}/camera_info", f"{n}/camera_info"),
            )
            for n in values["cameras"]
        }
        self._tf = self._publisher("/tf") if values["publish_tf"] else None
        self.person = None
        if values["person"] != "none":
            self.person = JoyPerson(bus, self._publisher("joy", late=False), values, self.task)
        self._seen = self.arm.observe()
        self._reset({})
        self._listen()

    def _publisher(self, name: str, real: str | None = None, *, late: bool = True) -> Teller:
        publisher = self._bus.publisher(named(ROBOT_SIM_TOPICS, name), real)
        faulty = FaultyPublisher(real or name, publisher, self._faulty)
        return LatePublisher(faulty, self._senses, self._bus.clock.now) if late else faulty

    def _listen(self) -> None:
        bus = self._bus
        bus.subscription(named(ROBOT_SIM_TOPICS, "target_pose"), self._take_pose)
        bus.subscription(named(ROBOT_SIM_TOPICS, "servo_node/delta_twist_cmds"), self._take_twist)
        bus.subscription(named(ROBOT_SIM_TOPICS, "gripper_controller/commands"), self._take_opening)
        parallel = self._values["gripper_action"] == "ParallelGripperCommand"
        kind, take = (PARALLEL_GRIPPER_GOAL, self._take_joint_goal) if parallel else (GRIPPER_GOAL, self._take_goal)
        bus.service(named(ROBOT_SIM_TOPICS, "gripper_cmd/_action/send_goal", kind), take)
        bus.service(named(ROBOT_SIM_TOPICS, "reset"), self._reset)
        bus.subscription(named(ROBOT_SIM_TOPICS, "~/faults"), self._faulty.take)
        self._due = bus.clock.now() + self._period
        bus.timer(self._period, self._tick)
        bus.timer(1.0 / SUCCESS_RATE, self._judge)
        if self._pictures:
            bus.timer(1.0 / self._values["camera_rate"], self._take_pictures)

    # -- commands ----------------------------------------------------------------------------------------------------

    def _take_pose(self, message: Any) -> None:
        if self._is_late(message):
            return
        try:
            pose = pose_of(message.pose)
        except RobotRlhfError as error:
            self._bus.log(logging.WARNING, f"target_pose: {error}")
            return
        until = self._bus.clock.now() + self._left(message)
        self._later(lambda late: self._aim_at(pose, until + late))

    def _later(self, deed: Callable[[float], None]) -> None:
        """A command was taken: it is followed as late as this robot is, and holds as long from then on."""
        self._commands.give(self._bus.clock.now(), deed)

    def _aim_at(self, pose: Numbers, until: float) -> None:
        noise = self._values["target_noise"]
        if noise:
            pose = np.concatenate([pose[:3] + noise * self._noise_rng.standard_normal(3), pose[3:]])
        try:
            self._aim(pose, until)
        except RobotRlhfError as error:
            self._bus.log(logging.WARNING, f"target_pose: {error}")

    def _take_twist(self, message: Any) -> None:
        if self._is_late(message):
            return
        try:
            twist = twist_of(message.twist)
        except RobotRlhfError as error:
            self._bus.log(logging.WARNING, f"delta_twist_cmds: {error}")
            return
        until = self._bus.clock.now() + self._left(message)
        self._later(lambda late: self._turn_to(twist, until + late))

    def _turn_to(self, twist: Numbers, until: float) -> None:
        self._twist, self._twist_until = twist, until

    def _is_late(self, message: Any) -> bool:
        return self._left(message) <= 0.0

    def _left(self, message: Any) -> float:
        """Seconds for which a command holds that has just come: its time-out counts from its stamp, not its arrival."""
        timeout: float = self._values["command_timeout"]
        return timeout - max(0.0, self._bus.now() - stamp_of(message))

    def _take_opening(self, message: Any) -> None:
        try:
            self._open(float(numbers_of(message, 1)[0]))
        except RobotRlhfError as error:
            self._bus.log(logging.WARNING, f"gripper: {error}")

    def _take_goal(self, request: Any) -> Fields:
        self._open(float(request.goal.command.position))
        return {"accepted": True}

    def _take_joint_goal(self, request: Any) -> Fields:
        """As ros2_controllers take it: one position, whatever the joint is called."""
        position = request.goal.command.position
        if len(position) != 1:
            self._bus.log(logging.WARNING, f"gripper: a goal of {len(position)} positions; allowed: 1")
            return {"accepted": False}
        self._open(float(position[0]))
        return {"accepted": True}

    def _open(self, position: float) -> None:
        self._later(lambda late: self._move_fingers(position))

    def _move_fingers(self, position: float) -> None:
        self._opening = min(max(position / FINGER_TRAVEL, 0.0), 1.0)

    def _aim(self, pose: Numbers, until: float) -> None:
        self._obeys_until = until
        self.arm.aim(Command(np.array([*pose, self._opening]), self._obeys_until))
        self._tell_holding(False)

    # -- time --------------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = self._bus.clock.now()
        ticks = min(CATCH_UP, 1 + max(0, int((now - self._due) / self._period)))
        self._due = max(self._due + ticks * self._period, now - CATCH_UP * self._period)
        self._commands.deliver(now)
        for _ in range(ticks):
            self._move_on(now)
        self._publish_state()
        self._senses.deliver(now)

    def _move_on(self, now: float) -> None:
        if now < self._twist_until:
            self._integrate()
        elif now > self._obeys_until:
            self.arm.stop()
            self._tell_holding(True)
        try:
            self.arm.advance(self._period)
        except RobotRlhfError as error:
            self._bus.log(logging.ERROR, f"{error}: resetting")
            self._reset({})
        self._seen = self.arm.observe()
        self._forces.append(self._seen.tool_wrench.astype(np.float64))

    def _integrate(self) -> None:
        target = self._seen.tool_target_in_base.astype(np.float64)
        turn = rotation.exp(tuple((self._twist[3:] * self._period).tolist()))
        turned = rotation.normalise(rotation.multiply(turn, quaternion(target)))
        self._aim(np.array([*(target[:3] + self._twist[:3] * self._period), *turned]), self._twist_until)

    def _tell_holding(self, holding: bool) -> None:
        if holding != self._holding:
            self._holding = holding
            self._out["~/holding"].publish({"data": holding})

    def _reset(self, _: Any) -> Fields:
        self.task.reset(self._rng)
        self._commands.clear()
        self._senses.clear()
        self._resets += 1
        self._opening = 1.0
        self._forces.clear()
        self._twist_until = self._obeys_until = -float("inf")
        self._seen = self.arm.observe()
        return {"success": True, "message": f"start {self._resets}"}

    # -- what is told ------------------------------------------------------------------------------------------------

    def _publish_state(self) -> None:
        seen, stamp, out = self._seen, self._bus.now(), self._out
        names = (*self.arm.spec.joint_names, FINGER)
        position = [*seen.joint_position.tolist(), FINGER_TRAVEL * seen.gripper]
        velocity = [*seen.joint_velocity.tolist(), 0.0]
        out["joint_states"].publish(joint_state_fields(stamp, names, position, velocity))
        pose = seen.tool_pose_in_base.astype(np.float64)
        out["current_pose"].publish(pose_stamped_fields(stamp, self._base, pose))
        out["current_twist"].publish(twist_stamped_fields(stamp, self._base, seen.tool_velocity))
        force = np.mean(self._forces, axis=0) if self._forces else np.zeros(6)
        out["wrench"].publish(wrench_stamped_fields(stamp, self._base, force))
        if self._tf is not None:
            self._tf.publish({"transforms": [transform_fields(stamp, self._base, self._tool, pose)]})
        for name, publisher in self._things.items():
            publisher.publish(pose_stamped_fields(stamp, self._base, seen.scene[name]))

    def _judge(self) -> None:
        self._out["success"].publish({"data": self.task.success(self._seen)})

    def _take_pictures(self) -> None:
        height, width = self._values["image_height"], self._values["image_width"]
        for camera, (pictures, infos) in self._pictures.items():
            stamp = self._bus.now()
            image = self.arm.render(camera, height, width)
            frame = f"{camera}_optical_frame"
            pictures.publish(image_fields(stamp, frame, image))
            view = float(np.radians(self.arm.model.camera(camera).fovy[0]))
            infos.publish(camera_info_fields(stamp, frame, height, width, view))

    @property
    def seen(self) -> Observation:
        """The present, with the truth."""
        return self._seen


_STATES = ("joint_states", "current_pose", "current_twist", "wrench", "success", "~/holding")


def run(argv: Sequence[str]) -> int:
    """Be a robot until SIGINT or SIGTERM; returns the exit code."""
    options = read_options(ROBOT_SIM.executable, argv)
    log_to_stderr(options.log_level)
    # Mesa then draws in this process's own urgent thread instead of in helpers of it.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    with joined(options) as bus:
        values = bus.parameters(ROBOT_SIM.parameters)
        stand_in = StandIn(bus, values)
        if stand_in.person is not None:
            stand_in.person.watch(lambda: stand_in.seen)
        bus.once(0.0, stay_urgent)  # a real robot's controller does not wait for other programs
        bus.log(logging.INFO, f"{values['task']}: ready")
        until_ended(bus, 0.5)
    return 0
