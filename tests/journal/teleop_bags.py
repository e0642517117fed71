"""Bags of an arm that is teleoperated along a known path, as a robot's own tools would have recorded them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

STORE: Any = get_typestore(Stores.ROS2_JAZZY)
START = 1_760_000_000_000_000_000
"""Nanoseconds since 1970 at which the bags begin."""
JOINTS = ("shoulder", "elbow", "wrist")
SPEED = 0.1
"""m/s along x while the arm is driven."""
TURN = 0.5
"""rad/s about z."""

Message = tuple[str, str, float, Any]
"""Topic, type, seconds after START, message."""


def time_of(seconds: float) -> Any:
    ns = START + round(seconds * 1e9)
    return STORE.types["builtin_interfaces/msg/Time"](ns // 10**9, ns % 10**9)


def header(seconds: float, frame: str = "base") -> Any:
    return STORE.types["std_msgs/msg/Header"](time_of(seconds), frame)


def joint_state(
    seconds: float, names: Sequence[str], positions: Sequence[float], velocities: Sequence[float] = ()
) -> Message:
    kind = "sensor_msgs/msg/JointState"
    p, v = np.array(positions, np.float64), np.array(velocities, np.float64)
    return "/joint_states", kind, seconds, STORE.types[kind](header(seconds), list(names), p, v, np.zeros(0))


def pose(topic: str, seconds: float, values: Sequence[float], frame: str = "base") -> Message:
    """Args: values x, y, z, qw, qx, qy, qz."""
    kind = "geometry_msgs/msg/PoseStamped"
    x, y, z, qw, qx, qy, qz = (float(v) for v in values)
    types = STORE.types
    point, turn = types["geometry_msgs/msg/Point"](x, y, z), types["geometry_msgs/msg/Quaternion"](qx, qy, qz, qw)
    return topic, kind, seconds, types[kind](header(seconds, frame), types["geometry_msgs/msg/Pose"](point, turn))


def vectors(topic: str, kind: str, seconds: float, values: Sequence[float], frame: str = "base") -> Message:
    """Args: kind 'Twist' or 'Wrench'; values two vectors."""
    types = STORE.types
    a, b = (types["geometry_msgs/msg/Vector3"](*(float(v) for v in part)) for part in (values[:3], values[3:]))
    name = f"geometry_msgs/msg/{kind}Stamped"
    return topic, name, seconds, types[name](header(seconds, frame), types[f"geometry_msgs/msg/{kind}"](a, b))


def number(topic: str, kind: str, seconds: float, value: Any) -> Message:
    return topic, f"std_msgs/msg/{kind}", seconds, STORE.types[f"std_msgs/msg/{kind}"](value)


def transforms(topic: str, seconds: float, links: Iterable[tuple[str, str, Sequence[float]]]) -> Message:
    """Args: links: parent, child, and pose of 7 numbers."""
    types, found = STORE.types, []
    for parent, child, (x, y, z, qw, qx, qy, qz) in links:
        moved = types["geometry_msgs/msg/Transform"](
            types["geometry_msgs/msg/Vector3"](float(x), float(y), float(z)),
            types["geometry_msgs/msg/Quaternion"](float(qx), float(qy), float(qz), float(qw)),
        )
        found.append(types["geometry_msgs/msg/TransformStamped"](header(seconds, parent), child, moved))
    return topic, "tf2_msgs/msg/TFMessage", seconds, types["tf2_msgs/msg/TFMessage"](found)


def image(topic: str, seconds: float, picture: NDArray[np.uint8], encoding: str = "rgb8", padding: int = 0) -> Message:
    """Args: picture RGB (H, W, 3); padding: bytes behind each row."""
    height, width = picture.shape[:2]
    pixels = {
        "rgb8": lambda: picture,
        "bgr8": lambda: picture[..., ::-1],
        "rgba8": lambda: np.concatenate([picture, np.full((height, width, 1), 255, np.uint8)], axis=2),
        "bgra8": lambda: np.concatenate([picture[..., ::-1], np.full((height, width, 1), 9, np.uint8)], axis=2),
        "mono8": lambda: picture[..., :1],
        "16UC1": lambda: np.zeros((height, width, 2), np.uint8),
        "mono16": lambda: picture[..., :1].astype("<u2") * 16,
    }[encoding]()
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(height, -1)
    rows = np.concatenate([rows, np.full((height, padding), 77, np.uint8)], axis=1)
    data = np.ascontiguousarray(rows).reshape(-1)
    kind = "sensor_msgs/msg/Image"
    message = STORE.types[kind](header(seconds, "camera"), height, width, encoding, 0, rows.shape[1], data)
    return topic, kind, seconds, message


def compressed(topic: str, seconds: float, picture: NDArray[np.uint8], kind: str = "png") -> Message:
    ok, data = cv2.imencode(f".{kind}", picture[..., ::-1])
    assert ok
    name = "sensor_msgs/msg/CompressedImage"
    message = STORE.types[name](header(seconds, "camera"), f"rgb8; {kind} compressed bgr8", data.reshape(-1))
    return topic, name, seconds, message


def write_bag(
    folder: Path,
    messages: Iterable[Message],
    storage: Literal["sqlite3", "mcap"] = "mcap",
    *,
    compress: bool = False,
) -> Path:
    """A rosbag2 folder, as `ros2 bag record` makes it."""
    plugin = StoragePlugin.SQLITE3 if storage == "sqlite3" else StoragePlugin.MCAP
    writer = Writer(folder, version=9, storage_plugin=plugin)
    if compress:
        writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    connections: dict[str, Connection] = {}
    with writer:
        for topic, kind, seconds, message in sorted(messages, key=lambda m: m[2]):
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], START + round(seconds * 1e9), STORE.serialize_cdr(message, kind))
    return folder


@dataclass(frozen=True)
class Drive:
    """A path that is known in closed form: while driven the target moves along x and turns about z; else it rests."""

    driven: Sequence[tuple[float, float]] = ((1.0, 3.0), (5.0, 6.5))
    """Seconds in which a person drives: commands come only then."""
    closes: Mapping[float, float] = field(default_factory=lambda: {0.0: 1.0, 2.0: 0.0, 5.0: 1.0, 6.0: 0.0})
    """Seconds to the opening commanded from then on."""
    lag: float = 0.1
    """Seconds by which the arm follows."""

    @property
    def end(self) -> float:
        return self.driven[-1][1] + 0.5

    def way(self, seconds: float) -> float:
        """Seconds driven so far."""
        return sum(min(max(seconds - start, 0.0), end - start) for start, end in self.driven)

    def target(self, seconds: float) -> list[float]:
        way = self.way(seconds)
        half = 0.5 * TURN * way
        # Half a turn about x, then the turn about z.
        return [0.4 + SPEED * way, 0.0, 0.3, 0.0, math.cos(half), math.sin(half), 0.0]

    def measured(self, seconds: float) -> list[float]:
        return self.target(seconds - self.lag)

    def opening(self, seconds: float) -> float:
        return [value for at, value in sorted(self.closes.items()) if at <= seconds + 1e-9][-1]

    def joints(self, seconds: float) -> tuple[list[float], list[float]]:
        rates = [0.1, -0.2, 0.3]
        return [r * math.sin(seconds) for r in rates], [r * math.cos(seconds) for r in rates]

    def picture(self, seconds: float, size: tuple[int, int] = (12, 16)) -> NDArray[np.uint8]:
        """Its level tells the number of the frame at 30 Hz."""
        level = round(seconds * 30) % 256
        picture = np.zeros((*size, 3), np.uint8)
        picture[..., 0], picture[..., 1], picture[..., 2] = level, 255 - level, 7
        return picture

    def messages(
        self,
        *,
        commands: Literal["pose", "twist", "none"] = "pose",
        picture: Callable[[float], Message] | None = None,
        joint_rate: float = 100.0,
    ) -> list[Message]:
        """What an arm with a gripper publishes: joints in another order than ours, the gripper's among them."""
        found: list[Message] = []
        for i in range(int(self.end * joint_rate)):
            t = i / joint_rate
            p, v = self.joints(t)
            names = ("finger", JOINTS[2], JOINTS[0], JOINTS[1])
            found.append(joint_state(t, names, [0.04 * self.opening(t), p[2], p[0], p[1]], [0.0, v[2], v[0], v[1]]))
            found.append(pose("/current_pose", t, self.measured(t)))
        for start, end in self.driven:
            for i in range(round((end - start) * 50) + 1):
                t = start + i / 50
                if commands == "pose":
                    found.append(pose("/target_pose", t, self.target(t)))
                elif commands == "twist":
                    found.append(vectors("/servo_node/delta_twist_cmds", "Twist", t, [SPEED, 0, 0, 0, 0, TURN]))
        if picture is not None:
            found += [picture(i / 30) for i in range(int(self.end * 30))]
        return found
