"""Whole updates: the same as sampling and updating one by one, whatever records them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from robot_rlhf.datatypes import Source
from robot_rlhf.errors import ReplayError
from robot_rlhf.learner.graphs import Metrics, UpdateGraphs
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.policy.networks import NetworkConfig, Shapes
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.mixing import ONLINE, PRIOR, Mix

SHAPES = Shapes(state=3, action=3, gripper=2, cameras={"front": (16, 16)})
MIX: Mix = {PRIOR: 0.5, ONLINE: 0.5}


class Eager:
    """Stands for a CUDA graph where there is no GPU: does the work anew, into the same tensors."""

    recorded = 0

    def __init__(self, work: Callable[[], Metrics], generators: Sequence[torch.Generator]) -> None:
        Eager.recorded += 1
        assert len(generators) == 2
        self._work = work
        self.metrics: Metrics = {}

    def replay(self) -> None:
        fresh = self._work()
        if not self.metrics:
            self.metrics = fresh
        for name, value in fresh.items():
            self.metrics[name].copy_(value)


def make(device: str = "cpu") -> tuple[SacLearner, ReplayBuffer]:
    config = SacConfig(shift_pixels=2, imitators=2, caution=1.0)
    learner = SacLearner(SHAPES, NetworkConfig(hidden=(16, 16)), config, seed=0, device=device)
    cameras = dict(SHAPES.cameras)
    return learner, ReplayBuffer(200, state_size=3, action_size=3, cameras=cameras, discount=0.97, device=device)


def fill(buffer: ReplayBuffer, *, demonstration: bool) -> None:
    rng = np.random.default_rng(1)

    def observe() -> dict[str, np.ndarray]:
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        return {"state": rng.normal(size=3).astype(np.float32), "front": pixels}

    buffer.begin(observe(), demonstration=demonstration)
    for t in range(30):
        action = rng.uniform(-1, 1, 3).astype(np.float32)
        buffer.add(action, float(t == 29), t == 29, False, Source.POLICY, observe())


def same(ours: SacLearner, theirs: SacLearner) -> bool:
    a, b = ours.state(), theirs.state()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_updates_are_those_made_one_by_one() -> None:
    (ours, left), (theirs, right) = make(), make()
    for buffer in (left, right):
        fill(buffer, demonstration=True)
        fill(buffer, demonstration=False)
    graphs = UpdateGraphs(ours, left, 32, MIX, capture=Eager)
    sampler = right.static_sampler(32, MIX)
    for _ in range(6):
        metrics = graphs.update()
        sampler.sync()
        expected = theirs.update(sampler.draw())
        assert metrics.keys() == expected.keys()
        for name in metrics:
            assert torch.equal(metrics[name], expected[name])
    assert same(ours, theirs)


def test_a_kind_is_recorded_once_and_a_new_share_anew() -> None:
    learner, buffer = make()
    fill(buffer, demonstration=False)
    graphs = UpdateGraphs(learner, buffer, 32, MIX, capture=Eager)
    before = Eager.recorded
    for _ in range(6):
        graphs.update()
    assert Eager.recorded - before == 2  # with and without the actor
    fill(buffer, demonstration=True)  # now half of a batch comes from demonstrations
    for _ in range(6):
        graphs.update()
    assert Eager.recorded - before == 4


def test_metrics_may_be_kept() -> None:
    learner, buffer = make()
    fill(buffer, demonstration=True)
    graphs = UpdateGraphs(learner, buffer, 32, MIX, capture=Eager)
    kept = [graphs.update()["critic_loss"] for _ in range(4)]
    assert len({float(value) for value in kept}) == 4


def test_nothing_to_draw_is_said() -> None:
    learner, buffer = make()
    with pytest.raises(ReplayError, match="empty"):
        UpdateGraphs(learner, buffer, 32, MIX, capture=Eager).update()
    assert learner.updates == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda_graphs_learn_what_eager_updates_learn() -> None:
    (ours, left), (theirs, right) = make("cuda"), make("cuda")
    for buffer in (left, right):
        fill(buffer, demonstration=True)
        fill(buffer, demonstration=False)
    graphs = UpdateGraphs(ours, left, 32, MIX)
    for _ in range(50):
        graphs.update()
        theirs.update(right.sample(32, MIX))
    assert ours.updates == theirs.updates == 50
    for learner in (ours, theirs):
        assert all(bool(torch.isfinite(value).all()) for value in learner.state().values() if value.is_floating_point())
    a, b = (torch.cat([p.flatten() for p in learner.critic.parameters()]) for learner in (ours, theirs))
    assert float((a - b).norm() / b.norm()) < 0.2  # other draws, the same way
