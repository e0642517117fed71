"""Where in a bag episodes begin and end, and how they ended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from robot_rlhf.datatypes import EpisodeEnd, EpisodeKind, Outcome, Step
from robot_rlhf.errors import ConfigError, JournalError
from robot_rlhf.journal.bags.series import Series
from robot_rlhf.journal.bags.source import Bag, BagMessage
from robot_rlhf.journal.decoder import EpisodeStarted
from robot_rlhf.journal.reader import read_journal
from robot_rlhf.journal.tail import JournalTail

WORDS = ("start", "end", "success", "failure", "discard")
UNMARKED = {"success": Outcome.SUCCESS, "failure": Outcome.FAILURE, "unjudged": Outcome.STOPPED}


@dataclass(frozen=True)
class EpisodeSettings:
    """How a bag is cut into episodes."""

    by: Literal["auto", "marks", "gaps", "whole"] = "auto"
    """marks: by the topic `episodes`; gaps: where commands pause; whole: the bag is one episode; auto: by marks where
    the bag has that topic, else by gaps."""
    gap: float = 0.5
    """Seconds without a command that end an episode; without commanded poses or twists: without a joint state."""
    shortest: float = 0.5
    """Seconds; what is shorter is left out, and counted."""
    unmarked: Literal["success", "failure", "unjudged"] = "success"
    """What an episode counts as that nothing in the bag judges; only successful demonstrations are imitated."""
    judged_within: float = 2.0
    """Seconds after its end in which a success mark still counts."""

    def __post_init__(self) -> None:
        for name in ("gap", "shortest"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"episodes.{name}: got {getattr(self, name)}, allowed above 0")
        if not self.judged_within >= 0:
            raise ConfigError(f"episodes.judged_within: got {self.judged_within}, allowed >= 0")


@dataclass(frozen=True)
class Span:
    """One episode's time in a bag."""

    start: int
    """Nanoseconds of the series' clock."""
    end: int
    outcome: Outcome | None = None
    """None: nothing judges it yet."""
    abuts: bool = False
    """The next episode begins at the very moment of the end: what was measured first then still belongs here."""


@dataclass(frozen=True)
class Mark:
    """Something said about episodes."""

    time: int
    word: str
    """One of WORDS."""


class Marks:
    """Takes in the topic that tells when episodes begin and end."""

    def __init__(self, bag: Bag, topic: str, *, stamped: bool) -> None:
        """Args: stamped: times are those of headers; such a topic has none."""
        if stamped:
            raise JournalError(f"{bag.path}: topic {topic} has no header: episodes by it need --reading.clock received")
        self._bag = bag
        self._topic = topic
        self._number = 0
        self.found: list[Mark] = []

    def add(self, message: BagMessage) -> None:
        """Raises JournalError for a word that is not known."""
        said: Any = message.value.data
        if isinstance(said, str):
            word = _word(said)
            if word not in WORDS:
                where = f"{self._bag.path}: topic {self._topic} at {self._bag.moment(message.received)}"
                raise JournalError(f"{where}: {said!r}; allowed: {', '.join(WORDS)}")
            self.found.append(Mark(message.received, word))
            return
        number = max(0, int(said))
        if number != self._number:
            if self._number:
                self.found.append(Mark(message.received, "end"))
            if number:
                self.found.append(Mark(message.received, "start"))
        self._number = number

    def spans(self, last: int) -> list[Span]:
        """Args: last: time of the bag's last message, which ends an episode that is open."""
        spans: list[Span] = []
        start: int | None = None
        for mark in [*self.found, Mark(last, "end")]:
            if mark.word == "start":
                if start is not None:
                    spans.append(Span(start, mark.time))
                start = mark.time
                continue
            outcome = {"success": Outcome.SUCCESS, "failure": Outcome.FAILURE, "discard": Outcome.DISCARDED}.get(
                mark.word
            )
            if start is not None:
                spans.append(Span(start, mark.time, outcome))
            elif spans and outcome is not None:  # judged after its end
                spans[-1] = replace(spans[-1], outcome=outcome)
            start = None
        return spans


def _word(said: str) -> str:
    """One of WORDS, where it is one: as it was said, or from what our own policy node tells in JSON."""
    if not said.startswith("{"):
        return said
    try:
        facts: dict[str, Any] = json.loads(said)
    except ValueError:
        return said
    if facts.get("event") != "end":
        return str(facts.get("event"))
    return {"success": "success", "failure": "failure", "discarded": "discard"}.get(str(facts.get("outcome")), "end")


def bursts(series: Series, gap: float) -> list[Span]:
    """Spans in which messages follow one another within `gap` seconds."""
    breaks = np.flatnonzero(np.diff(series.time) > gap * 1e9)
    starts = [0, *(breaks + 1).tolist()]
    ends = [*breaks.tolist(), len(series) - 1]
    return [Span(int(series.time[s]), int(series.time[e])) for s, e in zip(starts, ends, strict=True)]


def judged(spans: Sequence[Span], success: Series | None, settings: EpisodeSettings) -> list[Span]:
    """The spans with their outcomes; one that succeeds on the way ends there."""
    found: list[Span] = []
    for number, span in enumerate(spans):
        outcome, end = span.outcome, span.end
        if outcome is None and success is not None:
            next_start = spans[number + 1].start if number + 1 < len(spans) else None
            latest = span.end + round(settings.judged_within * 1e9)
            latest = latest if next_start is None else min(latest, next_start)
            within = (success.time > span.start) & (success.time <= latest)
            good = within & (success.values[:, 0] > 0.0)
            if good.any():
                outcome, end = Outcome.SUCCESS, min(span.end, int(success.time[int(np.argmax(good))]))
            elif within.any():
                outcome = Outcome.FAILURE
        abuts = span.abuts and end == span.end
        found.append(Span(span.start, end, outcome or UNMARKED[settings.unmarked], abuts))
    return found


@dataclass(frozen=True)
class JournalEpisodes:
    """What one of our own journals says about its episodes."""

    spans: list[Span]
    """Of the demonstrations."""
    others: int
    """Number of episodes that are none."""
    task: str


def journal_episodes(path: Path) -> JournalEpisodes:
    """The demonstrations of one of our own journals, in its own words.

    Raises:
        JournalError: it cannot be read.
    """
    with JournalTail(path, pictures=False, steps=False) as tail:
        tail.poll(1)
        offset = int(tail.metadata.get("epoch_offset_ns", "0"))
    spans: list[Span] = []
    others, task, start, end, counts = 0, "", 0, 0, False
    for record in read_journal(path, pictures=False):
        if isinstance(record, EpisodeStarted):
            counts = record.meta.kind is EpisodeKind.DEMONSTRATION
            others += not counts
            task = task or record.meta.task
            start = end = round(record.observation.stamp * 1e9) + offset
            if spans and spans[-1].end == start:
                spans[-1] = replace(spans[-1], abuts=True)
        elif isinstance(record, Step):
            end = round(record.next_observation.stamp * 1e9) + offset
        elif isinstance(record, EpisodeEnd) and counts:
            spans.append(Span(start, end, record.outcome))
    return JournalEpisodes(spans, others, task)
