"""Reads all of a bag that an import needs, pictures excepted, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

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

JOINT, COMMAND_JOINT = "--reading.gripper.joint", "--reading.gripper.command-joint"
ONE_TURN = 6.5
"""Radians, just above 2 pi: what turns further may well be told in degrees."""


@dataclass(frozen=True)
class GripperSettings:
    """What the numbers of a gripper mean."""

    joint: str = ""
    """Its joint in a JointState that tells the measured opening."""
    command_joint: str = "gripper_target"
    """Its joint in a JointState that tells the commanded opening."""
    closed: float | None = None
    """What is measured and commanded when it is closed; must be told where the bag has a gripper."""
    open: float | None = None
    """What is measured and commanded when it is open; must be told where the bag has a gripper."""

    def __post_init__(self) -> None:
        if self.closed is not None and self.closed == self.open:
            raise ConfigError(f"gripper.closed and gripper.open: both {self.open:g}, allowed: two different numbers")

    @property
    def span(self) -> tuple[float, float]:
        """Closed and open; 0 and 1 where neither was told, since then nothing tells the gripper."""
        return (0.0, 1.0) if self.closed is None or self.open is None else (self.closed, self.open)


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
    mono16_bits: int = 0
    """How many of the 16 bits of mono16 pictures are used, 10 to 16; 0: not told, and such pictures are not read."""
    unnamed_frame: Literal["", "base", "tool"] = ""
    """What vectors and poses are told in whose header names no frame; empty: they are an error."""
    twist_scale: tuple[float, float] = (1.0, 1.0)
    """What a 1 in a commanded twist is, m/s and rad/s: other than 1 where commands have no unit."""
    joint_unit: Literal["", "rad", "deg"] = ""
    """In which joints are told; empty: rad, and an error where one turns further than once."""
    motion_check: Literal["error", "say"] = "error"
    """What becomes of commands that contradict the measured motion."""

    def __post_init__(self) -> None:
        if self.mono16_bits not in (0, *range(9, 17)):
            raise ConfigError(f"mono16_bits: got {self.mono16_bits}, allowed 9 to 16, or 0")
        if not all(scale > 0 for scale in self.twist_scale):
            raise ConfigError(f"twist_scale: got {self.twist_scale}, allowed: two numbers above 0")


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

    def series(self) -> dict[str, Series]:
        """Everything told over time, pictures and marks excepted, by role."""
        told = {
            "joint_states": self.joints,
            "tool_pose": self.pose,
            "tool_target": self.target,
            "tool_twist": self.twist,
            "tool_velocity": self.velocity,
            "wrench": self.wrench,
            "gripper": self.opening,
            "gripper_command": self.command,
            "success": self.success,
            **{f"scene {thing}": series for thing, series in self.scene.items()},
        }
        return {role: series for role, series in told.items() if series is not None}


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
        mono16_bits=settings.mono16_bits,
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
        self._cameras = Cameras(bag, found.cameras, settings.clock, sizes, fit, settings.mono16_bits)
        collectors: dict[str, Collector] = {
            "joint_states": self._joints,
            "tool_pose": Poses(),
            "tool_target": Poses(),
            "tool_twist": VectorPairs("twist", settings.twist_scale),
            "tool_velocity": VectorPairs("twist"),
            "wrench": VectorPairs("wrench"),
            "gripper": Number(grip.joint, JOINT),
            "gripper_command": Number(
                grip.command_joint if _is_joint_state(bag, role, "gripper_command") else "", COMMAND_JOINT
            ),
            "success": Number("", ""),
        }
        for what, collector in collectors.items():
            if what in role:
                self._listen(what, role[what], collector)
        if "gripper" not in role and grip.joint:
            self._listen("gripper", role["joint_states"], Number(grip.joint, JOINT))
        if "gripper_command" not in role and _is_joint_state(bag, role, "gripper"):
            self._listen("gripper_command", role["gripper"], Number(grip.command_joint, COMMAND_JOINT))
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
        self._check_frame(pose, self._settings.base_frame or pose.frame)
        for what in ("tool_target", *(f"scene {thing}" for thing in self._found.scene)):
            series = self._optional(what)
            if series is not None:
                self._check_frame(series, self._settings.base_frame or pose.frame)
        opening, command = self._optional("gripper"), self._optional("gripper_command", silent=True)
        for series in (opening, command):
            if series is not None:
                self._check_opening(series)
        joints = self._in_radians(self._growing["joint_states"].series())
        return Recording(
            found=self._found,
            joints=joints,
            pose=pose,
            target=self._optional("tool_target"),
            twist=self._optional("tool_twist"),
            velocity=self._optional("tool_velocity"),
            wrench=self._optional("wrench"),
            opening=opening,
            command=command,
            scene={thing: self._growing[f"scene {thing}"].series() for thing in self._found.scene},
            success=self._optional("success"),
            marks=self._marks,
            cameras=self._cameras,
            last=self._last,
            joint_names=self._joints.joints,
        )

    def _check_frame(self, series: Series, base: str) -> None:
        """Raises JournalError for poses in another frame than the base's."""
        frame = _bare(series.frame)
        if not frame and self._settings.unnamed_frame != "base":
            raise self._error(
                series, "poses in a frame without a name; if they are in the base's: --reading.unnamed-frame base"
            )
        if frame not in ("", _bare(base)):
            raise self._error(series, f"poses in frame {series.frame!r}; allowed: {base!r} (--reading.base-frame)")

    def _check_opening(self, series: Series) -> None:
        """Raises JournalError where it is not told what the gripper's numbers mean, or they mean something else."""
        gripper = self._settings.gripper
        low, high = float(np.nanmin(series.values)), float(np.nanmax(series.values))
        if gripper.closed is None or gripper.open is None:
            raise self._error(
                series,
                f"tells the gripper from {low:g} to {high:g}; say what is closed and what is open: "
                f"--reading.gripper.closed {low:g} --reading.gripper.open {high:g}, or the other way round",
            )
        margin = 0.1 * abs(gripper.open - gripper.closed)
        least, most = sorted((gripper.closed, gripper.open))
        if low < least - margin or high > most + margin:
            raise self._error(
                series,
                f"tells the gripper from {low:g} to {high:g}; allowed: {least:g} to {most:g} "
                "(--reading.gripper.closed, --reading.gripper.open)",
            )

    def _in_radians(self, joints: Series) -> Series:
        unit, n = self._settings.joint_unit, joints.values.shape[1] // 2
        furthest = np.nanmax(np.abs(joints.values[:, :n]), axis=0)
        if not unit and float(furthest.max()) > ONE_TURN:
            place = int(np.argmax(furthest))
            raise self._error(
                joints,
                f"{joints.names[place]} reaches {furthest[place]:.4g}: say in which unit: --reading.joint-unit rad, or "
                "--reading.joint-unit deg",
            )
        return replace(joints, values=np.deg2rad(joints.values)) if unit == "deg" else joints

    def _error(self, series: Series, words: str) -> JournalError:
        return JournalError(f"{self._bag.path}: topic {series.topic}: {words}")

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
