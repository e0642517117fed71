"""Several recordings told to one listener: each has an episode practice-000000 of its own, and sentences in it."""

from __future__ import annotations

from dataclasses import replace

from robot_rlhf.datatypes import EpisodeEnd, EpisodeMeta, Event, Feedback, FeedbackKind, Observation, Segment, Step
from robot_rlhf.ports import Subscriber


class NamedRecording:
    """A Subscriber that tells another what a recording holds, its episodes and sentences named apart from others'."""

    def __init__(self, name: str, told: Subscriber) -> None:
        """Args: name: of the recording, the same whenever it is read; empty where it is the only one."""
        self._name = name
        self._told = told

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._told.on_episode_start(
            replace(meta, id=self._of(meta.id), continues=self._of(meta.continues)), observation
        )

    def on_step(self, step: Step) -> None:
        self._told.on_step(replace(step, spoken=self._of(step.spoken)) if step.spoken else step)

    def on_event(self, event: Event) -> None:
        if isinstance(event, Feedback):
            event = replace(event, span=self._span(event.span))
            if event.kind is FeedbackKind.MEANING and isinstance(name := event.payload.get("sentence"), str):
                event = replace(event, payload={**event.payload, "sentence": self._of(name)})
        self._told.on_event(event)

    def on_episode_end(self, end: EpisodeEnd) -> None:
        self._told.on_episode_end(replace(end, id=self._of(end.id)))

    def _span(self, span: Segment) -> Segment:
        return replace(span, episode_id=self._of(span.episode_id))

    def _of(self, name: str) -> str:
        return f"{self._name}:{name}" if name and self._name else name
