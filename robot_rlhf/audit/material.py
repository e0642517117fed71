"""What a learned reward says of recorded sessions, beside what is known of them: the material of a report."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.audit.sentences import SENTENCES, SentenceReward, open_sentences, read_sentences
from robot_rlhf.datatypes import EpisodeKind, Feedback
from robot_rlhf.errors import ConfigError
from robot_rlhf.journal.decoder import EpisodeStarted
from robot_rlhf.journal.tail import JournalTail
from robot_rlhf.learner.reward_data import Moments
from robot_rlhf.rewards.clip_reward import ClipConfig
from robot_rlhf.rewards.metrics import Floats
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.rewards.network import Head, Heads
from robot_rlhf.rewards.trajectory import Trajectory
from robot_rlhf.run.folder.run_folder import read_json_lines
from robot_rlhf.run.recordings import Recording, read_for
from robot_rlhf.run.reward_features import features_of, warn_of_words
from robot_rlhf.runtime.trajectories import read_gold

log = logging.getLogger(__name__)

Read = Head | Literal["sentences"]
"""What a reward is scored by: a head, or sentences."""


@dataclass(frozen=True, eq=False)
class Audited:
    """Everything a report is made from. E members, N moments (T + 1 per episode), one after another."""

    model: LearnedReward | SentenceReward
    moments: Moments
    recordings: tuple[Recording, ...]
    preferences: tuple[Feedback, ...]
    """Labels that stand."""
    kinds: dict[str, EpisodeKind]
    """Of the episodes, by id."""
    gold: dict[str, NDArray[np.float32]]
    """The true reward per step (T,) of the episodes that have one; empty where none was recorded."""
    said: dict[Read, NDArray[np.float32]]
    """What the members say by each head that was trained: progress, reward, log odds of success. Shape (E, N)."""
    evaluations: dict[str, list[dict[str, Any]]]
    """Unaided evaluations by run, as evaluations.jsonl holds them."""

    @property
    def trajectories(self) -> list[Trajectory]:
        return self.moments.trajectories

    @property
    def judged(self) -> list[Trajectory]:
        """Those of which it is known whether they succeeded."""
        return [t for t in self.trajectories if t.success is not None]

    @property
    def head(self) -> Read:
        """The one that is scored by."""
        return self.model.reads

    @property
    def reads_text(self) -> bool:
        """It can be asked about another instruction."""
        return isinstance(self.model, LearnedReward) and self.model.config.text > 0

    @property
    def learned(self) -> LearnedReward:
        """The model, where what is asked of it takes one that was learned."""
        assert isinstance(self.model, LearnedReward)
        return self.model

    @property
    def number_of_members(self) -> int:
        """Of the ensemble; of sentences the goals."""
        return len(next(iter(self.said.values()))) if self.said else 0

    def probability(self) -> Floats:
        """Calibrated, of success at each moment. Shape (N,)."""
        return self.model.calibration.probability(self.said["success"])

    def members(self, head: Read | None = None) -> Floats:
        """What each member says at each moment; of success the probability. Shape (E, N)."""
        head = head or self.head
        said = self.said[head].astype(np.float64)
        if head != "success":
            return said
        c = self.model.calibration
        return 1.0 / (1.0 + np.exp(-np.clip(said / c.temperature + c.offset, -500.0, 500.0)))

    def values(self, head: Read | None = None) -> Floats:
        """Mean of the members at each moment. Shape (N,)."""
        return self.members(head).mean(axis=0)

    def led_to(self, trajectory: Trajectory) -> NDArray[np.int64]:
        """The moments its T steps led to."""
        return self.moments.rows(trajectory)[1:]

    def with_gold(self) -> tuple[NDArray[np.int64], Floats]:
        """Moments that steps led to, of episodes with gold, and that gold. Shapes (K,)."""
        some = [t for t in self.trajectories if t.id in self.gold]
        if not some:
            return np.zeros(0, np.int64), np.zeros(0)
        rows = np.concatenate([self.led_to(t) for t in some])
        return rows, np.concatenate([self.gold[t.id] for t in some]).astype(np.float64)

    def episodes(self, trajectories: Sequence[Trajectory] | None = None) -> str:
        """How many, how they ended, and how many steps: for 'computed on'."""
        some = self.trajectories if trajectories is None else trajectories
        ended = Counter({True: "success", False: "failure", None: "unknown"}[t.success] for t in some)
        words = ", ".join(f"{count} {name}" for name, count in sorted(ended.items(), reverse=True))
        return f"{len(some)} episodes ({words or 'none'}), {sum(map(len, some))} steps"

    @property
    def learned_from(self) -> list[str]:
        """Sessions given that the reward says it was trained on, by the name of their folder."""
        known = set(self.model.facts.get("runs", ()))
        return [str(r.path) for r in self.recordings if r.path.name in known]


def audit(reward: Path | ClipConfig, runs: Sequence[Path], *, head: Head | None = None, device: str = "cpu") -> Audited:
    """Read the sessions, and ask the reward about every moment.

    Raises:
        CheckpointError: no learned reward, or one that was trained with another robot, camera or picture size; no
            weights of a CLIP.
        ConfigError: its head has not been trained, a CLIP's camera was not recorded, or no episode is.
        JournalError: a journal that cannot be read.
    """
    recordings = [Recording.open(path) for path in runs]
    model: LearnedReward | SentenceReward
    if isinstance(reward, ClipConfig):
        model = open_sentences(reward, recordings, device)
    else:
        model = LearnedReward.load(reward, device, reads=head)
    trajectories: list[Trajectory] = []
    preferences: list[Feedback] = []
    kinds: dict[str, EpisodeKind] = {}
    gold: dict[str, NDArray[np.float32]] = {}
    for number, recording in enumerate(recordings):
        several = number if len(recordings) > 1 else None
        if isinstance(model, SentenceReward):
            found, labels = read_sentences(model, recording, several)
        else:
            seen = features_of(model, recording.spec, str(recording.path))
            found, labels = read_for(seen, recording, several, actions=model.inputs.action is not None)
        trajectories += found
        preferences += labels
        prefix = "" if several is None else f"{number}:"
        kinds |= {prefix + name: kind for name, kind in kinds_of(recording.journal).items()}
        true = read_gold(recording.journal)
        if any(values.any() for values in true.values()):  # a robot that knows none records 0 throughout
            gold |= {prefix + name: values for name, values in true.items()}
    if not trajectories:
        raise ConfigError(f"{', '.join(map(str, runs))}: no recorded episode; there is nothing to report on")
    moments = Moments(trajectories, model.inputs)
    said: dict[Read, NDArray[np.float32]] = {}
    if isinstance(model, SentenceReward):
        said[SENTENCES] = model.said(trajectories)
    else:
        for sentence in sorted({t.instruction for t in trajectories}):
            warn_of_words(model, sentence)
        said |= _said(model, moments)
    return Audited(
        model=model,
        moments=moments,
        recordings=tuple(recordings),
        preferences=tuple(preferences),
        kinds=kinds,
        gold=gold,
        said=said,
        evaluations={r.path.name: read_json_lines(r.path / "evaluations.jsonl") for r in recordings},
    )


def _said(model: LearnedReward, moments: Moments) -> dict[Read, NDArray[np.float32]]:
    """By each trained head."""

    def trained(heads: Heads) -> Tensor:
        return torch.cat([getattr(heads, name) for name in model.trained])

    everything = np.arange(len(moments))
    rows = np.split(moments.ask(model, everything, trained), len(model.trained)) if model.trained else []
    return dict(zip(model.trained, rows, strict=True))


def kinds_of(journal: Path) -> dict[str, EpisodeKind]:
    """Kind of every episode, by id."""
    with JournalTail(journal, pictures=False, steps=False) as tail:
        return {r.meta.id: r.meta.kind for r in tail.records() if isinstance(r, EpisodeStarted)}
