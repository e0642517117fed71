"""A small arm in the person's hand as a Teleop: the tool of the robot follows the tool of the leader.

No leader arm was at hand when this was written: it is tested with readers in memory. The design follows GELLO (Wu et
al. 2023), a passive copy of the robot's kinematics with a servo as encoder in every joint.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robot_rlhf.datatypes import ActionLayout, HumanInput, Observation, Phase, Situation, frozen_array
from robot_rlhf.errors import InvalidValueError, RobotRlhfError
from robot_rlhf.safety import rotation
from robot_rlhf.safety.motion import add, scaled, subtract
from robot_rlhf.safety.rotation import Quaternion, Vector
from robot_rlhf.timing import Clock, MonotonicClock
from robot_rlhf_hardware.teleop import DeviceError, ToolMotion, orientation_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LeaderReading:
    """What the joints of a leader arm are at one moment."""

    joint_position: NDArray[np.float64]
    """rad. Shape (n,)."""
    gripper: float | None = None
    """Opening of the leader's gripper or trigger: 0 squeezed, 1 open; None on an arm without one."""

    def __post_init__(self) -> None:
        position = frozen_array("LeaderReading.joint_position", self.joint_position, (None,), np.float64)
        object.__setattr__(self, "joint_position", position)
        if self.gripper is not None and not 0.0 <= self.gripper <= 1.0:
            raise InvalidValueError("LeaderReading.gripper", self.gripper, "0 (squeezed) to 1 (open)")


class JointReader(Protocol):
    """The joints of a leader arm."""

    def read(self) -> LeaderReading:
        """What they are now. Raises OSError when the arm is gone."""
        ...


class PolledJoints:
    """A JointReader whose `read` never waits: a thread of its own keeps asking one that does.

    While the arm is gone it is asked again once a second.
    """

    RETRY_EVERY = 1.0
    """Seconds between two attempts while the arm is gone."""

    def __init__(self, joints: JointReader, *, period: float = 0.01, stale: float = 0.2, clock: Clock | None = None):
        """Nothing is read before `start`, which `with` calls.

        Args:
            joints: the reader that waits.
            period: seconds between two readings.
            stale: seconds after which the newest reading counts no more.
            clock: the machine's monotonic clock by default.
        """
        for name, value in (("period", period), ("stale", stale)):
            if not (math.isfinite(value) and value > 0):
                raise InvalidValueError(f"PolledJoints.{name}", value, "seconds > 0")
        self._joints = joints
        self._period, self._stale = period, stale
        self._clock: Clock = clock or MonotonicClock()
        self._newest: tuple[float, LeaderReading] | None = None
        self._trouble = "it has not been read yet"
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to read. Idempotent."""
        if self._thread is None:
            self._end.clear()
            self._thread = threading.Thread(target=self._poll, name="leader arm", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End reading, after the reading under way. Idempotent."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
        self._thread, self._newest = None, None
        self._trouble = "reading has been stopped"

    def __enter__(self) -> PolledJoints:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def read(self) -> LeaderReading:
        newest = self._newest
        if newest is None:
            raise DeviceError(f"leader arm: {self._trouble}")
        age = self._clock.now() - newest[0]
        if age > self._stale:
            raise DeviceError(f"leader arm: the newest reading is {age:.2f} s old, allowed are {self._stale} s")
        return newest[1]

    def _poll(self) -> None:
        while not self._end.is_set():
            asked = self._clock.now()  # before the answer: a reading is never younger than it says
            try:
                self._newest = (asked, self._joints.read())
            except (OSError, RobotRlhfError) as error:
                if self._newest is not None:
                    _log.warning("the leader arm is gone: %s", error)
                self._newest, self._trouble = None, str(error)
                self._end.wait(self.RETRY_EVERY)
                continue
            self._end.wait(self._period)


@dataclass(frozen=True)
class _Anchor:
    """Where leader and robot were when the clutch was engaged."""

    leader_position: Vector
    leader_orientation: Quaternion
    robot_position: Vector
    robot_orientation: Quaternion


DRIVABLE = frozenset({Phase.RUNNING, Phase.WAITING})
"""What the robot does when hands may begin to drive it."""


class LeaderArm:
    """A Teleop and a Monitor: while the clutch is engaged, the robot's tool moves as the leader's tool moves.

    Only motion since the clutch was engaged counts, so that engaging moves nothing, wherever the leader is; after a
    pause, a stop, or a lost leader it counts from there anew. A robot that could not follow, for example at the end of
    its workspace, waits there until the leader has come back or the clutch was let go. The gripper keeps its commanded
    state until the leader's gripper is opened or squeezed beyond the middle. Needs every Situation through `show`.
    """

    SQUEEZED, OPENED = 0.4, 0.6
    """Openings of the leader's gripper below which it is squeezed and above which it is open; between: as before."""

    def __init__(
        self,
        joints: JointReader,
        forward: Callable[[NDArray[np.float64]], ArrayLike],
        layout: ActionLayout,
        *,
        engaged: Callable[[], bool] | None = None,
        reach: float = 1.0,
        share: float = 0.5,
    ) -> None:
        """
        Args:
            joints: read once per control period; must not wait (see PolledJoints).
            forward: joint positions, rad, (n,) to the tool's pose x, y, z, qw, qx, qy, qz (7,), in a frame whose axes
                are parallel to those of the robot's base; the robot's own kinematics do, for a copy of it.
            layout: of the actions.
            engaged: the clutch, for example a pedal: True while the robot is to follow. None: squeezing the
                leader's gripper is the clutch, and the robot's gripper keeps its state.
            reach: metres of the robot's tool per metre of the leader's, for a leader smaller than `forward` says.
            share: part of the remaining way that is wished per control period, in (0, 1]: 1 is the quickest, and
                overshoots where the guard limits acceleration.

        Raises:
            ConfigError: the layout moves no tool.
            InvalidValueError: a number is out of range.
        """
        if not 0.0 < share <= 1.0:
            raise InvalidValueError("LeaderArm.share", share, "a part in (0, 1]")
        if not (math.isfinite(reach) and reach > 0):
            raise InvalidValueError("LeaderArm.reach", reach, "a number > 0")
        self._motion = ToolMotion(layout, "leader arm")
        self._joints, self._forward, self._engaged = joints, forward, engaged
        self._reach, self._share = reach, share
        self._seen: Observation | None = None
        self._anchor: _Anchor | None = None
        self._leader_open: bool | None = None
        self._gripper_open = True
        self._gone = False

    def read(self) -> HumanInput | None:
        try:
            reading = self._joints.read()
        except OSError as error:
            if not self._gone:
                _log.warning("the leader arm is gone: %s", error)
            self._gone, self._anchor, self._leader_open = True, None, None
            return None
        self._gone = False
        turned_to = self._side(reading.gripper)
        if not self._follows() or self._seen is None:
            self._anchor = None
            return HumanInput()
        position, orientation = self._pose(reading)
        if self._anchor is None:
            self._gripper_open = self._seen.gripper_target > 0.5
            self._anchor = _Anchor(position, orientation, *_target(self._seen))
        elif turned_to is not None and self._engaged is not None:
            self._gripper_open = turned_to
        return self._wish(self._seen, position, orientation, self._anchor)

    def show(self, situation: Situation) -> None:
        if situation.phase is not Phase.RUNNING:
            self._anchor = None  # the robot is held or moved by others: later the way begins anew
        self._seen = situation.observation if situation.phase in DRIVABLE else None

    def _follows(self) -> bool:
        return self._engaged() if self._engaged is not None else self._leader_open is False

    def _side(self, gripper: float | None) -> bool | None:
        """Keep which side of the middle the leader's gripper is on; returns the new one when it has changed."""
        before = self._leader_open
        if gripper is None:
            self._leader_open = None
        elif gripper < self.SQUEEZED:
            self._leader_open = False
        elif gripper > self.OPENED or before is None:
            self._leader_open = True
        return self._leader_open if before is not None and self._leader_open is not before else None

    def _pose(self, reading: LeaderReading) -> tuple[Vector, Quaternion]:
        pose = frozen_array("pose of the leader's tool", self._forward(reading.joint_position), (7,), np.float64)
        x, y, z, *quaternion = pose.tolist()
        w, a, b, c = quaternion
        return (x, y, z), rotation.normalise((w, a, b, c))

    def _wish(self, seen: Observation, position: Vector, orientation: Quaternion, anchor: _Anchor) -> HumanInput:
        """The motion from the robot's commanded pose to its pose at the anchor, moved as the leader's tool was."""
        robot_position, robot_orientation = _target(seen)
        goal = add(anchor.robot_position, scaled(subtract(position, anchor.leader_position), self._reach))
        turned = rotation.multiply(orientation, rotation.conjugate(anchor.leader_orientation))
        goal_orientation = rotation.multiply(turned, anchor.robot_orientation)
        entries = self._motion.metric(
            scaled(subtract(goal, robot_position), self._share),
            scaled(rotation.difference(goal_orientation, robot_orientation), self._share),
            robot_orientation,
        )
        return HumanInput(self._motion.action(entries, gripper_open=self._gripper_open))


def _target(seen: Observation) -> tuple[Vector, Quaternion]:
    x, y, z = seen.tool_target_in_base[:3].tolist()
    return (x, y, z), orientation_of(seen.tool_target_in_base)
