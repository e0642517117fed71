"""The learned policy: its mean and its samples, and weights that it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from robot_rlhf.conformance import TrainablePolicyConformance, sample_observation
from robot_rlhf.datatypes import Assignment, Observation, WeightSnapshot
from robot_rlhf.errors import CheckpointError, InvalidValueError, NoWeightsError
from robot_rlhf.policy.features import FeatureConfig, Features
from robot_rlhf.policy.heads import TanhGaussian
from robot_rlhf.policy.learned import ExplorationConfig, LearnedPolicy, shapes_of
from robot_rlhf.policy.networks import Actor, NetworkConfig, join_action, split_action
from robot_rlhf.timing import FakeClock
from robot_rlhf_hardware.fake import FakeRobot

SPEC = replace(FakeRobot(FakeClock()).spec, cameras={"front": (16, 16)}, scene={"thing": 7})
SMALL = NetworkConfig(hidden=(16,))


EXPLORING = ExplorationConfig()


def made(
    exploration: ExplorationConfig | None = None,
    *,
    cameras: tuple[str, ...] = (),
    network: NetworkConfig = SMALL,
    seed: int = 0,
) -> LearnedPolicy:
    features = Features(SPEC, FeatureConfig(cameras=cameras))
    policy = LearnedPolicy(SPEC, features, network, exploration=exploration)
    policy.load(weights(network, cameras, seed))
    return policy


def weights(network: NetworkConfig = SMALL, cameras: tuple[str, ...] = (), seed: int = 0) -> WeightSnapshot:
    actor = Actor(
        shapes_of(SPEC, Features(SPEC, FeatureConfig(cameras=cameras))), network, torch.Generator().manual_seed(seed)
    )
    return WeightSnapshot(11, {name: value.numpy().copy() for name, value in actor.state_dict().items()})


def observation(seed: int = 0) -> Observation:
    return sample_observation(SPEC, 0.0, np.random.default_rng(seed))


class TestSampling(TrainablePolicyConformance):
    action_size = 5

    def make_policy(self) -> LearnedPolicy:
        return made(EXPLORING)

    def make_weights(self, seed: int) -> WeightSnapshot:
        return weights(seed=seed)

    def make_observation(self) -> Observation:
        return observation()


class TestMeanFromPictures(TrainablePolicyConformance):
    action_size = 5

    def make_policy(self) -> LearnedPolicy:
        return made(cameras=("front",))

    def make_weights(self, seed: int) -> WeightSnapshot:
        return weights(cameras=("front",), seed=seed)

    def make_observation(self) -> Observation:
        return observation()


class TestContinuousGripper(TrainablePolicyConformance):
    action_size = 5

    def make_policy(self) -> LearnedPolicy:
        return made(EXPLORING, network=NetworkConfig(hidden=(16,), gripper="continuous"))

    def make_weights(self, seed: int) -> WeightSnapshot:
        return weights(NetworkConfig(hidden=(16,), gripper="continuous"), seed=seed)

    def make_observation(self) -> Observation:
        return observation()


def test_the_mean_needs_no_randomness() -> None:
    policy = made()
    a, b = (policy.act(observation(), Assignment(), np.random.default_rng(seed)).values for seed in (0, 1))
    np.testing.assert_array_equal(a, b)
    assert a[4] in (-1.0, 1.0), "the gripper is a choice of two"


def test_samples_scatter_around_the_mean_as_the_network_says() -> None:
    policy, rng = made(EXPLORING), np.random.default_rng(0)
    seen = observation()
    with torch.no_grad():
        encoded = {"state": torch.as_tensor(Features(SPEC, FeatureConfig()).state(seen)).unsqueeze(0)}
        out = policy._actor(encoded)
    assert out.gripper_logit is not None
    assert isinstance(out.continuous, TanhGaussian)
    drawn = np.stack([policy.act(seen, Assignment(), rng).values for _ in range(3000)])
    raw = np.arctanh(np.clip(drawn[:, :4], -0.9999999, 0.9999999))
    np.testing.assert_allclose(raw.mean(axis=0), out.continuous.mean[0].numpy(), atol=0.1)
    np.testing.assert_allclose(raw.std(axis=0), out.continuous.log_std[0].exp().numpy(), rtol=0.1)
    assert (drawn[:, 4] > 0).mean() == pytest.approx(float(torch.sigmoid(out.gripper_logit)[0]), abs=0.03)


def test_loading_changes_version_and_wishes() -> None:
    policy = made()
    before = policy.act(observation(), Assignment(), np.random.default_rng(0)).values
    assert policy.version == 11
    policy.load(WeightSnapshot(12, weights(seed=5).arrays))
    assert policy.version == 12
    assert not np.allclose(policy.act(observation(), Assignment(), np.random.default_rng(0)).values, before)


def test_equal_weights_wish_equally() -> None:
    a, b = made(), made(exploration=None)
    for seed in range(5):
        rng = np.random.default_rng(0)
        np.testing.assert_array_equal(
            a.act(observation(seed), Assignment(), rng).values, b.act(observation(seed), Assignment(), rng).values
        )


@pytest.mark.parametrize("other", [NetworkConfig(hidden=(8,)), NetworkConfig(hidden=(16, 16))])
def test_weights_of_another_architecture_are_refused_by_name(other: NetworkConfig) -> None:
    policy = made()
    before = policy.act(observation(), Assignment(), np.random.default_rng(0)).values
    with pytest.raises(CheckpointError, match=r"head\.layers"):
        policy.load(weights(other))
    assert policy.version == 11
    np.testing.assert_array_equal(policy.act(observation(), Assignment(), np.random.default_rng(0)).values, before)


def test_missing_weights_are_named() -> None:
    arrays = dict(weights().arrays)
    name, _ = arrays.popitem()
    with pytest.raises(CheckpointError, match=f"lack {name!r}"):
        made().load(WeightSnapshot(1, arrays))


def test_nan_weights_raise_when_they_act() -> None:
    policy = made()
    policy.load(WeightSnapshot(66, {name: np.full_like(value, np.nan) for name, value in weights().arrays.items()}))
    with pytest.raises(InvalidValueError, match=r"version 66.*finite"):
        policy.act(observation(), Assignment(), np.random.default_rng(0))


@pytest.mark.parametrize("gripper", [0, 2, 4])
def test_an_action_split_and_joined_is_the_same(gripper: int) -> None:
    action = torch.rand(6, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1
    action[:, gripper] = action[:, gripper].sign()
    rest, is_open = split_action(action, gripper)
    assert rest.shape == (6, 4)
    assert isinstance(is_open, Tensor)
    torch.testing.assert_close(join_action(rest, is_open, gripper), action)
    torch.testing.assert_close(join_action(*split_action(action, None), None), action)


@pytest.mark.parametrize("exploration", [EXPLORING, None])
def test_without_weights_it_refuses_to_act(exploration: ExplorationConfig | None) -> None:
    policy = LearnedPolicy(SPEC, Features(SPEC, FeatureConfig()), SMALL, exploration=exploration)
    with pytest.raises(NoWeightsError, match="no weights yet"):
        policy.act(observation(), Assignment(), np.random.default_rng(0))
    policy.load(weights())
    policy.act(observation(), Assignment(), np.random.default_rng(0))
    assert policy.checksum == weights().checksum


def test_weights_of_no_learner_are_refused() -> None:
    policy = made()
    with pytest.raises(CheckpointError, match="version is -1"):
        policy.load(replace(weights(), version=-1))
    assert policy.version == 11
