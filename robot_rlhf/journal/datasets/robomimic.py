"""Reads a robomimic HDF5 file whose columns are named as our export names them."""

# h5py carries no types: what comes from it is unknown to pyright.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Driver, EpisodeKind, RobotSpec
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.columns import AUTHORITY, SPOKEN, of_key, robot_of
from robot_rlhf.journal.datasets.told import WITHOUT, Rows, ToldData, ToldEpisode, entries
from robot_rlhf.journal.recorded import Pictures

ROBOT = "robot_spec"
"""Attribute that holds our robot."""
INSTRUCTIONS = "instructions"
_IMAGE = "_image"


class RobomimicData:
    """An open file; close it with `with`."""

    def __init__(self, path: Path, *, actions: bool = True) -> None:
        """Raises JournalError for a file that is no such data set. Args: actions: False where none are taken."""
        self._path, self._acts = path, actions
        self._bytes = path.open("rb")
        self._file: Any = h5py.File(self._bytes, "r")
        data: Any = self._file.get("data", {})
        names = [name for name in data if name.startswith("demo_")]
        if not names:
            self.__exit__()
            raise JournalError(f"{path}: no robomimic data set: no group data/demo_0")
        self._data = data
        self._names = sorted(names, key=lambda name: int(name.removeprefix("demo_")))
        first = data[self._names[0]]
        robot = data.attrs.get(ROBOT)
        spec = None if robot is None else robot_of(json.loads(robot))
        kwargs: dict[str, Any] = json.loads(data.attrs.get("env_args", "{}")).get("env_kwargs", {})
        self.told = ToldData(
            robot=spec,
            period=float(kwargs.get("control_period", 0.0)),
            action_names=tuple(kwargs.get("action_names", ())),
            cameras={
                name.removesuffix(_IMAGE): (rows.shape[1], rows.shape[2])
                for name, rows in first["obs"].items()
                if name.endswith(_IMAGE)
            },
            columns=() if spec is None else _present(first["obs"], spec),
        )

    def columns_for(self, robot: RobotSpec) -> ToldData:
        """What the file says of itself, its columns being those of a robot that is given."""
        told = self.told
        columns = _present(self._data[self._names[0]]["obs"], robot)
        return ToldData(told.robot, told.period, told.action_names, told.cameras, columns)

    def __enter__(self) -> RobomimicData:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._bytes.close()

    def episodes(self, spec: RobotSpec) -> Iterator[ToldEpisode]:
        """The episodes in order. Args: spec: the robot, checked against `told`."""
        for name in self._names:
            yield self._episode(spec, name)

    def _episode(self, spec: RobotSpec, name: str) -> ToldEpisode:
        group: Any = self._data[name]
        attributes: dict[str, Any] = dict(group.attrs)
        self._check(group, name)
        steps = len(group["rewards"])
        executed, proposed, shares = self._acts_of(group, spec, steps)
        shown = attributes.get("kind") == EpisodeKind.DEMONSTRATION.value
        by_person = (
            np.asarray(group["interventions"], np.int64) if "interventions" in group else np.full(steps, int(shown))
        )
        driver = np.asarray(group["drivers"], np.int64) if "drivers" in group else by_person * int(Driver.HUMAN)
        success = bool(attributes.get("success", False))
        ended = bool(np.asarray(group["dones"])[-1])
        return ToldEpisode(
            where=f"{self._path}: {name}",
            id=str(attributes.get("episode_id", "")),
            task=str(attributes.get("skill", "")),
            kind=str(attributes.get("kind", "")),
            outcome=str(attributes.get("outcome", "success" if success else "")),
            operator=str(attributes.get("operator", "")),
            reward_source=str(attributes.get("reward_source", "")),
            columns={column: _both(group, column.replace("/", "_")) for column in entries(spec)},
            executed=executed,
            proposed=proposed,
            driver=driver,
            reward=np.asarray(group["rewards"], np.float32),
            terminated=bool(attributes.get("terminated", success and ended)),
            instructions=self._texts(group, name, INSTRUCTIONS, steps, "what was asked for in each step")
            or [str(attributes.get("instruction", ""))] * steps,
            pictures=_pictures(group, steps),
            context={of_key(key): np.asarray(rows, np.float32) for key, rows in group.get("contexts", {}).items()},
            authority=shares,
            spoken=self._texts(group, name, SPOKEN, steps, "the sentence that decided each step"),
        )

    def _acts_of(self, group: Any, spec: RobotSpec, steps: int) -> tuple[Rows | None, Rows, Rows | None]:
        """What was executed, what the policy wished (NaN: nothing asked), and the person's shares. Each (T, m)."""
        none = np.full((steps, spec.action.size), np.nan, np.float32)
        if not self._acts:
            return None, none, None
        order = [self.told.action_names.index(name) for name in spec.action.names]

        def ordered(name: str) -> Rows:
            return np.asarray(group[name], np.float32)[:, order]

        wished = ordered("policy_actions") if "policy_actions" in group else none
        return ordered("actions"), wished, ordered(AUTHORITY) if AUTHORITY in group else None

    def _texts(self, group: Any, name: str, key: str, steps: int, holds: str) -> list[str]:
        """A text for each step; none where there is no such column.

        Raises:
            JournalError: somebody else's column is called so.
        """
        if key not in group:
            return []
        column = group[key]
        kind = f"{column.dtype} of shape {column.shape}" if isinstance(column, h5py.Dataset) else "a group"
        if kind == "a group" or h5py.check_string_dtype(column.dtype) is None or column.shape != (steps,):
            raise JournalError(
                f"{self._path}: column {name}/{key} holds {kind}; allowed: strings of shape ({steps},), {holds} "
                "(rename it)"
            )
        return list(column.asstr()[:])

    def _check(self, group: Any, name: str) -> None:
        lacking = [key for key in ("rewards", "dones", "obs") if key not in group]
        if self._acts and "actions" not in group:
            lacking.append(f"actions ({WITHOUT})")
        if self._acts and "drivers" not in group and "interventions" not in group:
            lacking.append("drivers (or interventions)")
        if lacking:
            raise JournalError(f"{self._path}: {name} lacks {', '.join(lacking)}")


def _present(observations: Any, spec: RobotSpec) -> tuple[str, ...]:
    """Names of the entries that the file's observations have, in the sizes of a robot's."""
    found: list[str] = []
    for column, names in entries(spec).items():
        key = column.replace("/", "_")
        if key in observations and observations[key].shape[1:] in ((len(names),), () if len(names) == 1 else (1,)):
            found += names
    return tuple(found)


def _both(group: Any, key: str) -> NDArray[np.float32]:
    """An observation column of T + 1 rows; without next_obs the last one stands twice."""
    rows = np.asarray(group["obs"][key], np.float32)
    last = np.asarray(group["next_obs"][key][-1:], np.float32) if "next_obs" in group else rows[-1:]
    whole = np.concatenate([rows, last])
    return whole.reshape(len(whole), -1)


def _pictures(group: Any, steps: int) -> Iterator[Pictures]:
    names = [name for name in group["obs"] if name.endswith(_IMAGE)]
    for t in range(steps + 1):
        side, place = ("obs", t) if t < steps or "next_obs" not in group else ("next_obs", steps - 1)
        place = min(place, steps - 1)
        yield {name.removesuffix(_IMAGE): np.asarray(group[side][name][place], np.uint8) for name in names}
