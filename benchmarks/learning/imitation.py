"""Cloning of what the person did in a run of ours: demonstrations and corrections, and no reinforcement learning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Action, Driver, EpisodeEnd, EpisodeKind, EpisodeMeta, Event, Observation, Step
from robot_rlhf.journal.reader import replay_into
from robot_rlhf.learner.cloning import CloningConfig
from robot_rlhf.policy.learned import LearnedPolicy
from robot_rlhf.ports import Subscriber
from robot_rlhf.replay.mixing import ONLINE, PRIOR, Mix
from robot_rlhf.run.build import build_policy, open_place
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.run.trainer import build_learning
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.timing import FakeClock

UPDATES = 10_000
AT_ONCE = 10


class UpTo:
    """Passes on what happened until so many practice steps were done, to the end of the episode."""

    def __init__(self, steps: int | None, *listeners: Subscriber) -> None:
        self._limit = steps
        self._listeners = listeners
        self._steps = 0
        self._practising = self._open = False

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._practising = meta.kind is EpisodeKind.PRACTICE
        self._open = self._limit is None or self._steps < self._limit
        for listener in self._listeners if self._open else ():
            listener.on_episode_start(meta, observation)

    def on_step(self, step: Step) -> None:
        self._steps += self._practising
        for listener in self._listeners if self._open else ():
            listener.on_step(step)

    def on_event(self, event: Event) -> None:
        for listener in self._listeners if self._open else ():
            listener.on_event(event)

    def on_episode_end(self, end: EpisodeEnd) -> None:
        for listener in self._listeners if self._open else ():
            listener.on_episode_end(end)


class Corrections:
    """A Subscriber that collects the actions of the steps in which a person corrected."""

    def __init__(self) -> None:
        self.actions: list[NDArray[np.float32]] = []
        self._practising = False

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._practising = meta.kind is EpisodeKind.PRACTICE

    def on_step(self, step: Step) -> None:
        if self._practising and step.driver is Driver.HUMAN:
            self.actions.append(step.action.values)

    def on_event(self, event: Event) -> None:
        """Drives nothing."""

    def on_episode_end(self, end: EpisodeEnd) -> None:
        """Drives nothing."""


class Dealt:
    """Passes everything on, with the corrections' actions dealt anew among the corrections' moments.

    The actions are as the person's, in kind and number; what they were an answer to is lost. What a policy gains from
    corrections that are dealt is not gained from what they say.
    """

    def __init__(self, listener: Subscriber, corrections: Corrections, rng: np.random.Generator) -> None:
        self._listener = listener
        self._actions = [corrections.actions[k] for k in rng.permutation(len(corrections.actions))]
        self._practising = False
        self._next = 0

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._practising = meta.kind is EpisodeKind.PRACTICE
        self._listener.on_episode_start(meta, observation)

    def on_step(self, step: Step) -> None:
        if self._practising and step.driver is Driver.HUMAN:
            step = replace(step, executed=Action(self._actions[self._next]))
            self._next += 1
        self._listener.on_step(step)

    def on_event(self, event: Event) -> None:
        self._listener.on_event(event)

    def on_episode_end(self, end: EpisodeEnd) -> None:
        self._listener.on_episode_end(end)


def clone(
    config: TrainConfig, journal: Path, *, until: int | None = None, dealt: bool = False
) -> tuple[LearnedPolicy, Tally]:
    """Clone what a person did in a recorded run.

    Args:
        until: practice steps of the run that are looked at; None: all.
        dealt: deal the corrections' actions anew among their moments.

    Returns:
        The policy, taking its likeliest action; and what was spent until then.

    Raises:
        JournalError: there is no such recording.
    """
    spec = open_place(config, FakeClock()).spec
    how = config.learner if isinstance(config.learner, CloningConfig) else CloningConfig()
    trainer = build_learning(replace(config, learner=how), spec).trainer
    tally = Tally(spec.control_period)
    listener: Subscriber = trainer
    if dealt:
        corrections = Corrections()
        replay_into(journal, UpTo(until, corrections), pictures=False)
        listener = Dealt(trainer, corrections, np.random.default_rng([config.seed, 4]))
    replay_into(journal, UpTo(until, listener, tally), pictures=config.learner_looks)
    for _ in range(UPDATES // AT_ONCE):
        trainer.learner.warm_start(trainer.buffer.sample_many(AT_ONCE, config.trainer.batch_size, _mix(how)))
    policy = build_policy(config, spec, practises=False)
    policy.load(trainer.learner.snapshot())
    return policy, tally


def _mix(how: CloningConfig) -> Mix:
    """A person's steps alone, where nothing else is imitated."""
    return {PRIOR: 1.0} if how.weighting == "person" else {PRIOR: 0.5, ONLINE: 0.5}
