"""Stock Stable-Baselines3 SAC on the same task, behind the same guard, with the same reward, from scratch."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import SAC

from robot_rlhf.datatypes import Action, Assignment, EpisodeKind, Observation, Outcome
from robot_rlhf.errors import FaultLatchedError
from robot_rlhf.policy.features import Features
from robot_rlhf.run.build import open_place
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.runtime.seeds import episode_seed, generators
from robot_rlhf.timing import FakeClock


class TaskEnv(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """The task as a Gymnasium environment: the same features, sparse reward, guard and time limit as ours."""

    def __init__(self, config: TrainConfig) -> None:
        self.world = open_place(config, FakeClock())
        self.config = config
        self.features = Features(self.world.spec, config.features)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (self.features.size,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (self.world.spec.action.size,), np.float32)
        self.episode = self.steps = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed)
        _, rng = generators(episode_seed(self.config.seed, EpisodeKind.PRACTICE, self.episode))
        self.episode += 1
        self.steps = 0
        self.world.guard.release()
        self.world.task.reset(rng)
        self.world.guard.anchor()
        self.seen = self.world.guard.observe()
        return self.features.state(self.seen), {}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        before = self.seen
        self.steps += 1
        try:
            self.world.guard.act(Action(np.clip(action, -1.0, 1.0)))
            self.seen = self.world.guard.observe()
        except FaultLatchedError:
            return self.features.state(before), 0.0, True, False, {}
        success = self.world.task.success(self.seen)
        faulted = bool(self.world.guard.faults)
        outcome = Outcome.FAILURE if faulted else Outcome.SUCCESS if success else None
        reward = self.config.reward.value(outcome, before, self.seen)
        return self.features.state(self.seen), reward, success or faulted, self.steps >= self.world.task.time_limit, {}


class Predictor:
    """A model of Stable-Baselines3 as a Policy."""

    version = -1

    def __init__(self, model: SAC, features: Features) -> None:
        self._model, self._features = model, features

    def reset(self) -> None:
        """Nothing is carried."""

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        values, _ = self._model.predict(self._features.state(observation), deterministic=True)
        return Action(np.clip(values, -1.0, 1.0))


def stock_policy(config: TrainConfig) -> Predictor:
    """Stable-Baselines3's SAC with its defaults, after as many steps as ours practises."""
    environment = TaskEnv(config)
    model = SAC("MlpPolicy", environment, seed=config.seed, device="cpu")
    model.learn(config.steps)
    return Predictor(model, environment.features)
