"""A CLIP reward as the report on learned rewards looks at one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Feedback
from robot_rlhf.rewards.clip_reward import ClipConfig, ClipReward, open_reward
from robot_rlhf.rewards.model import Calibration
from robot_rlhf.rewards.network import RewardInputs
from robot_rlhf.rewards.trajectory import Trajectory
from robot_rlhf.run.recordings import Recording, read_pictures

SENTENCES: Literal["sentences"] = "sentences"
"""What stands in the place of a head's name."""


@dataclass(frozen=True)
class SentenceReward:
    """What there is to say of it."""

    clip: ClipReward
    camera: str
    """Whose pictures are judged."""
    inputs: RewardInputs
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    calibration: Calibration = field(default_factory=Calibration)
    reads: Literal["sentences"] = SENTENCES
    trained: tuple[Literal["sentences"], ...] = (SENTENCES,)

    @property
    def version(self) -> int:
        return self.clip.version

    def said(self, trajectories: list[Trajectory]) -> NDArray[np.float32]:
        """The reward of every moment by each goal sentence taken alone, one trajectory after another. Shape (G, N)."""
        return np.concatenate([self.clip.each(t.observations[self.camera])[1:] for t in trajectories], axis=1)


def open_sentences(config: ClipConfig, recordings: list[Recording], device: str) -> SentenceReward:
    """The reward that the settings name, for these recordings.

    Raises:
        CheckpointError, ConfigError, UnknownNameError: see `open_reward`; a recording without the camera.
    """
    for recording in recordings:
        config.check_camera(recording.spec.cameras, str(recording.path))
    size = recordings[0].spec.cameras[config.camera]
    clip = open_reward(config, device)
    card = clip.encoder.facts.get("card")
    facts: dict[str, Any] = {"sentences": list(config.goal)}
    if isinstance(card, dict):
        facts["tasks"] = card.get("tasks", [])
    return SentenceReward(clip, config.camera, RewardInputs(0, {config.camera: size}), facts)


def read_sentences(
    reward: SentenceReward, recording: Recording, number: int | None
) -> tuple[list[Trajectory], list[Feedback]]:
    """As `reward_data.read_for`, for such a reward."""
    return read_pictures(reward.camera, recording, number)
