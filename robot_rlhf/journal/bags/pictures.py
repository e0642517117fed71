"""Pictures of a bag's camera topics: when they were taken, and those that are wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import cv2
import numpy as np

from robot_rlhf.errors import JournalError
from robot_rlhf.journal.bags.encodings import Picture, picture_of, remark
from robot_rlhf.journal.bags.series import BagClock, Order, Times
from robot_rlhf.journal.bags.source import Bag, BagMessage

RAW = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"


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
        mono16_bits: int = 0,
    ) -> None:
        """
        Args:
            topics: camera name to topic.
            sizes: camera name to wanted height and width; one without is as large as its first picture.
            fit: what becomes of another size: an error, or cut to shape in the middle and scaled.
            mono16_bits: see `encodings.picture_of`.
        """
        self._bag = bag
        self._clock = clock
        self._fit = fit
        self._camera = {topic: name for name, topic in topics.items()}
        self._mono16_bits = mono16_bits
        self._times: dict[str, list[int]] = {name: [] for name in topics}
        self._orders = {name: Order() for name in topics}
        self.sizes = dict(sizes)
        """Camera name to height and width of what `pictures` gives; all known once a picture of each was added."""
        self.remarks: dict[str, str] = {}
        """Camera name to what its first picture is, for people."""

    def add(self, message: BagMessage) -> None:
        """Note when a picture came. Raises JournalError when time goes far backwards."""
        camera = self._camera[message.topic]
        if self._clock == "stamp" and not message.stamp:
            raise self._error(message, "no stamp in its header; allowed with --reading.clock received only")
        try:
            self._orders[camera].add(message.stamp)
        except ValueError as error:
            raise self._error(message, str(error)) from error
        self._times[camera].append(message.stamp if self._clock == "stamp" else message.received)
        if camera not in self.remarks:
            height, width = self._decoded(message).shape[:2]
            self.remarks[camera] = f"{height} x {width}, {remark(message.value, self._mono16_bits)}"
            self.sizes.setdefault(camera, (height, width))

    def times(self) -> dict[str, Times]:
        """Nanoseconds of each picture in the order of receiving, per camera.

        Raises:
            JournalError: a camera has none, or two publishers told it.
        """
        for topic, camera in self._camera.items():
            if not self._times[camera]:
                raise JournalError(f"{self._bag.path}: topic {topic}: no picture of camera {camera!r}")
            self.disorder(camera)
        return {camera: np.array(times, np.int64) for camera, times in self._times.items()}

    def disorder(self, camera: str) -> str:
        """What was out of order in a camera's headers, for people. Raises JournalError when two publishers told it."""
        try:
            return self._orders[camera].words()
        except ValueError as error:
            topic = next(topic for topic, name in self._camera.items() if name == camera)
            raise JournalError(f"{self._bag.path}: topic {topic}: {error}") from error

    def pictures(self, wanted: Sequence[Mapping[str, int]]) -> Iterator[dict[str, Picture]]:
        """The pictures of each moment, in one pass over the bag.

        Args:
            wanted: per moment, camera name to number of the picture, in the order of receiving.

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
            return picture_of(message.value, self._mono16_bits)
        except ValueError as error:
            raise self._error(message, str(error)) from error

    def _error(self, message: BagMessage, words: str) -> JournalError:
        return JournalError(f"{self._bag.path}: topic {message.topic} at {self._bag.moment(message.received)}: {words}")
