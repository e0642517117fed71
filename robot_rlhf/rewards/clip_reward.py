"""CLIP as a reward: how well what a camera sees fits a goal sentence; and its scores as replay keeps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.datatypes import Batch
from robot_rlhf.errors import ConfigError
from robot_rlhf.rewards.clip import CHUNK, ClipEncoder, open_encoder
from robot_rlhf.rewards.projection import mean_direction, projected_reward


@dataclass(frozen=True)
class ClipConfig:
    """A reward from sentences: how well a camera's pictures fit them."""

    model: str | None = None
    """MODEL:TAG of open_clip, for example ViT-B-32:laion2b_s34b_b79k; MODEL:FILE with weights of that architecture; or
    a checkpoint of `robot-rlhf reward clip`."""
    goal: tuple[str, ...] = ()
    """How the world is to look, in one or more ways; several together mean their middle."""
    baseline: tuple[str, ...] = ()
    """How it looks without that: what goal and baseline have in common is to count less (with alpha)."""
    alpha: float = 0.0
    """Strength of that: 0 is the cosine of picture and goal, 1 looks only along the line from baseline to goal."""
    camera: str = "front"
    """Whose pictures are judged."""

    def __post_init__(self) -> None:
        if self.model is None:
            if self.goal or self.baseline or self.alpha:
                raise ConfigError(
                    "clip.goal, clip.baseline, clip.alpha: not used without clip.model; it names the CLIP that reads "
                    "them, for example ViT-B-32:laion2b_s34b_b79k, or a file of robot-rlhf reward clip"
                )
            return
        if not self.goal or not all(sentence.strip() for sentence in (*self.goal, *self.baseline)):
            raise ConfigError(f"clip.goal {self.goal}, clip.baseline {self.baseline}: allowed are sentences, >= 1 goal")
        if not 0.0 <= self.alpha <= 1.0:
            raise ConfigError(f"clip.alpha: got {self.alpha}, allowed 0 to 1")
        if self.alpha > 0.0 and not self.baseline:
            raise ConfigError(f"clip.alpha: got {self.alpha}, which needs clip.baseline; allowed without: 0")

    @property
    def is_used(self) -> bool:
        """There is one."""
        return self.model is not None

    def check_camera(self, recorded: Mapping[str, object], what: str) -> None:
        """Raises ConfigError where the camera is none of those that are recorded."""
        if self.is_used and self.camera not in recorded:
            has = ", ".join(sorted(recorded)) or "none"
            raise ConfigError(f"clip.camera: {what} records the cameras {has}, not {self.camera!r}")


class ClipReward:
    """How well what a camera sees fits a goal sentence, by CLIP (VLM-RM)."""

    def __init__(
        self,
        encoder: ClipEncoder,
        goals: Sequence[str],
        baselines: Sequence[str] = (),
        alpha: float = 0.0,
        *,
        version: int = 0,
    ) -> None:
        """Embed the sentences.

        Args:
            encoder: of the pictures and the sentences.
            goals: one or more ways to say what is wished for.
            baselines: one or more ways to describe the scene without it; needed with alpha > 0.
            alpha: 0 (cosine with the goal) to 1 (only along the line from baseline to goal).
            version: of this choice of sentences.

        Raises:
            InvalidValueError: an empty sentence, or alpha outside [0, 1].
            ConfigError: alpha > 0, and no baseline, or one that means the same as the goal.
        """
        self.encoder = encoder
        self.alpha = alpha
        self._version = version
        each = encoder.texts(goals)
        baseline = mean_direction(encoder.texts(baselines), "baseline sentences") if baselines else None
        together = mean_direction(each, "goal sentences")
        self._goals = [together, *(each if len(each) > 1 else [])]
        self._baseline = baseline
        self.name = f"clip {encoder.name}: {'; '.join(goals)}"
        for goal in self._goals:  # what cannot be scored is said now, not after an episode
            projected_reward(together.unsqueeze(0), goal, baseline, alpha)

    @property
    def version(self) -> int:
        return self._version

    def score_images(self, pictures: Tensor | NDArray[np.uint8]) -> NDArray[np.float32]:
        """The reward of pictures (B, H, W, 3). Shape (B,)."""
        return self._reward(self.encoder.images(pictures), self._goals[0]).cpu().numpy()

    @property
    def sentences(self) -> int:
        """Number of goal sentences, G."""
        return max(1, len(self._goals) - 1)

    def each(
        self, pictures: Tensor | NDArray[np.uint8], heartbeat: Callable[[], None] = lambda: None
    ) -> NDArray[np.float32]:
        """The reward, and that by each goal sentence taken alone. Shape (1 + G, B).

        Args:
            pictures: Shape (B, H, W, 3).
            heartbeat: called after every CHUNK of them.
        """
        found: list[Tensor] = []
        for start in range(0, len(pictures), CHUNK):
            embedded = self.encoder.images(pictures[start : start + CHUNK])
            goals = [self._goals[0], *(self._goals[1:] or self._goals)]
            found.append(torch.stack([self._reward(embedded, goal) for goal in goals]))
            heartbeat()
        return torch.cat(found, dim=1).cpu().numpy()

    def _reward(self, embedded: Tensor, goal: Tensor) -> Tensor:
        return projected_reward(embedded, goal, self._baseline, self.alpha)


class ClipScores:
    """Scores: what a CLIP reward has said of observations, read back from a replay that keeps it in their place.

    The members are the goal sentences, each taken alone, or the one reward of them all.
    """

    has_bounds = False
    """The scale of cosines means nothing: it differs by model and sentence."""
    is_ready = True

    def __init__(self, reward: ClipReward, *, apart: bool) -> None:
        """Args: apart: every goal sentence is a member; False: all of them are one."""
        self.reward = reward
        self.size = reward.sentences if apart else 1
        """Numbers per observation, E."""
        self._rows = slice(1, None) if apart else slice(0, 1)

    @property
    def version(self) -> int:
        return self.reward.version

    def of_pictures(
        self, pictures: NDArray[np.uint8], heartbeat: Callable[[], None] = lambda: None
    ) -> NDArray[np.float32]:
        """What is to be kept of each. Shape (B, H, W, 3) -> (B, E)."""
        return np.ascontiguousarray(self.reward.each(pictures, heartbeat)[self._rows].T)

    def members_of(self, batch: Batch) -> Tensor:
        """Of the observations that were reached. Shape (E, B)."""
        return batch.next_observation["state"].T


def open_reward(config: ClipConfig, device: str = "cpu") -> ClipReward:
    """The reward that the settings name.

    Raises:
        ConfigError: open_clip is not installed, has no such model, or no direction leads from baseline to goal.
        UnknownNameError: no such pretrained tag.
        CheckpointError: weights that cannot be had, or of another architecture.
    """
    if config.model is None:
        raise ConfigError("clip.model: missing; MODEL:TAG of open_clip, or a file of robot-rlhf reward clip")
    encoder = open_encoder(config.model, device)
    return ClipReward(encoder, config.goal, config.baseline, config.alpha)
