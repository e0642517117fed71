"""The pictures of a journal as JPEG, decoded when a page asks for them."""

from __future__ import annotations

import threading
from collections import OrderedDict

import cv2
import numpy as np

from robot_rlhf.errors import JournalError
from robot_rlhf.journal.decoder import PicturePlace
from robot_rlhf.journal.sensors import ImageTopic

JPEG_QUALITY = 85
CACHE_BYTES = 64 << 20
"""Of JPEG pictures that are kept: some 8,000 of 128 x 128."""


class RecordedPictures:
    """Pictures stay on disk; of those asked for, the last are kept. May be used from any thread."""

    def __init__(self, cache_bytes: int = CACHE_BYTES) -> None:
        self._cache = PictureCache(cache_bytes)
        self._topics: dict[str, ImageTopic] = {}
        self._lock = threading.Lock()

    def jpeg(self, episode: int, step: int, camera: str, place: PicturePlace) -> bytes:
        """One picture.

        Args:
            episode, step, camera: name it.
            place: where it is.

        Raises:
            JournalError: the file cannot be read, or holds another picture there.
        """
        key = (episode, step, camera)
        jpeg = self._cache.get(key)
        if jpeg is None:
            jpeg = _jpeg(self._topic(camera).decode(place.read()))
            self._cache.put(key, jpeg)
        return jpeg

    def _topic(self, camera: str) -> ImageTopic:
        with self._lock:
            if camera not in self._topics:
                self._topics[camera] = ImageTopic(camera)
            return self._topics[camera]


class PictureCache:
    """The pictures asked for last, up to a number of bytes."""

    def __init__(self, limit: int) -> None:
        self.bytes = 0
        self._limit = limit
        self._kept: OrderedDict[tuple[int, int, str], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[int, int, str]) -> bytes | None:
        with self._lock:
            picture = self._kept.get(key)
            if picture is not None:
                self._kept.move_to_end(key)
            return picture

    def put(self, key: tuple[int, int, str], picture: bytes) -> None:
        with self._lock:
            self.bytes += len(picture) - len(self._kept.pop(key, b""))
            self._kept[key] = picture
            while self.bytes > self._limit:
                _, oldest = self._kept.popitem(last=False)
                self.bytes -= len(oldest)


def _jpeg(picture: np.ndarray) -> bytes:
    """Args: picture uint8 (H, W, 3), RGB."""
    ok, jpeg = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
    if not ok:
        raise JournalError(f"a picture of shape {picture.shape} that JPEG cannot hold")
    return jpeg.tobytes()
