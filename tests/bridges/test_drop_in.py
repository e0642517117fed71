"""RlhfSAC in the place of Stable-Baselines3's SAC: arguments do what they say, logs and files have its names."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

from robot_rlhf.bridges.algorithm import RlhfSAC
from robot_rlhf.bridges.buffer import DeviceReplayBuffer
from robot_rlhf.bridges.observations import NetworkLayout, by_key
from robot_rlhf.bridges.sac_policy import SacActor
from robot_rlhf.errors import CheckpointError, ConfigError, RobotRlhfError, UnknownNameError
from robot_rlhf.learner.sac import SacConfig

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {"buffer_size": 500, "learning_starts": 10, "batch_size": 16, "seed": 0, "device": "cpu"}
TINY: dict[str, Any] = {"net_arch": [8]}


class Drawn(gymnasium.Env[Any, Any]):
    """Observations drawn from the space, a reward of the action's first entry, episodes of eight steps."""

    def __init__(self, seen: spaces.Space[Any] | None = None, action: tuple[int, ...] = (2,)) -> None:
        self.observation_space = seen or spaces.Box(-1.0, 1.0, (3,), np.float32)
        self.action_space = spaces.Box(-2.0, 2.0, action, np.float32)
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self._steps = 0
        return self.observation_space.sample(), {}

    def step(self, action: NDArray[np.float32]) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert action.shape == self.action_space.shape
        self._steps += 1
        return self.observation_space.sample(), float(action.flat[0]), False, self._steps == 8, {}


def made(policy: str = "MlpPolicy", env: Any = None, **options: Any) -> RlhfSAC:
    options = {"policy_kwargs": TINY, **SMALL, **options}
    return RlhfSAC(policy, Drawn() if env is None else env, **options)


class Told(BaseCallback):
    """What the logger holds after each step, and the progress that was left."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[dict[str, Any]] = []

    def _on_step(self) -> bool:
        self.values.append(dict(self.logger.name_to_value))
        return True


# -- arguments -------------------------------------------------------------------------------------------------------


def test_policy_kwargs_are_the_networks_that_learn() -> None:
    asked = {"net_arch": {"pi": [6], "qf": [10, 12]}, "activation_fn": nn.Tanh, "n_critics": 3}
    learner = made(policy_kwargs=asked).learn(14).learner
    assert [layer.out_features for layer in learner.actor.head.layers if isinstance(layer, nn.Linear)] == [6, 4]
    assert [tuple(p.shape) for n, p in learner.critic.named_parameters() if n.endswith("weight")] == [
        (3, 5, 10),
        (3, 10, 12),
        (3, 12, 1),
    ]
    assert any(isinstance(layer, nn.Tanh) for layer in learner.critic.layers)
    assert not any(isinstance(layer, nn.LayerNorm | nn.ReLU) for layer in learner.actor.head.layers)
    assert learner.config.target_subset == 3  # the least of all


def test_entropy_coefficients_are_used_and_fixed_ones_stay() -> None:
    fixed = made(ent_coef=0.3).learn(30)
    assert fixed.log_ent_coef is None
    assert float(fixed.ent_coef_tensor) == pytest.approx(0.3)
    assert fixed.logger.name_to_value["train/ent_coef"] == pytest.approx(0.3)
    assert "train/ent_coef_loss" not in fixed.logger.name_to_value
    learned = made(ent_coef="auto_0.3")
    assert float(learned.ent_coef_tensor) == pytest.approx(0.3)
    learned.learn(30)
    assert float(learned.ent_coef_tensor) != pytest.approx(0.3, rel=1e-4)
    assert float(made().ent_coef_tensor) == 1.0
    assert float(made(ent_coef=0.0).learn(14).ent_coef_tensor) == 0.0
    for wrong in ("often", "auto_none", "auto_0", -1.0):
        with pytest.raises(ConfigError, match=r"ent_coef|temperature"):
            made(ent_coef=wrong)


def test_discounts_reach_the_learner_and_a_time_limit_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    model = made(gamma=0.7, gradient_steps=0).learn(30)
    found: list[torch.Tensor] = []
    update = model.learner.update
    monkeypatch.setattr(model.learner, "update", lambda batch: found.append(batch.discount) or update(batch))
    model.train(3, batch_size=50)
    assert torch.unique(torch.stack(found)).tolist() == pytest.approx([0.7])


@pytest.mark.parametrize(("target", "grows"), [(50.0, True), (-50.0, False)])
def test_the_temperature_follows_the_target_entropy(target: float, grows: bool) -> None:
    model = made(target_entropy=target, learning_rate=1e-2).learn(40)
    assert (float(model.ent_coef_tensor) > 1.1) == grows
    assert model.target_entropy == target
    assert (float(model.logger.name_to_value["train/ent_coef"]) > 1.0) == grows
    assert made().target_entropy == -2.0


def test_learning_rates_follow_their_schedule_and_nought_learns_nothing() -> None:
    told = Told()
    made(learning_rate=lambda left: 1e-3 * left).learn(40, callback=told)
    rates = [values["train/learning_rate"] for values in told.values if "train/learning_rate" in values]
    assert rates == pytest.approx(1e-3 * np.linspace(1.0 - 11 / 40, 1.0 - 39 / 40, 29))
    for still in (0.0, lambda _: 0.0):
        model = made(learning_rate=still)
        before = copy.deepcopy(model.policy.state_dict())
        model.learn(20)
        assert model.learner.updates == 10
        assert all(torch.equal(before[name], value) for name, value in model.policy.state_dict().items())
    with pytest.raises(ConfigError, match="learning_rate: got -1"):
        made(learning_rate=-1)


def test_targets_follow_at_their_interval_and_by_tau() -> None:
    model = made(tau=1.0, target_update_interval=3, gradient_steps=0).learn(20)

    def apart() -> bool:
        both = zip(model.critic.parameters(), model.critic_target.parameters(), strict=True)
        return any(not torch.equal(one, other) for one, other in both)

    for steps, expected in ((1, False), (2, True), (4, False), (6, True)):  # followed at steps 0, 3, 6 of each call
        model.train(steps, batch_size=16)
        assert apart() == expected, steps
    before = [parameter.clone() for parameter in model.critic_target.parameters()]
    model.tau = 0.0
    model.train(2, batch_size=16)
    assert all(torch.equal(a, b) for a, b in zip(before, model.critic_target.parameters(), strict=True))


def test_training_has_their_rhythm() -> None:
    by_episode = made(train_freq=(1, "episode"), gradient_steps=-1).learn(33)
    assert by_episode.learner.updates == 8 * 4  # the first of five episodes ends before learning_starts
    several = made(env=DummyVecEnv([Drawn] * 3), train_freq=2, gradient_steps=-1, learning_starts=0).learn(12)
    assert several.learner.updates == 12
    noisy = made(action_noise=NormalActionNoise(np.zeros(2), 0.1 * np.ones(2)), env=DummyVecEnv([Drawn] * 2))
    assert noisy.learn(20).num_timesteps == 20


def test_buffers_are_chosen_as_theirs_are() -> None:
    assert type(made().replay_buffer) is DeviceReplayBuffer
    several = made(n_steps=3).learn(30)
    assert isinstance(several.replay_buffer, NStepReplayBuffer)
    assert (several.replay_buffer.n_steps, several.replay_buffer.gamma) == (3, 0.99)
    with pytest.warns(UserWarning, match="n_steps=3"):
        made(n_steps=3, replay_buffer_class=ReplayBuffer)


def test_warm_up_is_the_same_as_theirs() -> None:
    ours = made(learning_starts=100).learn(40).replay_buffer
    theirs = SAC("MlpPolicy", Drawn(), policy_kwargs=TINY, **{**SMALL, "learning_starts": 100}).learn(40).replay_buffer
    assert isinstance(ours, DeviceReplayBuffer)
    assert theirs is not None
    for name in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name)[:40], err_msg=name, rtol=1e-6)


# -- spaces ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pictures_of_any_channels_are_learned_from(channels: int, first: bool) -> None:
    shape = (channels, 12, 14) if first else (12, 14, channels)
    space = spaces.Box(0, 255, shape, np.uint8)
    picture = space.sample()
    seen = NetworkLayout(space).encode(by_key(torch.from_numpy(picture[None])))
    np.testing.assert_array_equal(seen["picture0"][0], np.moveaxis(picture, 0, 2) if first else picture)
    asked = {**TINY, "features_extractor_kwargs": {"features_dim": 5}}
    model = made("CnnPolicy", Drawn(space), policy_kwargs=asked).learn(20)
    assert model.learner.shapes.channels == {"picture0": channels}
    assert model.learner.actor.encoder.size == 5
    assert model.predict(picture)[0].shape == (2,)
    assert model.predict(np.stack([picture] * 3))[0].shape == (3, 2)


def test_pictures_without_normalisation_are_taken_as_they_are() -> None:
    for space in (spaces.Box(0, 255, (12, 12, 1), np.uint8), spaces.Box(-9.0, 9.0, (1, 12, 12), np.float32)):
        asked = {**TINY, "normalize_images": False}
        model = made("CnnPolicy", Drawn(space), policy_kwargs=asked).learn(14)
        value = torch.from_numpy(model.observation_space.sample()[None])
        seen = model.policy.layout.encode(by_key(value))["picture0"]
        assert seen.dtype == torch.float32
        assert torch.equal(seen[..., 0], value[:, 0].float())


def test_choices_are_one_hot_and_dictionaries_are_joined_in_order() -> None:
    space = spaces.Dict({"b": spaces.MultiDiscrete([3, 2]), "a": spaces.Discrete(3), "c": spaces.Box(-1, 1, (2, 2))})
    layout = NetworkLayout(space)
    value = {"a": torch.tensor([[2]]), "b": torch.tensor([[1, 1]]), "c": torch.arange(4.0).view(1, 2, 2)}
    expected = {"a": [0, 0, 1], "b": [0, 1, 0, 0, 1], "c": [0, 1, 2, 3]}
    joined = [number for key in space.spaces for number in expected[key]]
    assert layout.encode(value)["state"].tolist() == [joined]
    assert layout.state_size == 12
    model = made("MultiInputPolicy", Drawn(space)).learn(20)
    assert model.predict(space.sample())[0].shape == (2,)


def test_actions_may_have_any_shape() -> None:
    model = made(env=Drawn(action=(2, 3))).learn(20)
    action, _ = model.predict(np.zeros((4, 3), np.float32))
    assert action.shape == (4, 2, 3)
    assert model.target_entropy == -6.0


# -- logs, weights, files --------------------------------------------------------------------------------------------


def test_logs_have_their_names_at_their_time(tmp_path: Path) -> None:
    ours, theirs = Told(), Told()
    model = made(tensorboard_log=str(tmp_path / "ours")).learn(30, callback=ours)
    SAC("MlpPolicy", Drawn(), policy_kwargs=TINY, tensorboard_log=str(tmp_path / "theirs"), **SMALL).learn(30, theirs)
    for own, other in zip(ours.values, theirs.values, strict=True):
        assert {key for key in other if key.startswith("train/")} <= set(own)
        assert ("train/ent_coef" in own) == ("train/ent_coef" in other)
    assert ours.values[-1]["train/n_updates"] == theirs.values[-1]["train/n_updates"] == 19
    assert all(np.isfinite(value) for value in model.logger.name_to_value.values())
    assert os.listdir(tmp_path / "ours") == os.listdir(tmp_path / "theirs") == ["SAC_1"]


def test_parameters_are_exchanged_whole_or_in_part() -> None:
    model = made().learn(20)
    given: dict[str, Any] = copy.deepcopy(model.get_parameters())
    assert set(given) == {"policy", "optimizer"}
    assert all(value.is_floating_point() for value in given["policy"].values())
    other = made(seed=1).learn(20)
    name = next(iter(given["policy"]))
    part: dict[str, Any] = {"policy": {name: given["policy"][name] + 1.0}}
    kept = copy.deepcopy(other.get_parameters()["policy"])
    other.set_parameters(part, exact_match=False)
    for key, value in other.get_parameters()["policy"].items():
        assert torch.equal(value, part["policy"].get(key, kept[key])), key
    wrongs: list[dict[str, Any]] = [part, {"policy": given["policy"]}, {"another": {}}]
    for wrong in wrongs:
        with pytest.raises((CheckpointError, ValueError)):
            other.set_parameters(wrong, exact_match=True)
    other.set_parameters(given)
    for key, value in other.get_parameters()["optimizer"].items():
        assert torch.equal(value, given["optimizer"][key]), key


def test_learning_goes_on_after_loading_as_if_uninterrupted(tmp_path: Path) -> None:
    model = made(ent_coef="auto_0.5", learning_rate=1e-3).learn(30)
    model.save(tmp_path / "model", exclude=["tensorboard_log"])
    loaded = RlhfSAC.load(tmp_path / "model", env=Drawn(), device="cpu")
    assert model.replay_buffer is not None
    for _ in range(3):
        batch = model.policy.batch_of(model.replay_buffer.sample(16), 0.99)
        for one in (model, loaded):
            one.learner.update(batch)
    ours, theirs = model.get_parameters(), loaded.get_parameters()
    for part in ours:
        assert all(torch.equal(value, theirs[part][key]) for key, value in ours[part].items()), part
    assert torch.equal(model.ent_coef_tensor, loaded.ent_coef_tensor)
    assert loaded.policy_kwargs == TINY


def test_the_actor_alone_is_saved_and_loaded(tmp_path: Path) -> None:
    actor = made().learn(20).actor
    actor.save(str(tmp_path / "actor"))
    loaded = SacActor.load(str(tmp_path / "actor"), device="cpu")
    seen = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(
        actor.predict(seen, deterministic=True)[0], loaded.predict(seen, deterministic=True)[0]
    )


def test_critics_are_asked_as_theirs() -> None:
    model = made(gripper=1).learn(20)
    observations, actions = torch.randn(4, 3), torch.rand(4, 2) * 2 - 1
    values = model.critic(observations, actions)
    assert [tuple(value.shape) for value in values] == [(4, 1), (4, 1)]
    expected = model.learner.q_values({"state": observations}, actions)
    torch.testing.assert_close(torch.cat(values, dim=1).mean(dim=1), expected)


# -- what is refused -------------------------------------------------------------------------------------------------

REFUSED: dict[str, dict[str, Any]] = {
    "use_sde": {"use_sde": True},
    "optimize_memory_usage": {"optimize_memory_usage": True},
    "policy_kwargs.use_sde": {"policy_kwargs": {"use_sde": True}},
    "policy_kwargs.log_std_init": {"policy_kwargs": {"log_std_init": -2.0}},
    "policy_kwargs.net_arch": {"policy_kwargs": {"net_arch": []}},
    "policy_kwargs.activation_fn": {"policy_kwargs": {"activation_fn": nn.Softmax}},
    "policy_kwargs.optimizer_class": {"policy_kwargs": {"optimizer_class": torch.optim.SGD}},
    "policy_kwargs.optimizer_kwargs": {"policy_kwargs": {"optimizer_kwargs": {"weight_decay": 0.1}}},
    "policy_kwargs.features_extractor_class": {"policy_kwargs": {"features_extractor_class": nn.Linear}},
    "policy_kwargs.features_extractor_kwargs": {"policy_kwargs": {"features_extractor_kwargs": {"depth": 3}}},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named_and_explained_in_the_documents(name: str) -> None:
    with pytest.raises(ConfigError) as raised:
        made(**REFUSED[name])
    assert str(raised.value).startswith(f"{name}: ")
    assert f"| `{name}` |" in (ROOT / "docs" / "sb3.md").read_text(encoding="utf-8")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has that device")
def test_replay_on_a_device_that_is_not_there_is_refused_but_can_be_looked_into() -> None:
    buffer = made().learn(12).replay_buffer
    assert isinstance(buffer, DeviceReplayBuffer)
    before = buffer.observations
    buffer.device = torch.device("cuda")
    np.testing.assert_array_equal(buffer.observations, before)
    with pytest.raises(ConfigError, match="device: got cuda"):
        buffer.sample(4)


def test_encoders_that_are_not_shared_and_unknown_names_are_refused() -> None:
    pictures = Drawn(spaces.Box(0, 255, (12, 12, 3), np.uint8))
    with pytest.raises(ConfigError, match="share_features_extractor"):
        made("CnnPolicy", pictures, policy_kwargs={"share_features_extractor": False})
    made(policy_kwargs={"share_features_extractor": False, **TINY})  # nothing to share
    with pytest.raises(UnknownNameError, match="net_arch"):
        made(policy_kwargs={"net_arc": [8]})
    with pytest.raises(ConfigError, match=r"sac\.imitators: got 3"):
        made(sac=SacConfig(imitators=3))
    with pytest.raises(ConfigError, match="policy: got SACPolicy"):
        made(SAC.policy_aliases["MlpPolicy"])  # pyright: ignore[reportArgumentType]  that is the point
    assert issubclass(CheckpointError, RuntimeError)
    assert issubclass(CheckpointError, RobotRlhfError)


def test_their_tests_are_sorted_into_passed_refused_and_failed(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(
        "import pytest\n"
        "from stable_baselines3 import SAC, TD3\n"
        "def test_passes():\n    assert SAC.__name__ == 'RlhfSAC'\n"
        "@pytest.mark.parametrize('kind', [SAC, TD3])\n"
        "def test_refused(kind):\n    kind('MlpPolicy', 'Pendulum-v1', use_sde=True)\n"
        "def test_fails():\n    assert SAC is None\n"
        "def test_of_another():\n    raise ValueError\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "benchmarks.sb3_conformance", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert '"passed": 1' in done.stdout
    assert '"failed": 1' in done.stdout
    assert '"refused": 1' in done.stdout
    assert "use_sde: got True" in done.stdout
