"""Heads: the squashed Gaussian by hand, and heads of a user's own in every learner, in acting, and in runs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from robot_rlhf.apps.cli import main
from robot_rlhf.bridges.algorithm import RlhfSAC
from robot_rlhf.conformance import HeadConformance, LearnerConformance, ValueLearnerConformance
from robot_rlhf.datatypes import Assignment, Batch, Source
from robot_rlhf.errors import CheckpointError, ConfigError, UnknownNameError
from robot_rlhf.learner.checkpoint import read_checkpoint, read_snapshot, write_checkpoint, write_snapshot
from robot_rlhf.learner.cloning import CloningConfig, CloningLearner
from robot_rlhf.learner.iql import IqlConfig, IqlLearner
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.learner.state import snapshot_of
from robot_rlhf.naming import name_of
from robot_rlhf.policy import heads
from robot_rlhf.policy.features import FeatureConfig, Features
from robot_rlhf.policy.heads import Head, PolicyOutput, TanhGaussian
from robot_rlhf.policy.learned import ExplorationConfig, LearnedPolicy, shapes_of
from robot_rlhf.policy.networks import Actor, ActorHead, NetworkConfig, Shapes
from robot_rlhf.run.settings import read_yaml
from tests.learner.test_sac import SHAPES, batch_of
from tests.policy import own_heads
from tests.policy.test_learned import SPEC, observation

OWN = (own_heads.Kumaraswamy, own_heads.TwoPeaks)


def network_of(head: type[Head]) -> NetworkConfig:
    return NetworkConfig(hidden=(32, 32), head=name_of(head, "head"))


# -- the laws ----------------------------------------------------------------------------------------------------------


class TestTanhGaussian(HeadConformance):
    def make_head(self) -> type[Head]:
        return TanhGaussian


class TestKumaraswamy(HeadConformance):
    def make_head(self) -> type[Head]:
        return own_heads.Kumaraswamy


class TestTwoPeaks(HeadConformance):
    def make_head(self) -> type[Head]:
        return own_heads.TwoPeaks


def test_the_laws_are_broken_by_who_breaks_them() -> None:
    class OfBranching(HeadConformance):
        def make_head(self) -> type[Head]:
            return own_heads.Branching

    class OfWrongDensity(HeadConformance):
        def make_head(self) -> type[Head]:
            return own_heads.WrongDensity

    class OfCutOff(HeadConformance):
        def make_head(self) -> type[Head]:
            return own_heads.CutOff

    with pytest.raises(RuntimeError, match=r"value out of a tracing tensor|data-dependent"):
        OfBranching().test_nothing_branches_on_values()
    with pytest.raises(AssertionError):
        OfCutOff().test_no_entropy_is_above_that_of_all_actions_alike(30.0)
    with pytest.raises(AssertionError):
        OfWrongDensity().test_the_density_is_one_in_all(0)
    with pytest.raises(AssertionError):
        OfWrongDensity().test_samples_fall_as_the_density_says(0)


# -- the squashed Gaussian ---------------------------------------------------------------------------------------------


def test_tanh_gaussian_log_prob_is_the_density_of_the_squashed_variable() -> None:
    mean, std = 0.3, 0.7
    grid = np.linspace(-0.999999, 0.999999, 400_001)
    raw = np.arctanh(grid)
    noise = (raw - mean) / std
    log_prob = heads.tanh_gaussian_log_prob(
        torch.tensor(noise).unsqueeze(1),
        torch.full((len(grid), 1), math.log(std), dtype=torch.float64),
        torch.tensor(raw).unsqueeze(1),
    )[:, 0].numpy()
    by_hand = -0.5 * noise**2 - 0.5 * math.log(2 * math.pi) - math.log(std) - np.log1p(-(grid**2))
    np.testing.assert_allclose(log_prob, by_hand, rtol=1e-6, atol=1e-6)
    assert math.isclose(float(np.trapezoid(np.exp(log_prob), grid)), 1.0, rel_tol=1e-3)


def test_log_prob_stays_finite_far_out() -> None:
    raw = torch.tensor([[40.0], [-40.0]])
    assert torch.isfinite(heads.tanh_gaussian_log_prob(torch.zeros(2, 1), torch.zeros(2, 1), raw)).all()


@given(st.floats(-30, 30))
def test_gripper_entropy_is_that_of_a_coin(logit: float) -> None:
    p = 1.0 / (1.0 + math.exp(-logit))
    by_hand = -sum(x * math.log(x) for x in (p, 1 - p) if x > 0)
    got = float(heads.gripper_entropy(torch.tensor([logit], dtype=torch.float64)))
    assert math.isclose(got, by_hand, abs_tol=1e-7)  # the closed form by hand is the less exact one


def test_log_prob_of_what_was_done_by_hand() -> None:
    head = TanhGaussian(torch.tensor([[0.2]]), torch.tensor([[math.log(0.5)]]))
    out = PolicyOutput(head, torch.tensor([math.log(3.0)]))
    u = math.atanh(0.6)
    density = math.exp(-0.5 * ((u - 0.2) / 0.5) ** 2) / (0.5 * math.sqrt(2 * math.pi)) / (1 - 0.6**2)
    for is_open, chance in ((1.0, 0.75), (0.0, 0.25)):
        got = out.log_prob(torch.tensor([[0.6]]), torch.tensor([is_open]))
        assert float(got) == pytest.approx(math.log(density * chance), abs=1e-5)
    edge = out.log_prob(torch.tensor([[1.0]]), None)
    torch.testing.assert_close(edge, out.log_prob(torch.tensor([[0.99]]), None))


@pytest.mark.parametrize("shapes", [SHAPES, Shapes(3, 3, None), Shapes(3, 1, 0)])
def test_the_usual_head_is_what_it_always_was(shapes: Shapes) -> None:
    """Bit for bit the formulas that learners and policies had of their own, over the same columns of the network."""
    actor = ActorHead(shapes, NetworkConfig(hidden=(16,)), 3, torch.Generator().manual_seed(0))
    features = 30.0 * torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    out, raw = actor(features), actor.layers(features)
    c = shapes.action - (shapes.gripper is not None)
    mean, log_std = raw[:, :c], raw[:, c : 2 * c].clamp(-5.0, 1.0)
    assert isinstance(out.continuous, TanhGaussian)
    assert torch.equal(out.continuous.mean, mean)
    assert torch.equal(out.continuous.log_std, log_std)
    noise = torch.randn(50, c)
    drawn = mean + log_std.exp() * noise
    density = -0.5 * (noise.square() + math.log(2.0 * math.pi)) - log_std
    density = (density - 2.0 * (math.log(2.0) - drawn - torch.nn.functional.softplus(-2.0 * drawn))).sum(dim=1)
    if shapes.gripper is not None:
        assert out.gripper_logit is not None
        assert torch.equal(out.gripper_logit, raw[:, 2 * c])
        density = density - heads.gripper_entropy(raw[:, 2 * c])
    action, neg_entropy = out.sample(noise)
    assert torch.equal(action, torch.tanh(drawn))
    assert torch.equal(neg_entropy, density)
    assert torch.equal(out.continuous.mode(), torch.tanh(mean))
    assert torch.equal(out.continuous.explored(noise, 0.3), torch.tanh(mean + 0.3 * log_std.exp() * noise))


def test_what_is_done_without_spread_is_done_again() -> None:
    action = torch.tensor([[0.5, -0.2, 1.0]])
    head = TanhGaussian.at(action)
    torch.testing.assert_close(head.mode(), action.clamp(-0.999, 0.999))
    torch.testing.assert_close(head.sample(torch.randn(1, 3))[0], head.mode())


# -- heads of one's own ------------------------------------------------------------------------------------------------


class TestSacOfTwoPeaks(ValueLearnerConformance):
    def make_learner(self) -> SacLearner:
        return SacLearner(SHAPES, network_of(own_heads.TwoPeaks), SacConfig(imitators=2), seed=0)

    def make_batch(self, seed: int) -> Batch:
        return batch_of(32, seed)


class TestCloningOfKumaraswamy(LearnerConformance):
    def make_learner(self) -> CloningLearner:
        return CloningLearner(SHAPES, network_of(own_heads.Kumaraswamy), CloningConfig(), seed=0)

    def make_batch(self, seed: int) -> Batch:
        return batch_of(32, seed, source=Source.HUMAN)


class TestIqlOfKumaraswamy(ValueLearnerConformance):
    def make_learner(self) -> IqlLearner:
        return IqlLearner(SHAPES, network_of(own_heads.Kumaraswamy), IqlConfig(), seed=0)

    def make_batch(self, seed: int) -> Batch:
        return batch_of(32, seed)


@pytest.mark.parametrize("head", OWN)
def test_it_imitates_saves_loads_and_acts(head: type[Head]) -> None:
    network, features = network_of(head), Features(SPEC, FeatureConfig())
    shapes = shapes_of(SPEC, features)
    learner = CloningLearner(shapes, network, CloningConfig(learning_rate=3e-3), seed=0)
    shown = batch_of(256, 0, shapes, Source.DEMO)
    wanted = 0.8 * torch.tanh(shown.observation["state"][:, : shapes.action])
    for _ in range(300):
        learner.update(replace(shown, action=wanted))
    out = learner.actor(shown.observation)
    assert float((out.continuous.mode() - wanted[:, :4]).abs().mean().detach()) < 0.1
    again = CloningLearner(shapes, network, CloningConfig(), seed=7)
    again.load_state(learner.state())
    policy = LearnedPolicy(SPEC, features, network)
    policy.load(again.snapshot())
    done = policy.act(observation(), Assignment(), np.random.default_rng(0)).values
    seen = {"state": torch.as_tensor(features.state(observation()))[None]}
    np.testing.assert_allclose(done[:4], learner.actor(seen).continuous.mode()[0].detach().numpy(), atol=1e-6)
    other = LearnedPolicy(SPEC, features, NetworkConfig(hidden=(32, 31)))
    with pytest.raises(CheckpointError, match="architecture"):
        other.load(again.snapshot())


LEARNERS = (
    lambda network: SacLearner(SHAPES, network, SacConfig(), seed=0),
    lambda network: CloningLearner(SHAPES, network, CloningConfig(), seed=0),
    lambda network: IqlLearner(SHAPES, network, IqlConfig(), seed=0),
)


@pytest.mark.parametrize("make", LEARNERS)
def test_weights_of_another_head_are_refused_though_they_fit(
    tmp_path: Path, make: Callable[[NetworkConfig], SacLearner | CloningLearner | IqlLearner]
) -> None:
    """By whoever learns on, and by whoever acts; also from a file."""
    file, ours, theirs = (
        tmp_path / "policy.safetensors",
        make(network_of(own_heads.Twin)),
        make(network_of(TanhGaussian)),
    )
    write_snapshot(file, ours.snapshot())
    for snapshot in (ours.snapshot(), read_snapshot(file)[0]):
        assert snapshot.head == "Twin"
        make(network_of(own_heads.Twin)).begin_with(snapshot)
        with pytest.raises(CheckpointError, match="start: learned for head 'Twin', this architecture has 'gaussian'"):
            theirs.begin_with(snapshot)
    features = Features(SPEC, FeatureConfig())
    policy = LearnedPolicy(SPEC, features, network_of(TanhGaussian))
    actor = Actor(shapes_of(SPEC, features), network_of(own_heads.Twin), torch.Generator())
    with pytest.raises(CheckpointError, match="weights: learned for head 'Twin'"):
        policy.load(snapshot_of(actor, 1))


def test_a_file_that_names_no_head_is_of_the_one_that_there_was(tmp_path: Path) -> None:
    file, learner = tmp_path / "policy.safetensors", CloningLearner(SHAPES, NetworkConfig(), CloningConfig(), seed=0)
    write_snapshot(file, learner.snapshot())
    tensors, facts = read_checkpoint(file)
    assert facts.pop("head") == "gaussian"
    write_checkpoint(file, tensors, facts)
    assert read_snapshot(file)[0].head == "gaussian"
    write_snapshot(file, replace(learner.snapshot(), head=""))  # of a learner that does not say it
    assert read_snapshot(file)[0].head == ""


@pytest.mark.parametrize("head", [TanhGaussian, *OWN])
def test_soft_actor_critic_finds_what_is_rewarded(head: type[Head]) -> None:
    """One decision, whose reward tells how near the action came to 0.6 and -0.4."""
    shapes, best = Shapes(state=2, action=2, gripper=None), torch.tensor([0.6, -0.4])
    config = SacConfig(
        learning_rate=3e-3, cloning_weight=0.0, cloning_weight_end=0.0, return_bounds=None, actor_every=1
    )
    learner = SacLearner(shapes, network_of(head), config, seed=0)
    for step in range(600):
        batch = batch_of(128, step, shapes, Source.POLICY)
        reward = 1.0 - (batch.action - best).square().sum(dim=1)
        learner.update(replace(batch, reward=reward, discount=torch.zeros(128)))
    with torch.no_grad():
        mode = learner.actor(batch_of(64, 999, shapes).observation).continuous.mode()
    assert float((mode - best).abs().mean()) < 0.15


@pytest.mark.parametrize("head", OWN)
def test_practice_explores_by_the_head_and_a_seed_reproduces(head: type[Head]) -> None:
    network, features = network_of(head), Features(SPEC, FeatureConfig())
    learner = SacLearner(shapes_of(SPEC, features), network, SacConfig(), seed=0)
    policy = LearnedPolicy(SPEC, features, network, exploration=ExplorationConfig(noise=0.3))
    policy.load(learner.snapshot())

    def acts(seed: int) -> list[list[float]]:
        rng = np.random.default_rng(seed)
        return [policy.act(observation(), Assignment(), rng).values.tolist() for _ in range(5)]

    assert acts(0) == acts(0)
    assert acts(0) != acts(1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_compiled_updates_are_those_that_are_not(caplog: pytest.LogCaptureFixture) -> None:
    def learned(*, compiled: bool) -> tuple[SacLearner, list[Tensor]]:
        config = SacConfig(actor_every=1, compiled=compiled)
        learner = SacLearner(SHAPES, network_of(own_heads.TwoPeaks), config, seed=0)
        return learner, [learner.update(batch_of(32, seed))["actor_loss"] for seed in range(3)]

    (_, ours), (_, theirs) = learned(compiled=True), learned(compiled=False)
    assert "not compiled" not in caplog.text
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_stable_baselines_has_it_too(tmp_path: Path) -> None:
    network = network_of(own_heads.TwoPeaks)
    algorithm = RlhfSAC("MlpPolicy", "Pendulum-v1", network=network, seed=1, learning_starts=20, batch_size=16)
    algorithm.learn(40)
    algorithm.save(tmp_path / "own")
    again = RlhfSAC.load(tmp_path / "own")
    seen = np.ones((5, 3), np.float32)
    np.testing.assert_array_equal(
        again.predict(seen, deterministic=True)[0], algorithm.predict(seen, deterministic=True)[0]
    )
    drawn, _ = again.predict(seen)
    assert len(np.unique(drawn)) == 5


# -- chosen by name ----------------------------------------------------------------------------------------------------

KUMARASWAMY = f"{own_heads.__file__}:Kumaraswamy"
TINY = ("--task", "reach", "--steps", "130", "--demonstrations", "1", "--video-episodes", "0", "--quiet")
TINY += ("--trainer.warm-start-updates", "20", "--trainer.updates-per-step", "0.5", "--evaluation.every", "0")
TINY += ("--evaluation.final-episodes", "1")


def test_a_run_of_ones_own_head_is_measured_and_gone_on_with(tmp_path: Path) -> None:
    assert main(["train", "--network.head", KUMARASWAMY, *TINY, "--out", str(tmp_path)]) == 0
    (run,) = tmp_path.iterdir()
    assert read_yaml(run / "config.yaml").network.head == KUMARASWAMY
    before = json.loads((run / "summary.json").read_text())
    assert main(["eval", str(run), "--episodes", "1"]) == 0
    assert main(["train", "--resume", str(run), "--steps", "150", "--quiet"]) == 0
    assert json.loads((run / "summary.json").read_text())["updates"] > before["updates"]


def test_what_is_no_head_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(head: str) -> str:
        assert main(["train", "--network.head", head, *TINY, "--out", str(tmp_path)]) == 2
        said = capsys.readouterr().err.strip()
        assert len(said.splitlines()) == 1
        assert not list(tmp_path.iterdir())
        return said

    assert "network.head" in refused("gausian")
    assert "gaussian" in refused("gausian")
    file = own_heads.__file__
    assert "is not a Head; allowed: gaussian, module:name or file.py:name of your own" in refused(f"{file}:math")
    assert "lacks log_prob, mode, of, sample" in refused(f"{file}:Unfinished")
    assert "has no 'Beta'" in refused(f"{file}:Beta")
    assert "no such file" in refused("nowhere.py:Beta")


def test_the_settings_name_what_is_wrong() -> None:
    with pytest.raises(UnknownNameError, match=r"network\.head"):
        NetworkConfig(head="beta")
    with pytest.raises(ConfigError, match="lacks"):
        NetworkConfig(head=f"{own_heads.__file__}:Unfinished")


def test_weights_have_the_names_that_they_had() -> None:
    actor = ActorHead(SHAPES, NetworkConfig(hidden=(16,)), 3, torch.Generator())
    shapes = {name: tuple(value.shape) for name, value in actor.state_dict().items()}
    norm = {"layers.1.weight": (16,), "layers.1.bias": (16,)}
    assert shapes == {"layers.0.weight": (16, 3), "layers.0.bias": (16,), **norm} | {
        "layers.3.weight": (5, 16),
        "layers.3.bias": (5,),
    }
