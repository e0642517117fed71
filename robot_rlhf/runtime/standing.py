"""What stands of every sentence: what it means, what is done about it, and what that leaves to rules and to words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from robot_rlhf.datatypes import EpisodeEnd, EpisodeMeta, Event, Feedback, FeedbackKind, Observation, RobotSpec, Step
from robot_rlhf.language.lexicon import Lexicon
from robot_rlhf.language.rules import Rules, cannot_hold
from robot_rlhf.meaning import LEAVES_NO_TRACE, Meaning, meanings_of

REMEMBERED = 256
"""Sentences that can still be taken back."""
DIGITS = 9
"""Of a sentence's number; what has more was not numbered here."""


@dataclass(frozen=True, eq=False)
class Told:
    """A sentence as its newest event has it."""

    feedback: Feedback
    doing: str
    meanings: tuple[Meaning, ...] = ()
    here: bool = True
    """It was said at this robot."""


class StandingSentences:
    """A Subscriber: takes rules, the operator's own words and the numbers of sentences from events alone, so that a run
    which goes on, or reads a recording, knows the same."""

    def __init__(self, spec: RobotSpec) -> None:
        self.rules = Rules(spec)
        """Those that stand."""
        self.lexicon = Lexicon()
        """What the operator explained."""
        self.over_at = -math.inf
        """When the last episode, or part of one, was over, s of the clock."""
        self._newest = -math.inf
        self._spec = spec
        self._told: dict[str, Told] = {}
        self._numbers: dict[str, int] = {}

    def __contains__(self, sentence: str) -> bool:
        return sentence in self._told

    def get(self, sentence: str) -> Told | None:
        """What stands of a sentence, by its name; None where nothing was told of it, or too long ago."""
        return self._told.get(sentence)

    def with_traces(self) -> Iterator[str]:
        """Names of sentences said here that there is something to take back of, the newest first."""
        told = reversed(self._told.items())
        return (name for name, told in told if told.here and told.doing not in LEAVES_NO_TRACE)

    def new_name(self, episode: str) -> str:
        """For a sentence that is said in an episode, or about it."""
        number = self._numbers.get(episode, 0)
        self._numbers[episode] = number + 1
        return f"{episode}/{number}"

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        """Sentences are numbered within their episode."""

    def on_step(self, step: Step) -> None:
        self._newest = step.next_observation.stamp

    def on_event(self, event: Event) -> None:
        self.take_in(event)

    def take_in(self, event: Event, *, here: bool = True) -> None:
        """What stands from now on. Args: here: its sentence, where it is a new one, was said at this robot."""
        if not isinstance(event, Feedback) or event.kind is not FeedbackKind.MEANING:
            return
        sentence, doing = name_of(event), str(event.payload.get("doing", ""))
        meanings = meanings_of(event)
        if not sentence or meanings is None:
            return
        before = self._told.pop(sentence, None)
        episode, _, number = sentence.rpartition("/")
        if number.isdecimal() and len(number) <= DIGITS:
            self._numbers[episode] = max(self._numbers.get(episode, 0), int(number) + 1)
        self.rules.remove(sentence)
        if doing not in LEAVES_NO_TRACE:  # "up, and slower from now on" is a motion and a rule
            for meaning in meanings:
                if meaning.rule and not cannot_hold(meaning, self._spec.action):
                    self.rules.add(sentence, meaning)
        self._learn_words(event, before, meanings, doing)
        held = {rule.sentence for rule in self.rules.standing}
        over = len(self._told) - REMEMBERED + 1
        for old in [name for name in self._told if name not in held][: max(0, over)]:
            del self._told[old]
        self._told[sentence] = Told(event, doing, meanings, here if before is None else before.here)

    def on_episode_end(self, end: EpisodeEnd) -> None:
        """What was said stands."""
        self.over_at = self._newest

    def _learn_words(self, event: Feedback, before: Told | None, meanings: tuple[Meaning, ...], doing: str) -> None:
        """Words that an operator explained are theirs from now on, until that very sentence is taken back."""
        sentence = name_of(event)
        if doing == "undone":
            self.lexicon.remove(sentence)
            return
        by_operator = meanings and doing != "ask" and event.payload.get("by") == event.author
        if by_operator and before is not None and (before.doing == "ask" or sentence in self.lexicon):
            self.lexicon.add(sentence, before.feedback.text, meanings)  # what was said, whatever the answer says


def name_of(event: Feedback) -> str:
    """The sentence that an event is about, by its name; empty where it says none."""
    named = event.payload.get("sentence", "")
    return named if isinstance(named, str) else ""
