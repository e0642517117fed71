"""What a labeler may see of recorded segments: pictures and senses, how an episode ended, and no reward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Segment
from robot_rlhf.errors import InvalidValueError, RenderError, UnknownNameError


@dataclass(frozen=True)
class EpisodeFacts:
    """What is known about a whole episode."""

    steps: int
    instruction: str
    """What the robot was asked for in the last step."""
    success: bool | None
    """How it ended as labelled today; None where it was cut, or nobody knows."""
    cameras: tuple[str, ...]
    """Those that recorded pictures."""


class Clips(Protocol):
    """Resolves segments to what was recorded. Nothing of the simulator's truth is in it."""

    def facts(self, episode_id: str) -> EpisodeFacts:
        """About an episode. Raises UnknownNameError."""
        ...

    def observations(self, segment: Segment) -> Mapping[str, NDArray[Any]]:
        """What was sensed before each step and after the last: columns of L + 1 rows, named as Episode.observations is.

        Pictures and privileged entries are left out.

        Raises:
            UnknownNameError, InvalidValueError: no such episode, or the segment is not inside it.
        """
        ...

    def frames(self, segment: Segment, camera: str) -> NDArray[np.uint8]:
        """The pictures before each step and after the last. Shape (L + 1, H, W, 3), RGB.

        Raises:
            UnknownNameError, InvalidValueError: no such episode or camera, or the segment is not inside it.
            RenderError: nothing was recorded by this camera there.
        """
        ...


def check_inside(segment: Segment, steps: int) -> None:
    """Raises InvalidValueError for a segment that goes beyond its episode of so many steps."""
    if segment.start + segment.length > steps:
        span = f"steps {segment.start} to {segment.start + segment.length}"
        raise InvalidValueError(f"segment of {segment.episode_id}", span, f"0 to {steps}")


def extended(segment: Segment, clips: Clips, steps: int) -> Segment:
    """The segment and up to `steps` steps of what came after it, as far as the episode goes."""
    left = clips.facts(segment.episode_id).steps - segment.start - segment.length
    return Segment(segment.episode_id, segment.start, segment.length + min(max(left, 0), steps))


def reaches_end(segment: Segment, clips: Clips) -> bool:
    """Whether the segment's last step is the last of its episode."""
    return segment.start + segment.length >= clips.facts(segment.episode_id).steps


def camera_of(clips: Clips, episode_id: str, wanted: str | None) -> str:
    """The wanted camera, or the first one when None.

    Raises:
        RenderError: the episode was recorded without pictures.
        UnknownNameError: not by this camera.
    """
    cameras = clips.facts(episode_id).cameras
    if not cameras:
        raise RenderError(f"episode {episode_id} has no pictures; record with --cameras front")
    if wanted is not None and wanted not in cameras:
        raise UnknownNameError("camera", wanted, cameras)
    return wanted or cameras[0]
