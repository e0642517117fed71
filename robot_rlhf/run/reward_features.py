"""What a reward model sees of a robot: said in its file, and built again from it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.errors import CheckpointError
from robot_rlhf.policy.encoders import FrozenEncoder, digest_of
from robot_rlhf.policy.features import FeatureConfig, Features
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.rewards.network import RewardInputs
from robot_rlhf.run.learning import LearningConfig

log = logging.getLogger(__name__)


def features_facts(config: LearningConfig, spec: RobotSpec) -> dict[str, Any]:
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


def warn_of_words(model: LearnedReward, sentence: str) -> None:
    """Say which words of a sentence the model has never been shown."""
    unknown = model.unknown_words(sentence)
    if unknown and model.config.text:
        log.warning("reward: no training sentence had %s; scores for %r mean little", ", ".join(unknown), sentence)
