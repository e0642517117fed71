"""Laws of who is told what happens: subscribers, and the tutors among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot_rlhf.conformance.samples import sample_meta, sample_steps
from robot_rlhf.datatypes import EpisodeEnd, GuardEvent, Outcome, RobotSpec, Step
from robot_rlhf.ports import Subscriber


class SubscriberConformance:
    """Laws of a Subscriber: it takes every order of calls that a loop makes."""

    def make_spec(self) -> RobotSpec:
        """Of the robot whose episodes are told."""
        raise NotImplementedError

    def make_subscriber(self, spec: RobotSpec, folder: Path) -> Subscriber:
        raise NotImplementedError

    def finish(self, subscriber: Subscriber) -> None:
        """Close what the subscriber holds, where it holds something."""

    def _tell(self, subscriber: Subscriber, steps: list[Step], number: int, outcome: Outcome) -> None:
        meta = sample_meta(number)
        subscriber.on_episode_start(meta, steps[0].observation)
        for step in steps:
            subscriber.on_step(step)
            subscriber.on_event(GuardEvent(step.observation.stamp, "workspace", "the target would leave", False))
        subscriber.on_episode_end(EpisodeEnd(meta.id, outcome, len(steps)))

    def test_is_a_subscriber(self, tmp_path: Path) -> None:
        subscriber = self.make_subscriber(self.make_spec(), tmp_path)
        assert isinstance(subscriber, Subscriber)
        self.finish(subscriber)

    @pytest.mark.parametrize("outcome", [Outcome.TIME_LIMIT, Outcome.DISCARDED, Outcome.FAULT])
    def test_takes_episodes(self, tmp_path: Path, outcome: Outcome) -> None:
        spec = self.make_spec()
        subscriber = self.make_subscriber(spec, tmp_path)
        for number in range(2):
            self._tell(subscriber, sample_steps(spec, 4, number, start=10.0 * number), number, outcome)
        self.finish(subscriber)

    def test_takes_an_episode_that_ends_before_its_first_step(self, tmp_path: Path) -> None:
        spec = self.make_spec()
        subscriber = self.make_subscriber(spec, tmp_path)
        steps = sample_steps(spec, 1, 0)
        subscriber.on_episode_start(sample_meta(0), steps[0].observation)
        subscriber.on_event(GuardEvent(0.0, "nan", "the policy wished no number", True))
        subscriber.on_episode_end(EpisodeEnd(sample_meta(0).id, Outcome.FAULT, 0))
        self._tell(subscriber, steps, 1, Outcome.TIME_LIMIT)
        self.finish(subscriber)
