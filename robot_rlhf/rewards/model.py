"""The learned reward model: scores transitions by one of its heads, on the device, in bounded memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.datatypes import Batch
from robot_rlhf.errors import CheckpointError, ConfigError, InvalidValueError, RobotRlhfError, ShapeError
from robot_rlhf.policy.shapes import check_same_shapes, shapes_in
from robot_rlhf.policy.tensor_file import read_checkpoint, write_checkpoint
from robot_rlhf.rewards.network import HEADS, Head, Heads, RewardConfig, RewardInputs, RewardNetwork
from robot_rlhf.rewards.text import TextEncoder

KIND = "learned reward"
VECTOR_CHUNK = 8192
"""Transitions scored at once where no pictures are looked at."""
PICTURE_CHUNK = 256


@dataclass(frozen=True)
class Calibration:
    """How the success head's log odds become a probability, and when that counts as a success."""

    temperature: float = 1.0
    """Log odds are divided by it (Guo et al. 2017)."""
    offset: float = 0.0
    """Then added (Platt 1999): training shows as many successes as others, the world does not."""
    threshold: float = 0.5
    """Probability from which a moment counts as a success."""
    hold: int = 1
    """Moments in a row that must count before the task has succeeded."""

    def probability(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Of success, by all members together. Shape (E, B) -> (B,)."""
        return (1.0 / (1.0 + np.exp(-np.clip(logits / self.temperature + self.offset, -500.0, 500.0)))).mean(axis=0)


class LearnedReward:
    """Scores that were learned; a transition's reward is about the observation that it leads to.

    What it is told in `reads` decides what a score is: 'progress' the mean of the members, in [0, 1]; 'preference' the
    mean, unbounded; 'success' 1 where the calibrated probability reaches the threshold, else 0 (see `HeldSuccess`).
    """

    def __init__(
        self,
        inputs: RewardInputs,
        config: RewardConfig,
        *,
        seed: int,
        device: str = "cpu",
        reads: Head = "progress",
        texts: TextEncoder | None = None,
    ) -> None:
        """Args: texts: reads instructions instead of an own table of words; it is not saved with the model."""
        self.inputs = inputs
        self.config = config
        self.device = torch.device(device)
        self.network = RewardNetwork(inputs, config, torch.Generator().manual_seed(seed), texts).to(self.device)
        self.reads: Head = reads
        self.version = 0
        """Number of trainings that made it."""
        self.trained: tuple[Head, ...] = ()
        """Heads that have learned something."""
        self.calibration = Calibration()
        self.instruction = ""
        """What transitions are scored for; a Batch does not say."""
        self.facts: Mapping[str, Any] = {}
        """What it was trained on, as JSON: task, robot, features, figures."""
        self._given_texts = texts is not None

    @property
    def is_ready(self) -> bool:
        """The head that is read has learned something."""
        return self.reads in self.trained

    @property
    def has_bounds(self) -> bool:
        """Scores are in [0, 1]."""
        return self.reads != "preference"

    # -- scoring -------------------------------------------------------------------------------------------------

    def forward(
        self,
        observation: Mapping[str, Tensor],
        action: Tensor | None = None,
        instructions: Sequence[str] | None = None,
        *,
        own_rows: bool = False,
    ) -> Heads:
        """What the members say, all at once and with gradients.

        Args:
            observation: as RewardNetwork.forward takes it.
            action: that led there, (B, m), where the inputs ask for it.
            instructions: B sentences; None: `instruction` for all.
            own_rows: the rows are E blocks, one for each member alone.

        Raises:
            InvalidValueError: something that it looks at is missing.
            ShapeError: something has another shape than the inputs say.
        """
        self._check(observation, action)
        if instructions is None:
            instructions = [self.instruction] * len(observation[self.inputs.names[0]])
        return self.network(observation, action, instructions, own_rows=own_rows)

    @torch.no_grad()
    def members(
        self,
        observation: Mapping[str, Tensor],
        action: Tensor | None = None,
        instructions: Sequence[str] | None = None,
    ) -> Tensor:
        """What each member says by the head that is read, in chunks; of success the calibrated probability.

        Arguments as of `forward`, on any device.

        Returns:
            Shape (E, B), on the model's device.
        """
        parts = [self._read(*chunk) for chunk in self._chunks(observation, action, instructions)]
        return torch.cat(parts, dim=1) if parts else torch.zeros(self.config.members, 0, device=self.device)

    def members_of(self, batch: Batch) -> Tensor:
        """As `members`, of the observations that transitions led to. Shape (E, B)."""
        return self.members(batch.next_observation, None if self.inputs.action is None else batch.action)

    def scores(self, batch: Batch) -> Tensor:
        """Reward per transition, on the model's device. Shape (B,)."""
        mean = self.members_of(batch).mean(dim=0)
        return (mean >= self.calibration.threshold).float() if self.reads == "success" else mean

    def unknown_words(self, sentence: str) -> list[str]:
        """Words of an instruction that no training sentence had; none where instructions are not read by own words."""
        return [] if self.network.words is None else self.network.words.unknown(sentence)

    def _read(
        self, observation: Mapping[str, Tensor], action: Tensor | None, instructions: Sequence[str] | None
    ) -> Tensor:
        heads = self.forward(observation, action, instructions)
        if self.reads == "progress":
            return heads.progress
        if self.reads == "preference":
            return heads.preference
        return torch.sigmoid(heads.success / self.calibration.temperature + self.calibration.offset)

    def _chunks(
        self, observation: Mapping[str, Tensor], action: Tensor | None, instructions: Sequence[str] | None
    ) -> Iterator[tuple[dict[str, Tensor], Tensor | None, Sequence[str] | None]]:
        self._check(observation, action)
        size = PICTURE_CHUNK if self.inputs.cameras else VECTOR_CHUNK
        for start in range(0, len(observation[self.inputs.names[0]]), size):
            part = slice(start, start + size)
            yield (
                {name: observation[name][part].to(self.device) for name in self.inputs.names},
                None if action is None else action[part].to(self.device),
                None if instructions is None else instructions[part],
            )

    def _check(self, observation: Mapping[str, Tensor], action: Tensor | None) -> None:
        sizes: dict[str, tuple[int, ...]] = {n: (*size, 3) for n, size in self.inputs.cameras.items()}
        if self.inputs.state:
            sizes["state"] = (self.inputs.state,)
        if self.inputs.embedding:
            sizes["embedding"] = (self.inputs.embedding,)
        for name, size in sizes.items():
            if name not in observation:
                raise InvalidValueError("reward model: observation", sorted(observation), f"one with {name!r}")
            got = tuple(observation[name].shape)
            if got[1:] != size:
                raise ShapeError(f"reward model: observation[{name}]", got, ("B", *size))
        if self.inputs.action is not None:
            if action is None:
                raise InvalidValueError("reward model: action", None, f"actions (B, {self.inputs.action})")
            if tuple(action.shape[1:]) != (self.inputs.action,):
                raise ShapeError("reward model: action", tuple(action.shape), ("B", self.inputs.action))

    # -- files ---------------------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write weights and everything that is needed to go on.

        Raises:
            CheckpointError: the file cannot be written.
        """
        facts = {
            "kind": KIND,
            "inputs": dataclasses.asdict(self.inputs),
            "config": dataclasses.asdict(self.config),
            "given_texts": self._given_texts,
            "reads": self.reads,
            "version": self.version,
            "trained": list(self.trained),
            "calibration": dataclasses.asdict(self.calibration),
            "instruction": self.instruction,
            "vocabulary": sorted(self.network.words.vocabulary) if self.network.words is not None else [],
            "facts": dict(self.facts),
        }
        write_checkpoint(path, self.network.state_dict(), facts)

    @classmethod
    def load(
        cls, path: Path, device: str = "cpu", *, reads: Head | None = None, texts: TextEncoder | None = None
    ) -> LearnedReward:
        """The inverse of save.

        Args:
            reads: another head than the one that was read when it was saved.
            texts: what read instructions in training, where that was not an own table of words.

        Raises:
            CheckpointError: missing, corrupt, no learned reward, of another architecture, or it needs `texts`.
            ConfigError: the head that is to be read has learned nothing.
        """
        tensors, facts = read_checkpoint(path)
        if facts.get("kind") != KIND:
            raise CheckpointError(f"{path}: holds no learned reward (facts {sorted(facts)})")
        try:
            model, given_texts = cls._from_facts(facts, device, texts), bool(facts["given_texts"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, RobotRlhfError) as error:
            raise CheckpointError(f"{path}: a learned reward of another version of this program ({error})") from error
        if given_texts != (texts is not None):
            needs = "needs the text encoder that it was trained with" if texts is None else "reads its own words"
            raise CheckpointError(f"{path}: {needs}")
        check_same_shapes(str(path), shapes_in(tensors), shapes_in(model.network.state_dict()))
        model.network.load_state_dict(tensors)
        model.read(reads or model.reads)
        return model

    @classmethod
    def _from_facts(cls, facts: Mapping[str, Any], device: str, texts: TextEncoder | None) -> LearnedReward:
        inputs = dict(facts["inputs"])
        inputs["cameras"] = {name: tuple(size) for name, size in inputs["cameras"].items()}
        config = dict(facts["config"])
        config["hidden"] = tuple(config["hidden"])
        model = cls(RewardInputs(**inputs), RewardConfig(**config), seed=0, device=device, texts=texts)
        model.reads = facts["reads"]
        model.version = int(facts["version"])
        model.trained = tuple(facts["trained"])
        model.calibration = Calibration(**facts["calibration"])
        model.instruction = facts["instruction"]
        model.facts = facts["facts"]
        if model.network.words is not None:
            model.network.words.vocabulary.update(facts["vocabulary"])
        return model

    def read(self, head: Head) -> None:
        """Score by this head from now on.

        Raises:
            ConfigError: it has learned nothing.
        """
        if head not in HEADS or head not in self.trained:
            raise ConfigError(f"reward model: its {head} head has not been trained; trained: {', '.join(self.trained)}")
        self.reads = head

    def check_fits(self, inputs: RewardInputs, what: str) -> None:
        """Check that a robot and its features give what this model looks at.

        Args:
            inputs: what they give.
            what: they are; the subject of the message.

        Raises:
            CheckpointError: naming the first thing that is missing or of another size.
        """
        for name, size in self.inputs.cameras.items():
            if name not in inputs.cameras:
                has = ", ".join(sorted(inputs.cameras)) or "no camera"
                raise CheckpointError(f"{what} has {has}, the reward model was trained with camera {name!r}")
            if tuple(inputs.cameras[name]) != tuple(size):
                got = "{} x {}".format(*inputs.cameras[name])
                raise CheckpointError(
                    f"{what}: pictures of {name!r} are {got}, the reward model was trained with {size[0]} x {size[1]}"
                )
        for name in ("state", "action", "embedding"):
            want, got = getattr(self.inputs, name), getattr(inputs, name)
            if want and got != want:
                raise CheckpointError(
                    f"{what}: the {name} vector has {got or 0} entries, the reward model was trained with {want}"
                )


class HeldSuccess:
    """Whether the task has succeeded, told moment by moment: it must look so for several in a row."""

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        self._seen = 0

    def reset(self) -> None:
        """An episode begins."""
        self._seen = 0

    def step(self, probability: float) -> bool:
        """Args: probability: of success, calibrated, at the present moment. Returns: succeeded by now, held."""
        self._seen = self._seen + 1 if probability >= self.calibration.threshold else 0
        return self._seen >= self.calibration.hold
