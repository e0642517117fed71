"""The off-policy learner: conformance, determinism, and that it solves a small problem exactly known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from robot_rlhf.conformance import LearnerConformance, ValueLearnerConformance
from robot_rlhf.datatypes import Batch, Source
from robot_rlhf.errors import CheckpointError, ConfigError
from robot_rlhf.learner import sac
from robot_rlhf.learner.cloning import CloningConfig, CloningLearner
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.learner.state import AdamState
from robot_rlhf.policy.networks import NetworkConfig, Shapes
from robot_rlhf.policy.vectors import Difference
from robot_rlhf.replay.augment import augmented

SHAPES = Shapes(state=3, action=3, gripper=2)
SMALL = NetworkConfig(hidden=(32, 32))


def batch_of(size: int, seed: int, shapes: Shapes = SHAPES, source: Source | None = None) -> Batch:
    """Random transitions of the given shapes."""
    g = torch.Generator().manual_seed(seed)

    def observation() -> dict[str, torch.Tensor]:
        pictures = {
            name: torch.randint(0, 256, (size, *hw, 3), generator=g, dtype=torch.uint8)
            for name, hw in shapes.cameras.items()
        }
        return {"state": torch.randn(size, shapes.state, generator=g), **pictures}

    sources = torch.randint(0, 4, (size,), generator=g) if source is None else torch.full((size,), int(source))
    return Batch(
        observation=observation(),
        action=torch.rand(size, shapes.action, generator=g) * 2 - 1,
        reward=(torch.rand(size, generator=g) > 0.8).float(),
        discount=torch.full((size,), 0.97),
        next_observation=observation(),
        source=sources,
        weight=torch.ones(size),
        index=torch.arange(size),
    )


class TestSacLearner(ValueLearnerConformance):
    def make_learner(self) -> SacLearner:
        return SacLearner(SHAPES, SMALL, SacConfig(), seed=0)

    def make_batch(self, seed: int) -> Batch:
        return batch_of(32, seed)


class TestCloningLearner(LearnerConformance):
    def make_learner(self) -> CloningLearner:
        return CloningLearner(SHAPES, SMALL, CloningConfig(), seed=0)

    def make_batch(self, seed: int) -> Batch:
        return batch_of(32, seed)


VARIANTS = {
    "discrete gripper": (SHAPES, SMALL, SacConfig()),
    "continuous gripper": (SHAPES, NetworkConfig(hidden=(32, 32), gripper="continuous"), SacConfig()),
    "no gripper": (Shapes(3, 3, None), SMALL, SacConfig()),
    "subset of ten": (SHAPES, NetworkConfig(hidden=(16,), critics=10), SacConfig(target_subset=2)),
    "backup entropy": (SHAPES, SMALL, SacConfig(backup_entropy=True)),
    "pictures": (Shapes(3, 3, 2, {"front": (32, 32), "wrist": (32, 32)}), SMALL, SacConfig()),
    "normalised": (Shapes(3, 3, 2, relative=(Difference(0, 1, 2),), normalised=True), SMALL, SacConfig()),
    "imitators": (SHAPES, SMALL, SacConfig(imitators=3, caution=1.0)),
    "imitators of pictures": (Shapes(3, 3, 2, {"front": (32, 32)}), SMALL, SacConfig(imitators=2)),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_same_seed_gives_equal_parameters_and_every_part_moves(variant: str) -> None:
    shapes, network, config = VARIANTS[variant]
    learners = [SacLearner(shapes, network, config, seed=3) for _ in range(2)]
    before = learners[0].state()
    for step in range(4):
        for learner in learners:
            learner.update(batch_of(16, step, shapes))
    first, second = (learner.state() for learner in learners)
    for name in first:
        assert torch.equal(first[name], second[name]), name
    still = [
        n
        for n in before
        if n.startswith(("actor.", "critic.", "target.", "average.", "imitators")) and torch.equal(before[n], first[n])
    ]
    assert still == [n for n in still if n.endswith(".alone")], "only who leads is decided elsewhere"


def test_another_seed_gives_other_parameters() -> None:
    a, b = (SacLearner(SHAPES, SMALL, SacConfig(), seed=s).snapshot() for s in (0, 1))
    assert a.checksum != b.checksum


def test_state_of_another_architecture_is_refused_by_name() -> None:
    small, large = (SacLearner(SHAPES, NetworkConfig(hidden=(h, h)), SacConfig(), seed=0) for h in (16, 32))
    with pytest.raises(CheckpointError, match=r"actor\.head.*\(16.*\(32|actor\.head"):
        large.load_state(small.state())


def test_settings_that_cannot_hold_are_refused() -> None:
    with pytest.raises(ConfigError, match="target_subset"):
        SacLearner(SHAPES, SMALL, SacConfig(target_subset=3), seed=0)
    with pytest.raises(ConfigError, match="target_rate"):
        SacConfig(target_rate=0.0)


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 1e-3},
        {"learning_rate_end": 1e-5},
        {"target_rate": 0.1},
        {"temperature": 0.5},
        {"temperature_fixed": True},
        {"temperature_steady": True},
        {"target_entropy": -5.0},
        {"backup_entropy": True},
        {"target_subset": 1},
        {"actor_every": 1},
        {"return_bounds": (0.0, 0.1)},
        {"cloning_weight": 5.0},
        {"cloning_weight_end": 0.4},
        {"cloning_updates": 5},
        {"average_rate": 0.5},
        {"caution": 1.0},
        {"imitators": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_setting_changes_what_is_learned(change: dict[str, object]) -> None:
    def learned(config: SacConfig) -> str:
        learner = SacLearner(SHAPES, SMALL, config, seed=0)
        for step in range(6):
            learner.update(batch_of(32, step))
        state = learner.state()
        return "".join(str(float(state[n].double().sum())) for n in sorted(state) if state[n].is_floating_point())

    assert learned(SacConfig()) != learned(dataclasses.replace(SacConfig(), **change))  # type: ignore[arg-type]  # names above


def test_critic_finds_the_value_of_a_two_step_problem() -> None:
    """s0 -> s1 (reward 0), s1 -> end (reward 1): Q(s1) = 1, Q(s0) = gamma, whatever the action."""
    shapes = Shapes(state=2, action=2, gripper=1)
    learner = SacLearner(shapes, SMALL, SacConfig(target_rate=0.05, learning_rate=3e-3, cloning_weight=0.0), seed=0)
    g = torch.Generator().manual_seed(0)
    eye = torch.eye(2)
    for _ in range(600):
        first = (torch.rand(64, generator=g) > 0.5).long()  # which state each row is in
        batch = Batch(
            observation={"state": eye[first]},
            action=torch.rand(64, 2, generator=g) * 2 - 1,
            reward=first.float(),
            discount=0.9 * (1.0 - first.float()),
            next_observation={"state": eye[torch.ones_like(first)]},
            source=torch.zeros(64, dtype=torch.long),
            weight=torch.ones(64),
            index=torch.arange(64),
        )
        learner.update(batch)
    q = learner.q_values({"state": eye}, torch.zeros(2, 2))
    np.testing.assert_allclose(q.numpy(), [0.9, 1.0], atol=0.05)


def test_actor_climbs_to_the_rewarded_action_and_gripper() -> None:
    """A one-step problem whose reward is highest at x = 0.5 with the gripper closed."""
    shapes = Shapes(state=1, action=2, gripper=1)
    learner = SacLearner(shapes, SMALL, SacConfig(learning_rate=3e-3, cloning_weight=0.0, average_rate=1.0), seed=0)
    g = torch.Generator().manual_seed(0)
    for _ in range(500):
        action = torch.rand(64, 2, generator=g) * 2 - 1
        reward = 1.0 - (action[:, 0] - 0.5).abs() - 0.3 * (action[:, 1] >= 0).float()
        state = {"state": torch.ones(64, 1)}
        learner.update(
            Batch(
                state, action, reward, torch.zeros(64), state, torch.zeros(64).long(), torch.ones(64), torch.arange(64)
            )
        )
    out = learner.actor({"state": torch.ones(1, 1)})
    assert abs(float(out.continuous.mode().detach()) - 0.5) < 0.15
    assert out.gripper_logit is not None
    assert float(out.gripper_logit) < 0.0


def test_warm_start_imitates_only_people() -> None:
    learner = SacLearner(SHAPES, SMALL, SacConfig(), seed=0)
    human, policy = batch_of(64, 1, source=Source.DEMO), batch_of(64, 2, source=Source.POLICY)
    both = Batch(
        observation={"state": torch.cat([human.observation["state"], policy.observation["state"]])},
        action=torch.cat([human.action, policy.action]),
        reward=torch.cat([human.reward, policy.reward]),
        discount=torch.cat([human.discount, policy.discount]),
        next_observation={"state": torch.cat([human.next_observation["state"], policy.next_observation["state"]])},
        source=torch.cat([human.source, policy.source]),
        weight=torch.ones(128),
        index=torch.arange(128),
    )
    learner.warm_start([both] * 400)
    wish = learner.actor(human.observation).continuous.mode()
    error_human = (wish - human.action[:, :2]).square().mean()
    error_policy = (learner.actor(policy.observation).continuous.mode() - policy.action[:, :2]).square().mean()
    assert float(error_human) < 0.1 < float(error_policy)


def test_the_learning_rate_goes_down_and_stays() -> None:
    """A step with a tenth of the rate is a tenth as long: Adam's first step has the length of its rate."""
    moved: list[float] = []
    for updates in (0, 50, 99, 500):
        weight = torch.nn.Parameter(torch.zeros(4))
        adam = AdamState([weight], 1e-2)
        learner = SacLearner(
            Shapes(3, 2, None),
            NetworkConfig(hidden=(8,)),
            SacConfig(learning_rate=1e-2, learning_rate_end=1e-3, learning_rate_updates=100),
            seed=0,
        )
        learner.updates = updates
        adam.set_learning_rate(learner.learning_rate)
        adam.step((weight * torch.tensor([1.0, -2.0, 3.0, -4.0])).sum())
        moved.append(float(weight.detach().abs().mean()))
    assert moved == pytest.approx([1e-2, 5.5e-3, 1.09e-3, 1e-3], rel=1e-4)


def test_begin_hands_the_learning_rate_on() -> None:
    config = SacConfig(learning_rate=1e-2, learning_rate_end=1e-9, learning_rate_updates=1)
    learner = SacLearner(Shapes(3, 2, None), NetworkConfig(hidden=(8,)), config, seed=0)
    learner.begin()
    before = [p.detach().clone() for p in learner.critic.parameters()]
    for optimiser in learner._optimisers.values():  # pyright: ignore[reportPrivateUsage]
        optimiser.step(torch.stack([p.square().sum() for p in optimiser.parameters]).sum())
    for p, old in zip(learner.critic.parameters(), before, strict=True):
        torch.testing.assert_close(p.detach(), old, atol=1e-6, rtol=0.0)


def test_a_fixed_temperature_stays_and_may_be_nought() -> None:
    for temperature in (0.0, 0.3):
        learner = SacLearner(SHAPES, SMALL, SacConfig(temperature=temperature, temperature_fixed=True), seed=0)
        metrics = [learner.update(batch_of(32, step)) for step in range(4)][-1]
        assert float(metrics["temperature"]) == pytest.approx(temperature)
        assert float(learner.log_temperature.detach().exp()) == pytest.approx(temperature)
        assert all(bool(torch.isfinite(value)) for value in metrics.values())
    with pytest.raises(ConfigError, match=r"learner\.temperature"):
        SacConfig(temperature=0.0)


def test_rates_that_are_set_between_updates_hold_from_the_next_one_on() -> None:
    learner = SacLearner(SHAPES, SMALL, SacConfig(), seed=0)
    learner.update(batch_of(32, 0))

    def weights() -> dict[str, torch.Tensor]:
        return {name: value for name, value in learner.state().items() if not name.startswith(("adam.", "average."))}

    def moved(before: dict[str, torch.Tensor]) -> set[str]:
        return {name.partition(".")[0] for name, value in weights().items() if not torch.equal(value, before[name])}

    before, learner.target_rate = weights(), 0.0
    learner.update(batch_of(32, 1))
    assert moved(before) == {"actor", "critic", "log_temperature", "updates", "generator"}
    before, learner.target_rate = weights(), 0.1
    learner.set_learning_rate(0.0)
    learner.update(batch_of(32, 2))
    learner.update(batch_of(32, 3))
    assert learner.learning_rate == 0.0
    assert moved(before) == {"target", "updates", "generator"}


def test_critics_may_be_wider_than_the_actor() -> None:
    learner = SacLearner(SHAPES, NetworkConfig(hidden=(8,), critic_hidden=(16, 12)), SacConfig(), seed=0)
    learner.update(batch_of(32, 0))
    widths = [value.shape[-1] for name, value in learner.critic.named_parameters() if name.endswith("weight")]
    assert widths == [16, 12, 2]
    assert learner.actor.head.layers[0].out_features == 8
    with pytest.raises(ConfigError, match=r"network\.critic_hidden"):
        NetworkConfig(critic_hidden=(0,))


@pytest.mark.parametrize("wrong", [{"learning_rate": 0.0}, {"learning_rate_end": -1.0}, {"turned_colours": 1.5}])
def test_sac_settings_outside_their_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        SacConfig(**wrong)  # type: ignore[arg-type]


def test_colours_are_turned_where_q_is_learned_and_not_where_targets_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = Shapes(3, 3, 2, {"front": (16, 16)})
    learner = SacLearner(shapes, SMALL, SacConfig(turned_colours=1.0, shift_pixels=0), seed=0)
    asked: list[tuple[float, float]] = []

    def noted(observation: dict[str, torch.Tensor], generator: torch.Generator, *, shift_pixels: int, turned: float):
        asked.append((turned, float(observation["state"].sum())))
        return augmented(observation, generator, shift_pixels=shift_pixels, turned=turned)

    monkeypatch.setattr(sac, "augmented", noted)
    batch = batch_of(8, 0, shapes)
    learner.update(batch)
    now, later = float(batch.observation["state"].sum()), float(batch.next_observation["state"].sum())
    assert asked == [(1.0, now), (0.0, later)]


def test_the_average_is_of_what_was_learned_after_a_short_session() -> None:
    """A plain average of 100 actor updates at 0.001 is nine tenths what they began with."""
    learner = SacLearner(SHAPES, SMALL, SacConfig(actor_every=1, learning_rate=1e-3), seed=0)
    learner.warm_start([batch_of(32, 0, source=Source.DEMO)])
    average, expected = learner.averaged().arrays, learner.snapshot().arrays
    assert all(np.array_equal(average[name], expected[name]) for name in expected)
    for n in range(1, 101):
        learner.update(batch_of(32, n))
        newest, keep = learner.snapshot().arrays, 0.999 * n / (n + 3)
        expected = {name: keep * expected[name] + (1.0 - keep) * newest[name] for name in newest}
    average = learner.averaged().arrays
    for name in expected:
        np.testing.assert_allclose(average[name], expected[name], atol=1e-5)
