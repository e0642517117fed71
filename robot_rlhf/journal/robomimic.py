"""Exports episodes to robomimic's HDF5 layout, with the intervention labels that Sirius adds to it."""

# h5py carries no types: what comes from it is unknown to pyright.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from robot_rlhf.datatypes import EpisodeKind, RobotSpec
from robot_rlhf.episode import Episode
from robot_rlhf.journal.columns import cameras, state_columns, succeeded

ENVIRONMENT_TYPE_GYM = 2
"""robomimic's number for an environment it does not know more about."""


def write_robomimic(
    told: Iterable[Episode], spec: RobotSpec, target: Path, *, include_privileged: bool
) -> tuple[int, int]:
    """One group per episode under 'data', masks for 'successful', 'demonstration' and 'intervened' ones."""
    count = steps = 0
    masks: dict[str, list[str]] = {"successful": [], "demonstration": [], "intervened": []}
    with h5py.File(target, "w") as file:
        data = file.create_group("data")
        task = ""
        for episode in told:
            name = f"demo_{count}"
            _write_episode(data.create_group(name), episode, include_privileged)
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


def _write_episode(group: Any, episode: Episode, include_privileged: bool) -> None:
    length = len(episode)
    group.attrs["num_samples"] = length
    group.attrs["episode_id"] = episode.meta.id
    group.attrs["success"] = succeeded(episode)
    group.attrs["kind"] = episode.meta.kind.value
    group.attrs["instruction"] = episode.instructions[0]
    demonstration = episode.meta.kind is EpisodeKind.DEMONSTRATION
    columns = {
        "actions": episode.executed,
        "policy_actions": episode.proposed,
        "rewards": episode.reward,
        "dones": (episode.terminated | episode.truncated).astype(np.int64),
        "interventions": episode.by_human.astype(np.int64),
        # Sirius: -1 demonstration, 0 policy, 1 intervention.
        "action_modes": np.full(length, -1, np.int64) if demonstration else episode.by_human.astype(np.int64),
    }
    if include_privileged:
        columns["gold_rewards"] = episode.gold_reward
    for name, column in columns.items():
        group.create_dataset(name, data=column)
    for name, values in state_columns(episode, include_privileged=include_privileged):
        key = name.replace("/", "_")
        group.create_dataset(f"obs/{key}", data=values[:-1])
        group.create_dataset(f"next_obs/{key}", data=values[1:])
    for camera, pictures in cameras(episode):
        for side, rows in (("obs", pictures[:-1]), ("next_obs", pictures[1:])):
            group.create_dataset(f"{side}/{camera}_image", data=rows, compression="gzip", compression_opts=1)
