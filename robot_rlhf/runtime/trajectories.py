"""A journal's episodes as trajectories to learn rewards from; the true reward comes separately, to be asked by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Array, EpisodeKind, Observation, Outcome
from robot_rlhf.episode import Episode
from robot_rlhf.journal.reader import episodes
from robot_rlhf.rewards.trajectory import Trajectory

SUCCEEDED: Mapping[Outcome, bool] = {Outcome.SUCCESS: True, Outcome.FAILURE: False, Outcome.TIME_LIMIT: False}
"""What an outcome says of the task; the others (fault, stop, pause) say nothing."""


def read_trajectories(
    journal: str | os.PathLike[str],
    encode: Callable[[Observation], Mapping[str, NDArray[Any]]],
    *,
    kinds: Collection[EpisodeKind] = tuple(EpisodeKind),
    pictures: bool = True,
    actions: bool = True,
) -> list[Trajectory]:
    """The episodes that are neither discarded nor deleted, with their outcomes as labelled today.

    Args:
        journal: its folder, or one of its files.
        encode: observation to 'state' (D,) and pictures by camera, for example a `policy.features.Features`.
        kinds: of the episodes wanted.
        pictures: False where `encode` looks at none, which reads many times faster.
        actions: False for who looks at none: also episodes whose actions are not known, with 0 in their place.

    Raises:
        JournalError: no journal, a foreign or damaged file, or one of another version.
    """
    return [
        _trajectory(episode, encode)
        for episode in episodes(journal, pictures=pictures)
        if episode.meta.kind in kinds
        and (not actions or episode.acted.all())
        and (episode.end is None or episode.end.outcome is not Outcome.DISCARDED)
    ]


def read_gold(journal: str | os.PathLike[str]) -> dict[str, Array]:
    """The simulator's true reward per step, (T,) by episode id: for audit, and for a labeler asked for by name.

    Raises:
        JournalError: no journal, a foreign or damaged file, or one of another version.
    """
    return {episode.meta.id: episode.gold_reward for episode in episodes(journal, pictures=False)}


def _trajectory(episode: Episode, encode: Callable[[Observation], Mapping[str, NDArray[Any]]]) -> Trajectory:
    rows = [encode(episode.observation(t)) for t in range(len(episode) + 1)]
    columns = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    for column in columns.values():
        column.flags.writeable = False  # so that the trajectory takes it without a copy
    return Trajectory(
        id=episode.meta.id,
        task=episode.meta.task,
        instruction=episode.instructions[-1],
        observations=columns,
        actions=np.nan_to_num(episode.executed, nan=0.0),
        success=None if episode.end is None else SUCCEEDED.get(episode.end.outcome),
        begins_at=episode.meta.continues_at,
    )
