"""What has happened in the session so far, read from its journal as it grows: for plots, the coach and the page."""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.console.coach import EpisodeFacts
from robot_rlhf.console.last_episode import LastEpisode
from robot_rlhf.console.sentences import Said, Sentences
from robot_rlhf.console.wire import whole_letters
from robot_rlhf.console.words import guard_words, outcome_words
from robot_rlhf.datatypes import (
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Event,
    FeedbackKind,
    GuardEvent,
    Outcome,
    Step,
)
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.decoder import EpisodeStarted, Record
from robot_rlhf.journal.labels import TAKEN_BACK, Labels
from robot_rlhf.journal.tail import JournalTail

log = logging.getLogger(__name__)

NOTES = 200
"""Events remembered in words."""
LOOK = 0.2
"""Seconds between two looks for what is new."""
PIECE = 1 << 18
"""Bytes after which the reader lets others work."""
SERIES = ("episode", "practice", "success", "human_share", "return", "steps")
"""Columns of History.series."""
REPEATED = 2.0
"""Seconds within which the same rule of the guard is told once."""

_SAID = {
    FeedbackKind.SUCCESS: "judged the episode a success",
    FeedbackKind.FAILURE: "judged the episode a failure",
    FeedbackKind.PREFERENCE: "compared two clips",
    FeedbackKind.SCORE: "gave a score",
    FeedbackKind.DISCARD: "deleted an episode",
}
_TAKEN_BACK = {
    FeedbackKind.SUCCESS: "took back the label of an episode",
    FeedbackKind.FAILURE: "took back the label of an episode",
    FeedbackKind.DISCARD: "restored an episode",
}


@dataclass(frozen=True)
class Note:
    """One event in words. The text may quote people: escape it."""

    stamp: float
    """Clock time, seconds."""
    kind: Literal["guard", "said", "judged", "episode"]
    text: str
    latched: bool = False
    """A fault that holds the robot."""


@dataclass
class _Whole:
    """An episode over all its parts; what a rewind took back is taken out again."""

    meta: EpisodeMeta
    parts: list[str]
    drivers: bytearray = field(default_factory=bytearray)
    rewards: list[float] = field(default_factory=list[float])
    outcome: Outcome | None = None
    lengths: list[int] = field(default_factory=list[int])
    """Steps of each part that has ended."""

    def go_on(self, meta: EpisodeMeta) -> None:
        self.parts.append(meta.id)
        del self.drivers[meta.continues_at :], self.rewards[meta.continues_at :]
        self.outcome = None


@dataclass(frozen=True)
class _Row:
    """An ended episode."""

    parts: tuple[str, ...]
    practice: bool
    drivers: bytes
    """A Driver per step. Length: the steps."""
    facts: EpisodeFacts
    returned: float
    last: LastEpisode
    """As it was recorded."""


class History:
    """Follows a journal in a thread of its own; everything it tells may be asked for from any thread."""

    def __init__(self, path: str) -> None:
        """Args: path: a journal's folder; it may still be empty."""
        self._path = path
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._version = 0
        self._labels = Labels()
        self._rows: list[_Row] = []
        self._open: _Whole | None = None
        self._paused: _Whole | None = None
        self._sentences = Sentences()
        self._notes: deque[Note] = deque(maxlen=NOTES)
        self._rules: dict[str, float] = {}
        self._judged: deque[tuple[str, str]] = deque(maxlen=NOTES)
        """Episode or part and who judged it a success or a failure, or took that back."""
        self._failure = ""
        self._stamp = 0.0
        self._columns: Mapping[str, NDArray[np.float64]] | None = None

    def start(self) -> None:
        """Begin to follow."""
        self._thread = threading.Thread(target=self._follow, name="console-history", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Follow no more. Idempotent."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    # -- what is asked for -------------------------------------------------------------------------------------------

    @property
    def version(self) -> int:
        """Counts changes: nothing is new while it stays."""
        return self._version

    @property
    def failure(self) -> str:
        """Why the journal is followed no more; empty while all is well."""
        return self._failure

    def facts(self, *, practice: bool = False) -> tuple[EpisodeFacts, ...]:
        """The ended episodes, oldest first, with their outcomes as labelled today. Args: practice: leave out others."""
        with self._lock:
            return tuple(self._today(row) for row in self._rows if row.practice or not practice)

    def last(self) -> LastEpisode | None:
        """The episode that ended last, with what is said of it today."""
        with self._lock:
            if not self._rows:
                return None
            row = self._rows[-1]
            names = {name for name, _ in row.last.parts}
            judged = [said for said in self._judged if said[0] in names]
            return replace(row.last, today=self._today(row).outcome, author=judged[-1][1] if judged else "")

    @property
    def series(self) -> Mapping[str, NDArray[np.float64]]:
        """The ended episodes as columns of one length, in the order in which they ended.

        'episode' counts from 1; 'practice' is 0 for demonstrations and evaluations; 'success' is 1 or 0, NaN for a
        discarded one; 'human_share' is the part of the steps that a person drove; 'return' the sum of rewards;
        'steps' their number.
        """
        with self._lock:
            if self._columns is None:
                rows = [(row, self._today(row)) for row in self._rows]
                values = [
                    (i, row.practice, _success(f.outcome), f.human_steps / max(1, f.steps), row.returned, f.steps)
                    for i, (row, f) in enumerate(rows, start=1)
                ]
                table = np.array(values, np.float64).reshape(len(rows), len(SERIES)).T
                self._columns = {name: np.ascontiguousarray(table[i]) for i, name in enumerate(SERIES)}
            return self._columns

    def notes(self) -> tuple[Note, ...]:
        """The last events in words, newest first."""
        with self._lock:
            return tuple(reversed(self._notes))

    def said(self, count: int) -> tuple[Said, ...]:
        """What people said last, newest first, over all episodes. Args: count: so many at most."""
        with self._lock:
            return self._sentences.newest(count)

    @property
    def sentences(self) -> int:
        """How many sentences were said so far."""
        with self._lock:
            return len(self._sentences)

    def sentence(self, name: str) -> Said | None:
        """The sentence of this name; None where there is none."""
        with self._lock:
            return self._sentences.of(name)

    def rules(self) -> tuple[Said, ...]:
        """Sentences that are rules which stand."""
        with self._lock:
            return self._sentences.rules

    @property
    def understands(self) -> bool:
        """Whether anybody has read a sentence of this session."""
        with self._lock:
            return self._sentences.read

    # -- following ---------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        before = None
        try:
            with JournalTail(self._path, pictures=False) as tail:
                while not self._stopping.is_set():
                    behind = False
                    for file, records in tail.pieces(PIECE):
                        if file != before:
                            self.begin_file()
                            before = file
                        self.add(records)
                        behind = True
                        if self._stopping.wait(0.02):
                            return
                    if not behind:
                        self._stopping.wait(LOOK)
        except JournalError as error:
            log.warning("the history of the session ends here: %s", error)
            self._failure = str(error)
            self._version += 1

    def begin_file(self) -> None:
        """Another file of the journal begins: an episode that is open broke off."""
        with self._lock:
            self._labels.begin_file()
            if self._open is not None:
                self._close(self._open, Outcome.STOPPED)

    def add(self, records: Sequence[Record]) -> None:
        """Take in what was recorded next."""
        with self._lock:
            for record in records:
                self._labels.add(record)
                if isinstance(record, Step):
                    if self._open is not None:
                        self._open.drivers.append(record.driver)
                        self._open.rewards.append(record.reward)
                    self._stamp = record.next_observation.stamp
                elif isinstance(record, EpisodeStarted):
                    self._begin(record)
                elif isinstance(record, EpisodeEnd):
                    self._end(record)
                else:
                    self._note(record)
                    self._columns = None  # it may have been a label
            if records:
                self._version += 1

    def _begin(self, started: EpisodeStarted) -> None:
        meta, paused = started.meta, self._paused
        if self._open is not None:
            self._close(self._open, Outcome.STOPPED)
        if paused is not None and meta.continues and meta.continues == paused.parts[-1]:
            paused.go_on(meta)
            self._open, self._paused = paused, None
            return
        if paused is not None:
            self._close(paused, Outcome.STOPPED)
        self._open = _Whole(meta, [meta.id])

    def _end(self, end: EpisodeEnd) -> None:
        whole = self._open
        if whole is None:
            return
        whole.lengths.append(end.steps)
        if end.outcome is Outcome.PAUSED:
            self._open, self._paused = None, whole
        else:
            self._close(whole, end.outcome, end.detail)

    def _close(self, whole: _Whole, outcome: Outcome, detail: str = "") -> None:
        self._open = self._paused = self._columns = None
        said = outcome_words(outcome, detail)
        self._notes.append(Note(self._stamp, "episode", f"{whole.meta.id}: {said}"))
        if whole.drivers:
            practice, drivers = whole.meta.kind is EpisodeKind.PRACTICE, bytes(whole.drivers)
            facts = EpisodeFacts.of(outcome, drivers)
            parts = tuple(zip(whole.parts, whole.lengths, strict=False))
            last = LastEpisode(parts or ((whole.meta.id, len(drivers)),), whole.meta.kind, outcome, outcome, detail)
            row = _Row(tuple(whole.parts), practice, drivers, facts, math.fsum(whole.rewards), last)
            self._rows.append(row)

    def _note(self, event: Event) -> None:
        if isinstance(event, GuardEvent):
            last = self._rules.get(event.rule, -math.inf)
            self._rules[event.rule] = event.stamp
            if event.latched or event.stamp - last > REPEATED:
                self._notes.append(Note(event.stamp, "guard", guard_words(event), event.latched))
            return
        self._sentences.add(event)
        text = whole_letters(event.text)
        if event.kind is FeedbackKind.CORRECTION:
            self._notes.append(Note(event.stamp, "said", f"{event.author}: {text}"))
        elif event.kind is FeedbackKind.ATTRIBUTE:
            self._notes.append(Note(event.stamp, "judged", f"{event.author} marked a span: {text}"))
        elif event.kind in _SAID:
            taken_back = event.value == TAKEN_BACK and event.kind in _TAKEN_BACK
            if event.kind in (FeedbackKind.SUCCESS, FeedbackKind.FAILURE):
                self._judged.append((event.span.episode_id, "" if taken_back else event.author))
            text = _TAKEN_BACK[event.kind] if taken_back else _SAID[event.kind]
            self._notes.append(Note(event.stamp, "judged", f"{event.author} {text}"))

    def _today(self, row: _Row) -> EpisodeFacts:
        """The facts with the outcome as labelled since."""
        outcome = row.facts.outcome
        for part in row.parts:
            outcome = self._labels.of(part).outcome_of(outcome) or outcome
        return row.facts if outcome is row.facts.outcome else EpisodeFacts.of(outcome, row.drivers)


def _success(outcome: Outcome) -> float:
    """1 or 0; NaN where the episode does not count."""
    return math.nan if outcome is Outcome.DISCARDED else float(outcome is Outcome.SUCCESS)
