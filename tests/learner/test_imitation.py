"""What imitates beside the actor: what it learns from, what TD targets make of it, and when it acts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from robot_rlhf.conformance import ValueLearnerConformance, sample_observation
from robot_rlhf.datatypes import Assignment, Batch, Source, WeightSnapshot
from robot_rlhf.errors import CheckpointError, ConfigError, InvalidValueError
from robot_rlhf.learner import losses
from robot_rlhf.learner.cloning import CloningLearner, DaggerConfig
from robot_rlhf.learner.given import Noise
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.policy.features import FeatureConfig, Features
from robot_rlhf.policy.heads import PolicyOutput
from robot_rlhf.policy.imitators import TAUGHT, Imitators, value_of_mode, values_of_both
from robot_rlhf.policy.learned import ExplorationConfig, LearnedPolicy, shapes_of
from robot_rlhf.policy.networks import Shapes, split_action
from tests.learner.test_sac import SHAPES, SMALL, batch_of
from tests.policy.test_learned import SPEC

CONFIG = SacConfig(imitators=3, caution=1.0)
NO_GRIPPER = Shapes(3, 3, None)


def learner_of(config: SacConfig = CONFIG, shapes: Shapes = SHAPES, seed: int = 0) -> SacLearner:
    return SacLearner(shapes, SMALL, config, seed=seed)


class TestLearnerWithImitators(ValueLearnerConformance):
    def make_learner(self) -> SacLearner:
        return learner_of()

    def make_batch(self, seed: int) -> Batch:
        return batch_of(32, seed)


def proposal(learner: SacLearner, state: torch.Tensor) -> PolicyOutput:
    assert learner.imitation is not None
    with torch.no_grad():
        return learner.imitation.imitators(state)


@pytest.mark.parametrize("shapes", [SHAPES, NO_GRIPPER, Shapes(3, 3, 2, {"front": (32, 32)})])
def test_the_proposal_is_the_mean_of_what_the_members_would_do(shapes: Shapes) -> None:
    imitators = Imitators(shapes, SMALL, 4, 3, torch.Generator().manual_seed(1))
    features = torch.randn(7, 3)
    out = imitators(features)
    actions, logits = imitators.members(features)
    assert actions.shape == (4, 7, out.continuous.mode().shape[1])
    torch.testing.assert_close(out.continuous.mode(), actions.mean(dim=0))
    assert not torch.equal(actions[0], actions[1]), "members begin as different networks"
    if logits is None:
        assert shapes.gripper is None
        assert out.gripper_logit is None
    else:
        torch.testing.assert_close(out.gripper_logit, logits.mean(dim=0))


def test_members_learn_as_each_would_alone() -> None:
    """The loss of K networks is the sum of theirs."""
    g = torch.Generator().manual_seed(0)
    errors, logit = torch.rand(3, 8, 2, generator=g), torch.randn(3, 8, generator=g)
    is_open = torch.randint(0, 2, (8,), generator=g).float()
    mask = torch.randint(0, 2, (8,), generator=g).float()
    alone = [losses.cloning_loss(errors[k], logit[k], is_open, mask) for k in range(3)]
    torch.testing.assert_close(losses.cloning_loss(errors, logit, is_open, mask), torch.stack(alone).sum())


def test_they_imitate_people_and_own_successes_and_nothing_else() -> None:
    """Each source wants another action; what is learned is the mean of those that are imitated."""
    wanted = {Source.DEMO: 0.6, Source.HUMAN: 0.6, Source.PROVEN: 0.0, Source.POLICY: -0.9, Source.OTHER: -0.9}
    batch = batch_of(500, 0, NO_GRIPPER)
    sources = torch.tensor([int(s) for s in wanted]).repeat(100)
    values = torch.tensor([wanted[Source(int(s))] for s in sources])
    batch = replace(batch, source=sources, action=values[:, None].expand(500, 3).contiguous())
    batch = replace(batch, observation={"state": torch.zeros(500, 3)})
    for weight, mean in ((0.0, 0.6), (1.0, 0.4), (2.0, 0.3)):
        learner = learner_of(SacConfig(imitators=2, proven_weight=weight), NO_GRIPPER)
        for _ in range(150):
            learner.warm_start([batch])
        found = proposal(learner, torch.zeros(1, 3)).continuous.mode()
        torch.testing.assert_close(found, torch.full((1, 3), mean), atol=0.02, rtol=0.0)


def test_nobody_taught_is_nobody_to_follow() -> None:
    learner = learner_of()
    assert learner.imitation is not None
    for seed in range(4):
        learner.update(batch_of(32, seed, source=Source.PROVEN if seed % 2 else Source.POLICY))
    assert float(learner.imitation.imitators.taught) == 0.0
    assert torch.isinf(learner.imitation.value(learner.target, torch.randn(5, 3), None)).all()
    plain = learner_of(replace(CONFIG, imitators=0))
    for seed in range(4):
        plain.update(batch_of(32, seed, source=Source.PROVEN if seed % 2 else Source.POLICY))
    ours, theirs = learner.state(), plain.state()
    for name in theirs:
        torch.testing.assert_close(ours[name], theirs[name], msg=lambda m, n=name: f"{n}: {m}")
    learner.update(batch_of(32, 9, source=Source.HUMAN))
    learner.update(batch_of(32, 9, source=Source.HUMAN))
    assert float(learner.imitation.imitators.taught) == float(learner.imitation.average.taught) == 1.0
    assert not learner.imitation.imitators.know, "of one step nobody knows how to act"


def test_the_average_of_the_young_is_of_what_they_learned() -> None:
    learner = learner_of(SacConfig(imitators=2, actor_every=1), NO_GRIPPER)
    assert learner.imitation is not None
    batch = replace(batch_of(64, 0, NO_GRIPPER, Source.HUMAN), action=torch.full((64, 3), 0.6))
    for _ in range(TAUGHT):
        learner.update(batch)
    assert learner.imitation.imitators.know
    state = batch.observation["state"]
    newest, averaged = (
        who(state).continuous.mode().detach() for who in (learner.imitation.imitators, learner.imitation.average)
    )
    assert float((newest - 0.6).abs().mean()) < 0.1
    assert float((averaged - 0.6).abs().mean()) < 0.15


def test_td_targets_count_on_the_better_proposal(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = learner_of(SacConfig(imitators=3, target_subset=2, return_bounds=None))
    learner.warm_start([batch_of(32, 0)] * TAUGHT)
    seen: list[torch.Tensor] = []
    original = losses.td_target

    def spy(reward: torch.Tensor, discount: torch.Tensor, next_value: torch.Tensor, **bounds: float) -> torch.Tensor:
        seen.append(next_value)
        return original(reward, discount, next_value, **bounds)

    monkeypatch.setattr(losses, "td_target", spy)
    batch = batch_of(64, 5)
    noise = Noise(torch.randn(64, 2), None, None)
    state = batch.next_observation["state"]
    with torch.no_grad():
        out = learner.actor.head(state)
        action, _ = out.sample(noise.following)
        by_actor = losses.expected_over_gripper(learner.target(state, action).amin(dim=0), out.gripper_logit)
        imitated = proposal(learner, state)
        by_imitators = value_of_mode(learner.target, state, imitated).amin(dim=0)
    metrics = learner._learn(batch, noise)  # pyright: ignore[reportPrivateUsage]
    torch.testing.assert_close(seen[0], torch.maximum(by_actor, by_imitators))
    ahead = (by_actor > by_imitators).float().mean()
    assert 0.0 < float(ahead) < 1.0
    torch.testing.assert_close(metrics["actor_ahead_share"], ahead)


def test_caution_is_a_lower_bound() -> None:
    values = torch.tensor([[1.0, 0.0], [3.0, 0.0]], requires_grad=True)
    torch.testing.assert_close(losses.cautious_value(values, 0.0), torch.tensor([2.0, 0.0]))
    lower = losses.cautious_value(values, 2.0)
    torch.testing.assert_close(lower, torch.tensor([0.0, 0.0]), atol=1e-5, rtol=0.0)
    lower.sum().backward()
    assert values.grad is not None
    assert torch.isfinite(values.grad).all()
    torch.testing.assert_close(values.grad[:, 0], torch.tensor([1.5, -0.5]))


# -- acting ----------------------------------------------------------------------------------------------------------


def acting(snapshot: WeightSnapshot, exploration: ExplorationConfig | None = None) -> LearnedPolicy:
    policy = LearnedPolicy(SPEC, Features(SPEC, FeatureConfig()), SMALL, exploration=exploration)
    policy.load(snapshot)
    return policy


def taught(seed: int = 0, imitators: int = 3) -> SacLearner:
    shapes = shapes_of(SPEC, Features(SPEC, FeatureConfig()))
    learner = learner_of(SacConfig(imitators=imitators), shapes, seed)
    learner.warm_start([batch_of(64, seed, shapes, Source.HUMAN)] * 5)
    assert learner.imitation is not None
    learner.imitation.imitators.taught.fill_(TAUGHT)
    for step in range(6):
        learner.update(batch_of(64, step, shapes))
    return learner


@pytest.mark.parametrize("averaged", [False, True])
def test_it_acts_by_what_every_critic_finds_better(averaged: bool) -> None:
    learner = taught()
    assert learner.imitation is not None
    policy = acting(learner.averaged() if averaged else learner.snapshot())
    actor = learner.average if averaged else learner.actor
    imitators = learner.imitation.average if averaged else learner.imitation.imitators
    features = Features(SPEC, FeatureConfig())
    choices = []
    for seed in range(40):
        seen = sample_observation(SPEC, 0.0, np.random.default_rng(seed))
        state = torch.as_tensor(features.state(seen)).unsqueeze(0)
        with torch.no_grad():
            found, imitated = actor.head(state), imitators(state)
            values = [value_of_mode(learner.target, state, out)[:, 0] for out in (found, imitated)]
            better = bool((values[0] > values[1]).all())
            asked = values_of_both(learner.target, state, found, imitated)
            assert better == bool((asked[0] > asked[1]).all())
        choices.append(better)
        wanted = found if better else imitated
        assert wanted.gripper_logit is not None
        action = policy.act(seen, Assignment(), np.random.default_rng(0)).values
        rest, is_open = split_action(torch.tensor(action)[None], 4)
        torch.testing.assert_close(rest, wanted.continuous.mode(), atol=1e-5, rtol=0.0)
        assert is_open is not None
        assert bool(is_open) == bool(wanted.gripper_logit > 0)
    assert len(set(choices)) == 2, "neither always"


def test_weights_without_imitators_act_by_the_actor_alone_after_those_with_them() -> None:
    learner, plain = taught(), taught(imitators=1)
    seen = sample_observation(SPEC, 0.0, np.random.default_rng(0))
    policy = acting(learner.snapshot())
    alone = WeightSnapshot(9, {k: v for k, v in learner.snapshot().arrays.items() if k.startswith(("head", "encoder"))})
    policy.load(alone)
    np.testing.assert_array_equal(
        policy.act(seen, Assignment(), np.random.default_rng(0)).values,
        acting(alone).act(seen, Assignment(), np.random.default_rng(0)).values,
    )
    policy.load(plain.snapshot())  # of other numbers of imitators
    np.testing.assert_array_equal(
        policy.act(seen, Assignment(), np.random.default_rng(0)).values,
        acting(plain.snapshot()).act(seen, Assignment(), np.random.default_rng(0)).values,
    )


@pytest.mark.parametrize("missing", ["judge.layers.0.weight", "imitators.layers.0.bias", "imitators.taught"])
def test_incomplete_weights_are_refused_and_change_nothing(missing: str) -> None:
    learner = taught()
    policy = acting(learner.snapshot())
    seen = sample_observation(SPEC, 0.0, np.random.default_rng(0))
    before = policy.act(seen, Assignment(), np.random.default_rng(0)).values
    arrays = {name: value for name, value in taught(5).snapshot().arrays.items() if name != missing}
    with pytest.raises(CheckpointError, match=missing.replace(".", r"\.")):
        policy.load(WeightSnapshot(12, arrays))
    np.testing.assert_array_equal(policy.act(seen, Assignment(), np.random.default_rng(0)).values, before)


@pytest.mark.parametrize("part", ["head", "judge"])
def test_weights_that_are_no_numbers_are_told(part: str) -> None:
    learner = taught()
    assert learner.imitation is not None
    learner.imitation.lead(alone=False, deployed_alone=False)
    arrays = {n: np.full_like(v, np.nan) if n.startswith(part) else v for n, v in learner.snapshot().arrays.items()}
    with pytest.raises(InvalidValueError, match=r"version 12.*finite"):
        acting(WeightSnapshot(12, arrays)).act(
            sample_observation(SPEC, 0.0, np.random.default_rng(0)), Assignment(), np.random.default_rng(0)
        )


def test_practice_draws_less_of_the_spread_and_keeps_the_gripper() -> None:
    shapes = shapes_of(SPEC, Features(SPEC, FeatureConfig()))
    snapshot = learner_of(replace(CONFIG, imitators=0), shapes).snapshot()
    seen, rng = sample_observation(SPEC, 0.0, np.random.default_rng(0)), np.random.default_rng(0)
    wide, narrow, still = (
        np.stack([acting(snapshot, exploration).act(seen, Assignment(), rng).values for _ in range(500)])
        for exploration in (
            ExplorationConfig(gripper="likelier"),
            ExplorationConfig(noise=0.3, gripper="likelier"),
            ExplorationConfig(noise=0.0, gripper="likelier"),
        )
    )
    spread = [np.arctanh(np.clip(drawn[:, :4], -0.999999, 0.999999)).std(axis=0) for drawn in (wide, narrow)]
    np.testing.assert_allclose(spread[1] / spread[0], 0.3, rtol=0.15)
    assert (still == acting(snapshot).act(seen, Assignment(), rng).values).all()
    assert len({float(x) for x in wide[:, 4]}) == 1


def test_settings_outside_their_range_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"learner\.imitators"):
        SacConfig(imitators=-1)
    with pytest.raises(ConfigError, match=r"exploration\.noise"):
        ExplorationConfig(noise=1.5)


@pytest.mark.parametrize("averaged", [False, True])
def test_a_cloning_learner_of_many_acts_by_their_mean(averaged: bool) -> None:
    """Once they were taught enough; until then by the actor beside them. No critic is asked."""
    features = Features(SPEC, FeatureConfig())
    shapes = shapes_of(SPEC, features)
    learner = CloningLearner(shapes, SMALL, DaggerConfig(imitators=3), seed=0)
    policy = LearnedPolicy(SPEC, features, SMALL)
    rng = np.random.default_rng(0)
    seen = sample_observation(SPEC, 0.0, rng)
    state = {name: torch.from_numpy(np.array(value))[None] for name, value in features(seen).items()}
    batch = replace(batch_of(32, 0, shapes), source=torch.full((32,), int(Source.DEMO)))
    for updates in (TAUGHT - 1, 1):
        for _ in range(updates):
            learner.update(batch)
        weights = learner.averaged() if averaged else learner.snapshot()
        assert not any(name.startswith("judge.") for name in weights.arrays)
        policy.load(weights)
        policy.reset()
        actor = learner.actor(state)
        imitators = Imitators(shapes, SMALL, 3, learner.actor.encoder.size, torch.Generator())
        arrays = {
            name.removeprefix("imitators."): value for name, value in weights.arrays.items() if "imitators" in name
        }
        imitators.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
        knows = updates == 1
        wanted = imitators(learner.actor.encoder(state)) if knows else actor
        done = policy.act(seen, Assignment(), rng).values
        mode = wanted.continuous.mode()[0].detach().numpy()
        gripper = shapes.gripper
        assert gripper is not None
        np.testing.assert_allclose(np.delete(done, gripper), mode, atol=1e-6)
        if not averaged:
            np.testing.assert_allclose(learner.mode(state)[0].numpy(), done, atol=1e-6)
    damaged = dict(weights.arrays) | {"imitators.alone": np.zeros((), np.float32)}
    with pytest.raises(CheckpointError, match="judge"):
        policy.load(WeightSnapshot(200, damaged))


def test_many_that_clone_weigh_a_person_alike() -> None:
    with pytest.raises(ConfigError, match=r"learner\.imitators 5 with learner\.weighting sirius"):
        DaggerConfig(imitators=5, weighting="sirius")


def test_many_that_clone_look_at_no_pictures() -> None:
    with pytest.raises(ConfigError, match=r"learner\.imitators 2 with cameras \['front'\]"):
        CloningLearner(Shapes(3, 3, 2, {"front": (16, 16)}), SMALL, DaggerConfig(imitators=2), seed=0)


def test_nobody_who_acts_is_left_behind_where_it_goes_on_from_a_policy() -> None:
    one, many = (CloningLearner(SHAPES, SMALL, DaggerConfig(imitators=count), seed=0) for count in (0, 3))
    with pytest.raises(CheckpointError, match="no imitators"):
        many.begin_with(one.snapshot())
    with pytest.raises(CheckpointError, match="imitators alone"):
        one.begin_with(many.snapshot())
    before = one.snapshot().checksum
    one.begin_with(learner_of(seed=7).snapshot())  # of a learner whose actor acts too
    assert one.snapshot().checksum != before
    other = CloningLearner(SHAPES, SMALL, DaggerConfig(imitators=3), seed=5)
    other.begin_with(many.averaged())
    for name, value in many.averaged().arrays.items():
        np.testing.assert_array_equal(other.snapshot().arrays[name], value)
