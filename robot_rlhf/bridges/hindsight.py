"""Our replay with goals in hindsight, in the place of Stable-Baselines3's HerReplayBuffer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.her.goal_selection_strategy import KEY_TO_GOAL_STRATEGY, GoalSelectionStrategy
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

from robot_rlhf.bridges.buffer import DeviceReplayBuffer
from robot_rlhf.errors import ConfigError, ReplayError, UnknownNameError
from robot_rlhf.replay.hindsight import Hindsight, HindsightConfig, Strategy, Wanted


class DeviceHerReplayBuffer(DeviceReplayBuffer, HerReplayBuffer):
    """DeviceReplayBuffer with hindsight (HER), for observations that have 'achieved_goal' and 'desired_goal'.

    Takes the place of their HerReplayBuffer, in any algorithm: of each batch n_sampled_goal / (n_sampled_goal + 1) get
    a goal that their episode reached, and the reward that the environment's compute_reward gives for it. Episodes that
    still run are drawn from, too. Demonstrations get such goals as what was collected does.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Dict,
        action_space: spaces.Space,
        env: VecEnv,
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
        n_sampled_goal: int = 4,
        goal_selection_strategy: GoalSelectionStrategy | str = "future",
        copy_info_dict: bool = False,
        seed: int | None = None,
        prior_share: float = 0.5,
    ) -> None:
        """
        Args:
            env: its compute_reward judges.
            n_sampled_goal: goals in hindsight per transition as it was (k).
            goal_selection_strategy: 'future', 'final' or 'episode'.
            copy_info_dict: must be False: infos are not kept.

        Raises:
            ConfigError: no goals in the observations, copy_info_dict, or another setting that cannot hold.
            UnknownNameError: no such strategy.
        """
        if copy_info_dict:
            raise ConfigError("copy_info_dict: got True, allowed False; infos are not kept for compute_reward")
        if n_sampled_goal < 0:
            raise ConfigError(f"n_sampled_goal: got {n_sampled_goal}, allowed at least 0")
        self.env = env
        self.n_sampled_goal = n_sampled_goal
        self.goal_selection_strategy = _strategy(goal_selection_strategy)
        super().__init__(
            buffer_size,
            observation_space,
            action_space,
            device,
            n_envs,
            optimize_memory_usage,
            handle_timeout_termination,
            seed,
            prior_share,
        )

    def _hindsight(self) -> Hindsight:
        spans = self.layout.spans
        if not {"achieved_goal", "desired_goal"} <= spans.keys():
            raise ConfigError(f"hindsight: observations have {sorted(spans)}, needed 'achieved_goal', 'desired_goal'")
        strategies: dict[GoalSelectionStrategy, Strategy] = {
            GoalSelectionStrategy.FUTURE: "future",
            GoalSelectionStrategy.FINAL: "final",
            GoalSelectionStrategy.EPISODE: "episode",
        }
        config = HindsightConfig(
            self.n_sampled_goal / (self.n_sampled_goal + 1), strategies[self.goal_selection_strategy]
        )
        return Hindsight(spans["achieved_goal"], spans["desired_goal"], self._judge, config)

    def _judge(self, wanted: Wanted) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
        """As the environment rewards it; what it ended with another goal, it ended."""
        if self.env is None:
            raise ReplayError("hindsight: no environment to ask for rewards; allowed: to sample after set_env()")
        infos: list[dict[str, Any]] = [{} for _ in wanted.reward]
        (rewards,) = self.env.env_method("compute_reward", wanted.achieved, wanted.desired, infos, indices=[0])
        return np.asarray(rewards, np.float32), wanted.terminated

    def truncate_last_trajectory(self) -> None:
        """Episodes that were still running when the buffer was saved do not go on."""
        for ring in self.rings:
            ring.end()

    def __getstate__(self) -> dict[str, Any]:
        state = DeviceReplayBuffer.__getstate__(self)
        del state["env"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        DeviceReplayBuffer.__setstate__(self, {**state, "env": None})


def _strategy(given: GoalSelectionStrategy | str) -> GoalSelectionStrategy:
    if not isinstance(given, str):
        return given
    if given.lower() not in KEY_TO_GOAL_STRATEGY:
        raise UnknownNameError("goal_selection_strategy", given, KEY_TO_GOAL_STRATEGY)
    return KEY_TO_GOAL_STRATEGY[given.lower()]
