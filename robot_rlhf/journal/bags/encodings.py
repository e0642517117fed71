"""Pictures in the encodings that cameras send them in, as RGB of 8 bits; what they do not tell is not guessed."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

_COLOURS: dict[str, tuple[int, int | None]] = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "8UC1": (1, cv2.COLOR_GRAY2RGB),
    "8UC3": (3, cv2.COLOR_BGR2RGB),
    "8UC4": (4, cv2.COLOR_BGRA2RGB),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
    "bayer_rggb8": (1, cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGRBG2RGB),
}
"""Encoding to bytes per pixel, and OpenCV's conversion to RGB."""

_WHAT: dict[str, str] = {"8UC1": "taken for grey", "8UC3": "taken for bgr8, OpenCV's order", "8UC4": "taken for bgra8"}
"""What is made of encodings that do not name their colours."""

ENCODINGS = (*_COLOURS, "mono16")


def trouble(message: Any, mono16_bits: int) -> str:
    """Why a picture's encoding cannot be made RGB, in words; empty when it can."""
    if not hasattr(message, "encoding"):
        words = str(message.format)
        depth = "compressedDepth" in words or words.startswith(("16UC1", "32FC1"))
        return f"format {words!r} is depth; allowed: pictures in colour or grey" if depth else ""
    encoding = str(message.encoding)
    if encoding in _COLOURS or (encoding == "mono16" and mono16_bits):
        return ""
    if encoding == "mono16":
        return "encoding 'mono16' does not tell how many of its bits are used: --reading.mono16-bits 10, 12, 14 or 16"
    depth = " is depth" if encoding in ("16UC1", "32FC1") else ""
    return f"encoding {encoding!r}{depth}; allowed: {', '.join(ENCODINGS)}"


def remark(message: Any, mono16_bits: int) -> str:
    """What a picture is, for people: its encoding, and what is made of it."""
    if not hasattr(message, "encoding"):
        return str(message.format)
    encoding = str(message.encoding)
    if encoding == "mono16":
        return f"mono16, of which {mono16_bits} bits are scaled to 8"
    return f"{encoding}, {_WHAT[encoding]}" if encoding in _WHAT else encoding


def picture_of(message: Any, mono16_bits: int = 0) -> Picture:
    """RGB of a sensor_msgs/Image or CompressedImage. Shape (H, W, 3).

    Args:
        mono16_bits: of mono16's 16 bits, how many are used; 0: it is not told, and such a picture is refused.

    Raises:
        ValueError: depth, another encoding, fewer bytes than the size says, or bytes that are no picture; in words.
    """
    words = trouble(message, mono16_bits)
    if words:
        raise ValueError(words)
    return _raw(message, mono16_bits) if hasattr(message, "encoding") else _compressed(message)


def _raw(message: Any, mono16_bits: int) -> Picture:
    height, width, encoding = int(message.height), int(message.width), str(message.encoding)
    size, code = _COLOURS.get(encoding, (2, cv2.COLOR_GRAY2RGB))
    data = np.frombuffer(message.data, np.uint8)
    step = int(message.step) or width * size
    if step < width * size or len(data) < height * step or not height or not width:
        raise ValueError(f"{len(data)} bytes in rows of {step} for {height} x {width} pixels of {encoding}")
    rows = np.ascontiguousarray(data[: height * step].reshape(height, step)[:, : width * size])
    if encoding == "mono16":
        high, low = (1, 0) if not message.is_bigendian else (0, 1)
        pairs = rows.reshape(height, width, 2).astype(np.float64)
        levels = (256.0 * pairs[..., high] + pairs[..., low]) * (255.0 / (2**mono16_bits - 1))
        rows, size = np.asarray(np.round(np.minimum(levels, 255.0)), np.uint8), 1
    if size == 2 and width % 2:
        raise ValueError(f"{width} pixels in a row of {encoding}; allowed: an even number")
    pixels = rows.reshape(height, width, size)
    return pixels if code is None else np.asarray(cv2.cvtColor(pixels, code), np.uint8)


def _compressed(message: Any) -> Picture:
    pixels = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError(f"{len(message.data)} bytes of format {str(message.format)!r} that are no picture")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)
