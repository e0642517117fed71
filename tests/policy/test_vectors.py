"""State vectors in native units: differences, normalising, and that whoever acts sees what the learner sees."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.conformance import sample_observation
from robot_rlhf.datatypes import Assignment, Batch, CommandLayout, RobotSpec, Source
from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf.learner.checkpoint import read_snapshot, write_snapshot
from robot_rlhf.learner.cloning import CloningConfig, CloningLearner
from robot_rlhf.learner.iql import IqlConfig, IqlLearner
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.parts import find_part
from robot_rlhf.policy.features import FeatureConfig, Features
from robot_rlhf.policy.learned import LearnedPolicy, shapes_of
from robot_rlhf.policy.networks import NetworkConfig, Shapes
from robot_rlhf.policy.vectors import LARGEST, Difference, VectorView, find_differences
from robot_rlhf.timing import FakeClock
from robot_rlhf_hardware.fake import FakeRobot
from tests.draws import draws

SPANS = {"goal": slice(0, 3), "seen": slice(3, 13)}
UNITS = np.array([1e-3, 1.0, 250.0, 7.0, 0.02], np.float32)
"""How much each entry of the direct robot's state varies."""
SMALL = NetworkConfig(hidden=(16,))


def direct_spec() -> RobotSpec:
    spec = FakeRobot(FakeClock()).spec
    command = CommandLayout("direct", spec.action.names, np.full(5, -1.0), np.ones(5))
    return replace(spec, command=command, scene={"a": 3, "b": 2}, cameras={})


FEATURES = Features(direct_spec(), FeatureConfig(relative=(("b", "a[1:3]"),)))


def native_batch(size: int, seed: int) -> Batch:
    g = torch.Generator().manual_seed(seed)

    def observation() -> dict[str, torch.Tensor]:
        return {"state": (torch.randn(size, 5, generator=g) + 3.0) * torch.from_numpy(UNITS)}

    return Batch(
        observation=observation(),
        action=torch.rand(size, 5, generator=g) * 2 - 1,
        reward=torch.rand(size, generator=g),
        discount=torch.full((size,), 0.97),
        next_observation=observation(),
        source=torch.full((size,), int(Source.HUMAN)),
        weight=torch.ones(size),
        index=torch.arange(size),
    )


# -- parts and differences -------------------------------------------------------------------------------------------


def test_parts_are_found_by_name_and_entries() -> None:
    assert find_part("seen", SPANS) == slice(3, 13)
    assert find_part("seen[0:3]", SPANS) == slice(3, 6)
    assert find_part("", {"": slice(0, 4)}) == slice(0, 4)
    assert find_differences((("goal", "seen[2:5]"),), SPANS) == (Difference(0, 5, 3),)
    with pytest.raises(UnknownNameError, match=r"'gaol'.*Did you mean 'goal'"):
        find_part("gaol", SPANS)
    for wrong in ("goal[2:4]", "goal[2:2]"):
        with pytest.raises(ConfigError, match=r"goal\[0:3\]"):
            find_part(wrong, SPANS)
    with pytest.raises(ConfigError, match="equally many"):
        find_differences((("goal", "seen[0:2]"),), SPANS)


def test_differences_are_those_of_a_loop() -> None:
    differences = (Difference(0, 4, 2), Difference(6, 1, 1))
    state = torch.randn(5, 7)
    seen = VectorView(7, differences)(state)
    for row in range(5):
        one = state[row].tolist()
        expected = [*one, one[0] - one[4], one[1] - one[5], one[6] - one[1]]
        np.testing.assert_allclose(seen[row], expected, atol=1e-6)


def test_without_differences_and_normalising_nothing_is_changed_or_kept() -> None:
    view = VectorView(4)
    state = torch.randn(3, 4)
    view.note(state)
    assert view(state) is state
    assert view.state_dict() == {}


# -- normalising -------------------------------------------------------------------------------------------------------


@draws(40)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    units=st.lists(st.floats(1e-2, 1e3), min_size=3, max_size=3),
    seed=st.integers(0, 1000),
)
def test_statistics_are_those_of_everything_noted(sizes: list[int], units: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    batches = [((rng.normal(size=(size, 3)) + 1.0) * units).astype(np.float32) for size in sizes]
    view = VectorView(3, (Difference(0, 1, 1),), normalised=True)
    for batch in batches:
        view.note(torch.from_numpy(batch))
    state = np.concatenate(batches).astype(np.float64)
    whole = np.concatenate([state, state[:, :1] - state[:, 1:2]], axis=1)
    scale = np.abs(whole).max(axis=0)
    held = {name: value.numpy() for name, value in view.named_buffers()}
    assert held["count"] == len(whole)
    np.testing.assert_allclose(held["mean"] / scale, whole.mean(axis=0) / scale, atol=1e-5)
    np.testing.assert_allclose(held["variance"] / scale**2, whole.var(axis=0) / scale**2, atol=1e-5)


@draws(30)
@given(seed=st.integers(0, 1000), shift=st.floats(-100.0, 100.0))
def test_what_was_normalised_is_restored(seed: int, shift: float) -> None:
    state = (torch.randn(64, 4, generator=torch.Generator().manual_seed(seed)) + shift) * torch.tensor([0.01, 1, 9, 99])
    view = VectorView(4, normalised=True)
    view.note(state)
    seen = view(state)
    assert seen.abs().max() < LARGEST
    np.testing.assert_allclose(seen.mean(dim=0), np.zeros(4), atol=1e-2)
    np.testing.assert_allclose(seen.std(dim=0, unbiased=False), np.ones(4), atol=1e-2)
    np.testing.assert_allclose(view.restored(seen), state, rtol=1e-4, atol=1e-4 * (1.0 + abs(shift)))


def test_what_hardly_varies_stays_finite_and_what_is_far_is_clipped() -> None:
    view = VectorView(2, normalised=True)
    view.note(torch.tensor([[5.0, 0.0], [5.0, 2.0]]))
    seen = view(torch.tensor([[5.0, 1e9], [6.0, -1e9]]))
    assert seen.tolist() == [[0.0, LARGEST], [LARGEST, -LARGEST]]


# -- whoever acts sees what the learner sees -------------------------------------------------------------------------


def sac() -> SacLearner:
    return SacLearner(shapes_of(direct_spec(), FEATURES), SMALL, SacConfig(average_rate=0.1), seed=0)


def iql() -> IqlLearner:
    return IqlLearner(shapes_of(direct_spec(), FEATURES), SMALL, IqlConfig(), seed=0)


def cloner() -> CloningLearner:
    return CloningLearner(shapes_of(direct_spec(), FEATURES), SMALL, CloningConfig(), seed=0)


@pytest.mark.parametrize("make", [sac, iql, cloner])
def test_learner_policy_and_saved_weights_act_the_same(
    make: Callable[[], SacLearner | IqlLearner | CloningLearner], tmp_path: Path
) -> None:
    learner = make()
    learner.warm_start([native_batch(32, seed) for seed in range(3)])
    learner.update(native_batch(32, 7))
    learner.update(native_batch(32, 8))
    own = learner.actor if isinstance(learner, CloningLearner) else learner.average
    write_snapshot(tmp_path / "policy", learner.averaged())
    policies = [LearnedPolicy(direct_spec(), FEATURES, SMALL) for _ in range(2)]
    policies[0].load(learner.averaged())
    policies[1].load(read_snapshot(tmp_path / "policy")[0])
    rng = np.random.default_rng(0)
    for _ in range(5):
        seen = sample_observation(direct_spec(), 0.0, rng)
        given = {name: torch.from_numpy(np.array(value)).unsqueeze(0) for name, value in FEATURES(seen).items()}
        out = own(given)
        assert out.gripper_logit is not None
        expected = [*out.continuous.mode()[0].tolist(), 1.0 if float(out.gripper_logit.detach()[0]) > 0 else -1.0]
        for policy in policies:
            np.testing.assert_allclose(policy.act(seen, Assignment(), rng).values, expected, atol=1e-6)
    again = make()
    again.load_state(learner.state())
    for name, value in learner.averaged().arrays.items():
        np.testing.assert_array_equal(again.averaged().arrays[name], value)


def test_newest_and_averaged_actor_normalise_alike_also_after_loading() -> None:
    learner, other = sac(), sac()
    learner.update(native_batch(32, 0))
    other.load_state(learner.state())
    other.update(native_batch(32, 1))
    newest, average = (snapshot.arrays for snapshot in (other.snapshot(), other.averaged()))
    assert newest["encoder.vector.count"] == 64
    for name in ("count", "mean", "variance"):
        np.testing.assert_array_equal(newest[f"encoder.vector.{name}"], average[f"encoder.vector.{name}"])


def test_units_do_not_matter_to_what_is_learned() -> None:
    """The same data in other units gives the same losses: what normalising is for."""

    def losses(unit: float) -> list[float]:
        learner = SacLearner(Shapes(5, 5, None, normalised=True), SMALL, SacConfig(), seed=0)
        told: list[float] = []
        for seed in range(4):
            batch = copy.deepcopy(native_batch(64, seed))
            scaled: list[Mapping[str, torch.Tensor]] = [
                {"state": seen["state"] * unit} for seen in (batch.observation, batch.next_observation)
            ]
            metrics = learner.update(replace(batch, observation=scaled[0], next_observation=scaled[1]))
            told.append(float(metrics["critic_loss"]))
        return told

    np.testing.assert_allclose(losses(1.0), losses(1000.0), rtol=1e-3)


def test_only_robots_with_native_commands_are_normalised_unless_told() -> None:
    tool = FakeRobot(FakeClock()).spec
    assert FEATURES.normalised
    assert not Features(direct_spec(), FeatureConfig(normalised=False)).normalised
    assert not Features(tool, FeatureConfig()).normalised
    assert shapes_of(tool, Features(tool, FeatureConfig(normalised=True))).normalised
    with pytest.raises(ConfigError, match=r"features\.relative"):
        Features(tool, FeatureConfig(relative=(("thing", "thing"),)))
    with pytest.raises(UnknownNameError, match="part of the state"):
        Features(direct_spec(), FeatureConfig(relative=(("c", "a"),)))
