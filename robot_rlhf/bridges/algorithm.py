"""Our off-policy learner as an algorithm of Stable-Baselines3, for any environment with continuous actions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, ClassVar, Self

import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from torch import Tensor

from robot_rlhf.bridges.buffer import DeviceReplayBuffer
from robot_rlhf.bridges.demonstrations import Demonstration
from robot_rlhf.bridges.sac_policy import LearnerRemainder, SacActor, SacCnnPolicy, SacCritic, SacPolicy
from robot_rlhf.bridges.settings import PLAIN_SAC, learning_of
from robot_rlhf.bridges.teaching import TaughtAlgorithm, all_shown
from robot_rlhf.datatypes import Batch
from robot_rlhf.errors import ConfigError
from robot_rlhf.learner.means import RecentMeans
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.policy.networks import NetworkConfig

LOGGED = {"temperature": "ent_coef"}
"""Metrics of the learner that Stable-Baselines3 has another name for."""


class RlhfSAC(TaughtAlgorithm):
    """SacLearner behind the interface of Stable-Baselines3's SAC: in its place, with its arguments and its logs.

    An OffPolicyAlgorithm in the full sense: collecting, warm-up with random actions, action noise, schedules of
    training and the replay buffer are theirs; networks and updates are ours. Any replay buffer of theirs serves, and
    by default ours does. Actions are learned in [-1, 1] and mapped to the bounds of the environment's Box.

    Against their SAC: one vectorised ensemble of critics with LayerNorm, actors that follow the critics' mean, random
    shifts of pictures, an optional discrete gripper, any number of critics (REDQ). People can teach it:
    demonstrations are imitated first, and beside what is learned where sac says so (TAUGHT_SAC); what a person did
    instead (info['intervene_action']) is kept as theirs. For a sparse reward in [-1, 1] pass sac=SacConfig() and
    gamma=0.97. What of their SAC is refused, and why, stands in docs/sb3.md.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": SacPolicy,
        "CnnPolicy": SacCnnPolicy,
        "MultiInputPolicy": SacPolicy,
    }
    policy: SacPolicy

    def __init__(
        self,
        policy: str | type[SacPolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule | None = None,
        buffer_size: int = 1_000_000,
        learning_starts: int = 100,
        batch_size: int = 256,
        tau: float | None = None,
        gamma: float = 0.99,
        train_freq: int | tuple[int, str] = 1,
        gradient_steps: int = 1,
        action_noise: ActionNoise | None = None,
        replay_buffer_class: type[ReplayBuffer] | None = None,
        replay_buffer_kwargs: dict[str, Any] | None = None,
        optimize_memory_usage: bool = False,
        n_steps: int = 1,
        ent_coef: str | float = "auto",
        target_update_interval: int = 1,
        target_entropy: str | float = "auto",
        use_sde: bool = False,
        sde_sample_freq: int = -1,
        use_sde_at_warmup: bool = False,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
        *,
        sac: SacConfig = PLAIN_SAC,
        network: NetworkConfig | None = None,
        gripper: int | None = None,
        relative: tuple[tuple[str, str], ...] = (),
        normalised: bool = False,
        demonstrations: Iterable[Demonstration] = (),
        warm_start: int = 1_000,
        warm_critic: int = 500,
    ) -> None:
        """As the constructor of their SAC, and:

        Args:
            policy: any of the three names; networks follow from the observation space.
            learning_rate: None takes sac.learning_rate.
            tau: None takes sac.target_rate.
            replay_buffer_class: None takes our DeviceReplayBuffer, or with n_steps above 1 their NStepReplayBuffer.
            ent_coef: 'auto' begins at sac.temperature.
            target_entropy: 'auto' takes sac.target_entropy.
            sac: everything else about learning; the defaults are plain SAC, see PLAIN_SAC.
            network: hidden layers, number of critics; policy_kwargs change it.
            gripper: index of the action entry that is a gripper's; None for none.
            relative: pairs of parts of the observation, each 'key' or 'key[start:stop]' ('state' where it is one
                array), whose difference networks see too: where the first is from the second.
            normalised: networks see numbers by mean and spread of what was learned from, which are saved with them.
            demonstrations: what somebody showed; more of it, or a journal's: `add_demonstrations`.
            warm_start: updates that imitate demonstrations before anything is learned from practice, where there are
                any by then; what is shown later enters the batches alone.
            warm_critic: updates of the critics alone, from demonstrations, after that.

        Raises:
            ConfigError: spaces or settings that the learner cannot serve; names them.
        """
        if not isinstance(policy, str) and not issubclass(policy, SacPolicy):
            raise ConfigError(
                f"policy: got {policy.__name__}, allowed {', '.join(self.policy_aliases)}; networks are ours"
            )
        if use_sde:
            raise ConfigError("use_sde: got True, allowed False; the actor explores by its head alone")
        for name, updates in (("warm_start", warm_start), ("warm_critic", warm_critic)):
            if not isinstance(updates, int) or updates < 0:
                raise ConfigError(f"{name}: got {updates}, allowed: a number of updates, 0 for none")
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
            optimize_memory_usage=optimize_memory_usage,
            n_steps=n_steps,
            policy_kwargs=policy_kwargs,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            device=device,
            support_multi_env=True,
            seed=seed,
            sde_sample_freq=sde_sample_freq,
            use_sde_at_warmup=use_sde_at_warmup,
            sde_support=False,
            supported_action_spaces=(spaces.Box,),
        )
        self.ent_coef = ent_coef
        self.target_entropy = target_entropy
        self.target_update_interval = target_update_interval
        self.sac = sac
        self.network = network
        self.seen = {"gripper": gripper, "relative": relative, "normalised": normalised}
        self.warm_start, self.warm_critic = warm_start, warm_critic
        self.imitated = False
        """Whether the demonstrations were imitated before practice."""
        self._recent = RecentMeans()
        if _init_setup_model:
            self._setup_model()
            if shown := all_shown(demonstrations):
                self.add_demonstrations(shown)

    def _setup_model(self) -> None:
        sac = learning_of(
            self.sac, rate=self.learning_rate, tau=self.tau, entropy=self.ent_coef, target=self.target_entropy
        )
        critics = self.policy_kwargs.get("n_critics")
        if critics is not None:  # theirs takes the least of all
            sac = replace(sac, target_subset=critics)
        if sac.compiled and self.target_update_interval != 1:
            raise ConfigError(f"target_update_interval: got {self.target_update_interval}, allowed 1 with sac.compiled")
        if self.replay_buffer_class is None and self.n_steps == 1:
            self.replay_buffer_class = DeviceReplayBuffer
        given = self.policy_kwargs
        own = {"sac": sac, "network": self.network, **self.seen, "device": self.device}
        self.policy_kwargs = {**given, **own}
        try:
            super()._setup_model()
        finally:
            self.policy_kwargs = given  # what is saved, and compared when it is loaded, is what was asked for
        self.target_entropy = self.learner.target_entropy

    @property
    def learner(self) -> SacLearner:
        """What learns."""
        return self.policy.learner

    @property
    def actor(self) -> SacActor:  # pyright: ignore[reportIncompatibleVariableOverride]  of the policy, which is loaded
        return self.policy.actor

    @property
    def critic(self) -> SacCritic:
        return self.policy.critic

    @property
    def critic_target(self) -> SacCritic:
        return self.policy.critic_target

    @property
    def log_ent_coef(self) -> Tensor | None:
        """Logarithm of the entropy temperature where it is learned."""
        return None if self.learner.config.temperature_fixed else self.learner.log_temperature

    @property
    def ent_coef_tensor(self) -> Tensor:
        """The entropy temperature now."""
        return self.learner.log_temperature.detach().exp()

    @property
    def optimizer(self) -> LearnerRemainder:
        """What is saved beside the policy's weights, so that learning goes on as if it had not been interrupted."""
        return LearnerRemainder(self.learner)

    def _setup_learn(self, *args: Any, **kwargs: Any) -> Any:
        """As theirs, and once before anything is learned from practice: imitate."""
        result = super()._setup_learn(*args, **kwargs)
        buffer = self.replay_buffer
        fresh = not self.imitated and not self._n_updates  # what was learned from practice would be lost
        if self.warm_start and fresh and isinstance(buffer, DeviceReplayBuffer) and buffer.demonstrations:
            self.learner.warm_start(self._shown(self.warm_start))
            self.learner.warm_critic(self._shown(self.warm_critic))
            self.imitated = True
        return result

    def _shown(self, count: int) -> Iterator[Batch]:
        """So many batches of demonstrations and corrections alone."""
        for samples, source in self._drawn_from_demonstrations(count):
            yield self.policy.batch_of(samples, self.gamma, source)

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """So many updates of the learner, each on a batch of its own; their means are logged as theirs are."""
        self.policy.set_training_mode(True)
        self._set_learning_rate()
        config = self.learner.config
        if config.compiled and self.tau != config.target_rate:
            raise ConfigError(f"tau: got {self.tau}, allowed {config.target_rate}; compiled updates keep their first")
        for step in range(gradient_steps):
            self.learner.target_rate = self.tau if step % self.target_update_interval == 0 else 0.0
            samples, source = self._draw(batch_size)
            metrics = self.learner.update(self.policy.batch_of(samples, self.gamma, source))
            self._recent.note({LOGGED.get(name, name): value for name, value in metrics.items()})
            if not config.temperature_fixed and "entropy" in metrics:
                factor = metrics["temperature"].log() if config.temperature_steady else metrics["temperature"]
                self._recent.note({"ent_coef_loss": factor * (metrics["entropy"] - self.learner.target_entropy)})
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        for name, mean in self._recent.take().items():
            self.logger.record(f"train/{name}", mean)

    def _set_learning_rate(self) -> None:
        if self.learner.config.learning_rate_end is None:
            self.learner.set_learning_rate(self.lr_schedule(self._current_progress_remaining))
        self.logger.record("train/learning_rate", self.learner.learning_rate)

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 4,
        tb_log_name: str = "SAC",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        return super().learn(
            total_timesteps,
            callback,
            log_interval,
            tb_log_name,
            reset_num_timesteps,
            progress_bar,
        )

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_recent"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy", "optimizer"], [] if self.learner.config.temperature_fixed else ["log_ent_coef"]
