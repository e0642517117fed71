"""A person at a terminal compares clips: by pictures in a file or a window, and keys; also over ssh."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Segment
from robot_rlhf.errors import RenderError
from robot_rlhf.ports import Comparison
from robot_rlhf.rewards.labelers.vlm import moments_of
from robot_rlhf.rewards.pairs import Clips, camera_of

MOMENTS = 6
"""Pictures per clip."""
TILE = 128
"""Least height of a picture, pixels."""
GAP = 6
BAND = 20
"""Height of the line of text above a clip, pixels."""
KEYS: dict[str, Comparison] = {"l": "left", "r": "right", "e": "equal", "s": "skip"}
HELP = "l: the upper is better, r: the lower, e: equally good, s: skip, q: end"


class EndedByPersonError(Exception):
    """The person has had enough."""


class TerminalPerson:
    """A Labeler that is a person: LEFT is the upper row of pictures, RIGHT the lower one."""

    def __init__(
        self,
        clips: Clips,
        picture: Path,
        *,
        read: Callable[[str], str],
        camera: str | None = None,
        window: Callable[[NDArray[np.uint8]], None] | None = None,
    ) -> None:
        """Args:
        clips: what was recorded.
        picture: PNG file that shows the present pair.
        read: shows a prompt, and returns a line; for example `input`.
        camera: whose pictures are shown; None: the first one.
        window: also shows each pair, where there is a screen.
        """
        self._clips = clips
        self._picture = picture
        self._camera = camera
        self._read = read
        self._window = window
        self._count = 0

    def compare(self, left: Segment, right: Segment) -> Comparison:
        """Ask until there is an answer.

        Raises:
            EndedByPersonError: the person ends it, or the terminal is gone.
            RenderError, UnknownNameError: no pictures, or not by this camera.
        """
        self._count += 1
        self._show(below(self._row("l: LEFT", left), self._row("r: RIGHT", right)))
        while True:
            key = self._asked(f"{self._count}. {self._picture}  [l/r/e/s, q to end, ? for help] ")
            if key in KEYS:
                return KEYS[key]

    def judge(self, segment: Segment) -> float | None:
        """Whether the task is done at the clip's end."""
        self._count += 1
        self._show(self._row("done?", segment))
        while True:
            key = self._asked(f"{self._count}. {self._picture}  done at the end? [y/n/s, q to end] ")
            if key in ("y", "n", "s"):
                return {"y": 1.0, "n": 0.0, "s": None}[key]

    def close(self) -> None:
        """Take the picture away."""
        self._picture.unlink(missing_ok=True)

    def _asked(self, prompt: str) -> str:
        try:
            line = self._read(prompt).strip().lower()
        except EOFError:
            raise EndedByPersonError from None
        if line in ("q", "quit"):
            raise EndedByPersonError
        if line == "?":
            return self._asked(HELP + "\n" + prompt)
        return line[:1] if line in (*KEYS.values(), "yes", "no") else line

    def _row(self, name: str, segment: Segment) -> NDArray[np.uint8]:
        camera = camera_of(self._clips, segment.episode_id, self._camera)
        frames = self._clips.frames(segment, camera)
        facts = self._clips.facts(segment.episode_id)
        span = f"{segment.start} to {segment.start + segment.length} of {facts.steps}"
        text = f"{name}   {facts.instruction}   {segment.episode_id}, steps {span}"
        return strip(frames[moments_of(len(frames), MOMENTS)], text)

    def _show(self, picture: NDArray[np.uint8]) -> None:
        write_png(self._picture, picture)
        if self._window is not None:
            self._window(picture)


def strip(frames: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """Pictures side by side below a line of text, small ones enlarged.

    Args:
        frames: shape (N, H, W, 3), RGB.
        text: ASCII.

    Returns:
        uint8 (H', W', 3), as wide for an equal number of equal frames.
    """
    scale = -(-TILE // frames.shape[1])
    large = frames.repeat(scale, axis=1).repeat(scale, axis=2)
    _, height, width, _ = large.shape
    canvas = np.zeros((BAND + height + GAP, len(large) * (width + GAP) - GAP, 3), np.uint8)
    for i, frame in enumerate(large):
        left = i * (width + GAP)
        canvas[BAND : BAND + height, left : left + width] = frame
    cv2.putText(canvas, text, (4, BAND - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return canvas


def below(upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One picture below another, both uint8 (H, W, 3); the narrower one gets a black margin."""
    width = max(upper.shape[1], lower.shape[1])
    return np.concatenate([np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0))) for p in (upper, lower)])


def write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Replace a file whole, so that a viewer that follows it never reads half a picture.

    Raises:
        RenderError: it cannot be written.
    """
    scratch = path.with_name(f".{path.stem}.part.png")
    try:
        ok = cv2.imwrite(str(scratch), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        if not ok:
            raise RenderError(f"{path}: the pictures of a pair cannot be written")
        scratch.replace(path)
    except (OSError, cv2.error) as error:
        raise RenderError(f"{path}: the pictures of a pair cannot be written ({error})") from error


def open_window() -> Callable[[NDArray[np.uint8]], None] | None:
    """Something that shows pictures in a window; None where there is no screen, or matplotlib knows no way to one."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return None
    import matplotlib.pyplot as plt

    if plt.get_backend().lower() in ("agg", "pdf", "svg", "ps", "cairo", "template"):
        return None
    plt.ion()
    figure: Any = plt.figure("robot-rlhf label", figsize=(12, 5))

    def show(picture: NDArray[np.uint8]) -> None:
        figure.clear()
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.imshow(picture)
        plt.pause(0.05)

    return show
