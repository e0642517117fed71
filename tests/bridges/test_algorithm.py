"""Our learner behind the interface of Stable-Baselines3: learns, repeats, is saved and loaded, obeys callbacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.callbacks import CheckpointCallback, EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize, VecTransposeImage
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from robot_rlhf.bridges.algorithm import RlhfSAC
from robot_rlhf.bridges.sac_policy import SacPolicy
from robot_rlhf.bridges.settings import PLAIN_SAC
from robot_rlhf.errors import CheckpointError, ConfigError
from robot_rlhf.learner.sac import SacConfig
from robot_rlhf.policy.networks import NetworkConfig

TINY = NetworkConfig(hidden=(32, 32))
SMALL: dict[str, Any] = {
    "network": TINY,
    "buffer_size": 2000,
    "learning_starts": 20,
    "batch_size": 32,
    "seed": 0,
    "device": "cpu",
}


class Aim(gymnasium.Env[Any, Any]):
    """One step: the action should be the observed number times five, in a Box from -1 to 5; optionally as pictures."""

    def __init__(self, *, pictures: bool = False) -> None:
        number = spaces.Box(0.0, 1.0, (1,), np.float32)
        self.pictures = pictures
        self.observation_space = (
            spaces.Dict({"number": number, "front": spaces.Box(0, 255, (16, 16, 3), np.uint8)}) if pictures else number
        )
        self.action_space = spaces.Box(-1.0, 5.0, (1,), np.float32)

    def _seen(self) -> Any:
        self.number = float(self.np_random.uniform())
        number = np.array([self.number], np.float32)
        return {"number": number, "front": np.full((16, 16, 3), 9, np.uint8)} if self.pictures else number

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        miss = abs(float(action[0]) - 5.0 * self.number)
        return self._seen(), -miss, True, False, {"is_success": miss < 0.5}


def test_learns_a_tiny_environment_whose_actions_are_not_centred() -> None:
    model = RlhfSAC("MlpPolicy", Aim(), learning_rate=3e-3, **SMALL)
    before, _ = evaluate_policy(model, Aim(), 100, warn=False)
    after, _ = evaluate_policy(model.learn(400), Aim(), 100, warn=False)
    assert isinstance(before, float)
    assert isinstance(after, float)
    assert before < -0.9
    assert after > -0.4


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(3))
def test_swings_the_pendulum_up(seed: int) -> None:
    model = RlhfSAC("MlpPolicy", "Pendulum-v1", learning_rate=1e-3, seed=seed, device="cpu", buffer_size=10_000)
    mean, _ = evaluate_policy(model.learn(6_000), gymnasium.make("Pendulum-v1"), 20, warn=False)
    assert isinstance(mean, float)
    assert mean > -250.0


def parameters(env: Any, **options: Any) -> dict[str, torch.Tensor]:
    return RlhfSAC("MultiInputPolicy", env, **{**SMALL, **options}).learn(60).policy.state_dict()


def test_equal_seeds_give_equal_parameters() -> None:
    first, again, other = (parameters(DummyVecEnv([Aim] * 3), seed=seed) for seed in (1, 1, 2))
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_is_saved_and_loaded_whole(tmp_path: Path) -> None:
    model = RlhfSAC("MlpPolicy", Aim(), sac=SacConfig(temperature=0.2), **SMALL).learn(60)
    model.save(tmp_path / "model")
    loaded = RlhfSAC.load(tmp_path / "model", env=Aim(), device="cpu")
    for name, value in model.get_parameters()["policy"].items():
        assert torch.equal(loaded.get_parameters()["policy"][name], value), name
    assert loaded.sac == model.sac
    assert loaded.num_timesteps == 60
    seen = np.array([[0.1], [0.9]], np.float32)
    np.testing.assert_array_equal(
        model.predict(seen, deterministic=True)[0], loaded.predict(seen, deterministic=True)[0]
    )
    loaded.learn(40, reset_num_timesteps=False)
    assert loaded.num_timesteps == 100
    assert loaded.learner.updates > model.learner.updates
    slower = RlhfSAC.load(tmp_path / "model", device="cpu", learning_rate=1e-5, tau=0.1)
    assert (slower.learner.config.learning_rate, slower.learner.config.target_rate) == (1e-5, 0.1)


def test_parameters_are_exchanged_in_place() -> None:
    model, other = (RlhfSAC("MlpPolicy", Aim(), **{**SMALL, "seed": seed}) for seed in (1, 2))
    seen = np.array([[0.4]], np.float32)
    assert model.predict(seen, deterministic=True)[0] != other.predict(seen, deterministic=True)[0]
    exchanged: Any = model.get_parameters()
    other.set_parameters(exchanged)
    assert model.predict(seen, deterministic=True)[0] == other.predict(seen, deterministic=True)[0]
    narrow: Any = RlhfSAC("MlpPolicy", Aim(), **{**SMALL, "network": NetworkConfig((8,))}).get_parameters()
    with pytest.raises(CheckpointError, match="architecture"):
        other.set_parameters(narrow)


def test_the_policy_alone_is_saved_and_loaded(tmp_path: Path) -> None:
    policy = RlhfSAC("MultiInputPolicy", Aim(pictures=True), **SMALL).learn(30).policy
    policy.save(str(tmp_path / "policy"))
    loaded = SacPolicy.load(str(tmp_path / "policy"), device="cpu")
    seen = Aim(pictures=True).reset(seed=0)[0]
    np.testing.assert_array_equal(
        policy.predict(seen, deterministic=True)[0], loaded.predict(seen, deterministic=True)[0]
    )


def test_callbacks_and_tensorboard_are_served(tmp_path: Path) -> None:
    watched = VecTransposeImage(DummyVecEnv([lambda: Monitor(Aim(pictures=True))]))
    callbacks = [
        EvalCallback(watched, eval_freq=20, n_eval_episodes=2, best_model_save_path=str(tmp_path), verbose=0),
        CheckpointCallback(20, str(tmp_path / "checkpoints"), save_replay_buffer=True),
    ]
    model = RlhfSAC("MultiInputPolicy", Aim(pictures=True), tensorboard_log=str(tmp_path / "tb"), **SMALL)
    model.learn(60, callback=callbacks, log_interval=4, tb_log_name="ours")
    assert (tmp_path / "best_model.zip").exists()
    assert len(list((tmp_path / "checkpoints").glob("*.zip"))) == 3
    assert len(list((tmp_path / "checkpoints").glob("*replay_buffer*.pkl"))) == 3
    assert list((tmp_path / "tb" / "ours_1").glob("events*"))
    told = EventAccumulator(str(tmp_path / "tb" / "ours_1")).Reload().Tags()["scalars"]
    assert {"train/critic_loss", "train/ent_coef", "rollout/ep_rew_mean", "eval/success_rate"} <= set(told)


def test_pictures_and_several_environments_and_normalisation_and_other_buffers() -> None:
    pictures = VecTransposeImage(DummyVecEnv([lambda: Aim(pictures=True)] * 2))
    env = VecNormalize(pictures, norm_obs_keys=["number"])
    model = RlhfSAC("MultiInputPolicy", env, gradient_steps=-1, **SMALL).learn(40)
    assert model.learner.updates == 20
    assert model.policy.layout.cameras == {"picture0": (16, 16)}
    other = RlhfSAC(
        "MlpPolicy",
        Aim(),
        replay_buffer_class=NStepReplayBuffer,
        replay_buffer_kwargs={"n_steps": 3, "gamma": 0.9},
        **SMALL,
    )
    assert other.learn(30).learner.updates == 10


def test_a_discrete_gripper_is_open_or_closed() -> None:
    model = RlhfSAC("MlpPolicy", Aim(), gripper=0, **SMALL).learn(30)
    for deterministic in (True, False):
        actions, _ = model.predict(np.random.default_rng(0).random((50, 1), np.float32), deterministic=deterministic)
        assert set(actions.ravel()) <= {-1.0, 5.0}


def test_actions_are_mapped_to_the_bounds_and_stored_between_minus_one_and_one() -> None:
    model = RlhfSAC("MlpPolicy", Aim(), **SMALL).learn(30)
    actions, _ = model.predict(np.random.default_rng(0).random((200, 1), np.float32))
    assert actions.min() >= -1.0
    assert actions.max() <= 5.0
    assert actions.max() > 1.0
    assert model.replay_buffer is not None
    stored = model.replay_buffer.sample(500).actions
    assert float(stored.abs().max()) <= 1.0
    assert float(stored.min()) < 0.0 < float(stored.max())


def test_defaults_are_plain_sac() -> None:
    assert PLAIN_SAC.return_bounds is None
    assert PLAIN_SAC.temperature == 1.0
    config = RlhfSAC("MlpPolicy", Aim(), learning_rate=1e-3, tau=0.1, **SMALL).learner.config
    assert (config.learning_rate, config.target_rate) == (1e-3, 0.1)


def test_refuses_what_it_cannot_serve() -> None:
    with pytest.raises(ConfigError, match=r"schedule beside sac\.learning_rate_end"):
        RlhfSAC("MlpPolicy", Aim(), learning_rate=lambda left: left, sac=SacConfig(learning_rate_end=1e-5), **SMALL)
    with pytest.raises(ConfigError, match="CnnPolicy"):
        RlhfSAC("CnnPolicy", Aim(), **SMALL)
    frozen = NetworkConfig(encoder="resnet18", encoder_weights=Path("weights"), encoder_frozen=True)
    with pytest.raises(ConfigError, match="encoder_frozen"):
        RlhfSAC("MlpPolicy", Aim(), **{**SMALL, "network": frozen})
    with pytest.raises(AssertionError, match="action spaces"):
        RlhfSAC("MlpPolicy", "CartPole-v1", **SMALL)
