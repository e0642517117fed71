"""Which steps a sentence is about: those that the person had seen when they began to say it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from robot_rlhf.datatypes import Feedback, FeedbackKind, Segment, Sentence, Step

LOOK_BACK = 2.0
"""Seconds before a sentence began that it is still about: what a person reacts to has just happened."""
REACTION = 0.5
"""Seconds a person takes at least from seeing to beginning: a sentence is not about an episode younger than that."""
KEPT = 16
MEANT = 256
"""Sentences of which it is known which episode they mean."""


@dataclass
class _Stretch:
    """One recorded episode, or one part of a paused one."""

    episode: str
    stamps: list[float]
    """When each of its steps ended, seconds of the session's clock."""
    began: float


class RecentSteps:
    """Remembers when the steps of the last few episodes were, to find those that a sentence is about."""

    def __init__(self) -> None:
        self._stretches: deque[_Stretch] = deque(maxlen=KEPT)
        self._meant: dict[Sentence, str] = {}

    def begin(self, episode: str) -> None:
        """An episode, or a part of one, begins."""
        self._stretches.append(_Stretch(episode, [], 0.0))

    def add(self, step: Step) -> None:
        """A step was recorded."""
        stretch = self._stretches[-1]
        if not stretch.stamps:
            stretch.began = step.observation.stamp
        stretch.stamps.append(step.next_observation.stamp)

    def mean(self, sentence: Sentence, episode: str) -> None:
        """A sentence is about this episode, of which nothing may be recorded, and about no other."""
        while len(self._meant) >= MEANT:
            del self._meant[next(iter(self._meant))]
        self._meant[sentence] = episode

    def of(self, sentence: Sentence) -> Segment | None:
        """The steps that a sentence is about; None while nothing was recorded."""
        episode = self._meant.get(sentence)
        return self.about(sentence.began) if episode is None else Segment(episode, 0, 1)

    def about(self, began: float) -> Segment | None:
        """The steps that what is begun to be said then is about; None while nothing was recorded.

        Args:
            began: clock time, seconds, at which the person began with it. The span reaches from LOOK_BACK before
                that to the newest step of the same stretch.
        """
        recorded = [stretch for stretch in self._stretches if stretch.stamps]
        if not recorded:
            return None
        seen = [stretch for stretch in recorded if stretch.began <= began - REACTION]
        stretch = seen[-1] if seen else recorded[0]
        # Said after the end, with the robot at rest: it is about how the episode ended.
        since = min(began, stretch.stamps[-1]) - LOOK_BACK
        first = next((i for i, stamp in enumerate(stretch.stamps) if stamp > since), len(stretch.stamps) - 1)
        return Segment(stretch.episode, first, len(stretch.stamps) - first)

    def correction(self, sentence: Sentence, author: str, now: float, *, coming: str = "") -> Feedback | None:
        """A sentence as the event that is recorded; None while nothing was recorded that it could be about.

        Args:
            coming: the episode that would come next, about whose first step it then is; empty where it can wait.
        """
        span = self.of(sentence) or (Segment(coming, 0, 1) if coming else None)
        return None if span is None else Feedback(FeedbackKind.CORRECTION, author, now, span, text=sentence.text)
