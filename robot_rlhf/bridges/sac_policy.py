"""Actor and critics of our learner as the policy of a Stable-Baselines3 algorithm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Unpack

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import (
    DictReplayBufferSamples,
    PyTorchObs,
    ReplayBufferSamples,
    Schedule,
)
from torch import Tensor, nn

from robot_rlhf.bridges.observations import NetworkLayout, by_key
from robot_rlhf.bridges.settings import PLAIN_SAC, PolicyKwargs, network_of
from robot_rlhf.datatypes import Batch, Source
from robot_rlhf.errors import ConfigError
from robot_rlhf.learner import losses
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.learner.state import follow
from robot_rlhf.policy.heads import PolicyOutput
from robot_rlhf.policy.networks import Actor, Critic, NetworkConfig, Shapes, join_action, split_action
from robot_rlhf.policy.shapes import check_same_shapes, shapes_in
from robot_rlhf.policy.vectors import find_differences


class SacActor(BasePolicy):
    """The newest actor by itself: predicts, and is saved and loaded without the critics.

    Samples are drawn with PyTorch's global generator, which Stable-Baselines3 seeds.
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Box,
        *,
        network: NetworkConfig,
        gripper: int | None = None,
        relative: tuple[tuple[str, str], ...] = (),
        normalised: bool = False,
        normalize_images: bool = True,
        module: Actor | None = None,
    ) -> None:
        """
        Args:
            module: the actor; None makes one, from PyTorch's global generator.
        """
        super().__init__(observation_space, action_space, squash_output=True, normalize_images=normalize_images)
        self.layout = NetworkLayout(observation_space, normalise=normalize_images)
        self.gripper = gripper
        self.config = network
        self._seen = {"relative": relative, "normalised": normalised}
        if module is None:
            generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
            shapes = shapes_in_spaces(self.layout, action_space, gripper, relative=relative, normalised=normalised)
            module = Actor(shapes, network, generator)
        self.network = module
        object.__setattr__(self, "features_extractor", module.encoder)  # a second name, not a second set of parameters

    def distribution(self, observation: PyTorchObs) -> PolicyOutput:
        """Of the actions for B observations."""
        return self.network(self.layout.encode(by_key(observation)))

    def forward(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        return self._predict(observation, deterministic)

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        seen = self.layout.encode(by_key(observation))
        return action_of(self.network, seen, self.gripper, deterministic=deterministic)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        own = {"network": self.config, "gripper": self.gripper, **self._seen}
        return super()._get_constructor_parameters() | own


class SacCritic(nn.Module):
    """The critics, asked as theirs are; they share the actor's encoder, which is saved there."""

    def __init__(self, network: Critic, actor: SacActor) -> None:
        super().__init__()
        self.network = network
        self._beside = (actor,)  # in a tuple it is no part of this module

    @property
    def features_extractor(self) -> nn.Module:
        return self._beside[0].network.encoder

    def forward(self, observations: PyTorchObs, actions: Tensor) -> tuple[Tensor, ...]:
        """Q by each critic.

        Args:
            actions: in [-1, 1], as the replay buffer keeps them. Shape (B, m).

        Returns:
            One of shape (B, 1) for each.
        """
        (actor,) = self._beside
        discrete = actor.gripper if self.network.discrete else None
        continuous, is_open = split_action(actions, discrete)
        q = self.network(actor.network.encoder(actor.layout.encode(by_key(observations))), continuous)
        return tuple(losses.of_executed_gripper(q, is_open).unsqueeze(2))


class SacPolicy(BasePolicy):
    """The networks of a SacLearner, and with them the learner.

    Deterministic predictions are the averaged actor's mode, which with sac.average_rate of 1 is the newest one's;
    others are drawn from the newest actor. Saved and loaded are the weights; what else the learner has, the algorithm
    saves.
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Box,
        lr_schedule: Schedule,
        *,
        sac: SacConfig = PLAIN_SAC,
        network: NetworkConfig | None = None,
        gripper: int | None = None,
        relative: tuple[tuple[str, str], ...] = (),
        normalised: bool = False,
        device: torch.device | str = "cpu",
        **asked: Unpack[PolicyKwargs],
    ) -> None:
        """Make the networks, from PyTorch's global generator.

        Args:
            lr_schedule: not used here; the algorithm tells the learner its rate.
            network: what policy_kwargs are changes of.
            gripper: index of the action entry that is a gripper's, to be learned as a choice of two; None for none.
            relative: pairs of parts of the observation whose difference networks see too; as RlhfSAC takes them.
            normalised: networks see numbers by mean and spread of what was learned from.
            device: where learning happens.
            asked: policy_kwargs of Stable-Baselines3's SAC.

        Raises:
            ConfigError: spaces or settings that the networks cannot serve; names them.
            UnknownNameError: `relative` names what the observation has not.
        """
        del lr_schedule
        normalise = asked.get("normalize_images", True)
        super().__init__(observation_space, action_space, squash_output=True, normalize_images=normalise)
        self.layout = NetworkLayout(observation_space, normalise=normalise)
        self._network = network_of(asked, network, pictures=bool(self.layout.cameras))
        if self._network.encoder_frozen:
            raise ConfigError("network.encoder_frozen: got True, allowed False; pictures come from the environment")
        if sac.imitators:
            raise ConfigError(f"sac.imitators: got {sac.imitators}, allowed 0; here the actor alone predicts")
        if sac.turned_colours and any(count != 3 for count in self.layout.channels.values()):
            raise ConfigError(f"sac.turned_colours: got {sac.turned_colours}, allowed 0 where pictures have no colours")
        self._sac = sac
        self._gripper = gripper
        self._seen: dict[str, Any] = {"relative": relative, "normalised": normalised}
        shapes = shapes_in_spaces(self.layout, action_space, gripper, **self._seen)
        seed = int(torch.randint(2**31, ()))
        self.learner = SacLearner(shapes, self._network, sac, seed=seed, device=str(device))
        self.actor = SacActor(
            observation_space,
            action_space,
            network=self._network,
            gripper=gripper,
            normalize_images=normalise,
            module=self.learner.actor,
            **self._seen,
        )
        self.critic = SacCritic(self.learner.critic, self.actor)
        self.critic_target = SacCritic(self.learner.target, self.actor)
        self.average = self.learner.average if sac.average_rate < 1.0 else None

    def forward(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        return self._predict(observation, deterministic)

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        if self.average is None or not deterministic:
            return self.actor(observation, deterministic)
        return action_of(self.average, self.layout.encode(by_key(observation)), self._gripper, deterministic=True)

    def batch_of(
        self, samples: ReplayBufferSamples | DictReplayBufferSamples, discount: float, source: Tensor | None = None
    ) -> Batch:
        """What the learner takes; all count the same.

        Args:
            discount: gamma, unless the samples bring their own (n-step buffers).
            source: who drove, as Source, int64 (B,); None: the policy in all of them.
        """
        count = len(samples.rewards)
        goes_on = 1.0 - samples.dones.reshape(count)
        own = samples.discounts
        return Batch(
            observation=self.layout.encode(by_key(samples.observations)),
            action=samples.actions.float(),
            reward=samples.rewards.reshape(count),
            discount=goes_on * (discount if own is None else own.reshape(count)),
            next_observation=self.layout.encode(by_key(samples.next_observations)),
            source=torch.full((count,), int(Source.POLICY), device=goes_on.device) if source is None else source,
            weight=torch.ones_like(goes_on),
            index=torch.zeros(count, dtype=torch.int64, device=goes_on.device),
        )

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Copy weights in.

        Args:
            strict: all of them must be given, and no others.
            assign: must be False: the learner holds on to its parameters.

        Raises:
            CheckpointError: they belong to another architecture; names the first that does.
        """
        if assign:
            raise ConfigError("assign: got True, allowed False; the learner holds on to its parameters")
        given, own = shapes_in(state_dict), shapes_in(self.state_dict())
        if not strict:
            own = {name: shape for name, shape in own.items() if name in given}
            given = {name: shape for name, shape in given.items() if name in own}
        check_same_shapes("weights", given, own, plural=True)
        found = super().load_state_dict(state_dict, strict=strict)
        if self.average is None:
            follow(self.learner.average, self.learner.actor, 1.0)
        return found

    def _get_constructor_parameters(self) -> dict[str, Any]:
        own = {"sac": self._sac, "network": self._network, "gripper": self._gripper, **self._seen}
        return super()._get_constructor_parameters() | own | {"lr_schedule": self._dummy_schedule}


class SacCnnPolicy(SacPolicy):
    """SacPolicy of one picture: other observations are refused, as theirs does."""

    def __init__(self, observation_space: spaces.Space, *args: Any, **kwargs: Any) -> None:
        """Raises ConfigError when the observation is no picture."""
        normalise = kwargs.get("normalize_images", True)
        if not NetworkLayout(observation_space, normalise=normalise).cameras:
            raise ConfigError(
                f"CnnPolicy: got {observation_space}, allowed: a picture of bytes from 0 to 255, or any array of three "
                "axes with policy_kwargs.normalize_images=False; other observations have MlpPolicy"
            )
        super().__init__(observation_space, *args, **kwargs)


class LearnerRemainder:
    """What a SacLearner holds besides the policy: moments of optimisers, counter, generator, and its imitators."""

    def __init__(self, learner: SacLearner) -> None:
        self._learner = learner

    def state_dict(self) -> dict[str, Tensor]:
        elsewhere = ("actor.", "average.", "critic.", "target.", "log_temperature")
        return {name: value for name, value in self._learner.state().items() if not name.startswith(elsewhere)}

    def load_state_dict(self, state_dict: Mapping[str, Tensor], strict: bool = True) -> None:
        """Raises CheckpointError for another architecture's state, and with `strict` for one that is not whole."""
        own = self.state_dict()
        given = dict(state_dict) if strict else {**own, **state_dict}
        check_same_shapes("state", shapes_in(given), shapes_in(own))
        self._learner.load_state({**self._learner.state(), **given})


def shapes_in_spaces(
    layout: NetworkLayout,
    action_space: spaces.Box,
    gripper: int | None,
    *,
    relative: tuple[tuple[str, str], ...] = (),
    normalised: bool = False,
) -> Shapes:
    """The shapes of the networks that these spaces need; raises as SacPolicy does."""
    spans = {key or "state": span for key, span in layout.spans.items()}
    entries = math.prod(action_space.shape)
    if gripper is not None and (not isinstance(gripper, int) or gripper not in range(entries)):
        raise ConfigError(f"gripper: got {gripper}, allowed: None, or the index of an action entry, 0 to {entries - 1}")
    return Shapes(
        layout.state_size,
        entries,
        gripper,
        layout.cameras,
        channels=layout.channels,
        relative=find_differences(relative, spans),
        normalised=normalised,
    )


def action_of(actor: Actor, observation: Mapping[str, Tensor], gripper: int | None, *, deterministic: bool) -> Tensor:
    """The action that the policy stands for, or one drawn with PyTorch's global generator. In [-1, 1], shape (B, m)."""
    features = actor.encoder(observation)
    out = actor.head(features)
    if deterministic:
        return join_action(out.continuous.mode(), out.is_open(), gripper)
    noise = torch.randn(len(features), actor.head.noises, device=features.device)
    continuous = out.continuous.explored(noise, 1.0)
    chance = None if out.gripper_logit is None else torch.rand_like(out.gripper_logit)
    return join_action(continuous, None if chance is None else out.is_open(chance), gripper)
