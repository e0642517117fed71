"""What is wanted, and what was before, in the networks: nothing of it is bit-equal to having none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import Batch, Source
from robot_rlhf.errors import ConfigError
from robot_rlhf.learner.cloning import CloningConfig, CloningLearner
from robot_rlhf.learner.iql import IqlConfig, IqlLearner
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.policy.features import FeatureConfig, Past
from robot_rlhf.policy.networks import Actor, Critic, NetworkConfig, ObservationEncoder, Shapes

PLAIN = Shapes(state=3, action=2, gripper=1)
SMALL = NetworkConfig(hidden=(16, 16))
LEARNERS: list[Any] = [
    (SacLearner, SacConfig(imitators=2)),
    (IqlLearner, IqlConfig()),
    (CloningLearner, CloningConfig()),
]


def batch(context: int = 0, past: int = 0, several: int = 32, seed: int = 0) -> Batch:
    g = torch.Generator().manual_seed(seed)

    def seen() -> dict[str, torch.Tensor]:
        found = {"state": torch.randn(several, 3, generator=g)}
        if past:
            found["past"] = torch.randn(several, past, 3, generator=g)
        return found

    wanted = {"context": torch.randn(several, context, generator=g)} if context else {}
    return Batch(
        observation=seen() | wanted,
        action=torch.rand(several, 2, generator=g) * 2 - 1,
        reward=torch.zeros(several),
        discount=torch.full((several,), 0.9),
        next_observation=seen() | wanted,
        source=torch.full((several,), int(Source.HUMAN)),
        weight=torch.ones(several),
        index=torch.arange(several),
    )


@pytest.mark.parametrize(("make", "config"), LEARNERS)
def test_a_context_of_no_entries_is_bit_equal_to_none(make: Any, config: Any) -> None:
    checksums: set[str] = set()
    for shapes, context in ((PLAIN, "auto"), (replace(PLAIN, context=0, past=0), "film")):
        learner = make(shapes, replace(SMALL, context=context), config, seed=3)
        first = learner.snapshot().checksum
        for k in range(4):
            learner.update(batch(seed=k))
        checksums |= {first + learner.averaged().checksum}
    assert len(checksums) == 1


@pytest.mark.parametrize(("make", "config"), LEARNERS)
@pytest.mark.parametrize("context", ["concat", "film"])
def test_what_is_wanted_and_what_was_before_enter_what_is_learned(make: Any, config: Any, context: Any) -> None:
    shapes = replace(PLAIN, context=4, past=2)
    learner = make(shapes, replace(SMALL, context=context), config, seed=3)
    for k in range(4):
        learner.update(batch(4, 2, seed=k))
    known = batch(4, 2)
    for name in ("context", "past"):
        other = {**known.observation, name: known.observation[name] + 1.0}
        assert not torch.equal(*(learner.actor(seen).continuous.mode() for seen in (known.observation, other))), name
        if hasattr(learner, "q_values"):
            ours, theirs = (learner.q_values(seen, known.action) for seen in (known.observation, other))
            assert not torch.equal(ours, theirs), name


def test_a_policy_learns_to_do_what_is_wanted() -> None:
    """Where the context alone says which way to go: shuffled, it says nothing."""
    for context in ("concat", "film"):
        network = replace(SMALL, context=context)  # type: ignore[arg-type]
        learner = CloningLearner(Shapes(state=3, action=1, gripper=None, context=4), network, CloningConfig(), seed=0)
        for k in range(150):
            seen = batch(4, seed=k)
            learner.update(replace(seen, action=torch.tanh(seen.observation["context"][:, :1])))
        fresh = batch(4, several=200, seed=999).observation
        way = torch.tanh(fresh["context"][:, :1])
        with torch.no_grad():
            told = learner.actor(fresh).continuous.mode()
            shuffled = learner.actor({**fresh, "context": fresh["context"].roll(1, dims=0)}).continuous.mode()
        assert float((told - way).abs().mean()) < 0.15, context
        assert float((shuffled - way).abs().mean()) > 0.5, context


def test_long_contexts_come_by_film_unless_asked_otherwise() -> None:
    def encoder(context: int, how: Any = "auto") -> ObservationEncoder:
        shapes = replace(PLAIN, context=context)
        return ObservationEncoder(shapes, replace(SMALL, context=how), torch.Generator().manual_seed(0))

    assert (encoder(32).film, encoder(32).size) == (None, 35)
    assert (encoder(33).film is not None, encoder(33).size) == (True, 16)
    assert encoder(33, "concat").size == 36
    assert encoder(1, "film").size == 16
    assert not encoder(32).learns
    assert encoder(33).learns


def test_film_is_its_equation() -> None:
    encoder = ObservationEncoder(replace(PLAIN, context=2), replace(SMALL, context="film"), torch.Generator())
    assert encoder.film is not None
    seen = batch(2).observation
    mixed = encoder.film.norm(encoder.film.mix(seen["state"]))
    gain, offset = encoder.film.wanted(seen["context"]).split(16, dim=1)
    torch.testing.assert_close(encoder(seen), torch.relu((1.0 + gain) * mixed + offset))


def test_past_states_are_seen_as_the_present_one_and_none_stays_none() -> None:
    shapes = replace(PLAIN, normalised=True, past=2)
    actor = Actor(shapes, SMALL, torch.Generator().manual_seed(0))
    known = batch(past=2)
    actor.encoder.note(known.observation)
    past = known.observation["past"].clone()
    past[5:, 1] = 0.0
    seen = actor.encoder({"state": known.observation["state"], "past": past})
    view = actor.encoder.vector
    torch.testing.assert_close(seen[:, :3], view(known.observation["state"]))
    torch.testing.assert_close(seen[:, 3:6], view(past[:, 0]))
    torch.testing.assert_close(seen[:5, 6:], view(past[:5, 1]))
    assert not seen[5:, 6:].any()
    assert Critic(shapes, SMALL, actor.encoder.size, torch.Generator())(seen, known.action[:, :1]).shape == (2, 32, 2)


@given(
    length=st.integers(1, 8),
    parts=st.lists(st.tuples(st.integers(1, 14), st.booleans()), min_size=1, max_size=4),
)
def test_the_past_is_the_recordings_own(length: int, parts: list[tuple[int, bool]]) -> None:
    past, number = Past(length, 1), 0
    for steps, forgets in parts:
        if forgets:
            past.forget()
        states: list[float] = []
        for t in range(steps):
            number += 1
            found = past(np.array([number], np.float32), min(t, 8))
            wanted = states[::-1][:length]
            assert found[:, 0].tolist() == wanted + [0.0] * (length - len(wanted))
            states.append(float(number))


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"features.past: got 9, allowed 0 to 8"):
        FeatureConfig(past=9)
    with pytest.raises(ConfigError, match=r"context: got 'goal' \(0,\), allowed: names with at least 1 entry each"):
        FeatureConfig(context={"goal": 0})
