"""Exports recorded episodes to the formats that others train on.

The simulator's truth (privileged state and gold reward) stays at home unless it is asked for by name.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from robot_rlhf.datatypes import Array, Driver, Outcome, RobotSpec
from robot_rlhf.episode import Episode
from robot_rlhf.errors import JournalError, UnknownNameError
from robot_rlhf.journal.columns import SPOKEN, Extras, column_names, state_columns, succeeded
from robot_rlhf.journal.decoder import EpisodeStarted
from robot_rlhf.journal.files import journal_files
from robot_rlhf.journal.placing import placed
from robot_rlhf.journal.reader import episodes, read_journal
from robot_rlhf.journal.recorded import Pictures, Recorded, recorded
from robot_rlhf.journal.robots import check_same
from robot_rlhf.journal.tail import check_journal, journal_spec

NONE = "none"
"""In place of cameras' names: no camera."""
NO_PLACE = {
    "lerobot": (
        "events, what sentences said and meant among them",
        "versions of the weights",
        "what was observed after an episode's last step",
    ),
    "robomimic": ("events, what sentences said and meant among them", "versions of the weights", "times"),
    "csv": (
        "pictures",
        "events, what sentences said and meant among them",
        "what was observed after an episode's last step",
    ),
}
"""What is in a journal and in no export of a format."""


@dataclass(frozen=True)
class ExportReport:
    """What was exported."""

    target: Path
    episodes: int
    steps: int
    left_out: tuple[str, ...] = ()
    """What the journal may hold and the format has no place for."""


def write_csv(
    told: Iterable[Recorded], spec: RobotSpec, target: Path, *, extras: Extras, include_privileged: bool
) -> tuple[int, int]:
    """One row per step; the observation is the one before the step."""
    lengths: list[int] = []
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for episode in (one.episode for one in told):
            table = _csv_columns(episode, spec, extras, include_privileged)
            if not lengths:
                writer.writerow(list(table))
            writer.writerows(zip(*table.values(), strict=True))
            lengths.append(len(episode))
    return len(lengths), sum(lengths)


def _csv_columns(episode: Episode, spec: RobotSpec, extras: Extras, include_privileged: bool) -> dict[str, list[Any]]:
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
        table[f"proposed.{name}"] = _cells(episode.proposed[:, i])
    for _, values, entries in extras.columns(episode, spec):
        table |= {entry: _cells(values[:, i]) for i, entry in enumerate(entries)}
    if extras.spoken:
        table[SPOKEN] = list(extras.sentences(episode))
    for name, column in state_columns(episode, include_privileged=include_privileged):
        for i, entry in enumerate(column_names(spec, name, column.shape[1])):
            table[entry] = column[:length, i].tolist()
    return table


def _cells(column: Array) -> list[Any]:
    """Empty where there is none."""
    return ["" if np.isnan(value) else value for value in column.tolist()]


Exporter = Callable[..., tuple[int, int]]
"""(episodes, spec, target, *, extras, include_privileged) -> episodes and steps written."""


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
    cameras: Sequence[str] | None = None,
) -> ExportReport:
    """Write a journal's episodes in another format, with the outcomes as they are labelled today.

    What is written appears under its name only when it is whole. Of an episode's pictures one moment at a time is in
    memory.

    Args:
        path: the journal.
        target: the file (csv, robomimic) or folder (lerobot) to make; must not exist.
        to: 'lerobot' (LeRobotDataset v3.0), 'robomimic' (HDF5) or 'csv'.
        include_privileged: also write privileged state and gold reward.
        include_discarded: also write episodes that a person discarded while they ran, or deleted later.
        cameras: names of those to write; None: all, which every file must then have alike.

    Raises:
        UnknownNameError: no such format.
        JournalError: nothing to export, files that do not hold the same things, or the target exists or cannot be
            written.
    """
    known = exporters()
    if to not in known:
        raise UnknownNameError("export format", to, known)
    chosen = _checked_cameras(path, cameras)
    spec = journal_spec(path)
    told = (
        _with_actions(_of_cameras(one, chosen), to)
        for one in recorded(path, include_deleted=include_discarded, pictures=bool(chosen) and to != "csv")
        if include_discarded or _kept(one.episode)
    )
    with placed(target, "exporting", folder=to == "lerobot") as place:
        extras = _extras(path, include_discarded)
        count, steps = known[to](told, spec, place, extras=extras, include_privileged=include_privileged)
        if not count:
            raise JournalError(f"{path}: no episode to export")
    return ExportReport(Path(target), count, steps, NO_PLACE[to])


def _extras(path: str | os.PathLike[str], include_discarded: bool) -> Extras:
    """Read before the first episode is written: every column is there from the first row on."""
    found = episodes(path, include_deleted=include_discarded, pictures=False)
    return Extras.of(path, (episode for episode in found if include_discarded or _kept(episode)))


def _kept(episode: Episode) -> bool:
    """Nobody discarded it."""
    return episode.end is None or episode.end.outcome is not Outcome.DISCARDED


def _with_actions(one: Recorded, to: str) -> Recorded:
    """The same; raises JournalError where its actions are not known."""
    if not one.episode.acted.all():
        raise JournalError(f"episode {one.episode.meta.id}: its actions are not known; allowed in {to}: all of them")
    return one


def _of_cameras(one: Recorded, chosen: Sequence[str]) -> Recorded:
    """Without the pictures of other cameras."""

    def taken() -> Iterator[Pictures]:
        for pictures in one.pictures:
            yield {name: pictures[name] for name in chosen}

    return replace(one, pictures=taken())


def _checked_cameras(path: str | os.PathLike[str], asked: Sequence[str] | None) -> list[str]:
    """The cameras to write, once it is clear that every file with an episode has them, and a robot
    whose numbers mean the same.

    Raises:
        JournalError: one has not, or in another size; names the file.
        UnknownNameError: no file has it.
    """
    specs = _specs(Path(path))
    if not specs:
        return []
    (first, told), *others = specs.items()
    everywhere = [name for name, size in told.cameras.items() if all(s.cameras.get(name) == size for _, s in others)]
    if asked is not None:
        unknown = next((name for name in asked if all(name not in s.cameras for s in specs.values())), None)
        if unknown is not None:
            raise UnknownNameError("camera", unknown, {name for s in specs.values() for name in s.cameras})
    for file, spec in others:
        for name in {**told.cameras, **spec.cameras} if asked is None else asked:
            if told.cameras.get(name) != spec.cameras.get(name):
                words = ", ".join(
                    f"{_pixels(s.cameras.get(name))} in {f.name}" for f, s in ((first, told), (file, spec))
                )
                allowed = f"--cameras {' '.join(everywhere) or NONE}, or one file at a time"
                raise JournalError(f"{path}: camera {name!r} is {words}; allowed: {allowed}")
        check_same(spec, told, str(file), str(first))
    return everywhere if asked is None else list(asked)


def _specs(path: Path) -> dict[Path, RobotSpec]:
    """The robot of each of a journal's files that begins an episode."""
    files = journal_files(path) if check_journal(path).is_dir() else [path]
    return {
        file: journal_spec(file)
        for file in files
        if any(isinstance(record, EpisodeStarted) for record in read_journal(file, pictures=False))
    }


def _pixels(size: tuple[int, int] | None) -> str:
    return "not" if size is None else f"{size[0]} x {size[1]}"
