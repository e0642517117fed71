"""Recorded sessions as a reward is shown them: whose features, whose robot, and which of several runs."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from robot_rlhf.apps.config import TrainConfig, defaults_for, pixel_defaults_for, read_yaml
from robot_rlhf.apps.recordings import journal_path
from robot_rlhf.datatypes import Feedback, Observation, RobotSpec, Segment
from robot_rlhf.errors import CheckpointError, ConfigError, JournalError
from robot_rlhf.journal.labels import read_labels
from robot_rlhf.journal.summary import describe
from robot_rlhf.journal.tail import journal_spec
from robot_rlhf.policy.encoders import FrozenEncoder, digest_of
from robot_rlhf.policy.features import FeatureConfig, Features
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.rewards.network import RewardInputs
from robot_rlhf.rewards.trajectory import Trajectory
from robot_rlhf.run.learning import build_features
from robot_rlhf.runtime.trajectories import read_trajectories

log = logging.getLogger(__name__)

Encode = Callable[[Observation], Mapping[str, NDArray[Any]]]


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
        return cls(path, journal, spec, defaults_for(tasks[0]))

    def seen(self, *, pixels: bool, cameras: Sequence[str]) -> TrainConfig:
        """The settings with what a reward is to see: as the run's policy, or from pictures.

        Raises:
            ConfigError: pictures are wanted that were not recorded.
        """
        features = self.config.features
        recorded = tuple(sorted(self.spec.cameras))
        if pixels:
            features = replace(pixel_defaults_for(self.config.task).features, cameras=tuple(cameras) or recorded)
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


def features_facts(config: TrainConfig, spec: RobotSpec) -> dict[str, Any]:
    """What a reward needs of a robot and its features, as JSON."""
    network, encoder = config.network, None
    if network.encoder_frozen and config.features.cameras and network.encoder_weights is not None:
        weights = network.encoder_weights
        encoder = {"kind": network.encoder, "weights": str(weights), "digest": digest_of(weights)}
    return {
        "features": dataclasses.asdict(config.features),
        "encoder": encoder,
        "robot": robot_facts(spec),
    }


def robot_facts(spec: RobotSpec) -> dict[str, Any]:
    """What tells robots apart."""
    return {
        "joints": list(spec.joint_names),
        "action": list(spec.action.names),
        "scene": dict(spec.scene),
        "action scale": [float(f"{scale:.6g}") for scale in spec.action.scale.tolist()],
        "action frame": spec.action.frame,
        "workspace": [float(f"{edge:.6g}") for edge in (*spec.command.lower[:3], *spec.command.upper[:3])],
    }


def compared(inputs: RewardInputs, *, scene: bool) -> list[str]:
    """What of two robots must be the same for one reward; pictures alone may be of any."""
    acts = ["action", "action scale", "action frame"] if inputs.action else []
    state = ["joints", "action", "workspace", *(["scene"] if scene else [])] if inputs.state else []
    return list(dict.fromkeys((*state, *acts)))


def in_words(fact: Any) -> str:
    """One of a robot's facts."""
    return fact if isinstance(fact, str) else ", ".join(map(str, fact)) or "none"


def features_of(model: LearnedReward, spec: RobotSpec, what: str) -> Features:
    """Encodes observations of a robot as the model was trained with.

    Args:
        what: the robot is; the subject of messages.

    Raises:
        CheckpointError: the model was trained with another robot, other cameras, or other sizes; or it does not say.
    """
    facts = model.facts
    try:
        given = dict(facts["features"])
        relative = tuple(tuple(pair) for pair in given.get("relative", ()))  # JSON knows lists alone
        config = FeatureConfig(**{**given, "cameras": tuple(given["cameras"]), "relative": relative})
        robot: Mapping[str, Any] = facts["robot"]
        encoder = facts["encoder"]
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"reward model: does not say which features it was trained with ({error})") from error
    own = robot_facts(spec)
    for name in compared(model.inputs, scene=config.scene):
        # A model of 0.1.0 does not say scale, frame and workspace.
        if robot.get(name, own[name]) != own[name]:
            got, want = (in_words(x) for x in (own[name], robot[name]))
            raise CheckpointError(f"{what} has {name} {got}; the reward model was trained with {want}")
    missing = [name for name in config.cameras if name not in spec.cameras]
    if missing:
        has = ", ".join(sorted(spec.cameras)) or "none"
        raise CheckpointError(f"{what} has the cameras {has}; the reward model was trained with {missing[0]}")
    frozen = None
    if encoder is not None:
        frozen = FrozenEncoder(encoder["kind"], Path(encoder["weights"]))
        if encoder.get("digest", frozen.digest) != frozen.digest:
            raise CheckpointError(f"{encoder['weights']}: not the weights that the reward model was trained with")
    features = Features(spec, config, frozen)
    model.check_fits(inputs_of(features, spec, state=True, action=True), what)
    return features


def inputs_of(features: Features, spec: RobotSpec, *, state: bool, action: bool) -> RewardInputs:
    """What features and robot give a reward."""
    return RewardInputs(features.size if state else 0, features.cameras, spec.action.size if action else None)


def read_for(features: Features, recording: Recording, number: int | None) -> tuple[list[Trajectory], list[Feedback]]:
    """Trajectories and standing preferences of a session.

    Args:
        number: of the session among several, put before the ids of its episodes; None for one alone.

    Raises:
        JournalError: a journal that cannot be read.
    """
    return _read(features, recording, number, pictures=bool(features.config.cameras))


def read_pictures(camera: str, recording: Recording, number: int | None) -> tuple[list[Trajectory], list[Feedback]]:
    """As `read_for`, with the pictures of one camera in the place of features.

    Raises:
        JournalError: a journal that cannot be read.
    """
    return _read(lambda observation: {camera: observation.images[camera]}, recording, number, pictures=True)


def _read(
    encode: Encode, recording: Recording, number: int | None, *, pictures: bool
) -> tuple[list[Trajectory], list[Feedback]]:
    found = read_trajectories(recording.journal, encode, pictures=pictures)
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


def warn_of_words(model: LearnedReward, sentence: str) -> None:
    """Say which words of a sentence the model has never been shown."""
    unknown = model.unknown_words(sentence)
    if unknown and model.config.text:
        log.warning("reward: no training sentence had %s; scores for %r mean little", ", ".join(unknown), sentence)


def build_seen(recording: Recording, config: TrainConfig) -> Features:
    """The features of settings made by `Recording.seen`."""
    return build_features(config, recording.spec)
