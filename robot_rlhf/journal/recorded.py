"""Episodes for whoever writes them elsewhere: an episode's numbers at once, its pictures one moment at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Step
from robot_rlhf.episode import Episode
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.decoder import EpisodeStarted
from robot_rlhf.journal.reader import episodes, read_journal
from robot_rlhf.journal.robots import MEANING

Pictures = Mapping[str, NDArray[np.uint8]]
"""Camera name to picture. Shapes (H, W, 3)."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """An episode of T steps, and its pictures as they are asked for."""

    episode: Episode
    """Without pictures."""
    pictures: Iterator[Pictures]
    """Of the T + 1 moments, in order; to be taken before the next episode is."""


def recorded(
    path: str | os.PathLike[str], *, include_deleted: bool = False, pictures: bool = True
) -> Iterator[Recorded]:
    """The episodes that `reader.episodes` gives; never more of their pictures in memory than were read at once.

    Args:
        path: the journal.
        include_deleted: also the deleted ones, ended with Outcome.DISCARDED.
        pictures: False: there are none at any moment.

    Raises:
        JournalError: no journal, a foreign or damaged file, or one of another version.
    """
    stream = _PictureStream(path) if pictures else None
    for episode in episodes(path, include_deleted=include_deleted, pictures=False):
        yield Recorded(episode, iter(()) if stream is None else stream.of(episode))


class _PictureStream:
    """A second reading of the journal, which follows the first one."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._records = read_journal(path, same=MEANING)  # whoever takes pictures says which cameras are alike

    def of(self, episode: Episode) -> Iterator[Pictures]:
        """Passes over everything before the episode; raises JournalError when it is not there."""
        begin = float(episode.observations["stamp"][0])
        for record in self._records:
            if isinstance(record, EpisodeStarted) and (record.meta.id, record.observation.stamp) == (
                episode.meta.id,
                begin,
            ):
                yield record.observation.images
                break
        left = len(episode)
        while left:
            record = next(self._records, None)
            if record is None or isinstance(record, EpisodeStarted):
                raise JournalError(f"{self._path}: the pictures of episode {episode.meta.id} cannot be found again")
            if isinstance(record, Step):
                yield record.next_observation.images
                left -= 1
