"""What sentences have set going: skills one after the other, and nudges of the entries that were named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Action, Array, Observation, RobotSpec
from robot_rlhf.facts import FactBook
from robot_rlhf.feedback.arbiter import Spoken
from robot_rlhf.meaning import PACE, SPEEDS, Meaning
from robot_rlhf.skills.hand import MOTIONS, TURNINGS
from robot_rlhf.skills.nudges import Nudge, nudge_of
from robot_rlhf.skills.primitives import make_skill
from robot_rlhf.skills.skill import Skill

PACE_FOR = 2.0
"""Seconds for which a bare 'slower' or 'faster' holds."""


@dataclass(eq=False)
class _Pace:
    """The policy's own motion, slower or faster for a while."""

    factor: float
    periods: int


class _Together:
    """Mere motions that were said in one breath, each until it is done."""

    def __init__(self, nudges: Sequence[Nudge]) -> None:
        self._nudges = list(nudges)

    def act(self, observation: Observation) -> tuple[Array, NDArray[np.bool_]] | None:
        """Values, and which entries are meant; None once all are done. Shapes (m,)."""
        values: Array | None = None
        mask = np.zeros(0, np.bool_)
        for nudge in list(self._nudges):
            wanted = nudge.act(observation)
            if wanted is None:
                self._nudges.remove(nudge)
            elif values is None:
                values, mask = wanted, nudge.mask
            else:  # what was said later counts where both mean the same entry
                values, mask = np.where(nudge.mask, wanted, values).astype(np.float32), mask | nudge.mask
        return None if values is None else (values, mask)


@dataclass(eq=False)
class _Override:
    sentence: str
    does: Skill | _Together | _Pace


class Overrides:
    """A queue: what was said last begins at once, and what one sentence asks for is done in its order."""

    def __init__(self, spec: RobotSpec, facts: FactBook) -> None:
        self._spec = spec
        self._facts = facts
        self._queue: list[_Override] = []
        self._waiting: list[tuple[str, Meaning]] = []
        """What of the sentence under way comes after the first: a skill looks at the world when it begins."""
        self._last_thing = ""

    def begin(self, sentence: str, meanings: Sequence[Meaning], observation: Observation) -> tuple[str, str]:
        """Put what was said in the place of what is under way.

        Returns:
            What is done, 'skill', 'nudge' or 'nothing', and why nothing is, in words.
        """
        self.clear()
        self._waiting = [(sentence, meaning) for meaning in meanings]
        why = self._next(observation)
        if not self._queue:
            return "nothing", why or "there is nothing to do"
        return "nudge" if isinstance(self._queue[0].does, _Together | _Pace) else "skill", ""

    def act(self, observation: Observation, proposed: Action | None) -> Spoken | None:
        """What is decided of the next action; None where nothing is under way."""
        while self._queue or self._waiting:
            if not self._queue:
                self._next(observation)
                continue
            spoken = self._done_by(self._queue[0], observation, proposed)
            if spoken is not None:
                return spoken
            self._queue.pop(0)
        return None

    def cancel(self, sentence: str) -> None:
        """Nothing of this sentence goes on."""
        self._queue = [override for override in self._queue if override.sentence != sentence]
        self._waiting = [each for each in self._waiting if each[0] != sentence]

    def clear(self) -> None:
        """Nothing is under way any more."""
        self._queue, self._waiting = [], []

    def _next(self, observation: Observation) -> str:
        """Begin what waits: one skill, or all mere motions up to the next skill together; returns why it cannot."""
        why, motions = "", list[Nudge]()
        sentence = self._waiting[0][0]
        while self._waiting and not self._queue:
            sentence, meaning = self._waiting[0]
            does = self._made(meaning, observation)
            if motions and not isinstance(does, Nudge | str):
                break  # a skill comes after what was said before it
            self._waiting.pop(0)
            self._last_thing = meaning.thing or self._last_thing
            if isinstance(does, str):
                why = does
            elif isinstance(does, Nudge):
                motions.append(does)
            else:
                self._queue.append(_Override(sentence, does))
        if motions:
            self._queue.append(_Override(sentence, _Together(motions)))
        return why

    def _made(self, meaning: Meaning, observation: Observation) -> Skill | Nudge | _Pace | str:
        if meaning.reading in SPEEDS and not meaning.skill:
            factor = meaning.amount or PACE[meaning.reading]
            return _Pace(factor, max(1, round(PACE_FOR / self._spec.control_period)))
        if meaning.skill:
            return make_skill(meaning, observation, self._spec, self._facts, last=self._last_thing)
        return nudge_of(meaning, observation, self._spec, self._facts.view)

    def _done_by(self, override: _Override, observation: Observation, proposed: Action | None) -> Spoken | None:
        does = override.does
        if isinstance(does, _Pace):
            return self._paced(does, override.sentence, proposed)
        if isinstance(does, _Together):
            wanted = does.act(observation)
            if wanted is None:
                return None
            values, mask = wanted
            if proposed is None:
                return Spoken(Action(values), None, override.sentence)
            whole = np.where(mask, values, proposed.values)
            return Spoken(Action(whole), mask.astype(np.float32), override.sentence)
        action = does.act(observation)
        return None if action is None else Spoken(action, None, override.sentence)

    def _paced(self, pace: _Pace, sentence: str, proposed: Action | None) -> Spoken | None:
        if proposed is None or pace.periods <= 0:
            return None
        pace.periods -= 1
        mask = np.array([name in (*MOTIONS, *TURNINGS) for name in self._spec.action.names])
        faster: Array = np.clip(pace.factor * proposed.values, -1.0, 1.0)
        return Spoken(Action(np.where(mask, faster, proposed.values)), mask.astype(np.float32), sentence)

    def __iter__(self) -> Iterator[str]:
        """Sentences that are under way."""
        return iter(dict.fromkeys([*(o.sentence for o in self._queue), *(s for s, _ in self._waiting)]))
