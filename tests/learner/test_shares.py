"""Of an action that a person decided in part, only their part is imitated; of a whole one all of it, as ever."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from robot_rlhf.datatypes import Batch, Source
from robot_rlhf.learner import losses
from robot_rlhf.learner.cloning import CloningConfig, CloningLearner
from robot_rlhf.learner.given import Noise, as_given, from_given
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.learner.weighting import imitated_shares, imitation_mask
from robot_rlhf.policy.heads import TanhGaussian
from robot_rlhf.policy.networks import NetworkConfig, Shapes, split_action
from tests.draws import draws

GRIPPER = 1
SHAPES = Shapes(state=3, action=3, gripper=GRIPPER)
SMALL = NetworkConfig(hidden=(16, 16))
SOURCES = [Source.POLICY, Source.HUMAN, Source.DEMO, Source.PROVEN, Source.OTHER]
COUNTS = dict.fromkeys(Source, 10)
LEARNERS: list[Any] = [
    (SacLearner, SacConfig(imitators=2, actor_every=1), {}),
    (CloningLearner, CloningConfig(), {}),
    (CloningLearner, CloningConfig(weighting="sirius"), {"counts": lambda: COUNTS}),
]


def batch(seed: int, sources: list[Source] | None = None, authority: Tensor | None = None) -> Batch:
    g = torch.Generator().manual_seed(seed)
    source = torch.tensor([int(s) for s in sources or SOURCES * 6])
    b = len(source)
    return Batch(
        observation={"state": torch.randn(b, 3, generator=g)},
        action=torch.rand(b, 3, generator=g) * 2 - 1,
        reward=torch.zeros(b),
        discount=torch.full((b,), 0.9),
        next_observation={"state": torch.randn(b, 3, generator=g)},
        source=source,
        weight=torch.ones(b),
        index=torch.arange(b),
        authority=authority,
    )


def whole(source: Tensor) -> Tensor:
    """As replay has it where every action was decided as a whole."""
    return imitation_mask(source)[:, None].repeat(1, 3)


@pytest.mark.parametrize(("make", "config", "more"), LEARNERS)
def test_whole_actions_are_learned_from_bit_for_bit_as_without_shares(make: Any, config: Any, more: Any) -> None:
    checksums: set[str] = set()
    for told in (False, True):
        learner = make(SHAPES, SMALL, config, seed=3, **more)
        several = [batch(k) for k in range(4)]
        if told:
            several = [replace(each, authority=whole(each.source)) for each in several]
        learner.warm_start(several[:2])
        for each in several:
            learner.update(each)
        checksums.add(learner.snapshot().checksum + learner.averaged().checksum)
    assert len(checksums) == 1


@draws(60)
@given(st.lists(st.sampled_from(SOURCES), min_size=1, max_size=6), st.integers(0, 1000), st.booleans())
def test_the_loss_is_that_of_the_named_entries_alone(sources: list[Source], seed: int, discrete: bool) -> None:
    """Against a sum over rows and entries written out; no gradient where nobody has a share."""
    g = torch.Generator().manual_seed(seed)
    gripper = GRIPPER if discrete else None
    authority = torch.randint(0, 3, (len(sources), 3), generator=g) / 2.0
    given_batch = batch(seed, sources, authority)
    action, is_open = split_action(given_batch.action, gripper)
    mean = torch.randn(action.shape, generator=g).requires_grad_()
    logit = torch.randn(len(sources), generator=g).requires_grad_() if discrete else None
    mask = imitation_mask(given_batch.source)
    shares = imitated_shares(given_batch, gripper)
    assert shares is not None
    errors = TanhGaussian(mean, torch.zeros_like(mean)).imitation_error(action)
    loss = losses.cloning_loss(errors, logit, is_open, mask, shares)
    naive = torch.zeros(())
    for b, source in enumerate(sources):
        if source not in (Source.HUMAN, Source.DEMO):
            continue
        columns = [k for k in range(3) if k != gripper]
        for c, k in enumerate(columns):
            naive = naive + authority[b, k] * (torch.tanh(mean[b, c]) - given_batch.action[b, k]) ** 2
        if logit is not None and is_open is not None:
            chance = torch.sigmoid(logit[b])
            naive = naive - authority[b, GRIPPER] * torch.log(chance if is_open[b] else 1 - chance)
    torch.testing.assert_close(loss, naive / mask.sum().clamp(min=1.0))
    if loss.requires_grad:
        (found,) = torch.autograd.grad(loss, mean)
        nobody = (shares.continuous == 0.0) | (mask == 0.0)[:, None]
        assert not found[nobody].any()


def test_spread_is_fitted_to_the_named_entries_alone() -> None:
    each = batch(0, [Source.HUMAN] * 4, torch.tensor([[1.0, 1.0, 0.0]]).repeat(4, 1))
    action, _ = split_action(each.action, GRIPPER)
    log_std = torch.zeros(4, 2, requires_grad=True)
    shares = imitated_shares(each, GRIPPER)
    errors = TanhGaussian(torch.zeros(4, 2), log_std).spread_error(action)
    losses.spread_loss(errors, torch.ones(4), shares).backward()
    assert log_std.grad is not None
    assert log_std.grad[:, 0].any()
    assert not log_std.grad[:, 1].any()


def test_steps_of_the_policy_are_imitated_whole_where_a_weighting_wants_them() -> None:
    shares = imitated_shares(batch(0, [Source.POLICY, Source.HUMAN], torch.zeros(2, 3)), None)
    assert shares is not None
    assert shares.continuous.tolist() == [[1.0] * 3, [0.0] * 3]


def test_shares_reach_compiled_work() -> None:
    noise = Noise(torch.zeros(2, 2), None, None)
    for authority in (None, torch.rand(2, 3)):
        back, _ = from_given(as_given(batch(0, [Source.HUMAN] * 2, authority), noise))
        assert (back.authority is None) == (authority is None)
        if authority is not None and back.authority is not None:
            assert torch.equal(back.authority, authority)
