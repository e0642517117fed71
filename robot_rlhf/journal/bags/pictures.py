"""Pictures of a bag's camera topics: raw in the usual encodings, or compressed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.errors import JournalError
from robot_rlhf.journal.bags.series import BagClock, Times
from robot_rlhf.journal.bags.source import Bag, BagMessage

Picture = NDArray[np.uint8]

RAW = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
_CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1, "8UC1": 1, "8UC3": 3}
_TO_RGB = {
    "bgr8": cv2.COLOR_BGR2RGB,
    "rgba8": cv2.COLOR_RGBA2RGB,
    "bgra8": cv2.COLOR_BGRA2RGB,
    "mono8": cv2.COLOR_GRAY2RGB,
    "8UC1": cv2.COLOR_GRAY2RGB,
    "8UC3": cv2.COLOR_BGR2RGB,
}


def raw_picture(message: Any) -> Picture:
    """RGB of a sensor_msgs/Image. Shape (H, W, 3).

    Raises:
        ValueError: an encoding that is no 8-bit colour or grey, or fewer bytes than the size says; in words.
    """
    height, width, encoding = int(message.height), int(message.width), str(message.encoding)
    if encoding not in _CHANNELS:
        raise ValueError(f"encoding {encoding!r}; allowed: {', '.join(_CHANNELS)}")
    channels, data = _CHANNELS[encoding], np.frombuffer(message.data, np.uint8)
    step = int(message.step) or width * channels
    if step < width * channels or len(data) < height * step or not height or not width:
        raise ValueError(f"{len(data)} bytes in rows of {step} for {height} x {width} pixels of {encoding}")
    rows = data[: height * step].reshape(height, step)[:, : width * channels]
    pixels = np.ascontiguousarray(rows).reshape(height, width, channels)
    return pixels if encoding == "rgb8" else np.asarray(cv2.cvtColor(pixels, _TO_RGB[encoding]), np.uint8)


def compressed_picture(message: Any) -> Picture:
    """RGB of a sensor_msgs/CompressedImage. Shape (H, W, 3).

    Raises:
        ValueError: depth, or bytes that are no picture; in words.
    """
    words = str(message.format)
    if "compressedDepth" in words or words.startswith(("16UC1", "32FC1")):
        raise ValueError(f"format {words!r} is depth; allowed: pictures in colour or grey")
    pixels = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError(f"{len(message.data)} bytes of format {words!r} that are no picture")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def picture_of(message: Any) -> Picture:
    """RGB of either kind of message. Shape (H, W, 3). Raises ValueError in words."""
    return raw_picture(message) if hasattr(message, "encoding") else compressed_picture(message)


def fitted(picture: Picture, height: int, width: int) -> Picture:
    """The largest part in the middle with the wanted shape, scaled by area. Shape (height, width, 3)."""
    rows, columns = picture.shape[:2]
    scale = min(rows / height, columns / width)
    tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (rows - tall) // 2, (columns - wide) // 2
    part = np.ascontiguousarray(picture[top : top + tall, left : left + wide])
    return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


class Cameras:
    """When each camera's pictures were taken; then the pictures, decoded only where they are wanted."""

    def __init__(
        self,
        bag: Bag,
        topics: Mapping[str, str],
        clock: BagClock,
        sizes: Mapping[str, tuple[int, int]],
        fit: Literal["exact", "scale"],
    ) -> None:
        """
        Args:
            topics: camera name to topic.
            sizes: camera name to wanted height and width; one without is as large as its first picture.
            fit: what becomes of another size: an error, or cut to shape in the middle and scaled.
        """
        self._bag = bag
        self._clock = clock
        self._fit = fit
        self._camera = {topic: name for name, topic in topics.items()}
        self._times: dict[str, list[int]] = {name: [] for name in topics}
        self._newest: dict[str, int] = dict.fromkeys(topics, 0)
        self.sizes = dict(sizes)
        """Camera name to height and width of what `pictures` gives; all known once a picture of each was added."""

    def add(self, message: BagMessage) -> None:
        """Note when a picture came. Raises JournalError when time goes backwards."""
        camera = self._camera[message.topic]
        if self._clock == "stamp" and not message.stamp:
            raise self._error(message, "no stamp in its header; allowed with --reading.clock received only")
        if message.stamp and message.stamp < self._newest[camera]:
            back = (self._newest[camera] - message.stamp) / 1e9
            raise self._error(message, f"time goes backwards by {back:.3f} s in its headers: two publishers?")
        self._newest[camera] = max(self._newest[camera], message.stamp)
        self._times[camera].append(message.stamp if self._clock == "stamp" else message.received)
        if camera not in self.sizes:
            height, width = self._decoded(message).shape[:2]
            self.sizes[camera] = (height, width)

    def times(self) -> dict[str, Times]:
        """Nanoseconds of each picture, per camera. Raises JournalError when a camera has none."""
        for topic, camera in self._camera.items():
            if not self._times[camera]:
                raise JournalError(f"{self._bag.path}: topic {topic}: no picture of camera {camera!r}")
        return {camera: np.array(times, np.int64) for camera, times in self._times.items()}

    def pictures(self, wanted: Sequence[Mapping[str, int]]) -> Iterator[dict[str, Picture]]:
        """The pictures of each moment, in one pass over the bag.

        Args:
            wanted: per moment, camera name to number of the picture; numbers never fall from one to the next.

        Raises:
            JournalError: another size or encoding than before, or no picture at all.
        """
        uses = Counter((camera, number) for moment in wanted for camera, number in moment.items())
        held: dict[tuple[str, int], Picture] = {}
        stream = self._numbered()
        for moment in wanted:
            taken: dict[str, Picture] = {}
            for camera, number in moment.items():
                while (camera, number) not in held:
                    key, message = next(stream)
                    if key in uses:
                        held[key] = self._fitted(message)
                taken[camera] = held[camera, number]
                uses[camera, number] -= 1
                if not uses[camera, number]:
                    del held[camera, number]
            yield taken

    def _numbered(self) -> Iterator[tuple[tuple[str, int], BagMessage]]:
        counts = dict.fromkeys(self._camera.values(), 0)
        for message in self._bag.messages(self._camera):
            camera = self._camera[message.topic]
            yield (camera, counts[camera]), message
            counts[camera] += 1

    def _fitted(self, message: BagMessage) -> Picture:
        picture, camera = self._decoded(message), self._camera[message.topic]
        height, width = self.sizes[camera]
        if picture.shape[:2] == (height, width):
            return picture
        if self._fit == "exact":
            got = f"{picture.shape[0]} x {picture.shape[1]} pixels"
            allowed = f"{height} x {width}, or --reading.fit scale (or --reading.image-size) to cut and scale"
            raise self._error(message, f"{got}; allowed: {allowed}")
        return fitted(picture, height, width)

    def _decoded(self, message: BagMessage) -> Picture:
        try:
            return picture_of(message.value)
        except ValueError as error:
            raise self._error(message, str(error)) from error

    def _error(self, message: BagMessage, words: str) -> JournalError:
        return JournalError(f"{self._bag.path}: topic {message.topic} at {self._bag.moment(message.received)}: {words}")
