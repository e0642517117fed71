"""Recorded sessions: where their journals lie, whose robot they are of, and as a reward is shown them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from robot_rlhf.datatypes import Feedback, Observation, RobotSpec, Segment
from robot_rlhf.errors import ConfigError, JournalError
from robot_rlhf.journal.labels import read_labels
from robot_rlhf.journal.summary import describe
from robot_rlhf.journal.tail import journal_spec
from robot_rlhf.policy.features import Features
from robot_rlhf.rewards.trajectory import Trajectory
from robot_rlhf.run.learning import build_features
from robot_rlhf.run.settings import TrainConfig, pixel_defaults_for, read_yaml, recorded_defaults_for
from robot_rlhf.runtime.trajectories import read_trajectories

Encode = Callable[[Observation], Mapping[str, NDArray[Any]]]


def journal_path(path: Path) -> Path:
    """The journal inside a run's folder, or the path itself."""
    return path / "journal" if (path / "config.yaml").is_file() else path


@dataclass(frozen=True)
class Recording:
    """One recorded session."""

    path: Path
    """As it was given."""
    journal: Path
    spec: RobotSpec
    config: TrainConfig
    """The run's own settings; of a journal alone the defaults of its task."""

    @classmethod
    def open(cls, path: Path) -> Recording:
        """
        Args:
            path: a run's folder, or a journal's.

        Raises:
            ConfigError: recordings of several tasks in one journal without a run's settings.
            JournalError: no journal, a foreign or damaged one, or an empty one.
        """
        journal = journal_path(path)
        spec = journal_spec(journal)
        if spec is None:
            raise JournalError(f"{journal}: nothing is recorded there yet")
        if (path / "config.yaml").is_file():
            return cls(path, journal, spec, read_yaml(path / "config.yaml"))
        tasks = list(describe(journal).tasks)
        if len(tasks) != 1:
            raise ConfigError(f"{path}: has no config.yaml, and records the tasks {tasks}; allowed is one task")
        return cls(path, journal, spec, recorded_defaults_for(tasks[0]))

    def seen(self, *, pixels: bool, cameras: Sequence[str]) -> TrainConfig:
        """The settings with what a reward is to see: as the run's policy, or from pictures.

        Raises:
            ConfigError: pictures are wanted that were not recorded.
        """
        features = self.config.features
        recorded = tuple(sorted(self.spec.cameras))
        if pixels:
            features = replace(
                pixel_defaults_for(self.config.task, self.config.place).features, cameras=tuple(cameras) or recorded
            )
        elif cameras:
            features = replace(features, cameras=tuple(cameras))
        missing = [name for name in features.cameras if name not in recorded]
        if missing or (pixels and not recorded):
            raise ConfigError(
                f"{self.path}: recorded no camera {', '.join(missing)}; it has {', '.join(recorded) or 'none'}"
                if missing
                else f"{self.path}: recorded no pictures; record with --cameras front"
            )
        return replace(self.config, cameras=recorded, features=features)


def read_for(
    features: Features, recording: Recording, number: int | None, *, actions: bool
) -> tuple[list[Trajectory], list[Feedback]]:
    """Trajectories and standing preferences of a session.

    Args:
        number: of the session among several, put before the ids of its episodes; None for one alone.
        actions: whether they are looked at; if not, also episodes are taken whose actions are not known.

    Raises:
        JournalError: a journal that cannot be read.
    """
    return _read(features, recording, number, pictures=bool(features.config.cameras), actions=actions)


def read_pictures(camera: str, recording: Recording, number: int | None) -> tuple[list[Trajectory], list[Feedback]]:
    """As `read_for`, with the pictures of one camera in the place of features.

    Raises:
        JournalError: a journal that cannot be read.
    """
    return _read(
        lambda observation: {camera: observation.images[camera]}, recording, number, pictures=True, actions=False
    )


def _read(
    encode: Encode, recording: Recording, number: int | None, *, pictures: bool, actions: bool
) -> tuple[list[Trajectory], list[Feedback]]:
    found = read_trajectories(recording.journal, encode, pictures=pictures, actions=actions)
    preferences = read_labels(recording.journal).preferences
    if number is None:
        return found, preferences
    prefix = f"{number}:"

    def named(segment: Segment) -> Segment:
        return replace(segment, episode_id=prefix + segment.episode_id)

    return (
        [replace(trajectory, id=prefix + trajectory.id) for trajectory in found],
        [replace(f, span=named(f.span), other=None if f.other is None else named(f.other)) for f in preferences],
    )


def build_seen(recording: Recording, config: TrainConfig) -> Features:
    """The features of settings made by `Recording.seen`."""
    return build_features(config, recording.spec)
