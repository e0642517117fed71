"""Every tutor of the package under the laws of tutors."""

from __future__ import annotations

import numpy as np

from robot_rlhf.conformance import LastingTutorConformance, TutorConformance
from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.facts import FactBook
from robot_rlhf.learner.lead import Lead
from robot_rlhf.learner.rewarding import Rewarding, RewardKeeper, RewardModelConfig
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.learner.words import Words
from robot_rlhf.policy.imitators import TAUGHT
from robot_rlhf.ports import LastingTutor, Tutor
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.rewards.gates import GateConfig, Gates
from robot_rlhf.runtime.episode_scores import EpisodeScores
from robot_rlhf.runtime.gate_feed import GateFeed
from robot_rlhf.runtime.grounding import SpokenOf
from tests.journal.sessions import make_spec
from tests.learner.test_sac import SHAPES, SMALL
from tests.runtime.test_episode_scores import brightness
from tests.runtime.test_preference_learning import a_learner


def a_feed(spec: RobotSpec) -> ReplayFeed:
    buffer = ReplayBuffer(60, state_size=2, action_size=spec.action.size, discount=0.9)
    return ReplayFeed(buffer, lambda seen: {"state": seen.tool_pose_in_base[:2]})


class Plain:
    def make_spec(self) -> RobotSpec:
        return make_spec({"front": (4, 6)})


class TestReplayFeed(Plain, TutorConformance):
    def make_tutor(self, spec: RobotSpec) -> Tutor:
        return a_feed(spec)


class TestGateFeed(Plain, TutorConformance):
    def make_tutor(self, spec: RobotSpec) -> Tutor:
        return GateFeed(a_feed(spec), Gates(GateConfig(("over_force",), force=5.0), np.zeros(3), np.ones(3)))


class TestEpisodeScores(Plain, TutorConformance):
    def make_tutor(self, spec: RobotSpec) -> Tutor:
        feed = a_feed(spec)
        feed.buffer.add_block("scores", state_size=1)
        return EpisodeScores(feed, "scores", brightness, "front")


class TestRewardKeeper(Plain, TutorConformance):
    def make_tutor(self, spec: RobotSpec) -> Tutor:
        return RewardKeeper(a_feed(spec).buffer, Rewarding(None, RewardModelConfig(), 0.9))


class TestPreferenceLearner(Plain, LastingTutorConformance):
    def make_tutor(self, spec: RobotSpec) -> LastingTutor:
        return a_learner()


class TestWords(Plain, LastingTutorConformance):
    def make_tutor(self, spec: RobotSpec) -> LastingTutor:
        feed = a_feed(spec)
        learner = SacLearner(SHAPES, SMALL, SacConfig(), seed=0)
        return Words(learner, feed.buffer, SpokenOf(spec, lambda: FactBook.of_robot(spec)), spec.action)


class TestLead(Plain, LastingTutorConformance):
    def make_tutor(self, spec: RobotSpec) -> LastingTutor:
        learner = SacLearner(SHAPES, SMALL, SacConfig(imitators=2), seed=0)
        assert learner.imitation is not None
        learner.imitation.imitators.taught.fill_(TAUGHT)
        learner.updates = 1
        return Lead(learner, seed=0)
