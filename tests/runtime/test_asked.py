"""What acts sees what replay gives back: states before, and what is wanted, bit for bit, whatever happens between."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from robot_rlhf.datatypes import Assignment, EpisodeKind, Observation, WeightSnapshot
from robot_rlhf.journal.reader import replay_into
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.learner.state import snapshot_of
from robot_rlhf.policy.features import FeatureConfig, Features
from robot_rlhf.policy.learned import LearnedPolicy, shapes_of
from robot_rlhf.policy.networks import Actor, NetworkConfig
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from tests.runtime.stations import Rig
from tests.runtime.test_attended import rig_of
from tests.runtime.test_recall import INPUTS

SIZES = {"text": 3, "goal": 2}
NETWORK = NetworkConfig(hidden=(16,))


class Wanting:
    """A Director that wants something else in each period."""

    context_sizes: Mapping[str, int] = SIZES

    def reset(self, rng: np.random.Generator) -> None:
        pass

    def asked(self, observation: Observation) -> Assignment:
        stamp = observation.stamp
        goal, text = np.array([stamp, 1.0], np.float32), np.sin(np.arange(3, dtype=np.float32) * stamp)
        return Assignment("wait", {"goal": goal, "text": text.astype(np.float32)})


class Noting(LearnedPolicy):
    """Keeps what its network was given."""

    def __init__(self, features: Features) -> None:
        super().__init__(features.spec, features, NETWORK)
        self.given: list[dict[str, Tensor]] = []
        forward = self._actor.encoder.forward

        def noting(observation: Mapping[str, Tensor]) -> Tensor:
            self.given.append({name: value[0].clone() for name, value in observation.items()})
            return forward(observation)

        self._actor.encoder.forward = noting


def weights(features: Features) -> WeightSnapshot:
    return snapshot_of(Actor(shapes_of(features.spec, features), NETWORK, torch.Generator().manual_seed(1)), 3)


@pytest.mark.parametrize("past", [1, 3, 8])
def test_what_acts_sees_what_replay_gives_back(past: int, tmp_path: Path) -> None:
    """With a takeover, a pause and a rewind; live and from the journal; the second episode begins anew."""
    spec = Rig().robot.spec
    features = Features(spec, FeatureConfig(past=past, context=SIZES))
    policy = Noting(features)
    policy.load(weights(features))
    rig, _ = rig_of(*INPUTS, policy=policy, director=Wanting())
    rig.task.time_limit = 30
    live, again = (
        ReplayBuffer(
            100,
            state_size=features.size,
            action_size=spec.action.size,
            discount=0.97,
            context=features.context,
            past=past,
        )
        for _ in range(2)
    )
    with JournalWriter(tmp_path, spec) as journal:
        rig.station.subscribers = (journal, rig.listener, ReplayFeed(live, features))
        rig.run()
        rig.run(EpisodeKind.PRACTICE, seed=1)
    replay_into(tmp_path, ReplayFeed(again, features))
    steps = rig.listener.steps
    assert [step.index for step in steps].count(0) == 4
    given = {tuple(seen["context"].tolist()): seen for seen in policy.given}  # also asked where no step followed
    for buffer in (live, again):
        batch = buffer.gather(buffer.indices())
        assert len(batch.action) == len(steps) > 40
        for k in range(len(steps)):
            row = {name: value[k] for name, value in batch.observation.items()}
            seen = given[tuple(row["context"].tolist())]
            assert set(seen) == set(row) == {"state", "past", "context"}
            for name, value in row.items():
                assert torch.equal(seen[name], value), (k, name)
    assert any((seen["past"] != 0.0).any(dim=1).all() for seen in policy.given)


def test_a_context_that_is_not_there_stops_the_robot_with_a_word() -> None:
    spec = Rig().robot.spec
    features = Features(spec, FeatureConfig(context={"user": 4}))
    policy = LearnedPolicy(spec, features, NETWORK)
    policy.load(weights(features))
    rig = Rig(policy=policy)
    rig.station.director = Wanting()
    end = rig.run()
    assert "context: got 'goal' (2,), 'text' (3,), allowed: 'user' (4,)" in end.detail
