"""Laws of who is told what happens: subscribers, the tutors among them, and monitors."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from robot_rlhf.conformance.randomness import global_generator
from robot_rlhf.conformance.samples import sample_meta, sample_steps
from robot_rlhf.datatypes import Driver, EpisodeEnd, GuardEvent, Outcome, Phase, RobotSpec, Situation, Step
from robot_rlhf.ports import LastingTutor, Monitor, Subscriber, Tutor


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


class TutorConformance(SubscriberConformance):
    """Laws of a Tutor: a subscriber that works whenever there is time, also when there is nothing to do."""

    def make_tutor(self, spec: RobotSpec) -> Tutor:
        """With all that it needs to hear. Two calls give equal tutors."""
        raise NotImplementedError

    def make_subscriber(self, spec: RobotSpec, folder: Path) -> Subscriber:
        return self.make_tutor(spec)

    def _taught(self, tutor: Tutor, spec: RobotSpec) -> list[Mapping[str, float]]:
        """Tell two episodes, and let it work before, within and after; returns its figures."""
        told: list[Mapping[str, float] | None] = [tutor.work(_nothing)]
        for number in range(2):
            meta, steps = sample_meta(number), sample_steps(spec, 6, number, start=10.0 * number)
            tutor.on_episode_start(meta, steps[0].observation)
            told.append(tutor.work(_nothing))
            for step in steps:
                tutor.on_step(step)
                told.append(tutor.work(_nothing))
            tutor.on_episode_end(EpisodeEnd(meta.id, Outcome.TIME_LIMIT, len(steps)))
            told += [tutor.work(_nothing), tutor.work(_nothing)]
        return [figures for figures in told if figures is not None]

    def test_is_a_tutor(self) -> None:
        assert isinstance(self.make_tutor(self.make_spec()), Tutor)

    def test_works_at_any_time_and_tells_figures(self) -> None:
        spec = self.make_spec()
        for figures in self._taught(self.make_tutor(spec), spec):
            assert figures, "nothing new is None"
            assert all(isinstance(name, str) and isinstance(value, float) for name, value in figures.items())

    def test_leaves_the_global_generator_alone(self) -> None:
        spec = self.make_spec()
        before = global_generator()
        self._taught(self.make_tutor(spec), spec)
        assert global_generator() == before


class LastingTutorConformance(TutorConformance):
    """Laws of a LastingTutor: what it keeps is its own, and all that an equal one needs."""

    def make_tutor(self, spec: RobotSpec) -> LastingTutor:
        raise NotImplementedError

    def test_is_lasting(self) -> None:
        assert isinstance(self.make_tutor(self.make_spec()), LastingTutor)

    def test_what_it_keeps_is_taken_up(self, tmp_path: Path) -> None:
        spec = self.make_spec()
        tutor, resumed = self.make_tutor(spec), self.make_tutor(spec)
        self._taught(tutor, spec)
        kept = dict(tutor.save(tmp_path))
        resumed.load({**kept, **{f"another tutor's {name}": value for name, value in kept.items()}})
        again = resumed.save(tmp_path)
        assert set(again) == set(kept)
        for name, value in kept.items():
            assert bool((value == again[name]).all()), name

    def test_names_of_what_it_keeps_are_not_those_of_learner_and_replay(self, tmp_path: Path) -> None:
        spec = self.make_spec()
        tutor = self.make_tutor(spec)
        self._taught(tutor, spec)
        assert not [name for name in tutor.save(tmp_path) if name.startswith(("learner.", "replay."))]

    def test_a_checkpoint_without_its_part_leaves_it_as_it_is(self, tmp_path: Path) -> None:
        tutor = self.make_tutor(self.make_spec())
        before = {name: value.numpy().tobytes() for name, value in tutor.save(tmp_path).items()}
        tutor.load({})
        assert {name: value.numpy().tobytes() for name, value in tutor.save(tmp_path).items()} == before


def _nothing() -> None:
    """A heartbeat that nobody waits for."""


class MonitorConformance:
    """Laws of a Monitor: it takes whatever the loop may be doing, and waits for nothing."""

    at_once = 0.5
    """Seconds that a look takes at most: far more than it may, as other programs run here, too."""

    def make_monitor(self) -> Monitor:
        raise NotImplementedError

    def make_situation(self) -> Situation:
        """One of its robot's, in which something is seen and done."""
        raise NotImplementedError

    def test_is_a_monitor(self) -> None:
        assert isinstance(self.make_monitor(), Monitor)

    @pytest.mark.parametrize("phase", Phase)
    def test_looks_at_once_whatever_the_loop_is_doing(self, phase: Phase) -> None:
        """Also where nothing can be sensed, and of episode after episode."""
        monitor, running = self.make_monitor(), self.make_situation()
        fault = GuardEvent(running.stamp, "robot", "is gone", latched=True)
        for number in range(2):
            seen = replace(running, phase=phase, episode=f"episode-{number:04d}")
            blind = replace(seen, observation=None, action=None, faults=(fault,))
            for situation in (seen, blind, replace(seen, driver=Driver.HUMAN), seen):
                began = time.monotonic()
                monitor.show(situation)
                assert time.monotonic() - began < self.at_once

    def test_leaves_the_global_generator_alone(self) -> None:
        before = global_generator()
        self.make_monitor().show(self.make_situation())
        assert global_generator() == before
