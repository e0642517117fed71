"""A policy whose weights come from a learner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from robot_rlhf.datatypes import Action, Assignment, Observation, RobotSpec, WeightSnapshot
from robot_rlhf.errors import CheckpointError, InvalidValueError, NoWeightsError
from robot_rlhf.policy.features import Features, Past
from robot_rlhf.policy.heads import PolicyOutput, check_head
from robot_rlhf.policy.imitators import Imitators, values_of_both
from robot_rlhf.policy.networks import Actor, Critic, NetworkConfig, Shapes, has_discrete_gripper, join_action
from robot_rlhf.policy.shapes import check_same_shapes, shapes_in
from robot_rlhf.ranges import SHARE, check_ranges


@dataclass(frozen=True)
class ExplorationConfig:
    """How practice differs from what the policy thinks best."""

    noise: float = 1.0
    """Share of the policy's own standard deviation that practice draws with; 0 does what it thinks best. What imitates
    (imitators) acts without noise."""
    gripper: Literal["drawn", "likelier"] = "drawn"
    """A gripper that is a choice of two: drawn anew in each period, or what the policy finds likelier."""

    def __post_init__(self) -> None:
        check_ranges(self, "exploration", noise=SHARE)


def shapes_of(spec: RobotSpec, features: Features) -> Shapes:
    """The shapes that networks of this robot need."""
    names = spec.action.names
    return Shapes(
        state=features.size - sum(features.frozen.values()),
        action=spec.action.size,
        gripper=names.index("gripper") if "gripper" in names else None,
        cameras=features.cameras,
        frozen=features.frozen,
        relative=features.relative,
        normalised=features.normalised,
        past=features.config.past,
        context=features.context.size,
    )


class LearnedPolicy:
    """A TrainablePolicy: acts by the actor network, or by what imitates where that is the better (policy/imitators.py):
    the weights tell whether there are imitators. Weights are swapped by `load` between steps.

    Exploring (in practice) draws its noise from the generator given to `act`; otherwise it does its head's mode, and
    the likelier gripper state.
    """

    def __init__(
        self,
        spec: RobotSpec,
        features: Features,
        config: NetworkConfig,
        *,
        exploration: ExplorationConfig | None = None,
        device: str = "cpu",
    ) -> None:
        """Args: exploration: None does what the policy thinks best."""
        self.exploration = exploration
        self._config = config
        self._features = features
        self._past = Past(features.config.past, features.size)
        self._shapes = shapes_of(spec, features)
        self._device = torch.device(device)
        self._discrete = has_discrete_gripper(self._shapes, config)
        self._actor = Actor(self._shapes, config, torch.Generator()).to(self._device).requires_grad_(False)
        self._imitators: Imitators | None = None
        self._judge: Critic | None = None
        self._alone: bool | None = None
        self._version = -1
        self.checksum = ""
        """Of the weights that act; empty before the first."""

    @property
    def version(self) -> int:
        return self._version

    def reset(self) -> None:
        """An episode begins: whether the imitators act alone in it is what its first weights say."""
        self._alone = None
        self._past.forget()

    def load(self, snapshot: WeightSnapshot) -> None:
        """Take over new weights.

        Raises:
            CheckpointError: names, shapes or head are those of another architecture, or the version is none that a
                learner gives.
        """
        if snapshot.version < 0:
            raise CheckpointError(f"weights: version is {snapshot.version}, allowed >= 0")
        check_head("weights", snapshot.head, self._actor.head.kind)
        imitators, judge = self._modules_beside(snapshot)
        own = dict(self._actor.state_dict())
        for prefix, module in (("imitators", imitators), ("judge", judge)):
            if module is not None:
                own |= {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}
        check_same_shapes("weights", shapes_in(snapshot.arrays), shapes_in(own), plural=True)
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(torch.from_numpy(np.array(snapshot.arrays[name])))
        self._imitators, self._judge = imitators, judge
        self._version, self.checksum = snapshot.version, snapshot.checksum

    def _modules_beside(self, snapshot: WeightSnapshot) -> tuple[Imitators | None, Critic | None]:
        """Imitators and critics for such weights, those of the last ones where they fit; None where there are none."""
        members = {
            array.shape[0] for name, array in snapshot.arrays.items() if name.startswith("imitators.") and array.ndim
        }
        if not members:
            return None, None
        size, generator = self._actor.encoder.size, torch.Generator()
        imitators, judge = self._imitators, self._judge
        if imitators is None or {p.shape[0] for p in imitators.parameters()} != members:
            imitators = Imitators(self._shapes, self._config, min(members), size, generator)
            imitators = imitators.to(self._device).requires_grad_(False)
        judged = any(name.startswith("judge.") for name in snapshot.arrays)
        if not judged and bool(snapshot.arrays.get("imitators.alone", 0.0)):
            return imitators, None
        if judge is None:
            judge = Critic(self._shapes, self._config, size, generator).to(self._device).requires_grad_(False)
        return imitators, judge

    @torch.no_grad()
    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        """Decide.

        Raises:
            NoWeightsError: no weights were loaded, and the robot would move by chance.
            InvalidValueError: the network gives NaN, or what is asked has not the context that it looks at.
        """
        if self._version < 0:
            raise NoWeightsError("the policy has no weights yet; allowed: to act once load() has given it some")
        encoded = {
            name: torch.as_tensor(np.array(value), device=self._device).unsqueeze(0)
            for name, value in self._features.asked(observation, asked.context, self._past).items()
        }
        features = self._actor.encoder(encoded)
        out = self._best(features, self._actor.head(features))
        values = self._chosen(out, rng)[0].cpu().numpy()
        if not np.isfinite(values).all():
            raise InvalidValueError(f"policy (version {self._version}) action", values.tolist(), "finite numbers")
        return Action(values)

    def _chosen(self, out: PolicyOutput, rng: np.random.Generator) -> Tensor:
        """What is done, or tried, of what was found. Shape (1, m)."""
        exploration = self.exploration
        is_open = None
        if self._discrete:
            drawn = exploration is not None and exploration.gripper == "drawn"
            is_open = out.is_open(float(rng.random()) if drawn else 0.5)
        if exploration is not None and exploration.noise > 0.0:
            count = out.continuous.noises(self._actor.head.continuous)
            noise = torch.from_numpy(rng.standard_normal((1, count)).astype(np.float32)).to(self._device)
            continuous = out.continuous.explored(noise, exploration.noise)
        else:
            continuous = out.continuous.mode()
        return join_action(continuous, is_open, self._shapes.gripper if self._discrete else None)

    def _best(self, features: Tensor, found: PolicyOutput) -> PolicyOutput:
        """What acts: the imitators' proposal, unless every critic finds better what the actor proposes and is asked."""
        imitators, critic = self._imitators, self._judge
        if imitators is None or not imitators.know:
            return found
        if self._alone is None:
            self._alone = bool(imitators.alone)
        imitated = imitators(features)
        if self._alone or critic is None:
            return imitated
        ours, theirs = values_of_both(critic, features, found, imitated)
        if not bool(torch.isfinite(ours - theirs).all()):
            raise InvalidValueError(f"policy (version {self._version}) critics", ours[:, 0].tolist(), "finite numbers")
        return found if bool((ours > theirs).all()) else imitated
