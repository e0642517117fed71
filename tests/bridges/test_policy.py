"""Policies of Stable-Baselines3 in the control loop."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import DQN, PPO

from robot_rlhf.apps.environments import make_environment
from robot_rlhf.bridges.policy import StableBaselinesPolicy
from robot_rlhf.datatypes import Assignment, Observation
from robot_rlhf.errors import ConfigError, InvalidValueError
from robot_rlhf.policy.features import Features
from robot_rlhf.ports import Policy
from robot_rlhf.run.build import build_station, open_place
from robot_rlhf.run.settings import defaults_for
from robot_rlhf.runtime.evaluation import evaluate
from robot_rlhf.timing import FakeClock


class Model:
    """Predicts what it is told to, and keeps what it was given."""

    def __init__(self, low: float = -1.0, high: float = 1.0) -> None:
        self.action_space: spaces.Space[Any] = spaces.Box(low, high, (3,), np.float32)
        self.device = torch.device("cpu")
        self.says: NDArray[Any] = np.zeros(3, np.float32)
        self.given: list[Any] = []

    def predict(self, observation: Any, state: Any, episode_start: Any, deterministic: bool) -> Any:
        self.given.append((observation, state, bool(episode_start[0]), deterministic))
        noise = np.zeros(3) if deterministic else torch.rand(3).numpy()
        return self.says + noise, len(self.given)


def observation() -> tuple[Observation, Features]:
    config = defaults_for("reach")
    world = open_place(config, FakeClock())
    world.task.reset(np.random.default_rng(0))
    return world.guard.observe(), Features(world.spec, config.features)


def policy_of(model: Any, features: Features, **options: Any) -> StableBaselinesPolicy:
    return StableBaselinesPolicy(model, features, **options)


def test_an_episode_of_an_untrained_one() -> None:
    env = make_environment("reach")
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=8, seed=0, device="cpu")
    config = defaults_for("reach")
    world = open_place(config, FakeClock())
    station = build_station(config, world)
    station.policy = policy = StableBaselinesPolicy(model, Features(world.spec, config.features))
    assert isinstance(policy, Policy)
    result = evaluate(station, episodes=2, seed=0)
    assert result.episodes == 2
    assert result.policy_version == -1


def test_wishes_what_the_environment_would_be_told() -> None:
    seen, features = observation()
    env = make_environment("reach")
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=8, seed=0, device="cpu")
    wish = policy_of(model, features).act(seen, Assignment(), np.random.default_rng(0))
    expected, _ = model.predict(features.state(seen), deterministic=True)
    np.testing.assert_allclose(wish.values, expected, atol=1e-6)


def test_maps_the_bounds_and_keeps_the_state_for_an_episode() -> None:
    seen, features = observation()
    model = Model(-1.0, 3.0)
    policy = policy_of(model, features, version=7)
    model.says = np.array([-1.0, 1.0, 3.0], np.float32)
    rng = np.random.default_rng(0)
    for _ in range(2):
        policy.reset()
        np.testing.assert_array_equal(policy.act(seen, Assignment(), rng).values, [-1.0, 0.0, 1.0])
        policy.act(seen, Assignment(), rng)
    assert [(state, first) for _, state, first, _ in model.given] == [
        (None, True),
        (1, False),
        (None, True),
        (3, False),
    ]
    assert policy.version == 7
    model.says = np.full(3, np.nan)
    with pytest.raises(InvalidValueError, match="Stable-Baselines3"):
        policy.act(seen, Assignment(), rng)


def test_samples_by_the_generator_it_is_given_and_leaves_the_global_one() -> None:
    seen, features = observation()
    policy = policy_of(Model(), features, deterministic=False)
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    first, other = (policy.act(seen, Assignment(), np.random.default_rng(seed)).values for seed in (1, 2))
    again = policy.act(seen, Assignment(), np.random.default_rng(1)).values
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_takes_another_encoder() -> None:
    seen, _ = observation()
    model = Model()
    policy: Any = StableBaselinesPolicy(model, lambda o: o.joint_position)  # pyright: ignore[reportArgumentType]
    policy.act(seen, Assignment(), np.random.default_rng(0))
    np.testing.assert_array_equal(model.given[0][0], seen.joint_position)


def test_refuses_discrete_actions() -> None:
    _, features = observation()
    model = DQN("MlpPolicy", gymnasium.make("CartPole-v1"), buffer_size=10, device="cpu")
    with pytest.raises(ConfigError, match="Box"):
        policy_of(model, features)
