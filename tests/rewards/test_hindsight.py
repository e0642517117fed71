"""Hindsight: what looks good now and fails later is not preferred."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rlhf.conformance import LabelerConformance
from robot_rlhf.datatypes import Outcome, Segment
from robot_rlhf.errors import ConfigError
from robot_rlhf.ports import Comparison, Labeler
from robot_rlhf.rewards.labelers.hindsight import Hindsight
from robot_rlhf.rewards.labelers.oracle import Oracle, gold_by_episode
from robot_rlhf.rewards.labelers.rules import RankedRules, deviations_of, factor
from tests.rewards.recorded_clips import EpisodeClips, episode


class Spy:
    """Remembers what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Segment] = []

    def compare(self, left: Segment, right: Segment) -> Comparison:
        self.shown += [left, right]
        return "left"

    def judge(self, segment: Segment) -> float | None:
        self.shown.append(segment)
        return 0.5


def test_shows_what_came_after_as_far_as_the_episode_goes() -> None:
    spy = Spy()
    hindsight = Hindsight(spy, EpisodeClips(episode("a", 20), episode("b", 12)), 5)
    assert hindsight.compare(Segment("a", 2, 10), Segment("b", 0, 10)) == "left"
    assert hindsight.judge(Segment("b", 2, 10)) == 0.5
    assert spy.shown == [Segment("a", 2, 15), Segment("b", 0, 12), Segment("b", 2, 10)]
    with pytest.raises(ConfigError, match="got 0"):
        Hindsight(spy, EpisodeClips(), 0)


def test_the_tempting_segment_that_fails_later() -> None:
    """A grasp that looks better at once, and is lost; one that is slower, and holds."""
    tempting = np.array([0.8, 0.8, 0.8, 0.0, 0.0, 0.0, 0.0], np.float32)
    patient = np.array([0.2, 0.2, 0.2, 0.4, 0.9], np.float32)
    clips = EpisodeClips(episode("tempting", 7, Outcome.FAILURE), episode("patient", 5, Outcome.SUCCESS))
    left, right = Segment("tempting", 0, 3), Segment("patient", 0, 3)
    oracle = Oracle(gold_by_episode({"tempting": tempting, "patient": patient}), np.random.default_rng(0))
    assert oracle.compare(left, right) == "left"
    assert Hindsight(oracle, clips, 4).compare(left, right) == "right"
    rules = RankedRules(clips, [factor("success")], [1.0])
    assert rules.compare(left, right) == "equal", "neither end is shown"
    assert Hindsight(rules, clips, 4).compare(left, right) == "right"
    assert Hindsight(rules, clips, 4).judge(left) == 0.0


class TestHindsight(LabelerConformance):
    def make_labeler(self) -> tuple[Labeler, list[Segment]]:
        outcomes = (Outcome.SUCCESS, Outcome.TIME_LIMIT, Outcome.SUCCESS)
        clips = EpisodeClips(*(episode(f"e{i}", 8, o, seed=i) for i, o in enumerate(outcomes)))
        segments = [Segment(f"e{i}", start, 3) for i in range(3) for start in (0, 4)]
        factors = [factor("success"), factor("path@0.1")]
        return Hindsight(RankedRules(clips, factors, deviations_of(clips, factors, segments)), clips, 2), segments
