"""Tells the graph what the loop does: episodes, steps, rewards, the present."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from robot_rlhf.datatypes import EpisodeEnd, EpisodeMeta, Event, Observation, Situation, Step
from robot_rlhf_hardware.ros.bus import Bus, Publisher
from robot_rlhf_hardware.ros.topics import POLICY_TOPICS, named

SHOW_EVERY = 0.2
"""Seconds between two words about the present."""


class Narrator:
    """A Subscriber and a Monitor."""

    def __init__(self, bus: Bus, stamps: Callable[[], Mapping[str, float]]) -> None:
        """Args: stamps: header stamps of what the newest observation was made of, for who measures latency."""
        self._bus = bus
        self._stamps = stamps
        self._episode = bus.publisher(named(POLICY_TOPICS, "~/episode"))
        self._step = bus.publisher(named(POLICY_TOPICS, "~/step"))
        self._reward = bus.publisher(named(POLICY_TOPICS, "~/reward"))
        self._situation = bus.publisher(named(POLICY_TOPICS, "~/situation"))
        self._id = ""
        self._due = 0.0
        self._last: tuple[Any, ...] = ()

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._id = meta.id
        facts = {"event": "start", "id": meta.id, "kind": meta.kind.value, "seed": meta.seed, "task": meta.task}
        _tell(self._episode, {**facts, "operator": meta.operator, "continues": meta.continues})

    def on_step(self, step: Step) -> None:
        _tell(
            self._step,
            {
                "episode": self._id,
                "index": step.index,
                "driver": step.driver.name.lower(),
                "terminated": step.terminated,
                "truncated": step.truncated,
                "policy_version": step.policy_version,
                "stamps": dict(self._stamps()),
            },
        )
        self._reward.publish({"data": step.reward})

    def on_event(self, event: Event) -> None:
        """Guard events are in the log and the diagnostics."""

    def on_episode_end(self, end: EpisodeEnd) -> None:
        facts = {"event": "end", "id": end.id, "outcome": end.outcome.value, "steps": end.steps}
        _tell(self._episode, {**facts, "detail": end.detail})

    def show(self, situation: Situation) -> None:
        faults = tuple(fault.rule for fault in situation.faults)
        now = (situation.phase, situation.driver, faults)
        if now == self._last and situation.stamp < self._due:
            return
        self._last, self._due = now, situation.stamp + SHOW_EVERY
        _tell(
            self._situation,
            {
                "phase": situation.phase.value,
                "driver": situation.driver.name.lower() if situation.driver is not None else None,
                "episode": situation.episode,
                "step": situation.step,
                "instruction": situation.instruction,
                "policy_version": situation.policy_version,
                "faults": {fault.rule: fault.detail for fault in situation.faults},
                "detail": situation.detail,
            },
        )


def _tell(publisher: Publisher, facts: Mapping[str, Any]) -> None:
    publisher.publish({"data": json.dumps(facts)})
