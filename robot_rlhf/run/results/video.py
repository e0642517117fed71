"""Videos of episodes: H.264 by PyAV, tiled into a grid."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import EpisodeEnd, EpisodeMeta, Event, Observation, Outcome, Step
from robot_rlhf.errors import RenderError
from robot_rlhf.place import View
from robot_rlhf.ports import TrainablePolicy
from robot_rlhf.run.build import build_station, open_twin
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.runtime.evaluation import evaluate

Picture = NDArray[np.uint8]
TILE = 240
"""Height and width of one episode in the grid, pixels."""
HOLD = 20
"""Frames for which the end of the longest episode stays on the screen."""
BORDER = 5
SUCCESS_COLOUR = (16, 185, 129)
FAILURE_COLOUR = (220, 38, 38)
FIRST = 2_000_000
"""Number of the first filmed evaluation episode: starts of their own."""


class Film:
    """A Subscriber that takes a picture of the simulation at every step, whatever the policy itself looks at."""

    def __init__(self, view: View, camera: str = "front", size: int = TILE) -> None:
        self._view = view
        self._camera = camera
        self._size = size
        self._frames: list[Picture] = []
        self.episodes: list[tuple[list[Picture], bool]] = []
        """Pictures and success per episode."""

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._frames = [self._take()]

    def on_step(self, step: Step) -> None:
        self._frames.append(self._take())

    def on_event(self, event: Event) -> None:
        """Nothing to film."""

    def on_episode_end(self, end: EpisodeEnd) -> None:
        self.episodes.append((self._frames, end.outcome is Outcome.SUCCESS))

    def _take(self) -> Picture:
        return self._view(self._camera, self._size, self._size)


def write_rollouts(path: Path, config: TrainConfig, policy: TrainablePolicy, episodes: int) -> None:
    """Film unaided episodes and write them as one grid.

    Raises:
        RenderError: this machine cannot render, or cannot encode H.264.
    """
    with ExitStack() as stack:
        twin = open_twin(config)
        if twin is not None:
            stack.callback(twin.close)
        if twin is None or twin.view is None:
            raise RenderError(f"place {config.place.kind}: has no twin that could be filmed")
        film = Film(twin.view)
        station = build_station(config, twin, policy)
        evaluate(station, episodes=episodes, seed=config.seed, first=FIRST, subscribers=(film,))
        period = twin.spec.control_period
    write_video(path, grid(film.episodes, period), round(1.0 / period))


def grid(episodes: Sequence[tuple[list[Picture], bool]], period: float) -> Iterable[Picture]:
    """Frames of all episodes side by side; one that has ended keeps its last picture, framed by its outcome."""
    columns = math.ceil(math.sqrt(len(episodes)))
    rows = math.ceil(len(episodes) / columns)
    tile = episodes[0][0][0].shape[0]
    ended = [_outcome_tile(frames[-1], success, (len(frames) - 1) * period) for frames, success in episodes]
    longest = max(len(frames) for frames, _ in episodes)
    for t in range(longest + HOLD):
        canvas = np.zeros((rows * tile, columns * tile, 3), np.uint8)
        for number, (frames, _) in enumerate(episodes):
            top, left = (number // columns) * tile, (number % columns) * tile
            canvas[top : top + tile, left : left + tile] = frames[t] if t < len(frames) - 1 else ended[number]
        yield canvas


def _outcome_tile(picture: Picture, success: bool, seconds: float) -> Picture:
    import cv2

    tile = picture.copy()
    size = tile.shape[0]
    colour = SUCCESS_COLOUR if success else FAILURE_COLOUR
    band = max(18, size // 11)
    cv2.rectangle(tile, (0, size - band), (size, size), colour, -1)
    cv2.rectangle(tile, (BORDER // 2, BORDER // 2), (size - 1 - BORDER // 2, size - 1 - BORDER // 2), colour, BORDER)
    text = f"{'success' if success else 'failure'}  {seconds:.1f} s"
    place = (BORDER + 5, size - band // 2 + 4)
    cv2.putText(tile, text, place, cv2.FONT_HERSHEY_SIMPLEX, size / 500, (255, 255, 255), 1, cv2.LINE_AA)
    return tile


def write_video(path: Path, frames: Iterable[Picture], rate: int) -> int:
    """Encode RGB pictures of one even size as H.264; returns the number of frames.

    A file of that name is replaced only by a whole new one.

    Raises:
        RenderError: no H.264 encoder here, or nothing to encode.
    """
    import av
    from av.error import FFmpegError

    scratch = path.with_name(f".{path.stem}.part.mp4")
    count = 0
    try:
        with av.open(str(scratch), "w") as container:
            stream = None
            for frame in frames:
                if stream is None:
                    stream = container.add_stream("libx264", rate=rate, options={"crf": "23", "preset": "veryfast"})
                    stream.height, stream.width = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2
                    stream.pix_fmt = "yuv420p"
                even = np.ascontiguousarray(frame[: stream.height, : stream.width])
                container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
                count += 1
            if stream is None:
                raise RenderError(f"{path}: no frames to encode")
            container.mux(stream.encode())
        scratch.replace(path)
    except (FFmpegError, ValueError) as error:
        raise RenderError(f"{path}: cannot encode H.264 ({error})") from error
    finally:
        scratch.unlink(missing_ok=True)
    return count
