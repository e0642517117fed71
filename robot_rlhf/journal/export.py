"""Exports recorded episodes to the formats that others train on.

The simulator's truth (privileged state and gold reward) stays at home unless it is asked for by name.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robot_rlhf.datatypes import Driver, Outcome, RobotSpec
from robot_rlhf.episode import Episode
from robot_rlhf.errors import JournalError, UnknownNameError
from robot_rlhf.journal.columns import column_names, state_columns, succeeded
from robot_rlhf.journal.reader import episodes, journal_spec


@dataclass(frozen=True)
class ExportReport:
    """What was exported."""

    target: Path
    episodes: int
    steps: int


def write_csv(told: Iterable[Episode], spec: RobotSpec, target: Path, *, include_privileged: bool) -> tuple[int, int]:
    """One row per step; the observation is the one before the step."""
    lengths: list[int] = []
    header: list[str] = []
    with target.open("w", newline="") as file:
        writer = csv.writer(file)
        for episode in told:
            table = _csv_columns(episode, spec, include_privileged)
            if not header:
                header = list(table)
                writer.writerow(header)
            if list(table) != header:
                differing = sorted(set(table) ^ set(header))
                raise JournalError(f"{target}: episode {episode.meta.id} has other columns: {', '.join(differing)}")
            writer.writerows(zip(*table.values(), strict=True))
            lengths.append(len(episode))
    return len(lengths), sum(lengths)


def _csv_columns(episode: Episode, spec: RobotSpec, include_privileged: bool) -> dict[str, list[Any]]:
    length = len(episode)
    table: dict[str, list[Any]] = {
        "episode": [episode.meta.id] * length,
        "kind": [episode.meta.kind.value] * length,
        "success": [int(succeeded(episode))] * length,
        "step": list(range(length)),
        "stamp": episode.observations["stamp"][:length].tolist(),
        "driver": [Driver(d).name.lower() for d in episode.driver.tolist()],
        "policy_version": episode.policy_version.tolist(),
        "instruction": list(episode.instructions),
        "reward": episode.reward.tolist(),
        "terminated": episode.terminated.astype(int).tolist(),
        "truncated": episode.truncated.astype(int).tolist(),
    }
    if include_privileged:
        table["gold_reward"] = episode.gold_reward.tolist()
    for i, name in enumerate(spec.action.names):
        table[f"executed.{name}"] = episode.executed[:, i].tolist()
        table[f"proposed.{name}"] = ["" if np.isnan(v) else v for v in episode.proposed[:, i].tolist()]
    for name, column in state_columns(episode, include_privileged=include_privileged):
        for i, entry in enumerate(column_names(spec, name, column.shape[1])):
            table[entry] = column[:length, i].tolist()
    return table


Exporter = Callable[..., tuple[int, int]]
"""(episodes, spec, target, *, include_privileged) -> episodes and steps written."""


def exporters() -> dict[str, Exporter]:
    """The formats by name; their libraries are imported only when an export is asked for."""
    from robot_rlhf.journal.lerobot import write_lerobot
    from robot_rlhf.journal.robomimic import write_robomimic

    return {"lerobot": write_lerobot, "robomimic": write_robomimic, "csv": write_csv}


def export(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str],
    to: str,
    *,
    include_privileged: bool = False,
    include_discarded: bool = False,
) -> ExportReport:
    """Write a journal's episodes in another format, with the outcomes as they are labelled today.

    Args:
        path: the journal.
        target: the file (csv, robomimic) or folder (lerobot) to make; must not exist.
        to: 'lerobot' (LeRobotDataset v3.0), 'robomimic' (HDF5) or 'csv'.
        include_privileged: also write privileged state and gold reward.
        include_discarded: also write episodes that a person discarded while they ran, or deleted later.

    Raises:
        UnknownNameError: no such format.
        JournalError: nothing to export, or the target exists or cannot be written.
    """
    known = exporters()
    if to not in known:
        raise UnknownNameError("export format", to, known)
    goal = Path(target)
    if goal.exists():
        raise JournalError(f"{goal}: exists already; an export writes only to a new place")
    chosen = (
        episode
        for episode in episodes(path, include_deleted=include_discarded)
        if include_discarded or episode.end is None or episode.end.outcome is not Outcome.DISCARDED
    )
    first = next(chosen, None)
    if first is None:
        raise JournalError(f"{path}: no episode to export")
    spec = journal_spec(path)
    try:
        goal.parent.mkdir(parents=True, exist_ok=True)
        count, steps = known[to](_chain(first, chosen), spec, goal, include_privileged=include_privileged)
    except OSError as error:
        raise JournalError(f"{goal}: cannot write the export: {error.strerror or error}") from error
    return ExportReport(goal, count, steps)


def _chain(first: Episode, rest: Iterable[Episode]) -> Iterator[Episode]:
    yield first
    yield from rest
