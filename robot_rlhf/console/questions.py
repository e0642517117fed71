"""Which pair of clips a person is shown next, and what their answer becomes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robot_rlhf.console.recording import Recording
from robot_rlhf.datatypes import Feedback, Segment
from robot_rlhf.errors import InvalidValueError, UnknownNameError
from robot_rlhf.feedback.comparisons import VALUES, preference
from robot_rlhf.feedback.queries import LENGTHS, Candidate, Pair, choose, clips_of, usual_length

AT_ONCE = 8
"""Pairs chosen together; k-centre spreads them over what was recorded."""
MAX_LENGTH = 1_000
STRATEGIES = ("uniform", "k_centre")


@dataclass(frozen=True)
class Question:
    """Two clips to compare."""

    number: int
    """Counts up: an answer must name it, so that a late key press answers nothing else."""
    left: Segment
    right: Segment


class Questions:
    """One person's queue of pairs. The next one is chosen before it is needed, so that its clips can be loaded."""

    def __init__(
        self,
        recording: Recording,
        rng: np.random.Generator,
        *,
        author: Callable[[], str],
        now: Callable[[], float],
        strategy: str = "uniform",
        length: int | None = None,
    ) -> None:
        """Args:
        recording: what is shown.
        rng: draws the pairs.
        author: says who answers.
        now: the clock that stamps answers, seconds.
        strategy: 'uniform' or 'k_centre' (by the path of the tool).
        length: steps of each clip; shorter episodes are not asked about. None: the longest of LENGTHS for which
            at least half of the episodes are long enough, once there are any.
        """
        self._recording = recording
        self._rng = rng
        self._author = author
        self._now = now
        self._queue: deque[Question] = deque()
        self._count = 0
        self._answered: list[Question] = []
        self._asked: list[Pair] = []
        """Pairs of this queue: asked before the journal tells of their answers."""
        self.strategy = strategy
        self.length = LENGTHS[0]
        self.choose(strategy, self.length if length is None else length)
        self._length_given = length is not None

    def choose(self, strategy: str, length: int) -> None:
        """Another way of choosing, or another length: what waits is thrown away.

        Raises:
            UnknownNameError, InvalidValueError: not one of STRATEGIES, or not 1 to MAX_LENGTH steps.
        """
        if strategy not in STRATEGIES:
            raise UnknownNameError("query selection", strategy, STRATEGIES)
        if not 1 <= length <= MAX_LENGTH:
            raise InvalidValueError("length of clips", length, f"1 to {MAX_LENGTH} steps")
        self.strategy, self.length, self._length_given = strategy, length, True
        self._queue.clear()

    @property
    def answered(self) -> int:
        """Answers given here and not taken back, skips included."""
        return len(self._answered)

    def now_and_next(self) -> list[Question]:
        """The question asked now and the one behind it; fewer when there are no more pairs."""
        if not self._length_given and (steps := self._recording.comparable()):
            self._length_given = True
            self.length = usual_length(steps.values())
        while self._queue and not self._still_there(self._queue[0]):
            self._queue.popleft()
        if len(self._queue) < 2:
            self._draw()
        return list(self._queue)[:2]

    def answer(self, number: int, answer: str) -> Feedback | None:
        """The event that an answer becomes; None when another question is asked now. `accept` it once it is kept."""
        if answer not in VALUES:
            raise UnknownNameError("answer", answer, VALUES)
        if not self._queue or self._queue[0].number != number:
            return None
        return self._feedback(self._queue[0], answer)

    def accept(self) -> None:
        """The answer was kept: on to the next question."""
        question = self._queue.popleft()
        self._answered.append(question)
        self._asked.append((question.left, question.right))

    def withdrawal(self) -> Feedback | None:
        """The event that takes the last answer back; None without one. `take_back` once it is kept."""
        return self._feedback(self._answered[-1], "skip") if self._answered else None

    def take_back(self) -> None:
        """The withdrawal was kept: the pair is asked again, now."""
        question = self._answered.pop()
        self._count += 1
        self._queue.appendleft(Question(self._count, question.left, question.right))

    def _feedback(self, question: Question, answer: str) -> Feedback:
        return preference((question.left, question.right), answer, self._author(), self._now())

    def _still_there(self, question: Question) -> bool:
        """Neither episode was deleted meanwhile."""
        labels = self._recording.labels
        return not any(labels.is_deleted(segment.episode_id) for segment in (question.left, question.right))

    def _draw(self) -> None:
        known = self._recording.labels
        asked = [*self._asked, *((q.left, q.right) for q in self._queue), *known.skipped]
        asked += [(f.span, f.other) for f in known.preferences if f.other is not None]
        candidates = self._candidates()
        for left, right in choose(self.strategy, candidates, AT_ONCE, self._rng, asked):
            self._count += 1
            self._queue.append(Question(self._count, left, right))

    def _candidates(self) -> list[Candidate]:
        every = {row.id: row.steps for row in self._recording.rows() if not row.open}
        chosen = clips_of(every, self.length, self._recording.comparable())
        if self.strategy == "uniform":
            return [Candidate(segment) for segment in chosen]
        return [Candidate(segment, self._recording.features(segment)) for segment in chosen]
