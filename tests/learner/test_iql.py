"""IQL: its losses by hand, conformance, and that it joins halves of episodes which cloning averages."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.conformance import ValueLearnerConformance
from robot_rlhf.datatypes import Batch, Source
from robot_rlhf.errors import CheckpointError, ConfigError
from robot_rlhf.learner import iql
from robot_rlhf.learner.cloning import CloningConfig, CloningLearner
from robot_rlhf.learner.iql import IqlConfig, IqlLearner
from robot_rlhf.policy.networks import NetworkConfig, Shapes
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.mixing import EVERYTHING
from tests.learner.test_sac import SHAPES, SMALL, batch_of

# -- losses ------------------------------------------------------------------------------------------------------------


def test_expectile_loss_by_hand() -> None:
    loss = iql.expectile_loss(torch.tensor([2.0, -1.0, 0.0]), 0.9, torch.tensor([1.0, 3.0, 1.0]))
    assert float(loss) == pytest.approx((0.9 * 4.0 + 3 * 0.1 * 1.0) / 3)


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=9), st.floats(0.05, 0.95))
def test_what_minimises_it_balances_both_sides(values: list[int], tau: float) -> None:
    x = torch.tensor(values, dtype=torch.float64)
    low, high = float(x.min()), float(x.max())
    for _ in range(60):  # bisection: the loss is convex in v
        v = torch.tensor((low + high) / 2, dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(iql.expectile_loss(x - v, tau, torch.ones_like(x)), v)
        low, high = (low, v.item()) if gradient > 0 else (v.item(), high)
    above, below = (sum(max(0.0, side * (u - low)) for u in values) for side in (1, -1))
    assert tau * above == pytest.approx((1.0 - tau) * below, abs=1e-6)  # the definition of the tau-expectile


def test_advantage_weights_by_hand() -> None:
    weight = iql.advantage_weight(torch.tensor([0.0, 0.5, -0.5, 9.0]), 2.0, 100.0)
    torch.testing.assert_close(weight, torch.tensor([1.0, math.e, 1 / math.e, 100.0]))
    assert bool((iql.advantage_weight(torch.tensor([-3.0, 1e9]), 0.0, 100.0) == 1.0).all())


def test_weighted_cloning_loss_by_hand() -> None:
    weight = torch.tensor([2.0, 0.5], requires_grad=True)
    log_prob = torch.tensor([-1.0, -4.0], requires_grad=True)
    loss = iql.weighted_cloning_loss(log_prob, weight)
    assert float(loss.detach()) == pytest.approx(2.0)
    loss.backward()
    assert weight.grad is None
    torch.testing.assert_close(log_prob.grad, torch.tensor([-1.0, -0.25]))


# -- learner -----------------------------------------------------------------------------------------------------------


class TestIqlLearner(ValueLearnerConformance):
    def make_learner(self) -> IqlLearner:
        return IqlLearner(SHAPES, SMALL, IqlConfig(), seed=0)

    def make_batch(self, seed: int) -> Batch:
        return batch_of(32, seed)


VARIANTS = {
    "continuous gripper": (SHAPES, NetworkConfig(hidden=(32, 32), gripper="continuous")),
    "no gripper": (Shapes(3, 3, None), SMALL),
    "pictures": (Shapes(3, 3, 2, {"front": (32, 32)}), SMALL),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_part_moves_and_the_same_seed_gives_the_same(variant: str) -> None:
    shapes, network = VARIANTS[variant]
    learners = [IqlLearner(shapes, network, IqlConfig(), seed=3) for _ in range(2)]
    before = learners[0].state()
    for step in range(3):
        for learner in learners:
            learner.update(batch_of(16, step, shapes))
    first, second = (learner.state() for learner in learners)
    for name in first:
        assert torch.equal(first[name], second[name]), name
    assert [name for name in before if "." in name and torch.equal(before[name], first[name])] == []


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 1e-3},
        {"target_rate": 0.1},
        {"expectile": 0.95},
        {"inverse_temperature": 3.0},
        {"largest_weight": 1.0},
        {"average_rate": 0.5},
        {"shift_pixels": 0},
    ],
)
def test_every_setting_matters(change: dict[str, float]) -> None:
    shapes = Shapes(3, 3, 2, {"front": (32, 32)})
    states: list[dict[str, torch.Tensor]] = []
    for config in (IqlConfig(), IqlConfig(**change)):  # pyright: ignore[reportArgumentType]  names are fields
        learner = IqlLearner(shapes, SMALL, config, seed=0)
        for step in range(3):
            learner.update(batch_of(16, step, shapes))
        states.append(dict(learner.state()))
    assert any(not torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_warming_up_counts_no_update_and_spares_the_actor() -> None:
    learner = IqlLearner(SHAPES, SMALL, IqlConfig(), seed=0)
    assert math.isfinite(learner.warm_start([batch_of(16, s) for s in range(3)]))
    assert learner.updates == 0
    assert learner.averaged().checksum == learner.snapshot().checksum
    actor, value = learner.snapshot().checksum, learner.state_values(batch_of(4, 9).observation)
    learner.warm_critic([batch_of(16, 5)])
    assert learner.snapshot().checksum == actor
    assert not torch.equal(learner.state_values(batch_of(4, 9).observation), value)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"expectile: got 1\.0"):
        IqlConfig(expectile=1.0)
    with pytest.raises(ConfigError, match="inverse_temperature"):
        IqlConfig(inverse_temperature=-1.0)
    with pytest.raises(ConfigError, match="target_rate"):
        IqlConfig(target_rate=0.0)
    small, large = (IqlLearner(SHAPES, NetworkConfig(hidden=(h, h)), IqlConfig(), seed=0) for h in (16, 32))
    with pytest.raises(CheckpointError, match="actor"):
        large.load_state(small.state())


# -- joining halves ----------------------------------------------------------------------------------------------------

GOAL, STRIDE = 1.0, 0.1
LINE = Shapes(state=1, action=1, gripper=None)


def halves(rng: np.random.Generator, episodes: int) -> ReplayBuffer:
    """A point on a line with its goal at 1; every episode goes the right way in one half, and the wrong in the other.

    Those from 0 turn round at the middle, so none of them arrives; those that begin at the middle go back first, then
    to the goal. Of all steps on either side as many go left as right.
    """
    buffer = ReplayBuffer(20_000, state_size=1, action_size=1, discount=0.95, seed=0)
    for episode in range(episodes):
        x = 0.0 if episode % 2 == 0 else 0.5
        way = [1.0] * 5 + [-1.0] * 5 if episode % 2 == 0 else [-1.0] * 5 + [1.0] * 12
        buffer.begin({"state": np.array([x], np.float32)}, demonstration=True)
        for t, sign in enumerate(way):
            action = np.array([sign * rng.uniform(0.7, 0.95)], np.float32)
            x = float(np.clip(x + STRIDE * action[0], -0.5, GOAL))
            done = x >= GOAL
            following = {"state": np.array([x], np.float32)}
            buffer.add(action, float(done), done, t == len(way) - 1 and not done, Source.DEMO, following)
            if done:
                break
        buffer.end()
    return buffer


def arrives(learner: IqlLearner | CloningLearner, start: float) -> bool:
    x = start
    for _ in range(20):
        with torch.no_grad():
            x += STRIDE * float(learner.actor({"state": torch.tensor([[x]])}).continuous.mode())
        if x >= GOAL:
            return True
    return False


def test_it_joins_halves_that_cloning_averages() -> None:
    buffer = halves(np.random.default_rng(0), 60)
    network = NetworkConfig(hidden=(32, 32))
    iql_learner = IqlLearner(LINE, network, IqlConfig(learning_rate=1e-3, target_rate=0.02), seed=0)
    cloner = CloningLearner(LINE, network, CloningConfig(), seed=0)
    for learner in (iql_learner, cloner):
        for batch in buffer.sample_many(1000, 64, {EVERYTHING: 1.0}):
            learner.update(batch)
    starts = [0.0, 0.1, 0.3, 0.5]
    assert [arrives(iql_learner, x) for x in starts] == [True] * len(starts)
    assert not any(arrives(cloner, x) for x in starts)
    values = iql_learner.state_values({"state": torch.tensor([[0.0], [0.5], [0.9]])})
    assert float(values[0]) < float(values[1]) < float(values[2])
