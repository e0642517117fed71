"""Any policy of Stable-Baselines3 as a Policy of the control loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from robot_rlhf.bridges.environment import encoder_of
from robot_rlhf.datatypes import Action, Assignment, Observation
from robot_rlhf.errors import ConfigError, InvalidValueError
from robot_rlhf.policy.features import Features


class StableBaselinesPolicy:
    """Acts as an algorithm or policy of Stable-Baselines3 predicts; recurrent ones keep their state for an episode.

    The model's action Box is mapped to [-1, 1], whatever its bounds.
    """

    def __init__(
        self,
        model: BaseAlgorithm | BasePolicy,
        encode: Features | Callable[[Observation], Any],
        *,
        deterministic: bool = True,
        version: int = -1,
    ) -> None:
        """Tie a model to what it sees.

        Args:
            model: anything with `predict` and an action space.
            encode: Features, as RobotEnvironment shows them; or what makes the model's observation of ours.
            deterministic: False samples, for practice.
            version: of the weights; -1 for a model that does not learn any more.

        Raises:
            ConfigError: the model's actions are not continuous.
        """
        space = model.action_space
        if not isinstance(space, spaces.Box) or len(space.shape) != 1:
            raise ConfigError(f"action space {space}: a robot needs a Box of one dimension")
        self.deterministic = deterministic
        self._model = model
        self._encode = encoder_of(encode) if isinstance(encode, Features) else encode
        self._low, self._span = space.low, space.high - space.low
        self._version = version
        self._state: Any = None
        self._first = True

    @property
    def version(self) -> int:
        return self._version

    def reset(self) -> None:
        """Forget the state of a recurrent policy."""
        self._state, self._first = None, True

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        """Raises InvalidValueError when the model gives NaN."""
        del asked
        if self.deterministic:
            values = self._predict(observation)
        else:
            # Models sample from PyTorch's global generator: it is lent to rng, and given back as it was.
            device = self._model.device
            with torch.random.fork_rng([device] if device.type == "cuda" else []):
                torch.manual_seed(int(rng.integers(2**63)))
                values = self._predict(observation)
        wish = 2.0 * (values - self._low) / self._span - 1.0
        if not np.isfinite(wish).all():
            raise InvalidValueError("Stable-Baselines3 policy action", values.tolist(), "finite numbers")
        return Action(np.clip(wish, -1.0, 1.0).astype(np.float32))

    def _predict(self, observation: Observation) -> np.ndarray:
        values, self._state = self._model.predict(
            self._encode(observation),
            state=self._state,
            episode_start=np.array([self._first]),
            deterministic=self.deterministic,
        )
        self._first = False
        return values
