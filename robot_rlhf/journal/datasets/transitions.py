"""A pickled list of transitions as arrays: what hil-serl's recorders write, checked to be whole episodes in order."""

# What comes out of a pickle is unknown to pyright.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.errors import JournalError
from robot_rlhf.journal.datasets.plain_pickle import PlainArray, array_of, one_line, read_plain
from robot_rlhf.journal.recorded import Pictures

Rows = NDArray[np.float64]

LARGEST = float(np.finfo(np.float32).max)

NEEDED = ("observations", "actions", "next_observations", "rewards", "masks", "dones")
INFOS = "infos"
STATE = "state"
BASE_STATE = "original_state_obs"
"""Entry of the infos in which hil-serl's RelativeFrame keeps the state in the base frame."""
BASE_POSE = "tcp_pose"
BY_HAND = "intervene_action"
SUCCEEDED = "succeed"
SHARED = 4
"""Times that what a file tells once may stand in its transitions: the state after one and before the next are equal."""
CAMERA = re.compile(r"\w[\w.-]*", re.ASCII)
"""What may name a camera: it becomes part of names of topics, columns and files."""


@dataclass(frozen=True, eq=False)
class Transitions:
    """N transitions of k state entries and m action entries, episode after episode."""

    path: Path
    before: Rows
    """State before each. Shape (N, k)."""
    after: Rows
    """State after each. Shape (N, k)."""
    actions: Rows
    """Shape (N, m)."""
    rewards: Rows
    """Shape (N,)."""
    masks: Rows
    """0 where nothing comes after. Shape (N,)."""
    ends: NDArray[np.bool_]
    """The last of an episode. Shape (N,)."""
    base_poses: Rows | None
    """The tool after each, x, y, z, qx, qy, qz, qw in the base frame, where the infos tell it. Shape (N, 7)."""
    by_hand: NDArray[np.bool_] | None
    """A person drove; None where the infos do not tell. Shape (N,)."""
    succeeded: NDArray[np.bool_]
    """Shape (N,)."""
    cameras: Mapping[str, tuple[int, int]]
    """Camera to height and width."""
    passed_over: Mapping[str, str]
    """What else the transitions hold, to why it is not read."""
    _rows: list[dict[str, Any]]

    def episodes(self) -> Iterator[slice]:
        begin = 0
        for end in np.flatnonzero(self.ends).tolist():
            yield slice(begin, end + 1)
            begin = end + 1

    def pictures(self, span: slice) -> Iterator[Pictures]:
        """Of the T + 1 moments of an episode."""
        for number in range(span.start, span.stop):
            yield self._seen(number, "observations")
        yield self._seen(span.stop - 1, "next_observations")

    def _seen(self, number: int, side: str) -> Pictures:
        seen = self._rows[number][side]
        return {camera: picture_of(self.path, number, f"{side}.{camera}", seen[camera]) for camera in self.cameras}


def read_transitions(path: Path) -> Transitions:
    """Read a file.

    Raises:
        JournalError: it is no list of transitions, one of them is odd, or they are not whole episodes in order; names
            the transition.
    """
    rows = _rows_of(path, read_plain(path))
    _check_sharing(path, rows)
    states = [
        _state(path, i, side, row) for i, row in enumerate(rows) for side in ("observations", "next_observations")
    ]
    if len({state.shape for state in states}) > 1:
        raise JournalError(
            f"{path}: states of {', '.join(sorted({str(s.size) for s in states}))} entries; allowed: one"
        )
    seen = np.stack(states).reshape(len(rows), 2, -1)
    ends = np.array([_number(path, i, "dones", row["dones"]) != 0.0 for i, row in enumerate(rows)])
    _check_order(path, seen, ends)
    told = [_mapping(path, i, INFOS, row[INFOS]) if INFOS in row else None for i, row in enumerate(rows)]
    infos = [info for info in told if info is not None]
    if infos and len(infos) != len(rows):
        raise JournalError(f"{path}: {len(infos)} of {len(rows)} transitions have infos; allowed: all, or none")
    return Transitions(
        path=path,
        before=seen[:, 0],
        after=seen[:, 1],
        actions=_matrix(path, "actions", [row["actions"] for row in rows]),
        rewards=np.array([_number(path, i, "rewards", row["rewards"]) for i, row in enumerate(rows)]),
        masks=np.array([_number(path, i, "masks", row["masks"]) for i, row in enumerate(rows)]),
        ends=ends,
        base_poses=_base_poses(path, infos),
        by_hand=np.array([BY_HAND in info for info in infos]) if infos else None,
        succeeded=np.array(
            [bool(_number(path, i, f"infos.{SUCCEEDED}", info.get(SUCCEEDED, False))) for i, info in enumerate(infos)]
            or [False] * len(rows)
        ),
        cameras=_cameras(path, rows),
        passed_over=_passed_over(rows, infos),
        _rows=rows,
    )


def picture_of(path: Path, number: int, what: str, value: Any) -> NDArray[np.uint8]:
    """A picture of a camera; the newest one where several are stacked."""
    array = _array(path, number, what, value)
    array = array[-1] if array.ndim == 4 and len(array) else array
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise _odd(path, number, what, f"{array.dtype} of shape {array.shape}; allowed: uint8 (H, W, 3)")
    return array


def _rows_of(path: Path, value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value:
        what = "an empty list" if isinstance(value, list) else f"a {_kind(value)}"
        raise JournalError(f"{path}: holds {what}; allowed: hil-serl's list of transitions")
    for number, row in enumerate(value):
        if not isinstance(row, dict):
            raise JournalError(f"{path}: transition {number} is a {_kind(row)}; allowed: a dict")
        lacking = [name for name in NEEDED if name not in row]
        if lacking:
            raise JournalError(f"{path}: transition {number} lacks {', '.join(lacking)}")
    return value


def _check_sharing(path: Path, rows: list[dict[str, Any]]) -> None:
    """Raises JournalError where one value stands in so many places that a small file would fill the memory."""
    size = path.stat().st_size
    told = 0
    for row in rows:
        for bytes_told in _sizes(row, 3):
            told += bytes_told
            if told > SHARED * size:
                raise JournalError(
                    f"{path}: {size} bytes in which the same values stand again and again; allowed: each of them up to "
                    f"{SHARED} times"
                )


def _sizes(value: Any, depth: int) -> Iterator[int]:
    """Bytes, at least, that a file takes for each part of a value that stands nowhere else."""
    if isinstance(value, PlainArray):
        yield value.nbytes
    else:
        yield len(value) if isinstance(value, list | tuple) else 1
    if isinstance(value, dict) and depth:
        for part in value.values():
            yield from _sizes(part, depth - 1)


def _state(path: Path, number: int, side: str, row: dict[str, Any]) -> Rows:
    seen = _mapping(path, number, side, row[side])
    if STATE not in seen:
        raise _odd(path, number, side, f"it lacks {STATE}")
    if isinstance(seen[STATE], dict):
        raise _odd(
            path, number, f"{side}.{STATE}", "a dict; allowed: one vector, as hil-serl's SERLObsWrapper makes it"
        )
    array = _array(path, number, f"{side}.{STATE}", seen[STATE])
    array = array[-1] if array.ndim == 2 and len(array) else array
    if array.ndim != 1 or array.dtype.kind not in "biuf":
        raise _odd(
            path, number, f"{side}.{STATE}", f"{array.dtype} of shape {array.shape}; allowed: a vector of numbers"
        )
    return _finite(path, number, f"{side}.{STATE}", _floats(array))


def _check_order(path: Path, seen: NDArray[np.float64], ends: NDArray[np.bool_]) -> None:
    """Raises JournalError where one transition does not begin where the one before it ended."""
    breaks = (seen[:-1, 1] != seen[1:, 0]).any(axis=1) & ~ends[:-1]
    whole = "allowed: whole episodes one after another, as hil-serl's record_demos writes them"
    if breaks.any():
        number = int(np.flatnonzero(breaks)[0])
        raise JournalError(
            f"{path}: transition {number + 1} does not begin where {number} ended, and {number} is not done; {whole}"
        )
    if not ends[-1]:
        raise JournalError(f"{path}: its last transition, {len(ends) - 1}, is not done; {whole}")


def _base_poses(path: Path, infos: list[dict[str, Any]]) -> Rows | None:
    told = [state for info in infos if isinstance(state := info.get(BASE_STATE), dict) and BASE_POSE in state]
    if not infos or len(told) != len(infos):
        return None
    poses = _matrix(path, f"infos.{BASE_STATE}.{BASE_POSE}", [state[BASE_POSE] for state in told])
    lengths = np.linalg.norm(poses[:, 3:], axis=1)
    if poses.shape[1] != 7 or (np.abs(lengths - 1.0) > 0.01).any():
        raise JournalError(f"{path}: infos.{BASE_STATE}.{BASE_POSE}: allowed: x, y, z and a unit quaternion x, y, z, w")
    return poses


def _cameras(path: Path, rows: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """Raises JournalError where pictures are missing, or change their size."""
    first = rows[0]["observations"]
    sizes: dict[str, tuple[int, int]] = {}
    for name, value in first.items():
        if name != STATE:
            if not isinstance(name, str) or not CAMERA.fullmatch(name):
                raise _odd(path, 0, "observations", f"a camera named {name!r}; allowed: letters, digits, _, - and .")
            height, width, _ = picture_of(path, 0, f"observations.{name}", value).shape
            sizes[name] = (height, width)
    for number, row in enumerate(rows):
        for side in ("observations", "next_observations"):
            if set(row[side]) != set(first):
                raise _odd(path, number, side, f"{_names(row[side])}; those of the first: {_names(first)}")
            for camera, size in sizes.items():
                shape = picture_of(path, number, f"{side}.{camera}", row[side][camera]).shape
                if shape[:2] != size:
                    raise _odd(path, number, f"{side}.{camera}", f"a picture of {shape[:2]}; the first is {size}")
    return sizes


def _passed_over(rows: list[dict[str, Any]], infos: list[dict[str, Any]]) -> dict[str, str]:
    others = {one_line(str(name)) for row in rows for name in row if name not in (*NEEDED, INFOS)}
    told = {one_line(str(name)) for info in infos for name in info if name not in (BY_HAND, SUCCEEDED, BASE_STATE)}
    return dict.fromkeys((*sorted(others), *(f"infos.{name}" for name in sorted(told))), "no place in a journal")


def _matrix(path: Path, what: str, values: list[Any]) -> Rows:
    rows = [_finite(path, i, what, _numbers(path, i, what, value).reshape(-1)) for i, value in enumerate(values)]
    if len({row.size for row in rows}) > 1:
        raise JournalError(
            f"{path}: {what} of {', '.join(sorted({str(row.size) for row in rows}))} entries; allowed: one"
        )
    return np.stack(rows)


def _number(path: Path, number: int, what: str, value: Any) -> float:
    array = _finite(path, number, what, _numbers(path, number, what, value))
    if array.size != 1:
        raise _odd(path, number, what, f"{array.size} numbers; allowed: one")
    return float(array.reshape(-1)[0])


def _numbers(path: Path, number: int, what: str, value: Any) -> Rows:
    array = _array(path, number, what, value)
    if array.dtype.kind not in "biuf":
        raise _odd(path, number, what, f"{array.dtype}; allowed: numbers")
    return _floats(array)


def _array(path: Path, number: int, what: str, value: Any) -> NDArray[Any]:
    try:
        return array_of(value)
    except ValueError as error:
        raise _odd(path, number, what, str(error)) from error


def _floats(array: NDArray[Any]) -> Rows:
    with np.errstate(invalid="ignore"):  # a NaN that signals; _finite tells of it
        return array.astype(np.float64)


def _finite(path: Path, number: int, what: str, array: Rows) -> Rows:
    if not (np.abs(array) <= LARGEST).all():
        raise _odd(path, number, what, "a number that is NaN, or too large for a float32")
    return array


def _mapping(path: Path, number: int, what: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _odd(path, number, what, f"a {_kind(value)}; allowed: a dict")
    return value


def _names(mapping: dict[str, Any]) -> str:
    return ", ".join(map(str, mapping))


def _kind(value: Any) -> str:
    return "array" if isinstance(value, PlainArray) else type(value).__name__


def _odd(path: Path, number: int, what: str, words: str) -> JournalError:
    return JournalError(f"{path}: transition {number}: {what}: {one_line(words)}")
