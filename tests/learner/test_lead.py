"""Who leads in practice: what counts as evidence, which weights an episode is put down to, and what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from robot_rlhf.conformance import sample_observation
from robot_rlhf.datatypes import (
    Assignment,
    Driver,
    EpisodeEnd,
    EpisodeKind,
    Feedback,
    FeedbackKind,
    Outcome,
    Segment,
)
from robot_rlhf.errors import CheckpointError
from robot_rlhf.learner.cloning import DaggerConfig
from robot_rlhf.learner.imitation import Imitation
from robot_rlhf.learner.lead import ALONE, BOTH, KEPT, LOOSER, PACE, PRIOR, STATE, YOUNG, Lead
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.policy.features import FeatureConfig, Features
from robot_rlhf.policy.imitators import TAUGHT, led_as
from robot_rlhf.policy.learned import LearnedPolicy, shapes_of
from robot_rlhf.run.settings import defaults_for
from robot_rlhf.run.trainer import build_learning
from tests.learner.test_sac import SHAPES, SMALL, batch_of
from tests.policy.test_learned import SPEC
from tests.replay.test_feed import meta, see, step

P, H = Driver.POLICY, Driver.HUMAN


class Learning:
    """A learner whose version goes up, and its lead."""

    def __init__(self, seed: int = 0, *, is_open: bool = True) -> None:
        learner = SacLearner(SHAPES, SMALL, SacConfig(imitators=2), seed=seed)
        assert learner.imitation is not None
        self.imitation: Imitation = learner.imitation
        self.learner = learner
        self.lead = Lead(learner, seed)
        learner.imitation.imitators.taught.fill_(TAUGHT)
        self.publish(int(is_open))

    def publish(self, version: int) -> None:
        """The learner has got so far, and gives its newest weights away."""
        self.learner.updates = version
        self.learner.snapshot()

    def episode(
        self,
        outcome: Outcome,
        drivers: Sequence[Driver] = (P, P),
        *,
        version: int = 1,
        kind: EpisodeKind = EpisodeKind.PRACTICE,
        continues: str = "",
        continues_at: int | None = None,
        weights: str = "newest",
    ) -> None:
        at = (len(drivers) if continues else 0) if continues_at is None else continues_at
        about = replace(meta(kind), continues=continues, continues_at=at, weights=weights)
        self.lead.on_episode_start(about, see(0.0))
        for t, driver in enumerate(drivers):
            self.lead.on_step(replace(step(t % 9, see(t), see(t + 1.0), driver), policy_version=version))
        self.lead.on_episode_end(EpisodeEnd("e0", outcome, len(drivers)))

    @property
    def newest_alone(self) -> bool:
        return bool(self.imitation.imitators.alone)

    @property
    def deployed_alone(self) -> bool:
        return bool(self.imitation.average.alone)


FIRST = np.add(PRIOR, YOUNG).tolist()


def means(seen: Sequence[Sequence[float]]) -> list[float]:
    return [a / (a + b) for a, b in seen]


def test_imitators_lead_until_critics_have_learned() -> None:
    learning = Learning(is_open=False)
    assert learning.newest_alone
    assert learning.deployed_alone
    for _ in range(20):
        learning.episode(Outcome.TIME_LIMIT)
    assert learning.newest_alone
    assert learning.lead.worth == pytest.approx(means(FIRST))


@pytest.mark.parametrize(
    ("outcome", "drivers", "worth"),
    [
        (Outcome.SUCCESS, [P] * 4, 1.0 - PACE),  # as long as the longest: itself
        (Outcome.SUCCESS, [P, H, P, P], 0.0),
        (Outcome.TIME_LIMIT, [P] * 4, 0.0),
        (Outcome.FAILURE, [P] * 4, 0.0),
        (Outcome.DISCARDED, [P] * 4, None),
        (Outcome.FAULT, [P] * 4, None),
        (Outcome.STOPPED, [P] * 4, None),
        (Outcome.PAUSED, [P] * 4, None),
        (Outcome.SUCCESS, [H] * 4, 0.0),
    ],
)
def test_an_episode_is_worth_its_unaided_success(outcome: Outcome, drivers: list[Driver], worth: float | None) -> None:
    learning = Learning()
    learning.episode(outcome, drivers)
    wanted = FIRST
    if worth is not None:
        (a, b), (c, d) = PRIOR
        wanted = (a + worth, b + 1.0 - worth), (c, d + KEPT * YOUNG[BOTH][1])
    assert learning.lead.worth == pytest.approx(means(wanted))


def test_of_two_successes_the_faster_is_worth_more_and_old_ones_count_less() -> None:
    learning = Learning()
    learning.episode(Outcome.TIME_LIMIT, [P] * 10)
    learning.episode(Outcome.SUCCESS, [P] * 5)
    worth = 1.0 - PACE * 0.5
    alone = (1.0 + worth, 1.0 + KEPT * 1.0 + (1.0 - worth))
    assert learning.lead.worth[ALONE] == pytest.approx(alone[0] / sum(alone))


def test_a_paused_episode_counts_once_with_all_its_parts() -> None:
    learning = Learning()
    learning.episode(Outcome.PAUSED, [P, H])
    learning.episode(Outcome.SUCCESS, [P, P], continues="e0")
    assert learning.lead.worth[ALONE] == pytest.approx(1.0 / 3.0), "a person helped in its first part"


@pytest.mark.parametrize("kind", [EpisodeKind.EVALUATION, EpisodeKind.DEMONSTRATION])
def test_only_practice_is_evidence(kind: EpisodeKind) -> None:
    learning = Learning()
    learning.episode(Outcome.SUCCESS, kind=kind)
    assert learning.lead.worth == pytest.approx(means(FIRST))


def test_where_weights_are_chosen_the_newest_tell() -> None:
    learning = Learning()
    before = learning.lead.worth
    for weights in ("averaged", "kept"):
        learning.episode(Outcome.SUCCESS, weights=weights)
        assert learning.lead.worth == before
    learning.episode(Outcome.SUCCESS, weights="newest")
    assert learning.lead.worth != before


def test_an_episode_is_put_down_to_the_weights_of_its_first_step() -> None:
    learning = Learning(seed=3)
    leaders = {0: learning.newest_alone}
    for version in range(1, 60):
        learning.publish(version)
        leaders[version] = learning.newest_alone
        before = learning.lead.worth
        learning.episode(Outcome.TIME_LIMIT, version=version)
        led = ALONE if leaders[version] else BOTH
        after = learning.lead.worth
        assert after[led] < before[led]
    assert len(set(leaders.values())) == 2, "both were tried"
    late = learning.lead.worth
    learning.episode(Outcome.TIME_LIMIT, version=min(v for v, alone in leaders.items() if not alone))
    assert learning.lead.worth[BOTH] < late[BOTH], "weights of long ago, which a slow process still had"
    known = learning.lead.state()
    learning.episode(Outcome.TIME_LIMIT, version=1000)
    assert learning.lead.state() == known, "weights that this learner never gave away"


@pytest.mark.parametrize(("chance", "leader"), [((0.9, 0.4), ALONE), ((0.5, 0.95), BOTH)])
def test_who_does_better_leads_practice_and_is_deployed(chance: tuple[float, float], leader: int) -> None:
    rng = np.random.default_rng(7)
    led, deployed = np.zeros(2), np.zeros(2)
    for seed in range(5):
        learning = Learning(seed)
        for version in range(1, 121):
            learning.publish(version)
            now = ALONE if learning.newest_alone else BOTH
            success = rng.random() < chance[now]
            learning.episode(Outcome.SUCCESS if success else Outcome.TIME_LIMIT, version=version)
            if version > 40:
                led[now] += 1
                deployed[ALONE if learning.deployed_alone else BOTH] += 1
    assert led[leader] > 0.75 * led.sum()
    assert deployed[leader] > 0.9 * deployed.sum()


def test_the_hold_loosens_while_nine_of_ten_succeed() -> None:
    learning = Learning()
    learner = learning.learner
    weights = learner.config.cloning_weight, learner.config.cloning_weight_end
    assert learner.cloning_weight == weights[0]
    learning.lead.note(ALONE, 1.0)
    assert learner.cloning_weight == weights[0], "of the imitators' success nothing follows for the actor"
    for _ in range(20):
        learning.lead.note(BOTH, 0.8)
    assert learning.lead.hold == pytest.approx(1.0 - 20 * LOOSER)
    assert learner.cloning_weight == pytest.approx(weights[1] + (1.0 - 20 * LOOSER) * (weights[0] - weights[1]))
    loose = learning.lead.hold
    for worth in [0.0] + [0.8] * 9:
        learning.lead.note(BOTH, worth)
    assert learning.lead.hold == pytest.approx(loose)
    for _ in range(100):
        learning.lead.note(BOTH, 0.8)
    assert learner.cloning_weight == weights[1]
    for _ in range(100):
        learning.lead.note(BOTH, 0.0)
    assert learner.cloning_weight == weights[0]


def test_what_is_known_survives_and_older_weights_are_nobodys() -> None:
    learning, again = Learning(), Learning()
    for version in range(1, 30):
        learning.publish(version)
        learning.episode(Outcome.SUCCESS, version=version)
    again.lead.on_episode_start(meta(EpisodeKind.PRACTICE), see(0.0))  # replayed from the journal, and still open
    again.lead.on_step(replace(step(0, see(0.0), see(1.0)), policy_version=1))
    again.lead.load(learning.lead.save(Path()))
    assert again.lead.state() == learning.lead.state()
    again.lead.on_episode_end(EpisodeEnd("e0", Outcome.TIME_LIMIT, 1))
    again.episode(Outcome.SUCCESS, version=1, continues="e0")
    assert again.lead.state() == learning.lead.state(), "what began before is no evidence"
    assert again.deployed_alone == learning.deployed_alone
    again.episode(Outcome.TIME_LIMIT, version=29)  # of before the restart: led by whom?
    assert again.lead.state() == learning.lead.state()
    again.publish(30)
    again.episode(Outcome.TIME_LIMIT, version=30)
    assert again.lead.state() != learning.lead.state()


def test_who_leads_is_settled_when_an_episode_begins() -> None:
    shapes = shapes_of(SPEC, Features(SPEC, FeatureConfig()))
    learner = SacLearner(shapes, SMALL, SacConfig(imitators=2), seed=1)
    learner.warm_start([batch_of(64, 0, shapes)] * 3)
    assert learner.imitation is not None
    learner.imitation.imitators.taught.fill_(TAUGHT)
    learner.imitation.average.taught.fill_(TAUGHT)
    policy, rng = LearnedPolicy(SPEC, Features(SPEC, FeatureConfig()), SMALL), np.random.default_rng(0)

    def acts(*, alone: bool) -> list[float]:
        assert learner.imitation is not None
        learner.imitation.lead(alone=alone, deployed_alone=not alone)
        policy.load(learner.snapshot())
        return policy.act(seen, Assignment(), rng).values.tolist()

    for seed in range(50):  # until a state in which the two ways differ
        seen = sample_observation(SPEC, 0.0, np.random.default_rng(seed))
        policy.reset()
        together = acts(alone=False)
        policy.reset()
        if acts(alone=True) != together:
            break
    else:
        raise AssertionError("the critics never find the actor better")
    assert acts(alone=False) != together, "the episode goes on as it began"
    policy.reset()
    assert acts(alone=False) == together
    assert acts(alone=True) == together
    policy.reset()
    policy.load(learner.averaged())  # led by the other
    averaged = policy.act(seen, Assignment(), rng).values.tolist()
    learner.imitation.lead(alone=True, deployed_alone=True)
    policy.reset()
    policy.load(learner.averaged())
    assert averaged != policy.act(seen, Assignment(), rng).values.tolist()


def test_a_resumed_learner_goes_on_with_what_practice_showed(tmp_path: Path) -> None:
    config = defaults_for("reach")
    assert isinstance(config.learner, SacConfig)
    assert config.learner.imitators, "the usual settings"
    first, second = (build_learning(config, SPEC).trainer for _ in range(2))
    leads = [tutor for trainer in (first, second) for tutor in trainer.tutors if isinstance(tutor, Lead)]
    assert len(leads) == 2
    for worth in (0.8, 0.0, 0.9):
        leads[0].note(BOTH, worth)
    first.save(tmp_path / "learner.safetensors")
    assert leads[1].state() != leads[0].state()
    second.load(tmp_path / "learner.safetensors")
    assert leads[1].state() == pytest.approx(leads[0].state())
    figures = leads[1].work()
    assert figures is not None
    assert {"worth_imitators", "worth_both", "hold"} <= set(figures)
    assert leads[1].work() is None, "told once"


def test_other_learners_have_nobody_to_lead() -> None:
    for config in (replace(defaults_for("reach"), learner=learner) for learner in (SacConfig(), DaggerConfig())):
        assert not [tutor for tutor in build_learning(config, SPEC).trainer.tutors if isinstance(tutor, Lead)]


@pytest.mark.parametrize("state", [[1.0] * 5, [1.0] * 5 + [float("nan")]])
def test_a_damaged_checkpoint_of_it_is_refused(state: list[float]) -> None:
    learning = Learning()
    known = learning.lead.state()
    with pytest.raises(CheckpointError, match="who leads"):
        learning.lead.load({STATE: torch.tensor(state)})
    assert learning.lead.state() == known


def test_an_episode_discarded_after_its_end_was_none() -> None:
    learning = Learning()
    learning.episode(Outcome.SUCCESS)
    known = learning.lead.state()
    learning.episode(Outcome.TIME_LIMIT)
    assert learning.lead.state() != known
    learning.lead.on_event(Feedback(FeedbackKind.DISCARD, "kim", 0.0, Segment("other", 0, 2), 1.0))
    assert learning.lead.state() != known
    for _ in range(2):  # once is as good as twice
        learning.lead.on_event(Feedback(FeedbackKind.DISCARD, "kim", 0.0, Segment("e0", 0, 2), 1.0))
        assert learning.lead.state()[:4] == known[:4]


def test_going_back_is_help() -> None:
    learning = Learning()
    learning.episode(Outcome.PAUSED, [P, P, P])
    learning.episode(Outcome.SUCCESS, [P, P], continues="e0", continues_at=1)
    assert learning.lead.worth[ALONE] == pytest.approx(1.0 / 3.0)
    learning.episode(Outcome.PAUSED, [P, P, P])
    learning.episode(Outcome.SUCCESS, [P, P], continues="e0", continues_at=3)
    assert learning.lead.worth[ALONE] > 1.0 / 3.0


def test_a_long_episode_with_help_is_no_measure_of_pace() -> None:
    learning = Learning()
    learning.episode(Outcome.SUCCESS, [P, H, *[P] * 500])
    before = learning.lead.state()[0]
    learning.episode(Outcome.SUCCESS, [P] * 4)
    assert learning.lead.state()[0] == pytest.approx(1.0 + KEPT * (before - 1.0) + 1.0 - PACE)


def test_nobody_is_deployed_on_no_evidence() -> None:
    learning = Learning()
    for _ in range(120):
        learning.lead.note(ALONE, 0.3)
    learning.episode(Outcome.TIME_LIMIT)
    assert learning.lead.worth[BOTH] > learning.lead.worth[ALONE]
    assert learning.deployed_alone


def test_newest_weights_can_be_measured_as_they_would_be_deployed() -> None:
    learner = Learning().learner
    assert learner.imitation is not None
    learner.imitation.lead(alone=False, deployed_alone=True)
    newest, averaged = learner.snapshot(), learner.averaged()
    same = led_as(newest, averaged)
    assert (float(newest.arrays["imitators.alone"]), float(same.arrays["imitators.alone"])) == (0.0, 1.0)
    plain = SacLearner(SHAPES, SMALL, SacConfig(), seed=0).snapshot()
    assert led_as(plain, averaged) is plain
