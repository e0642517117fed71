"""One Subscriber, or one Monitor, that tells several, in order."""

from __future__ import annotations

from collections.abc import Sequence

from robot_rlhf.datatypes import EpisodeEnd, EpisodeMeta, Event, Observation, Situation, Step
from robot_rlhf.ports import Monitor, Subscriber
from robot_rlhf.runtime.interrupts import interrupts_held


class FanOut:
    """Tells each of its subscribers everything, first to last. What is told is told to all: Ctrl-C waits so long."""

    def __init__(self, subscribers: Sequence[Subscriber]) -> None:
        self._subscribers = tuple(subscribers)

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        with interrupts_held():
            for subscriber in self._subscribers:
                subscriber.on_episode_start(meta, observation)

    def on_step(self, step: Step) -> None:
        with interrupts_held():
            for subscriber in self._subscribers:
                subscriber.on_step(step)

    def on_event(self, event: Event) -> None:
        with interrupts_held():
            for subscriber in self._subscribers:
                subscriber.on_event(event)

    def on_episode_end(self, end: EpisodeEnd) -> None:
        with interrupts_held():
            for subscriber in self._subscribers:
                subscriber.on_episode_end(end)


class Monitors:
    """Shows the present to several."""

    def __init__(self, *monitors: Monitor) -> None:
        self._monitors = monitors

    def show(self, situation: Situation) -> None:
        for monitor in self._monitors:
            monitor.show(situation)
