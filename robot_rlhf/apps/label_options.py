"""The settings of `robot-rlhf label`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro

from robot_rlhf.errors import ConfigError
from robot_rlhf.models.endpoint import EndpointConfig
from robot_rlhf.ranges import SEED, check_ranges
from robot_rlhf.rewards.labelers.oracle import Teacher


@dataclass(frozen=True)
class LabelOptions:
    """Compare pairs of recorded clips; every answer is appended to the journal at once."""

    recording: tyro.conf.Positional[Path]
    """A run's folder, or a journal's."""
    labeler: Literal["terminal", "oracle", "rules", "vlm"] = "terminal"
    """Who answers: you, here; the simulator's truth; ranked rules; a vision-language model behind an endpoint."""
    count: int = 50
    """Pairs to ask about."""
    strategy: Literal["uniform", "k_centre", "disagreement", "entropy"] = "uniform"
    """How pairs are chosen; the last two by the ensemble of --reward."""
    length: int | None = None
    """Steps per clip; when left out the longest of 10, 20, 40, 60, 100 that half of the episodes have."""
    budget: int | None = None
    """Labels that this author may ever give in this journal, skipped pairs not counted; no limit when left out."""
    reward: Path | None = None
    """File of a learned reward with a trained preference head, for disagreement and entropy."""
    author: str = ""
    """Your name as the labels keep it; the login's when left out. The other labelers name themselves."""
    camera: str | None = None
    """Whose pictures are shown; the first camera when left out."""
    hindsight: int = 0
    """Steps of what came after that each clip is shown with; the label is the clip's own."""
    seed: int = 0
    """Of the choice of pairs, and of an oracle's mistakes."""
    oracle: Teacher = field(default_factory=Teacher)
    factors: tuple[str, ...] = ("success", "force", "time", "path")
    """Rules, the most important first: success, force, time, path, and of a thing of the scene near:cube,
    height:cube, approach:cube, lift:cube; any fact with mean, most, least, last or gain before it, and a minus where
    less is better: "-most:speed"; behind @ the threshold in standard deviations, for example path@0.5."""
    vlm: EndpointConfig = field(default_factory=EndpointConfig)
    goal: str | None = None
    """What counts as success, for the model; what the robot was asked for when left out."""
    moments: int = 1
    """Pictures of each clip that the model is shown; 1 is its last."""
    transcript: Path | None = None
    """Where the model's questions and answers are kept; vlm_transcript.jsonl in the recording when left out."""
    replay: Path | None = None
    """Take the model's answers from this transcript; nothing is sent."""

    def __post_init__(self) -> None:
        check_ranges(self, "", seed=SEED)
        for name, least in (("count", 1), ("hindsight", 0), ("moments", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"--{name}: got {getattr(self, name)}, allowed >= {least}")
        if self.length is not None and self.length < 1:
            raise ConfigError(f"--length: got {self.length}, allowed: steps >= 1")
        needs = self.strategy in ("disagreement", "entropy")
        if needs and self.reward is None:
            raise ConfigError(
                f"--strategy {self.strategy}: needs the ensemble of --reward FILE; allowed without: uniform"
            )
        if self.reward is not None and not needs:
            raise ConfigError(f"--reward: not used with --strategy {self.strategy}; allowed: disagreement, entropy")
