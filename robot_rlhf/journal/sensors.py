"""Sensor topics as ROS 2 messages: how each part of an observation becomes a message, and comes back.

Every message of a topic has the same length, so rosbags serialises one message per topic when a session is opened,
and afterwards only its stamp and numbers are filled in: some 3 us instead of 20 us per message. The numbers are
found by writing markers, so no byte offset of the encoding is assumed here.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_typestore

from robot_rlhf.datatypes import Array, Observation, RobotSpec
from robot_rlhf.errors import InvalidValueError, JournalError, ShapeError

BASE_FRAME = "base"
JOINT_STATE = "sensor_msgs/msg/JointState"
POSE = "geometry_msgs/msg/PoseStamped"
TWIST = "geometry_msgs/msg/TwistStamped"
WRENCH = "geometry_msgs/msg/WrenchStamped"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"

_STAMP = struct.Struct("<iI")
_STAMP_OFFSET = 4
"""Behind the 4 bytes of the encapsulation header; every message here begins with a std_msgs/Header."""
_PNG_LEVEL = (cv2.IMWRITE_PNG_COMPRESSION, 1)
_WXYZ_TO_XYZW = (0, 1, 2, 4, 5, 6, 3)

Values = NDArray[np.float64]


@functools.cache
def typestore() -> Any:
    """The ROS 2 message types; loading them takes a tenth of a second, so it is done when first needed."""
    return get_typestore(Stores.ROS2_HUMBLE)


def message_definition(msgtype: str) -> bytes:
    """The .msg text with all its dependencies, as MCAP's ros2msg schema wants it."""
    return typestore().generate_msgdef(msgtype, ros_version=2)[0].encode()


def _header(frame: str) -> Any:
    types = typestore().types
    return types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](0, 0), frame)


def joint_state_message(frame: str, names: Sequence[str], values: Values) -> Any:
    """Values are positions, then velocities where there are twice as many values as names."""
    n = len(names)
    return typestore().types[JOINT_STATE](_header(frame), list(names), values[:n], values[n:], np.zeros(0))


def pose_message(frame: str, values: Values) -> Any:
    """Values are x, y, z, qx, qy, qz, qw."""
    types = typestore().types
    pose = types["geometry_msgs/msg/Pose"](
        types["geometry_msgs/msg/Point"](*values[:3].tolist()),
        types["geometry_msgs/msg/Quaternion"](*values[3:].tolist()),
    )
    return types[POSE](_header(frame), pose)


def _two_vectors(kind: str, frame: str, values: Values) -> Any:
    types = typestore().types
    vector = types["geometry_msgs/msg/Vector3"]
    pair = types[f"geometry_msgs/msg/{kind}"](vector(*values[:3].tolist()), vector(*values[3:].tolist()))
    return types[f"geometry_msgs/msg/{kind}Stamped"](_header(frame), pair)


class FixedMessage:
    """A topic whose messages differ only in their stamp and in a fixed count of float64 numbers."""

    def __init__(self, topic: str, msgtype: str, size: int, build: Callable[[Values], Any], what: str) -> None:
        self.topic = topic
        self.msgtype = msgtype
        self.size = size
        self._what = what
        markers = np.arange(size, dtype=np.float64) + 1000.0 + 1 / 3
        self._bytes = bytearray(typestore().serialize_cdr(build(markers), msgtype))
        # The encoding aligns float64 to 8 bytes behind the encapsulation header: one view sees them all.
        count = (len(self._bytes) - _STAMP_OFFSET) // 8
        self._doubles = np.frombuffer(self._bytes, "<f8", count, _STAMP_OFFSET)
        places = {float(value): place for place, value in enumerate(self._doubles)}
        self._places = np.array([places[float(marker)] for marker in markers], np.intp)

    def encode(self, seconds: int, nanoseconds: int, values: NDArray[Any]) -> bytes:
        """Args: values (size,)."""
        if values.shape != (self.size,):
            raise ShapeError(self._what, values.shape, (self.size,))
        _STAMP.pack_into(self._bytes, _STAMP_OFFSET, seconds, nanoseconds)
        self._doubles[self._places] = values
        return bytes(self._bytes)

    def decode(self, payload: bytes) -> Values:
        """Returns: values (size,). Raises JournalError when the message has another length than this session's."""
        if len(payload) != len(self._bytes):
            raise JournalError(f"{self.topic}: a message of {len(payload)} bytes, expected {len(self._bytes)}")
        return np.frombuffer(payload, "<f8", len(self._doubles), _STAMP_OFFSET)[self._places]


class ImageTopic:
    """A camera's pictures, lossless."""

    def __init__(self, camera: str) -> None:
        self.camera = camera
        self.topic = f"/camera/{camera}/compressed"
        self.msgtype = COMPRESSED_IMAGE
        empty = typestore().types[COMPRESSED_IMAGE](_header(camera), "png", np.zeros(0, np.uint8))
        # What is left out is the length of the data, which the encoding writes last and aligns to 4 bytes.
        self._prefix = bytearray(typestore().serialize_cdr(empty, COMPRESSED_IMAGE)[:-4])

    def encode(self, seconds: int, nanoseconds: int, image: NDArray[np.uint8]) -> bytes:
        """Args: image uint8 (H, W, 3), RGB."""
        ok, png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), _PNG_LEVEL)
        if not ok:
            raise InvalidValueError(f"images[{self.camera}]", f"shape {image.shape}", "a picture that PNG can hold")
        _STAMP.pack_into(self._prefix, _STAMP_OFFSET, seconds, nanoseconds)
        return b"".join((self._prefix, struct.pack("<I", len(png)), png.tobytes()))

    def png(self, payload: bytes) -> bytes:
        """The file in a message."""
        return payload[len(self._prefix) + 4 :]

    def decode(self, payload: bytes) -> NDArray[np.uint8]:
        """Returns: image uint8 (H, W, 3), RGB, read-only."""
        png = np.frombuffer(self.png(payload), np.uint8)
        bgr = cv2.imdecode(png, cv2.IMREAD_COLOR) if len(png) else None
        if bgr is None:
            raise JournalError(f"{self.topic}: a picture that is not PNG")
        image = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
        image.flags.writeable = False
        return image.view()


def _read_only(values: Values) -> Array:
    array = values.astype(np.float32)
    array.flags.writeable = False
    return array


class SensorTopics:
    """The sensor topics of one robot: an observation to messages, and messages to an observation's fields."""

    def __init__(self, spec: RobotSpec) -> None:
        names = spec.joint_names
        n = self._joints = len(names)

        def joints(values: Values) -> Any:
            return joint_state_message(BASE_FRAME, names, values)

        def gripper(values: Values) -> Any:
            return joint_state_message(BASE_FRAME, ("gripper", "gripper_target"), values)

        def pose(values: Values) -> Any:
            return pose_message(BASE_FRAME, values)

        def twist(values: Values) -> Any:
            return _two_vectors("Twist", BASE_FRAME, values)

        def wrench(values: Values) -> Any:
            return _two_vectors("Wrench", BASE_FRAME, values)

        self.numbers = (
            FixedMessage("/joint_states", JOINT_STATE, 2 * n, joints, "joint_position and joint_velocity"),
            FixedMessage("/tool_pose", POSE, 7, pose, "tool_pose_in_base"),
            FixedMessage("/tool_target", POSE, 7, pose, "tool_target_in_base"),
            FixedMessage("/tool_velocity", TWIST, 6, twist, "tool_velocity"),
            FixedMessage("/wrench", WRENCH, 6, wrench, "tool_wrench"),
            FixedMessage("/gripper", JOINT_STATE, 2, gripper, "gripper"),
        )
        self.images = {camera: ImageTopic(camera) for camera in spec.cameras}
        self._cameras = tuple(spec.cameras)
        self._order = np.array(_WXYZ_TO_XYZW, np.intp)
        self._inverse = np.argsort(self._order)

    @property
    def topics(self) -> tuple[FixedMessage | ImageTopic, ...]:
        """All topics, in the order in which the messages of an observation are written."""
        return (*self.numbers, *self.images.values())

    def camera(self, index: int) -> str | None:
        """The camera whose pictures have this index in `topics`; None for numbers."""
        return self._cameras[index - len(self.numbers)] if index >= len(self.numbers) else None

    def encode(self, observation: Observation, time_ns: int) -> list[tuple[int, bytes]]:
        """Messages as (index into `topics`, payload).

        Raises:
            ShapeError: the observation does not fit the spec.
            InvalidValueError: it has a camera that the spec does not name.
        """
        seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
        values = (
            np.concatenate((observation.joint_position, observation.joint_velocity)),
            observation.tool_pose_in_base[self._order],
            observation.tool_target_in_base[self._order],
            observation.tool_velocity,
            observation.tool_wrench,
            np.array((observation.gripper, observation.gripper_target)),
        )
        messages = [
            (i, topic.encode(seconds, nanoseconds, value))
            for i, (topic, value) in enumerate(zip(self.numbers, values, strict=True))
        ]
        if len(observation.joint_position) != self._joints:
            raise ShapeError("joint_position", observation.joint_position.shape, (self._joints,))
        for camera in observation.images:
            if camera not in self.images:
                raise InvalidValueError("Observation.images", repr(camera), f"cameras of the spec: {[*self.images]}")
        for i, (camera, topic) in enumerate(self.images.items(), len(self.numbers)):
            if camera in observation.images:
                messages.append((i, topic.encode(seconds, nanoseconds, observation.images[camera])))
        return messages

    def decode(self, payloads: Mapping[int, bytes], rest: Mapping[str, Any]) -> Observation:
        """The inverse of encode: messages by index into `topics`, and what observation_rest holds.

        Raises:
            KeyError: a message is missing.
        """
        joints, pose, target, velocity, wrench, gripper = (
            topic.decode(payloads[i]) for i, topic in enumerate(self.numbers)
        )
        images = {
            camera: topic.decode(payloads[i])
            for i, (camera, topic) in enumerate(self.images.items(), len(self.numbers))
            if i in payloads
        }
        return Observation(
            stamp=rest["stamp"],
            joint_position=_read_only(joints[: self._joints]),
            joint_velocity=_read_only(joints[self._joints :]),
            tool_pose_in_base=_read_only(pose[self._inverse]),
            tool_target_in_base=_read_only(target[self._inverse]),
            tool_velocity=_read_only(velocity),
            tool_wrench=_read_only(wrench),
            gripper=float(gripper[0]),
            gripper_target=float(gripper[1]),
            images=images,
            scene=rest["scene"],
            privileged=rest["privileged"],
        )
