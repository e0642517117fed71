"""Laws of what the actor network's numbers mean."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from robot_rlhf.conformance.samples import sample_observation
from robot_rlhf.datatypes import ActionLayout, Assignment, CommandLayout, RobotSpec, WeightSnapshot
from robot_rlhf.naming import name_of
from robot_rlhf.policy.features import FeatureConfig, Features
from robot_rlhf.policy.heads import Head, head_named
from robot_rlhf.policy.learned import ExplorationConfig, LearnedPolicy, shapes_of
from robot_rlhf.policy.networks import Actor, NetworkConfig

ENTRIES = 3
ROWS = 64
GRID = 20_001
DRAWS = 20_000
ROBOT = RobotSpec(
    joint_names=("a", "b"),
    position_lower=np.full(2, -1.0, np.float32),
    position_upper=np.full(2, 1.0, np.float32),
    speed_max=np.ones(2, np.float32),
    control_period=0.1,
    action=ActionLayout(("x", "y", "gripper"), np.ones(3, np.float32)),
    command=CommandLayout("direct", ("a", "b"), -np.ones(2), np.ones(2)),
    scene={"thing": 7},
)


class HeadConformance:
    """Laws of a Head."""

    inner = 0.98
    """Between minus this and this its density is exact; beyond, near the edges, it may be that of this."""

    def make_head(self) -> type[Head]:
        """The class; defined at the top of a module, as a run finds it by its name."""
        raise NotImplementedError

    def _made(self, entries: int = ENTRIES, *, rows: int = ROWS, scale: float = 0.5, seed: int = 0) -> Head:
        """What a network says, whose numbers are about as large as `scale`."""
        return self.make_head().of(self._raw(entries, rows=rows, scale=scale, seed=seed), entries)

    def _raw(self, entries: int = ENTRIES, *, rows: int = ROWS, scale: float = 0.5, seed: int = 0) -> Tensor:
        shape = (rows, self.make_head().outputs(entries))
        return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))

    def _noise(self, entries: int = ENTRIES, *, rows: int = ROWS, seed: int = 1) -> Tensor:
        return torch.randn((rows, self.make_head().noises(entries)), generator=torch.Generator().manual_seed(seed))

    def test_is_a_head(self) -> None:
        head = self.make_head()
        assert head_named(name_of(head, Head.WHAT)) is head
        assert head.outputs(1) >= 1
        assert head.outputs(ENTRIES) >= head.outputs(1)
        assert head.noises(ENTRIES) >= 1

    @pytest.mark.parametrize("scale", [0.0, 1.0, 30.0])
    def test_actions_are_within_bounds(self, scale: float) -> None:
        head = self._made(scale=scale)
        actions = [head.mode(), head.sample(self._noise())[0], head.explored(self._noise(), 0.3)]
        for action in actions:
            assert action.shape == (ROWS, ENTRIES)
            assert bool((action.abs() <= 1.0).all())
        log_prob = head.sample(self._noise())[1]
        assert log_prob.shape == (ROWS, ENTRIES)
        assert bool(log_prob.isfinite().all())

    def test_each_row_is_for_itself(self) -> None:
        whole, some = self._made(), self.make_head().of(self._raw()[10:20], ENTRIES)
        torch.testing.assert_close(some.mode(), whole.mode()[10:20])
        for ours, theirs in zip(some.sample(self._noise()[10:20]), whole.sample(self._noise()), strict=True):
            torch.testing.assert_close(ours, theirs[10:20])

    @pytest.mark.parametrize("seed", range(4))
    def test_the_density_is_one_in_all(self, seed: int) -> None:
        _, share, drawn = self._density(seed)
        outside = (drawn.abs() > self.inner).double().mean()
        assert float(share.sum() + outside) == pytest.approx(1.0, abs=0.01)

    @pytest.mark.parametrize("seed", range(4))
    def test_samples_fall_as_the_density_says(self, seed: int) -> None:
        grid, share, drawn = self._density(seed)
        found = ((drawn > -self.inner) & (drawn <= grid[::1000, None])).double().mean(dim=1)
        torch.testing.assert_close(found, share.cumsum(dim=0)[::1000], atol=0.015, rtol=0.0)

    def _one(self, seed: int, rows: int) -> Head:
        """The same of one entry in every row."""
        raw = self._raw(1, rows=1, seed=seed).double()
        return self.make_head().of(raw.expand(rows, -1), 1)

    def _density(self, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Points in the middle of equal pieces of what is inside, what the density says of each piece, and draws."""
        piece = 2.0 * self.inner / GRID
        grid = (torch.arange(GRID, dtype=torch.float64) + 0.5) * piece - self.inner
        density = self._one(seed, GRID).log_prob(grid[:, None])[:, 0].exp()
        drawn, _ = self._one(seed, DRAWS).sample(self._noise(1, rows=DRAWS).double())
        return grid, density * piece, drawn[:, 0]

    def test_a_sample_has_the_density_of_what_was_drawn(self) -> None:
        head = self._made(rows=1_000)
        action, log_prob = head.sample(self._noise(rows=1_000))
        inside = (action.abs() < self.inner).all(dim=1)
        assert bool(inside.any())
        asked = head.log_prob(action).sum(dim=1)
        torch.testing.assert_close(log_prob.sum(dim=1)[inside], asked[inside], atol=2e-2, rtol=1e-3)

    @pytest.mark.parametrize("scale", [0.5, 3.0, 30.0])
    def test_no_entropy_is_above_that_of_all_actions_alike(self, scale: float) -> None:
        """Samples whose density is cut off near the edges pretend to more, which an actor finds out."""
        whole = [self._made(scale=scale).sample(self._noise(seed=seed))[1].sum(dim=1) for seed in range(200)]
        entropy = -torch.stack(whole).mean(dim=0)  # (B,)
        assert float(entropy.max()) < ENTRIES * math.log(2.0) + 0.5

    @pytest.mark.parametrize("edge", [-1.0, 0.0, 1.0])
    @pytest.mark.parametrize("scale", [0.5, 10.0])
    def test_gradients_are_finite_at_the_edges(self, edge: float, scale: float) -> None:
        action = torch.full((ROWS, ENTRIES), edge)
        raw = self._raw(scale=scale).requires_grad_()
        for name, value in self._asked(raw, action, self._noise()).items():
            assert bool(value.isfinite().all()), name
            if value.requires_grad:  # what has a spread that is always the same need not fit it
                (gradient,) = torch.autograd.grad(value.sum(), raw, retain_graph=True)
                assert bool(gradient.isfinite().all()), name

    def _asked(self, raw: Tensor, action: Tensor, noise: Tensor) -> dict[str, Tensor]:
        head = self.make_head().of(raw, ENTRIES)
        drawn, log_prob = head.sample(noise)
        found = {"mode": head.mode(), "sample": drawn, "its log_prob": log_prob, "log_prob": head.log_prob(action)}
        return found | {"imitation_error": head.imitation_error(action), "spread_error": head.spread_error(action)}

    def test_samples_can_be_moved_by_the_network(self) -> None:
        """The gradient of a sample: what the actor learns by."""
        raw = self._raw().requires_grad_()
        (gradient,) = torch.autograd.grad(self.make_head().of(raw, ENTRIES).sample(self._noise())[0].sum(), raw)
        assert bool(gradient.any(dim=1).all())

    def test_exploring_goes_from_the_mode_to_a_sample(self) -> None:
        head, noise = self._made(), self._noise()
        torch.testing.assert_close(head.explored(noise, 0.0), head.mode())
        torch.testing.assert_close(head.explored(noise, 1.0), head.sample(noise)[0])

    def test_who_imitates_does_what_was_done(self) -> None:
        raw = self._raw(scale=0.1).requires_grad_()
        wanted = torch.tensor([0.6, -0.3, 0.0]).expand(ROWS, ENTRIES)
        optimiser = torch.optim.Adam([raw], lr=0.02)
        for _ in range(800):
            head = self.make_head().of(raw, ENTRIES)
            loss = (head.imitation_error(wanted) + 0.05 * head.spread_error(wanted)).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        torch.testing.assert_close(self.make_head().of(raw, ENTRIES).mode().detach(), wanted, atol=0.1, rtol=0.0)

    def test_nothing_branches_on_values(self) -> None:
        """So that updates can be recorded and compiled."""
        noise, action = self._noise(), torch.zeros(ROWS, ENTRIES)

        def work(raw: Tensor) -> list[Tensor]:
            head = self.make_head().of(raw, ENTRIES)
            return [*self._asked(raw, action, noise).values(), head.explored(noise, 0.3)]

        recorded: Callable[[Tensor], list[Tensor]] = make_fx(work)(self._raw(seed=0))
        other = self._raw(seed=5, scale=3.0)
        for ours, theirs in zip(recorded(other), work(other), strict=True):
            torch.testing.assert_close(ours, theirs, equal_nan=True)

    def test_a_policy_that_does_not_explore_does_the_mode(self) -> None:
        features = Features(ROBOT, FeatureConfig())
        config = NetworkConfig(hidden=(16,), head=name_of(self.make_head(), Head.WHAT))
        actor = Actor(shapes_of(ROBOT, features), config, torch.Generator().manual_seed(0))
        weights = WeightSnapshot(1, {name: value.numpy().copy() for name, value in actor.state_dict().items()})
        seen = sample_observation(ROBOT, 0.0, np.random.default_rng(0))
        with torch.no_grad():
            out = actor({"state": torch.as_tensor(features.state(seen))[None]})
            mode = out.continuous.mode()[0].numpy()
        for exploration in (None, ExplorationConfig(noise=0.0, gripper="likelier")):
            policy = LearnedPolicy(ROBOT, features, config, exploration=exploration)
            policy.load(weights)
            done = policy.act(seen, Assignment(), np.random.default_rng(0)).values
            np.testing.assert_allclose(done[:2], mode, atol=1e-6)
        policy = LearnedPolicy(ROBOT, features, config, exploration=ExplorationConfig())
        policy.load(weights)
        rng = np.random.default_rng(0)
        assert len({policy.act(seen, Assignment(), rng).values[:2].tobytes() for _ in range(20)}) > 1
