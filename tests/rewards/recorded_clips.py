"""Clips of episodes that are held in memory: the naive twin of a journal's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import EpisodeEnd, Outcome, Segment
from robot_rlhf.episode import Episode
from robot_rlhf.rewards.pairs import EpisodeFacts
from tests.journal.sessions import make_episode, make_spec

SPEC = make_spec({"front": (8, 10)})


class EpisodeClips:
    """Whole episodes by id."""

    def __init__(self, *episodes: Episode) -> None:
        self.episodes = {episode.meta.id: episode for episode in episodes}

    def facts(self, episode_id: str) -> EpisodeFacts:
        episode = self.episodes[episode_id]
        known = {Outcome.SUCCESS: True, Outcome.FAILURE: False, Outcome.TIME_LIMIT: False}
        success = None if episode.end is None else known.get(episode.end.outcome)
        cameras = tuple(name.removeprefix("images/") for name in episode.observations if name.startswith("images/"))
        return EpisodeFacts(len(episode), episode.instructions[-1], success, cameras)

    def observations(self, segment: Segment) -> Mapping[str, NDArray[Any]]:
        columns = self.episodes[segment.episode_id].observations
        rows = slice(segment.start, segment.start + segment.length + 1)
        hidden = ("images/", "privileged/")
        return {name: column[rows] for name, column in columns.items() if not name.startswith(hidden)}

    def frames(self, segment: Segment, camera: str) -> NDArray[np.uint8]:
        pictures = self.episodes[segment.episode_id].observations[f"images/{camera}"]
        return pictures[segment.start : segment.start + segment.length + 1]


def episode(
    name: str, steps: int = 10, outcome: Outcome | None = Outcome.TIME_LIMIT, *, seed: int = 0, **columns: Any
) -> Episode:
    """An arbitrary episode of one instruction, with some columns of its observations set: scene__cube is scene/cube."""
    made = make_episode(SPEC, seed, steps, name=name)
    changed = {key.replace("__", "/"): np.asarray(value) for key, value in columns.items()}
    end = None if outcome is None else EpisodeEnd(name, outcome, steps)
    observations = {**made.observations, **changed}
    return replace(made, observations=observations, end=end, instructions=("lift the cube",) * steps)
