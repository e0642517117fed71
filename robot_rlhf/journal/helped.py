"""Which episodes tell what a policy does alone: those that came to an end, and had no help."""

from __future__ import annotations

from robot_rlhf.datatypes import Driver, EpisodeMeta, Event, Feedback, FeedbackKind, Outcome, Step, whole_episode
from robot_rlhf.journal.labels import TAKEN_BACK

FINISHED = frozenset({Outcome.SUCCESS, Outcome.FAILURE, Outcome.TIME_LIMIT})
"""Outcomes of episodes that were not broken off, nor ended by a fault, which may be anybody's."""


def discarded_episode(event: Event) -> str | None:
    """Id of the whole episode that somebody discards with this event; None where nobody does."""
    if isinstance(event, Feedback) and event.kind is FeedbackKind.DISCARD and event.value != TAKEN_BACK:
        return whole_episode(event.span.episode_id)
    return None


class Help:
    """Whether an episode had help, over all parts of a paused one: a person drove a step of it, or went back in it."""

    def __init__(self) -> None:
        self.given = False
        self.steps = 0
        """Of all parts, those that somebody took back included."""

    def on_episode_start(self, meta: EpisodeMeta) -> None:
        """An episode begins, or goes on after a pause."""
        if not meta.continues:
            self.given, self.steps = False, 0
        elif meta.continues_at < self.steps:  # somebody went back
            self.given = True

    def on_step(self, step: Step) -> None:
        """Who drove it counts."""
        self.steps += 1
        self.given |= step.driver is Driver.HUMAN
