"""Reads all of a bag that an import needs, pictures excepted, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.errors import ConfigError, JournalError
from robot_rlhf.journal.bags.episodes import Marks
from robot_rlhf.journal.bags.frames import TF, TF_STATIC, FrameTree
from robot_rlhf.journal.bags.pictures import Cameras
from robot_rlhf.journal.bags.series import (
    JOINT_STATE,
    BagClock,
    Collector,
    Growing,
    Joints,
    Number,
    Poses,
    Series,
    VectorPairs,
)
from robot_rlhf.journal.bags.source import Bag, BagMessage
from robot_rlhf.journal.bags.topics import BagTopics, FoundTopics, find_topics


@dataclass(frozen=True)
class GripperSettings:
    """What the numbers of a gripper mean."""

    joint: str = ""
    """Its joint in a JointState that tells the measured opening."""
    command_joint: str = "gripper_target"
    """Its joint in a JointState that tells the commanded opening."""
    closed: float = 0.0
    """What is measured and commanded when it is closed."""
    open: float = 1.0
    """What is measured and commanded when it is open."""

    def __post_init__(self) -> None:
        if self.closed == self.open:
            raise ConfigError(f"gripper.closed and gripper.open: both {self.open:g}, allowed: two different numbers")


@dataclass(frozen=True)
class ReadingSettings:
    """How a bag's topics are understood."""

    topics: BagTopics = field(default_factory=BagTopics)
    gripper: GripperSettings = field(default_factory=GripperSettings)
    clock: BagClock = "received"
    """received: when the recorder got a message, which is what a policy would have had; stamp: the time in its header,
    for topics that all have one, by synchronised clocks."""
    base_frame: str = ""
    """Frame in which poses are; that of the measured pose when empty, base_link where it is read from tf."""
    tool_frame: str = "tool0"
    """Frame of the tool, for tf, and for wrenches and twists told in it."""
    pictures: bool = True
    """Read the cameras."""
    image_size: int = 0
    """Pixels: pictures are cut to a square in their middle and scaled to this height and width; 0: left as they are."""
    fit: Literal["exact", "scale"] = "exact"
    """Where the robot's pictures are known and the bag's have another size: an error, or cut to shape and scaled."""


@dataclass(frozen=True, eq=False)
class Recording:
    """What a bag said."""

    found: FoundTopics
    joints: Series
    """Positions, then velocities (NaN where none are told). 2 n values."""
    pose: Series
    target: Series | None
    twist: Series | None
    velocity: Series | None
    wrench: Series | None
    opening: Series | None
    """Measured, in the gripper's own numbers."""
    command: Series | None
    """Commanded, in the gripper's own numbers."""
    scene: Mapping[str, Series]
    success: Series | None
    marks: Marks | None
    cameras: Cameras
    last: int
    """Time of the last message."""
    joint_names: tuple[str, ...]


def read_recording(
    bag: Bag,
    settings: ReadingSettings,
    joints: tuple[str, ...],
    robot: RobotSpec | None,
) -> Recording:
    """Read it.

    Args:
        joints: names in the order in which they are wanted; empty: as the bag has them, the gripper's left out.
        robot: whose cameras and scene are looked for; None: whatever cameras there are.

    Raises:
        JournalError: topics, messages or times that cannot be used; names topic and time.
    """
    cameras = None if robot is None else robot.cameras
    found = find_topics(
        bag,
        settings.topics,
        cameras=None if cameras is None else [*cameras],
        things=() if robot is None else [*robot.scene],
        pictures=settings.pictures,
    )
    reading = _Reading(bag, settings, found, joints, cameras)
    topics = {*reading.takers, *found.cameras.values()}
    for message in bag.messages(topics):
        reading.take(message)
    return reading.recording()


class _Reading:
    """Who takes which topic's messages."""

    def __init__(
        self,
        bag: Bag,
        settings: ReadingSettings,
        found: FoundTopics,
        joints: tuple[str, ...],
        cameras: Mapping[str, tuple[int, int]] | None,
    ) -> None:
        self._bag = bag
        self._settings = settings
        self._found = found
        self._growing: dict[str, Growing] = {}
        self.takers: dict[str, list[Callable[[BagMessage], None]]] = {}
        grip = settings.gripper
        role = found.role
        self._joints = Joints(joints, leave_out={grip.joint, grip.command_joint})
        square = (settings.image_size, settings.image_size)
        resized = dict.fromkeys(found.cameras, square) if settings.image_size else {}
        sizes = {name: size for name, size in {**(cameras or {}), **resized}.items() if name in found.cameras}
        fit = "scale" if settings.image_size else settings.fit
        self._cameras = Cameras(bag, found.cameras, settings.clock, sizes, fit)
        collectors: dict[str, Collector] = {
            "joint_states": self._joints,
            "tool_pose": Poses(),
            "tool_target": Poses(),
            "tool_twist": VectorPairs("twist"),
            "tool_velocity": VectorPairs("twist"),
            "wrench": VectorPairs("wrench"),
            "gripper": Number(grip.joint),
            "gripper_command": Number(grip.command_joint if _is_joint_state(bag, role, "gripper_command") else ""),
            "success": Number(""),
        }
        for what, collector in collectors.items():
            if what in role:
                self._listen(what, role[what], collector)
        if "gripper" not in role and grip.joint:
            self._listen("gripper", role["joint_states"], Number(grip.joint))
        if "gripper_command" not in role and _is_joint_state(bag, role, "gripper"):
            self._listen("gripper_command", role["gripper"], Number(grip.command_joint))
        for thing, topic in found.scene.items():
            self._listen(f"scene {thing}", topic, Poses())
        self._marks: Marks | None = None
        if "episodes" in role:
            self._marks = Marks(bag, role["episodes"], stamped=settings.clock == "stamp")
            self.takers.setdefault(role["episodes"], []).append(self._marks.add)
        self._frames = FrameTree(bag, settings.clock)
        if found.tf:
            self.takers |= {TF: [self._frames.add], TF_STATIC: [self._frames.add]}
        self._last = bag.start

    def _listen(self, what: str, topic: str, collector: Collector) -> None:
        growing = Growing(self._bag, topic, collector, "received" if what == "success" else self._settings.clock)
        self._growing[what] = growing
        self.takers.setdefault(topic, []).append(growing.add)

    def take(self, message: BagMessage) -> None:
        for taker in self.takers.get(message.topic, ()):
            taker(message)
        if message.topic in self._found.cameras.values():
            self._cameras.add(message)
        self._last = max(self._last, message.stamp if self._settings.clock == "stamp" else message.received)

    def recording(self) -> Recording:
        pose = self._pose()
        base = self._settings.base_frame or pose.frame
        for what in ("tool_pose", "tool_target", *(f"scene {thing}" for thing in self._found.scene)):
            series = self._optional(what)
            if series is not None and _bare(series.frame) not in ("", _bare(base)):
                raise JournalError(
                    f"{self._bag.path}: topic {series.topic}: poses in frame {series.frame!r}; allowed: {base!r} "
                    "(--reading.base-frame)"
                )
        joints = self._growing["joint_states"].series()
        return Recording(
            found=self._found,
            joints=joints,
            pose=pose,
            target=self._optional("tool_target"),
            twist=self._optional("tool_twist"),
            velocity=self._optional("tool_velocity"),
            wrench=self._optional("wrench"),
            opening=self._optional("gripper"),
            command=self._optional("gripper_command", silent=True),
            scene={thing: self._growing[f"scene {thing}"].series() for thing in self._found.scene},
            success=self._optional("success"),
            marks=self._marks,
            cameras=self._cameras,
            last=self._last,
            joint_names=self._joints.joints,
        )

    def _pose(self) -> Series:
        if not self._found.tf:
            return self._growing["tool_pose"].series()
        return self._frames.pose(self._settings.base_frame or "base_link", self._settings.tool_frame)

    def _optional(self, what: str, *, silent: bool = False) -> Series | None:
        """The series of a role that the bag has; `silent`: one without a usable message counts as none."""
        growing = self._growing.get(what)
        return None if growing is None or (silent and growing.is_empty) else growing.series()


def _is_joint_state(bag: Bag, role: Mapping[str, str], what: str) -> bool:
    return bag.topics.get(role.get(what, "")) == JOINT_STATE


def _bare(frame: str) -> str:
    return frame.strip("/")
