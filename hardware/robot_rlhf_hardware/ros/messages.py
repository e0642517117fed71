"""From our arrays to the fields of ROS messages and back: pure functions, each beside its inverse.

Ours: quaternions wxyz, pictures uint8 (H, W, 3) RGB. Theirs: xyzw, and whatever encoding a camera has. Arriving
messages are any object with the fields as attributes, so that every backend's will do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.errors import InvalidValueError, ShapeError

Fields = dict[str, Any]
Numbers = NDArray[np.float64]

ENCODINGS: Mapping[str, int] = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1, "8UC1": 1, "8UC3": 3}
"""Encodings of pictures that are understood, with their bytes per pixel; 8UC3 counts as bgr8, as OpenCV has it."""


class MessageError(InvalidValueError):
    """A message that cannot be used: a joint missing, NaN, another size or encoding."""


# -- time and header ---------------------------------------------------------------------------------------------------


def time_fields(seconds: float) -> Fields:
    """builtin_interfaces/Time of seconds since 1970."""
    whole = math.floor(seconds)
    nanosec = min(999_999_999, round((seconds - whole) * 1e9))
    return {"sec": whole, "nanosec": nanosec}


def seconds_of(time: Any) -> float:
    """The inverse of time_fields."""
    return time.sec + 1e-9 * time.nanosec


def header_fields(stamp: float, frame: str) -> Fields:
    """std_msgs/Header."""
    return {"stamp": time_fields(stamp), "frame_id": frame}


def stamp_of(message: Any) -> float:
    """Header stamp, seconds since 1970."""
    return seconds_of(message.header.stamp)


# -- joints ------------------------------------------------------------------------------------------------------------


def joint_state_fields(
    stamp: float, names: Sequence[str], position: Any, velocity: Any = (), *, frame: str = ""
) -> Fields:
    """sensor_msgs/JointState."""
    return {
        "header": header_fields(stamp, frame),
        "name": list(names),
        "position": np.asarray(position, np.float64),
        "velocity": np.asarray(velocity, np.float64),
    }


def joints_of(message: Any, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Position and velocity of those of the named joints that a message tells of: none, in another driver's.

    A velocity that is left out or NaN is not told, and counts as 0: joint_state_broadcaster writes NaN for an interface
    that a joint lacks. So does a message without positions tell of no joint.

    Raises:
        MessageError: a joint is named twice, a position is not a finite number, or the arrays have other lengths.
    """
    told = list(message.name)
    ours = [name for name in names if name in told]
    if not ours or not len(message.position):
        return {}
    position = np.asarray(message.position, np.float64)
    velocity = np.asarray(message.velocity, np.float64)
    if len(position) != len(told) or len(velocity) not in (0, len(told)):
        raise MessageError(
            "JointState",
            f"{len(told)} names, {len(position)} positions, {len(velocity)} velocities",
            "as many of each (velocities may be left out)",
        )
    found: dict[str, tuple[float, float]] = {}
    for name in ours:
        if told.count(name) != 1:
            raise MessageError("JointState.name", f"{told.count(name)} joints {name!r} among {told}", "each joint once")
        at = told.index(name)
        speed = float(velocity[at]) if len(velocity) else 0.0
        found[name] = float(position[at]), 0.0 if math.isnan(speed) else speed
        for what, number in zip(("position", "velocity"), found[name], strict=True):
            if not math.isfinite(number):
                raise MessageError(f"JointState.{what}", f"{name} at {number}", "finite numbers")
    return found


# -- poses, velocities, forces -----------------------------------------------------------------------------------------


def _xyz(values: Any) -> Fields:
    x, y, z = (float(value) for value in values)
    return {"x": x, "y": y, "z": z}


def pose_fields(pose: Any) -> Fields:
    """geometry_msgs/Pose of x, y, z, qw, qx, qy, qz. Shape (7,)."""
    x, y, z, qw, qx, qy, qz = (float(value) for value in pose)
    return {"position": {"x": x, "y": y, "z": z}, "orientation": {"x": qx, "y": qy, "z": qz, "w": qw}}


def pose_stamped_fields(stamp: float, frame: str, pose: Any) -> Fields:
    """geometry_msgs/PoseStamped of x, y, z, qw, qx, qy, qz."""
    return {"header": header_fields(stamp, frame), "pose": pose_fields(pose)}


def pose_of(pose: Any) -> Numbers:
    """x, y, z, qw, qx, qy, qz of a geometry_msgs/Pose; the quaternion is made unit length. Shape (7,).

    Raises:
        MessageError: a number is not finite, or the quaternion is no rotation (length not within 1 % of 1).
    """
    p, q = pose.position, pose.orientation
    return _pose("Pose", (p.x, p.y, p.z, q.w, q.x, q.y, q.z))


def transform_fields(stamp: float, parent: str, child: str, pose: Any) -> Fields:
    """One geometry_msgs/TransformStamped: the pose (7,) of `child` in `parent`."""
    inner = pose_fields(pose)
    return {
        "header": header_fields(stamp, parent),
        "child_frame_id": child,
        "transform": {"translation": inner["position"], "rotation": inner["orientation"]},
    }


def transform_of(transform: Any) -> Numbers:
    """The inverse of transform_fields: x, y, z, qw, qx, qy, qz of a geometry_msgs/Transform. Raises as pose_of."""
    p, q = transform.translation, transform.rotation
    return _pose("Transform", (p.x, p.y, p.z, q.w, q.x, q.y, q.z))


def _pose(what: str, values: Sequence[float]) -> Numbers:
    pose = np.array(values, np.float64)
    size = float(np.linalg.norm(pose[3:]))
    if not np.isfinite(pose).all():
        raise MessageError(what, pose.tolist(), "finite numbers")
    if not 0.99 < size < 1.01:
        raise MessageError(f"{what}.orientation", f"a quaternion of length {size:.4f}", "length 1")
    pose[3:] /= size
    return pose


def twist_fields(twist: Any) -> Fields:
    """geometry_msgs/Twist of linear m/s, then angular rad/s. Shape (6,)."""
    return {"linear": _xyz(twist[:3]), "angular": _xyz(twist[3:])}


def twist_stamped_fields(stamp: float, frame: str, twist: Any) -> Fields:
    """geometry_msgs/TwistStamped."""
    return {"header": header_fields(stamp, frame), "twist": twist_fields(twist)}


def twist_of(twist: Any) -> Numbers:
    """The inverse of twist_fields. Raises MessageError for NaN."""
    v, w = twist.linear, twist.angular
    return _finite("Twist", (v.x, v.y, v.z, w.x, w.y, w.z))


def wrench_stamped_fields(stamp: float, frame: str, wrench: Any) -> Fields:
    """geometry_msgs/WrenchStamped of force N, then torque N m. Shape (6,)."""
    return {"header": header_fields(stamp, frame), "wrench": {"force": _xyz(wrench[:3]), "torque": _xyz(wrench[3:])}}


def wrench_of(wrench: Any) -> Numbers:
    """Force, then torque, of a geometry_msgs/Wrench, in the frame of its header. Raises MessageError for NaN."""
    f, t = wrench.force, wrench.torque
    return _finite("Wrench", (f.x, f.y, f.z, t.x, t.y, t.z))


def _finite(what: str, values: Sequence[float]) -> Numbers:
    array = np.array(values, np.float64)
    if not np.isfinite(array).all():
        raise MessageError(what, array.tolist(), "finite numbers")
    return array


# -- pictures ----------------------------------------------------------------------------------------------------------


def image_fields(stamp: float, frame: str, image: NDArray[np.uint8], encoding: str = "rgb8") -> Fields:
    """sensor_msgs/Image of a picture. Args: image RGB (H, W, 3); encoding rgb8, bgr8 or mono8."""
    pixels = _encoded(image, encoding)
    height, width = image.shape[:2]
    return {
        "header": header_fields(stamp, frame),
        "height": height,
        "width": width,
        "encoding": encoding,
        "step": width * ENCODINGS[encoding],
        "data": np.ascontiguousarray(pixels).reshape(-1),
    }


def _encoded(image: NDArray[np.uint8], encoding: str) -> NDArray[np.uint8]:
    if encoding == "rgb8":
        return image
    if encoding == "bgr8":
        return image[..., ::-1]
    if encoding == "mono8":
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    raise MessageError("Image.encoding", encoding, "rgb8, bgr8 or mono8 to send")


def image_of(message: Any) -> NDArray[np.uint8]:
    """RGB picture of a sensor_msgs/Image; grey ones get three equal channels. Shape (H, W, 3).

    Raises:
        MessageError: an encoding that is not understood, or data of another length than its size says.
    """
    encoding = str(message.encoding)
    if encoding not in ENCODINGS:
        raise MessageError("Image.encoding", repr(encoding), ", ".join(ENCODINGS))
    height, width, step, channels = int(message.height), int(message.width), int(message.step), ENCODINGS[encoding]
    data = np.frombuffer(message.data, np.uint8)
    if height < 1 or width < 1 or step < width * channels or len(data) != step * height:
        raise MessageError(
            "Image.data",
            f"{len(data)} bytes for {width}x{height} {encoding} in rows of {step}",
            f"{height} rows of at least {width * channels} bytes",
        )
    pixels = data.reshape(height, step)[:, : width * channels].reshape(height, width, channels)
    if channels == 1:
        return np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels[..., :3] if encoding.startswith("rgb") else pixels[..., 2::-1])


def compressed_image_fields(stamp: float, frame: str, image: NDArray[np.uint8], kind: str = "png") -> Fields:
    """sensor_msgs/CompressedImage of an RGB picture; kind png (lossless) or jpeg."""
    ok, data = cv2.imencode(f".{kind}", image[..., ::-1])
    if not ok:
        raise MessageError("CompressedImage", f"shape {image.shape}, kind {kind}", "a picture that OpenCV can encode")
    return {"header": header_fields(stamp, frame), "format": f"rgb8; {kind} compressed bgr8", "data": data.reshape(-1)}


def compressed_image_of(message: Any) -> NDArray[np.uint8]:
    """RGB picture of a sensor_msgs/CompressedImage. Shape (H, W, 3). Raises MessageError when it is no picture."""
    data = np.frombuffer(message.data, np.uint8)
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if bgr is None:
        raise MessageError("CompressedImage", f"{len(data)} bytes, format {message.format!r}", "a PNG or JPEG picture")
    return np.ascontiguousarray(np.asarray(bgr, np.uint8)[..., ::-1])


def camera_info_fields(stamp: float, frame: str, height: int, width: int, vertical_view: float) -> Fields:
    """sensor_msgs/CameraInfo of an ideal camera. Args: vertical_view: field of view, rad."""
    focal = 0.5 * height / math.tan(0.5 * vertical_view)
    cx, cy = 0.5 * width, 0.5 * height
    k = [focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0]
    return {
        "header": header_fields(stamp, frame),
        "height": height,
        "width": width,
        "distortion_model": "plumb_bob",
        "d": [0.0] * 5,
        "k": k,
        "r": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        "p": [focal, 0.0, cx, 0.0, 0.0, focal, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    }


# -- joint commands ----------------------------------------------------------------------------------------------------


def numbers_fields(values: Any) -> Fields:
    """std_msgs/Float64MultiArray."""
    return {"data": np.asarray(values, np.float64)}


def numbers_of(message: Any, size: int) -> Numbers:
    """The inverse of numbers_fields. Raises ShapeError for another length, MessageError for NaN."""
    values = np.asarray(message.data, np.float64)
    if values.shape != (size,):
        raise ShapeError("Float64MultiArray.data", values.shape, (size,))
    return _finite("Float64MultiArray.data", values.tolist())


def trajectory_fields(stamp: float, names: Sequence[str], positions: Any, seconds: float) -> Fields:
    """trajectory_msgs/JointTrajectory with one point, to be reached in so many seconds."""
    point = {"positions": np.asarray(positions, np.float64), "time_from_start": time_fields(seconds)}
    return {"header": header_fields(stamp, ""), "joint_names": list(names), "points": [point]}


# -- person ------------------------------------------------------------------------------------------------------------


def joy_fields(stamp: float, axes: Any, buttons: Any) -> Fields:
    """sensor_msgs/Joy."""
    return {
        "header": header_fields(stamp, "joy"),
        "axes": np.asarray(axes, np.float32),
        "buttons": np.asarray(buttons, np.int32),
    }
