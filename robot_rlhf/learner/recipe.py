"""Recipes of learners: the settings of each kind, which make it and say what it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from robot_rlhf.learner.precision import Precision
from robot_rlhf.naming import OfKind
from robot_rlhf.policy.networks import NetworkConfig, Shapes
from robot_rlhf.ports import Learner, Tutor
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.mixing import ONLINE, PRIOR, Mix

Bounds = tuple[float, float]


@runtime_checkable
class WholeLearner(Learner, Protocol):
    """A learner that can do all that an update is in one go, from the draw of its batch on."""

    def whole_update(
        self, buffer: ReplayBuffer, batch_size: int, mix: Mix
    ) -> Callable[[], Mapping[str, Tensor]] | None:
        """What draws a batch and learns from it; None where it is better drawn first."""
        ...


@dataclass(frozen=True)
class LearnerConfig(OfKind):
    """What all learners' settings have. A learner of one's own: derive a frozen dataclass, and choose it by name."""

    WHAT: ClassVar[str] = "learner"
    KINDS: ClassVar[Mapping[str, str]] = {
        "sac": "robot_rlhf.learner.sac:SacConfig",
        "cloning": "robot_rlhf.learner.cloning:CloningConfig",
        "dagger": "robot_rlhf.learner.cloning:DaggerConfig",
        "iql": "robot_rlhf.learner.iql:IqlConfig",
    }
    rewards: ClassVar[Literal["any", "recorded", "none"]] = "any"
    """Which rewards it can learn from: also those of a reward model, those recorded alone, or none."""
    actions: ClassVar[Literal["needed", "unused"]] = "needed"
    """Whether it learns from what was done. If not, recordings whose actions nobody knows will do: its batches then
    hold their steps, too, with actions of 0."""
    practice: ClassVar[Literal["needed", "possible", "none"]] = "possible"
    """Whether it learns while a robot practises; if it need not, recordings alone will do."""

    shift_pixels: int = 4
    """Largest random shift of pictures (DrQ); 0 for those that replay has shifted already."""

    def make(self, shapes: Shapes, network: NetworkConfig, *, buffer: ReplayBuffer, seed: int, device: str) -> Learner:
        """The learner.

        Args:
            buffer: what it will be given batches of.

        Raises:
            ConfigError: settings that do not go with the network.
        """
        raise NotImplementedError

    def within(self, possible: Callable[[Bounds], Bounds | None]) -> Self:
        """The same where other returns are possible than those of recorded rewards.

        Args:
            possible: the bounds of recorded returns to those of the returns to learn from; None where nothing bounds
                them.
        """
        return self

    def tutors(self, learner: Learner, *, seed: int) -> Sequence[Tutor]:
        """What teaches a learner of this recipe, beside what its replay is filled with."""
        return ()

    def mix(self, prior_share: float) -> Mix:
        """Where the transitions of a batch come from."""
        return {PRIOR: prior_share, ONLINE: 1.0 - prior_share}

    def picture_precision(self, device: torch.device) -> Precision:
        """In which numbers its convolutions take pictures on a device."""
        return "float32"
