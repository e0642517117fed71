"""What became of the last episode: how it ended and why, who judged it, and how that judgement is taken back."""

from __future__ import annotations

from dataclasses import dataclass

from robot_rlhf.console.words import OUTCOMES
from robot_rlhf.datatypes import EpisodeKind, Feedback, FeedbackKind, Outcome, Segment
from robot_rlhf.journal.labels import TAKEN_BACK

_JUDGED = {Outcome.SUCCESS: FeedbackKind.SUCCESS, Outcome.FAILURE: FeedbackKind.FAILURE}


@dataclass(frozen=True)
class LastEpisode:
    """An episode that has ended, with what is said of it today."""

    parts: tuple[tuple[str, int], ...]
    """Id and number of steps of each part; the first one's id names the whole."""
    kind: EpisodeKind
    recorded: Outcome
    today: Outcome
    """As labelled since; the recorded one where nobody said anything."""
    detail: str = ""
    """Why it ended, as it was recorded."""
    author: str = ""
    """Who judged it, as it ended or later; empty where nobody did."""

    @property
    def name(self) -> str:
        return self.parts[0][0]

    @property
    def words(self) -> str:
        """How it ended and why, in one line."""
        if self.today is Outcome.DISCARDED:
            why = self.detail if self.recorded is Outcome.DISCARDED and self.detail else "taken out"
            why = "" if why == "discard pressed" else f" ({why})"
            return f"{self.name}: Discarded{why}. Nothing is learned from it"
        why = f"judged by {self.author}" if self.author and self.today in _JUDGED else self._why()
        said = f"{self.name}: {OUTCOMES[self.today]}" + (f" ({why})" if why else "")
        if self.kind is EpisodeKind.DEMONSTRATION and self.recorded is not Outcome.SUCCESS:
            return f"{said}. It does not count as a demonstration: only one that ends as a success does"
        return said

    def _why(self) -> str:
        if self.today is Outcome.SUCCESS and self.recorded is Outcome.SUCCESS:
            return self.detail or "seen by the robot"
        if self.today is self.recorded:
            return self.detail
        return "taken back" if self.recorded is Outcome.DISCARDED else ""

    @property
    def takes_back(self) -> str:
        """What an undo does, in words; empty where there is no judgement to take back."""
        if self.today is Outcome.DISCARDED:
            return "Keep it after all"
        if self.today is not self.recorded and self.today in _JUDGED:
            return "Take the judgement back"
        if not self.author or self.today not in _JUDGED:
            return ""
        again = self.kind is EpisodeKind.DEMONSTRATION and self.today is Outcome.SUCCESS
        return "Undo: learn nothing from it" + (", and give another one" if again else "")

    def undone(self, author: str, now: float) -> tuple[Feedback, ...]:
        """The events that take the last judgement back; none where there is none.

        A success or a failure that ended the episode cannot be un-ended: the episode is taken out. One that was given
        later is taken back. What was discarded is kept after all.
        """
        if not self.takes_back:
            return ()
        first, steps = self.parts[0]
        if self.today is Outcome.DISCARDED or self.today is self.recorded:
            value = TAKEN_BACK if self.today is Outcome.DISCARDED else 1.0
            return (Feedback(FeedbackKind.DISCARD, author, now, Segment(first, 0, steps), value),)
        kind = _JUDGED[self.today]
        return tuple(Feedback(kind, author, now, Segment(name, 0, n), TAKEN_BACK) for name, n in self.parts if n)
