"""What had been wanted all along: rows of steps that were done for another goal, once a person has said so."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from robot_rlhf.datatypes import (
    Array,
    EpisodeEnd,
    EpisodeMeta,
    Event,
    Feedback,
    FeedbackKind,
    Observation,
    Step,
    whole_episode,
)
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.learner.heard_steps import NO_ROW, REMEMBERED, without_pictures
from robot_rlhf.meaning import Meaning, meanings_of, names_goal
from robot_rlhf.replay.buffer import ReplayBuffer

log = logging.getLogger(__name__)

Goal = tuple[str, str]
"""Names of the thing and of the place."""
Retold = Callable[[Observation, Goal], Mapping[str, Array]]
"""What the director would have said at an observation, had this been the goal."""
AS_RECORDED, RELABELLED = 0, 1
"""Versions of a row's context."""


@dataclass(frozen=True, eq=False)
class _Done:
    """A step, and what was wanted in it as it is recorded."""

    row: int
    observation: Observation
    """Without pictures."""
    context: Mapping[str, Array]
    spoken: bool
    """It was done on a sentence, whose goal it keeps."""


@dataclass(frozen=True)
class _Named:
    """A goal that a sentence named."""

    at: int
    """The step in which it was heard: its policy did not know of it yet, but it was judged by it; -1: before all."""
    goal: Goal | None
    """None where it named none: it was taken back, or corrected to something else, and may be corrected again."""
    all_along: bool
    before: Goal
    """What was wanted when it was heard, to which every correction is applied; the goal that was understood, where that
    is not told."""


@dataclass
class _Episode:
    """One whole episode, over all its parts."""

    steps: list[_Done] = field(default_factory=list[_Done])
    named: dict[str, _Named] = field(default_factory=dict[str, _Named])
    """Goals that stand or may stand again, by sentence, in the order in which they were named."""
    shown: list[Goal | None] = field(default_factory=list["Goal | None"])
    """What replay has for each step; None: as it is recorded."""

    def drawn_from(self, oldest: int) -> bool:
        """Whether replay still holds a step of it. Args: oldest: number of the oldest row that it holds."""
        return bool(self.steps) and self.steps[-1].row >= oldest


class GoalsMeant:
    """A Subscriber that relabels the context of rows, as events tell it; to be told after replay was.

    A goal that had been meant all along counts from where the goal that it corrects began: that of an earlier sentence,
    or the episode. One from now on counts from the step in which it was heard. Steps that were done on a sentence keep
    what was wanted then: they were done for that sentence. Rewards stay as they are: no goal was reached in these
    steps, else the episode would have ended. A sentence that is corrected later to another goal counts for the same
    steps, and what the correction does not name is as it was before the sentence, however that was understood. What one
    relabelled is as it was recorded once that is taken back, until it is corrected once more.
    """

    def __init__(self, buffer: ReplayBuffer, retold: Retold) -> None:
        self._buffer = buffer
        self._retold = retold
        self._names = tuple(buffer.context.sizes)
        self._open = ""
        self._written = buffer.written
        self._episodes: dict[str, _Episode] = {}

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._open = whole_episode(meta.id)
        self._written = self._buffer.written
        if not meta.continues:
            self._episodes.pop(self._open, None)
        self._episodes.setdefault(self._open, _Episode())
        plain = [name for name, episode in self._episodes.items() if not episode.named]
        gone = [name for name, e in self._episodes.items() if e.named and not e.drawn_from(self._buffer.oldest)]
        for name in {*plain[:-REMEMBERED], *gone} - {self._open}:
            del self._episodes[name]

    def on_step(self, step: Step) -> None:
        row = self._buffer.written - 2 if self._buffer.written > self._written else NO_ROW
        self._written = self._buffer.written
        if not self._open:
            return
        episode = self._episodes[self._open]
        context = {name: step.context[name] for name in self._names if name in step.context}
        spoken = bool(step.spoken) and step.authority is None
        episode.steps.append(_Done(row, without_pictures(step.observation), context, spoken))
        episode.shown.append(None)

    def on_event(self, event: Event) -> None:
        if not isinstance(event, Feedback) or event.kind is not FeedbackKind.MEANING:
            return
        sentence, goal, all_along = (
            str(event.payload.get("sentence", "")),
            goal_of(event),
            event.payload.get("all_along"),
        )
        known = next((episode for episode in self._episodes.values() if sentence in episode.named), None)
        if goal is None and known is not None:
            self._correct(known, sentence, meanings_of(event) or ())
        elif goal is not None and isinstance(all_along, bool) and self._open in self._episodes:
            if known is not None and known.named[sentence].goal is not None:
                return
            if known is not None:  # what had named none is named anew
                del known.named[sentence]
            episode = self._episodes[self._open]
            before = goal_of(event, "goal_before") or goal
            episode.named[sentence] = _Named(len(episode.steps) - 1, goal, all_along, before)
            self._take(episode, sentence, goal)

    def _correct(self, episode: _Episode, sentence: str, meanings: Sequence[Meaning]) -> None:
        """It was taken back, or somebody said later what it had meant: another goal counts for the same steps."""
        self._take(episode, sentence, corrected(episode.named[sentence].before, meanings))

    def _take(self, episode: _Episode, sentence: str, goal: Goal | None) -> None:
        """This is what a sentence named: none, where there is no such goal."""
        named = episode.named[sentence]
        try:
            episode.named[sentence] = replace(named, goal=goal)
            self._relabel(episode)
        except InvalidValueError as error:
            log.warning("goal %r of sentence %.80r is passed over: %s", goal, sentence, error)
            episode.named[sentence] = replace(named, goal=None)
            self._relabel(episode)

    def on_episode_end(self, end: EpisodeEnd) -> None:
        """What was wanted in it can still be taken back."""
        self._open = ""

    def work(self, heartbeat: Callable[[], None] = lambda: None) -> None:
        """Rows are relabelled as sentences come."""

    def _relabel(self, episode: _Episode) -> None:
        """Give rows what was wanted in them by all that stands.

        Raises:
            InvalidValueError: there is no such goal; nothing was changed.
        """
        wanted = wanted_in(len(episode.steps), list(episode.named.values()))
        changed = [
            (step, goal)
            for step, goal, shown in zip(episode.steps, wanted, episode.shown, strict=True)
            if goal != shown and not step.spoken and step.row >= self._buffer.oldest
        ]
        told = [step.context if goal is None else self._retold(step.observation, goal) for step, goal in changed]
        episode.shown = wanted
        for version in (AS_RECORDED, RELABELLED):
            chosen = [k for k, (_, goal) in enumerate(changed) if (goal is not None) == (version == RELABELLED)]
            if not chosen:
                continue
            values = {name: torch.stack([torch.tensor(told[k][name]) for k in chosen]) for name in self._names}
            self._buffer.relabel_context(torch.tensor([changed[k][0].row for k in chosen]), values, version=version)
            log.info("%d rows: the goal %s", len(chosen), "is as it was recorded" if version == 0 else "was another")


def goal_of(event: Feedback, which: str = "goal") -> Goal | None:
    """The goal that a sentence named, or ('goal_before') before which; None where the event tells none."""
    goal = event.payload.get(which)
    if not isinstance(goal, list | tuple) or len(goal) != 2:
        return None
    thing, place = goal
    return (thing, place) if isinstance(thing, str) and isinstance(place, str) else None


def corrected(goal: Goal, meanings: Sequence[Meaning]) -> Goal | None:
    """What a sentence had named that was taken for a goal, by what is said of it later; None where it named none.

    Args:
        goal: what was wanted before it.
    """
    named = [meaning for meaning in meanings if names_goal(meaning)]
    thing, place = goal
    for meaning in named:
        thing, place = meaning.thing or thing, meaning.place or place
    return (thing, place) if named and thing != place else None


def wanted_in(steps: int, named: list[_Named]) -> list[Goal | None]:
    """The goal of each step where it was another than is recorded; None where the record is right.

    Args:
        named: in the order in which they were heard.
    """
    wanted: list[Goal | None] = [None] * steps
    began = 0
    """At which the goal began to be wanted that is wanted before the next is named."""
    for each in named:
        if each.goal is None:
            continue
        if not each.all_along:
            began = max(0, each.at)
        wanted[began : each.at + 1] = [each.goal] * (each.at + 1 - began)
    return wanted
