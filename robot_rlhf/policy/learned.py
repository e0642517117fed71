"""A policy whose weights come from a learner."""

from __future__ import annotations

import numpy as np
import torch

from robot_rlhf.datatypes import Action, Observation, RobotSpec, WeightSnapshot
from robot_rlhf.errors import CheckpointError, InvalidValueError, NoWeightsError
from robot_rlhf.policy.features import Features
from robot_rlhf.policy.networks import Actor, NetworkConfig, Shapes, has_discrete_gripper, join_action
from robot_rlhf.policy.shapes import check_same_shapes, shapes_in


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
    )


class LearnedPolicy:
    """Acts by the actor network; weights are swapped by `load` between steps.

    Sampling (for practice) draws its noise from the generator given to `act`; otherwise the mean action is taken, and
    the likelier gripper state.
    """

    def __init__(
        self, spec: RobotSpec, features: Features, config: NetworkConfig, *, sample: bool, device: str = "cpu"
    ) -> None:
        self.sample = sample
        self._features = features
        self._shapes = shapes_of(spec, features)
        self._device = torch.device(device)
        self._discrete = has_discrete_gripper(self._shapes, config)
        self._actor = Actor(self._shapes, config, torch.Generator()).to(self._device).requires_grad_(False)
        self._version = -1
        self.checksum = ""
        """Of the weights that act; empty before the first."""

    @property
    def version(self) -> int:
        return self._version

    def reset(self) -> None:
        """Nothing is carried from step to step."""

    def load(self, snapshot: WeightSnapshot) -> None:
        """Take over new weights.

        Raises:
            CheckpointError: names or shapes are those of another architecture, or the version is none that a learner
                gives.
        """
        if snapshot.version < 0:
            raise CheckpointError(f"weights: version is {snapshot.version}, allowed >= 0")
        own = self._actor.state_dict()
        check_same_shapes("weights", shapes_in(snapshot.arrays), shapes_in(own), plural=True)
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(torch.from_numpy(np.array(snapshot.arrays[name])))
        self._version, self.checksum = snapshot.version, snapshot.checksum

    @torch.no_grad()
    def act(self, observation: Observation, instruction: str, rng: np.random.Generator) -> Action:
        """Decide.

        Raises:
            NoWeightsError: no weights were loaded, and the robot would move by chance.
            InvalidValueError: the network gives NaN.
        """
        del instruction
        if self._version < 0:
            raise NoWeightsError("the policy has no weights yet; allowed: to act once load() has given it some")
        encoded = {
            name: torch.as_tensor(np.array(value), device=self._device).unsqueeze(0)
            for name, value in self._features(observation).items()
        }
        out = self._actor(encoded)
        raw = out.mean
        is_open = None
        if self._discrete:
            assert out.gripper_logit is not None
            chance = torch.sigmoid(out.gripper_logit)
            threshold = float(rng.random()) if self.sample else 0.5
            is_open = (chance > threshold).to(raw.dtype)
        if self.sample:
            noise = torch.from_numpy(rng.standard_normal(raw.shape[1]).astype(np.float32)).to(self._device)
            raw = raw + out.log_std.exp() * noise
        action = join_action(torch.tanh(raw), is_open, self._shapes.gripper if self._discrete else None)
        values = action[0].cpu().numpy()
        if not np.isfinite(values).all():
            raise InvalidValueError(f"policy (version {self._version}) action", values.tolist(), "finite numbers")
        return Action(values)
