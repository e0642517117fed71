"""Exports episodes as a LeRobotDataset v3.0: parquet tables, JSON descriptions, and one video per camera."""

# pyarrow carries no types: what comes from it is unknown to pyright.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.episode import Episode
from robot_rlhf.journal.columns import (
    AUTHORITY,
    GIVEN,
    SPOKEN,
    Extras,
    column_names,
    robot_words,
    state_columns,
    succeeded,
)
from robot_rlhf.journal.recorded import Recorded
from robot_rlhf.journal.statistics import PictureHistogram, Statistics, statistics

CODEBASE_VERSION = "v3.0"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-000/file-000.parquet"
_QUALITY = "18"
"""x264's constant rate factor: visually lossless. The journal itself stays exact."""

Json = dict[str, Any]


class Video:
    """The pictures of one camera over all episodes, as one MP4 file."""

    def __init__(self, path: Path, fps: Fraction, height: int, width: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.frames = 0
        # By the file and not by its name, which a locale without UTF-8 may be unable to say.
        self._file = path.open("wb")
        self._container = av.open(self._file, "w", format="mp4")
        stream: Any = self._container.add_stream("libx264", rate=fps, options={"crf": _QUALITY, "g": "2"})
        stream.width, stream.height = width, height
        # Halved colour planes need even sides.
        self.pixel_format = "yuv420p" if width % 2 == 0 and height % 2 == 0 else "yuv444p"
        stream.pix_fmt = self.pixel_format
        stream.time_base = 1 / fps
        self._stream = stream

    def add(self, picture: NDArray[np.uint8]) -> None:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts = self.frames
        self.frames += 1
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Raises OSError when the last pictures cannot be written."""
        with self._file:
            try:
                self._container.mux(self._stream.encode(None))
            finally:
                self._container.close()

    def abandon(self) -> None:
        """Let go of the file, whatever it holds."""
        with contextlib.suppress(OSError), self._file:
            self._container.close()


def frames_of(episode: Episode, include_privileged: bool) -> dict[str, NDArray[Any]]:
    """The features of an episode's T frames by name, without the indices. Each (T, size)."""
    length = len(episode)
    groups: dict[str, list[NDArray[np.float32]]] = {}
    for name, column in state_columns(episode, include_privileged=include_privileged):
        group = "observation.privileged" if name.startswith("privileged/") else "observation.state"
        groups.setdefault(group, []).append(column[:length])
    last = np.zeros(length, bool)
    last[-1] = True
    features: dict[str, NDArray[Any]] = {name: np.concatenate(parts, axis=1) for name, parts in groups.items()}
    features["action"] = episode.executed
    # NaN has no place in a table that others read: where no policy was asked stands what was done.
    asked: NDArray[np.bool_] = np.isfinite(episode.proposed).all(axis=1).reshape(-1, 1)
    features["policy_action"] = np.where(asked, episode.proposed, episode.executed)
    features["policy_asked"] = asked
    features["intervention"] = episode.by_human[:, None]
    features["driver"] = episode.driver.astype(np.int64)[:, None]
    features["next.reward"] = episode.reward[:, None]
    features["next.done"] = (episode.terminated | episode.truncated | last)[:, None]
    features["next.truncated"] = (episode.truncated | (last & ~episode.terminated))[:, None]
    features["next.success"] = (last & succeeded(episode))[:, None]
    if include_privileged:
        features["gold_reward"] = episode.gold_reward[:, None]
    return features


def extra_frames(episode: Episode, extras: Extras, spec: RobotSpec) -> dict[str, NDArray[Any]]:
    """What only some journals' steps have, and where it is given. Each (T, size).

    NaN has no place here either: where a step has no vector of the context stands 0, and where no shares were told the
    driver's whole one.
    """
    features: dict[str, NDArray[Any]] = {}
    for name, values, _ in extras.columns(episode, spec):
        given: NDArray[np.bool_] = np.isfinite(values).all(axis=1).reshape(-1, 1)
        rest = episode.by_human[:, None].astype(np.float32) if name == AUTHORITY else np.float32(0.0)
        features[name] = np.where(given, values, rest).astype(np.float32)
        features[f"{GIVEN}{name}"] = given
    if extras.spoken:
        features[SPOKEN] = np.array(extras.sentences(episode), object)[:, None]
    return features


class DatasetWriter:
    """Writes one episode after another into a new folder."""

    def __init__(self, spec: RobotSpec, target: Path, *, extras: Extras, include_privileged: bool) -> None:
        self._rate = 1 / Fraction(spec.control_period).limit_denominator(1_000_000)
        self._spec = spec
        self._target = target
        self._extras = extras
        self._include_privileged = include_privileged
        self._features: Json = {}
        self._tasks: dict[str, int] = {}
        self._videos: dict[str, Video] = {}
        self._table: pq.ParquetWriter | None = None
        self._rows_file: IO[bytes] | None = None
        self._rows: list[Json] = []
        self._histograms: dict[str, PictureHistogram] = {}
        self.frames = 0

    @property
    def episodes(self) -> int:
        return len(self._rows)

    @property
    def fps(self) -> int | float:
        """A whole number where the control period allows."""
        return self._rate.numerator if self._rate.denominator == 1 else float(self._rate)

    def add(self, told: Recorded) -> None:
        episode = told.episode
        length = len(episode)
        columns = frames_of(episode, self._include_privileged) | extra_frames(episode, self._extras, self._spec)
        index = np.arange(length)
        tasks = [self._tasks.setdefault(text, len(self._tasks)) for text in episode.instructions]
        columns["timestamp"] = (index / self.fps).astype(np.float32)[:, None]
        columns["frame_index"] = index[:, None]
        columns["episode_index"] = np.full((length, 1), self.episodes)
        columns["index"] = (index + self.frames)[:, None]
        columns["task_index"] = np.array(tasks, np.int64)[:, None]
        if not self._features:
            self._features = {name: self._describe(name, column, episode) for name, column in columns.items()}
        self._write_rows(columns)
        computed = {name: statistics(column) for name, column in columns.items() if name != SPOKEN}
        row: Json = {
            "episode_index": self.episodes,
            "tasks": list(dict.fromkeys(episode.instructions)),
            "length": length,
            "episode_id": episode.meta.id,
            "success": succeeded(episode),
            "kind": episode.meta.kind.value,
            "outcome": "" if episode.end is None else episode.end.outcome.value,
            "skill": episode.meta.task,
            "operator": episode.meta.operator,
            "reward_source": episode.meta.reward_source,
            "data/chunk_index": 0,
            "data/file_index": 0,
            "dataset_from_index": self.frames,
            "dataset_to_index": self.frames + length,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }
        histograms: dict[str, PictureHistogram] = {}
        for pictures in itertools.islice(told.pictures, length):
            for camera, picture in pictures.items():
                key = f"observation.images.{camera}"
                self._video(key, picture.shape).add(picture)
                histograms.setdefault(key, PictureHistogram()).add(picture)
        for key, histogram in histograms.items():
            row |= self._place(key, histogram.pictures)
            computed[key] = histogram.statistics()
            self._histograms.setdefault(key, PictureHistogram()).include(histogram)
        for name, values in computed.items():
            row |= {f"stats/{name}/{statistic}": value.tolist() for statistic, value in values.items()}
        self._rows.append(row)
        self.frames += length

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write what is known only at the end; without it there is no dataset."""
        with contextlib.ExitStack() as files:
            for video in self._videos.values():
                files.callback(video.close if error is None else video.abandon)
            if self._rows_file is not None:
                files.callback(self._rows_file.close)
            if self._table is not None and error is None:
                files.callback(self._table.close)
        if error is None:
            self._describe_all()

    def _describe_all(self) -> None:
        episodes = self._target / EPISODES_PATH
        episodes.parent.mkdir(parents=True, exist_ok=True)
        _write_table(episodes, pa.Table.from_pylist(self._rows))
        _write_table(self._target / "meta/tasks.parquet", _task_table(self._tasks))
        overall = {
            name: {statistic: value.tolist() for statistic, value in found.items()} for name, found in self._overall()
        }
        _write_json(self._target / "meta/stats.json", overall)
        _write_json(self._target / "meta/info.json", self._info())

    def _describe(self, name: str, column: NDArray[Any], episode: Episode) -> Json:
        names: list[str] | None = None
        if name in ("action", "policy_action"):
            names = list(self._spec.action.names)
        elif name.startswith("observation."):
            private = name == "observation.privileged"
            names = [
                entry
                for part, values in state_columns(episode, include_privileged=self._include_privileged)
                if part.startswith("privileged/") == private
                for entry in column_names(self._spec, part, values.shape[1])
            ]
        else:
            told = {key: entries for key, _, entries in self._extras.columns(episode, self._spec)}
            names = told.get(name)
        return {"dtype": "string" if name == SPOKEN else str(column.dtype), "shape": [column.shape[1]], "names": names}

    def _write_rows(self, columns: dict[str, NDArray[Any]]) -> None:
        arrays: dict[str, pa.Array] = {}
        for name, column in columns.items():
            flat = pa.array(column.reshape(-1))
            size = column.shape[1]
            # What is declared with shape (1,) is read as plain values.
            arrays[name] = flat if size == 1 else pa.FixedSizeListArray.from_arrays(flat, size)
        table = pa.table(arrays)
        if self._table is None:
            path = self._target / DATA_PATH.format(chunk_index=0, file_index=0)
            path.parent.mkdir(parents=True)
            self._rows_file = path.open("wb")
            self._table = pq.ParquetWriter(self._rows_file, table.schema)
        self._table.write_table(table)

    def _video(self, key: str, shape: tuple[int, ...]) -> Video:
        if key not in self._videos:
            height, width, _ = shape
            path = self._target / VIDEO_PATH.format(video_key=key, chunk_index=0, file_index=0)
            self._videos[key] = Video(path, self._rate, height, width)
            self._features[key] = {
                "dtype": "video",
                "shape": [height, width, 3],
                "names": ["height", "width", "channels"],
                "info": {
                    "video.height": height,
                    "video.width": width,
                    "video.codec": "h264",
                    "video.pix_fmt": self._videos[key].pixel_format,
                    "video.is_depth_map": False,
                    "video.fps": self.fps,
                    "video.channels": 3,
                    "has_audio": False,
                },
            }
        return self._videos[key]

    def _place(self, key: str, pictures: int) -> Json:
        """Where in its camera's video an episode is whose pictures were the last ones added."""
        end = self._videos[key].frames
        return {
            f"videos/{key}/chunk_index": 0,
            f"videos/{key}/file_index": 0,
            f"videos/{key}/from_timestamp": (end - pictures) / self.fps,
            f"videos/{key}/to_timestamp": end / self.fps,
        }

    def _overall(self) -> Iterator[tuple[str, Statistics]]:
        """Statistics of all frames: of each column as it was written, one in memory at a time."""
        path = self._target / DATA_PATH.format(chunk_index=0, file_index=0)
        for name, feature in self._features.items():
            if name == SPOKEN:  # of words there are no statistics
                continue
            if name in self._histograms:
                yield name, self._histograms[name].statistics()
                continue
            with path.open("rb") as file:
                column = pq.read_table(file, columns=[name])[name].combine_chunks()
            flat = column if feature["shape"] == [1] else column.flatten()
            yield name, statistics(flat.to_numpy(zero_copy_only=False).reshape(-1, feature["shape"][0]))

    def _info(self) -> Json:
        return {
            "codebase_version": CODEBASE_VERSION,
            "robot_type": "robot_rlhf",
            "total_episodes": self.episodes,
            "total_frames": self.frames,
            "total_tasks": len(self._tasks),
            "chunks_size": 1000,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 200,
            "fps": self.fps,
            "splits": {"train": f"0:{self.episodes}"},
            "data_path": DATA_PATH,
            "video_path": VIDEO_PATH if self._videos else None,
            "features": self._features,
            # Not LeRobot's: what the numbers mean, for whoever reads them back.
            "robot_rlhf": robot_words(self._spec),
        }


def _task_table(tasks: dict[str, int]) -> pa.Table:
    """Tasks as pandas writes them with the text as index: readers look them up by text."""

    def column(name: str, kind: str, numpy_kind: str) -> Json:
        return {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy_kind, "metadata": None}

    description = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [column("task_index", "int64", "int64"), column("task", "unicode", "object")],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    table = pa.table({"task_index": pa.array(tasks.values(), pa.int64()), "task": pa.array(tasks.keys(), pa.string())})
    return table.replace_schema_metadata({"pandas": json.dumps(description)})


def _write_table(path: Path, table: pa.Table) -> None:
    with path.open("wb") as file:
        pq.write_table(table, file)


def _write_json(path: Path, value: Json) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=4, ensure_ascii=False) + "\n", encoding="utf-8")


def write_lerobot(
    told: Iterable[Recorded], spec: RobotSpec, target: Path, *, extras: Extras, include_privileged: bool
) -> tuple[int, int]:
    """A dataset folder with data, meta and, where there are cameras, videos."""
    writer = DatasetWriter(spec, target, extras=extras, include_privileged=include_privileged)
    with writer:
        for episode in told:
            writer.add(episode)
    return writer.episodes, writer.frames
