"""Taking advice: the gradient, who learns from it, and that nobody else does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from robot_rlhf.conformance import AdvisedLearnerConformance
from robot_rlhf.datatypes import Batch
from robot_rlhf.learner.advising import advice_loss
from robot_rlhf.learner.cloning import CloningConfig, CloningLearner, DaggerConfig
from robot_rlhf.learner.graphs import UpdateGraphs
from robot_rlhf.learner.iql import IqlConfig, IqlLearner
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.policy.imitators import TAUGHT
from robot_rlhf.policy.networks import NetworkConfig, Shapes
from robot_rlhf.ports import AdvisedLearner
from tests.learner.test_compiled import ALWAYS, assert_near, compiled, really_compiled
from tests.learner.test_graphs import MIX, Eager, fill, make
from tests.learner.test_sac import SHAPES, SMALL, batch_of

CONTINUOUS = NetworkConfig(hidden=(32, 32), gripper="continuous")
PICTURES = Shapes(3, 3, 2, {"front": (16, 16)})
Make = Callable[[], AdvisedLearner]
LEARNERS: dict[str, tuple[Shapes, Make]] = {
    "sac": (SHAPES, lambda: SacLearner(SHAPES, SMALL, SacConfig(), seed=0)),
    "continuous gripper": (SHAPES, lambda: SacLearner(SHAPES, CONTINUOUS, SacConfig(), seed=0)),
    "imitators": (SHAPES, lambda: SacLearner(SHAPES, SMALL, SacConfig(imitators=3), seed=0)),
    "pictures": (PICTURES, lambda: SacLearner(PICTURES, SMALL, SacConfig(imitators=2, shift_pixels=0), seed=0)),
    "cloning": (SHAPES, lambda: CloningLearner(SHAPES, SMALL, CloningConfig(), seed=0)),
    "dagger": (SHAPES, lambda: CloningLearner(SHAPES, SMALL, DaggerConfig(), seed=0)),
    "five": (SHAPES, lambda: CloningLearner(SHAPES, SMALL, DaggerConfig(imitators=5), seed=0)),
    "iql": (SHAPES, lambda: IqlLearner(SHAPES, SMALL, IqlConfig(), seed=0)),
}


class TestSacTakesAdvice(AdvisedLearnerConformance):
    def make_learner(self) -> SacLearner:
        return SacLearner(SHAPES, SMALL, SacConfig(), seed=0)

    def make_batch(self, seed: int) -> Batch:
        return batch_of(32, seed)


class TestCloningTakesAdvice(AdvisedLearnerConformance):
    def make_learner(self) -> CloningLearner:
        return CloningLearner(SHAPES, SMALL, CloningConfig(), seed=0)

    def make_batch(self, seed: int) -> Batch:
        return batch_of(32, seed)


class TestCloningOfManyTakesAdvice(AdvisedLearnerConformance):
    def make_learner(self) -> CloningLearner:
        return CloningLearner(SHAPES, SMALL, CloningConfig(imitators=3), seed=0)

    def make_batch(self, seed: int) -> Batch:
        return batch_of(32, seed)


class TestIqlTakesAdvice(AdvisedLearnerConformance):
    def make_learner(self) -> IqlLearner:
        return IqlLearner(SHAPES, SMALL, IqlConfig(), seed=0)

    def make_batch(self, seed: int) -> Batch:
        return batch_of(32, seed)


def told(
    shapes: Shapes = SHAPES, size: int = 16, weight: float = 1.0
) -> tuple[Mapping[str, Tensor], Tensor, Tensor, Tensor]:
    """Advice: the first entry 0.7, and the gripper open; of the second nothing is said."""
    target = torch.tensor([0.7, -0.9, 1.0]).repeat(size, 1)
    mask = torch.tensor([1.0, 0.0, 1.0]).repeat(size, 1)
    return batch_of(size, 5, shapes).observation, target, mask, torch.full((size,), weight)


@pytest.mark.parametrize("members", [None, 3])
@pytest.mark.parametrize("gripper", [None, 1])
def test_gradient_is_that_of_finite_differences(gripper: int | None, members: int | None) -> None:
    g = torch.Generator().manual_seed(0)
    size, entries = 4, 3
    shape = (size, entries - (gripper is not None))
    mean = torch.randn(shape if members is None else (members, *shape), generator=g, dtype=torch.float64)
    logit = torch.randn(mean.shape[:-1], generator=g, dtype=torch.float64)
    target = torch.rand(size, entries, generator=g, dtype=torch.float64) * 2 - 1
    mask = (torch.rand(size, entries, generator=g) > 0.4).double()
    weight = torch.rand(size, generator=g, dtype=torch.float64)
    rest = target if gripper is None else torch.cat([target[:, :1], target[:, 2:]], dim=1)

    def loss(mean: Tensor, logit: Tensor) -> Tensor:
        errors = (torch.tanh(mean) - rest).square()
        return advice_loss(errors, None if gripper is None else logit, target, mask, weight, gripper)

    assert torch.autograd.gradcheck(loss, (mean.requires_grad_(), logit.requires_grad_(gripper is not None)))


def test_loss_by_hand() -> None:
    errors = torch.tensor([[0.25, 9.0], [1.0, 4.0]])
    target = torch.tensor([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])
    mask = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    weight = torch.tensor([1.0, 3.0])
    logit = torch.tensor([5.0, 0.0])
    wanted = (1.0 * 0.25 + 3.0 * (4.0 + torch.log(torch.tensor(2.0)))) / 4.0
    assert advice_loss(errors, logit, target, mask, weight, 1) == pytest.approx(float(wanted))


@pytest.mark.parametrize("name", LEARNERS)
def test_the_policy_does_what_was_advised_where_it_was_meant(name: str) -> None:
    shapes, make_learner = LEARNERS[name]
    learner = make_learner()
    assert isinstance(learner, AdvisedLearner)
    if isinstance(learner, SacLearner) and learner.imitation is not None:
        learner.imitation.imitators.taught.fill_(TAUGHT)
        learner.imitation.lead(alone=True, deployed_alone=True)
    advice = told(shapes)
    first = float(learner.advise(*advice)["advice_loss"])
    for _ in range(400):
        learner.advise(*advice)
    assert float(learner.advise(*advice)["advice_loss"]) < 0.2 * first
    does = learner.mode(advice[0])
    assert float((does[:, 0] - 0.7).abs().max()) < 0.15
    assert float((does[:, 2] - 1.0).abs().max()) < 0.3
    assert float((does[:, 1] + 0.9).abs().min()) > 0.3  # nothing was said of it


@pytest.mark.parametrize("name", LEARNERS)
def test_only_what_acts_learns_from_it_and_nothing_is_drawn(name: str) -> None:
    shapes, make_learner = LEARNERS[name]
    learner = make_learner()
    learner.update(batch_of(16, 0, shapes))
    before = learner.state()
    learner.advise(*told(shapes))
    after = learner.state()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    parts = ("actor.head.", "imitators.")
    assert changed
    assert all(key.startswith(parts) for key in changed), changed
    assert any(key.startswith("imitators.") for key in changed) == any(key.startswith("imitators.") for key in before)
    added = set(after) - set(before)
    assert added
    assert all(key.startswith("advice.") for key in added)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_step_is_as_long_as_its_weight_says(name: str) -> None:
    shapes, make_learner = LEARNERS[name]

    def moved(weight: float) -> float:
        learner = make_learner()
        before = learner.state()
        learner.advise(*told(shapes, weight=weight))
        after = learner.state()
        return sum(float((after[key] - before[key]).abs().sum()) for key in before if key.startswith("actor.head."))

    assert moved(0.0) == 0.0
    assert moved(0.3) == pytest.approx(0.3 * moved(1.0), rel=1e-2)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_checkpoint_keeps_it_and_one_without_is_taken_up(name: str) -> None:
    shapes, make_learner = LEARNERS[name]
    learner, resumed, old = make_learner(), make_learner(), make_learner()
    learner.update(batch_of(16, 0, shapes))
    plain = learner.state()
    for _ in range(3):
        learner.advise(*told(shapes))
    kept = learner.state()
    resumed.load_state(kept)
    for each in (learner, resumed):
        each.update(batch_of(16, 1, shapes))
        each.advise(*told(shapes))
    assert same(learner.state(), resumed.state())
    learner.load_state(plain)  # one of a run that was never advised, as all old ones are
    old.load_state(plain)
    assert set(learner.state()) == set(plain)
    for each in (learner, old):
        each.update(batch_of(16, 2, shapes))
    assert same(learner.state(), old.state())


def same(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.slow
def test_compiled_updates_go_on_from_advised_weights() -> None:
    ours = SacLearner(SHAPES, SMALL, compiled(ALWAYS), seed=0)
    theirs = SacLearner(SHAPES, SMALL, ALWAYS, seed=0)
    for seed in range(4):
        for learner in (ours, theirs):
            learner.update(batch_of(32, seed))
            learner.advise(*told())
    assert really_compiled(ours)
    assert_near(ours, theirs, atol=1e-4)


def test_recorded_updates_go_on_from_advised_weights() -> None:
    (ours, left), (theirs, right) = make(), make()
    for buffer in (left, right):
        fill(buffer, demonstration=True)
        fill(buffer, demonstration=False)
    graphs = UpdateGraphs(ours, left, 32, MIX, capture=Eager)
    sampler = right.static_sampler(32, MIX)
    shapes = replace(PICTURES, cameras={"front": (16, 16)})
    for number in range(6):
        if number != 2:
            for learner in (ours, theirs):
                learner.advise(*told(shapes))
        graphs.update()
        sampler.sync()
        theirs.update(sampler.draw())
    assert same(ours.state(), theirs.state())


@pytest.mark.parametrize("alone", [True, False])
def test_what_it_would_do_is_what_the_deployed_policy_does(alone: bool) -> None:
    """As policy/learned.py chooses between actor and imitators."""
    learner = SacLearner(SHAPES, SMALL, SacConfig(imitators=2), seed=0)
    assert learner.imitation is not None
    for seed in range(40):
        learner.update(batch_of(32, seed))
    seen = batch_of(64, 99).observation
    young = learner.mode(seen)
    actor = learner.actor(seen)
    assert torch.equal(young[:, :2], actor.continuous.mode())  # the imitators know nothing yet
    learner.imitation.imitators.taught.fill_(TAUGHT)
    learner.imitation.lead(alone=alone, deployed_alone=alone)
    features = learner.actor.encoder(seen)
    imitated = learner.imitation.imitators(features).continuous.mode()
    does = learner.mode(seen)[:, :2]
    by_imitators = (does == imitated).all(dim=1)
    by_actor = (does == actor.continuous.mode()).all(dim=1)
    assert bool((by_imitators | by_actor).all())
    assert bool(by_imitators.all()) or not alone
