"""Weights by class: against the weights per step that IWR and Sirius publish, and against a known minimum."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import Batch, Source
from robot_rlhf.errors import ConfigError
from robot_rlhf.learner.cloning import CloningConfig, CloningLearner
from robot_rlhf.learner.weighting import IMITATED, Weighting, class_masses, weights_of
from robot_rlhf.policy.networks import NetworkConfig, Shapes

LINE = Shapes(state=1, action=1, gripper=None)
COUNTS = st.fixed_dictionaries({source: st.integers(0, 400) for source in Source})


def sirius_per_step(counts: dict[Source, int]) -> dict[Source, float]:
    """The rule as published: c is a class's fraction; the policy's is cut at 0, where the published one is negative."""
    total = sum(counts[source] for source in IMITATED)
    c = {source: counts[source] / total for source in IMITATED}
    rest = max(0.0, 1.0 - 0.5 - c[Source.DEMO] - c[Source.PRAISED] - 0.002)
    return {
        Source.DEMO: 1.0,
        Source.PRAISED: 1.0,
        Source.BLAMED: 0.0,
        Source.HUMAN: 0.5 / c[Source.HUMAN] if c[Source.HUMAN] else 0.0,
        Source.PRE_INTERVENTION: 0.002 / c[Source.PRE_INTERVENTION] if c[Source.PRE_INTERVENTION] else 0.0,
        Source.POLICY: rest / c[Source.POLICY] if c[Source.POLICY] else 0.0,
        Source.OTHER: 0.0,
    }


def iwr_per_step(counts: dict[Source, int]) -> dict[Source, float]:
    total, n = sum(counts[source] for source in IMITATED), counts[Source.HUMAN]
    others = dict.fromkeys(IMITATED, 1.0)
    return others | {Source.HUMAN: (total - n) / n if 0 < n < total else 1.0, Source.OTHER: 0.0, Source.BLAMED: 0.0}


def person_per_step(counts: dict[Source, int]) -> dict[Source, float]:
    return {source: float(source in (Source.DEMO, Source.HUMAN, Source.PRAISED)) for source in Source}


def by_class(counts: dict[Source, int], weighting: Weighting) -> dict[Source, float]:
    """What is proven is the policy's, and weighs as its other steps do."""
    together = counts | {Source.POLICY: counts[Source.POLICY] + counts[Source.PROVEN], Source.PROVEN: 0}
    per_step = TWINS[weighting](together)
    return per_step | {Source.PROVEN: per_step[Source.POLICY], Source.WATCHED: 0.0}


TWINS = {"sirius": sirius_per_step, "iwr": iwr_per_step, "person": person_per_step}


@given(counts=COUNTS, weighting=st.sampled_from(list(TWINS)))
def test_masses_are_the_published_weights_per_step(counts: dict[Source, int], weighting: Weighting) -> None:
    masses = class_masses(weighting, counts)
    if not any(counts[source] for source in (*IMITATED, Source.PROVEN)):
        assert masses == {}
        return
    per_step = by_class(counts, weighting)
    of_class = {source: per_step[source] * counts[source] for source in Source}
    whole = sum(of_class.values())
    for source in Source:
        assert masses.get(source, 0.0) == pytest.approx(of_class[source] / whole if whole else 0.0, abs=1e-9)
    assert sum(masses.values()) == pytest.approx(1.0 if whole else 0.0)


def test_sirius_by_hand() -> None:
    """100 steps: 10 shown, 20 corrections, 5 that led to them, 65 of the policy: 0.1, 0.5, 0.002 and 0.398."""
    counts = {Source.DEMO: 10, Source.HUMAN: 20, Source.PRE_INTERVENTION: 5, Source.POLICY: 65, Source.OTHER: 40}
    masses = class_masses("sirius", counts)
    wanted = {Source.DEMO: 0.1, Source.HUMAN: 0.5, Source.PRE_INTERVENTION: 0.002, Source.POLICY: 0.398}
    assert masses == pytest.approx(wanted)
    assert Source.OTHER not in masses


@given(counts=COUNTS, draw=st.lists(st.sampled_from(list(Source)), min_size=1, max_size=40))
def test_each_source_of_a_batch_weighs_its_share(counts: dict[Source, int], draw: list[Source]) -> None:
    masses = class_masses("sirius", counts)
    source = torch.tensor([int(s) for s in draw])
    weights = weights_of(source, masses)
    for of in Source:
        share = masses.get(of, 0.0) if of in draw else 0.0
        assert float(weights[source == of].sum()) == pytest.approx(len(draw) * share, abs=1e-4)


def batch_of(actions: dict[Source, tuple[int, float]]) -> Batch:
    """At one and the same place: so many steps of each source with this action."""
    source = torch.tensor([int(s) for s, (count, _) in actions.items() for _ in range(count)])
    action = torch.tensor([[a] for count, a in actions.values() for _ in range(count)])
    state = {"state": torch.zeros(len(source), 1)}
    ones = torch.ones(len(source))
    return Batch(state, action, ones, ones, state, source, ones, torch.arange(len(source)))


@pytest.mark.parametrize(
    ("weighting", "learned"),
    [
        ("person", (10 * 0.0 + 20 * 0.5) / 30),
        ("iwr", 0.5 * 0.5 + 0.5 * (10 * 0.0 + 65 * -0.4 + 5 * -0.9) / 80),
        ("sirius", 0.1 * 0.0 + 0.5 * 0.5 + 0.002 * -0.9 + 0.398 * -0.4),
    ],
)
def test_a_policy_learns_the_weighted_mean(weighting: Weighting, learned: float) -> None:
    """Squared errors at one place have their least at the weighted mean of the actions."""
    shown = {
        Source.DEMO: (10, 0.0),
        Source.HUMAN: (20, 0.5),
        Source.POLICY: (65, -0.4),
        Source.PRE_INTERVENTION: (5, -0.9),
        Source.OTHER: (40, 0.9),
    }
    counts = {source: count for source, (count, _) in shown.items()}
    config = CloningConfig(learning_rate=1e-2, spread_weight=0.0, weighting=weighting)
    learner = CloningLearner(LINE, NetworkConfig(hidden=(8,)), config, seed=0, counts=lambda: counts)
    batch = batch_of(shown)
    learner.warm_start([batch] * 300)
    with torch.no_grad():
        out = learner.actor(batch.observation)
    assert float(out.continuous.mode()[0, 0]) == pytest.approx(learned, abs=5e-3)


def test_weights_by_class_need_counts() -> None:
    with pytest.raises(ConfigError, match="weighting"):
        CloningLearner(LINE, NetworkConfig(hidden=(8,)), CloningConfig(weighting="sirius"), seed=0)


def test_an_average_is_not_moved_by_how_often_a_batch_holds_a_source() -> None:
    """The same weighted mean where the batch is half a person's, as practice draws it, and where it is not."""
    few = {Source.DEMO: (1, 0.0), Source.HUMAN: (1, 0.5), Source.POLICY: (30, -0.4)}
    many = {Source.DEMO: (9, 0.0), Source.HUMAN: (7, 0.5), Source.POLICY: (16, -0.4)}
    masses = class_masses("sirius", {Source.DEMO: 50, Source.HUMAN: 100, Source.POLICY: 850})
    for shown in (few, many):
        batch = batch_of(shown)
        weights = weights_of(batch.source, masses)
        mean = float((weights * batch.action[:, 0]).sum() / weights.sum())
        assert mean == pytest.approx((0.05 * 0.0 + 0.5 * 0.5 + 0.448 * -0.4) / 0.998, abs=1e-6)
