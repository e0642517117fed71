"""All inputs of a robot as one reading: joints, tool, force, gripper, pictures, things."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.safety import rotation
from robot_rlhf.safety.rotation import Quaternion
from robot_rlhf.timing import Clock
from robot_rlhf_hardware.ros.bus import Bus
from robot_rlhf_hardware.ros.diagnostics import Status
from robot_rlhf_hardware.ros.frames import Frames, quaternion, vector
from robot_rlhf_hardware.ros.joints import BESIDE_AGE, JointTable
from robot_rlhf_hardware.ros.messages import (
    MessageError,
    Numbers,
    compressed_image_of,
    image_of,
    pose_of,
    twist_of,
    wrench_of,
)
from robot_rlhf_hardware.ros.settings import RobotSettings
from robot_rlhf_hardware.ros.stream import Sample, Stream
from robot_rlhf_hardware.ros.topics import POLICY_TOPICS, named

Picture = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Reading:
    """What is sensed at one instant, as far as topics have one; poses (7,) are x, y, z, qw, qx, qy, qz in the base."""

    stamp: float
    """The oldest of joints, tool and force, seconds of the monotonic clock."""
    joints: Numbers
    joint_velocity: Numbers
    pose: Numbers
    velocity: Numbers
    wrench: Numbers
    gripper: float
    images: Mapping[str, Picture]
    scene: Mapping[str, Numbers]
    stamps: dict[str, float]
    """Header stamp by topic, seconds of ROS time."""


class Senses:
    """Subscribes to what the settings name, and puts it together."""

    def __init__(self, bus: Bus, settings: RobotSettings) -> None:
        self._bus = bus
        self._settings = settings
        self._frames = Frames()
        self._tf_stamp = 0.0
        self._derived = np.zeros(6)
        """Velocity of the tool from its last two poses."""
        self._before: Sample[Numbers] | None = None
        state = settings.state_age_max
        self._own_gripper = bool(settings.gripper_joint) and settings.gripper_states == "own"
        beside = (settings.gripper_joint,) if settings.gripper_joint and not self._own_gripper else ()
        self._tables = [JointTable(settings.joint_names, state, beside)]
        self.joints = self._joints("joint_states", self._tables[0], state)
        self.pose: Stream[Numbers] = self._tool_pose(state)
        self.pose.listeners.append(self._derive)
        self._state: list[Stream[Any]] = [self.joints, self.pose]
        self.twist = self._stream("current_twist", self._twist, state) if settings.tool_twist else None
        self.wrench = self._stream("wrench", self._wrench, state) if settings.wrench else None
        self._state += [stream for stream in (self.twist, self.wrench) if stream is not None]
        self._gripper: Stream[tuple[Numbers, Numbers]] | None = None
        if self._own_gripper:
            self._tables.append(JointTable((settings.gripper_joint,), BESIDE_AGE))
            self._gripper = self._joints("gripper/joint_states", self._tables[1], BESIDE_AGE)
        self._cameras = {name: self._camera(name) for name in settings.cameras}
        self._things = {
            name: self._stream("perception/{thing}", self._pose, settings.scene_age_max, f"perception/{name}")
            for name in settings.scene
        }

    def _stream(self, topic: str, convert: Any, age_max: float, name: str | None = None) -> Stream[Any]:
        entry = named(POLICY_TOPICS, topic)
        error = self._settings.clock_error_max
        return Stream(self._bus, entry, convert, age_max=age_max, clock_error_max=error, name=name)

    def _joints(self, topic: str, table: JointTable, age_max: float) -> Stream[tuple[Numbers, Numbers]]:
        entry, error = named(POLICY_TOPICS, topic), self._settings.clock_error_max
        return Stream(self._bus, entry, table.take, age_max=age_max, clock_error_max=error, stamp=table.stamp)

    # -- what messages say -------------------------------------------------------------------------------------------

    def _pose(self, message: Any) -> Numbers:
        self._check_frame(message.header.frame_id)
        return pose_of(message.pose)

    def _twist(self, message: Any) -> Numbers:
        self._check_frame(message.header.frame_id)
        return twist_of(message.twist)

    def _check_frame(self, frame: str) -> None:
        base = self._settings.base_frame
        if frame.lstrip("/") != base:
            raise MessageError("header.frame_id", repr(frame), f"{base!r}, the parameter base_frame")

    def _wrench(self, message: Any) -> Numbers:
        settings = self._settings
        wrench = settings.wrench_sign * wrench_of(message.wrench)
        frame = message.header.frame_id.lstrip("/")
        if frame == settings.base_frame:
            return wrench
        q = self._orientation(frame)
        return np.array([*rotation.rotate(q, vector(wrench)), *rotation.rotate(q, vector(wrench[3:]))])

    def _orientation(self, frame: str) -> Quaternion:
        """Of the frame of a force: the tool's, or with transforms any that hangs on the base."""
        settings = self._settings
        if frame == settings.tool_frame:
            pose = self.pose.last()
            if pose is None:
                raise MessageError("wrench", f"in frame {frame!r}", "the tool's pose known before")
            return quaternion(pose.value)
        found = self._frames.pose(settings.base_frame, frame)
        if found is None:
            allowed = f"{settings.base_frame!r} or {settings.tool_frame!r}, parameters base_frame and tool_frame"
            if settings.tool_pose == "tf":
                allowed += f", or a frame that transforms connect with {settings.base_frame!r}"
            raise MessageError("header.frame_id", repr(frame), allowed)
        return quaternion(found[0])

    def _tool_pose(self, age_max: float) -> Stream[Numbers]:
        settings = self._settings
        if settings.tool_pose == "topic":
            return self._stream("current_pose", self._pose, age_max)
        fixed = named(POLICY_TOPICS, "/tf_static")
        self._bus.subscription(fixed, self._take_fixed)
        return Stream(
            self._bus,
            named(POLICY_TOPICS, "/tf"),
            self._from_frames,
            age_max=age_max,
            clock_error_max=settings.clock_error_max,
            stamp=lambda _: self._tf_stamp,
        )

    def _take_fixed(self, message: Any) -> None:
        self._frames.take(message, fixed=True)

    def _from_frames(self, message: Any) -> Numbers | None:
        told = self._frames.take(message, fixed=False)
        base, tool = self._settings.base_frame, self._settings.tool_frame
        if told.isdisjoint(self._frames.chain(base, tool)):
            return None  # of others
        found = self._frames.pose(base, tool)
        if found is None:
            return None
        pose, self._tf_stamp = found
        return pose

    def _derive(self, sample: Sample[Numbers]) -> None:
        before, self._before = self._before, sample
        seconds = sample.header - before.header if before is not None else 0.0
        if before is None or seconds > 0.2:
            self._derived = np.zeros(6)
        elif seconds > 1e-4:
            new, old = sample.value, before.value
            turn = rotation.difference(quaternion(new), quaternion(old))
            self._derived = np.array([*(new[:3] - old[:3]), *turn]) / seconds

    def _camera(self, camera: str) -> Stream[Picture]:
        compressed = self._settings.camera_transport == "compressed"
        decode = compressed_image_of if compressed else image_of
        size = self._settings.image_height, self._settings.image_width
        scaled = self._settings.camera_fit == "scale"
        frozen = FrozenPicture(self._bus.clock, self._settings.image_same_max, camera)

        def picture(message: Any) -> Picture:
            image = decode(message)
            frozen.check(image)
            if image.shape[:2] == size:
                return image
            if scaled:
                return fitted(image, *size)
            raise MessageError(
                f"{camera} picture",
                f"{image.shape[1]}x{image.shape[0]}",
                f"{size[1]}x{size[0]} (or camera_fit: scale)",
            )

        topic = "{camera}/image_raw/compressed" if compressed else "{camera}/image_raw"
        name = topic.replace("{camera}", camera)
        return self._stream(topic, picture, self._settings.image_age_max, name)

    # -- all together ------------------------------------------------------------------------------------------------

    @property
    def _all(self) -> tuple[Stream[Any], ...]:
        gripper = () if self._gripper is None else (self._gripper,)
        return (*self._state, *gripper, *self._cameras.values(), *self._things.values())

    @property
    def trouble(self) -> str:
        """What cannot be sensed right now; empty when all can."""
        return next(filter(None, (stream.trouble for stream in self._all)), "")

    def forget(self) -> None:
        """Give out nothing that was sensed before now."""
        self._before = None
        for table in self._tables:
            table.forget()
        for stream in self._all:
            stream.forget()

    def pose_and_joints(self) -> tuple[Numbers, Numbers]:
        """Measured pose of the tool and the arm's joints. Raises RobotError as `sense` does."""
        n = len(self._settings.joint_names)
        return self.pose.newest().value, self.joints.newest().value[0][:n]

    def fresh_joints(self) -> Numbers | None:
        """The arm's joints; None while they are not known."""
        fresh = self.joints.peek()
        return None if fresh is None else fresh.value[0][: len(self._settings.joint_names)]

    def sense(self) -> Reading:
        """Everything, now.

        Raises:
            RobotError: something is missing, stale, or cannot be used; it is named.
        """
        samples = {stream.topic: stream.newest() for stream in self._all}
        state = [samples[stream.topic] for stream in self._state]
        position, velocity = samples[self.joints.topic].value
        n = len(self._settings.joint_names)
        return Reading(
            stamp=min(sample.stamp for sample in state),
            joints=position[:n],
            joint_velocity=velocity[:n],
            pose=samples[self.pose.topic].value,
            velocity=self._derived if self.twist is None else samples[self.twist.topic].value,
            wrench=np.zeros(6) if self.wrench is None else samples[self.wrench.topic].value,
            gripper=self._opening(position, samples),
            images={name: samples[stream.topic].value for name, stream in self._cameras.items()},
            scene={name: samples[stream.topic].value for name, stream in self._things.items()},
            stamps={topic: sample.header for topic, sample in samples.items()},
        )

    def _opening(self, position: Numbers, samples: Mapping[str, Sample[Any]]) -> float:
        settings = self._settings
        if not settings.gripper_joint:
            return 1.0
        at = float(position[-1] if self._gripper is None else samples[self._gripper.topic].value[0][0])
        share = (at - settings.gripper_closed) / (settings.gripper_open - settings.gripper_closed)
        return min(max(share, 0.0), 1.0)

    def statuses(self) -> Iterable[Status]:
        """For the diagnostics."""
        return [stream.status() for stream in self._all]


class FrozenPicture:
    """Finds a camera whose driver sends the last picture again and again, with fresh stamps."""

    def __init__(self, clock: Clock, same_max: float, camera: str) -> None:
        """
        Args:
            same_max: seconds for which a picture may be the same to the bit; 0 for ever.
        """
        self._clock = clock
        self._same_max = same_max
        self._camera = camera
        self._last: Picture | None = None
        self._since = 0.0

    def check(self, image: Picture) -> None:
        """Raises MessageError when nothing has changed for too long."""
        if not self._same_max:
            return
        now = self._clock.now()
        if self._last is None or not np.array_equal(image, self._last):
            self._last, self._since = image, now
        elif now - self._since > self._same_max:
            raise MessageError(
                f"{self._camera} picture",
                f"the same to the bit for {now - self._since:.1f} s",
                f"less than {self._same_max:g} s, the parameter image_same_max: a camera's noise changes every picture",
            )


def fitted(image: Picture, height: int, width: int) -> Picture:
    """The middle of a picture, cut to the wanted shape and scaled. Shape (height, width, 3)."""
    h, w = image.shape[:2]
    scale = min(h / height, w / width)
    cut_h, cut_w = round(height * scale), round(width * scale)
    top, left = (h - cut_h) // 2, (w - cut_w) // 2
    middle = np.ascontiguousarray(image[top : top + cut_h, left : left + cut_w])
    return np.asarray(cv2.resize(middle, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
