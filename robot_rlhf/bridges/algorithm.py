"""Our off-policy learner as an algorithm of Stable-Baselines3, for any environment with continuous actions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import (
    DictReplayBufferSamples,
    GymEnv,
    PyTorchObs,
    ReplayBufferSamples,
    Schedule,
)
from torch import Tensor

from robot_rlhf.bridges.buffer import DeviceReplayBuffer
from robot_rlhf.bridges.demonstrations import Demonstration
from robot_rlhf.bridges.observations import WHOLE, ObservationLayout
from robot_rlhf.bridges.teaching import TaughtAlgorithm
from robot_rlhf.datatypes import Batch, Source
from robot_rlhf.errors import ConfigError
from robot_rlhf.learner.means import RecentMeans
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.policy.networks import NetworkConfig, Shapes, join_action
from robot_rlhf.policy.vectors import find_differences

PLAIN_SAC = SacConfig(
    temperature=1.0,
    backup_entropy=True,
    actor_every=1,
    return_bounds=None,
    cloning_weight=0.0,
    cloning_weight_end=0.0,
    encoder_cloning=0.0,
    average_rate=1.0,
)
"""Soft actor-critic as published (Haarnoja et al. 2018), for dense rewards of any size and nobody to imitate. The
learner's own defaults are for a sparse reward with demonstrations: returns clipped to [-1, 1], a temperature of 0.01
(from 1.0 the entropy bonus drowns a sparse reward; from 0.01 a dense one is explored too little), imitation, and an
averaged actor."""
TAUGHT_SAC = replace(
    PLAIN_SAC, temperature=0.1, cloning_weight=2.0, cloning_weight_end=0.5, cloning_updates=20_000, average_rate=0.005
)
"""The same for who has demonstrations to imitate: less exploration, imitation that fades, an averaged actor."""


class SacPolicy(BasePolicy):
    """The actor of a SacLearner, and with it the learner: its state is what is saved and loaded.

    Deterministic predictions are the averaged actor's mean, others are drawn from the newest actor with PyTorch's
    global generator, which Stable-Baselines3 seeds.
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
    ) -> None:
        """Make the networks, from PyTorch's global generator.

        Args:
            observation_space: pictures need three channels.
            action_space: of one dimension.
            lr_schedule: not used; the rate is sac.learning_rate.
            gripper: index of the action entry that is a gripper's, to be learned as a choice of two; None for none.
            relative: pairs of parts of the observation whose difference networks see too; as RlhfSAC takes them.
            normalised: networks see numbers by mean and spread of what was learned from.
            device: where learning happens.

        Raises:
            ConfigError: spaces that the networks cannot serve.
            UnknownNameError: `relative` names what the observation has not.
        """
        del lr_schedule
        super().__init__(observation_space, action_space, squash_output=True)
        self.layout = ObservationLayout(observation_space)
        if self.layout.packed:
            raise ConfigError(f"observation space {self.layout.packed}: pictures need three channels")
        if len(action_space.shape) != 1:
            raise ConfigError(f"action space of shape {action_space.shape}: allowed one dimension")
        self._sac = sac
        self._network = network or NetworkConfig()
        if self._network.encoder_frozen:
            raise ConfigError("network.encoder_frozen: got True, allowed False; pictures come from the environment")
        self._gripper = gripper
        self._relative, self._normalised = relative, normalised
        spans = {key or "state": span for key, span in self.layout.spans.items()}
        shapes = Shapes(
            self.layout.state_size,
            action_space.shape[0],
            gripper,
            self.layout.cameras,
            relative=find_differences(relative, spans),
            normalised=normalised,
        )
        seed = int(torch.randint(2**31, ()))
        self.learner = SacLearner(shapes, self._network, sac, seed=seed, device=str(device))
        self.actor = self.learner.actor
        self.average = self.learner.average

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        encoded = self.layout.encode(_by_key(observation))
        out = (self.average if deterministic else self.actor)(encoded)
        raw = out.mean if deterministic else out.mean + out.log_std.exp() * torch.randn_like(out.mean)
        is_open = None
        if out.gripper_logit is not None:
            chance = torch.sigmoid(out.gripper_logit)
            is_open = (chance > (0.5 if deterministic else torch.rand_like(chance))).to(raw.dtype)
        return join_action(torch.tanh(raw), is_open, self._gripper)

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
            observation=self.layout.encode(_by_key(samples.observations)),
            action=samples.actions,
            reward=samples.rewards.reshape(count),
            discount=goes_on * (discount if own is None else own.reshape(count)),
            next_observation=self.layout.encode(_by_key(samples.next_observations)),
            source=torch.full((count,), int(Source.POLICY), device=goes_on.device) if source is None else source,
            weight=torch.ones_like(goes_on),
            index=torch.zeros(count, dtype=torch.int64, device=goes_on.device),
        )

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The learner's: networks, targets, temperature, optimisers, counter, generator."""
        del args, kwargs
        return dict(self.learner.state())

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Raises CheckpointError when the state belongs to another architecture, or is not whole."""
        del strict, assign
        self.learner.load_state(state_dict)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            "sac": self._sac,
            "network": self._network,
            "gripper": self._gripper,
            "relative": self._relative,
            "normalised": self._normalised,
        }


class RlhfSAC(TaughtAlgorithm):
    """SacLearner behind the interface of Stable-Baselines3: learn, predict, save, load, callbacks, loggers, VecEnvs.

    An OffPolicyAlgorithm in the full sense: collecting, warm-up with random actions, action noise, schedules of
    training and the replay buffer are theirs; networks and updates are ours. Any replay buffer of theirs serves, and
    by default ours does. Actions are learned in [-1, 1] and mapped to the bounds of the environment's Box.

    Against their SAC: one vectorised ensemble of critics with LayerNorm, random shifts of pictures, an optional
    discrete gripper, any number of critics (REDQ). People can teach it: demonstrations are imitated first, and beside
    what is learned where sac says so (TAUGHT_SAC); what a person did instead (info['intervene_action']) is kept as
    theirs. For a sparse reward in [-1, 1] pass sac=SacConfig() and gamma=0.97.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": SacPolicy,
        "CnnPolicy": SacPolicy,
        "MultiInputPolicy": SacPolicy,
    }
    policy: SacPolicy

    def __init__(
        self,
        policy: str | type[SacPolicy],
        env: GymEnv | str,
        learning_rate: float | None = None,
        buffer_size: int = 1_000_000,
        learning_starts: int = 100,
        batch_size: int = 256,
        tau: float | None = None,
        gamma: float = 0.99,
        train_freq: int | tuple[int, str] = 1,
        gradient_steps: int = 1,
        action_noise: ActionNoise | None = None,
        replay_buffer_class: type[ReplayBuffer] = DeviceReplayBuffer,
        replay_buffer_kwargs: dict[str, Any] | None = None,
        sac: SacConfig = PLAIN_SAC,
        network: NetworkConfig | None = None,
        gripper: int | None = None,
        relative: tuple[tuple[str, str], ...] = (),
        normalised: bool = False,
        demonstrations: Iterable[Demonstration] = (),
        warm_start: int = 1_000,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        """As the constructor of their SAC, and:

        Args:
            policy: any of the three names; networks follow from the observation space.
            learning_rate: None takes sac.learning_rate.
            tau: None takes sac.target_rate.
            sac: everything else about learning; the defaults are plain SAC, see PLAIN_SAC.
            network: hidden layers, number of critics.
            gripper: index of the action entry that is a gripper's; None for none.
            relative: pairs of parts of the observation, each 'key' or 'key[start:stop]' ('state' where it is one
                array), whose difference networks see too: where the first is from the second.
            normalised: networks see numbers by mean and spread of what was learned from, which are saved with them.
            demonstrations: what somebody showed; more of it, or a journal's: `add_demonstrations`.
            warm_start: updates that imitate demonstrations before anything is collected, where there are any.

        Raises:
            ConfigError: spaces or settings that the learner cannot serve.
        """
        super().__init__(
            policy,
            env,
            sac.learning_rate if learning_rate is None else learning_rate,
            buffer_size=buffer_size,
            learning_starts=learning_starts,
            batch_size=batch_size,
            tau=sac.target_rate if tau is None else tau,
            gamma=gamma,
            train_freq=train_freq,
            gradient_steps=gradient_steps,
            action_noise=action_noise,
            replay_buffer_class=replay_buffer_class,
            replay_buffer_kwargs=replay_buffer_kwargs,
            policy_kwargs={"network": network, "gripper": gripper, "relative": relative, "normalised": normalised},
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            device=device,
            support_multi_env=True,
            seed=seed,
            sde_support=False,
            supported_action_spaces=(spaces.Box,),
        )
        self.sac = sac
        self.warm_start = warm_start
        self.imitated = False
        """Whether the demonstrations were imitated before practice."""
        self._recent = RecentMeans()
        if _init_setup_model:
            self._setup_model()
            shown = tuple(demonstrations)
            if shown:
                self.add_demonstrations(shown)

    def _setup_model(self) -> None:
        rate = self.learning_rate
        if not isinstance(rate, int | float):
            raise ConfigError(f"learning_rate: got {rate!r}, allowed a number; the learner has no schedules")
        self.sac = replace(self.sac, learning_rate=float(rate), target_rate=self.tau)
        self.policy_kwargs = {**self.policy_kwargs, "sac": self.sac, "device": self.device}
        super()._setup_model()

    @property
    def learner(self) -> SacLearner:
        """What learns."""
        return self.policy.learner

    def _setup_learn(self, *args: Any, **kwargs: Any) -> Any:
        """As theirs, and once before anything is collected: imitate."""
        result = super()._setup_learn(*args, **kwargs)
        buffer = self.replay_buffer
        if self.warm_start and not self.imitated and isinstance(buffer, DeviceReplayBuffer) and buffer.demonstrations:
            batches = self._drawn_from_demonstrations(self.warm_start)
            self.learner.warm_start(self.policy.batch_of(shown, self.gamma, source) for shown, source in batches)
            self.imitated = True
        return result

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """So many updates of the learner, each on a batch of its own."""
        for _ in range(gradient_steps):
            samples, source = self._draw(batch_size)
            self._recent.note(self.learner.update(self.policy.batch_of(samples, self.gamma, source)))
        self._n_updates += gradient_steps

    def dump_logs(self) -> None:
        """Add the means of the learner's metrics since the last time: only here does anything wait for the device."""
        for name, mean in self._recent.take().items():
            self.logger.record(f"train/{name}", mean)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        super().dump_logs()

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_recent"]


def _by_key(observation: Any) -> dict[str, Tensor]:
    return observation if isinstance(observation, dict) else {WHOLE: observation}
