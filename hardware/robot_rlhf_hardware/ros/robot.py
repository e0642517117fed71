"""A robot behind ROS topics."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Command, Observation, RobotSpec
from robot_rlhf.errors import RobotError, RobotRlhfError, ShapeError, StaleError
from robot_rlhf.safety import rotation
from robot_rlhf.safety.limits import ToolLimits
from robot_rlhf_hardware.ros.bus import Bus
from robot_rlhf_hardware.ros.diagnostics import Level, Status
from robot_rlhf_hardware.ros.frames import quaternion
from robot_rlhf_hardware.ros.messages import Numbers
from robot_rlhf_hardware.ros.outputs import GripperOutput, JointSolver, output_for
from robot_rlhf_hardware.ros.senses import Senses
from robot_rlhf_hardware.ros.settings import RobotSettings

WATCH_EVERY = 0.01
"""Seconds between two looks of the watchdog: it stops the robot at most so long after it should."""
RIVALS_EVERY = 0.5
REPEAT_EVERY = 0.03
"""Seconds between two words of a velocity that is in force: MoveIt Servo brakes when the last is as old as its
incoming_command_timeout, 0.1 s, which is a whole period of a loop at 10 Hz."""


class RosRobot:
    """Follows tool poses by topics; tells what the newest messages say.

    A watchdog in the bus's thread holds the robot still when a command runs out or when an input that the robot cannot
    do without goes stale, whatever the control loop is doing. `observe` and `send` are for the control loop's thread,
    `stop` for any.
    """

    def __init__(
        self, bus: Bus, settings: RobotSettings, limits: ToolLimits, solver: JointSolver | None = None
    ) -> None:
        """Subscribe and watch; nothing is sent before `send` or `stop`.

        Args:
            solver: inverse kinematics, for joint commands.

        Raises:
            ConfigError: joint commands without a solver.
        """
        self._bus = bus
        self._settings = settings
        self._spec = settings.spec(limits)
        self._senses = Senses(bus, settings)
        self._output = output_for(bus, settings, limits, solver)
        self._gripper = GripperOutput(bus, settings)
        self._leash, self._leash_angle = limits.leash, limits.leash_angle
        self._lock = threading.RLock()
        self._active: Command | None = None
        self._target: Numbers | None = None
        """Pose that is commanded now; None while nothing is, and the robot holds what is measured."""
        self._opening: float | None = None
        self._said_at = 0.0
        """When the command that is in force was told last, seconds of the monotonic clock."""
        self._held: Numbers | None = None
        """Pose of the last hold; None while a command is in force."""
        self._rivals = ""
        self._forbidden = ""
        """Why nothing may be sent, whatever is asked for; empty when it may."""
        self._why = "no command yet"
        """Why the robot holds still."""
        self.stamps: dict[str, float] = {}
        """Header stamps, seconds of ROS time, of what the last observation was made of; for latency."""
        bus.timer(WATCH_EVERY, self._watch)
        bus.timer(RIVALS_EVERY, self._look_for_rivals)

    @property
    def spec(self) -> RobotSpec:
        return self._spec

    @property
    def holding(self) -> str:
        """Why the robot is held still; empty while a command is in force."""
        return "" if self._active is not None else self._why

    def forbid(self, why: str) -> None:
        """Hold still, and send nothing until `permit`: for a node that is not active. From any thread."""
        with self._lock:
            self._forbidden = why
            if self._active is not None:
                self._halt(why)

    def permit(self) -> None:
        """The inverse of forbid. Others may have moved the robot: the next hold is where it is then."""
        with self._lock:
            self._forbidden = ""
            self._held = None

    def wait_until_ready(self, timeout: float) -> None:
        """Wait until everything can be sensed.

        Raises:
            RobotError: something is still missing when the time has run out.
        """
        deadline = self._bus.clock.now() + timeout
        while (trouble := self._senses.trouble) and self._bus.clock.now() < deadline:
            self._bus.clock.sleep_until(self._bus.clock.now() + 0.02)
        if trouble:
            raise RobotError(trouble)

    def observe(self) -> Observation:
        if self._rivals:
            raise RobotError(self._rivals)
        sensed = self._senses.sense()
        with self._lock:
            target = sensed.pose if self._target is None else self._target
            opening = self._opening
        if opening is None:
            opening = 1.0 if sensed.gripper > 0.5 else 0.0
        self.stamps = sensed.stamps
        return Observation(
            stamp=sensed.stamp,
            joint_position=_float32(sensed.joints),
            joint_velocity=_float32(sensed.joint_velocity),
            tool_pose_in_base=_float32(_canonical(sensed.pose)),
            tool_target_in_base=_float32(_canonical(target)),
            tool_velocity=_float32(sensed.velocity),
            tool_wrench=_float32(sensed.wrench),
            gripper=sensed.gripper,
            gripper_target=opening,
            images=sensed.images,
            scene={name: _float32(pose) for name, pose in sensed.scene.items()},
        )

    def send(self, command: Command) -> Command:
        if command.target.shape != (8,):
            raise ShapeError("Command.target", command.target.shape, (8,))
        now = self._bus.clock.now()
        if now > command.valid_until:
            raise StaleError(f"command expired {now - command.valid_until:.3f} s ago")
        trouble = self._forbidden or self._rivals or self._senses.trouble
        if trouble:
            if self._active is not None:
                self._halt(trouble)
            raise RobotError(trouble)
        pose, joints = self._senses.pose_and_joints()
        with self._lock:
            if self._forbidden:  # meanwhile
                raise RobotError(self._forbidden)
            target = np.array(command.target[:7])
            self._output.send(target, pose, joints)
            self._gripper.send(float(command.target[7]))
            self._active, self._held, self._said_at = command, None, now
            self._target, self._opening = target, float(command.target[7])
        return command

    def stop(self) -> None:
        if not self._forbidden:  # then it holds still already, and others may command the robot
            self._halt("stopped")

    def begin_anew(self) -> None:
        """A reset changed the world: what was sensed and told before is forgotten."""
        with self._lock:
            self._active = self._target = self._held = self._opening = None
            self._why = "reset"
            self._senses.forget()
            self._gripper.forget()

    # -- holding still -----------------------------------------------------------------------------------------------

    def _halt(self, why: str) -> None:
        """Send zero, or the pose to hold; a second time the same one. Never raises."""
        try:
            with self._lock:
                again = self._held is not None
                if not again:
                    self._held = self._hold_pose()
                self._active, self._why = None, why
                self._target = self._held
                if self._held is not None:
                    where = None if again and self._was_moved(self._held) else self._held
                    self._output.hold(where, self._senses.fresh_joints(), again=again)
        except RobotRlhfError as error:
            self._bus.log(logging.ERROR, f"cannot be stopped over the bus: {error}")

    def _was_moved(self, held: Numbers) -> bool:
        """Whether the tool is no longer where it was held: a hand, another controller, or a load. It is neither sent
        back there, nor held at one place after the other, which a heavy load would make a way down.
        """
        fresh = self._senses.pose.peek()
        if fresh is None:
            return False
        shift = float(np.linalg.norm(fresh.value[:3] - held[:3]))
        turn = float(np.linalg.norm(rotation.difference(quaternion(fresh.value), quaternion(held))))
        return shift > self._leash or turn > self._leash_angle

    def _hold_pose(self) -> Numbers | None:
        """Where the tool is; when that is not known any more, where it was told to be: the end of a short way."""
        fresh = self._senses.pose.peek()
        if fresh is not None:
            return fresh.value
        last = self._senses.pose.last()
        return self._target if self._target is not None else last.value if last is not None else None

    def _watch(self) -> None:
        with self._lock:
            active = self._active
        if active is None:
            return
        if self._bus.clock.now() > active.valid_until:
            self._halt("no command in time")
        elif trouble := self._rivals or self._senses.trouble:
            self._halt(trouble)
        else:
            self._repeat()
            return
        self._bus.log(logging.WARNING, f"held still: {self._why}")

    def _repeat(self) -> None:
        """While a command is in force, and never longer: a loop that hangs is followed by a hold as ever."""
        fresh, now = self._senses.pose.peek(), self._bus.clock.now()
        with self._lock:
            due = now - self._said_at >= REPEAT_EVERY - 0.5 * WATCH_EVERY
            if fresh is None or self._active is None or self._target is None or self._forbidden or not due:
                return
            self._said_at = now
            self._output.repeat(self._target, fresh.value)

    def _look_for_rivals(self) -> None:
        count = self._output.publisher.rivals()
        before = self._rivals
        self._rivals = (
            f"{self._output.publisher.topic}: {count} other publisher{'s' * (count > 1)} of commands"
            if count
            else f"another node {self._bus.node} is on the graph"
            if self._bus.twins()
            else ""
        )
        if self._rivals and self._rivals != before:
            self._bus.log(logging.ERROR, f"{self._rivals}: the robot must obey one")

    def statuses(self) -> Iterable[Status]:
        """For the diagnostics."""
        yield from self._senses.statuses()
        if self._settings.gripper_joint and self._settings.gripper_command != "position":
            yield self._gripper.status()
        if self._rivals:
            yield Status("commands", Level.ERROR, self._rivals)
        elif self._output.publisher.subscribers() == 0:
            yield Status("commands", Level.WARN, "nobody listens to the commands")
        elif self.holding:
            yield Status("commands", Level.OK, f"holding still: {self.holding}")
        else:
            yield Status("commands", Level.OK, "moving")


def _float32(values: Any) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)


def _canonical(pose: Numbers) -> Numbers:
    """The same pose with qx >= 0, which is continuous while the tool points downward."""
    return pose if pose[4] >= 0.0 else np.concatenate([pose[:3], -pose[3:]])
