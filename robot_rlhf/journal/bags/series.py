"""What a bag's topics said, as numbers over time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.errors import JournalError
from robot_rlhf.journal.bags.poses import Rows
from robot_rlhf.journal.bags.source import Bag, BagMessage

Times = NDArray[np.int64]
BagClock = Literal["received", "stamp"]

JOINT_STATE = "sensor_msgs/msg/JointState"
POSE = "geometry_msgs/msg/PoseStamped"
TWIST = "geometry_msgs/msg/TwistStamped"
BARE_TWIST = "geometry_msgs/msg/Twist"
WRENCH = "geometry_msgs/msg/WrenchStamped"
WHOLE_NUMBERS = tuple(f"std_msgs/msg/{kind}{size}" for kind in ("Int", "UInt") for size in (8, 16, 32, 64))
NUMBERS = ("std_msgs/msg/Bool", "std_msgs/msg/Float32", "std_msgs/msg/Float64", *WHOLE_NUMBERS)
ARRAYS = ("std_msgs/msg/Float32MultiArray", "std_msgs/msg/Float64MultiArray")


@dataclass(frozen=True, eq=False)
class Series:
    """One topic's values over time. N messages of k values."""

    topic: str
    time: Times
    """Nanoseconds of the chosen clock, never falling. Shape (N,)."""
    received: Times
    """When the recorder got them, for messages to people. Shape (N,)."""
    values: Rows
    """Shape (N, k)."""
    names: tuple[str, ...]
    """What each value is, for messages to people."""
    frame: str = ""
    """Frame in which the first message says it is."""
    disorder: str = ""
    """What was out of order in the headers, for people; empty when nothing was."""

    def __len__(self) -> int:
        return len(self.time)


class Collector(Protocol):
    """Takes one topic's messages in."""

    def values(self, message: Any) -> Sequence[float] | None:
        """The numbers of a message; None for one that is about something else. Raises ValueError in words."""
        ...

    def names(self) -> tuple[str, ...]: ...


class Joints:
    """Positions and velocities of named joints, whatever their order in the message."""

    def __init__(self, joints: Sequence[str], leave_out: Collection[str] = ()) -> None:
        """
        Args:
            joints: names in our order; empty: as the messages have them, which must all have the same ones.
            leave_out: names that are then not taken, for example the gripper's.
        """
        self.joints = tuple(joints)
        self._told = bool(joints)
        self._leave_out = leave_out

    def values(self, message: Any) -> Sequence[float] | None:
        names: list[str] = list(message.name)
        if not names:
            raise ValueError("a JointState without joint names; allowed: one name per position")
        if not self._told:
            self._learn([name for name in names if name not in self._leave_out])
        found = [name for name in self.joints if name in names]
        if not found:  # another publisher's, for example the gripper's
            return None
        if len(found) < len(self.joints):
            missing = [name for name in self.joints if name not in names]
            raise ValueError(f"joint {', '.join(missing)} missing; the message has {', '.join(names)}")
        if len(message.position) != len(names):
            raise ValueError(f"{len(message.position)} positions for {len(names)} joint names")
        places = [names.index(name) for name in self.joints]
        positions = [float(message.position[i]) for i in places]
        if len(message.velocity) == 0:
            return [*positions, *[np.nan] * len(places)]
        if len(message.velocity) != len(names):
            raise ValueError(f"{len(message.velocity)} velocities for {len(names)} joint names")
        velocities = [float(message.velocity[i]) for i in places]
        for name, value in zip(self.joints, velocities, strict=True):
            if np.isinf(value):  # NaN is how ROS says that none is measured
                raise ValueError(f"velocity of joint {name} is {value}; leave velocities out when none are measured")
        return [*positions, *velocities]

    def _learn(self, names: list[str]) -> None:
        """Take the joints that messages have; raises ValueError when they could be those of more than one arm."""
        if not self.joints:
            mirrored = next((n for n in names if _other_side(n) in names), None)
            if mirrored is not None:
                raise ValueError(f"joints of two arms, {mirrored} and {_other_side(mirrored)}; say which: --joints")
            self.joints = tuple(names)
        strangers = [name for name in names if name not in self.joints]
        if strangers:
            ours, theirs = ", ".join(self.joints), ", ".join(strangers)
            raise ValueError(f"joints {theirs} after messages with {ours}; say which are the arm's: --joints")

    def names(self) -> tuple[str, ...]:
        return (*(f"position of joint {j}" for j in self.joints), *(f"velocity of joint {j}" for j in self.joints))


def _other_side(name: str) -> str:
    """The name of the same joint of a left arm's right counterpart; empty where the name tells no side of a robot."""
    if "finger" in name or "gripper" in name:
        return ""
    for left, right in (("left", "right"), ("Left", "Right"), ("l_", "r_")):
        if name.startswith(left) or (left in name and left != "l_"):
            return name.replace(left, right, 1)
    return ""


class Poses:
    """Poses x, y, z, qw, qx, qy, qz."""

    def values(self, message: Any) -> Sequence[float]:
        p, q = message.pose.position, message.pose.orientation
        if not abs(q.w**2 + q.x**2 + q.y**2 + q.z**2 - 1.0) < 0.02:
            raise ValueError(f"orientation {[q.x, q.y, q.z, q.w]} (x, y, z, w) is no unit quaternion")
        return [p.x, p.y, p.z, q.w, q.x, q.y, q.z]

    def names(self) -> tuple[str, ...]:
        return ("x", "y", "z", "qw", "qx", "qy", "qz")


class VectorPairs:
    """Twists (linear, angular), stamped or not, or wrenches (force, torque)."""

    def __init__(self, kind: Literal["twist", "wrench"], scale: tuple[float, float] = (1.0, 1.0)) -> None:
        """Args: scale: what a number 1 of the first and of the second vector is, in SI units."""
        self._kind = kind
        self._scale = scale

    def values(self, message: Any) -> Sequence[float]:
        part = getattr(message, self._kind, message)
        a, b = (part.linear, part.angular) if self._kind == "twist" else (part.force, part.torque)
        first, second = self._scale
        return [first * a.x, first * a.y, first * a.z, second * b.x, second * b.y, second * b.z]

    def names(self) -> tuple[str, ...]:
        first, second = ("linear", "angular") if self._kind == "twist" else ("force", "torque")
        return tuple(f"{group} {axis}" for group in (first, second) for axis in "xyz")


class Number:
    """One number: a joint of a JointState, a plain number, or the only one of an array."""

    def __init__(self, joint: str, option: str) -> None:
        """
        Args:
            joint: its name in a JointState; empty: the only one there.
            option: by which a caller says it.
        """
        self.joint = joint
        self._option = option

    def values(self, message: Any) -> Sequence[float] | None:
        if hasattr(message, "position"):
            names: list[str] = list(message.name)
            if self.joint and self.joint not in names:
                return None
            if not self.joint and len(names) > 1:
                raise ValueError(f"joints {', '.join(names)}; say which: {self._option}")
            place = names.index(self.joint) if self.joint else 0
            if place >= len(message.position):
                raise ValueError(f"no position of joint {self.joint or '0'}: it has {len(message.position)} positions")
            return [float(message.position[place])]
        data = np.ravel(message.data)
        if data.size != 1:
            raise ValueError(f"an array of {data.size} numbers; allowed: one")
        return [float(data[0])]

    def names(self) -> tuple[str, ...]:
        return (f"position of joint {self.joint}" if self.joint else "value",)


class Order:
    """Watches whether stamps rise; a little disorder is what networks do, more is two publishers."""

    SLIGHT = 0.1
    """Seconds by which a stamp may lie before the newest one."""
    RARE = 0.05
    """Share of the messages for which it may."""

    def __init__(self) -> None:
        self._newest = 0
        self._count = self._back = 0
        self._worst = 0

    def add(self, stamp: int) -> None:
        """Args: stamp: nanoseconds; 0 for none. Raises ValueError when it lies far back, in words."""
        self._count += 1
        back = self._newest - stamp
        if stamp and back > 0:
            if back > self.SLIGHT * 1e9:
                words = f"time goes backwards by {back / 1e9:.3f} s in its headers"
                raise ValueError(f"{words}: two publishers, or a clock that was set back")
            self._back += 1
            self._worst = max(self._worst, back)
        self._newest = max(self._newest, stamp)

    def words(self) -> str:
        """What was out of order, for people; raises ValueError when it was too much for one publisher."""
        if not self._back:
            return ""
        said = f"{self._back} of {self._count} headers up to {self._worst / 1e9:.3f} s out of order"
        if self._back > max(3, self.RARE * self._count):
            raise ValueError(f"{said}: two publishers on one topic; record them on topics of their own")
        return said


class Growing:
    """A series while it is read."""

    def __init__(self, bag: Bag, topic: str, collector: Collector, clock: BagClock) -> None:
        self._bag = bag
        self._topic = topic
        self._collector = collector
        self._clock = clock
        self._order = Order()
        self._rows: list[Sequence[float]] = []
        self._time: list[int] = []
        self._received: list[int] = []
        self._frame: str | None = None
        self._passed_over = 0

    @property
    def is_empty(self) -> bool:
        """Whether no usable message came so far."""
        return not self._rows

    def add(self, message: BagMessage) -> None:
        """Raises JournalError when it is no such message, or its time goes far backwards."""
        try:
            row = self._collector.values(message.value)
            if row is None:
                self._passed_over += 1
                return
            if self._clock == "stamp" and not message.stamp:
                raise ValueError("no stamp in its header; allowed with --reading.clock received only")
            self._order.add(message.stamp)
            header: Any = getattr(message.value, "header", None)
            frame = "" if header is None else str(header.frame_id)
            if self._frame is not None and frame != self._frame:
                raise ValueError(f"frame {frame!r} after frame {self._frame!r}; allowed: one frame")
        except ValueError as error:
            where = f"{self._bag.path}: topic {self._topic} at {self._bag.moment(message.received)}"
            raise JournalError(f"{where}: {error}") from error
        self._frame = frame
        self._rows.append(row)
        self._time.append(message.stamp if self._clock == "stamp" else message.received)
        self._received.append(message.received)

    def series(self) -> Series:
        """In order of time. Raises JournalError when nothing came, or two publishers told it."""
        if not self._rows:
            passed = f"; none of its {self._passed_over} messages has {self._collector.names()[0]}"
            raise JournalError(f"{self._bag.path}: topic {self._topic}: no usable message{passed}")
        try:
            disorder = self._order.words()
        except ValueError as error:
            raise JournalError(f"{self._bag.path}: topic {self._topic}: {error}") from error
        names = self._collector.names()
        values = np.array(self._rows, np.float64).reshape(len(self._rows), len(names))
        times, received = np.array(self._time, np.int64), np.array(self._received, np.int64)
        order = np.argsort(times, kind="stable")
        return Series(
            self._topic, times[order], received[order], values[order], names, self._frame or "", disorder=disorder
        )
