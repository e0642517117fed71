"""Reads a LeRobotDataset v3.0 whose columns are named as our export names them."""

# pyarrow carries no types: what comes from it is unknown to pyright.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from robot_rlhf.datatypes import EpisodeKind, RobotSpec
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.columns import AUTHORITY, CONTEXT, GIVEN, SPOKEN, of_key, robot_of
from robot_rlhf.journal.datasets.told import WITHOUT, Rows, ToldData, ToldEpisode, entries
from robot_rlhf.journal.recorded import Pictures

INFO = "meta/info.json"
ROBOT = "robot_rlhf"
"""Entry of the description that holds our robot."""
NEEDED = ("observation.state", "next.reward", "next.done")
DEMONSTRATION = EpisodeKind.DEMONSTRATION.value
_IMAGES = "observation.images."

Json = dict[str, Any]


class LeRobotData:
    """A data set's folder."""

    def __init__(self, path: Path, *, actions: bool = True) -> None:
        """
        Args:
            actions: False where none are taken.

        Raises:
            JournalError: another version, or one that lacks columns.
        """
        self._path = path
        self._info: Json = json.loads((path / INFO).read_text(encoding="utf-8"))
        version = str(self._info.get("codebase_version"))
        if not version.startswith("v3."):
            raise JournalError(
                f"{path}: a data set of version {version}; allowed: v3.0, which LeRobot converts older ones to"
            )
        features: Json = self._info["features"]
        lacking = [name for name in NEEDED if name not in features]
        if actions and "action" not in features:
            lacking.append(f"action ({WITHOUT})")
        if actions and "driver" not in features and "intervention" not in features:
            lacking.append("driver (or intervention)")
        if lacking:
            raise JournalError(f"{path}: it lacks {', '.join(lacking)}")
        self._acts = actions
        self._features = features
        self._cameras = {name.removeprefix(_IMAGES): name for name in features if name.startswith(_IMAGES)}
        robot = self._info.get(ROBOT)
        self.told = ToldData(
            robot=None if robot is None else robot_of(robot),
            period=1.0 / float(self._info["fps"]),
            action_names=tuple(_names(features["action"])) if actions else (),
            cameras={
                camera: (f["shape"][0], f["shape"][1]) for camera, n in self._cameras.items() if (f := features[n])
            },
            columns=tuple(_names(features["observation.state"])),
        )

    def episodes(self, spec: RobotSpec) -> Iterator[ToldEpisode]:
        """The episodes in order. Args: spec: the robot, checked against `told`."""
        tasks = _table(self._path / "meta/tasks.parquet").to_pydict()
        words = dict(zip(tasks["task_index"], tasks.get("task") or tasks["__index_level_0__"], strict=True))
        file, table = None, pa.table({})
        for row in self._rows():
            place = self._info["data_path"].format(
                chunk_index=row["data/chunk_index"], file_index=row["data/file_index"]
            )
            if place != file:
                file, table = place, _table(self._path / place)
                _check_spoken(self._path / place, table)
            number = row["episode_index"]
            chosen = table.filter(pc.field("episode_index") == number)
            if not len(chosen):
                raise JournalError(f"{self._path}: episode {number} has no frames in {place}")
            yield self._episode(spec, row, chosen, words)

    def _rows(self) -> list[Json]:
        found: list[Json] = []
        for file in sorted((self._path / "meta/episodes").rglob("*.parquet")):
            found += _table(file, without="stats/").to_pylist()
        return sorted(found, key=lambda row: row["episode_index"])

    def _episode(self, spec: RobotSpec, row: Json, table: Any, words: Mapping[int, str]) -> ToldEpisode:
        steps = len(table)
        state = _matrix(table, "observation.state")
        state = np.concatenate([state, state[-1:]])  # the observation after the last step is not part of this format
        acts = self._acts_of(spec, table)
        by_person = _column(table, "intervention", np.full(steps, row.get("kind") == DEMONSTRATION)).astype(np.int64)
        done, cut = _column(table, "next.done", np.zeros(steps)), _column(table, "next.truncated", None)
        success = bool(row.get("success"))
        places = {name: i for i, name in enumerate(self.told.columns)}
        return ToldEpisode(
            where=f"{self._path}: episode {row['episode_index']}",
            id=str(row.get("episode_id") or ""),
            task=str(row.get("skill") or ""),
            kind=str(row.get("kind") or ""),
            outcome=str(row.get("outcome") or ("success" if success else "")),
            operator=str(row.get("operator") or ""),
            reward_source=str(row.get("reward_source") or ""),
            columns={c: state[:, [places[n] for n in names]] for c, names in entries(spec).items()},
            executed=acts[0],
            proposed=acts[1],
            driver=_column(table, "driver", by_person).astype(np.int64),
            reward=_column(table, "next.reward", np.zeros(steps)).astype(np.float32),
            terminated=bool(done[-1]) and (success if cut is None else not bool(cut[-1])),
            instructions=[words[i] for i in table["task_index"].to_pylist()],
            pictures=self._pictures(row, steps),
            context={
                of_key(name.removeprefix(CONTEXT)): _given(table, name)
                for name in self._features
                if name.startswith(CONTEXT)
            },
            authority=acts[2],
            spoken=[said or "" for said in table[SPOKEN].to_pylist()] if SPOKEN in table.column_names else (),
        )

    def _acts_of(self, spec: RobotSpec, table: Any) -> tuple[Rows | None, Rows, Rows | None]:
        """What was executed, what the policy wished (NaN: nothing asked), and the person's shares. Each (T, m)."""
        if not self._acts:
            return None, np.full((len(table), spec.action.size), np.nan, np.float32), None
        order = [self.told.action_names.index(name) for name in spec.action.names]
        executed = _matrix(table, "action")[:, order]
        asked = _column(table, "policy_asked", np.zeros(len(table), bool)).astype(bool)
        wished = _matrix(table, "policy_action")[:, order] if "policy_action" in self._features else executed
        shares = _given(table, AUTHORITY)[:, order] if AUTHORITY in self._features else None
        return executed, np.where(asked.reshape(-1, 1), wished, np.float32(np.nan)).astype(np.float32), shares

    def _pictures(self, row: Json, steps: int) -> Iterator[Pictures]:
        """T + 1 moments, the last one twice, as the state."""
        streams = {camera: self._frames(row, name, steps) for camera, name in self._cameras.items()}
        last: dict[str, NDArray[np.uint8]] = {}
        for _ in range(steps):
            last = {camera: next(stream) for camera, stream in streams.items()}
            yield last
        yield last

    def _frames(self, row: Json, name: str, steps: int) -> Iterator[NDArray[np.uint8]]:
        key = f"videos/{name}"
        numbers = {"chunk_index": row[f"{key}/chunk_index"], "file_index": row[f"{key}/file_index"]}
        path = self._path / self._info["video_path"].format(video_key=name, **numbers)
        begin, half = float(row[f"{key}/from_timestamp"]), 0.5 * self.told.period
        left = steps
        with path.open("rb") as file, contextlib.closing(_video(file)) as video:
            stream: Any = video.streams.video[0]
            video.seek(int(max(begin - half, 0.0) / stream.time_base), stream=stream, backward=True)
            for frame in video.decode(stream):
                if float(frame.time or 0.0) < begin - half:
                    continue
                yield frame.to_ndarray(format="rgb24")
                left -= 1
                if not left:
                    return
        raise JournalError(f"{path}: {left} pictures of episode {row['episode_index']} are missing")


def _table(path: Path, without: str = "") -> Any:
    """A file's columns, but for those whose names begin so. By the file, as the export writes it."""
    with path.open("rb") as file:
        source = pq.ParquetFile(file)
        names: list[str] = source.schema_arrow.names
        return source.read([name for name in names if not without or not name.startswith(without)])


def _check_spoken(path: Path, table: Any) -> None:
    """Raises JournalError where a column called so holds something else than text, as somebody else's may; text may be
    encoded by a dictionary, and a column in which nothing was ever said be of nulls."""
    told = table.schema.field(SPOKEN).type if SPOKEN in table.column_names else pa.string()
    kind = told.value_type if pa.types.is_dictionary(told) else told
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        raise JournalError(
            f"{path}: column {SPOKEN} holds {told}; allowed: strings, the sentence that decided each step (rename it)"
        )


def _video(file: IO[bytes]) -> Any:
    """A file of pictures; its own types cannot tell reading from writing."""
    return av.open(file)


def _names(feature: Json) -> list[str]:
    """Of a feature's entries; empty where they are not told one by one."""
    names = feature.get("names")
    return [str(name) for name in names] if isinstance(names, list) else []


def _matrix(table: Any, name: str) -> NDArray[np.float32]:
    return np.stack(table[name].to_numpy()).astype(np.float32).reshape(len(table), -1)


def _given(table: Any, name: str) -> NDArray[np.float32]:
    """A column with rows of NaN where it is not given."""
    given = _column(table, f"{GIVEN}{name}", np.ones(len(table), bool)).astype(bool)
    return np.where(given.reshape(-1, 1), _matrix(table, name), np.float32(np.nan)).astype(np.float32)


def _column(table: Any, name: str, default: Any) -> Any:
    return table[name].to_numpy().reshape(-1) if name in table.column_names else default
