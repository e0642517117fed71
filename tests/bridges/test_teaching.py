"""RlhfSAC and people: demonstrations, corrections, named relative positions, and what is normalised."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

from robot_rlhf.bridges.algorithm import RlhfSAC
from robot_rlhf.bridges.buffer import DeviceReplayBuffer
from robot_rlhf.bridges.demonstrations import Demonstration
from robot_rlhf.bridges.hindsight import DeviceHerReplayBuffer
from robot_rlhf.bridges.settings import PLAIN_SAC, TAUGHT_SAC
from robot_rlhf.datatypes import Source
from robot_rlhf.errors import ConfigError, InvalidValueError, ShapeError, UnknownNameError
from robot_rlhf.policy.features import FeatureConfig, Features
from robot_rlhf.policy.networks import NetworkConfig
from tests.bridges.test_algorithm import SMALL, Aim
from tests.bridges.test_demonstrations import SESSION, Walk

GOAL = (("desired_goal", "achieved_goal"),)


class Corrected(Aim):
    """A person takes over in every third step, and does what is right."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.corrections: list[float] = []

    def step(self, action: Any) -> Any:
        self.count += 1
        if self.count % 3:
            return super().step(action)
        right = np.array([5.0 * self.number], np.float32)
        self.corrections.append(float(right[0]))
        seen, reward, terminated, truncated, info = super().step(right)
        return seen, reward, terminated, truncated, {**info, "intervene_action": right}


def right(count: int, seed: int = 0) -> list[Demonstration]:
    """Of Aim: the action is five times the number."""
    rng = np.random.default_rng(seed)
    shown = []
    for _ in range(count):
        number = rng.random((2, 1)).astype(np.float32)
        shown.append(Demonstration(number, 5.0 * number[:1], np.zeros(1, np.float32), True))
    return shown


def walks(count: int) -> list[Demonstration]:
    """Of Walk: straight to the goal, as fast as it goes."""
    env = Walk()
    shown = []
    for seed in range(count):
        seen, _ = env.reset(seed=seed)
        told, actions, rewards, over = [seen], [], [], False
        while not over:
            actions.append(np.clip((seen["desired_goal"] - seen["achieved_goal"]) / 0.5, -1, 1).astype(np.float32))
            seen, reward, _, over, _ = env.step(actions[-1])
            told.append(seen)
            rewards.append(reward)
        observations = {key: np.stack([each[key] for each in told]) for key in seen}
        shown.append(Demonstration(observations, np.stack(actions), np.array(rewards), False))
    return shown


def test_corrections_are_kept_as_what_was_executed_and_as_a_persons() -> None:
    env = Corrected()
    model = RlhfSAC("MlpPolicy", env, **SMALL).learn(60)
    assert isinstance(model.replay_buffer, DeviceReplayBuffer)
    (ring,) = model.replay_buffer.rings
    held = ring.gather(ring.indices())
    by_human = held.source == int(Source.HUMAN)
    assert by_human.nonzero()[:, 0].tolist() == list(range(2, 60, 3))
    scaled = model.policy.scale_action(np.array(env.corrections, np.float32)[:, None])
    np.testing.assert_array_equal(held.action[by_human], scaled)
    np.testing.assert_allclose(
        held.action[by_human], held.observation["state"][by_human] * 5.0 / 3.0 - 2.0 / 3.0, atol=1e-5
    )
    assert set(held.source[~by_human].tolist()) == {int(Source.POLICY)}


def test_corrections_have_the_axes_of_the_action_space() -> None:
    given = np.array([[2.0, -2.0], [0.0, 1.0]], np.float32)

    class Square(gymnasium.Env[Any, Any]):
        observation_space = spaces.Box(0.0, 1.0, (1,), np.float32)
        action_space = spaces.Box(-2.0, 2.0, (2, 2), np.float32)

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            super().reset(seed=seed)
            return np.zeros(1, np.float32), {}

        def step(self, action: Any) -> Any:
            return np.ones(1, np.float32), 0.0, True, False, {"intervene_action": given}

    model = RlhfSAC("MlpPolicy", Square(), **SMALL).learn(5)
    assert isinstance(model.replay_buffer, DeviceReplayBuffer)
    (ring,) = model.replay_buffer.rings
    assert ring.gather(ring.indices()).action.tolist() == [(given / 2.0).ravel().tolist()] * 5


def test_demonstrations_are_imitated_before_anything_is_collected_and_scaled_as_actions_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = RlhfSAC("MlpPolicy", Aim(), demonstrations=right(50), warm_start=300, sac=TAUGHT_SAC, **SMALL)
    assert isinstance(model.replay_buffer, DeviceReplayBuffer)
    assert model.add_demonstrations(right(10, 1)) == 10
    assert len(model.replay_buffer.demonstrations) == 60
    kept = np.concatenate([each.actions for each in model.replay_buffer.demonstrations])
    assert -1.0 <= kept.min() < kept.max() <= 1.0
    before, _ = evaluate_policy(model, Aim(), 50, warn=False)
    critic_updates: list[int] = []
    warm_critic = model.learner.warm_critic
    monkeypatch.setattr(model.learner, "warm_critic", lambda given: critic_updates.append(len(list(given))))
    model.learn(1)
    monkeypatch.setattr(model.learner, "warm_critic", warm_critic)
    after, _ = evaluate_policy(model, Aim(), 50, warn=False)
    assert isinstance(before, float)
    assert isinstance(after, float)
    assert after > -0.5 > -0.9 > before
    assert critic_updates == [500]
    updates = model.learner.updates
    model.learn(1, reset_num_timesteps=False)  # once is enough
    assert (model.imitated, model.learner.updates) == (True, updates)


def test_what_is_shown_after_practice_takes_nothing_away() -> None:
    model = RlhfSAC("MlpPolicy", Aim(), **SMALL).learn(60)
    learned = {name: weights.clone() for name, weights in model.policy.state_dict().items()}
    model.add_demonstrations(right(5))
    model.learn(1, reset_num_timesteps=False, callback=lambda *_: False)
    assert not model.imitated
    for name, weights in model.policy.state_dict().items():
        assert torch.equal(weights, learned[name]), name


def test_actions_that_lie_in_minus_one_to_one_are_kept_to_the_bit() -> None:
    model = RlhfSAC("MultiInputPolicy", Walk(), demonstrations=walks(3), **SMALL)
    assert isinstance(model.replay_buffer, DeviceReplayBuffer)
    prior = model.replay_buffer.prior
    assert prior is not None
    held = prior.gather(prior.indices())
    np.testing.assert_array_equal(held.action, np.concatenate([each.actions for each in walks(3)]))
    assert (held.discount == 1.0).all()


def test_a_journal_of_our_own_can_be_given() -> None:
    from robot_rlhf.apps.environments import make_environment
    from robot_rlhf.journal.reader import journal_spec

    env = make_environment("pick_cube")
    model = RlhfSAC("MlpPolicy", env, warm_start=0, **SMALL)
    with pytest.raises(ConfigError, match="encode="):
        model.add_demonstrations(SESSION)
    features = Features(journal_spec(SESSION), FeatureConfig())
    assert model.add_demonstrations(SESSION, encode=features) == 2
    env.close()


@pytest.mark.parametrize("buffer", [HerReplayBuffer, DeviceHerReplayBuffer])
def test_goals_named_positions_and_normalising_work_together(buffer: Any, tmp_path: Path) -> None:
    options = {**SMALL, "replay_buffer_class": buffer, "relative": GOAL, "normalised": True}
    model = RlhfSAC("MultiInputPolicy", Walk(), **options)
    assert model.learner.actor.encoder.vector.size == 7
    model.learn(60)
    assert float(model.learner.state()["actor.encoder.vector.count"]) == 32 * model.learner.updates
    model.save(tmp_path / "model")
    loaded = RlhfSAC.load(tmp_path / "model", env=Walk(), device="cpu")
    seen, _ = Walk().reset(seed=5)
    np.testing.assert_array_equal(
        model.predict(seen, deterministic=True)[0], loaded.predict(seen, deterministic=True)[0]
    )


def test_walks_to_its_goal_by_hindsight_and_demonstrations() -> None:
    model = RlhfSAC(
        "MultiInputPolicy",
        Walk(),
        **{**SMALL, "network": NetworkConfig((64, 64)), "batch_size": 128},
        learning_rate=1e-3,
        gamma=0.9,
        replay_buffer_class=DeviceHerReplayBuffer,
        demonstrations=walks(3),
        relative=GOAL,
        normalised=True,
        sac=replace(TAUGHT_SAC, average_rate=0.05),
        warm_start=50,
    ).learn(300)
    returns, _ = evaluate_policy(model, Walk(), 40, warn=False)
    assert isinstance(returns, float)
    assert returns > -5.5  # standing still gives -8, straight lines about -3.5


def test_actions_of_people_lie_within_the_bounds_of_the_action_space() -> None:
    """Those outside are in other units, and would be imitated at any price; what is rounding is cut off."""
    model = RlhfSAC("MlpPolicy", Aim(), **SMALL)
    space = model.action_space
    assert isinstance(space, spaces.Box)
    assert isinstance(model.replay_buffer, DeviceReplayBuffer)
    for factor in (1.0001, 1.5):
        actions = np.full((1, *space.shape), factor * space.high, np.float32)
        given = [Demonstration(np.zeros((2, 1)), actions, np.zeros(1), True)]
        if factor < 1.1:
            model.add_demonstrations(given)
            assert model.replay_buffer.demonstrations[0].actions.max() == 1.0
        else:
            with pytest.raises(InvalidValueError, match=r"actions\[0\]: got"):
                model.add_demonstrations(given)


def test_refuses_what_it_cannot_take() -> None:
    with pytest.raises(ConfigError, match="ReplayBuffer does not tell"):
        RlhfSAC("MlpPolicy", Aim(), demonstrations=right(1), replay_buffer_class=ReplayBuffer, **SMALL)
    wide = [Demonstration(np.zeros((2, 1)), np.zeros((1, 2)), np.zeros(1), True)]
    with pytest.raises(ShapeError, match="actions"):
        RlhfSAC("MlpPolicy", Aim(), demonstrations=wide, **SMALL)
    with pytest.raises(UnknownNameError, match="'goal'"):
        RlhfSAC("MultiInputPolicy", Walk(), relative=(("goal", "achieved_goal"),), **SMALL)
    for given, got in ((Path("journal"), "PosixPath"), (right(1)[0], "Demonstration"), ([{}], "dict"), ("x", "str")):
        with pytest.raises(ConfigError, match=f"demonstrations: got {got}, allowed: a list of Demonstration"):
            RlhfSAC("MlpPolicy", Aim(), demonstrations=given, **SMALL)  # pyright: ignore[reportArgumentType]
    for option in ({"gripper": 1}, {"gripper": -1}, {"gripper": 0.0}, {"warm_start": -1}, {"warm_critic": 0.5}):
        (name,) = option
        with pytest.raises(ConfigError, match=f"{name}: got"):
            RlhfSAC("MlpPolicy", Aim(), **SMALL, **option)  # pyright: ignore[reportArgumentType]
    assert PLAIN_SAC.cloning_weight == 0.0
    assert isinstance(Walk.action_space, spaces.Box)
