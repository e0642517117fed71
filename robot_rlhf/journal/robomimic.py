"""Exports episodes to robomimic's HDF5 layout, with the intervention labels that Sirius adds to it."""

# h5py carries no types: what comes from it is unknown to pyright.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import EpisodeKind, RobotSpec
from robot_rlhf.journal.columns import SPOKEN, Extras, as_key, robot_words, state_columns, succeeded
from robot_rlhf.journal.hdf5_file import Hdf5Disk
from robot_rlhf.journal.recorded import Pictures, Recorded

ENVIRONMENT_TYPE_GYM = 2
"""robomimic's number for an environment it does not know more about."""


def write_robomimic(
    told: Iterable[Recorded], spec: RobotSpec, target: Path, *, extras: Extras, include_privileged: bool
) -> tuple[int, int]:
    """One group per episode under 'data', masks for 'successful', 'demonstration' and 'intervened' ones.

    Args:
        extras: not looked at: an episode of this format may have what others have not.

    Raises:
        OSError: the file cannot be written.
    """
    with Hdf5Disk(target) as disk:
        with h5py.File(disk, "w") as file:
            counts = _write(_while_written(told, disk), spec, file, include_privileged)
        disk.check()
    return counts


def _while_written(told: Iterable[Recorded], disk: Hdf5Disk) -> Iterator[Recorded]:
    """Ends, with an OSError, at the first moment after a write has failed."""

    def looked_after(pictures: Iterator[Pictures]) -> Iterator[Pictures]:
        for one in pictures:
            disk.check()
            yield one

    for recorded in told:
        disk.check()
        yield replace(recorded, pictures=looked_after(recorded.pictures))


def _write(told: Iterable[Recorded], spec: RobotSpec, file: h5py.File, include_privileged: bool) -> tuple[int, int]:
    count = steps = 0
    masks: dict[str, list[str]] = {"successful": [], "demonstration": [], "intervened": []}
    data = file.create_group("data")
    task = ""
    for recorded in told:
        episode = recorded.episode
        name = f"demo_{count}"
        _write_episode(data.create_group(name), recorded, include_privileged)
        task = task or episode.meta.task
        demonstration = episode.meta.kind is EpisodeKind.DEMONSTRATION
        belongs = {
            "successful": succeeded(episode),
            "demonstration": demonstration,
            "intervened": bool(episode.by_human.any()) and not demonstration,
        }
        for mask, member in belongs.items():
            if member:
                masks[mask].append(name)
        count += 1
        steps += len(episode)
    data.attrs["total"] = steps
    # Not robomimic's: what the numbers mean, for whoever reads them back.
    data.attrs["robot_spec"] = json.dumps(robot_words(spec))
    data.attrs["env_args"] = json.dumps(
        {
            "env_name": task,
            "type": ENVIRONMENT_TYPE_GYM,
            "env_kwargs": {"control_period": spec.control_period, "action_names": list(spec.action.names)},
        }
    )
    for mask, names in masks.items():
        file.create_dataset(f"mask/{mask}", data=np.array(names, dtype="S16"))
    return count, steps


def _write_episode(group: Any, recorded: Recorded, include_privileged: bool) -> None:
    episode = recorded.episode
    length = len(episode)
    group.attrs["num_samples"] = length
    group.attrs["episode_id"] = episode.meta.id
    group.attrs["success"] = succeeded(episode)
    group.attrs["kind"] = episode.meta.kind.value
    group.attrs["instruction"] = episode.instructions[0]
    group.attrs["outcome"] = "" if episode.end is None else episode.end.outcome.value
    group.attrs["skill"] = episode.meta.task
    group.attrs["operator"] = episode.meta.operator
    group.attrs["reward_source"] = episode.meta.reward_source
    group.attrs["terminated"] = bool(episode.terminated[-1])
    demonstration = episode.meta.kind is EpisodeKind.DEMONSTRATION
    columns = {
        "actions": episode.executed,
        "policy_actions": episode.proposed,
        "rewards": episode.reward,
        "dones": (episode.terminated | episode.truncated).astype(np.int64),
        "interventions": episode.by_human.astype(np.int64),
        "drivers": episode.driver.astype(np.int64),
        # Sirius: -1 demonstration, 0 policy, 1 intervention.
        "action_modes": np.full(length, -1, np.int64) if demonstration else episode.by_human.astype(np.int64),
    }
    columns |= {f"contexts/{as_key(name)}": column for name, column in episode.context.items()}
    if episode.authority is not None:
        columns["authority"] = episode.authority
    if include_privileged:
        columns["gold_rewards"] = episode.gold_reward
    for name, column in columns.items():
        group.create_dataset(name, data=column)
    if episode.spoken:
        group.create_dataset(SPOKEN, data=list(episode.spoken), dtype=h5py.string_dtype())
    group.create_dataset("instructions", data=list(episode.instructions), dtype=h5py.string_dtype())
    for name, values in state_columns(episode, include_privileged=include_privileged):
        key = name.replace("/", "_")
        group.create_dataset(f"obs/{key}", data=values[:-1])
        group.create_dataset(f"next_obs/{key}", data=values[1:])
    for t, pictures in enumerate(recorded.pictures):
        for camera, picture in pictures.items():
            if t < length:
                _rows(group, f"obs/{camera}_image", length, picture)[t] = picture
            if t > 0:
                _rows(group, f"next_obs/{camera}_image", length, picture)[t - 1] = picture


def _rows(group: Any, name: str, length: int, picture: NDArray[np.uint8]) -> Any:
    """The data set of a camera's pictures, each compressed by itself."""
    if name in group:
        return group[name]
    shape = picture.shape
    return group.create_dataset(
        name, (length, *shape), np.uint8, chunks=(1, *shape), compression="gzip", compression_opts=1
    )
