"""What a person says and judges, on its way from a station to those who are told of it."""

from __future__ import annotations

from collections.abc import Sequence

from robot_rlhf.datatypes import (
    Action,
    EpisodeKind,
    EpisodeMeta,
    Event,
    Feedback,
    FeedbackKind,
    HumanInput,
    Observation,
    Sentence,
)
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.feedback.arbiter import Spoken
from robot_rlhf.runtime.listening import NEVER_BEGAN, Moment
from robot_rlhf.runtime.station import Station

MOST_AHEAD = 100
"""Sentences that wait for an episode to begin; what is said beyond is about what was before."""


class SaidAhead:
    """What is said before an episode begins, and is meant for it."""

    def __init__(self, station: Station, meta: EpisodeMeta) -> None:
        self._station = station
        self._episode = meta.id
        self._measures = meta.kind is EpisodeKind.EVALUATION
        self._sentences: list[Sentence] = []

    def keeps(self, sentence: Sentence) -> bool:
        """Whether it waits for the first step: it is to be done, could be about nothing before, or follows one that
        waits. Else it is not kept, and is to be told."""
        listening = self._station.listening
        orders = listening is not None and not self._measures and listening.orders(sentence)
        waits = bool(self._sentences) or orders or self._station.recent.of(sentence) is None
        if waits and len(self._sentences) < MOST_AHEAD:
            self._sentences.append(sentence)
            return True
        return False

    def take_in_vain(self) -> tuple[Sentence, ...]:
        """All that wait for an episode that never begins: they are about nothing that was done before."""
        for sentence in self._sentences:
            expect_nothing_of(self._station, sentence, self._episode, NEVER_BEGAN)
        return self.take()

    def take(self) -> tuple[Sentence, ...]:
        """All that wait; they wait no more."""
        taken, self._sentences = tuple(self._sentences), []
        return taken


def meant_for_none(station: Station, sentences: Sequence[Sentence], coming: str) -> None:
    """After the last episode: what is to be done, and what follows it, is meant for one that never begins."""
    ordered = False
    for sentence in sentences:
        ordered = ordered or (station.listening is not None and station.listening.orders(sentence))
        if ordered:
            expect_nothing_of(station, sentence, coming, NEVER_BEGAN)


def expect_nothing_of(station: Station, sentence: Sentence, episode: str, why: str) -> None:
    """A sentence is about an episode that nobody records, and moves nothing.

    Args:
        episode: its name; empty where it has none.
        why: in words.
    """
    if episode:
        station.recent.mean(sentence, episode)
    if station.listening is not None:
        station.listening.expect_nothing_of(sentence, why)


def attended(
    station: Station, meta: EpisodeMeta, human: HumanInput | None, observation: Observation, proposed: Action | None
) -> Spoken | None:
    """What sentences decide of the next action, those of this very period included; None where nothing is under way.

    A policy that is measured is not helped: what is said meanwhile is recorded, and a word that stops does. When there
    is nobody any more, what was under way is over: nothing of it goes on when somebody comes back.

    Raises:
        InvalidValueError: what a sentence asks for came out as no action; it says which.
    """
    listening = station.listening
    if listening is None or meta.kind is EpisodeKind.EVALUATION:
        return None
    if human is None:
        listening.let_go()
        return None
    hands = human.action is not None
    moment = Moment(meta.id, observation, hands)
    try:
        listening.attend_late(moment)
        if hands or human.sentences or human.feedback:
            listening.attend(human, moment, station.recent.of)
        return None if hands else listening.act(observation, proposed)
    except InvalidValueError as error:
        raise InvalidValueError(f"what sentence {listening.under_way} asks for", str(error), "an Action") from error


def heard(station: Station, sentence: Sentence, correction: Feedback) -> Sequence[Event]:
    """A sentence as it is recorded: what was said, what it means, and what is done about it."""
    if station.listening is None:
        return [correction]
    return [correction, *station.listening.about(sentence, correction)]


def judged(station: Station, feedback: Feedback) -> Sequence[Event]:
    """A judgement as it is recorded; an answer about a sentence with what is done about it."""
    if feedback.kind is not FeedbackKind.MEANING:
        return [feedback]
    return [] if station.listening is None else station.listening.answered(feedback)


def understood_late(station: Station) -> Sequence[Event]:
    """What became of sentences that somebody else was asked about."""
    return [] if station.listening is None else station.listening.late()
