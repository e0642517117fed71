"""Which steps a sentence is about: what was done shortly before it, as replay and the learner's side remember it."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

from robot_rlhf.datatypes import Array, Driver, EpisodeMeta, Observation, Segment, Step
from robot_rlhf.replay.buffer import ReplayBuffer

LOOK_BACK = 2.0
"""Seconds before a sentence began at which its span begins: what runtime/recent.py gives it."""
REMEMBERED = 32
"""Episodes, or parts of one, that a sentence may still be about: those of other arms come in between."""
LOOKED_THROUGH = 8_192
"""Steps that a rule is held against when it is set: some minutes of a robot, without pictures."""
NO_ROW = -1


@dataclass(frozen=True, eq=False)
class HeardStep:
    """A step that a sentence may be about."""

    row: int
    """Its number in replay; NO_ROW where it has none."""
    observation: Observation
    """Without pictures."""
    executed: Array | None
    """Shape (m,); None where nobody knows it."""
    by_policy: bool
    """The policy decided it alone."""
    shown: bool
    """A person did it, by hand or by a skill, for the policy to imitate."""
    ended: float
    """Seconds of the session's clock."""


class HeardSteps:
    """The steps of the last few episodes, with their rows; to be told everything right after what fills replay."""

    def __init__(self, buffer: ReplayBuffer) -> None:
        self._buffer = buffer
        self._episodes: dict[str, list[HeardStep]] = {}
        self._newest: deque[HeardStep] = deque(maxlen=LOOKED_THROUGH)
        self._open = ""
        self._written = buffer.written

    def on_episode_start(self, meta: EpisodeMeta) -> None:
        self._open = meta.id
        self._episodes[meta.id] = []
        while len(self._episodes) > REMEMBERED:
            del self._episodes[next(iter(self._episodes))]
        self._written = self._buffer.written

    def add(self, step: Step) -> HeardStep:
        """A step was done, and written where it is learned from."""
        row = self._buffer.written - 2 if self._buffer.written > self._written else NO_ROW
        self._written = self._buffer.written
        seen = HeardStep(
            row,
            without_pictures(step.observation),
            None if step.executed is None else step.executed.values,
            step.driver is Driver.POLICY,
            step.driver is Driver.HUMAN and (not step.spoken or step.authority is None),
            step.next_observation.stamp,
        )
        self._episodes.setdefault(self._open, []).append(seen)
        if row != NO_ROW and seen.executed is not None:
            self._newest.append(seen)
        return seen

    def newest(self) -> list[HeardStep]:
        """What was done lately, by anybody, as far as replay has it."""
        return list(self._newest)

    def of(self, span: Segment) -> list[HeardStep]:
        """The steps of a span, as far as they are remembered."""
        return self._episodes.get(span.episode_id, [])[span.start : span.start + span.length]


def shortly_before(steps: Sequence[HeardStep], span: Segment, since: float, until: float) -> list[HeardStep]:
    """What the policy did from `since` to `until` seconds before the person began to speak.

    When that was is known by the span, which begins LOOK_BACK before it; where the episode was younger, or over by
    then, at its end.

    Args:
        steps: those of the span.
    """
    if not steps:
        return []
    began = steps[0].ended + LOOK_BACK
    if span.start == 0:
        began = min(began, steps[-1].ended)
    return [
        step
        for step in steps
        if step.by_policy and step.row != NO_ROW and step.executed is not None and since >= began - step.ended >= until
    ]


def without_pictures(observation: Observation) -> Observation:
    """The same observation where it has none."""
    if not observation.images:
        return observation
    same = copy.copy(observation)  # what it holds was checked already
    object.__setattr__(same, "images", MappingProxyType({}))
    return same
